//! Dates, times and intervals as text, in the whole range of their Arrow types.

use std::fmt::Write;

use arrow::array::timezone::Tz;
use arrow::datatypes::TimeUnit;
use chrono::{DateTime, Offset, TimeZone};

pub(super) const DAY_MILLISECONDS: i64 = 86_400_000;
pub(super) const DAY_NANOSECONDS: i128 = 86_400_000_000_000;
const DAY_SECONDS: i64 = 86_400;
const SECOND_NANOSECONDS: i64 = 1_000_000_000;

/// Nanoseconds in a unit of time.
pub(super) fn nanoseconds_of(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => SECOND_NANOSECONDS,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// `2026-10-31`, from days since 1970-01-01 in the proleptic Gregorian calendar. The year before 1 is 0.
pub(super) fn date(days: i64, out: &mut String) {
    let (year, month, day) = civil(days);
    let sign = if year < 0 { "-" } else { "" };
    let _ = write!(out, "{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs());
}

/// Year, month and day of a number of days since 1970-01-01.
///
/// Years are counted from March, so that the leap day is the last of its year, and in eras of 400 years, which all
/// have the same 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    // 0000-03-01 is 719,468 days before 1970-01-01.
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(ERA_DAYS);
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March: five of them have 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// `12:00:00.5`, from units since midnight.
pub(super) fn time_of_day(value: i64, unit: TimeUnit, out: &mut String) {
    let (seconds, nanoseconds) = split(value, unit);
    clock(seconds, nanoseconds, out);
}

/// `2026-10-31 12:00:00`, and with a zone `2026-10-31 12:00:00+00`, from units since 1970-01-01 in UTC.
pub(super) fn timestamp(value: i64, unit: TimeUnit, zone: Option<&str>, out: &mut String) {
    let (seconds, nanoseconds) = split(value, unit);
    let offset = zone.map(|zone| offset_seconds(zone, seconds));
    let local = seconds.saturating_add(offset.unwrap_or(0));
    date(local.div_euclid(DAY_SECONDS), out);
    out.push(' ');
    clock(local.rem_euclid(DAY_SECONDS), nanoseconds, out);
    if let Some(offset) = offset {
        write_offset(offset, out);
    }
}

/// Whole seconds, and the nanoseconds after them.
fn split(value: i64, unit: TimeUnit) -> (i64, i64) {
    let in_unit = nanoseconds_of(unit);
    let in_second = SECOND_NANOSECONDS / in_unit;
    (value.div_euclid(in_second), value.rem_euclid(in_second) * in_unit)
}

fn clock(seconds: i64, nanoseconds: i64, out: &mut String) {
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    fraction(nanoseconds, out);
}

/// The digits after the second without trailing zeros.
fn fraction(nanoseconds: i64, out: &mut String) {
    if nanoseconds != 0 {
        let digits = format!("{nanoseconds:09}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

/// Seconds east of UTC at a moment; 0 for a zone that is not known or a moment that no zone has rules for.
fn offset_seconds(zone: &str, seconds: i64) -> i64 {
    if matches!(zone, "UTC" | "+00:00" | "Z" | "Etc/UTC" | "GMT") {
        return 0;
    }
    let (Ok(zone), Some(moment)) = (zone.parse::<Tz>(), DateTime::from_timestamp(seconds, 0)) else { return 0 };
    i64::from(zone.offset_from_utc_datetime(&moment.naive_utc()).fix().local_minus_utc())
}

fn write_offset(offset: i64, out: &mut String) {
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.abs();
    let (hours, minutes, seconds) = (offset / 3_600, offset / 60 % 60, offset % 60);
    let _ = write!(out, "{sign}{hours:02}");
    if minutes != 0 || seconds != 0 {
        let _ = write!(out, ":{minutes:02}");
    }
    if seconds != 0 {
        let _ = write!(out, ":{seconds:02}");
    }
}

/// `1 year 2 mons 3 days 04:05:06.7`, as PostgreSQL prints intervals in its own style: parts that are zero are left
/// out, and after a negative part a positive one has its sign.
pub(super) fn interval(months: i64, days: i128, nanoseconds: i128, out: &mut String) {
    let parts = [(i128::from(months / 12), "year"), (i128::from(months % 12), "mon"), (days, "day")];
    let mut empty = true;
    let mut after_negative = false;
    for (value, unit) in parts.into_iter().filter(|(value, _)| *value != 0) {
        let space = if empty { "" } else { " " };
        let sign = if after_negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{sign}{value} {unit}{plural}");
        empty = false;
        after_negative = value < 0;
    }
    if nanoseconds == 0 && !empty {
        return;
    }
    if !empty {
        out.push(' ');
    }
    if nanoseconds < 0 {
        out.push('-');
    } else if after_negative {
        out.push('+');
    }
    let positive = nanoseconds.unsigned_abs();
    let seconds = i64::try_from(positive / 1_000_000_000).unwrap_or(i64::MAX);
    clock(seconds, i64::try_from(positive % 1_000_000_000).unwrap_or(0), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn dates_agree_with_the_calendar() {
        // Days since 1970-01-01 from the calendar itself.
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_757, "2026-10-31"),
            (-719_468, "0000-03-01"),
            (-719_529, "-0001-12-31"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "10000-01-01"),
        ] {
            assert_eq!(text(|out| date(days, out)), expected, "{days}");
        }
    }

    #[test]
    fn dates_agree_with_another_implementation_over_800_years() {
        for days in -150_000..150_000 {
            let expected = chrono::NaiveDate::from_epoch_days(days).unwrap().to_string();
            assert_eq!(text(|out| date(i64::from(days), out)), expected);
        }
    }

    #[test]
    fn the_ends_of_the_types_do_not_overflow() {
        assert!(text(|out| date(i64::from(i32::MAX), out)).starts_with("5881580-"));
        // No zone has rules for these years, so they are shown in UTC.
        assert!(text(|out| timestamp(i64::MAX, TimeUnit::Second, Some("+02:00"), out)).ends_with("+00"));
        assert!(text(|out| timestamp(i64::MIN, TimeUnit::Second, Some("-02:00"), out)).ends_with("+00"));
        assert_eq!(text(|out| timestamp(i64::MAX, TimeUnit::Nanosecond, None, out)), "2262-04-11 23:47:16.854775807");
        assert_eq!(text(|out| interval(0, 0, i128::from(i64::MIN), out)), "-2562047:47:16.854775808");
    }

    #[test]
    fn timestamps_lose_trailing_zeros_and_show_their_offset() {
        let at = 1_793_448_000;
        assert_eq!(text(|out| timestamp(at, TimeUnit::Second, None, out)), "2026-10-31 12:00:00");
        assert_eq!(text(|out| timestamp(at * 1000 + 500, TimeUnit::Millisecond, None, out)), "2026-10-31 12:00:00.5");
        assert_eq!(text(|out| timestamp(-1, TimeUnit::Microsecond, None, out)), "1969-12-31 23:59:59.999999");
        assert_eq!(text(|out| timestamp(at, TimeUnit::Second, Some("UTC"), out)), "2026-10-31 12:00:00+00");
        assert_eq!(text(|out| timestamp(at, TimeUnit::Second, Some("+05:30"), out)), "2026-10-31 17:30:00+05:30");
        assert_eq!(text(|out| timestamp(at, TimeUnit::Second, Some("-03:00"), out)), "2026-10-31 09:00:00-03");
    }

    #[test]
    fn times_of_day() {
        assert_eq!(text(|out| time_of_day(0, TimeUnit::Second, out)), "00:00:00");
        assert_eq!(text(|out| time_of_day(86_399_999_999, TimeUnit::Microsecond, out)), "23:59:59.999999");
        // PostgreSQL has this one.
        assert_eq!(text(|out| time_of_day(86_400, TimeUnit::Second, out)), "24:00:00");
    }

    #[test]
    fn intervals_are_those_of_postgres() {
        // Each was printed by PostgreSQL 15 for the interval beside it.
        for (months, days, nanoseconds, expected) in [
            (0, 0, 0, "00:00:00"),
            (14, 3, 14_706_700_000_000, "1 year 2 mons 3 days 04:05:06.7"),
            (-1, 3, 0, "-1 mons +3 days"),
            (0, -1, 3_600_000_000_000, "-1 days +01:00:00"),
            (12, 0, -1_000_000_000, "1 year -00:00:01"),
            (0, 0, 360_000_000_000_000, "100:00:00"),
            (24, 1, 0, "2 years 1 day"),
        ] {
            assert_eq!(text(|out| interval(months, days, nanoseconds, out)), expected);
        }
    }
}
