//! Types of a fixed width.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder};
use arrow::datatypes::IntervalMonthDayNano;

use super::column::ValueError;
use super::nulls::Nulls;

/// Days from 1970-01-01 to PostgreSQL's epoch, 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
/// Microseconds of a day: PostgreSQL's `24:00:00`.
const DAY_MICROS: i64 = 86_400_000_000;
const NANOS_PER_MICRO: i64 = 1_000;

/// Truth values.
#[derive(Debug)]
pub(super) struct Booleans {
    values: BooleanBufferBuilder,
    nulls: Nulls,
}

impl Booleans {
    pub(super) fn new() -> Self {
        Self { values: BooleanBufferBuilder::new(0), nulls: Nulls::default() }
    }

    pub(super) fn push(&mut self, value: bool) {
        self.values.append(value);
        self.nulls.value();
    }

    pub(super) fn push_null(&mut self) {
        self.nulls.null(self.values.len());
        self.values.append(false);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(BooleanArray::new(self.values.finish(), self.nulls.finish()))
    }
}

#[inline]
fn bytes<const N: usize>(value: &[u8], type_name: &str) -> Result<[u8; N], ValueError> {
    value.try_into().map_err(|_| ValueError::length(type_name, value.len()))
}

#[inline]
pub(super) fn boolean(value: &[u8]) -> Result<bool, ValueError> {
    let [byte] = bytes(value, "boolean")?;
    Ok(byte != 0)
}

#[inline]
pub(super) fn int2(value: &[u8]) -> Result<i16, ValueError> {
    bytes(value, "smallint").map(i16::from_be_bytes)
}

#[inline]
pub(super) fn int4(value: &[u8]) -> Result<i32, ValueError> {
    bytes(value, "integer").map(i32::from_be_bytes)
}

#[inline]
pub(super) fn int8(value: &[u8]) -> Result<i64, ValueError> {
    bytes(value, "bigint").map(i64::from_be_bytes)
}

#[inline]
pub(super) fn oid(value: &[u8]) -> Result<i64, ValueError> {
    bytes(value, "oid").map(|bytes| i64::from(u32::from_be_bytes(bytes)))
}

/// The engine holds one NaN and one zero (`portolan_connector::canonical_floats`), PostgreSQL's bits may be any.
#[inline]
pub(super) fn float4(value: &[u8]) -> Result<f32, ValueError> {
    let number = f32::from_be_bytes(bytes(value, "real")?);
    Ok(if number.is_nan() { f32::NAN } else { number + 0.0 })
}

/// As [`float4`].
#[inline]
pub(super) fn float8(value: &[u8]) -> Result<f64, ValueError> {
    let number = f64::from_be_bytes(bytes(value, "double precision")?);
    Ok(if number.is_nan() { f64::NAN } else { number + 0.0 })
}

#[inline]
pub(super) fn date(value: &[u8]) -> Result<i32, ValueError> {
    let days = i32::from_be_bytes(bytes(value, "date")?);
    match days {
        i32::MAX => Err(infinite("infinity", "date")),
        i32::MIN => Err(infinite("-infinity", "date")),
        days => days.checked_add(EPOCH_DAYS).ok_or_else(|| ValueError::new("a date beyond the engine's last day")),
    }
}

#[inline]
pub(super) fn time(value: &[u8]) -> Result<i64, ValueError> {
    let micros = i64::from_be_bytes(bytes(value, "time")?);
    match micros {
        0..DAY_MICROS => Ok(micros),
        DAY_MICROS => Err(ValueError::new("the time 24:00:00, which the engine's times do not have")
            .hint("set temporal_out_of_range = \"clamp\" in the catalog to read it as 23:59:59.999999, or leave the column out")),
        other => Err(ValueError::new(format!("a time {other} microseconds after midnight"))),
    }
}

#[inline]
pub(super) fn timestamp(value: &[u8]) -> Result<i64, ValueError> {
    let micros = i64::from_be_bytes(bytes(value, "timestamp")?);
    match micros {
        i64::MAX => Err(infinite("infinity", "timestamp")),
        i64::MIN => Err(infinite("-infinity", "timestamp")),
        micros => micros.checked_add(EPOCH_MICROS).ok_or_else(|| {
            ValueError::new("a timestamp after 294247-01-10 04:00:54.775807, the engine's last one").hint(
                "set temporal_out_of_range = \"clamp\" in the catalog to read it as that one, or leave the column out",
            )
        }),
    }
}

/// What is beyond the engine's last day, or before its first, becomes that day.
pub(super) fn clamped_date(value: &[u8]) -> Result<i32, ValueError> {
    let days = i32::from_be_bytes(bytes(value, "date")?);
    Ok(if days == i32::MIN { i32::MIN } else { days.saturating_add(EPOCH_DAYS) })
}

/// As [`clamped_date`].
pub(super) fn clamped_time(value: &[u8]) -> Result<i64, ValueError> {
    match i64::from_be_bytes(bytes(value, "time")?) {
        DAY_MICROS => Ok(DAY_MICROS - 1),
        _ => time(value),
    }
}

/// As [`clamped_date`].
pub(super) fn clamped_timestamp(value: &[u8]) -> Result<i64, ValueError> {
    let micros = i64::from_be_bytes(bytes(value, "timestamp")?);
    Ok(if micros == i64::MIN { i64::MIN } else { micros.saturating_add(EPOCH_MICROS) })
}

