//! Texts that become dates, times and timestamps, as PostgreSQL reads them (manual, 8.5.1).
//!
//! Arrow takes `102030` for a fraction of a second, brings a date or a timestamp without time zone to UTC by the zone that is written
//! behind it, and cuts off digits that the type does not have. Here `102030` is 10:20:30, a zone that the type does not have is passed
//! over, and digits round. What is written in no way that is known here is left to Arrow.

use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimeUnit};
use chrono::{NaiveDate, NaiveTime};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

const STRICT_NAME: &str = "time_of_text";
const TRY_NAME: &str = "try_time_of_text";

const MICROS_OF_SECOND: i64 = 1_000_000;
const NANOS_OF_SECOND: i64 = 1_000_000_000;
const SECONDS_OF_DAY: i64 = 24 * 60 * 60;

/// The hours that a zone is ahead of UTC or behind it, at most.
const HOURS_AHEAD_MAX: i64 = 15;

static STRICT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(TimeOfText::new(false))));
static TRY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(TimeOfText::new(true))));

/// The functions, to register by name.
pub(super) fn functions() -> [Arc<ScalarUDF>; 2] {
    [Arc::clone(&STRICT), Arc::clone(&TRY)]
}

/// Whether this is one of the functions above.
pub(super) fn is_time_of_text(udf: &ScalarUDF) -> bool {
    udf.inner().is::<TimeOfText>()
}

/// The cast of a text to a date, time or timestamp: its value, if it is written out, or else a call. `None` of another cast.
pub(super) fn of_text(operand: &Expr, from: &DataType, to: &DataType, tries: bool) -> Option<Expr> {
    if !from.is_string() {
        return None;
    }
    let like = like(to)?;
    // What cannot be read is an error where it is needed.
    if let Expr::Literal(value, metadata) = operand
        && let Ok(read) = value.to_array().and_then(|text| times(&text, to, tries))
        && let Ok(value) = ScalarValue::try_from_array(&read, 0)
    {
        return Some(Expr::Literal(value, metadata.clone()));
    }
    let function = if tries { &TRY } else { &STRICT };
    let args = vec![operand.clone(), Expr::Literal(like, None)];
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), args)))
}

/// What the function is called with, and the type that was asked for: for EXPLAIN.
pub(super) fn written(call: &ScalarFunction) -> Option<(&Expr, DataType)> {
    match call.args.as_slice() {
        [operand, Expr::Literal(like, _)] => Some((operand, like.data_type())),
        _ => None,
    }
}

/// Some value of a type; `None` of one that no text is read as here.
fn like(to: &DataType) -> Option<ScalarValue> {
    Some(match to {
        DataType::Date32 => ScalarValue::Date32(Some(0)),
        DataType::Time32(TimeUnit::Second) => ScalarValue::Time32Second(Some(0)),
        DataType::Time32(TimeUnit::Millisecond) => ScalarValue::Time32Millisecond(Some(0)),
        DataType::Time64(TimeUnit::Microsecond) => ScalarValue::Time64Microsecond(Some(0)),
        DataType::Time64(TimeUnit::Nanosecond) => ScalarValue::Time64Nanosecond(Some(0)),
        DataType::Timestamp(TimeUnit::Second, zone) => ScalarValue::TimestampSecond(Some(sum(zone)), zone.clone()),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            ScalarValue::TimestampMillisecond(Some(sum(zone)), zone.clone())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            ScalarValue::TimestampMicrosecond(Some(sum(zone)), zone.clone())
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            ScalarValue::TimestampNanosecond(Some(sum(zone)), zone.clone())
        }
        _ => return None,
    })
}

/// A number that tells zones apart: values that differ in nothing but their zones are equal for DataFusion, which would compute one
/// of two casts alone.
fn sum(zone: &Option<Arc<str>>) -> i64 {
    zone.iter().flat_map(|zone| zone.bytes()).fold(0, |sum, byte| (sum * 31 + i64::from(byte) + 1) % SECONDS_OF_DAY)
}

