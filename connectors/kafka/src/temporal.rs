//! Dates and times as messages write them.

use std::str::FromStr;

use chrono::format::{Fixed, Item, Numeric, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use serde::{Deserialize, Serialize};

use crate::cell::{Cell, shown, too_large};
use crate::number::{NumberError, exact, is_number};
use crate::time::{self, parse_date, parse_date_time, parse_time};
use crate::types::ValueType;

/// How the dates and times of a column are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Temporal {
    /// As RFC 3339 writes them; a number is milliseconds since 1970.
    #[default]
    Iso,
    /// A number of units since 1970, of which a second has so many powers of ten.
    Epoch(u8),
    /// As RFC 2822 writes them: `Tue, 14 Nov 2023 22:13:20 +0000`.
    Rfc2822,
    /// By a pattern of `strftime`: `%d/%m/%Y %H:%M`.
    Pattern(String),
    /// Within the elements of an array or the values of a map.
    Elements(Box<Temporal>),
    /// Within the fields of a row, in order.
    Fields(Vec<Temporal>),
}

/// What a declaration may write, for error messages.
const KNOWN: &str = "iso8601, epoch-seconds, epoch-milliseconds, epoch-microseconds, epoch-nanoseconds, rfc2822, or a pattern \
                     such as %d/%m/%Y %H:%M:%S";

impl FromStr for Temporal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "iso8601" => Self::Iso,
            "epoch-seconds" => Self::Epoch(0),
            "epoch-milliseconds" => Self::Epoch(3),
            "epoch-microseconds" => Self::Epoch(6),
            "epoch-nanoseconds" => Self::Epoch(9),
            "rfc2822" => Self::Rfc2822,
            pattern if pattern.contains('%') => {
                let items = StrftimeItems::new(pattern);
                if items.clone().any(|item| matches!(item, Item::Error)) {
                    return Err(format!("`{pattern}` is not a pattern of dates and times"));
                }
                // Names of zones are passed over unread: PST and UTC would be the same time.
                if items.clone().any(|item| item == Item::Fixed(Fixed::TimezoneName)) {
                    return Err(format!("`{pattern}` has a zone's name, which says no offset; offsets are %z"));
                }
                Self::Pattern(pattern.to_owned())
            }
            other => return Err(format!("`{other}` is not a way to write times; known are {KNOWN}")),
        })
    }
}

impl Temporal {
    /// As the catalog file writes it; `None` for the way that need not be declared.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Iso => None,
            Self::Epoch(0) => Some("epoch-seconds"),
            Self::Epoch(3) => Some("epoch-milliseconds"),
            Self::Epoch(6) => Some("epoch-microseconds"),
            Self::Epoch(_) => Some("epoch-nanoseconds"),
            Self::Rfc2822 => Some("rfc2822"),
            Self::Pattern(pattern) => Some(pattern),
            Self::Elements(_) | Self::Fields(_) => None,
        }
    }

    /// How the elements of an array or the values of a map are written.
    pub(crate) fn of_elements(&self) -> &Self {
        match self {
            Self::Elements(elements) => elements,
            _ => &Self::Iso,
        }
    }

    /// How the field of a row is written that stands at this place.
    pub(crate) fn of_field(&self, place: usize) -> &Self {
        match self {
            Self::Fields(fields) => fields.get(place).unwrap_or(&Self::Iso),
            _ => &Self::Iso,
        }
    }

    /// Whether a column of this type can be written so.
    pub(crate) fn fits(&self, value_type: &ValueType) -> bool {
        matches!(
            (self, value_type),
            (Self::Iso, _)
                | (_, ValueType::Timestamp { .. })
                | (Self::Pattern(_), ValueType::Date | ValueType::Time { .. })
        )
    }
}

