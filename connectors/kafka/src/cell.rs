//! One JSON value as the value of a column. A value is taken exactly or refused, never rounded or guessed.
//!
//! * JSON `null` is NULL for every type.
//! * Numbers fit whole-number columns if they are whole, however written (`1e3`, `2.0`), and decimals if no digit is
//!   lost. `real` and `double` take the nearest value and refuse what is too large.
//! * Strings are never read as numbers or booleans.
//! * Timestamps are strings as RFC 3339 writes them or numbers of milliseconds since 1970. A column with a zone needs
//!   the string's offset; a column without one takes the string as it is, or in UTC if it has an offset.

use std::borrow::Cow;

use crate::number::{NumberError, exact};
use crate::time::{parse_date, parse_date_time};
use crate::types::ValueType;

/// How much of a value an error message shows, in characters.
const SHOWN: usize = 60;

/// The value of one column in one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// NULL.
    Null,
    /// Of a boolean.
    Boolean(bool),
    /// Of a whole number, days of a date, or units of a timestamp.
    Integer(i64),
    /// Of a decimal, in units of its last place.
    Decimal(i128),
    /// Of a real.
    Real(f32),
    /// Of a double.
    Double(f64),
    /// Of a text.
    Text(Cow<'a, str>),
}

/// What kind of JSON value a text is; the text has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `null`
    Null,
    /// `true`, `false`
    Boolean,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Kind {
    /// Tells by the first character.
    pub(crate) fn of(raw: &str) -> Self {
        match raw.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'"') => Self::Text,
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object,
            _ => Self::Number,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// The value of a JSON text as `value_type`; the error says why it does not fit, to follow the column's name.
pub(crate) fn read(raw: &str, value_type: ValueType) -> Result<Cell<'_>, String> {
    let kind = Kind::of(raw);
    if kind == Kind::Null {
        return Ok(Cell::Null);
    }
    match (value_type, kind) {
        (ValueType::Varchar, Kind::Text) => text(raw).map(Cell::Text),
        (ValueType::Varchar | ValueType::Json, _) => Ok(Cell::Text(Cow::Borrowed(raw))),
        (ValueType::Boolean, Kind::Boolean) => Ok(Cell::Boolean(raw == "true")),
        (ValueType::TinyInt, Kind::Number) => whole(raw, i8::MIN.into(), i8::MAX.into(), value_type),
        (ValueType::SmallInt, Kind::Number) => whole(raw, i16::MIN.into(), i16::MAX.into(), value_type),
        (ValueType::Integer, Kind::Number) => whole(raw, i32::MIN.into(), i32::MAX.into(), value_type),
        (ValueType::BigInt, Kind::Number) => whole(raw, i64::MIN, i64::MAX, value_type),
        (ValueType::Real, Kind::Number) => match raw.parse::<f32>() {
            Ok(number) if number.is_finite() => Ok(Cell::Real(number)),
            _ => Err(too_large(raw, value_type)),
        },
        (ValueType::Double, Kind::Number) => match raw.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Cell::Double(number)),
            _ => Err(too_large(raw, value_type)),
        },
        (ValueType::Decimal { precision, scale }, Kind::Number) => decimal(raw, precision, scale, value_type),
        (ValueType::Date, Kind::Text) => {
            let text = text(raw)?;
            let days = parse_date(&text).ok_or_else(|| format!("{} is not a date as YYYY-MM-DD", shown(raw)))?;
            Ok(Cell::Integer(days.into()))
        }
        (ValueType::Timestamp { precision, zone }, Kind::Text) => timestamp_of_text(raw, precision, zone),
        (ValueType::Timestamp { precision, .. }, Kind::Number) => {
            let units = exact(raw, i32::from(precision) - 3)
                .map_err(|error| match error {
                    NumberError::Inexact => finer(raw, precision),
                    NumberError::Overflow => too_large(raw, value_type),
                })
                .and_then(|units| i64::try_from(units).map_err(|_| too_large(raw, value_type)))?;
            Ok(Cell::Integer(units))
        }
        _ => Err(format!("{} is {}, not {value_type}", shown(raw), kind.name())),
    }
}

fn whole(raw: &str, min: i64, max: i64, value_type: ValueType) -> Result<Cell<'_>, String> {
    let number = match raw.parse::<i64>() {
        Ok(number) => Some(number),
        Err(_) => match exact(raw, 0) {
            Ok(number) => i64::try_from(number).ok(),
            Err(NumberError::Inexact) => return Err(format!("{} is not a whole number", shown(raw))),
            Err(NumberError::Overflow) => None,
        },
    };
    match number {
        Some(number) if (min..=max).contains(&number) => Ok(Cell::Integer(number)),
        _ => Err(too_large(raw, value_type)),
    }
}

fn decimal(raw: &str, precision: u8, scale: u8, value_type: ValueType) -> Result<Cell<'_>, String> {
    let number = exact(raw, scale.into()).map_err(|error| match error {
        NumberError::Inexact => format!("{} has more than {scale} digits after the point", shown(raw)),
        NumberError::Overflow => too_large(raw, value_type),
    })?;
    match 10_u128.checked_pow(precision.into()) {
        Some(limit) if number.unsigned_abs() < limit => Ok(Cell::Decimal(number)),
        _ => Err(too_large(raw, value_type)),
    }
}

