//! A date plus or minus an interval is a date, so the interval may have no part of a day: Arrow's kernel would drop it.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::error::ArithmeticError;

const DAY_MILLISECONDS: i32 = 24 * 60 * 60 * 1000;
const DAY_NANOSECONDS: i64 = 24 * 60 * 60 * 1_000_000_000;

static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(WholeDays { signature: Signature::user_defined(Volatility::Immutable) }))
});

/// The function, to register by name: a plan that is written down and read again finds it there.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::clone(&FUNCTION)
}

/// Whether this is the function above.
pub(super) fn is_whole_days(udf: &ScalarUDF) -> bool {
    udf.inner().is::<WholeDays>()
}

/// A sum or difference of a date and an interval, with the interval checked: literals at once, what is computed when it
/// is. `None` where the operands are others, or nothing needs a check.
pub(super) fn checked(binary: &BinaryExpr, left: &DataType, right: &DataType) -> Result<Option<BinaryExpr>> {
    let checked = |interval: &Expr| -> Result<Option<Box<Expr>>> {
        let Expr::Literal(value, _) = interval else {
            let call = ScalarFunction::new_udf(function(), vec![interval.clone()]);
            return Ok(Some(Box::new(Expr::ScalarFunction(call))));
        };
        check(&value.to_array()?)?;
        Ok(None)
    };
    let (left_operand, op, right_operand) = (&binary.left, binary.op, &binary.right);
    Ok(if is_date(left) && has_parts_of_days(right) {
        checked(right_operand)?.map(|right| BinaryExpr::new(left_operand.clone(), op, right))
    } else if has_parts_of_days(left) && is_date(right) {
        checked(left_operand)?.map(|left| BinaryExpr::new(left, op, right_operand.clone()))
    } else {
        None
    })
}

fn is_date(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64)
}

fn has_parts_of_days(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(IntervalUnit::DayTime | IntervalUnit::MonthDayNano))
}

/// Whether each interval is a number of months and whole days. 24 hours are a day here: dates know no time zone.
fn check(intervals: &ArrayRef) -> Result<()> {
    let whole = match intervals.data_type() {
        DataType::Interval(IntervalUnit::DayTime) => intervals
            .as_primitive::<IntervalDayTimeType>()
            .iter()
            .flatten()
            .all(|interval| interval.milliseconds % DAY_MILLISECONDS == 0),
        DataType::Interval(IntervalUnit::MonthDayNano) => intervals
            .as_primitive::<IntervalMonthDayNanoType>()
            .iter()
            .flatten()
            .all(|interval| interval.nanoseconds % DAY_NANOSECONDS == 0),
        _ => true,
    };
    if whole { Ok(()) } else { Err(ArithmeticError::PartOfADay.into()) }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WholeDays {
    signature: Signature,
}

impl ScalarUDFImpl for WholeDays {
    fn name(&self) -> &str {
        "whole_days"
    }

    /// The name of the argument: results keep their names.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [interval] = take_function_args(self.name(), args)?;
        Ok(interval.schema_name().to_string())
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

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [interval] = take_function_args(self.name(), types)?;
        Ok(interval.clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [interval] = take_function_args(self.name(), args.args)?;
        match &interval {
            ColumnarValue::Array(array) => check(array)?,
            ColumnarValue::Scalar(scalar) => check(&scalar.to_array()?)?,
        }
        Ok(interval)
    }
}
