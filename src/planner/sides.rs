//! Which side of a join is put into a table: the one that is expected to be smaller, on the left.
//!
//! The optimizer of physical plans chooses by what it can tell of a join's inputs, which is less than is known here: it does
//! not see what sources left out, nor what conditions above scans leave. So it is asked to keep the sides where all of
//! them were chosen here.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchemaRef, JoinType};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Projection};

use super::estimate::estimate;

/// The plan with the smaller side of each join on the left, and whether that is known of all joins.
pub(super) fn choose_sides(plan: LogicalPlan) -> Result<(LogicalPlan, bool)> {
    let mut settled = true;
    let chosen = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Join(join) = node else { return Ok(Transformed::no(node)) };
        let (Some(left), Some(right)) = (estimate(&join.left), estimate(&join.right)) else {
            settled = false;
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        let bytes = |rows: f64, width: f64| rows * (width + ROW_BYTES);
        if join.null_aware || bytes(left.rows, left.width()) <= bytes(right.rows, right.width()) {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        swapped(join).map(Transformed::yes)
    })?;
    Ok((chosen.data, settled))
}

/// What a row takes in the table beside its values, in bytes.
const ROW_BYTES: f64 = 16.0;

/// The same join with its sides exchanged.
fn swapped(join: Join) -> Result<LogicalPlan> {
    let schema = Arc::clone(&join.schema);
    let on = join.on.into_iter().map(|(left, right)| (right, left)).collect();
    let join_type = join.join_type.swap();
    let other = Join::try_new(
        join.right,
        join.left,
        on,
        join.filter,
        join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    match join_type {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => in_order(other, schema),
        // The columns are those of one side.
        _ => Ok(LogicalPlan::Join(Join { schema, ..other })),
    }
}

/// A join with the columns of a schema, in its order.
fn in_order(join: Join, schema: DFSchemaRef) -> Result<LogicalPlan> {
    let columns = schema.columns().into_iter().map(Expr::Column).collect();
    Projection::try_new_with_schema(columns, Arc::new(LogicalPlan::Join(join)), schema).map(LogicalPlan::Projection)
}