/// `time_of_text(text, like)`: the text as a value of the type of another.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeOfText {
    signature: Signature,
    /// Whether what cannot be read is NULL.
    tries: bool,
}

impl TimeOfText {
    fn new(tries: bool) -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable), tries }
    }
}

impl ScalarUDFImpl for TimeOfText {
    fn name(&self) -> &str {
        if self.tries { TRY_NAME } else { STRICT_NAME }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [_, like] = take_function_args(self.name(), types)?;
        Ok(like.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [text, like] = take_function_args(self.name(), args.arg_fields)?;
        Ok(Arc::new(Field::new(self.name(), like.data_type().clone(), self.tries || text.is_nullable())))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let to = args.return_field.data_type();
        let [text, _] = take_function_args(self.name(), args.args)?;
        Ok(match text {
            ColumnarValue::Array(array) => ColumnarValue::Array(times(&array, to, self.tries)?),
            ColumnarValue::Scalar(scalar) => {
                let one = times(&scalar.to_array()?, to, self.tries)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&one, 0)?)
            }
        })
    }
}

/// Texts as values of a type.
fn times(texts: &ArrayRef, to: &DataType, tries: bool) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let numbers: Vec<Option<i64>> = texts.iter().map(|text| text.and_then(|text| number_of(text, to))).collect();
    let others: StringArray =
        texts.iter().zip(&numbers).map(|(text, number)| if number.is_none() { text } else { None }).collect();
    let of_arrow = match others.null_count() == others.len() {
        true => None,
        false => {
            if let (DataType::Time32(_) | DataType::Time64(_), false) = (to, tries)
                && let Some(digits) = others.iter().flatten().find(|text| is_number(text.trim()))
            {
                return Err(exec_datafusion_err!("'{digits}' is no time of day; write one like '10:20:30'"));
            }
            let options = CastOptions { safe: tries, ..CastOptions::default() };
            let read = cast_with_options(&others, to, &options)?;
            Some(cast(&wide(&read)?, &DataType::Int64)?)
        }
    };
    let of_arrow = of_arrow.as_ref().map(|numbers| numbers.as_primitive::<Int64Type>());
    let all = numbers.into_iter().enumerate().map(|(row, number)| {
        number.or_else(|| of_arrow.filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row)))
    });
    let all: arrow::array::Int64Array = all.collect();
    Ok(match to {
        DataType::Date32 | DataType::Time32(_) => cast(&cast(&all, &DataType::Int32)?, to)?,
        _ => cast(&all, to)?,
    })
}

/// Numbers of 32 bits as such; others as they are.
fn wide(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(match values.data_type() {
        DataType::Date32 | DataType::Time32(_) => cast(values, &DataType::Int32)?,
        _ => Arc::clone(values),
    })
}

/// The number that stands for a text in a type: days, or units after midnight, or after 1970 began. `None` of what is not read here.
fn number_of(text: &str, to: &DataType) -> Option<i64> {
    let text = text.trim();
    match to {
        DataType::Date32 => {
            let (date, rest) = date(text)?;
            rest.is_empty().then_some(()).or_else(|| clock_and_zone(rest).map(|_| ()))?;
            Some(days(date))
        }
        DataType::Time32(unit) | DataType::Time64(unit) => {
            let (clock, zone) = clock(text).or_else(|| packed_clock(text))?;
            zone_ahead(zone)?;
            let value = clock.in_units(*unit)?;
            (value < per_second(*unit) * SECONDS_OF_DAY).then_some(value)
        }
        DataType::Timestamp(unit, has_zone) => {
            let (date, rest) = date(text)?;
            let (clock, ahead) =
                if rest.is_empty() { (Clock::default(), Ahead::Unsaid) } else { clock_and_zone(rest)? };
            let ahead = match (has_zone, ahead) {
                (None, _) | (_, Ahead::Unsaid) => 0,
                (Some(_), Ahead::Seconds(seconds)) => seconds,
                // Whether clocks are put forward there is known to Arrow.
                (Some(_), Ahead::Named) => return None,
            };
            let day = days(date).checked_mul(SECONDS_OF_DAY)?.checked_sub(ahead)?.checked_mul(per_second(*unit))?;
            day.checked_add(clock.in_units(*unit)?)
        }
        _ => None,
    }
}

