//! Casts to decimals that keep the digits there are: to `numeric` without digits, and of floats.
//!
//! DataFusion takes `numeric` for `decimal(38, 10)` and rounds what does not fit in; `0.00000000004` written as text would be zero. Here
//! a decimal stays what it is, a text that is written out has the digits it is written with, other texts get sixteen behind the point
//! and are refused if they have more. A float becomes the decimal of its 15 significant digits (`real`: 6), as in PostgreSQL
//! (`float8_numeric`), where Arrow multiplies in binary: `1e20` would become 100000000000000001988.46.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef, i256};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, internal_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::sql::sqlparser::ast::{CastKind, DataType as SqlType, ExactNumberInfo, Expr as SqlExpr, Value};

use crate::syntax::call;

/// Digits behind the point that an integer has as `numeric`: a quotient has four more.
const DIGITS_OF_INTEGERS: i8 = 10;

/// Digits behind the point that texts and floats have as `numeric`, as columns of PostgreSQL's without digits have.
const DIGITS: i8 = 16;

/// Zeros that an exponent may add.
const EXPONENT_MAX: i64 = 100;

/// Significant digits of a double, and of a `real`, as PostgreSQL takes them.
const DIGITS_OF_DOUBLE: usize = 15;
const DIGITS_OF_REAL: usize = 6;

const STRICT_NAME: &str = "decimal_of";
const TRY_NAME: &str = "try_decimal_of";

static STRICT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(DecimalOf::new(false))));
static TRY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(DecimalOf::new(true))));

/// The functions, to register by name.
pub(super) fn functions() -> [Arc<ScalarUDF>; 2] {
    [Arc::clone(&STRICT), Arc::clone(&TRY)]
}

/// Whether this is one of the functions above.
pub(super) fn is_decimal_of(udf: &ScalarUDF) -> bool {
    udf.inner().is::<DecimalOf>()
}

/// A cast to `numeric` without digits as a call of a function. `None` of all else, and of parameters, whose type a cast tells.
pub(super) fn respelled(expr: &mut SqlExpr) -> Option<SqlExpr> {
    let no_digits = |data_type: &SqlType| {
        use SqlType::{Dec, Decimal, Numeric};
        matches!(data_type, Numeric(digits) | Decimal(digits) | Dec(digits) if *digits == ExactNumberInfo::None)
    };
    match expr {
        SqlExpr::Cast { kind, expr, data_type, array: false, format: None } if no_digits(data_type) => {
            if matches!(&**expr, SqlExpr::Value(value) if matches!(value.value, Value::Placeholder(_))) {
                return None;
            }
            let name = match kind {
                CastKind::Cast | CastKind::DoubleColon => STRICT_NAME,
                CastKind::TryCast | CastKind::SafeCast => TRY_NAME,
            };
            Some(call(name, [std::mem::replace(&mut **expr, SqlExpr::value(Value::Null))]))
        }
        SqlExpr::TypedString(typed) if no_digits(&typed.data_type) && !typed.uses_odbc_syntax => {
            Some(call(STRICT_NAME, [SqlExpr::Value(typed.value.clone())]))
        }
        _ => None,
    }
}

/// The cast of a float to a decimal; `None` of another cast.
pub(super) fn of_float(operand: &Expr, from: &DataType, to: &DataType, tries: bool) -> Option<Expr> {
    let (true, DataType::Decimal128(precision, scale @ 0..)) = (from.is_floating(), to) else { return None };
    let function = if tries { &TRY } else { &STRICT };
    let args = vec![operand.clone(), lit(*precision), lit(*scale)];
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), args)))
}

/// A call of the function without digits, of an argument with this type, as the cast that it is; `None` if it is more.
pub(super) fn as_cast(call: &ScalarFunction, from: &DataType) -> Option<Expr> {
    let [operand] = call.args.as_slice() else { return None };
    if from.is_decimal() {
        return Some(operand.clone());
    }
    if from.is_string() || from.is_floating() {
        return None;
    }
    let to = type_without_digits(from, None).ok()?;
    let (expr, tries) = (Box::new(operand.clone()), call.func == *TRY);
    Some(match tries {
        true => Expr::TryCast(datafusion::logical_expr::TryCast::new(expr, to)),
        false => Expr::Cast(datafusion::logical_expr::Cast::new(expr, to)),
    })
}