/// Nanoseconds reach from the year 1677 to 2262.
pub(super) fn timestamp_nanos(value: &[u8]) -> Result<i64, ValueError> {
    timestamp(value)?.checked_mul(NANOS_PER_MICRO).ok_or_else(|| {
        ValueError::new("a timestamp outside of the years 1677 to 2262, which the engine makes of a date")
    })
}

#[cold]
fn infinite(word: &str, type_name: &str) -> ValueError {
    ValueError::new(format!("the {type_name} '{word}', which the engine's {type_name}s do not have"))
        .hint("set temporal_out_of_range = \"clamp\" in the catalog to read it as the last or the first one, or leave the column out")
}

#[inline]
pub(super) fn interval(value: &[u8]) -> Result<IntervalMonthDayNano, ValueError> {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes(value, "interval")?;
    let micros = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let days = i32::from_be_bytes([i, j, k, l]);
    let months = i32::from_be_bytes([m, n, o, p]);
    let nanos = micros.checked_mul(NANOS_PER_MICRO).ok_or_else(|| {
        ValueError::new("an interval whose time is longer than the engine's 2,562,047 hours")
            .hint("leave the column out, or read it as text through a view")
    })?;
    Ok(IntervalMonthDayNano::new(months, days, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_from_2000() {
        assert_eq!(date(&0_i32.to_be_bytes()), Ok(10_957));
        assert_eq!(date(&(-10_957_i32).to_be_bytes()), Ok(0));
        for infinite in [i32::MAX, i32::MIN] {
            assert!(date(&infinite.to_be_bytes()).unwrap_err().to_string().contains("infinity"));
        }
        assert!(date(&[0; 3]).is_err());
    }

    #[test]
    fn timestamps_end_where_the_engines_end() {
        // 2000-01-01 00:00:00 is 946684800 seconds after 1970.
        assert_eq!(timestamp(&0_i64.to_be_bytes()), Ok(946_684_800_000_000));
        assert!(timestamp(&i64::MAX.to_be_bytes()).unwrap_err().to_string().contains("infinity"));
        assert!(timestamp(&i64::MIN.to_be_bytes()).unwrap_err().to_string().contains("-infinity"));
        // PostgreSQL's last timestamp, 294276-12-31 23:59:59.999999.
        assert!(timestamp(&9_223_371_331_199_999_999_i64.to_be_bytes()).unwrap_err().to_string().contains("294247"));
        assert_eq!(timestamp(&(i64::MAX - EPOCH_MICROS).to_be_bytes()), Ok(i64::MAX));
    }

    #[test]
    fn nanoseconds_end_sooner() {
        assert_eq!(timestamp_nanos(&0_i64.to_be_bytes()), Ok(946_684_800_000_000_000));
        assert!(timestamp_nanos(&(1_000_i64 * 365 * DAY_MICROS).to_be_bytes()).is_err());
    }

    #[test]
    fn what_is_out_of_range_can_be_clamped() {
        assert_eq!(clamped_date(&i32::MAX.to_be_bytes()), Ok(i32::MAX));
        assert_eq!(clamped_date(&i32::MIN.to_be_bytes()), Ok(i32::MIN));
        assert_eq!(clamped_date(&0_i32.to_be_bytes()), Ok(10_957));
        assert_eq!(clamped_time(&DAY_MICROS.to_be_bytes()), Ok(DAY_MICROS - 1));
        assert_eq!(clamped_time(&7_i64.to_be_bytes()), Ok(7));
        for beyond in [i64::MAX, 9_223_371_331_199_999_999] {
            assert_eq!(clamped_timestamp(&beyond.to_be_bytes()), Ok(i64::MAX));
        }
        assert_eq!(clamped_timestamp(&i64::MIN.to_be_bytes()), Ok(i64::MIN));
        assert_eq!(clamped_timestamp(&0_i64.to_be_bytes()), Ok(946_684_800_000_000));
    }

    #[test]
    fn there_is_one_nan_and_one_zero() {
        for bits in [0xfff8_0000_0000_0000_u64, 0x7ff0_0000_0000_0001, 0x7ff8_0000_0000_0000] {
            assert_eq!(float8(&bits.to_be_bytes()).unwrap().to_bits(), f64::NAN.to_bits());
        }
        assert_eq!(float8(&(-0.0_f64).to_be_bytes()).unwrap().to_bits(), 0.0_f64.to_bits());
        assert_eq!(float8(&f64::MIN_POSITIVE.to_be_bytes()), Ok(f64::MIN_POSITIVE));
        assert_eq!(float4(&0xffc0_0000_u32.to_be_bytes()).unwrap().to_bits(), f32::NAN.to_bits());
    }

    #[test]
    fn intervals_keep_their_parts() {
        let mut value = 3_600_000_000_i64.to_be_bytes().to_vec();
        value.extend(2_i32.to_be_bytes());
        value.extend((-14_i32).to_be_bytes());
        assert_eq!(interval(&value), Ok(IntervalMonthDayNano::new(-14, 2, 3_600_000_000_000)));
        let mut long = i64::MAX.to_be_bytes().to_vec();
        long.extend([0; 8]);
        assert!(interval(&long).is_err());
        assert!(interval(&[0; 15]).is_err());
    }

    #[test]
    fn a_day_has_no_24th_hour() {
        assert_eq!(time(&(DAY_MICROS - 1).to_be_bytes()), Ok(DAY_MICROS - 1));
        assert!(time(&DAY_MICROS.to_be_bytes()).unwrap_err().to_string().contains("24:00:00"));
        assert!(time(&(-1_i64).to_be_bytes()).is_err());
    }
}