fn days(date: NaiveDate) -> i64 {
    date.signed_duration_since(NaiveDate::default()).num_days()
}

/// `2024-1-31`, and what is behind it.
fn date(text: &str) -> Option<(NaiveDate, &str)> {
    let (year, rest) = digits(text, 4..=6)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 1..=2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 1..=2)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month.try_into().ok()?, day.try_into().ok()?)?;
    Some((date, rest))
}

/// The time of day behind a date, and its zone.
fn clock_and_zone(text: &str) -> Option<(Clock, Ahead)> {
    let text = text.strip_prefix('T').or_else(|| text.strip_prefix('t')).or_else(|| text.strip_prefix(' '))?;
    let (clock, zone) = clock(text.trim_start())?;
    Some((clock, zone_ahead(zone)?))
}

/// A time of day: seconds, and the fraction of one in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Clock {
    seconds: i64,
    nanos: i64,
}

impl Clock {
    fn new(hour: u32, minute: u32, second: u32, nanos: i64) -> Option<Self> {
        use chrono::Timelike;
        let time = NaiveTime::from_hms_opt(hour, minute, second)?;
        Some(Self { seconds: time.num_seconds_from_midnight().into(), nanos })
    }

    /// In units of a type, rounded: to microseconds, a half to the even one, and from there to coarser units, a half up.
    fn in_units(self, unit: TimeUnit) -> Option<i64> {
        if unit == TimeUnit::Nanosecond {
            return self.seconds.checked_mul(NANOS_OF_SECOND)?.checked_add(self.nanos);
        }
        let per_micro = NANOS_OF_SECOND / MICROS_OF_SECOND;
        let (below, rest) = (self.nanos / per_micro, self.nanos % per_micro);
        let up = rest * 2 > per_micro || rest * 2 == per_micro && below % 2 == 1;
        let micros = self.seconds * MICROS_OF_SECOND + below + i64::from(up);
        let coarser = MICROS_OF_SECOND / per_second(unit);
        Some((micros + coarser / 2) / coarser)
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => MICROS_OF_SECOND,
        TimeUnit::Nanosecond => NANOS_OF_SECOND,
    }
}

/// `10:20`, `10:20:30` or `10:20:30.5`, and what is behind it.
fn clock(text: &str) -> Option<(Clock, &str)> {
    let (hour, rest) = digits(text, 1..=2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2..=2)?;
    let (second, nanos, rest) = match rest.strip_prefix(':') {
        Some(rest) => {
            let (second, rest) = digits(rest, 2..=2)?;
            let (nanos, rest) = fraction(rest)?;
            (second, nanos, rest)
        }
        None => (0, 0, rest),
    };
    Some((Clock::new(hour.try_into().ok()?, minute.try_into().ok()?, second.try_into().ok()?, nanos)?, rest))
}

/// `1020`, `102030` or `102030.5`, and what is behind it.
fn packed_clock(text: &str) -> Option<(Clock, &str)> {
    let (number, rest) = digits(text, 4..=6)?;
    let (hour, minute, second) = match text.len() - rest.len() {
        4 => (number / 100, number % 100, 0),
        6 => (number / 10_000, number / 100 % 100, number % 100),
        _ => return None,
    };
    let (nanos, rest) = fraction(rest)?;
    Some((Clock::new(hour.try_into().ok()?, minute.try_into().ok()?, second.try_into().ok()?, nanos)?, rest))
}

