//! Dates, times and intervals. What is out of PostgreSQL's range PostgreSQL says; checked here is only what would become
//! another value.

use arrow::datatypes::IntervalMonthDayNano;

use super::Unwritable;

/// Days from 1970-01-01 to PostgreSQL's epoch, 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
const NANOS_PER_MICRO: i64 = 1_000;

/// The least and the greatest number mean the infinities.
pub(super) fn put_date(days: i32, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let days = days.checked_sub(EPOCH_DAYS).filter(|days| ![i32::MIN, i32::MAX].contains(days));
    let days = days.ok_or_else(|| Unwritable::new("a date out of PostgreSQL's range"))?;
    out.extend_from_slice(&days.to_be_bytes());
    Ok(())
}

/// As [`put_date`].
pub(super) fn put_timestamp(micros: i64, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let micros = micros.checked_sub(EPOCH_MICROS).filter(|micros| ![i64::MIN, i64::MAX].contains(micros));
    let micros = micros.ok_or_else(|| Unwritable::new("a timestamp out of PostgreSQL's range"))?;
    out.extend_from_slice(&micros.to_be_bytes());
    Ok(())
}

pub(super) fn put_interval(interval: IntervalMonthDayNano, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    if interval.nanoseconds % NANOS_PER_MICRO != 0 {
        return Err(Unwritable::new("an interval with parts of a microsecond, which PostgreSQL does not have"));
    }
    out.extend_from_slice(&(interval.nanoseconds / NANOS_PER_MICRO).to_be_bytes());
    out.extend_from_slice(&interval.days.to_be_bytes());
    out.extend_from_slice(&interval.months.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_microseconds_count_from_2000() {
        let mut out = Vec::new();
        put_date(10_957, &mut out).unwrap();
        put_timestamp(946_684_800_000_001, &mut out).unwrap();
        assert_eq!(out, [&0_i32.to_be_bytes()[..], &1_i64.to_be_bytes()[..]].concat());
    }

    #[test]
    fn no_value_becomes_an_infinity() {
        for days in [i32::MIN, i32::MIN + EPOCH_DAYS] {
            assert!(put_date(days, &mut Vec::new()).is_err(), "{days}");
        }
        for micros in [i64::MIN, i64::MIN + EPOCH_MICROS] {
            assert!(put_timestamp(micros, &mut Vec::new()).is_err(), "{micros}");
        }
        assert!(put_date(i32::MIN + EPOCH_DAYS + 1, &mut Vec::new()).is_ok());
    }

    #[test]
    fn intervals_have_microseconds() {
        let mut out = Vec::new();
        put_interval(IntervalMonthDayNano::new(-14, 2, 3_600_000_000_000), &mut out).unwrap();
        let expected = [&3_600_000_000_i64.to_be_bytes()[..], &2_i32.to_be_bytes()[..], &(-14_i32).to_be_bytes()[..]];
        assert_eq!(out, expected.concat());
        assert!(put_interval(IntervalMonthDayNano::new(0, 0, 1_001), &mut Vec::new()).is_err());
    }
}
