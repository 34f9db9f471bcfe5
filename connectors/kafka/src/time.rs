//! Dates and times from text.

use chrono::{FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// A date and time of day, and the zone's offset if the text has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateTime {
    /// Seconds since 1970-01-01T00:00:00: of UTC where the text has an offset, of the text's own clock otherwise.
    pub(crate) seconds: i64,
    /// Nanoseconds within the second.
    pub(crate) nanos: u32,
    /// Whether the text says its offset from UTC.
    pub(crate) zoned: bool,
}

/// Days since 1970-01-01 of `YYYY-MM-DD`; `None` if the text is anything else.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let mut reader = Reader(text);
    let date = reader.date()?;
    if !reader.0.is_empty() {
        return None;
    }
    days(date)
}

/// Days since 1970-01-01.
pub(crate) fn days(date: NaiveDate) -> Option<i32> {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// Nanoseconds of the day of `HH:MM` or `HH:MM:SS` with or without a fraction; `None` if the text is anything else.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let mut reader = Reader(text);
    let (hour, minute, second, nanos) = reader.clock()?;
    if !reader.0.is_empty() {
        return None;
    }
    NaiveTime::from_hms_nano_opt(hour, minute, second, nanos).and_then(nanos_of_day)
}

/// Nanoseconds of a second.
const SECOND: u32 = 1_000_000_000;

/// Nanoseconds since midnight; `None` of a leap second, which no time of day of SQL is.
pub(crate) fn nanos_of_day(time: NaiveTime) -> Option<i64> {
    let nanos = Some(time.nanosecond()).filter(|nanos| *nanos < SECOND)?;
    Some(i64::from(time.num_seconds_from_midnight()) * i64::from(SECOND) + i64::from(nanos))
}

/// An instant; `None` of a leap second.
pub(crate) fn of_instant(at: chrono::DateTime<FixedOffset>) -> Option<DateTime> {
    let nanos = Some(at.timestamp_subsec_nanos()).filter(|nanos| *nanos < SECOND)?;
    Some(DateTime { seconds: at.timestamp(), nanos, zoned: true })
}

/// A date and time of day without a zone; `None` of a leap second.
pub(crate) fn of_clock(at: NaiveDateTime) -> Option<DateTime> {
    of_instant(at.and_utc().fixed_offset()).map(|at| DateTime { zoned: false, ..at })
}

/// A date and time as RFC 3339 section 5.6 writes them, with these liberties: a space may stand for the `T`, and the
/// seconds and the offset may be missing. `None` if the text is anything else; a leap second is.
pub(crate) fn parse_date_time(text: &str) -> Option<DateTime> {
    let mut reader = Reader(text);
    let date = reader.date()?;
    reader.one_of(&['T', 't', ' '])?;
    let (hour, minute, second, nanos) = reader.clock()?;
    let offset = reader.offset()?;
    if !reader.0.is_empty() {
        return None;
    }
    let time = date.and_hms_opt(hour, minute, second)?;
    let seconds = time.and_utc().timestamp() - i64::from(offset.unwrap_or(0));
    Some(DateTime { seconds, nanos, zoned: offset.is_some() })
}

/// What is left of the text.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    /// Exactly so many digits.
    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        digits.parse().ok()
    }

    fn one_of(&mut self, choices: &[char]) -> Option<char> {
        let first = self.0.chars().next().filter(|first| choices.contains(first))?;
        self.0 = self.0.get(first.len_utf8()..)?;
        Some(first)
    }

    /// Hour, minute, second and nanosecond; the last two may be missing.
    fn clock(&mut self) -> Option<(u32, u32, u32, u32)> {
        let hour = self.digits(2)?;
        self.one_of(&[':'])?;
        let minute = self.digits(2)?;
        let (mut second, mut nanos) = (0, 0);
        if self.one_of(&[':']).is_some() {
            second = self.digits(2)?;
            if self.one_of(&['.']).is_some() {
                nanos = self.fraction()?;
            }
        }
        Some((hour, minute, second, nanos))
    }

    fn date(&mut self) -> Option<NaiveDate> {
        let year = self.digits(4)?;
        self.one_of(&['-'])?;
        let month = self.digits(2)?;
        self.one_of(&['-'])?;
        let day = self.digits(2)?;
        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
    }

    /// One to nine digits of a second's fraction, and zeros after them, in nanoseconds.
    fn fraction(&mut self) -> Option<u32> {
        let count = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        let significant = digits.trim_end_matches('0');
        if digits.is_empty() || significant.len() > 9 {
            return None;
        }
        let places = u32::try_from(significant.len()).ok()?;
        let number: u32 = if places == 0 { 0 } else { significant.parse().ok()? };
        number.checked_mul(10_u32.checked_pow(9_u32.checked_sub(places)?)?)
    }

    /// Seconds east of UTC; `Some(None)` if the text ends here.
    fn offset(&mut self) -> Option<Option<i32>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let sign = match self.one_of(&['Z', 'z', '+', '-'])? {
            '+' => 1,
            '-' => -1,
            _ => return Some(Some(0)),
        };
        let hours = self.digits(2)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.one_of(&[':']);
            self.digits(2)?
        };
        if hours > 23 || minutes > 59 {
            return None;
        }
        Some(Some(sign * i32::try_from(hours * 3600 + minutes * 60).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(parse_date("1970-01-01"), Some(0));
        assert_eq!(parse_date("1969-12-31"), Some(-1));
        assert_eq!(parse_date("2024-02-29"), Some(19782));
        for wrong in ["2023-02-29", "2023-13-01", "2023-1-1", "2023-01-01T00:00:00Z", "20230101", "", "202é-01-01"] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn dates_with_times() {
        // 1_700_000_000 is 2023-11-14T22:13:20Z.
        for (text, nanos, zoned) in [
            ("2023-11-14T22:13:20Z", 0, true),
            ("2023-11-14t22:13:20.000z", 0, true),
            ("2023-11-15T03:43:20.5+05:30", 500_000_000, true),
            ("2023-11-14 14:13:20.123456789-0800", 123_456_789, true),
            ("2023-11-14 14:13:20.000000001000-08", 1, true),
            ("2023-11-14 22:13:20", 0, false),
        ] {
            assert_eq!(parse_date_time(text), Some(DateTime { seconds: 1_700_000_000, nanos, zoned }), "{text}");
        }
        assert_eq!(
            parse_date_time("2023-11-14T22:13"),
            Some(DateTime { seconds: 1_699_999_980, nanos: 0, zoned: false })
        );
        for wrong in [
            "2023-11-14",
            "2023-11-14T24:00:00Z",
            "2023-12-31T23:59:60Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20.0123456789Z",
            "2023-11-14T22:13:20+5:30",
            "2023-11-14T22:13:20+24:00",
            "2023-11-14T22:13:20Zx",
            "2023-11-14T22:13:20 UTC",
            "now",
        ] {
            assert_eq!(parse_date_time(wrong), None, "{wrong}");
        }
    }
}