/// A date, time or timestamp of a text. The text of errors is quoted as JSON quotes it.
pub(crate) fn of_text<'a>(text: &str, value_type: &ValueType, temporal: &Temporal) -> Result<Cell<'a>, String> {
    let wrong = |wanted: &str| format!("{} is not {wanted}", shown(&format!("\"{text}\"")));
    match (value_type, temporal) {
        (ValueType::Date, Temporal::Pattern(pattern)) => {
            let date = NaiveDate::parse_from_str(text, pattern).ok().and_then(time::days);
            date.map(|days| Cell::Integer(days.into())).ok_or_else(|| wrong(&format!("a date as {pattern}")))
        }
        (ValueType::Date, _) => {
            parse_date(text).map(|days| Cell::Integer(days.into())).ok_or_else(|| wrong("a date as YYYY-MM-DD"))
        }
        (ValueType::Time { precision }, temporal) => {
            let nanos = match temporal {
                Temporal::Pattern(pattern) => {
                    let parsed = whole(text, pattern).and_then(|()| NaiveTime::parse_from_str(text, pattern).ok());
                    let parsed = parsed.and_then(time::nanos_of_day);
                    parsed.ok_or_else(|| wrong(&format!("a time as {pattern}")))?
                }
                _ => parse_time(text).ok_or_else(|| wrong("a time of day as HH:MM:SS"))?,
            };
            let per_unit = 10_i64.pow(9 - u32::from(*precision).min(9));
            if nanos % per_unit != 0 {
                return Err(format!("{} has a finer fraction than {value_type} holds", shown(&format!("\"{text}\""))));
            }
            Ok(Cell::Integer(nanos / per_unit))
        }
        (ValueType::Timestamp { precision, .. }, Temporal::Epoch(_)) => match is_number(text) {
            true => of_number(text, *precision, temporal),
            false => Err(wrong("a number")),
        },
        (ValueType::Timestamp { precision, zone }, temporal) => {
            let parsed = match temporal {
                Temporal::Rfc2822 => {
                    let parsed = DateTime::parse_from_rfc2822(text).ok().and_then(time::of_instant);
                    parsed.ok_or_else(|| wrong("a date and time as RFC 2822 writes it"))?
                }
                Temporal::Pattern(pattern) => {
                    of_pattern(text, pattern).ok_or_else(|| wrong(&format!("a date and time as {pattern}")))?
                }
                _ => parse_date_time(text).ok_or_else(|| wrong("a date and time such as 2026-11-21T07:35:00Z"))?,
            };
            units(&parsed, text, *precision, *zone)
        }
        (other, _) => Err(wrong(&other.to_string())),
    }
}

/// A date and time by a pattern.
fn of_pattern(text: &str, pattern: &str) -> Option<time::DateTime> {
    whole(text, pattern)?;
    match StrftimeItems::new(pattern).any(|item| is_offset(&item)) {
        true => DateTime::parse_from_str(text, pattern).ok().and_then(time::of_instant),
        false => NaiveDateTime::parse_from_str(text, pattern).ok().and_then(time::of_clock),
    }
}

/// Whether a part of a pattern says at which offset from UTC a time is, or that it is a number of seconds since 1970.
fn is_offset(item: &Item<'_>) -> bool {
    use chrono::format::Fixed::{
        RFC2822, RFC3339, TimezoneOffset, TimezoneOffsetColon, TimezoneOffsetColonZ, TimezoneOffsetDoubleColon,
        TimezoneOffsetTripleColon, TimezoneOffsetZ,
    };
    matches!(
        item,
        Item::Fixed(
            RFC2822
                | RFC3339
                | TimezoneOffset
                | TimezoneOffsetColon
                | TimezoneOffsetColonZ
                | TimezoneOffsetDoubleColon
                | TimezoneOffsetTripleColon
                | TimezoneOffsetZ
        ) | Item::Numeric(Numeric::Timestamp, _)
    ) || StrftimeItems::new("%#z").any(|permissive| permissive == *item)
}

