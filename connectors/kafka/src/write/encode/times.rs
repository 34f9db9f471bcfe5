//! Dates and times as a column's declaration says that messages write them.

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::decimal_text;
use crate::cell::Cell;
use crate::temporal::{Temporal, of_text};
use crate::types::ValueType;

/// What is written.
#[derive(Debug, PartialEq)]
pub(super) enum Written {
    /// A text.
    Text(String),
    /// A number, in formats that tell it from a text.
    Number(String),
}

/// A date, time or timestamp in the units of its type. What the way of writing would lose is an error.
pub(super) fn written(units: i64, value_type: &ValueType, temporal: &Temporal) -> Result<Written, String> {
    let beyond = || format!("the value is out of range for the way in which {value_type} is written");
    let text = match (value_type, temporal) {
        (ValueType::Date, temporal) => {
            let date = NaiveDate::default().checked_add_signed(TimeDelta::try_days(units).ok_or_else(beyond)?);
            let date = date.filter(four_digits).ok_or_else(beyond)?;
            match temporal {
                Temporal::Pattern(pattern) => by_pattern(&date.format(pattern))?,
                _ => date.format("%Y-%m-%d").to_string(),
            }
        }
        (ValueType::Time { precision }, temporal) => {
            let nanos = units.checked_mul(10_i64.pow(9 - u32::from(*precision).min(9))).ok_or_else(beyond)?;
            let (seconds, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
            let parts = u32::try_from(seconds).ok().zip(u32::try_from(nanos).ok());
            let time = parts.and_then(|(seconds, nanos)| NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos));
            let time = time.ok_or_else(beyond)?;
            match temporal {
                Temporal::Pattern(pattern) => by_pattern(&time.format(pattern))?,
                _ => time.format("%H:%M:%S%.f").to_string(),
            }
        }
        (ValueType::Timestamp { precision, .. }, Temporal::Epoch(digits)) => {
            return Ok(Written::Number(epoch(units, *precision, *digits).ok_or_else(beyond)?));
        }
        (ValueType::Timestamp { precision, zone }, temporal) => {
            let at = instant(units, *precision).filter(|at| four_digits(&at.date_naive())).ok_or_else(beyond)?;
            match temporal {
                Temporal::Pattern(pattern) => by_pattern(&at.format(pattern))?,
                Temporal::Rfc2822 => at.to_rfc2822(),
                _ if *zone => at.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string(),
                _ => at.format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
            }
        }
        _ => return Err(beyond()),
    };
    // A pattern may leave out a part of the value, and RFC 2822 has no fractions of a second.
    if of_text(&text, value_type, temporal) == Ok(Cell::Integer(units)) {
        Ok(Written::Text(text))
    } else {
        Err(format!("{text} does not tell all of the value, and it is how `times` says that it is written"))
    }
}

/// Whether the year has four digits, as the standards want it.
fn four_digits(date: &NaiveDate) -> bool {
    (0..=9999).contains(&date.year())
}

/// An instant of a number of units since 1970, of which a second has so many powers of ten.
fn instant(units: i64, precision: u8) -> Option<DateTime<Utc>> {
    let per_second = 10_i64.checked_pow(precision.into())?;
    let per_unit = 10_i64.checked_pow(9_u32.checked_sub(precision.into())?)?;
    let nanos = u32::try_from(units.rem_euclid(per_second).checked_mul(per_unit)?).ok()?;
    DateTime::from_timestamp(units.div_euclid(per_second), nanos)
}

/// A number of units since 1970 of which a second has `digits` powers of ten, where it has `precision`.
fn epoch(units: i64, precision: u8, digits: u8) -> Option<String> {
    let units = i128::from(units);
    match precision.checked_sub(digits) {
        Some(fraction) => {
            let text = decimal_text(units, fraction);
            let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            Some(text.to_owned())
        }
        None => Some(units.checked_mul(10_i128.checked_pow((digits - precision).into())?)?.to_string()),
    }
}

/// A pattern may ask for what the value has not, such as the offset of a date.
fn by_pattern(formatted: &impl std::fmt::Display) -> Result<String, String> {
    let mut text = String::new();
    write!(text, "{formatted}")
        .map_err(|_| "`times` has a pattern that asks for more than the value has".to_owned())?;
    Ok(text)
}
