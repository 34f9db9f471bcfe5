//! Sums beside a DISTINCT aggregate.
//!
//! DataFusion computes `count(DISTINCT a), sum(b)` by groups of `a` and then over those, and sums sums (version 55,
//! `SingleDistinctToGroupBy`). The sum of decimal sums has more digits than the sum, and what was told from its type before,
//! a comparison above it, no longer fits: such aggregates stay as they are.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The rule, for aggregates whose aggregates have their types.
#[derive(Debug)]
pub(super) struct SingleDistinctOfOneType(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for SingleDistinctOfOneType {
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
        match &plan {
            LogicalPlan::Aggregate(aggregate) if !keep_types(aggregate) => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
}

/// Whether each aggregate that is not DISTINCT gives the same type when it is applied to what it gives.
fn keep_types(aggregate: &Aggregate) -> bool {
    let schema = aggregate.input.schema();
    aggregate.aggr_expr.iter().all(|expr| match expr {
        Expr::AggregateFunction(call) if !call.params.distinct => expr
            .get_type(schema)
            .is_ok_and(|once| call.func.return_type(std::slice::from_ref(&once)).is_ok_and(|twice| twice == once)),
        _ => true,
    })
}