/// What the function is called with, and the type that was asked for: for EXPLAIN.
pub(super) fn written(call: &ScalarFunction) -> Option<(&Expr, DataType)> {
    match call.args.as_slice() {
        [operand] => Some((operand, DataType::Decimal128(DECIMAL128_MAX_PRECISION, DIGITS))),
        [
            operand,
            Expr::Literal(ScalarValue::UInt8(Some(precision)), _),
            Expr::Literal(ScalarValue::Int8(Some(scale)), _),
        ] => Some((operand, DataType::Decimal128(*precision, *scale))),
        _ => None,
    }
}

/// The type of `numeric` without digits, of a value with this type, or of this literal.
fn type_without_digits(from: &DataType, literal: Option<&ScalarValue>) -> Result<DataType> {
    if from.is_decimal() {
        return Ok(from.clone());
    }
    if let Some(Some(text)) = literal.and_then(ScalarValue::try_as_str)
        && let Some(number) = Number::of(text)
    {
        let (precision, scale) = number.size();
        if precision <= usize::from(DECIMAL128_MAX_PRECISION) {
            return Ok(DataType::Decimal128(precision as u8, scale as i8));
        }
        if precision <= usize::from(DECIMAL256_MAX_PRECISION) {
            return Ok(DataType::Decimal256(precision as u8, scale as i8));
        }
        return plan_err!("the number {text} has more than {DECIMAL256_MAX_PRECISION} digits");
    }
    let digits = if from.is_string() || from.is_floating() { DIGITS } else { DIGITS_OF_INTEGERS };
    Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, digits))
}

/// A number as it is written: the digits, without zeros before them, and how many of them are behind the point.
#[derive(Debug, PartialEq, Eq)]
struct Number {
    is_negative: bool,
    digits: String,
    scale: usize,
}

/// Why a number does not become a decimal of a type.
#[derive(Debug, PartialEq, Eq)]
enum Misfit {
    TooLarge,
    LosesDigits,
}

impl Number {
    /// `None` of a text that is no number.
    fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = !(whole.is_empty() && fraction.is_empty()) && all_digits(whole) && all_digits(fraction);
        if !is_number || !(-EXPONENT_MAX..=EXPONENT_MAX).contains(&exponent) {
            return None;
        }
        let scale = i64::try_from(fraction.len()).ok()? - exponent;
        let mut digits = format!("{whole}{fraction}");
        digits.extend(std::iter::repeat_n('0', usize::try_from(-scale).unwrap_or(0)));
        let digits = digits.trim_start_matches('0').to_owned();
        Some(Self { is_negative, digits, scale: usize::try_from(scale).unwrap_or(0) })
    }

    /// Of the shortest text with so many significant digits; `None` of what is no number.
    fn of_float(float: f64, digits: usize) -> Option<Self> {
        if !float.is_finite() {
            return None;
        }
        let text = format!("{float:.*e}", digits - 1);
        let (mantissa, exponent) = text.split_once('e')?;
        let exponent = exponent.parse::<i64>().ok()?;
        let is_negative = mantissa.starts_with('-');
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let behind = i64::try_from(digits.len()).ok()? - 1 - exponent;
        let mut digits = digits.trim_start_matches('0').to_owned();
        digits.extend(std::iter::repeat_n('0', usize::try_from(-behind).unwrap_or(0)));
        Some(Self { is_negative, digits, scale: usize::try_from(behind).unwrap_or(0) })
    }

    /// The digits of a type that holds it, and those behind the point.
    fn size(&self) -> (usize, usize) {
        (self.digits.len().max(self.scale).max(1), self.scale)
    }

    /// As a decimal of a type, whose digits behind the point hold it, or to which it is rounded, a half away from zero.
    fn fit(&self, precision: u8, scale: usize, rounds: bool) -> Result<i128, Misfit> {
        let mut digits = self.digits.clone();
        let mut up = false;
        if self.scale > scale {
            let kept = digits.len().saturating_sub(self.scale - scale);
            let lost = digits.split_off(kept);
            if !rounds && lost.bytes().any(|digit| digit != b'0') {
                return Err(Misfit::LosesDigits);
            }
            // Zeros that are not written stand before what is lost.
            up = lost.len() == self.scale - scale && lost.as_bytes().first().is_some_and(|digit| *digit >= b'5');
        } else if !digits.is_empty() {
            digits.extend(std::iter::repeat_n('0', scale - self.scale));
        }
        if digits.len() > usize::from(precision) {
            return Err(Misfit::TooLarge);
        }
        let number = if digits.is_empty() { 0 } else { digits.parse::<i128>().map_err(|_| Misfit::TooLarge)? };
        let number = number + i128::from(up);
        if number >= 10_i128.checked_pow(precision.into()).unwrap_or(i128::MAX) {
            return Err(Misfit::TooLarge);
        }
        Ok(if self.is_negative { -number } else { number })
    }
}

