//! The analyzer rule for intervals that are sorted, grouped and told apart: by how long they are, as where they are compared
//! (`intervals`). Of several that are as long as each other one stands for all.
//!
//! * What is sorted by, partitioned by, joined on or looked for is the length.
//! * Groups and different rows are made of lengths, and each gets one of its intervals.
//! * `min`, `max`, `greatest`, `least` and `nullif` of intervals are functions of `extreme` and `choice`.
//!
//! It runs after types are coerced.

mod choice;
mod extreme;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, Sort as SortKey, WindowFunction};
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Distinct, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ScalarUDF,
    WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;

use super::intervals;
use super::rewrite::{map_expressions, map_nodes};
use super::together::with_columns;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct IntervalsByLength;

/// The functions, to register by name: a plan that is written down and read again finds them there.
pub(super) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    choice::functions()
}

impl AnalyzerRule for IntervalsByLength {
    fn name(&self) -> &str {
        "intervals_by_length"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        match has_intervals(&plan)? {
            true => map_nodes(plan, |plan| map_expressions(plan, by_length)?.transform_data(of_node)),
            false => Ok(plan),
        }
    }
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_))
}

/// Whether there may be intervals in a plan. What makes them of other values is a literal, a cast, or a function that is named after them.
fn has_intervals(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found = found || node.schema().fields().iter().any(|field| is_interval(field.data_type()));
        if !found {
            node.apply_expressions(|expr| {
                found = expr.exists(|expr| {
                    Ok(match expr {
                        Expr::Literal(value, _) => is_interval(&value.data_type()),
                        Expr::Cast(cast) => is_interval(cast.field.data_type()),
                        Expr::ScalarFunction(call) => call.func.name().contains("interval"),
                        _ => false,
                    })
                })?;
                Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })?;
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn length(interval: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(intervals::function(), vec![interval]))
}

/// Makes an interval its length. Returns whether it was one.
fn shorten(expr: &mut Expr, schema: &DFSchema) -> Result<bool> {
    let is_one = is_interval(&expr.get_type(schema)?);
    if is_one {
        *expr = length(std::mem::take(expr));
    }
    Ok(is_one)
}

fn shorten_all<'e>(exprs: impl IntoIterator<Item = &'e mut Expr>, schema: &DFSchema) -> Result<bool> {
    exprs.into_iter().try_fold(false, |changed, expr| Ok(shorten(expr, schema)? | changed))
}

fn shorten_keys(keys: &mut [SortKey], schema: &DFSchema) -> Result<bool> {
    shorten_all(keys.iter_mut().map(|key| &mut key.expr), schema)
}

/// What compares intervals within an expression.
fn by_length(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match expr {
        Expr::ScalarFunction(mut call) => match choice::instead_of(&call, schema)? {
            Some(function) => {
                call.func = function;
                Ok(Transformed::yes(Expr::ScalarFunction(call)))
            }
            None => Ok(Transformed::no(Expr::ScalarFunction(call))),
        },
        Expr::Case(mut case) => {
            let changed = match &mut case.expr {
                Some(operand) if is_interval(&operand.get_type(schema)?) => {
                    shorten(operand, schema)?;
                    shorten_all(case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut()), schema)?;
                    true
                }
                _ => false,
            };
            Ok(Transformed::new_transformed(Expr::Case(case), changed))
        }
        Expr::InSubquery(mut wanted) => {
            let changed = shorten(&mut wanted.expr, schema)?;
            if changed {
                wanted.subquery.subquery = Arc::new(of_lengths(&wanted.subquery.subquery)?);
            }
            Ok(Transformed::new_transformed(Expr::InSubquery(wanted), changed))
        }
        Expr::SetComparison(mut wanted) => {
            let changed = shorten(&mut wanted.expr, schema)?;
            if changed {
                wanted.subquery.subquery = Arc::new(of_lengths(&wanted.subquery.subquery)?);
            }
            Ok(Transformed::new_transformed(Expr::SetComparison(wanted), changed))
        }
        Expr::AggregateFunction(call) => aggregate(call, schema),
        Expr::WindowFunction(window) => in_window(window, schema),
        expr => Ok(Transformed::no(expr)),
    })
}

/// The subquery with lengths in the place of its only column.
fn of_lengths(subquery: &LogicalPlan) -> Result<LogicalPlan> {
    let columns = subquery.schema().iter().map(|column| {
        let is_one = is_interval(column.1.data_type());
        let column = Expr::Column(Column::from(column));
        if is_one { length(column) } else { column }
    });
    with_columns(subquery, columns.collect())
}

fn aggregate(call: AggregateFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let AggregateFunction { mut func, mut params } = call;
    let mut changed = shorten_keys(&mut params.order_by, schema)?;
    let mut sound = None;
    changed |= of_function(&func, &mut params.args, params.distinct, schema, &mut sound)?;
    if let Some(sound) = sound {
        func = sound;
        changed = true;
    }
    Ok(Transformed::new_transformed(Expr::AggregateFunction(AggregateFunction { func, params }), changed))
}

/// An aggregate function of intervals: `sound` becomes the one that stands for it, if it is another. Returns whether its arguments are
/// others now.
fn of_function(
    func: &AggregateUDF,
    args: &mut [Expr],
    distinct: bool,
    schema: &DFSchema,
    sound: &mut Option<Arc<AggregateUDF>>,
) -> Result<bool> {
    let Some(first) = args.first() else { return Ok(false) };
    if !is_interval(&first.get_type(schema)?) {
        return Ok(false);
    }
    *sound = extreme::instead_of(func);
    match (distinct, func.name()) {
        (true, "count") => shorten_all(args, schema),
        (true, name) if sound.is_none() => plan_err!(
            "{name}(DISTINCT ...) of intervals is not supported: which of those that are as long as each other is not defined; \
             group them first"
        ),
        _ => Ok(false),
    }
}

