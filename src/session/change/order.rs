//! Rows in the order in which a source takes them.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use portolan_connector::RowOrder;

use crate::error::Result;

/// The plan with its rows sorted by these columns. What does not fit into the query's memory is sorted on the disk.
pub(super) fn sorted(plan: Arc<dyn ExecutionPlan>, order: &RowOrder) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = plan.schema();
    let keys = order.iter().filter_map(|index| {
        let column = Column::new(schema.fields().get(*index)?.name(), *index);
        Some(PhysicalSortExpr::new(Arc::new(column), SortOptions { descending: false, nulls_first: true }))
    });
    let Some(keys) = LexOrdering::new(keys) else { return Ok(plan) };
    let partitions = plan.output_partitioning().partition_count();
    let sorted: Arc<dyn ExecutionPlan> =
        Arc::new(SortExec::new(keys.clone(), plan).with_preserve_partitioning(partitions > 1));
    Ok(if partitions > 1 { Arc::new(SortPreservingMergeExec::new(keys, sorted)) } else { sorted })
}
