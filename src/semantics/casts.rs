//! Casts that lose digits round, and are not taken apart.
//!
//! Arrow cuts the fraction off when a number becomes an integer, where PostgreSQL, Trino and DuckDB round. And DataFusion makes
//! `d = 12.00` of `CAST(d AS integer) = 12` and of `CAST(d AS decimal(5, 0)) = 12`, which is another question: `d` may be
//! 12.30. It does the same with TRY_CAST, whose NULL it forgets, and with a timestamp that is compared with a finer literal, which
//! it cuts off. So what such a cast is applied to, or what it gives, becomes the argument of a function, which no rule looks into.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type, Int64Type, TimeUnit};
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use super::arithmetic::type_of;
use super::types::time;

static ROUND: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Round { signature: Signature::user_defined(Volatility::Immutable) })));

static KEPT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Kept { signature: Signature::any(1, Volatility::Immutable) })));

/// The functions, to register by name: a plan that is written down and read again finds them there.
pub(super) fn functions() -> [Arc<ScalarUDF>; 2] {
    [Arc::clone(&ROUND), Arc::clone(&KEPT)]
}

const SECONDS_OF_DAY: i64 = 24 * 60 * 60;

/// The name of the function that gives the cast that is its argument.
pub(super) const KEPT_NAME: &str = "cast_result";

/// Whether this is one of the functions above.
pub(super) fn is_of_cast(udf: &ScalarUDF) -> bool {
    udf.inner().is::<Round>() || is_kept(udf)
}

/// Whether this is the function that gives the cast that is its argument.
pub(super) fn is_kept(udf: &ScalarUDF) -> bool {
    udf.inner().is::<Kept>()
}

/// What is cast, of type `from`, with the digits that type `to` has behind the point or the second; `None` if there are no others
/// to lose. A half goes away from zero in a decimal, as in PostgreSQL and Trino, and to the even number in a float that becomes an
/// integer, as in PostgreSQL and DuckDB.
pub(super) fn rounded(operand: &Expr, from: &DataType, to: &DataType) -> Option<Expr> {
    let digits = digits_left(from, to)?;
    if matches!(operand, Expr::ScalarFunction(call) if call.func.inner().is::<Round>()) {
        return None;
    }
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&ROUND), vec![operand.clone(), lit(digits)])))
}

/// A float without its fraction, the nearest one.
pub(super) fn to_even(number: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&ROUND), vec![number, lit(0_i8)]))
}

/// Whether a cast rounds.
pub(super) fn loses_digits(from: &DataType, to: &DataType) -> bool {
    digits_left(from, to).is_some()
}

/// How many digits are left behind the point or the second, if those are less than there were.
fn digits_left(from: &DataType, to: &DataType) -> Option<i8> {
    match (scale(from), scale(to)) {
        (Some(from), Some(to)) if from > to => Some(to),
        (None, _) if from.is_floating() && to.is_integer() => Some(0),
        _ => match (from, to) {
            (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) if from > to => Some(digits_of(to)),
            _ => match (unit_of_time(from), unit_of_time(to)) {
                (Some(from), Some(to)) if from > to => Some(digits_of(&to)),
                _ => None,
            },
        },
    }
}

fn unit_of_time(data_type: &DataType) -> Option<TimeUnit> {
    match data_type {
        DataType::Time32(unit) | DataType::Time64(unit) => Some(*unit),
        _ => None,
    }
}

/// A TRY_CAST between types that rules would take apart, as the argument of a function.
pub(super) fn tried(cast: Expr, from: &DataType, to: &DataType) -> Expr {
    let keeps_all = from == to || from.is_null();
    if keeps_all || !(from.is_numeric() || from.is_temporal()) {
        return cast;
    }
    kept(cast)
}

/// A value that no rule looks into. Its type is that of the value, and it may be NULL.
pub(super) fn kept(cast: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&KEPT), vec![cast]))
}

