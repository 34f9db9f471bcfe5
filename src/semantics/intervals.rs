//! Intervals are compared by how long they are: a month has 30 days there and a day 24 hours, as in PostgreSQL (manual, 9.9). Arrow
//! compares months, days and nanoseconds one after the other, by which a day is more than 25 hours.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

const DAY_NANOSECONDS: i128 = 24 * 60 * 60 * 1_000_000_000;
const MONTH_DAYS: i128 = 30;

static FUNCTION: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Span { signature: Signature::user_defined(Volatility::Immutable) })));

/// The function, to register by name: a plan that is written down and read again finds it there.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::clone(&FUNCTION)
}

/// Whether this is the function above.
pub(super) fn is_span(udf: &ScalarUDF) -> bool {
    udf.inner().is::<Span>()
}

/// Replaces intervals that are compared by their length in nanoseconds. `types` are those of the expressions. Returns whether
/// there were any.
pub(super) fn compare_by_length(compared: &mut [&mut Expr], types: &[DataType]) -> bool {
    if compared.len() != types.len() || !types.iter().all(|has| matches!(has, DataType::Interval(_))) {
        return false;
    }
    for expr in compared {
        **expr = Expr::ScalarFunction(ScalarFunction::new_udf(function(), vec![std::mem::take(*expr)]));
    }
    true
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Span {
    signature: Signature,
}

impl ScalarUDFImpl for Span {
    fn name(&self) -> &str {
        "interval_nanoseconds"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Interval(_)] => Ok(types.to_vec()),
            _ => plan_err!("{} takes one interval", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(38, 0))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [interval] = take_function_args(self.name(), args.args)?;
        Ok(match interval {
            ColumnarValue::Array(array) => ColumnarValue::Array(Arc::new(lengths(&array)?)),
            ColumnarValue::Scalar(scalar) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&lengths(&scalar.to_array()?)?, 0)?)
            }
        })
    }
}

/// The length of an interval. 2^31 months have less than 10^28 nanoseconds.
pub(super) fn nanoseconds(interval: IntervalMonthDayNano) -> i128 {
    let days = i128::from(interval.months) * MONTH_DAYS + i128::from(interval.days);
    days * DAY_NANOSECONDS + i128::from(interval.nanoseconds)
}

fn lengths(intervals: &ArrayRef) -> Result<Decimal128Array> {
    let intervals = arrow::compute::cast(intervals, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let lengths = intervals.as_primitive::<IntervalMonthDayNanoType>().unary::<_, Decimal128Type>(nanoseconds);
    Ok(lengths.with_precision_and_scale(38, 0)?)
}
