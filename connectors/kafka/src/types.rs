//! The types that a column of a message may be declared with.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::type_text::parse;

/// The zone of `timestamp with time zone` columns: instants are kept in UTC.
const UTC: &str = "+00:00";

/// The type of a column, named as in SQL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum ValueType {
    /// `true` or `false`.
    Boolean,
    /// Whole numbers of 8 bits.
    TinyInt,
    /// Whole numbers of 16 bits.
    SmallInt,
    /// Whole numbers of 32 bits.
    Integer,
    /// Whole numbers of 64 bits.
    BigInt,
    /// Binary floating point of 32 bits.
    Real,
    /// Binary floating point of 64 bits.
    Double,
    /// Exact numbers.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: u8,
    },
    /// Text. A JSON string gives its text, any other value its JSON as written.
    Varchar,
    /// The JSON of the value as written, a string with its quotes.
    Json,
    /// Bytes.
    Varbinary,
    /// A day.
    Date,
    /// A time of day.
    Time {
        /// Digits of a second's fraction: 3 or 6.
        precision: u8,
    },
    /// A point in time.
    Timestamp {
        /// Digits of a second's fraction: 0, 3, 6 or 9.
        precision: u8,
        /// Whether it is an instant; otherwise it is a date and time of day without a zone.
        zone: bool,
    },
    /// A list of values of one type.
    Array(Box<ValueType>),
    /// Values of one type by a text.
    Map(Box<ValueType>),
    /// Named fields, in order.
    Row(Vec<(String, ValueType)>),
}

impl ValueType {
    /// The Arrow type.
    pub(crate) fn arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Integer => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Real => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, scale.cast_signed()),
            Self::Varchar | Self::Json => DataType::Utf8,
            Self::Varbinary => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time { precision: 3 } => DataType::Time32(TimeUnit::Millisecond),
            Self::Time { .. } => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp { precision, zone } => {
                let unit = match precision {
                    0 => TimeUnit::Second,
                    3 => TimeUnit::Millisecond,
                    9 => TimeUnit::Nanosecond,
                    _ => TimeUnit::Microsecond,
                };
                DataType::Timestamp(unit, zone.then(|| UTC.into()))
            }
            Self::Array(item) => DataType::List(Arc::new(Field::new("item", item.arrow(), true))),
            Self::Map(value) => {
                let entry = vec![Field::new("key", DataType::Utf8, false), Field::new("value", value.arrow(), true)];
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(Fields::from(entry)), false)), false)
            }
            Self::Row(fields) => DataType::Struct(
                fields.iter().map(|(name, value_type)| Field::new(name, value_type.arrow(), true)).collect(),
            ),
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Integer => f.write_str("integer"),
            Self::BigInt => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Double => f.write_str("double"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Varchar => f.write_str("varchar"),
            Self::Json => f.write_str("json"),
            Self::Varbinary => f.write_str("varbinary"),
            Self::Date => f.write_str("date"),
            Self::Time { precision } => write!(f, "time({precision})"),
            Self::Timestamp { precision, zone } => {
                f.write_str("timestamp")?;
                if *precision != 6 {
                    write!(f, "({precision})")?;
                }
                f.write_str(if *zone { " with time zone" } else { "" })
            }
            Self::Array(item) => write!(f, "array({item})"),
            Self::Map(value) => write!(f, "map(varchar, {value})"),
            Self::Row(fields) => {
                f.write_str("row(")?;
                for (index, (name, value_type)) in fields.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{} {value_type}", Quoted(name))?;
                }
                f.write_str(")")
            }
        }
    }
}

/// The name of a field, in quotes where it is not plain.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !self.0.is_empty() && self.0.chars().all(plain) {
            return f.write_str(self.0);
        }
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

impl From<ValueType> for String {
    fn from(value_type: ValueType) -> Self {
        value_type.to_string()
    }
}

impl TryFrom<String> for ValueType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Reads a type's SQL name, case-insensitively. The error says what is wrong and what may be written.
impl FromStr for ValueType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text)
    }
}
