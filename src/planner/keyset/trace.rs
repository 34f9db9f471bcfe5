//! Where a column of an operator's rows comes from: rows of an input that have no key there are in none of its results that
//! a join above finds a partner for.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

/// The input, by its place, and its column that an operator's column is; `None` where what is left out of the input
/// would change other rows of the result.
pub(super) fn input_column(plan: &Arc<dyn ExecutionPlan>, column: usize) -> Option<(usize, usize)> {
    if plan.fetch().is_some() {
        return None;
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        return of_join(join, kept(join.projection.as_deref(), column)?);
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        return Some((0, kept(filter.projection().as_deref(), column)?));
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        return Some((0, index(&projection.expr().get(column)?.expr)?));
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        // Without the rows of a key its group is not there, and others are as they were.
        let groups = aggregate.group_expr();
        return match groups.is_single() {
            true => Some((0, index(&groups.expr().get(column)?.0)?)),
            false => None,
        };
    }
    let moves = plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<SortExec>();
    moves.then_some((0, column))
}

fn of_join(join: &HashJoinExec, column: usize) -> Option<(usize, usize)> {
    let left = join.left().schema().fields().len();
    let (of_left, of_right) = match join.join_type() {
        JoinType::Inner => (true, true),
        // Each result has one row of this side, and each row its results whatever else is there.
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (true, false),
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (false, true),
        JoinType::Full => (false, false),
    };
    if join.null_aware {
        return None;
    }
    match join.join_type() {
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            (column < join.right().schema().fields().len()).then_some((1, column))
        }
        _ if column < left => of_left.then_some((0, column)),
        JoinType::LeftMark => None,
        _ => of_right.then_some((1, column - left)),
    }
}

/// Where a column stands before an operator's own projection.
fn kept(projection: Option<&[usize]>, column: usize) -> Option<usize> {
    match projection {
        Some(projection) => projection.get(column).copied(),
        None => Some(column),
    }
}

/// The column that an expression is.
pub(super) fn index(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}
