//! Checked arithmetic on decimals.
//!
//! Arrow's kernels report what does not fit the integer that holds a decimal, but not what has more digits than the
//! type allows: 38 nines plus one still fits 128 bits. So results of the widest type are checked once more.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, Scalar};
use arrow::compute::kernels::numeric::{add, div, mul, rem, sub};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType,
};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Operator;

use super::super::ArithmeticError;
use super::narrow;

pub(super) fn evaluate(op: Operator, left: &dyn Datum, right: &dyn Datum, result_type: &DataType) -> Result<ArrayRef> {
    if let Some(array) = narrow::evaluate(op, left, right, result_type) {
        return Ok(array);
    }
    let kernel = |result: std::result::Result<ArrayRef, ArrowError>| {
        result.map_err(|error| ArithmeticError::from_kernel(error, result_type))
    };
    let array = match op {
        Operator::Plus => kernel(add(left, right))?,
        Operator::Minus => kernel(sub(left, right))?,
        Operator::Multiply => kernel(mul(left, right))?,
        Operator::Divide => divide(left, right, result_type)?,
        Operator::Modulo => kernel(rem(left, right))?,
        other => return internal_err!("{other} is not arithmetic"),
    };
    match array.data_type() {
        DataType::Decimal32(precision, _) => check::<Decimal32Type>(&array, *precision)?,
        DataType::Decimal64(precision, _) => check::<Decimal64Type>(&array, *precision)?,
        DataType::Decimal128(precision, _) => check::<Decimal128Type>(&array, *precision)?,
        DataType::Decimal256(precision, _) => check::<Decimal256Type>(&array, *precision)?,
        other => return internal_err!("decimal arithmetic gave {other}"),
    }
    Ok(array)
}

/// The dividend is scaled up before it is divided. Where that needs more than 128 bits, though the quotient may not, it
/// is done in 256.
fn divide(left: &dyn Datum, right: &dyn Datum, result_type: &DataType) -> Result<ArrayRef> {
    match (div(left, right), result_type) {
        (Ok(array), _) => Ok(array),
        (Err(ArrowError::ArithmeticOverflow(_)), DataType::Decimal128(..)) => {
            let (left, right) = (Wide::of(left)?, Wide::of(right)?);
            let quotient = div(left.datum().as_ref(), right.datum().as_ref());
            let quotient = quotient.map_err(|error| ArithmeticError::from_kernel(error, result_type))?;
            let options = CastOptions { safe: false, ..CastOptions::default() };
            Ok(cast_with_options(&quotient, result_type, &options)
                .map_err(|_| ArithmeticError::out_of_range(result_type, "the quotient has too many digits"))?)
        }
        (Err(error), _) => Err(ArithmeticError::from_kernel(error, result_type)),
    }
}

/// A decimal operand in 256 bits.
struct Wide {
    array: ArrayRef,
    is_scalar: bool,
}

impl Wide {
    fn of(operand: &dyn Datum) -> Result<Self> {
        let (array, is_scalar) = operand.get();
        let scale = match array.data_type() {
            DataType::Decimal128(_, scale) => *scale,
            other => return internal_err!("{other} is no decimal of 128 bits"),
        };
        // As many digits as there were, so that the quotient gets the same scale.
        let array = cast(array, &DataType::Decimal256(DECIMAL128_MAX_PRECISION, scale))?;
        Ok(Self { array, is_scalar })
    }

    fn datum(&self) -> Box<dyn Datum> {
        match self.is_scalar {
            true => Box::new(Scalar::new(Arc::clone(&self.array))),
            false => Box::new(Arc::clone(&self.array)),
        }
    }
}

/// Below the widest precision the result type has room for every result.
fn check<T: DecimalType>(array: &ArrayRef, precision: u8) -> Result<()> {
    if precision < T::MAX_PRECISION {
        return Ok(());
    }
    let values = array.as_primitive::<T>();
    match values.iter().flatten().find(|value| !T::is_valid_decimal_precision(*value, precision)) {
        None => Ok(()),
        Some(value) => {
            let digits = T::format_decimal(value, u8::MAX, values.scale());
            let calculation = format!("the result is {digits}");
            Err(ArithmeticError::out_of_range(array.data_type(), calculation).into())
        }
    }
}
