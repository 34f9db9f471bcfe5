//! Relations that a source computes: a table's rows, and what the engine folds over them.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::{DFSchema, JoinType, NullEquality};
use datafusion::logical_expr::{Expr, SortExpr};

use crate::{PlanContext, Reason, Result, SourcePlan};

/// A relation of the source's, and what the engine calls its columns: position by position, those of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// The rows.
    pub relation: &'a Arc<dyn Relation>,
    /// The names by which expressions speak of its columns.
    pub schema: &'a DFSchema,
}

/// An operator of the engine's plan over relations of one source. Its expressions name columns of the operands' schemas.
#[derive(Clone, Copy, Debug)]
pub enum Operator<'a> {
    /// The rows for which a condition is true.
    Filter(&'a Expr),
    /// Other columns, computed from these.
    Project(&'a [Expr]),
    /// One row for each group: the keys, then the aggregates. Without a key one row in all.
    Aggregate {
        /// What the rows of a group have in common.
        keys: &'a [Expr],
        /// Calls of aggregate functions.
        aggregates: &'a [Expr],
    },
    /// The rows in an order.
    Sort {
        /// By what, the most significant first.
        keys: &'a [SortExpr],
        /// Only the first so many.
        fetch: Option<usize>,
    },
    /// The rows after the first `skip`, at most `fetch`.
    Limit {
        /// How many are left out.
        skip: usize,
        /// How many there are at most.
        fetch: Option<usize>,
    },
    /// This relation on the left, another one of the same source on the right.
    Join {
        /// The right side.
        right: Operand<'a>,
        /// Which rows there are.
        join_type: JoinType,
        /// What is equal, on the left and on the right.
        equal: &'a [(Expr, Expr)],
        /// What else holds of a pair.
        condition: Option<&'a Expr>,
        /// Whether NULL equals NULL.
        nulls: NullEquality,
    },
    /// The rows of this relation and of others of the same source.
    UnionAll(&'a [Operand<'a>]),
}

impl Operator<'_> {
    /// What EXPLAIN calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Filter(_) => "filter",
            Self::Project(_) => "projection",
            Self::Aggregate { .. } => "aggregate",
            Self::Sort { fetch: Some(_), .. } => "topn",
            Self::Sort { fetch: None, .. } => "sort",
            Self::Limit { .. } => "limit",
            Self::Join { .. } => "join",
            Self::UnionAll(_) => "union",
        }
    }
}

/// What a source is expected to take for the work of an operator, in microseconds of elapsed time. The planner compares it
/// with what the engine takes, to choose who computes; only the proportions matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// For a row that is sent to the engine.
    pub row: f64,
    /// For each value of such a row.
    pub value: f64,
    /// For each of its bytes.
    pub byte: f64,
    /// For a row that goes into a join with equal keys, or comes out of it.
    pub joined_row: f64,
    /// For a row that finds its group.
    pub grouped_row: f64,
    /// For each value that goes into an aggregate.
    pub aggregated_value: f64,
    /// For a comparison of a sort, which takes `n log2(n)` of them.
    pub comparison: f64,
    /// Memory of one operator, in bytes.
    pub memory_bytes: f64,
    /// How many times as long an operator takes that needs more.
    pub spilling: f64,
}

impl Costs {
    /// How many times as long an operator takes that needs so many bytes.
    pub fn beyond_memory(&self, bytes: f64) -> f64 {
        if bytes > self.memory_bytes { self.spilling } else { 1.0 }
    }
}

impl Default for Costs {
    /// A row store on a machine near by.
    fn default() -> Self {
        Self {
            row: 0.1,
            value: 0.08,
            byte: 0.002,
            joined_row: 0.15,
            grouped_row: 0.15,
            aggregated_value: 0.1,
            comparison: 0.05,
            memory_bytes: 8.0 * 1024.0 * 1024.0,
            spilling: 2.0,
        }
    }
}

/// What a source's own planner expects of a relation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expense {
    /// Microseconds that it takes for the rows on one connection, without their way to the engine.
    pub micros: f64,
    /// The connections on which the rows come side by side. At least 1.
    pub connections: usize,
}

/// Rows that a source computes. A value: folding makes a new one.
#[async_trait]
pub trait Relation: Any + Debug + Send + Sync {
    /// The relation with an operator folded into it, or why the source does not take it. `schema` is what the engine
    /// calls the columns of this relation, `result` those of the new one, with the types that they have to have.
    ///
    /// The source must give just the rows that the engine would; with a sort, in that order.
    fn fold(&self, operator: Operator<'_>, schema: &DFSchema, result: &DFSchema) -> Result<Arc<dyn Relation>, Reason>;

    /// What the source takes for operators.
    fn costs(&self) -> Costs {
        Costs::default()
    }

    /// What the source's own planner expects of it; `None` where nobody can tell. May talk to the source.
    async fn expense(&self, _context: &PlanContext<'_>) -> Result<Option<Expense>> {
        Ok(None)
    }

    /// Plans the scan: renders the request. May talk to the source. The columns are named and typed as `schema` says.
    async fn plan(&self, schema: &DFSchema, context: &PlanContext<'_>) -> Result<SourcePlan>;
}

impl dyn Relation {
    /// The relation as the type that it is.
    pub fn downcast_ref<T: Relation>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}
