//! Rules for subqueries that walk through every expression, whether there are any or not.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::semantics::has_subqueries;

/// A rule that gets the whole plan, for plans with subqueries.
#[derive(Debug)]
pub(super) struct OnlyWithSubqueries(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for OnlyWithSubqueries {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if has_subqueries(&plan)? { self.0.rewrite(plan, config) } else { Ok(Transformed::no(plan)) }
    }
}
