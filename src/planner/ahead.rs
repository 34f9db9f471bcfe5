//! Scans that start before the joins above them ask for their rows.
//!
//! A hash join reads its first input to the end before it looks at the second. Where the keys of the first are expected
//! to leave much of the second out, its source waits for them. Where they are not, it would only be idle: its rows are
//! read meanwhile, as far as they fit into memory.

mod exec;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use portolan_connector::SourceExec;

use super::builds::Builds;

pub(crate) use self::exec::AheadExec;

/// The most that one thread reads ahead, in bytes.
const AHEAD_MAX_BYTES: usize = 32 << 20;

/// The part of all queries' memory that one thread reads ahead at most: a join's table cannot be spilled and goes first.
const AHEAD_MEMORY_DIVISOR: usize = 32;

/// The part of all queries' memory that one query reads ahead at most.
const ALL_AHEAD_MEMORY_DIVISOR: usize = 8;

/// What a source sends in some milliseconds, in bytes.
const AWAITED_BYTES: u64 = 1 << 20;

/// How long a source works that is worth reading another meanwhile: what is read ahead is kept in memory, and not yet filtered by
/// the keys of joins.
const AWAITED_WORK: Duration = Duration::from_millis(4);

/// Files are not read ahead where the keys of a join are expected to be one of so many values of their column: most row
/// groups, or the rows while they are decoded, are left out then.
const FEW_KEYS_DIVISOR: u64 = 200;

/// The plan in which scans that gain nothing by waiting are read ahead. `keys_max` is the number of keys that a join tells
/// one by one, `memory` what all queries have, in bytes.
pub(super) fn read_ahead(
    plan: Arc<dyn ExecutionPlan>,
    builds: &Builds,
    keys_max: usize,
    memory: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let capacity = memory.map_or(AHEAD_MAX_BYTES, |memory| (memory / AHEAD_MEMORY_DIVISOR).min(AHEAD_MAX_BYTES));
    let reader = Reader { builds, keys_max: u64::try_from(keys_max).unwrap_or(u64::MAX), capacity };
    let placed = reader.place(plan, Turn { first: true, idle: false, to_the_end: true })?;
    match memory {
        Some(memory) => share(placed, memory / ALL_AHEAD_MEMORY_DIVISOR),
        None => Ok(placed),
    }
}

