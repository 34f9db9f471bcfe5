//! `avg` beside `sum` of the same values: the sum is there, and their number costs less than a second sum.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::logical_plan::{Aggregate, Projection};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use crate::semantics::{Share, quotient, share};

/// The plan in which averages are made of the sums beside them.
pub(super) fn share_sums(plan: LogicalPlan) -> Result<LogicalPlan> {
    let shared = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) => shared(aggregate),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(shared.data)
}

/// Where an aggregate comes from, by places among those that are left.
enum Origin {
    /// It is one of them.
    Kept(usize),
    /// It is made of a sum and a number.
    Quotient { sum: usize, count: usize },
}

fn shared(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let input = aggregate.input.schema();
    let is_shared = |expr: &Expr| sum_of(expr, &aggregate.aggr_expr).is_some();
    if !aggregate.aggr_expr.iter().any(is_shared) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let mut kept: Vec<Expr> = aggregate.aggr_expr.iter().filter(|expr| !is_shared(expr)).cloned().collect();
    let mut origins = Vec::with_capacity(aggregate.aggr_expr.len());
    for expr in &aggregate.aggr_expr {
        let place = |expr: &Expr| kept.iter().position(|kept| kept == expr);
        let (Some(average), Some(sum)) = (function(expr), sum_of(expr, &aggregate.aggr_expr)) else {
            origins.extend(place(expr).map(Origin::Kept));
            continue;
        };
        let sum = place(sum);
        let count = match kept.iter().position(|kept| counts(kept, average, input)) {
            Some(count) => count,
            None => {
                kept.push(count_of(average).alias(format!("number of {}", expr.schema_name())));
                kept.len() - 1
            }
        };
        origins.extend(sum.map(|sum| Origin::Quotient { sum, count }));
    }
    let fewer = Aggregate::try_new(Arc::clone(&aggregate.input), aggregate.group_expr.clone(), kept)?;
    projected(&aggregate, fewer, &origins)
}

/// The columns of an aggregate, made of one that computes less.
fn projected(aggregate: &Aggregate, fewer: Aggregate, origins: &[Origin]) -> Result<Transformed<LogicalPlan>> {
    let groups = aggregate.schema.fields().len().saturating_sub(aggregate.aggr_expr.len());
    let mut columns: Vec<Expr> = fewer.schema.columns().into_iter().take(groups).map(Expr::Column).collect();
    let column = |place: usize| Column::from(fewer.schema.qualified_field(groups + place));
    for (place, origin) in origins.iter().enumerate() {
        let (qualifier, field) = aggregate.schema.qualified_field(groups + place);
        let (sum, count) = match origin {
            Origin::Kept(place) => {
                columns.push(Expr::Column(column(*place)));
                continue;
            }
            Origin::Quotient { sum, count } => (Expr::Column(column(*sum)), Expr::Column(column(*count))),
        };
        let sum_type = sum.get_type(&fewer.schema)?;
        let average = quotient(sum, &sum_type, count, field.data_type());
        let Some(average) = average else {
            return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate.clone())));
        };
        columns.push(average.alias_qualified(qualifier.cloned(), field.name()));
    }
    let input = Arc::new(LogicalPlan::Aggregate(fewer));
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns, input)?)))
}

/// The aggregate, whatever its name.
fn function(expr: &Expr) -> Option<&AggregateFunction> {
    match expr {
        Expr::AggregateFunction(function) => Some(function),
        Expr::Alias(alias) => function(&alias.expr),
        _ => None,
    }
}

/// The sum of what this is the average of, among these.
fn sum_of<'a>(expr: &Expr, all: &'a [Expr]) -> Option<&'a Expr> {
    let average = function(expr).filter(|function| share(function) == Some(Share::Average))?;
    all.iter().find(|other| {
        function(other).is_some_and(|sum| {
            share(sum) == Some(Share::Sum)
                && sum.params.args == average.params.args
                && sum.params.filter == average.params.filter
        })
    })
}

/// Whether this is the number of the values that another aggregate is of.
fn counts(expr: &Expr, average: &AggregateFunction, input: &DFSchema) -> bool {
    let Some(count) = function(expr).filter(|count| share(count) == Some(Share::Count)) else { return false };
    let is_never_null = |value: &Expr| !value.nullable(input).unwrap_or(true);
    let all_rows = |args: &[Expr]| args.iter().all(is_never_null);
    count.params.filter == average.params.filter
        && (count.params.args == average.params.args
            || (all_rows(&count.params.args) && all_rows(&average.params.args)))
}

fn count_of(average: &AggregateFunction) -> Expr {
    let params = &average.params;
    Expr::AggregateFunction(AggregateFunction::new_udf(
        count_udaf(),
        params.args.clone(),
        false,
        params.filter.clone(),
        Vec::new(),
        None,
    ))
}
