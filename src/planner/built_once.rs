//! First inputs of nested loop joins that must not be read twice.
//!
//! Where the first input does not fit into memory, DataFusion's nested loop join reads it anew and spills it. Operators
//! that share their work among partitions have nothing left by then: scans of files deal the files out once, and a
//! repartitioning fails. With several partitions on the other side, joins that keep rows of the first input also return
//! rows without a partner once for each of them (DataFusion 55, a comment in `NestedLoopJoinExec::execute`). An error is
//! better than wrong rows.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::JoinType;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties};
use portolan_connector::SourceExec;

use super::one_input::{no_expressions, ordered_as_input, over_one_input};

/// The plan whose nested loop joins read their first input again only where that gives the same rows.
pub(super) fn build_once(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let guarded = plan.transform_up(|node| {
        let Some(join) = node.downcast_ref::<NestedLoopJoinExec>().filter(|join| !may_repeat(join)) else {
            return Ok(Transformed::no(node));
        };
        let left = Arc::new(BuiltOnceExec { input: Arc::clone(join.left()), begun: AtomicBool::new(false) });
        let right = Arc::clone(join.right());
        Ok(Transformed::yes(replace_children_if_necessary(node, vec![left, right])?))
    })?;
    Ok(guarded.data)
}

fn may_repeat(join: &NestedLoopJoinExec) -> bool {
    let keeps_left = !matches!(
        join.join_type(),
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark
    );
    (!keeps_left || join.right().output_partitioning().partition_count() == 1) && is_repeatable(join.left())
}

/// Whether a plan that was run returns the same rows when it is run again.
fn is_repeatable(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if let Some(leaf) = plan.downcast_ref::<SourceExec>() {
        return leaf.native().is_none();
    }
    let keeps_nothing = plan.is::<FilterExec>()
        || plan.is::<ProjectionExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<CoalescePartitionsExec>();
    keeps_nothing && plan.children().into_iter().all(is_repeatable)
}

/// Its input's rows, once: an error for whoever asks again.
#[derive(Debug)]
pub(crate) struct BuiltOnceExec {
    input: Arc<dyn ExecutionPlan>,
    begun: AtomicBool,
}

impl BuiltOnceExec {
    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, begun: AtomicBool::new(false) }
    }
}

impl DisplayAs for BuiltOnceExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BuiltOnceExec")
    }
}

impl ExecutionPlan for BuiltOnceExec {
    over_one_input!("BuiltOnceExec", Arc::clone);
    ordered_as_input!();
    no_expressions!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if self.begun.swap(true, Ordering::Relaxed) {
            let text = "not enough memory for the smaller input of a join that has no equal keys";
            return Err(DataFusionError::ResourcesExhausted(text.to_owned()));
        }
        self.input.execute(partition, context)
    }
}
