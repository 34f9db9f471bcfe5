//! The analyzer rule for subqueries that DataFusion would answer wrongly.
//!
//! DataFusion makes joins of subqueries that name columns of the outer query, and moves the conditions that do so out of them. Some
//! operators stand in the way of that, and it does not see all of them (version 55): those are refused here. What has an equal
//! that it plans soundly is written as that:
//!
//! * `EXISTS`, `IN` and comparisons with ANY and ALL over an aggregate without groups, which has one row whatever its input:
//!   a comparison with that row's value;
//! * window functions over rows of which a condition names the outer row, `WHERE r.k = l.k`: functions over partitions by `r.k`;
//! * a scalar subquery that may find no row: its value may be NULL, whatever its column.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, not_impl_err};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprSchemable, JoinType, LogicalPlan, Operator, SkipType, Subquery,
    SubqueryAlias, Window, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::casts;
use super::rewrite::{has_expression, has_subqueries, holds_subquery, map_expressions, map_nodes};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct SoundSubqueries;

impl AnalyzerRule for SoundSubqueries {
    fn name(&self) -> &str {
        "sound_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        if !has_subqueries(&plan)? {
            return Ok(plan);
        }
        map_nodes(plan, |plan| match plan {
            LogicalPlan::Join(mut join) => {
                join.right = Arc::new(sound_lateral(Arc::unwrap_or_clone(join.right))?);
                sound_within(LogicalPlan::Join(join))
            }
            plan => sound_within(plan),
        })
    }
}

/// The node with its expressions.
fn sound_within(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match has_expression(&plan, holds_subquery)? {
        true => map_expressions(plan, |expr, _| expr.transform_up(sound)),
        false => Ok(Transformed::no(plan)),
    }
}

/// The right side of a join, which is a subquery where it is LATERAL.
fn sound_lateral(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::Subquery(subquery) => LogicalPlan::Subquery(correlated(subquery, Place::Lateral)?),
        LogicalPlan::SubqueryAlias(alias) if matches!(*alias.input, LogicalPlan::Subquery(_)) => {
            let input = sound_lateral(Arc::unwrap_or_clone(alias.input))?;
            LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), alias.alias)?)
        }
        plan => plan,
    })
}

/// Where a subquery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Exists,
    /// IN, ANY and ALL.
    Compared,
    Scalar,
    Lateral,
}

fn sound(expr: Expr) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::Exists(Exists { subquery, negated }) => Transformed::yes(match has_one_row(&subquery.subquery) {
            true => lit(!negated),
            false => Expr::Exists(Exists { subquery: correlated(subquery, Place::Exists)?, negated }),
        }),
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            if depends(&subquery) && has_one_row(&subquery.subquery) {
                let value = Expr::ScalarSubquery(correlated(subquery, Place::Scalar)?);
                return Ok(Transformed::yes(if negated { Expr::not_eq(*expr, value) } else { Expr::eq(*expr, value) }));
            }
            let subquery = correlated(subquery, Place::Compared)?;
            Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated }))
        }
        Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
            if depends(&subquery) && has_one_row(&subquery.subquery) {
                let value = Box::new(Expr::ScalarSubquery(correlated(subquery, Place::Scalar)?));
                return Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(expr, op, value))));
            }
            let subquery = correlated(subquery, Place::Compared)?;
            Transformed::yes(Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }))
        }
        Expr::ScalarSubquery(subquery) => {
            let is_kept = may_have_no_row(&subquery);
            let value = Expr::ScalarSubquery(correlated(subquery, Place::Scalar)?);
            Transformed::yes(if is_kept { casts::kept(value) } else { value })
        }
        expr => Transformed::no(expr),
    })
}

/// Whether a part of the plan names columns of an outer query.
fn names_outer(plan: &LogicalPlan) -> bool {
    !plan.all_out_ref_exprs().is_empty()
}

fn depends(subquery: &Subquery) -> bool {
    names_outer(&subquery.subquery)
}

