//! The leaf of the logical plan that stands for what a source computes.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{self, AtomicU64};

use datafusion::common::{DFSchemaRef, Result};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use portolan_connector::{FilterReport, FoldCost, Relation, TableName, Unfolded};

use super::Source;
use crate::planner::estimate::Estimated;

/// What a source computes, with what EXPLAIN tells about it.
#[derive(Clone, Debug)]
pub(in crate::planner) struct FoldedScan {
    /// Two scans are never the same: each has relations of its own.
    id: u64,
    pub(super) relation: Arc<dyn Relation>,
    pub(super) schema: DFSchemaRef,
    pub(super) tables: Vec<TableName>,
    pub(super) columns_total: usize,
    pub(super) filters: Vec<FilterReport>,
    pub(super) folded: Vec<&'static str>,
    pub(super) unfolded: Vec<Unfolded>,
    /// What is expected of its rows, where statistics tell.
    pub(in crate::planner) rows: Option<Estimated>,
    pub(super) cost: Option<FoldCost>,
}

impl FoldedScan {
    /// The plan that is this leaf.
    pub(super) fn plan(source: &Source, unfolded: Option<Unfolded>) -> LogicalPlan {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let node = Self {
            id: NEXT.fetch_add(1, atomic::Ordering::Relaxed),
            relation: Arc::clone(&source.relation),
            schema: Arc::clone(&source.schema),
            tables: source.tables.clone(),
            columns_total: source.columns_total,
            filters: source.filters.clone(),
            folded: source.folded.clone(),
            unfolded: unfolded.into_iter().collect(),
            rows: source.expected.as_ref().map(|expected| expected.rows.clone()),
            cost: source.expected.as_ref().and_then(|expected| expected.cost()),
        };
        LogicalPlan::Extension(Extension { node: Arc::new(node) })
    }
}

impl FoldedScan {
    /// The same, with another cost for EXPLAIN.
    pub(super) fn costing(&self, cost: FoldCost) -> Self {
        Self { cost: Some(cost), ..self.clone() }
    }
}

impl UserDefinedLogicalNodeCore for FoldedScan {
    fn name(&self) -> &str {
        "FoldedScan"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables: Vec<String> = self.tables.iter().map(ToString::to_string).collect();
        write!(f, "FoldedScan: {} [{}]", tables.join(", "), self.folded.join(", "))
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, _inputs: Vec<LogicalPlan>) -> Result<Self> {
        Ok(self.clone())
    }
}

impl PartialEq for FoldedScan {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for FoldedScan {}

impl Hash for FoldedScan {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl PartialOrd for FoldedScan {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.id.partial_cmp(&other.id)
    }
}