fn timestamp_of_text(raw: &str, precision: u8, zone: bool) -> Result<Cell<'_>, String> {
    let text = text(raw)?;
    let parsed = parse_date_time(&text)
        .ok_or_else(|| format!("{} is not a date and time such as 2026-11-21T07:35:00Z", shown(raw)))?;
    if zone && !parsed.zoned {
        return Err(format!("{} does not say its offset from UTC: declare the column as timestamp", shown(raw)));
    }
    let (per_second, per_unit) = match precision {
        0 => (1, 1_000_000_000),
        3 => (1_000, 1_000_000),
        9 => (1_000_000_000, 1),
        _ => (1_000_000, 1_000),
    };
    if parsed.nanos % per_unit != 0 {
        return Err(finer(raw, precision));
    }
    let units =
        parsed.seconds.checked_mul(per_second).and_then(|units| units.checked_add((parsed.nanos / per_unit).into()));
    units.map(Cell::Integer).ok_or_else(|| format!("{} is out of range for timestamp({precision})", shown(raw)))
}

/// The text of a JSON string.
pub(crate) fn text(raw: &str) -> Result<Cow<'_, str>, String> {
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        _ => serde_json::from_str::<String>(raw)
            .map(Cow::Owned)
            .map_err(|error| format!("{} is not a valid string: {error}", shown(raw))),
    }
}

fn finer(raw: &str, precision: u8) -> String {
    format!("{} has a finer fraction than timestamp({precision}) holds: declare timestamp(9)", shown(raw))
}

fn too_large(raw: &str, value_type: ValueType) -> String {
    format!("{} is too large for {value_type}", shown(raw))
}

/// The start of a value, for messages.
fn shown(raw: &str) -> String {
    match raw.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", raw.get(..end).unwrap_or(raw)),
        None => raw.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(raw: &'static str, value_type: &str) -> Result<Cell<'static>, String> {
        read(raw, value_type.parse().unwrap())
    }

    #[test]
    fn values_that_fit() {
        for (raw, value_type, cell) in [
            ("null", "bigint", Cell::Null),
            ("null", "varchar", Cell::Null),
            ("-9223372036854775808", "bigint", Cell::Integer(i64::MIN)),
            ("1e3", "smallint", Cell::Integer(1000)),
            ("2.0", "int", Cell::Integer(2)),
            ("1.50", "decimal(12,2)", Cell::Decimal(150)),
            ("1e2", "decimal(3,0)", Cell::Decimal(100)),
            // Not what a sum of halves of its digits gives: only a correctly rounded reader gets the last bit right.
            ("8.533e-68", "double", Cell::Double(8.533e-68)),
            ("0.1", "real", Cell::Real(0.1)),
            ("true", "boolean", Cell::Boolean(true)),
            ("\"a\\u00e9\\n\"", "varchar", Cell::Text("aé\n".into())),
            ("12.50", "varchar", Cell::Text("12.50".into())),
            ("{\"a\" : 1}", "varchar", Cell::Text("{\"a\" : 1}".into())),
            ("\"x\"", "json", Cell::Text("\"x\"".into())),
            ("\"1970-01-02\"", "date", Cell::Integer(1)),
            ("\"1970-01-01T00:00:01.5Z\"", "timestamp", Cell::Integer(1_500_000)),
            ("\"1970-01-01T02:00:01+02:00\"", "timestamp", Cell::Integer(1_000_000)),
            ("\"1970-01-01 00:00:01\"", "timestamp", Cell::Integer(1_000_000)),
            ("\"1970-01-01T02:00:01+02:00\"", "timestamp with time zone", Cell::Integer(1_000_000)),
            ("1700000000123", "timestamp", Cell::Integer(1_700_000_000_123_000)),
            ("1700000000123.456", "timestamp", Cell::Integer(1_700_000_000_123_456)),
            ("-1", "timestamp(3)", Cell::Integer(-1)),
            ("\"1970-01-01T00:00:00.000000001Z\"", "timestamp(9)", Cell::Integer(1)),
        ] {
            assert_eq!(of(raw, value_type), Ok(cell), "{raw} as {value_type}");
        }
    }

    #[test]
    fn values_that_do_not_fit_say_why() {
        for (raw, value_type, part) in [
            ("1.5", "bigint", "not a whole number"),
            ("9223372036854775808", "bigint", "too large for bigint"),
            ("128", "tinyint", "too large for tinyint"),
            ("\"12\"", "bigint", "is a string, not bigint"),
            ("true", "bigint", "is a boolean, not bigint"),
            ("1", "boolean", "is a number, not boolean"),
            ("\"true\"", "boolean", "is a string, not boolean"),
            ("\"1.5\"", "double", "is a string, not double"),
            ("1e999", "double", "too large for double"),
            ("1e39", "real", "too large for real"),
            ("1.005", "decimal(12,2)", "more than 2 digits after the point"),
            ("1000", "decimal(3,0)", "too large for decimal(3,0)"),
            ("[1]", "bigint", "is an array, not bigint"),
            ("{}", "double", "is an object, not double"),
            ("\"\\ud800\"", "varchar", "not a valid string"),
            ("\"2023-02-29\"", "date", "not a date as YYYY-MM-DD"),
            ("19000", "date", "is a number, not date"),
            ("\"yesterday\"", "timestamp", "not a date and time"),
            ("\"2023-01-01T00:00:00\"", "timestamp with time zone", "does not say its offset"),
            ("\"2023-01-01T00:00:00.0000001Z\"", "timestamp", "declare timestamp(9)"),
            ("0.5", "timestamp(3)", "declare timestamp(9)"),
            ("1e30", "timestamp", "too large"),
            ("\"9999-01-01T00:00:00Z\"", "timestamp(9)", "out of range"),
            ("false", "timestamp", "is a boolean, not timestamp"),
        ] {
            let message = of(raw, value_type).unwrap_err();
            assert!(message.contains(part), "{raw} as {value_type}: {message}");
        }
        let long: &'static str = Box::leak(format!("\"{}\"", "é".repeat(500)).into_boxed_str());
        assert!(of(long, "bigint").unwrap_err().chars().count() < 100);
    }
}
