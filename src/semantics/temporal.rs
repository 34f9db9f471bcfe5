//! The analyzer rule for dates and texts beside timestamps.
//!
//! DataFusion brings both to one type with a timestamp by way of nanoseconds, which end in the year 2262: a column that holds
//! 9999-12-31 could not be compared at all. This rule casts them to the timestamp's own unit, and to no coarser one than
//! they are written in, before DataFusion's own coercion looks at the pair. Times of different units, which it does not compare at
//! all, are brought to the finest.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::literals::{digits_of_second, with_seconds};
use super::together::{Meeting, Met, Unify, unify_plan};
use super::types::{DIGITS, time};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct TimestampsAsTheyAre;

impl AnalyzerRule for TimestampsAsTheyAre {
    fn name(&self) -> &str {
        "timestamps_as_they_are"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        unify_plan(plan, self)
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

impl Unify for TimestampsAsTheyAre {
    /// If one of the expressions is a timestamp, casts those that are dates, and literal texts that are compared.
    fn unify(&self, how: Meeting, met: Met<'_, '_>) -> bool {
        if how == Meeting::Computed {
            return false;
        }
        if let Some(finest) = finest_time(met.iter().map(|(_, has)| has)) {
            for (expr, _) in met.iter_mut().filter(|(_, has)| *has != finest) {
                **expr = cast(std::mem::take(*expr), finest.clone());
            }
            return true;
        }
        let Some((unit, zone)) = met.iter().find_map(|(_, has)| match has {
            DataType::Timestamp(unit, zone) => Some((*unit, zone.clone())),
            _ => None,
        }) else {
            return false;
        };
        let unit = unit.max(TimeUnit::Microsecond);
        let mut changed = false;
        for (expr, has) in met {
            let unit = match (has, &mut **expr) {
                (DataType::Date32 | DataType::Date64, _) => unit,
                (_, Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _))
                    if how == Meeting::Compared =>
                {
                    if let Some(whole) = with_seconds(text) {
                        *text = whole;
                    }
                    if digits_of_second(text) > DIGITS { TimeUnit::Nanosecond } else { unit }
                }
                _ => continue,
            };
            **expr = cast(std::mem::take(*expr), DataType::Timestamp(unit, zone.clone()));
            changed = true;
        }
        changed
    }
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
