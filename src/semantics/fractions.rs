//! An interval times or divided by a number with a fraction, as in PostgreSQL (manual, 9.9): what is left of a month becomes days of it,
//! of which it has 30, and what is left of a day hours, minutes and seconds. And the interval that a difference of timestamps is to it:
//! days, and what is left of them.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::compute::kernels::arity::try_binary;
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use arrow::error::ArrowError;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::error::ArithmeticError;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

const MONTH_DAYS: f64 = 30.0;
const DAY_SECONDS: f64 = 86_400.0;
const SECOND_MICROSECONDS: f64 = 1e6;
const MICROSECOND_NANOSECONDS: i64 = 1_000;
const DAY_MICROSECONDS: i64 = 86_400_000_000;

static TIMES: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Scaled::function(false));
static OVER: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Scaled::function(true));
static OF_DURATION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(OfDuration { signature: Signature::user_defined(Volatility::Immutable) }))
});

/// The functions, to register by name: a plan that is written down and read again finds them there.
pub(super) fn functions() -> [Arc<ScalarUDF>; 3] {
    [times(), over(), of_duration()]
}

/// An interval times a double.
pub(super) fn times() -> Arc<ScalarUDF> {
    Arc::clone(&TIMES)
}

/// An interval divided by a double.
pub(super) fn over() -> Arc<ScalarUDF> {
    Arc::clone(&OVER)
}

/// A difference of timestamps as an interval.
pub(super) fn of_duration() -> Arc<ScalarUDF> {
    Arc::clone(&OF_DURATION)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Scaled {
    divides: bool,
    signature: Signature,
}

impl Scaled {
    fn function(divides: bool) -> Arc<ScalarUDF> {
        let signature = Signature::exact(vec![INTERVAL, DataType::Float64], Volatility::Immutable);
        Arc::new(ScalarUDF::from(Self { divides, signature }))
    }
}

impl ScalarUDFImpl for Scaled {
    fn name(&self) -> &str {
        if self.divides { "interval_over" } else { "interval_times" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let one_value = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [intervals, numbers] = take_function_args(self.name(), arrays)?;
        let scaled: ArrayRef = Arc::new(self.scaled(&intervals, &numbers)?);
        Ok(match one_value {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&scaled, 0)?),
            false => ColumnarValue::Array(scaled),
        })
    }
}

impl Scaled {
    fn scaled(&self, intervals: &ArrayRef, numbers: &ArrayRef) -> Result<IntervalMonthDayNanoArray> {
        let (intervals, numbers) =
            (intervals.as_primitive::<IntervalMonthDayNanoType>(), numbers.as_primitive::<Float64Type>());
        let scaled = try_binary::<_, _, _, IntervalMonthDayNanoType>(intervals, numbers, |interval, number| {
            if self.divides && number == 0.0 {
                return Err(ArrowError::DivideByZero);
            }
            let scale = |part: f64| if self.divides { part / number } else { part * number };
            let sign = if self.divides { '/' } else { '*' };
            scaled(interval, scale)
                .ok_or_else(|| ArrowError::ArithmeticOverflow(format!("{interval:?} {sign} {number}")))
        });
        scaled.map_err(|error| ArithmeticError::from_kernel(error, &INTERVAL))
    }
}

/// `None` where a part has no room.
#[expect(clippy::cast_precision_loss, reason = "an interval times a double is as exact as a double")]
fn scaled(interval: IntervalMonthDayNano, scale: impl Fn(f64) -> f64) -> Option<IntervalMonthDayNano> {
    // What a double leaves behind the microseconds is none.
    let rounded = |value: f64| (value * SECOND_MICROSECONDS).round_ties_even() / SECOND_MICROSECONDS;
    let (all_months, all_days) = (scale(interval.months.into()), scale(interval.days.into()));
    let (months, days) = (all_months.trunc(), all_days.trunc());
    let days_of_months = rounded((all_months - months) * MONTH_DAYS);
    let mut seconds = rounded((all_days - days + days_of_months.fract()) * DAY_SECONDS);
    let mut days = days + days_of_months.trunc();
    if seconds.abs() >= DAY_SECONDS {
        let whole = (seconds / DAY_SECONDS).trunc();
        days += whole;
        seconds -= whole * DAY_SECONDS;
    }
    let time = scale(interval.nanoseconds as f64 / MICROSECOND_NANOSECONDS as f64);
    let microseconds = (time + seconds * SECOND_MICROSECONDS).round_ties_even();
    let nanoseconds = whole(microseconds)?.checked_mul(MICROSECOND_NANOSECONDS)?;
    let narrow = |part: f64| i32::try_from(whole(part)?).ok();
    Some(IntervalMonthDayNano::new(narrow(months)?, narrow(days)?, nanoseconds))
}

/// A double without a fraction as an integer.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(number: f64) -> Option<i64> {
    // 2^63 is the first double that is too large.
    let limit = 9_223_372_036_854_775_808.0;
    (number >= -limit && number < limit).then_some(number as i64)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfDuration {
    signature: Signature,
}

impl ScalarUDFImpl for OfDuration {
    fn name(&self) -> &str {
        "interval_of_difference"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Duration(_)] => Ok(types.to_vec()),
            _ => plan_err!("{} takes one difference of timestamps", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [duration] = take_function_args(self.name(), args.args)?;
        Ok(match duration {
            ColumnarValue::Array(array) => ColumnarValue::Array(intervals(&array)?),
            ColumnarValue::Scalar(scalar) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&intervals(&scalar.to_array()?)?, 0)?)
            }
        })
    }
}

fn intervals(durations: &ArrayRef) -> Result<ArrayRef> {
    let per_day = match durations.data_type() {
        DataType::Duration(TimeUnit::Second) => DAY_MICROSECONDS / 1_000_000,
        DataType::Duration(TimeUnit::Millisecond) => DAY_MICROSECONDS / 1_000,
        DataType::Duration(TimeUnit::Microsecond) => DAY_MICROSECONDS,
        _ => DAY_MICROSECONDS * MICROSECOND_NANOSECONDS,
    };
    let nanoseconds = DAY_MICROSECONDS * MICROSECOND_NANOSECONDS / per_day;
    let numbers = cast(durations, &DataType::Int64)?;
    let intervals =
        numbers.as_primitive::<Int64Type>().try_unary::<_, IntervalMonthDayNanoType, ArrowError>(|number| {
            let days = i32::try_from(number / per_day)
                .map_err(|_| ArrowError::ArithmeticOverflow(format!("{} days", number / per_day)))?;
            Ok(IntervalMonthDayNano::new(0, days, number % per_day * nanoseconds))
        });
    let intervals = intervals.map_err(|error| ArithmeticError::from_kernel(error, &INTERVAL))?;
    Ok(Arc::new(intervals))
}
