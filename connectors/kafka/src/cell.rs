//! The value of a column, and how it is read of one JSON value. A value is taken exactly or refused, never rounded or
//! guessed.
//!
//! * JSON `null` is NULL for every type.
//! * Numbers fit whole-number columns if they are whole, however written (`1e3`, `2.0`), and decimals if no digit is
//!   lost. `real` and `double` take the nearest value and refuse what is too large.
//! * Strings are never read as numbers or booleans.
//! * Timestamps are strings as RFC 3339 writes them or numbers of milliseconds since 1970. A column with a zone needs
//!   the string's offset; a column without one takes the string as it is, or in UTC if it has an offset. A column may be
//!   declared to write them otherwise ([`crate::temporal`]).
//! * Arrays, maps and rows are read element by element ([`crate::nested`]).

use std::borrow::Cow;

use crate::nested;
use crate::number::{NumberError, exact};
use crate::room::Room;
use crate::temporal::{self, Temporal};
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
    /// Of bytes.
    Bytes(Cow<'a, [u8]>),
    /// Of an array.
    List(Vec<Cell<'a>>),
    /// Of a map.
    Entries(Vec<(Cow<'a, str>, Cell<'a>)>),
    /// Of a row, field by field.
    Fields(Vec<Cell<'a>>),
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

/// The value of a JSON text as `value_type`, whose times are written as `temporal` says; the error says why it does not fit,
/// to follow the column's name. `room` is what is left for values of its message.
pub(crate) fn read<'a>(
    raw: &'a str,
    value_type: &ValueType,
    temporal: &Temporal,
    room: &Room,
) -> Result<Cell<'a>, String> {
    let kind = Kind::of(raw);
    match (value_type, kind) {
        (_, Kind::Null) => Ok(Cell::Null),
        (ValueType::Varchar, Kind::Text) => text(raw).map(Cell::Text),
        (ValueType::Varchar | ValueType::Json, _) => Ok(Cell::Text(Cow::Borrowed(raw))),
        (ValueType::Boolean, Kind::Boolean) => Ok(Cell::Boolean(raw == "true")),
        (ValueType::Date | ValueType::Time { .. } | ValueType::Timestamp { .. }, Kind::Text) => {
            temporal::of_text(&text(raw)?, value_type, temporal)
        }
        (_, Kind::Number) => number(raw, value_type, temporal),
        (ValueType::Array(item), Kind::Array) => nested::array(raw, item, temporal.of_elements(), room),
        (ValueType::Map(value), Kind::Object) => nested::map(raw, value, temporal.of_elements(), room),
        (ValueType::Row(fields), Kind::Object) => nested::row(raw, fields, temporal, room),
        _ => Err(format!("{} is {}, not {value_type}", shown(raw), kind.name())),
    }
}

/// The value of a number as JSON writes it.
pub(crate) fn number<'a>(raw: &str, value_type: &ValueType, temporal: &Temporal) -> Result<Cell<'a>, String> {
    match value_type {
        ValueType::TinyInt => whole(raw, i8::MIN.into(), i8::MAX.into(), value_type),
        ValueType::SmallInt => whole(raw, i16::MIN.into(), i16::MAX.into(), value_type),
        ValueType::Integer => whole(raw, i32::MIN.into(), i32::MAX.into(), value_type),
        ValueType::BigInt => whole(raw, i64::MIN, i64::MAX, value_type),
        ValueType::Real => match raw.parse::<f32>() {
            Ok(number) if number.is_finite() => Ok(Cell::Real(number)),
            _ => Err(too_large(raw, value_type)),
        },
        ValueType::Double => match raw.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Cell::Double(number)),
            _ => Err(too_large(raw, value_type)),
        },
        ValueType::Decimal { precision, scale } => decimal(raw, *precision, *scale, value_type),
        ValueType::Timestamp { precision, .. } => temporal::of_number(raw, *precision, temporal),
        _ => Err(format!("{} is {}, not {value_type}", shown(raw), Kind::Number.name())),
    }
}

fn whole<'a>(raw: &str, min: i64, max: i64, value_type: &ValueType) -> Result<Cell<'a>, String> {
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

fn decimal<'a>(raw: &str, precision: u8, scale: u8, value_type: &ValueType) -> Result<Cell<'a>, String> {
    let number = exact(raw, scale.into()).map_err(|error| match error {
        NumberError::Inexact => format!("{} has more than {scale} digits after the point", shown(raw)),
        NumberError::Overflow => too_large(raw, value_type),
    })?;
    match 10_u128.checked_pow(precision.into()) {
        Some(limit) if number.unsigned_abs() < limit => Ok(Cell::Decimal(number)),
        _ => Err(too_large(raw, value_type)),
    }
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

pub(crate) fn too_large(raw: &str, value_type: &ValueType) -> String {
    format!("{} is too large for {value_type}", shown(raw))
}

/// The start of a value, for messages.
pub(crate) fn shown(raw: &str) -> String {
    match raw.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", raw.get(..end).unwrap_or(raw)),
        None => raw.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(raw: &'static str, value_type: &str) -> Result<Cell<'static>, String> {
        read(raw, &value_type.parse().unwrap(), &Temporal::Iso, &Room::new())
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
