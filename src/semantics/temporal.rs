//! The analyzer rule for dates and texts beside timestamps.
//!
//! DataFusion compares both with a timestamp by way of nanoseconds, which end in the year 2262: a column that holds
//! 9999-12-31 could not be compared at all. This rule casts them to the timestamp's own unit, and to no coarser one than
//! they are written in, before DataFusion's own coercion looks at the pair. Times of different units, which it does not compare at
//! all, are brought to the finest.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::literals::digits_of_second;
use super::numbers::is_comparison;
use super::rewrite::map_expressions;
use super::types::{DIGITS, time};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct TimestampsAsTheyAre;

impl AnalyzerRule for TimestampsAsTheyAre {
    fn name(&self) -> &str {
        "timestamps_as_they_are"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let unified = plan.transform_up_with_subqueries(|plan| {
            map_expressions(plan, |expr, schema| expr.transform_up(|expr| Ok(unify(expr, schema))))?
                .transform_data(unify_keys)
        })?;
        Ok(unified.data)
    }
}

/// The same for times that an operator compares: their types are looked at before any rule runs.
impl ExprPlanner for TimestampsAsTheyAre {
    fn plan_binary_op(&self, mut expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema))
            && let Some(finest) = finest_time([&left, &right].into_iter())
        {
            for (side, has) in [(&mut expr.left, left), (&mut expr.right, right)] {
                if has != finest {
                    *side = cast(std::mem::take(side), finest.clone());
                }
            }
        }
        Ok(PlannerResult::Original(expr))
    }
}

/// Casts what meets a timestamp in this node of an expression.
fn unify(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let changed = match &mut expr {
        Expr::BinaryExpr(binary) if is_comparison(binary.op) => {
            cast_beside_timestamp([binary.left.as_mut(), binary.right.as_mut()], schema)
        }
        Expr::Between(between) => {
            cast_beside_timestamp([between.expr.as_mut(), between.low.as_mut(), between.high.as_mut()], schema)
        }
        Expr::InList(list) => cast_beside_timestamp(std::iter::once(list.expr.as_mut()).chain(&mut list.list), schema),
        _ => false,
    };
    if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}

/// If one of the expressions is a timestamp, casts those that are dates, and literal texts. Expressions without a type
/// yet stay. Returns whether there were any.
fn cast_beside_timestamp<'a>(exprs: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
    let mut exprs: Vec<(&mut Expr, DataType)> =
        exprs.into_iter().filter_map(|expr| expr.get_type(schema).ok().map(|has| (expr, has))).collect();
    if let Some(finest) = finest_time(exprs.iter().map(|(_, has)| has)) {
        for (expr, has) in &mut exprs {
            if *has != finest {
                **expr = cast(std::mem::take(*expr), finest.clone());
            }
        }
        return true;
    }
    let Some((unit, zone)) = exprs.iter().find_map(|(_, has)| match has {
        DataType::Timestamp(unit, zone) => Some((*unit, zone.clone())),
        _ => None,
    }) else {
        return false;
    };
    let unit = unit.max(TimeUnit::Microsecond);
    let mut changed = false;
    for (expr, has) in &mut exprs {
        let unit = match (has, &**expr) {
            (DataType::Date32 | DataType::Date64, _) => unit,
            (_, Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _)) => {
                if digits_of_second(text) > DIGITS {
                    TimeUnit::Nanosecond
                } else {
                    unit
                }
            }
            _ => continue,
        };
        **expr = cast(std::mem::take(*expr), DataType::Timestamp(unit, zone.clone()));
        changed = true;
    }
    changed
}

/// The finest of several types of times, if they differ: DataFusion compares those of one unit only.
fn finest_time<'a>(types: impl Iterator<Item = &'a DataType>) -> Option<DataType> {
    let units: Vec<TimeUnit> = types
        .map(|has| match has {
            DataType::Time32(unit) | DataType::Time64(unit) => Some(*unit),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let finest = *units.iter().max()?;
    units.iter().any(|unit| *unit != finest).then(|| time(finest))
}

fn cast(expr: Expr, to: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), to))
}

/// The keys of a join that are a date and a timestamp.
fn unify_keys(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Join(mut join) = plan else {
        return Ok(Transformed::no(plan));
    };
    let mut changed = false;
    for (left_key, right_key) in &mut join.on {
        let (Ok(left_type), Ok(right_type)) =
            (left_key.get_type(join.left.schema()), right_key.get_type(join.right.schema()))
        else {
            continue;
        };
        let (key, unit, zone) = match (left_type, right_type) {
            (DataType::Date32 | DataType::Date64, DataType::Timestamp(unit, zone)) => (left_key, unit, zone),
            (DataType::Timestamp(unit, zone), DataType::Date32 | DataType::Date64) => (right_key, unit, zone),
            _ => continue,
        };
        *key = cast(std::mem::take(key), DataType::Timestamp(unit.max(TimeUnit::Microsecond), zone));
        changed = true;
    }
    Ok(Transformed::new_transformed(LogicalPlan::Join(join), changed))
}
