//! What an operator is expected to take, at a source and in the engine.

use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use portolan_connector::Costs;

use crate::planner::estimate::Estimated;

/// What the engine takes, on the processor of a few years ago that PostgreSQL's numbers were measured on.
pub(in crate::planner) const ENGINE: Costs = Costs {
    row: 0.0,
    value: 0.0,
    byte: 0.0,
    joined_row: 0.04,
    grouped_row: 0.04,
    aggregated_value: 0.015,
    comparison: 0.01,
    memory_bytes: 1024.0 * 1024.0 * 1024.0,
    spilling: 2.0,
};

/// Fetching must promise this much before a source is not given what it could compute: estimates err, and what a source
/// computes is not sent.
pub(super) const FETCHING_MUST_SAVE: f64 = 0.8;

/// The most keys of a join that are expected to narrow what the other side sends.
const NARROWING_KEYS_MAX: f64 = 10_000.0;

/// Bytes that a row takes in a table of groups or of a join beside its values.
const TABLE_ROW_BYTES: f64 = 48.0;

/// Microseconds that the rows of a relation take on their way.
pub(in crate::planner) fn transfer(costs: &Costs, rows: &Estimated) -> f64 {
    let values = rows.columns.len() as f64;
    rows.rows * (costs.row + costs.value * values + costs.byte * rows.width())
}

/// The share of a side's rows that are sent when the other side's keys are known first.
pub(in crate::planner) fn narrowed(side: &Estimated, other: &Estimated, result: &Estimated) -> f64 {
    match other.rows <= NARROWING_KEYS_MAX && other.rows < side.rows {
        true => (result.rows / side.rows.max(1.0)).min(1.0),
        false => 1.0,
    }
}

/// Microseconds that an operator takes, apart from its inputs.
pub(super) fn operator(costs: &Costs, plan: &LogicalPlan, inputs: &[&Estimated], result: &Estimated) -> f64 {
    let input = inputs.iter().map(|input| input.rows).sum::<f64>();
    match plan {
        LogicalPlan::Join(join) => match inputs {
            [left, right] => join_micros(costs, left, right, result, !join.on.is_empty()),
            _ => 0.0,
        },
        LogicalPlan::Aggregate(aggregate) => grouped(costs, aggregate, input, result),
        LogicalPlan::Distinct(_) => costs.grouped_row * input * costs.beyond_memory(table_bytes(result)),
        LogicalPlan::Projection(projection) => {
            let computed = projection.expr.iter().filter(|expr| !is_named(expr)).count() as f64;
            costs.aggregated_value * computed * input
        }
        LogicalPlan::Sort(sort) => {
            let kept = sort.fetch.map_or(input, |_| result.rows.min(input));
            costs.comparison * input * kept.max(2.0).log2()
        }
        _ => 0.0,
    }
}

/// Microseconds that a join takes, by equal keys or of each row with each.
pub(in crate::planner) fn join_micros(
    costs: &Costs,
    left: &Estimated,
    right: &Estimated,
    result: &Estimated,
    equal: bool,
) -> f64 {
    match equal {
        true => {
            let smaller = table_bytes(left).min(table_bytes(right));
            costs.joined_row * (left.rows + right.rows + result.rows) * costs.beyond_memory(smaller)
        }
        false => costs.joined_row * (left.rows * right.rows + result.rows),
    }
}

fn grouped(costs: &Costs, aggregate: &Aggregate, input: f64, result: &Estimated) -> f64 {
    let distinct = aggregate.aggr_expr.iter().filter(|expr| is_distinct(expr)).count() as f64;
    let values = aggregate.aggr_expr.len() as f64 - distinct;
    let sorted = distinct * costs.comparison * input * input.max(2.0).log2();
    // Without groups no row is looked up.
    let row = if aggregate.group_expr.is_empty() { 0.0 } else { costs.grouped_row };
    let grouped = input * (row + costs.aggregated_value * values);
    grouped * costs.beyond_memory(table_bytes(result)) + sorted
}

/// Whether an expression is a column, perhaps under another name.
fn is_named(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Alias(alias) => is_named(&alias.expr),
        _ => false,
    }
}

fn is_distinct(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_distinct(&alias.expr),
        Expr::AggregateFunction(function) => function.params.distinct,
        _ => false,
    }
}

fn table_bytes(rows: &Estimated) -> f64 {
    rows.rows * (rows.width() + TABLE_ROW_BYTES)
}
