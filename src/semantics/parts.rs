//! `extract` and `date_part`: seconds, milliseconds and `epoch` with their fraction, and all parts of intervals, as PostgreSQL gives them
//! (manual, 9.9.1); of these DataFusion cuts the fraction off, and takes the whole of a difference for each of its parts. What is whole of
//! dates and times is DataFusion's.
//!
//! A difference of timestamps has days and what is left of them, hours, minutes and seconds. A year is 365.25 days long, a month 30.

use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array};
use arrow::compute::kernels::cast_utils::IntervalUnit as Unit;
use arrow::compute::{CastOptions, DatePart as ArrowPart, cast, cast_with_options, date_part};
use arrow::datatypes::{
    DataType, Field, FieldRef, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, internal_err, plan_err};
use datafusion::functions::datetime::date_part::DatePartFunc;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

const SECOND: i128 = 1_000_000_000;
const MINUTE: i128 = 60 * SECOND;
const HOUR: i128 = 60 * MINUTE;
const DAY: i128 = 24 * HOUR;

static FUNCTION: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Parts { whole: DatePartFunc::new() })));

/// The function, to register by name.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::clone(&FUNCTION)
}

/// Whether this is the function above: no float that it gives is a negative zero.
pub(super) fn is_parts(udf: &ScalarUDF) -> bool {
    udf.inner().is::<Parts>()
}

/// Plans `extract`.
#[derive(Debug)]
pub(super) struct PartsOfTimes;

impl ExprPlanner for PartsOfTimes {
    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function(), args))))
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Millennium,
    Century,
    Decade,
    Year,
    Quarter,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    Epoch,
}

impl Part {
    /// `None` for a part that only dates have, such as `week`.
    fn named(name: &str) -> Option<Self> {
        let name = name.trim_matches(['\'', '"']).to_lowercase();
        match name.as_str() {
            "millennium" | "millennia" => return Some(Self::Millennium),
            "qtr" | "quarter" => return Some(Self::Quarter),
            "epoch" => return Some(Self::Epoch),
            _ => {}
        }
        Some(match Unit::from_str(&name).ok()? {
            Unit::Century => Self::Century,
            Unit::Decade => Self::Decade,
            Unit::Year => Self::Year,
            Unit::Month => Self::Month,
            Unit::Day => Self::Day,
            Unit::Hour => Self::Hour,
            Unit::Minute => Self::Minute,
            Unit::Second => Self::Second,
            Unit::Millisecond => Self::Millisecond,
            Unit::Microsecond => Self::Microsecond,
            Unit::Nanosecond => Self::Nanosecond,
            _ => return None,
        })
    }

    fn result(self) -> DataType {
        match self {
            Self::Second | Self::Millisecond | Self::Epoch => DataType::Float64,
            Self::Nanosecond => DataType::Int64,
            _ => DataType::Int32,
        }
    }

    /// Whether the part of a date, a time or a timestamp is computed here.
    fn is_ours(self) -> bool {
        matches!(self, Self::Millennium | Self::Century | Self::Decade | Self::Second | Self::Millisecond | Self::Epoch)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Parts {
    whole: DatePartFunc,
}

impl ScalarUDFImpl for Parts {
    fn name(&self) -> &str {
        self.whole.name()
    }

    fn aliases(&self) -> &[String] {
        self.whole.aliases()
    }

    fn signature(&self) -> &Signature {
        self.whole.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.whole.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [name, _] = take_function_args(self.name(), args.scalar_arguments)?;
        let [_, value] = take_function_args(self.name(), args.arg_fields)?;
        let name = name.and_then(|name| name.try_as_str().flatten());
        let part = name.and_then(Part::named);
        match (part, is_span(value.data_type())) {
            (Some(part), true) => Ok(Arc::new(Field::new(self.name(), part.result(), value.is_nullable()))),
            (Some(part), false) if part.is_ours() => {
                Ok(Arc::new(Field::new(self.name(), part.result(), value.is_nullable())))
            }
            (None, true) => plan_err!("an interval has no part '{}'", name.unwrap_or_default()),
            _ => self.whole.return_field_from_args(args),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let part = match args.args.first() {
            Some(ColumnarValue::Scalar(name)) => name.try_as_str().flatten().and_then(Part::named),
            _ => None,
        };
        let value = args.args.get(1).map(ColumnarValue::data_type);
        let is_span = value.as_ref().is_some_and(is_span);
        let Some(part) = part.filter(|part| is_span || part.is_ours()) else {
            return self.whole.invoke_with_args(args);
        };
        let [_, value] = take_function_args(self.name(), args.args)?;
        let compute = |array: &ArrayRef| if is_span { of_span(array, part) } else { of_time(array, part) };
        Ok(match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(compute(&array)?),
            ColumnarValue::Scalar(scalar) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&compute(&scalar.to_array()?)?, 0)?)
            }
        })
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.whole.preimage(args, literal, info)
    }
}