/// Casts of timestamps that are compared with a literal finer than what is cast become the argument of a function: a rule would cut the
/// literal off instead. Returns whether there were any.
pub(super) fn keep_beside_finer(compared: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    let literals: Vec<(i64, TimeUnit)> = compared.iter().filter_map(|expr| timestamp_literal(expr)).collect();
    let mut changed = false;
    for expr in compared.iter_mut() {
        let Expr::Cast(cast) = &**expr else { continue };
        let (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) =
            (type_of(&cast.expr, schema)?, cast.field.data_type())
        else {
            continue;
        };
        let factor = per_second(to) / per_second(&from).min(per_second(to));
        if literals.iter().any(|(value, unit)| unit == to && value % factor != 0) {
            **expr = kept(std::mem::take(*expr));
            changed = true;
        }
    }
    Ok(changed)
}

/// A timestamp that is written out, in its unit.
fn timestamp_literal(expr: &Expr) -> Option<(i64, TimeUnit)> {
    let value = match expr {
        Expr::Literal(value, _) => value.clone(),
        Expr::Cast(cast) => match &*cast.expr {
            Expr::Literal(value, _) => value.cast_to(cast.field.data_type()).ok()?,
            _ => return None,
        },
        _ => return None,
    };
    match value {
        ScalarValue::TimestampSecond(Some(value), _) => Some((value, TimeUnit::Second)),
        ScalarValue::TimestampMillisecond(Some(value), _) => Some((value, TimeUnit::Millisecond)),
        ScalarValue::TimestampMicrosecond(Some(value), _) => Some((value, TimeUnit::Microsecond)),
        ScalarValue::TimestampNanosecond(Some(value), _) => Some((value, TimeUnit::Nanosecond)),
        _ => None,
    }
}

fn per_second(unit: &TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Digits behind the point of an exact number.
fn scale(data_type: &DataType) -> Option<i8> {
    match data_type {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Some(*scale),
        integer if integer.is_integer() => Some(0),
        _ => None,
    }
}

/// The type of a number rounded to so many digits behind the point: there may be one digit more before it.
fn rounded_type(data_type: &DataType, digits: i8) -> DataType {
    let precision = |precision: u8, scale: i8, max: u8| {
        let wanted = i16::from(precision) - i16::from(scale) + i16::from(digits) + 1;
        u8::try_from(wanted).unwrap_or(1).clamp(1, max)
    };
    match data_type {
        DataType::Decimal32(p, s) => DataType::Decimal32(precision(*p, *s, 9), digits),
        DataType::Decimal64(p, s) => DataType::Decimal64(precision(*p, *s, 18), digits),
        DataType::Decimal128(p, s) => DataType::Decimal128(precision(*p, *s, 38), digits),
        DataType::Decimal256(p, s) => DataType::Decimal256(precision(*p, *s, 76), digits),
        DataType::Timestamp(_, zone) => DataType::Timestamp(unit_of(digits), zone.clone()),
        DataType::Time32(_) | DataType::Time64(_) => time(unit_of(digits)),
        other => other.clone(),
    }
}

/// Digits after the second.
fn digits_of(unit: &TimeUnit) -> i8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn unit_of(digits: i8) -> TimeUnit {
    match digits {
        ..=0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

/// `rounded(value, digits)`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Round {
    signature: Signature,
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        "rounded"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [number, DataType::Int8] if number.is_floating() || number.is_decimal() => Ok(types.to_vec()),
            [DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_), DataType::Int8] => Ok(types.to_vec()),
            _ => plan_err!("{} takes a float, decimal, time or timestamp, and digits", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} depends on its second argument", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [number, _] = take_function_args(self.name(), args.arg_fields)?;
        let Some(Some(ScalarValue::Int8(Some(digits)))) = args.scalar_arguments.get(1) else {
            return plan_err!("the second argument of {} is no number", self.name());
        };
        Ok(Arc::new(Field::new(self.name(), rounded_type(number.data_type(), *digits), number.is_nullable())))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let to = args.return_field.data_type();
        let [value, _] = take_function_args(self.name(), args.args)?;
        Ok(match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(round(&array, to)?),
            ColumnarValue::Scalar(scalar) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&round(&scalar.to_array()?, to)?, 0)?)
            }
        })
    }
}

