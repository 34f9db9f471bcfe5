//! The analyzer rule for `lag`, `lead` and `nth_value`: what stands for a missing row brings the values to a type that holds both, where
//! DataFusion casts it to that of the column; NULL rows away is nowhere, and there is no row 0 of a frame (PostgreSQL's manual, 9.22). Windows
//! that are ordered by intervals are ordered by their lengths (`lengths`).
//!
//! It runs before types are coerced.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{Cast, WindowFunction};
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, WindowFunctionDefinition};
use datafusion::optimizer::AnalyzerRule;

use super::lengths;
use super::rewrite::{map_expressions, map_nodes};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct SoundOffsets;

impl AnalyzerRule for SoundOffsets {
    fn name(&self) -> &str {
        "sound_offsets"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        map_nodes(plan, |plan| match plan {
            LogicalPlan::Window(_) => {
                map_expressions(plan, |expr, schema| expr.transform_up(|expr| sound(expr, schema)))
            }
            plan => Ok(Transformed::no(plan)),
        })
    }
}

fn sound(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut window) = expr else { return Ok(Transformed::no(expr)) };
    let ordered = lengths::order_window(&mut window, schema)?;
    let WindowFunctionDefinition::WindowUDF(function) = &window.fun else {
        return Ok(Transformed::new_transformed(Expr::WindowFunction(window), ordered));
    };
    let changed = match function.name() {
        "lag" | "lead" => shifted(&mut window, schema)?,
        "nth_value" => match window.params.args.get(1).and_then(literal) {
            Some(n) if is_below_one(&n) => {
                return plan_err!("nth_value counts the rows of a frame from 1: there is no row {n}");
            }
            _ => false,
        },
        _ => false,
    };
    Ok(Transformed::new_transformed(Expr::WindowFunction(window), ordered | changed))
}

/// `lag` and `lead`. Returns whether their arguments are others now.
fn shifted(window: &mut WindowFunction, schema: &DFSchema) -> Result<bool> {
    let args = &mut window.params.args;
    let Some(value) = args.first() else { return Ok(false) };
    let value_type = value.get_type(schema)?;
    if args.get(1).and_then(literal).is_some_and(|offset| offset.is_null()) {
        *args = vec![Expr::Literal(ScalarValue::try_from(&value_type)?, None)];
        return Ok(true);
    }
    let Some(default) = args.get(2).and_then(literal).filter(|default| !default.is_null()) else { return Ok(false) };
    let default_type = default.data_type();
    if default_type == value_type || value_type == DataType::Null || is_text_of_value(&default_type, &value_type) {
        return Ok(false);
    }
    let Some(common) = common_type(&value_type, &default_type) else {
        return plan_err!(
            "{} of {value_type} has a value of {default_type} for rows that are missing; cast one of them",
            window.fun.name()
        );
    };
    if let [value, _, missing] = args.as_mut_slice() {
        if value_type != common {
            *value = Expr::Cast(Cast::new(Box::new(std::mem::take(value)), common.clone()));
        }
        *missing = Expr::Literal(default.cast_to(&common)?, None);
    }
    Ok(true)
}

/// A literal text is of any type.
fn is_text_of_value(default: &DataType, value: &DataType) -> bool {
    default.is_string() || (value.is_integer() && default.is_integer())
}

/// Beside a float numbers are doubles.
fn common_type(value: &DataType, default: &DataType) -> Option<DataType> {
    match value.is_floating() || default.is_floating() {
        true if value.is_numeric() && default.is_numeric() => Some(DataType::Float64),
        _ => type_union_resolution(&[value.clone(), default.clone()]),
    }
}

/// A value that is written out, with a cast or a sign before it.
fn literal(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value.clone()),
        Expr::Cast(cast) => literal(&cast.expr)?.cast_to(cast.field.data_type()).ok(),
        Expr::Negative(value) => literal(value)?.arithmetic_negate().ok(),
        Expr::Alias(alias) => literal(&alias.expr),
        _ => None,
    }
}

fn is_below_one(n: &ScalarValue) -> bool {
    matches!(n.cast_to(&DataType::Int64), Ok(ScalarValue::Int64(Some(..=0))))
}
