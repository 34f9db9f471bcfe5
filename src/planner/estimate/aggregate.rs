//! Groups, and what their aggregates come to.

use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};

use super::{Estimated, Values, bare, columns_of, computed, estimate, unknown};

/// Bytes of what an aggregate function gives.
const WIDTH_BYTES: f64 = 8.0;

/// One row for each group.
pub(super) fn grouped(aggregate: &Aggregate, plan: &LogicalPlan) -> Option<Estimated> {
    let input = estimate(&aggregate.input)?;
    let rows = match aggregate.group_expr.is_empty() {
        true => 1.0,
        false => input.combinations(&aggregate.group_expr),
    };
    let mut columns = columns_of(plan.schema());
    let keys = aggregate.group_expr.iter().zip(columns.by_ref());
    let mut known: Vec<Values> = keys.map(|(expr, column)| computed(&input, expr, column)).collect();
    let aggregates = spreads(aggregate, &input, rows).into_iter().zip(columns);
    known.extend(aggregates.map(|(spread, column)| Values { width: WIDTH_BYTES, spread, ..unknown(column) }));
    for values in &mut known {
        values.distinct = values.distinct.map(|distinct| distinct.min(rows));
        // Each value is there once for each group that has it.
        values.frequent = std::sync::Arc::new([]);
    }
    if let ([only], [values, ..]) = (aggregate.group_expr.as_slice(), known.as_mut_slice())
        && !matches!(only, Expr::GroupingSet(_))
    {
        values.distinct = Some(rows);
    }
    Some(Estimated { rows, columns: known })
}

/// Around what the aggregates of so many groups gather, where that is known.
pub(super) fn spreads(aggregate: &Aggregate, input: &Estimated, groups: f64) -> Vec<Option<(f64, f64)>> {
    let rows = input.rows / groups.max(1.0);
    aggregate.aggr_expr.iter().map(|expr| spread(expr, input, rows)).collect()
}

/// Around what an aggregate of groups of so many rows gathers: mean and standard deviation. Values are taken to be spread
/// evenly over their range, and rows to fall into groups at random, so that a sum is a compound Poisson variable.
fn spread(aggregate: &Expr, input: &Estimated, rows: f64) -> Option<(f64, f64)> {
    let Expr::AggregateFunction(call) = bare(aggregate) else { return None };
    if call.params.distinct || call.params.filter.is_some() {
        return None;
    }
    let [argument] = call.params.args.as_slice() else { return None };
    let values = match bare(argument) {
        Expr::Column(column) => input.values(column),
        _ => None,
    };
    let rows = rows * (1.0 - values.map_or(0.0, |values| values.nulls));
    if call.func.name() == "count" {
        return Some((rows, rows.sqrt()));
    }
    let (min, max) = values?.range?;
    let (mean, variance) = ((min + max) / 2.0, (max - min).powi(2) / 12.0);
    match call.func.name() {
        "sum" => Some((rows * mean, (rows * (variance + mean * mean)).sqrt())),
        "avg" => Some((mean, (variance / rows.max(1.0)).sqrt())),
        _ => None,
    }
}
