//! Casts that lose digits round, and are not taken apart.
//!
//! Arrow cuts the fraction off when a number becomes an integer, where PostgreSQL, Trino and DuckDB round. And DataFusion makes
//! `d = 12.00` of `CAST(d AS integer) = 12` and of `CAST(d AS decimal(5, 0)) = 12`, which is another question: `d` may be
//! 12.30. It does the same with TRY_CAST, whose NULL it forgets. So what such a cast is applied to, or what it gives, becomes
//! the argument of a function, which no rule looks into.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

static ROUND: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Round { signature: Signature::user_defined(Volatility::Immutable) })));

static TRIED: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Tried { signature: Signature::any(1, Volatility::Immutable) })));

/// The functions, to register by name: a plan that is written down and read again finds them there.
pub(super) fn functions() -> [Arc<ScalarUDF>; 2] {
    [Arc::clone(&ROUND), Arc::clone(&TRIED)]
}

/// Whether this is one of the functions above: its first argument is what the person wrote.
pub(super) fn is_of_cast(udf: &ScalarUDF) -> bool {
    udf.inner().is::<Round>() || udf.inner().is::<Tried>()
}

/// What is cast, of type `from`, with the digits that type `to` has behind the point; `None` if there are no others to lose.
/// A half goes away from zero in a decimal, as in PostgreSQL and Trino, and to the even number in a float that becomes an
/// integer, as in PostgreSQL and DuckDB.
pub(super) fn rounded(operand: &Expr, from: &DataType, to: &DataType) -> Option<Expr> {
    let digits = match (scale(from), scale(to)) {
        (Some(from), Some(to)) if from > to => to,
        (None, _) if from.is_floating() && to.is_integer() => 0,
        _ => return None,
    };
    if matches!(operand, Expr::ScalarFunction(call) if call.func.inner().is::<Round>()) {
        return None;
    }
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&ROUND), vec![operand.clone(), lit(digits)])))
}

/// A TRY_CAST between types that rules would take apart, as the argument of a function.
pub(super) fn tried(cast: Expr, from: &DataType, to: &DataType) -> Expr {
    let keeps_all = from == to || from.is_null();
    if keeps_all || !(from.is_numeric() || from.is_temporal()) {
        return cast;
    }
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&TRIED), vec![cast]))
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
        other => other.clone(),
    }
}

/// `cast_operand(number, digits)`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Round {
    signature: Signature,
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        "cast_operand"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [number, DataType::Int8] if number.is_floating() || number.is_decimal() => Ok(types.to_vec()),
            _ => plan_err!("{} takes a float or decimal, and digits", self.name()),
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
        // Arrow rounds a decimal that loses digits, a half away from zero.
        _ => {
            let options = CastOptions { safe: false, ..CastOptions::default() };
            arrow::compute::cast_with_options(numbers, to, &options)?
        }
    })
}

/// `try_cast_result(value)`: the value.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Tried {
    signature: Signature,
}

impl ScalarUDFImpl for Tried {
    fn name(&self) -> &str {
        "try_cast_result"
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