fn round(numbers: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    Ok(match numbers.data_type() {
        DataType::Float16 => {
            let numbers = round(&arrow::compute::cast(numbers, &DataType::Float32)?, &DataType::Float32)?;
            arrow::compute::cast(&numbers, &DataType::Float16)?
        }
        DataType::Float32 => {
            Arc::new(numbers.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::round_ties_even))
        }
        DataType::Float64 => {
            Arc::new(numbers.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even))
        }
        DataType::Timestamp(from, _) => match to {
            DataType::Timestamp(unit, _) => {
                arrow::compute::cast(&nearest(numbers, per_second(from) / per_second(unit))?, to)?
            }
            other => return internal_err!("a timestamp is not rounded to {other}"),
        },
        DataType::Time32(from) | DataType::Time64(from) => match unit_of_time(to) {
            Some(unit) => {
                let factor = per_second(from) / per_second(&unit);
                let rounded = nearest_of(&numbers_of(numbers)?, factor);
                let midnight = SECONDS_OF_DAY * per_second(from);
                if rounded.iter().flatten().any(|number| number >= midnight) {
                    return exec_err!("a time of day that rounds to 24:00:00 is none; cast it with more digits");
                }
                arrow::compute::cast(&as_times(rounded, numbers.data_type())?, to)?
            }
            None => return internal_err!("a time is not rounded to {to}"),
        },
        // Arrow rounds a decimal that loses digits, a half away from zero.
        _ => {
            let options = CastOptions { safe: false, ..CastOptions::default() };
            arrow::compute::cast_with_options(numbers, to, &options)?
        }
    })
}

/// The nearest multiples of a number; of two that are as near the later one.
fn nearest(timestamps: &ArrayRef, of: i64) -> Result<ArrayRef> {
    let numbers = arrow::compute::cast(timestamps, &DataType::Int64)?;
    let nearest = nearest_of(numbers.as_primitive::<Int64Type>(), of);
    Ok(arrow::compute::cast(&nearest, timestamps.data_type())?)
}

fn nearest_of(numbers: &Int64Array, of: i64) -> Int64Array {
    numbers.unary(|number| {
        let below = number.div_euclid(of);
        let up = number.rem_euclid(of) * 2 >= of;
        // The last second of time has no multiple above it.
        (below + i64::from(up)).checked_mul(of).unwrap_or(below * of)
    })
}

/// The numbers that stand for times of day.
fn numbers_of(times: &ArrayRef) -> Result<Int64Array> {
    let numbers = match times.data_type() {
        DataType::Time32(_) => arrow::compute::cast(times, &DataType::Int32)?,
        _ => Arc::clone(times),
    };
    Ok(arrow::compute::cast(&numbers, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

/// The times of day that numbers stand for.
fn as_times(numbers: Int64Array, to: &DataType) -> Result<ArrayRef> {
    Ok(match to {
        DataType::Time32(_) => arrow::compute::cast(&arrow::compute::cast(&numbers, &DataType::Int32)?, to)?,
        _ => arrow::compute::cast(&numbers, to)?,
    })
}

/// `cast_result(value)`: the value.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kept {
    signature: Signature,
}

impl ScalarUDFImpl for Kept {
    fn name(&self) -> &str {
        KEPT_NAME
    }

    /// The name of the argument: results keep their names.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [cast] = take_function_args(self.name(), args)?;
        Ok(cast.to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [value] = take_function_args(self.name(), types)?;
        Ok(value.clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = take_function_args(self.name(), args.args)?;
        Ok(value)
    }
}