/// Whether a value is a length of time.
fn is_span(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

/// A length of time: months, days, and nanoseconds.
type Span = (i128, i128, i128);

fn of_span(spans: &ArrayRef, part: Part) -> Result<ArrayRef> {
    let spans: Vec<Option<Span>> = match spans.data_type() {
        DataType::Duration(unit) => {
            let factor = SECOND / i128::from(per_second(*unit));
            let whole = |number: i64| {
                let nanoseconds = i128::from(number) * factor;
                (0, nanoseconds / DAY, nanoseconds % DAY)
            };
            let numbers = cast(spans, &DataType::Int64)?;
            numbers.as_primitive::<Int64Type>().iter().map(|number| number.map(whole)).collect()
        }
        _ => {
            let intervals = cast(spans, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            let parts = intervals.as_primitive::<IntervalMonthDayNanoType>();
            parts.iter().map(|i| i.map(|i| (i.months.into(), i.days.into(), i.nanoseconds.into()))).collect()
        }
    };
    let whole = |(months, days, nanoseconds): Span| match part {
        Part::Millennium => months / 12 / 1000,
        Part::Century => months / 12 / 100,
        Part::Decade => months / 12 / 10,
        Part::Year => months / 12,
        Part::Quarter => months % 12 / 3 + 1,
        Part::Month => months % 12,
        Part::Day => days,
        Part::Hour => nanoseconds / HOUR,
        Part::Minute => nanoseconds % HOUR / MINUTE,
        Part::Second | Part::Millisecond | Part::Nanosecond => nanoseconds % MINUTE,
        Part::Microsecond => nanoseconds % MINUTE / 1000,
        Part::Epoch => (months / 12 * 1461 + months % 12 * 120 + days * 4) * (DAY / 4) + nanoseconds,
    };
    numbers(spans.into_iter().map(|span| span.map(whole)), part, SECOND)
}

fn of_time(times: &ArrayRef, part: Part) -> Result<ArrayRef> {
    if let Part::Millennium | Part::Century | Part::Decade = part {
        let years = date_part(times, ArrowPart::Year)?;
        // There is no year 0 in a century: what is one here is 1 BC.
        let of_year = |year: i32| match part {
            Part::Decade => year.div_euclid(10),
            Part::Century => (year - 1).div_euclid(100) + i32::from(year > 0),
            _ => (year - 1).div_euclid(1000) + i32::from(year > 0),
        };
        return Ok(Arc::new(years.as_primitive::<Int32Type>().unary::<_, Int32Type>(of_year)));
    }
    let unit = match times.data_type() {
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => *unit,
        DataType::Date32 | DataType::Date64 => TimeUnit::Second,
        other => return internal_err!("{other} is no time"),
    };
    let ticks = match times.data_type() {
        DataType::Date32 | DataType::Date64 => {
            let options = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(times, &DataType::Timestamp(TimeUnit::Second, None), &options)?
        }
        DataType::Time32(_) => cast(times, &DataType::Int32)?,
        _ => Arc::clone(times),
    };
    let ticks = cast(&ticks, &DataType::Int64)?;
    let per_second = i128::from(per_second(unit));
    let whole = |tick: i64| match part {
        Part::Epoch => i128::from(tick),
        _ => i128::from(tick).rem_euclid(60 * per_second),
    };
    numbers(ticks.as_primitive::<Int64Type>().iter().map(|tick| tick.map(whole)), part, per_second)
}

/// Whole numbers as the part has them. Seconds come in parts of them.
fn numbers(values: impl Iterator<Item = Option<i128>>, part: Part, per_second: i128) -> Result<ArrayRef> {
    Ok(match part.result() {
        DataType::Float64 => {
            let factor = if part == Part::Millisecond { 1000 } else { 1 };
            let values = values.map(|value| value.map(|value| quotient(value * factor, per_second)));
            Arc::new(values.collect::<Float64Array>())
        }
        DataType::Int64 => Arc::new(values.map(|value| value.map(narrow).transpose()).collect::<Result<Int64Array>>()?),
        _ => Arc::new(values.map(|value| value.map(narrow).transpose()).collect::<Result<Int32Array>>()?),
    })
}

fn narrow<T: TryFrom<i128>>(value: i128) -> Result<T> {
    T::try_from(value).map_err(|_| exec_datafusion_err!("a part of an interval is out of range: {value}"))
}

/// The nearest double, where the dividend has not more than 53 bits without the zeros at its end.
#[expect(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
fn quotient(mut dividend: i128, mut divisor: i128) -> f64 {
    while divisor % 10 == 0 && dividend % 10 == 0 && dividend != 0 {
        dividend /= 10;
        divisor /= 10;
    }
    dividend as f64 / divisor as f64
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}