/// `decimal_of(value)` is `CAST(value AS numeric)`; `decimal_of(float, precision, scale)` is `CAST(float AS decimal(precision, scale))`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DecimalOf {
    signature: Signature,
    /// Whether what cannot be cast is NULL.
    tries: bool,
}

impl DecimalOf {
    fn new(tries: bool) -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable), tries }
    }
}

impl ScalarUDFImpl for DecimalOf {
    fn name(&self) -> &str {
        if self.tries { TRY_NAME } else { STRICT_NAME }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} depends on its arguments", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(value) = args.arg_fields.first() else { return plan_err!("{} takes a value", self.name()) };
        let data_type = match args.scalar_arguments {
            [literal] => type_without_digits(value.data_type(), *literal)?,
            [_, Some(ScalarValue::UInt8(Some(precision))), Some(ScalarValue::Int8(Some(scale)))] => {
                DataType::Decimal128(*precision, *scale)
            }
            _ => return plan_err!("{} takes a value, or a float, precision and scale", self.name()),
        };
        Ok(Arc::new(Field::new(self.name(), data_type, self.tries || value.is_nullable())))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let to = args.return_field.data_type();
        let Some(value) = args.args.first() else { return internal_err!("{} has no argument", self.name()) };
        Ok(match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(decimals(array, to, self.tries)?),
            ColumnarValue::Scalar(scalar) => {
                let one = decimals(&scalar.to_array()?, to, self.tries)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&one, 0)?)
            }
        })
    }
}

fn decimals(values: &ArrayRef, to: &DataType, tries: bool) -> Result<ArrayRef> {
    let from = values.data_type();
    if let DataType::Decimal256(precision, scale) = to
        && from.is_string()
    {
        return wide(values, *precision, *scale);
    }
    let (DataType::Decimal128(precision, scale), true) = (to, from.is_string() || from.is_floating()) else {
        return Ok(cast(values, to)?);
    };
    let (rounds, digits) = match from {
        DataType::Float64 => (true, DIGITS_OF_DOUBLE),
        _ => (from.is_floating(), DIGITS_OF_REAL),
    };
    let places = usize::try_from(*scale).unwrap_or(0);
    let decimal = |number: Option<Number>, written: &dyn Fn() -> String| {
        match number {
        Some(number) => number.fit(*precision, places, rounds).map_err(|misfit| match misfit {
            Misfit::TooLarge => exec_datafusion_err!("{} is out of range for decimal({precision}, {scale})", written()),
            Misfit::LosesDigits => exec_datafusion_err!(
                "{} has more than {scale} digits behind the point; cast it to a decimal that says how many it has, such as decimal(38, 20)",
                written()
            ),
        }),
        None => Err(exec_datafusion_err!("{} is no decimal number", written())),
    }
    };
    let settled = |decimal: Result<i128>| match decimal {
        Ok(decimal) => Ok(Some(decimal)),
        Err(_) if tries => Ok(None),
        Err(error) => Err(error),
    };
    let decimals: Decimal128Array = if from.is_floating() {
        let floats = cast(values, &DataType::Float64)?;
        let floats = floats.as_primitive::<arrow::datatypes::Float64Type>().iter();
        let of_float =
            |float: f64| settled(decimal(Number::of_float(float, digits), &|| format!("the number {float}")));
        floats.map(|float| float.map_or(Ok(None), of_float)).collect::<Result<_>>()?
    } else {
        let texts = cast(values, &DataType::Utf8)?;
        let of_text = |text: &str| settled(decimal(Number::of(text), &|| format!("'{text}'")));
        texts.as_string::<i32>().iter().map(|text| text.map_or(Ok(None), of_text)).collect::<Result<_>>()?
    };
    Ok(Arc::new(decimals.with_precision_and_scale(*precision, *scale)?))
}

