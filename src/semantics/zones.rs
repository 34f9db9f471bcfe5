//! `AT TIME ZONE`: an instant becomes the time that clocks show there, and what clocks show becomes an instant (SQL:2016, 6.35;
//! PostgreSQL's manual, 9.9.4). DataFusion only writes the zone beside the instant.

use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::types::UTC;

/// By what `AT TIME ZONE` is called.
pub(super) const NAME: &str = "at_time_zone";

/// No clocks are put forward by more.
const GAP_HOURS_MAX: i64 = 24;

static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(AtTimeZone { signature: Signature::user_defined(Volatility::Immutable) }))
});

/// The function: a timestamp and the name of a zone.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::clone(&FUNCTION)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AtTimeZone {
    signature: Signature,
}

impl ScalarUDFImpl for AtTimeZone {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [value, zone] = take_function_args(NAME, types)?;
        let value = match value {
            DataType::Timestamp(..) => value.clone(),
            // A date beside a zone is the instant at which it begins, in UTC as all sessions are.
            DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            _ => return plan_err!("AT TIME ZONE stands behind a timestamp"),
        };
        match zone {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(vec![value, DataType::Utf8]),
            _ => plan_err!("the zone behind AT TIME ZONE is a text"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [value, _] = take_function_args(NAME, types)?;
        match value {
            DataType::Timestamp(unit, None) => Ok(DataType::Timestamp(*unit, Some(UTC.into()))),
            DataType::Timestamp(unit, Some(_)) => Ok(DataType::Timestamp(*unit, None)),
            _ => plan_err!("AT TIME ZONE stands behind a timestamp"),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let to = args.return_field.data_type();
        let [value, zone] = take_function_args(NAME, args.args)?;
        let ColumnarValue::Scalar(zone) = zone else {
            return exec_err!("the zone behind AT TIME ZONE is one for all rows");
        };
        let Some(Some(name)) = zone.try_as_str() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(to)?));
        };
        let zone = zone_named(name).ok_or_else(|| {
            exec_datafusion_err!("there is no time zone '{name}'; write one like 'Europe/Berlin', 'UTC' or '-02:00', which is two hours ahead of UTC")
        })?;
        Ok(match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(moved(&array, zone, to)?),
            ColumnarValue::Scalar(scalar) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&moved(&scalar.to_array()?, zone, to)?, 0)?)
            }
        })
    }
}

/// A zone by its name. An offset is written as POSIX has it, as in PostgreSQL (manual, B.5): what is behind a plus is west of Greenwich.
fn zone_named(name: &str) -> Option<Tz> {
    let name = name.trim();
    let reversed = match (name.strip_prefix('+'), name.strip_prefix('-')) {
        (Some(behind), _) => format!("-{behind}"),
        (_, Some(ahead)) => format!("+{ahead}"),
        _ => return Tz::from_str(name).ok(),
    };
    Tz::from_str(&reversed).ok()
}

/// The last year for which the tables of zones say when clocks are put forward.
const YEAR_KNOWN_MAX: i32 = 2099;

/// After so many years weekdays and leap years are as they were, in this century and the next ones.
const YEARS_OF_CALENDAR: i32 = 28;

/// A time in the last years that are known, in which clocks are put forward on the same days, for one after them.
fn known(time: NaiveDateTime) -> Option<NaiveDateTime> {
    if time.year() <= YEAR_KNOWN_MAX {
        return Some(time);
    }
    let first = |year: i32| NaiveDate::from_ymd_opt(year, 1, 1);
    let wanted = first(time.year())?;
    let same = (YEAR_KNOWN_MAX - YEARS_OF_CALENDAR + 1..=YEAR_KNOWN_MAX).find(|year| {
        first(*year).is_some_and(|day| day.weekday() == wanted.weekday() && day.leap_year() == wanted.leap_year())
    })?;
    time.with_year(same)
}

fn moved(timestamps: &ArrayRef, zone: Tz, to: &DataType) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, has) = timestamps.data_type() else {
        return exec_err!("AT TIME ZONE stands behind a timestamp");
    };
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let is_instant = has.is_some();
    let numbers = arrow::compute::cast(timestamps, &DataType::Int64)?;
    let moved = numbers.as_primitive::<Int64Type>().try_unary::<_, Int64Type, _>(|number| {
        let out_of_range = || exec_datafusion_err!("a timestamp for which no time zone is known");
        let seconds = DateTime::from_timestamp(number.div_euclid(per_second), 0).ok_or_else(out_of_range)?.naive_utc();
        let ahead = match is_instant {
            true => i64::from(
                zone.offset_from_utc_datetime(&known(seconds).ok_or_else(out_of_range)?).fix().local_minus_utc(),
            ),
            false => -offset_of_clocks(zone, &seconds).ok_or_else(out_of_range)?,
        };
        number.checked_add(ahead * per_second).ok_or_else(out_of_range)
    })?;
    Ok(arrow::compute::cast(&moved, to)?)
}

/// By how many seconds clocks are ahead of UTC that show this time. What they show twice is of the second time, and what they leave
/// out is reckoned from before the gap, as in PostgreSQL.
fn offset_of_clocks(zone: Tz, shown: &NaiveDateTime) -> Option<i64> {
    let shown = &known(*shown)?;
    let offset = match zone.offset_from_local_datetime(shown) {
        MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(_, offset) => offset,
        MappedLocalTime::None => {
            let before = shown.checked_sub_signed(TimeDelta::hours(GAP_HOURS_MAX))?;
            zone.offset_from_local_datetime(&before).latest()?
        }
    };
    Some(offset.fix().local_minus_utc().into())
}
