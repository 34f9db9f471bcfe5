//! Conditions of filters, evaluated conjunct by conjunct on the rows that are left.
//!
//! DataFusion evaluates `a AND b AND c` as a tree of pairs: each pair copies every column of the batch for the rows that
//! its left side leaves, and spreads the answer over all rows again. That is most of the time of a selective filter. And
//! a conjunct that can fail sees rows that an earlier one has ruled out, unless those are many: `x <> 0 AND 10 / x > 1`
//! divides by zero.

mod all_of;
mod conjunct;
mod known;
mod range;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

pub(crate) use all_of::AllOf;
pub(crate) use known::KnownExec;

/// The plan whose filters of several conjuncts are evaluated by [`AllOf`].
pub(super) fn one_by_one(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let relied_on = plan.exists(|node| Ok(node.is::<WindowAggExec>() || node.is::<BoundedWindowAggExec>()))?;
    let rewritten = plan.transform_up(|node| {
        let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(node)) };
        let predicate = filter.predicate();
        // What a filter knows of the order of its rows it takes from its predicate, and operators above rely on it.
        if split_conjunction(predicate).len() < 2 || is_volatile(predicate) || node.output_ordering().is_some() {
            return Ok(Transformed::no(node));
        }
        let share = expected_share(filter);
        let predicate = Arc::new(AllOf::new(Arc::clone(predicate), &filter.input().schema())?);
        let mut builder = FilterExecBuilder::from(filter).with_predicate(predicate);
        if let Some(percent) = share {
            builder = builder.with_default_selectivity(percent);
        }
        let known = Arc::clone(node.properties());
        let filter = Arc::new(builder.build()?);
        Ok(Transformed::yes(match relied_on && !node.equivalence_properties().constants().is_empty() {
            true => Arc::new(KnownExec::new(filter, known)) as Arc<dyn ExecutionPlan>,
            false => filter,
        }))
    })?;
    Ok(rewritten.data)
}

/// The share of its rows that a filter is expected to keep, in percent. Nobody can tell from a predicate of ours.
fn expected_share(filter: &FilterExec) -> Option<u8> {
    let rows = |plan: &dyn ExecutionPlan| {
        let statistics = StatisticsContext::new().compute(plan, &StatisticsArgs::new()).ok()?;
        statistics.num_rows.get_value().map(|rows| *rows as f64)
    };
    let (kept, all) = (rows(filter)?, rows(filter.input().as_ref())?);
    (all > 0.0).then(|| (kept / all * 100.0).ceil().clamp(0.0, 100.0) as u8)
}
