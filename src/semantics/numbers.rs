//! The analyzer rule for decimal literals beside doubles.
//!
//! With decimal literals, DataFusion compares `double_column > 1.5` by casting the *column* to `decimal(30, 15)`: small
//! values become 0, large ones and NaN an error, and nothing can be pushed down. SQL says that an approximate number
//! makes the whole comparison approximate, and so does PostgreSQL: where a double meets a decimal, the decimal becomes
//! a double. This rule casts it before DataFusion's own coercion looks at the pair.
//!
//! It also writes `1e10` out: DataFusion reads it as the digit 1 with a negative scale, which few kernels understand. And it gives
//! `round` its digits as the integer that it takes: the type of what is rounded would change in the middle of the planning.

use arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::together::{Meeting, Met, Unify, unify_plan};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct DoublesBesideDecimals;

impl AnalyzerRule for DoublesBesideDecimals {
    fn name(&self) -> &str {
        "doubles_beside_decimals"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        unify_plan(plan, self)
    }
}

impl Unify for DoublesBesideDecimals {
    fn unify(&self, _how: Meeting, met: Met<'_, '_>) -> bool {
        if !met.iter().any(|(_, has)| has.is_floating()) {
            return false;
        }
        let mut changed = false;
        for (expr, _) in met.iter_mut().filter(|(_, has)| has.is_decimal()) {
            **expr = to_double(std::mem::take(*expr));
            changed = true;
        }
        changed
    }

    fn adapt(&self, expr: &mut Expr) -> bool {
        match expr {
            Expr::Literal(value, _) => match without_negative_scale(value) {
                Some(written_out) => *value = written_out,
                None => return false,
            },
            Expr::ScalarFunction(call) if call.func.name() == "round" => match call.args.get_mut(1) {
                // A cast to the type of the function's argument would hide the literal, by which the result has its type.
                Some(Expr::Literal(digits @ ScalarValue::Int64(_), _)) => match digits.cast_to(&DataType::Int32) {
                    Ok(cast) => *digits = cast,
                    Err(_) => return false,
                },
                _ => return false,
            },
            _ => return false,
        }
        true
    }
}

/// A literal becomes the nearest double, so that sources and statistics see a literal still.
fn to_double(expr: Expr) -> Expr {
    match &expr {
        Expr::Literal(value, metadata) => match decimal_to_f64(value) {
            Some(double) => Expr::Literal(ScalarValue::Float64(double), metadata.clone()),
            None => cast(expr),
        },
        _ => cast(expr),
    }
}

fn cast(expr: Expr) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), DataType::Float64))
}

/// Through its digits, which rounds once.
fn decimal_to_f64(value: &ScalarValue) -> Option<Option<f64>> {
    if value.is_null() {
        return value.data_type().is_decimal().then_some(None);
    }
    let array = value.to_array().ok()?;
    let text = arrow::compute::cast(&array, &DataType::Utf8).ok()?;
    match ScalarValue::try_from_array(&text, 0).ok()? {
        ScalarValue::Utf8(Some(digits)) => digits.parse().ok().map(Some),
        _ => None,
    }
}

/// A decimal literal whose scale is negative, with all its zeros; as a double where those are too many.
fn without_negative_scale(value: &ScalarValue) -> Option<ScalarValue> {
    let (precision, scale) = match value.data_type() {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) if scale < 0 => {
            (precision, scale)
        }
        _ => return None,
    };
    let digits = u16::from(precision) + u16::from(scale.unsigned_abs());
    let data_type = match u8::try_from(digits) {
        Ok(digits @ ..=38) => DataType::Decimal128(digits, 0),
        Ok(digits @ ..=DECIMAL256_MAX_PRECISION) => DataType::Decimal256(digits, 0),
        _ => return decimal_to_f64(value).map(ScalarValue::Float64),
    };
    value.cast_to(&data_type).ok()
}