fn in_window(mut window: Box<WindowFunction>, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut changed = shorten_all(&mut window.params.partition_by, schema)?;
    if let WindowFunctionDefinition::AggregateUDF(func) = &window.fun {
        let mut sound = None;
        let func = Arc::clone(func);
        changed |= of_function(&func, &mut window.params.args, window.params.distinct, schema, &mut sound)?;
        if let Some(sound) = sound {
            window.fun = WindowFunctionDefinition::AggregateUDF(sound);
            changed = true;
        }
    }
    Ok(Transformed::new_transformed(Expr::WindowFunction(window), changed))
}

/// Orders the rows of a window by lengths. Returns whether it was ordered by intervals. To be called before types are coerced: DataFusion
/// knows no frames of intervals.
pub(super) fn order_window(window: &mut WindowFunction, schema: &DFSchema) -> Result<bool> {
    let frame = &window.params.window_frame;
    let is_offset = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) => !value.is_null(),
        WindowFrameBound::CurrentRow => false,
    };
    let has_offsets =
        frame.units == WindowFrameUnits::Range && (is_offset(&frame.start_bound) || is_offset(&frame.end_bound));
    let changed = shorten_keys(&mut window.params.order_by, schema)?;
    match changed && has_offsets {
        true => plan_err!(
            "a frame of RANGE between intervals is not supported; order by their extract(epoch FROM ...) instead"
        ),
        false => Ok(changed),
    }
}

/// What nodes compare.
fn of_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Sort(mut sort) => {
            let schema = Arc::clone(sort.input.schema());
            let changed = shorten_keys(&mut sort.expr, &schema)?;
            Ok(Transformed::new_transformed(LogicalPlan::Sort(sort), changed))
        }
        LogicalPlan::Join(mut join) => {
            let mut changed = false;
            for (left, right) in &mut join.on {
                changed |= shorten(left, join.left.schema())? | shorten(right, join.right.schema())?;
            }
            Ok(Transformed::new_transformed(LogicalPlan::Join(join), changed))
        }
        LogicalPlan::Distinct(Distinct::All(input)) => match has_interval_columns(input.schema()) {
            true => distinct_rows(&input).map(Transformed::yes),
            false => Ok(Transformed::no(LogicalPlan::Distinct(Distinct::All(input)))),
        },
        LogicalPlan::Distinct(Distinct::On(mut on)) => {
            let schema = Arc::clone(on.input.schema());
            let mut changed = shorten_all(&mut on.on_expr, &schema)?;
            if let Some(keys) = &mut on.sort_expr {
                changed |= shorten_keys(keys, &schema)?;
            }
            Ok(Transformed::new_transformed(LogicalPlan::Distinct(Distinct::On(on)), changed))
        }
        LogicalPlan::Aggregate(aggregate) => groups(aggregate),
        LogicalPlan::RecursiveQuery(query) if query.is_distinct && has_interval_columns(&query.schema) => {
            plan_err!("WITH RECURSIVE with UNION and a column of intervals is not supported; use UNION ALL")
        }
        plan => Ok(Transformed::no(plan)),
    }
}

fn has_interval_columns(schema: &DFSchema) -> bool {
    schema.fields().iter().any(|field| is_interval(field.data_type()))
}

/// Each row once, as groups of all columns.
fn distinct_rows(input: &Arc<LogicalPlan>) -> Result<LogicalPlan> {
    let columns = input.schema().iter().map(|column| Expr::Column(Column::from(column))).collect();
    let groups = Aggregate::try_new(Arc::clone(input), columns, Vec::new())?;
    Ok(by_lengths(groups)?.data)
}

fn groups(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let schema = aggregate.input.schema();
    let mut any = false;
    for group in &aggregate.group_expr {
        if let Expr::GroupingSet(sets) = group {
            for expr in sets.distinct_expr() {
                if is_interval(&expr.get_type(schema)?) {
                    return plan_err!(
                        "an interval in ROLLUP, CUBE or GROUPING SETS is not supported; group by its extract(epoch FROM ...) instead"
                    );
                }
            }
        } else {
            any |= is_interval(&group.get_type(schema)?);
        }
    }
    if any { by_lengths(aggregate) } else { Ok(Transformed::no(LogicalPlan::Aggregate(aggregate))) }
}

/// Groups of lengths, each with the least of its intervals in their place.
fn by_lengths(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let Aggregate { input, group_expr, aggr_expr, schema, .. } = aggregate;
    let name = |at: usize| format!("interval_group.{at}");
    let mut lengths = Vec::with_capacity(group_expr.len());
    let mut chosen = Vec::new();
    let mut columns: Vec<Expr> = Vec::with_capacity(schema.fields().len());
    for (at, (group, (qualifier, field))) in group_expr.into_iter().zip(schema.iter()).enumerate() {
        if is_interval(field.data_type()) {
            let group = group.unalias();
            chosen.push(extreme::least(group.clone()).alias(name(at)));
            lengths.push(length(group).alias(format!("{}.length", name(at))));
            let column = Expr::Column(Column::new_unqualified(name(at)));
            columns.push(column.alias_qualified(qualifier.cloned(), field.name()));
        } else {
            lengths.push(group);
            columns.push(Expr::Column(Column::from((qualifier, field))));
        }
    }
    columns.extend(schema.iter().skip(lengths.len()).map(|column| Expr::Column(Column::from(column))));
    let aggr_expr = aggr_expr.into_iter().chain(chosen).collect();
    let groups = LogicalPlan::Aggregate(Aggregate::try_new(input, lengths, aggr_expr)?);
    Ok(Transformed::yes(LogicalPlanBuilder::from(groups).project(columns)?.build()?))
}
