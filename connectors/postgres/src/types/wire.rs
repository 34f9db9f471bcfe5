//! How a value arrives in binary `COPY`, and as what Arrow type it leaves.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, TimeUnit};
use serde::{Deserialize, Serialize};

/// The name of the zone in which the engine sees a `timestamptz`.
pub(crate) const UTC: &str = "UTC";

/// A wire format together with the Arrow type it is decoded into. Plain data: it travels in splits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wire {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// `numeric` into a decimal.
    Decimal {
        precision: u8,
        scale: i8,
    },
    /// `numeric` into the text that PostgreSQL prints.
    NumericText,
    /// `numeric` into the nearest float.
    NumericDouble,
    /// `text` and everything whose binary form is its text.
    Text,
    /// `char(n)`: text whose trailing blanks mean nothing.
    PaddedText,
    Jsonb,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    /// A `timestamp` that the engine counts in nanoseconds: what it makes of a date.
    TimestampNanos,
    /// A date, time or timestamp, of which those out of the engine's range become its first or its last.
    Clamped(Box<Wire>),
    Interval,
    Uuid,
    Oid,
    /// `inet` or `cidr`, as the text that PostgreSQL prints.
    Inet,
    Hstore,
    /// An array of so many dimensions as lists are nested in one another.
    List(Box<Wire>),
}

impl Wire {
    /// The Arrow type of decoded values.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 | Self::Oid => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 | Self::NumericDouble => DataType::Float64,
            Self::Decimal { precision, scale } if *precision <= arrow::datatypes::DECIMAL128_MAX_PRECISION => {
                DataType::Decimal128(*precision, *scale)
            }
            Self::Decimal { precision, scale } => DataType::Decimal256(*precision, *scale),
            Self::NumericText | Self::Text | Self::PaddedText | Self::Jsonb | Self::Uuid | Self::Inet => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            Self::TimestampNanos => DataType::Timestamp(TimeUnit::Nanosecond, None),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Clamped(wire) => wire.data_type(),
            Self::Hstore => DataType::Map(Arc::new(map_entries()), false),
            Self::List(element) => DataType::List(Arc::new(Field::new_list_field(element.data_type(), true))),
        }
    }
}

/// Key and value of a map, called what the engine's own maps call them.
fn map_entries() -> Field {
    let fields = vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)];
    Field::new("entries", DataType::Struct(Fields::from(fields)), false)
}