/// `.5` in nanoseconds, and what is behind it; nothing, if there is no point.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(behind) = text.strip_prefix('.') else { return Some((0, text)) };
    let count = behind.bytes().take_while(u8::is_ascii_digit).count();
    let (written, rest) = behind.split_at_checked(count)?;
    let nine: String = written.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanos = nine.parse::<i64>().ok()?;
    // A half of a microsecond, with something behind it, is more than a half.
    let more = written.bytes().skip(9).any(|digit| digit != b'0');
    Some((nanos + i64::from(more && nanos % 1_000 == 500), rest))
}

/// What a zone behind a time says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ahead {
    Unsaid,
    /// By how many seconds clocks are ahead of UTC.
    Seconds(i64),
    Named,
}

/// `None` of what is no zone.
fn zone_ahead(text: &str) -> Option<Ahead> {
    let text = text.trim();
    match text {
        "" => return Some(Ahead::Unsaid),
        "Z" | "z" => return Some(Ahead::Seconds(0)),
        _ => {}
    }
    let (sign, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => (1, rest),
        (_, Some(rest)) => (-1, rest),
        _ => return Tz::from_str(text).ok().map(|_| Ahead::Named),
    };
    let (hours, minutes, seconds) = match rest.split(':').collect::<Vec<_>>().as_slice() {
        [packed] if packed.len() > 2 => {
            let packed = number(packed, 3..=4)?;
            (packed / 100, packed % 100, 0)
        }
        [hours] => (number(hours, 1..=2)?, 0, 0),
        [hours, minutes] => (number(hours, 1..=2)?, number(minutes, 2..=2)?, 0),
        [hours, minutes, seconds] => (number(hours, 1..=2)?, number(minutes, 2..=2)?, number(seconds, 2..=2)?),
        _ => return None,
    };
    let fits = hours <= HOURS_AHEAD_MAX && minutes < 60 && seconds < 60;
    fits.then_some(Ahead::Seconds(sign * (hours * 3_600 + minutes * 60 + seconds)))
}

/// A number with so many digits, and what is behind it.
fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<(i64, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (written, rest) = text.split_at_checked(length)?;
    count.contains(&length).then_some(())?;
    Some((written.parse().ok()?, rest))
}

fn number(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<i64> {
    digits(text, count).filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_postgresql_reads_them() {
        let time = DataType::Time64(TimeUnit::Microsecond);
        let seconds = DataType::Timestamp(TimeUnit::Second, None);
        let instant = DataType::Timestamp(TimeUnit::Second, Some("UTC".into()));
        let ten = 10 * 3_600;
        for (text, to, expected) in [
            ("2024-01-01 23:00:00-05", &DataType::Date32, Some(19_723)),
            ("2024-1-1", &DataType::Date32, Some(19_723)),
            ("2024-02-30", &DataType::Date32, None),
            ("2024-01-01 x", &DataType::Date32, None),
            ("102030", &time, Some((ten + 20 * 60 + 30) * MICROS_OF_SECOND)),
            ("1020", &time, Some((ten + 20 * 60) * MICROS_OF_SECOND)),
            ("10:20:30.0000005", &time, Some((ten + 20 * 60 + 30) * MICROS_OF_SECOND)),
            ("10:20:30.00000051", &time, Some((ten + 20 * 60 + 30) * MICROS_OF_SECOND + 1)),
            ("23:59:59.9999999", &time, None),
            ("7", &time, None),
            ("1970-01-01 10:00+02", &seconds, Some(ten)),
            ("1970-01-01 10:00+02", &instant, Some(ten - 2 * 3_600)),
            ("1970-01-01T10:00:00.5Z", &instant, Some(ten + 1)),
            ("1970-01-01 10:00 -0130", &instant, Some(ten + 5_400)),
            ("1970-01-01 10:00 Europe/Berlin", &seconds, Some(ten)),
            ("1970-01-01 10:00 Europe/Berlin", &instant, None),
            ("1970-01-01 10:00 nowhere", &seconds, None),
        ] {
            assert_eq!(number_of(text, to), expected, "{text} as {to}");
        }
    }
}