/// `None` where a pattern takes fractions of seconds and the text has one of more digits than are kept, some of which say something.
fn whole(text: &str, pattern: &str) -> Option<()> {
    const KEPT: usize = 9;
    let lost = |fraction: &str| {
        let end = fraction.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(fraction.len());
        fraction.get(KEPT..end).is_some_and(|lost| lost.bytes().any(|digit| digit != b'0'))
    };
    let is_lost = pattern.contains('f') && text.split('.').skip(1).any(lost);
    (!is_lost).then_some(())
}

/// A timestamp of a number.
pub(crate) fn of_number<'a>(raw: &str, precision: u8, temporal: &Temporal) -> Result<Cell<'a>, String> {
    let written = match temporal {
        Temporal::Iso | Temporal::Elements(_) | Temporal::Fields(_) => 3,
        Temporal::Epoch(digits) => *digits,
        Temporal::Rfc2822 | Temporal::Pattern(_) => {
            return Err(format!("{} is a number, not a text", shown(raw)));
        }
    };
    let units = exact(raw, i32::from(precision) - i32::from(written)).map_err(|error| match error {
        NumberError::Inexact => finer(raw, precision),
        NumberError::Overflow => too_large(raw, &ValueType::Timestamp { precision, zone: false }),
    })?;
    let units = i64::try_from(units);
    units.map(Cell::Integer).map_err(|_| too_large(raw, &ValueType::Timestamp { precision, zone: false }))
}

fn units<'a>(parsed: &time::DateTime, text: &str, precision: u8, zone: bool) -> Result<Cell<'a>, String> {
    let quoted = format!("\"{text}\"");
    if zone && !parsed.zoned {
        return Err(format!("{} does not say its offset from UTC: declare the column as timestamp", shown(&quoted)));
    }
    let (per_second, per_unit) = match precision {
        0 => (1, 1_000_000_000),
        3 => (1_000, 1_000_000),
        9 => (1_000_000_000, 1),
        _ => (1_000_000, 1_000),
    };
    if !parsed.nanos.is_multiple_of(per_unit) {
        return Err(finer(&quoted, precision));
    }
    let units =
        parsed.seconds.checked_mul(per_second).and_then(|units| units.checked_add((parsed.nanos / per_unit).into()));
    units.map(Cell::Integer).ok_or_else(|| format!("{} is out of range for timestamp({precision})", shown(&quoted)))
}