/// The plan in which all that is read ahead takes at most so many bytes.
fn share(plan: Arc<dyn ExecutionPlan>, bytes: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let mut threads = 0;
    plan.apply(|node| {
        if node.is::<AheadExec>() {
            threads += node.output_partitioning().partition_count();
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let shared = plan.transform_up(|node| match node.downcast_ref::<AheadExec>() {
        Some(ahead) => Ok(Transformed::yes(Arc::new(ahead.at_most(bytes / threads.max(1))) as _)),
        None => Ok(Transformed::no(node)),
    })?;
    Ok(shared.data)
}

/// When an operator's rows are asked for.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// At once, when the query starts.
    first: bool,
    /// After another source has sent a good deal: this process has little to do until then.
    idle: bool,
    /// All of them are: no LIMIT above ends the query early.
    to_the_end: bool,
}

struct Reader<'a> {
    builds: &'a Builds,
    keys_max: u64,
    /// What one thread reads ahead at most, in bytes.
    capacity: usize,
}

impl Reader<'_> {
    fn place(&self, plan: Arc<dyn ExecutionPlan>, turn: Turn) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(leaf) = scan_below(&plan) {
            if turn.first || !turn.to_the_end || !self.gains(leaf, turn) {
                return Ok(plan);
            }
            let pauses = leaf.pauses();
            let at_once = at_once(plan)?;
            return Ok(Arc::new(AheadExec::new(at_once, self.capacity, pauses)));
        }
        let children: Vec<_> = plan.children().into_iter().cloned().collect();
        let placed = children.into_iter().enumerate().map(|(at, child)| self.place(child, below(&plan, turn, at)));
        let placed = placed.collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(plan, placed)
    }

    /// Whether a scan is better read while the joins above still collect their keys.
    fn gains(&self, leaf: &SourceExec, turn: Turn) -> bool {
        // What is read in this process is read as fast later, where it is not idle before.
        if leaf.native().is_some() && !turn.idle {
            return false;
        }
        let bytes = leaf.report().estimate.bytes;
        let fits = bytes.is_some_and(|bytes| bytes <= self.capacity as u64);
        // What does not pause is begun again where it is more than fits, which native scans do not do.
        if !leaf.pauses() && (leaf.native().is_some() || !fits) {
            return false;
        }
        let filters = leaf.dynamic_filters();
        filters.iter().filter(|filter| self.builds.filters.contains(&filter.id)).all(|filter| {
            let Some(keys) = self.builds.by_filter.get(&filter.id) else { return false };
            let known = || filter.keys.iter().zip(keys).filter_map(|(column, keys)| Some((column.as_ref()?, *keys)));
            if leaf.native().is_none() {
                // A list of the keys comes, and leaves rows out.
                let narrows = |column: &str, keys: u64| {
                    keys <= self.keys_max && leaf.distinct(column).is_none_or(|values| keys.saturating_mul(2) <= values)
                };
                return known().all(|(column, keys)| !narrows(column, keys));
            }
            known().all(|(column, keys)| {
                let few = leaf.distinct(column).is_none_or(|values| keys <= values / FEW_KEYS_DIVISOR);
                !few && !leaf.filters_on(column)
            })
        })
    }
}

/// When the rows of a node's input are asked for.
fn below(plan: &Arc<dyn ExecutionPlan>, turn: Turn, input: usize) -> Turn {
    let reads_left_first = plan.is::<HashJoinExec>() || plan.is::<NestedLoopJoinExec>() || plan.is::<CrossJoinExec>();
    let left = plan.children().first().filter(|_| reads_left_first && input > 0).copied();
    Turn {
        first: turn.first && left.is_none(),
        idle: turn.idle || left.is_some_and(is_awaited),
        to_the_end: plan.is::<AggregateExec>()
            || plan.is::<SortExec>()
            || (reads_left_first && input == 0)
            || (turn.to_the_end && plan.fetch().is_none()),
    }
}

/// Whether some source below sends or computes so much that this process waits for it.
fn is_awaited(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let awaited = |leaf: &SourceExec| {
        let report = leaf.report();
        let sends = report.estimate.bytes.is_none_or(|bytes| bytes >= AWAITED_BYTES);
        let computes = || report.folded.iter().any(|fold| matches!(*fold, "aggregate" | "join"));
        let works = report.estimate.works.map_or_else(computes, |works| works >= AWAITED_WORK);
        leaf.native().is_none() && (sends || works)
    };
    plan.downcast_ref::<SourceExec>().is_some_and(awaited) || plan.children().into_iter().any(is_awaited)
}

/// The scan below operators that treat each row by itself.
pub(super) fn scan_below(plan: &Arc<dyn ExecutionPlan>) -> Option<&SourceExec> {
    if let Some(leaf) = plan.downcast_ref::<SourceExec>() {
        return leaf.fetch().is_none().then_some(leaf);
    }
    let by_row = plan.is::<FilterExec>()
        || plan.is::<ProjectionExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<AheadExec>();
    match plan.children()[..] {
        [only] if by_row && plan.fetch().is_none() => scan_below(only),
        _ => None,
    }
}

/// The same operators over a scan that waits for nothing.
fn at_once(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(leaf) = plan.downcast_ref::<SourceExec>() {
        return Ok(Arc::new(leaf.at_once()));
    }
    let children = plan.children().into_iter().map(|child| at_once(Arc::clone(child))).collect::<Result<Vec<_>>>()?;
    replace_children_if_necessary(plan, children)
}
