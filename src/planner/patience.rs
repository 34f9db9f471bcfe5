//! Tells scans which joins above them will know their keys.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use portolan_connector::SourceExec;

/// The plan in which every scan waits for the hash joins that push a filter down to it, for as long as `patience`. Other
/// filters that are known only at run time, a top-N's or a minimum's, are known when all is read: nobody waits for them.
pub(super) fn await_joins(plan: Arc<dyn ExecutionPlan>, patience: Duration) -> Result<Arc<dyn ExecutionPlan>> {
    let mut joins = Vec::new();
    plan.apply(|node| {
        if node.is::<HashJoinExec>() {
            joins.extend(node.dynamic_expressions_produced().iter().filter_map(|filter| filter.expression_id()));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if joins.is_empty() || patience.is_zero() {
        return Ok(plan);
    }
    let awaiting = plan.transform_up(|node| match node.downcast_ref::<SourceExec>() {
        Some(leaf) => Ok(Transformed::yes(Arc::new(leaf.awaiting(&joins, patience)) as Arc<dyn ExecutionPlan>)),
        None => Ok(Transformed::no(node)),
    })?;
    Ok(awaiting.data)
}