/// Of a text that is written out, whose digits the type has.
fn wide(texts: &ArrayRef, precision: u8, scale: i8) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8)?;
    let number = |text: &str| {
        let number = Number::of(text)?;
        let sign = if number.is_negative { "-" } else { "" };
        i256::from_string(&format!("{sign}{}", number.digits))
    };
    let numbers = texts.as_string::<i32>().iter().map(|text| match text {
        Some(text) => number(text).map(Some).ok_or_else(|| exec_datafusion_err!("'{text}' is no decimal number")),
        None => Ok(None),
    });
    let numbers: arrow::array::Decimal256Array = numbers.collect::<Result<_>>()?;
    Ok(Arc::new(numbers.with_precision_and_scale(precision, scale)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_they_are_written_with() {
        for (text, expected) in [
            ("1.50", Some((false, "150", 2))),
            (" -0.05 ", Some((true, "5", 2))),
            ("1e-11", Some((false, "1", 11))),
            ("+1.5e3", Some((false, "1500", 0))),
            (".5", Some((false, "5", 1))),
            ("5.", Some((false, "5", 0))),
            ("0", Some((false, "", 0))),
            ("1e101", None),
            ("NaN", None),
            (".", None),
            ("1 2", None),
        ] {
            let expected = expected.map(|(is_negative, digits, scale): (bool, &str, usize)| Number {
                is_negative,
                digits: digits.to_owned(),
                scale,
            });
            assert_eq!(Number::of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_decimal_holds_a_number_or_says_why_not() {
        let fit = |text: &str, precision, scale, rounds| Number::of(text).unwrap().fit(precision, scale, rounds);
        assert_eq!(fit("1.5", 38, 3, false), Ok(1500));
        assert_eq!(fit("-1.50", 38, 1, false), Ok(-15));
        assert_eq!(fit("1.55", 38, 1, false), Err(Misfit::LosesDigits));
        assert_eq!(fit("-1.55", 38, 1, true), Ok(-16));
        assert_eq!(fit("0.06", 38, 1, true), Ok(1));
        assert_eq!(fit("0.006", 38, 1, true), Ok(0));
        assert_eq!(fit("9.96", 2, 1, true), Err(Misfit::TooLarge));
        assert_eq!(fit("100", 2, 0, true), Err(Misfit::TooLarge));
        assert_eq!(fit("0", 1, 1, false), Ok(0));
    }

    #[test]
    fn floats_are_taken_by_their_significant_digits() {
        let fit = |float, digits| Number::of_float(float, digits).unwrap().fit(38, 16, true);
        assert_eq!(fit(1e20, 15), Ok(10_i128.pow(36)));
        assert_eq!(fit(0.1, 15), Ok(10_i128.pow(15)));
        assert_eq!(fit(f64::from(1.1_f32), 6), Ok(11 * 10_i128.pow(15)));
        assert_eq!(fit(-1.0 / 3.0, 15), Ok(-3_333_333_333_333_330));
        assert_eq!(fit(0.0, 15), Ok(0));
        assert_eq!(fit(5e-17, 15), Ok(1));
        assert_eq!(fit(4e-17, 15), Ok(0));
        assert_eq!(Number::of_float(f64::NAN, 15), None);
    }
}