/// Whether it is an aggregate without groups.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => has_one_row(&sort.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        _ => false,
    }
}

/// Whether its value is NULL where it has no row, though its column never is.
fn may_have_no_row(subquery: &Subquery) -> bool {
    let plan = &subquery.subquery;
    plan.schema().fields().first().is_some_and(|field| !field.is_nullable()) && !has_one_row(plan)
}

/// A subquery that can be made a join, if it names columns of the outer query.
fn correlated(subquery: Subquery, place: Place) -> Result<Subquery> {
    if !depends(&subquery) {
        return Ok(subquery);
    }
    let plan = Arc::unwrap_or_clone(subquery.subquery).transform_up(partition_windows)?.data;
    check(&plan, place, true)?;
    Ok(Subquery { subquery: Arc::new(plan), ..subquery })
}

/// Refuses what conditions are not moved through without another answer. `is_top`: whether nothing but projections is above.
fn check(plan: &LogicalPlan, place: Place, is_top: bool) -> Result<()> {
    if !names_outer(plan) {
        return Ok(());
    }
    let tested = matches!(place, Place::Exists | Place::Compared);
    match plan {
        LogicalPlan::Join(join) => {
            let (left, right) = match join.join_type {
                JoinType::Left => (false, true),
                JoinType::Right => (true, false),
                JoinType::Full => (true, true),
                _ => (false, false),
            };
            let by_outer = (left || right) && plan.contains_outer_reference();
            if by_outer || left && names_outer(&join.left) || right && names_outer(&join.right) {
                return refused(
                    "an outer join whose condition, or whose optional side, names a column of the outer query",
                );
            }
        }
        LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. }) => {
            if !aggr_expr.is_empty() && compares_casts(input)? {
                return refused(
                    "an aggregate of rows whose column is cast to be compared with one of the outer query, by which several values are one",
                );
            }
            if aggr_expr.is_empty() && place == Place::Lateral && !equal_to_outer(input, &mut Vec::new()) {
                return refused("DISTINCT over rows that a column of the outer query chooses, but by an equality");
            }
            if group_expr.iter().any(|group| matches!(group, Expr::GroupingSet(_))) {
                return refused("ROLLUP, CUBE or GROUPING SETS over rows that a column of the outer query chooses");
            }
            if group_expr.is_empty() && (tested || !is_top) {
                return refused(
                    "an aggregate of rows that a column of the outer query chooses, with HAVING or below others",
                );
            }
        }
        LogicalPlan::Limit(limit) if tested => {
            let skips = !matches!(limit.get_skip_type()?, SkipType::Literal(0));
            if skips || place == Place::Compared {
                return refused("LIMIT or OFFSET of rows that a column of the outer query chooses");
            }
        }
        LogicalPlan::Distinct(Distinct::All(input))
            if place == Place::Lateral && !equal_to_outer(input, &mut Vec::new()) =>
        {
            return refused("DISTINCT over rows that a column of the outer query chooses, but by an equality");
        }
        LogicalPlan::Distinct(Distinct::On(_)) => {
            return refused("DISTINCT ON of rows that a column of the outer query chooses");
        }
        _ => {}
    }
    let is_top = is_top && matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_))
        || place == Place::Scalar && is_top && matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Sort(_));
    plan.inputs().into_iter().try_for_each(|input| check(input, place, is_top))
}

/// Whether a condition says that something of the outer query is equal to a column in another type: DataFusion groups by the column
/// then, and not by what it is compared as.
fn compares_casts(plan: &LogicalPlan) -> Result<bool> {
    if !names_outer(plan) {
        return Ok(false);
    }
    if let LogicalPlan::Filter(filter) = plan {
        let schema = filter.input.schema();
        for conjunct in split_conjunction(&filter.predicate).into_iter().filter(|conjunct| conjunct.contains_outer()) {
            let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = conjunct else { continue };
            for (side, other) in [(left, right), (right, left)] {
                let (column, other) = (side.get_type(schema)?, other.get_type(schema)?);
                let cast_from = match side.as_ref() {
                    Expr::Cast(cast) if matches!(*cast.expr, Expr::Column(_)) => Some(cast.expr.get_type(schema)?),
                    Expr::Column(_) => None,
                    _ => continue,
                };
                let steps = [cast_from.map(|from| (from, column.clone())), Some((column, other))];
                if steps.into_iter().flatten().any(|(from, to)| !keeps_apart(&from, &to)) {
                    return Ok(true);
                }
            }
        }
    }
    plan.inputs().into_iter().try_fold(false, |found, input| Ok(found || compares_casts(input)?))
}

