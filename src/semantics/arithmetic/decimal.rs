//! Checked arithmetic on decimals.
//!
//! Arrow's kernels report what does not fit the integer that holds a decimal, but not what has more digits than the
//! type allows: 38 nines plus one still fits 128 bits. So results of the widest type are checked once more.

use arrow::array::{Array, ArrayRef, AsArray, Datum};
use arrow::compute::kernels::numeric::{add, div, mul, rem, sub};
use arrow::datatypes::{DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Operator;

use super::super::ArithmeticError;

pub(super) fn evaluate(op: Operator, left: &dyn Datum, right: &dyn Datum, result_type: &DataType) -> Result<ArrayRef> {
    let result = match op {
        Operator::Plus => add(left, right),
        Operator::Minus => sub(left, right),
        Operator::Multiply => mul(left, right),
        Operator::Divide => div(left, right),
        Operator::Modulo => rem(left, right),
        other => return internal_err!("{other} is not arithmetic"),
    };
    let array = result.map_err(|error| ArithmeticError::from_kernel(error, result_type))?;
    match array.data_type() {
        DataType::Decimal32(precision, _) => check::<Decimal32Type>(&array, *precision)?,
        DataType::Decimal64(precision, _) => check::<Decimal64Type>(&array, *precision)?,
        DataType::Decimal128(precision, _) => check::<Decimal128Type>(&array, *precision)?,
        DataType::Decimal256(precision, _) => check::<Decimal256Type>(&array, *precision)?,
        other => return internal_err!("decimal arithmetic gave {other}"),
    }
    Ok(array)
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
