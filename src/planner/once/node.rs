//! The node of the logical plan, and its operator.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::DFSchemaRef;
use datafusion::error::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use super::exec::{OnceExec, Results};

/// A part of the plan that is computed once for all places with this id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd)]
pub(in crate::planner) struct Once {
    id: usize,
    pub(in crate::planner) input: LogicalPlan,
}

impl Once {
    pub(super) fn plan(id: usize, input: LogicalPlan) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(Self { id, input }) })
    }
}

impl UserDefinedLogicalNodeCore for Once {
    fn name(&self) -> &str {
        "Once"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Once: {}", self.id)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (inputs.pop(), inputs.is_empty()) {
            (Some(input), true) => Ok(Self { id: self.id, input }),
            _ => datafusion::common::internal_err!("a part of a plan is one part"),
        }
    }
}

/// Plans the nodes of one query.
#[derive(Debug, Default)]
pub(in crate::planner) struct OncePlanner {
    results: Mutex<HashMap<usize, Arc<Results>>>,
}

#[async_trait]
impl ExtensionPlanner for OncePlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(once), [input]) = (node.as_any().downcast_ref::<Once>(), physical_inputs) else { return Ok(None) };
        let mut all = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let results = Arc::clone(all.entry(once.id).or_default());
        Ok(Some(Arc::new(OnceExec::new(Arc::clone(input), results))))
    }
}
