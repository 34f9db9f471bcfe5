//! An average made of a sum and the number of values in it, as `avg` makes it: for sums that are computed anyway.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, i256};
use arrow::util::display::array_value_to_string;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::count::Count;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{ArithmeticError, average, sum};

/// What an aggregate is, as far as averages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// `avg`
    Average,
    /// `sum`
    Sum,
    /// `count`
    Count,
}

/// Which of them this is; `None` of all else, of distinct values, and of values in an order.
pub(crate) fn share(aggregate: &AggregateFunction) -> Option<Share> {
    let params = &aggregate.params;
    if params.distinct || !params.order_by.is_empty() || params.null_treatment.is_some() {
        return None;
    }
    let of = |function: &AggregateUDF| {
        if average::is_average(function) {
            Some(Share::Average)
        } else if sum::is_checked(function) {
            Some(Share::Sum)
        } else {
            function.inner().is::<Count>().then_some(Share::Count)
        }
    };
    of(&aggregate.func)
}

/// The average of this type, of a sum and the number of values in it. `None` where `avg` of such values has sums of another kind.
pub(crate) fn quotient(sum: Expr, sum_type: &DataType, count: Expr, average_type: &DataType) -> Option<Expr> {
    match (sum_type, average_type) {
        (DataType::Decimal128(_, scale @ 0..), DataType::Decimal128(_, digits)) if scale <= digits => {}
        (DataType::Int64 | DataType::Float64, DataType::Float64) => {}
        _ => return None,
    }
    let function = Quotient { signature: Signature::any(2, Volatility::Immutable), result: average_type.clone() };
    let call = ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), vec![sum, count]);
    Some(Expr::ScalarFunction(call))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quotient {
    signature: Signature,
    result: DataType,
}

impl ScalarUDFImpl for Quotient {
    fn name(&self) -> &str {
        "average_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.result.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [sums, counts] = take_function_args(self.name(), arrays)?;
        let Some(counts) = counts.as_primitive_opt::<Int64Type>() else {
            return internal_err!("{} got no counts", self.name());
        };
        let averages = averages(&sums, counts, &self.result)?;
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&averages, 0)?),
            false => ColumnarValue::Array(averages),
        })
    }
}

/// Sums of no values are NULL, and so are their averages.
#[expect(clippy::cast_precision_loss, reason = "the nearest double is what `avg` takes")]
fn averages(sums: &ArrayRef, counts: &Int64Array, result: &DataType) -> Result<ArrayRef> {
    let counts = counts.values();
    Ok(match (sums.data_type(), result) {
        (DataType::Float64, DataType::Float64) => {
            let sums = sums.as_primitive::<Float64Type>().iter().zip(counts);
            Arc::new(sums.map(|(sum, count)| sum.map(|sum| sum / *count as f64)).collect::<Float64Array>())
        }
        (DataType::Int64, DataType::Float64) => {
            let sums = sums.as_primitive::<Int64Type>().iter().zip(counts);
            Arc::new(sums.map(|(sum, count)| sum.map(|sum| sum as f64 / *count as f64)).collect::<Float64Array>())
        }
        (DataType::Decimal128(_, scale), DataType::Decimal128(precision, digits)) => {
            let more = u32::try_from(digits - scale).unwrap_or(0);
            let limit = 10_u128.checked_pow(u32::from(*precision)).unwrap_or(u128::MAX);
            let average = |row: usize, sum: i128, count: i64| match decimal(sum, count, more) {
                Some(average) if average.unsigned_abs() < limit => Ok(average),
                _ => {
                    let sum = array_value_to_string(sums, row)?;
                    Err(ArithmeticError::out_of_range(result, format!("the average is {sum} / {count}")).into())
                }
            };
            let sums = sums.as_primitive::<Decimal128Type>().iter().zip(counts).enumerate();
            let averages = sums.map(|(row, (sum, count))| sum.map(|sum| average(row, sum, *count)).transpose());
            let averages = averages.collect::<Result<Decimal128Array>>()?;
            Arc::new(averages.with_data_type(result.clone()))
        }
        (sum, result) => return internal_err!("an average {result} of sums {sum}"),
    })
}

/// The quotient with so many digits more, cut off behind them, as DataFusion's `avg` is.
fn decimal(sum: i128, count: i64, more: u32) -> Option<i128> {
    let factor = 10_i128.checked_pow(more)?;
    match sum.checked_mul(factor) {
        Some(scaled) => scaled.checked_div(i128::from(count)),
        // Two factors of 128 bits always have room in 256.
        None => {
            let scaled = i256::from_i128(sum).checked_mul(i256::from_i128(factor))?;
            scaled.checked_div(i256::from_i128(i128::from(count)))?.to_i128()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use super::*;

    #[test]
    fn decimals_are_cut_off() {
        for (sum, count, more, average) in [
            (1, 3, 4, Some(3_333)),
            (-2, 3, 4, Some(-6_666)),
            (10, 2, 0, Some(5)),
            // More than 128 bits in between.
            (i128::MAX, 10_000, 4, Some(i128::MAX)),
            (i128::MIN, 1_000_000, 4, Some(i128::MIN / 100)),
            (i128::MAX, 1, 4, None),
            (1, 0, 4, None),
        ] {
            assert_eq!(decimal(sum, count, more), average, "{sum} / {count}");
        }
    }

    #[test]
    fn averages_have_the_type_that_they_are_to_have() {
        let counts = Int64Array::from(vec![3, 0, 2]);
        let sums: ArrayRef =
            Arc::new(Decimal128Array::from(vec![Some(100), None, Some(-5)]).with_precision_and_scale(25, 2).unwrap());
        let result = DataType::Decimal128(19, 6);
        let expected = Decimal128Array::from(vec![Some(333_333), None, Some(-25_000)]).with_data_type(result.clone());
        assert_eq!(averages(&sums, &counts, &result).unwrap().as_ref(), &expected);
        let sums: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MAX)]));
        let expected = Float64Array::from(vec![Some(1.0 / 3.0), None, Some(4_611_686_018_427_387_904.0)]);
        assert_eq!(averages(&sums, &counts, &DataType::Float64).unwrap().as_ref(), &expected);
        let sums: ArrayRef = Arc::new(Decimal128Array::from(vec![999, 1, 1]).with_precision_and_scale(38, 0).unwrap());
        let error = averages(&sums, &Int64Array::from(vec![1, 1, 1]), &DataType::Decimal128(2, 0)).unwrap_err();
        assert!(error.to_string().contains("decimal(2, 0) out of range: the average is 999 / 1"), "{error}");
    }
}
