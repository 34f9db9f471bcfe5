//! Tells scans which joins above them will know their keys, and joins how many keys to tell one by one.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use portolan_connector::SourceExec;

/// The keys of a join that the other side's source is always told one by one. Where files are read, each of their rows is looked up
/// in the list.
const KEYS_MIN: u64 = 10_000;

/// The most keys that are told one by one. PostgreSQL looks up as many by an index while it reads a tenth of a large table.
const KEYS_MAX: u64 = 100_000;

/// With fewer rows for each key it is not worth to list the keys.
const ROWS_PER_KEY_MIN: u64 = 10;

/// How many keys a join of this plan tells one by one. It is one number for all of its joins.
pub(super) fn keys_max(plan: &Arc<dyn ExecutionPlan>) -> Result<usize> {
    let (mut files, mut rows) = (false, 0);
    plan.apply(|node| {
        let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(TreeNodeRecursion::Continue) };
        join.right().apply(|probed| {
            if let Some(leaf) = probed.downcast_ref::<SourceExec>() {
                files |= leaf.native().is_some();
                rows = rows.max(leaf.report().estimate.rows.unwrap_or_default());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    let keys = if files { KEYS_MIN } else { (rows / ROWS_PER_KEY_MIN).clamp(KEYS_MIN, KEYS_MAX) };
    Ok(usize::try_from(keys).unwrap_or(usize::MAX))
}

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