/// Whether values that differ still do when they are compared in the type that both have in common.
fn keeps_apart(from: &DataType, to: &DataType) -> bool {
    let is_exact = |data_type: &DataType| data_type.is_integer() || data_type.is_decimal();
    let is_time = |data_type: &DataType| matches!(data_type, DataType::Date32 | DataType::Timestamp(..));
    match (from, to) {
        (from, to) if from == to || from.is_string() && to.is_string() => true,
        (DataType::Timestamp(..), DataType::Date32) => false,
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => from <= to,
        (from, to) => is_exact(from) && is_exact(to) || is_time(from) && is_time(to),
    }
}

fn refused<T>(what: &str) -> Result<T> {
    not_impl_err!("{what}, in a subquery; write the subquery as a join")
}

/// Window functions over rows of which an equality names the outer row are computed for each value of its other side.
fn partition_windows(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Window(window) = plan else { return Ok(Transformed::no(plan)) };
    if !names_outer(&window.input) {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    let mut columns = Vec::new();
    if !equal_to_outer(&window.input, &mut columns)
        || !columns.iter().all(|column| window.input.schema().has_column(column))
    {
        return refused(
            "a window function over rows that a column of the outer query chooses, but by an equality with a column that it sees",
        );
    }
    let Window { input, window_expr, .. } = window;
    let names = NamePreserver::new_for_projection();
    let functions = window_expr.into_iter().map(|expr| {
        let name = names.save(&expr);
        let partitioned = expr.transform_up(|expr| match expr {
            Expr::WindowFunction(mut function) => {
                add_partitions(&mut function, &columns);
                Ok(Transformed::yes(Expr::WindowFunction(function)))
            }
            expr => Ok(Transformed::no(expr)),
        })?;
        Ok(name.restore(partitioned.data))
    });
    let functions = functions.collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Window(Window::try_new(functions, input)?)))
}

fn add_partitions(function: &mut WindowFunction, columns: &[Column]) {
    for column in columns {
        let column = Expr::Column(column.clone());
        if !function.params.partition_by.contains(&column) {
            function.params.partition_by.push(column);
        }
    }
}

/// Collects the columns that conditions say to be equal to something of the outer query. False where there are other conditions
/// that name it, or other operators.
fn equal_to_outer(plan: &LogicalPlan, columns: &mut Vec<Column>) -> bool {
    if !names_outer(plan) {
        return true;
    }
    let by_equality = match plan {
        LogicalPlan::Filter(filter) => split_conjunction(&filter.predicate)
            .into_iter()
            .filter(|conjunct| conjunct.contains_outer())
            .all(|conjunct| match equality(conjunct) {
                Some(column) => {
                    columns.push(column);
                    true
                }
                None => false,
            }),
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Sort(_) | LogicalPlan::Window(_) => {
            !plan.contains_outer_reference()
        }
        LogicalPlan::Join(join) => join.join_type == JoinType::Inner && !plan.contains_outer_reference(),
        _ => false,
    };
    by_equality && plan.inputs().into_iter().all(|input| equal_to_outer(input, columns))
}

/// The column of `column = something of the outer query`.
fn equality(conjunct: &Expr) -> Option<Column> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = conjunct else { return None };
    match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), other) | (other, Expr::Column(column)) if !other.any_column_refs() => {
            Some(column.clone())
        }
        _ => None,
    }
}