fn finer(raw: &str, precision: u8) -> String {
    format!("{} has a finer fraction than timestamp({precision}) holds: declare timestamp(9)", shown(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, value_type: &str, temporal: &str) -> Result<Cell<'static>, String> {
        let (value_type, temporal): (ValueType, Temporal) = (value_type.parse().unwrap(), temporal.parse().unwrap());
        assert!(temporal.fits(&value_type));
        of_text(text, &value_type, &temporal)
    }

    #[test]
    fn times_however_they_are_written() {
        // 1_700_000_000 is 2023-11-14T22:13:20Z, a Tuesday.
        let seconds = 1_700_000_000;
        for (text, value_type, temporal, value) in [
            ("2023-11-14T22:13:20Z", "timestamp(3)", "iso8601", seconds * 1_000),
            ("1700000000", "timestamp(3)", "epoch-seconds", seconds * 1_000),
            ("1700000000.25", "timestamp(3)", "epoch-seconds", seconds * 1_000 + 250),
            ("1700000000000", "timestamp(0)", "epoch-milliseconds", seconds),
            ("1700000000000000", "timestamp(9)", "epoch-microseconds", seconds * 1_000_000_000),
            ("1700000000000000001", "timestamp(9)", "epoch-nanoseconds", seconds * 1_000_000_000 + 1),
            ("Tue, 14 Nov 2023 22:13:20 +0000", "timestamp(0) with time zone", "rfc2822", seconds),
            ("14 Nov 2023 23:13:20 +0100", "timestamp(0)", "rfc2822", seconds),
            ("14/11/2023 22:13:20", "timestamp(0)", "%d/%m/%Y %H:%M:%S", seconds),
            (
                "14/11/2023 22:13:20.5 +0000",
                "timestamp(3) with time zone",
                "%d/%m/%Y %H:%M:%S%.f %z",
                seconds * 1_000 + 500,
            ),
            ("02.01.1970", "date", "%d.%m.%Y", 1),
            ("1970-01-02", "date", "iso8601", 1),
            ("01:00:00.25", "time(3)", "iso8601", 3_600_250),
            ("1700000000", "timestamp(0) with time zone", "%s", seconds),
            ("2023-11-14T22:13:20.5+00:00", "timestamp(3) with time zone", "%+", seconds * 1_000 + 500),
            ("2023-11-14 23:13:20+01", "timestamp(0) with time zone", "%F %T%#z", seconds),
            // Zeros are no digits that are lost.
            ("14/11/2023 22:13:20.1000000000", "timestamp(3)", "%d/%m/%Y %H:%M:%S%.f", seconds * 1_000 + 100),
            ("01h", "time(6)", "%Hh", 0),
            ("0100", "time(6)", "%H%M", 3_600_000_000),
        ] {
            match (text, of(text, value_type, temporal)) {
                // An hour alone is no time of day.
                ("01h", outcome) => assert!(outcome.is_err()),
                (_, outcome) => assert_eq!(outcome, Ok(Cell::Integer(value)), "{text} as {temporal}"),
            }
        }
    }

    #[test]
    fn what_does_not_fit_says_why() {
        for (text, value_type, temporal, part) in [
            ("soon", "timestamp", "epoch-seconds", "\"soon\" is not a number"),
            ("1.5", "timestamp(0)", "epoch-seconds", "finer fraction than timestamp(0)"),
            ("2023-11-14", "timestamp", "rfc2822", "as RFC 2822 writes it"),
            ("14/11/2023 22:13:20", "timestamp with time zone", "%d/%m/%Y %H:%M:%S", "does not say its offset"),
            ("14/13/2023", "date", "%d/%m/%Y", "a date as %d/%m/%Y"),
            ("25:00:00", "time", "iso8601", "a time of day as HH:MM:SS"),
            ("00:00:00.0001", "time(3)", "iso8601", "finer fraction than time(3)"),
            // A tenth digit is not dropped.
            ("22:13:20.1234567891", "time(6)", "%H:%M:%S%.f", "a time as"),
            ("2023-11-14 22:13:20.1234567891", "timestamp(9)", "%F %T%.f", "a date and time as"),
            // No type of SQL has the 61st second of a minute, and the second after it is another time.
            ("2016-12-31T23:59:60Z", "timestamp", "iso8601", "a date and time such as"),
            ("Sat, 31 Dec 2016 23:59:60 +0000", "timestamp", "rfc2822", "as RFC 2822"),
            ("2016-12-31 23:59:60", "timestamp", "%F %T", "a date and time as"),
            ("23:59:60", "time", "iso8601", "a time of day"),
            ("23:59:60", "time", "%T", "a time as"),
            // An offset that is none does not make it a time without one.
            ("2023-11-14 22:13:20 +2400", "timestamp", "%F %T %z", "a date and time as"),
        ] {
            let message = of(text, value_type, temporal).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
        assert!("yyyy-MM-dd".parse::<Temporal>().unwrap_err().contains("known are iso8601"));
        assert!("%F %T %Z".parse::<Temporal>().unwrap_err().contains("a zone's name, which says no offset"));
        assert!("%Q".parse::<Temporal>().unwrap_err().contains("not a pattern"));
        let (date, seconds): (ValueType, Temporal) = ("date".parse().unwrap(), "epoch-seconds".parse().unwrap());
        assert!(!seconds.fits(&date));
    }
}
