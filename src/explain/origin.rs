//! The table that a column comes from: a physical plan knows columns by place, and two tables may share a name.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use portolan_connector::SourceExec;

use super::operator::is_exchange;
use crate::planner::{KeyFilterExec, OnceExec};

/// The name of the table whose column an expression over a plan's rows is; `None` for what is computed, or passes through
/// an operator that is not followed.
pub(super) fn table(plan: &Arc<dyn ExecutionPlan>, expr: &Arc<dyn PhysicalExpr>) -> Option<String> {
    column(plan, expr.downcast_ref::<Column>()?.index())
}

fn column(plan: &Arc<dyn ExecutionPlan>, index: usize) -> Option<String> {
    if let Some(leaf) = plan.downcast_ref::<SourceExec>() {
        let [only] = leaf.report().tables.as_slice() else { return None };
        return Some(only.table.clone());
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        return table(projection.input(), &projection.expr().get(index)?.expr);
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        return column(filter.input(), kept(filter.projection().as_deref(), index)?);
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return table(aggregate.input(), &aggregate.group_expr().expr().get(index)?.0);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let index = kept(join.projection.as_deref(), index)?;
        let left = join.left().schema().fields().len();
        return match join.join_type() {
            JoinType::LeftSemi | JoinType::LeftAnti => column(join.left(), index),
            JoinType::RightSemi | JoinType::RightAnti => column(join.right(), index),
            _ if index < left => column(join.left(), index),
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => column(join.right(), index - left),
            // The mark is nobody's column.
            JoinType::LeftMark | JoinType::RightMark => None,
        };
    }
    match plan.children().as_slice() {
        [only] if is_exchange(plan) || plan.is::<SortExec>() || plan.is::<KeyFilterExec>() || plan.is::<OnceExec>() => {
            column(only, index)
        }
        _ => None,
    }
}

/// Where an operator's output column stands before the operator's own projection.
fn kept(projection: Option<&[usize]>, index: usize) -> Option<usize> {
    match projection {
        Some(projection) => projection.get(index).copied(),
        None => Some(index),
    }
}
