//! Arrow arrays, built a value at a time.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, ListArray, StringBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    BinaryType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, Utf8Type,
};

use crate::build_flat::{Booleans, FlatBuilder, Numbers, Sequences};
use crate::build_nested::{ListBuilder, MapBuilder, RowBuilder};
use crate::cell::Cell;
use crate::columns::{header_fields, header_item};
use crate::log::RecordHeaders;

/// Builds one column.
#[derive(Debug)]
pub(crate) enum ColumnBuilder {
    Boolean(Booleans),
    Int8(Numbers<Int8Type>),
    Int16(Numbers<Int16Type>),
    Int32(Numbers<Int32Type>),
    Int64(Numbers<Int64Type>),
    Float32(Numbers<Float32Type>),
    Float64(Numbers<Float64Type>),
    Decimal(Numbers<Decimal128Type>),
    Date(Numbers<Date32Type>),
    TimeMillis(Numbers<Time32MillisecondType>),
    TimeMicros(Numbers<Time64MicrosecondType>),
    Seconds(Numbers<TimestampSecondType>),
    Millis(Numbers<TimestampMillisecondType>),
    Micros(Numbers<TimestampMicrosecondType>),
    Nanos(Numbers<TimestampNanosecondType>),
    Text(Sequences<Utf8Type>),
    Binary(Sequences<BinaryType>),
    Headers(HeadersBuilder),
    List(Box<ListBuilder>),
    Map(Box<MapBuilder>),
    Row(Box<RowBuilder>),
}

/// Appends `$value` where the cell has it, NULL where it is NULL.
macro_rules! append {
    ($builder:expr, $cell:expr, $variant:ident, $value:ident => $convert:expr) => {
        match $cell {
            Cell::Null => {
                $builder.push_null();
                Ok(0)
            }
            Cell::$variant($value) => {
                $builder.push($convert);
                Ok(0)
            }
            other => Err(mismatch(other)),
        }
    };
}

impl ColumnBuilder {
    /// A builder for the headers of messages.
    pub(crate) fn headers() -> Self {
        Self::Headers(HeadersBuilder::default())
    }

    /// A builder for a type that a column of a topic may have.
    pub(crate) fn new(data_type: &DataType) -> Result<Self, String> {
        Ok(match data_type {
            DataType::Boolean => Self::Boolean(Booleans::new()),
            DataType::Int8 => Self::Int8(Numbers::new(data_type)),
            DataType::Int16 => Self::Int16(Numbers::new(data_type)),
            DataType::Int32 => Self::Int32(Numbers::new(data_type)),
            DataType::Int64 => Self::Int64(Numbers::new(data_type)),
            DataType::Float32 => Self::Float32(Numbers::new(data_type)),
            DataType::Float64 => Self::Float64(Numbers::new(data_type)),
            DataType::Decimal128(..) => Self::Decimal(Numbers::new(data_type)),
            DataType::Date32 => Self::Date(Numbers::new(data_type)),
            DataType::Time32(TimeUnit::Millisecond) => Self::TimeMillis(Numbers::new(data_type)),
            DataType::Time64(TimeUnit::Microsecond) => Self::TimeMicros(Numbers::new(data_type)),
            DataType::Timestamp(TimeUnit::Second, _) => Self::Seconds(Numbers::new(data_type)),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Self::Millis(Numbers::new(data_type)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Micros(Numbers::new(data_type)),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Self::Nanos(Numbers::new(data_type)),
            DataType::Utf8 => Self::Text(Sequences::new()),
            DataType::Binary => Self::Binary(Sequences::new()),
            DataType::List(item) => Self::List(Box::new(ListBuilder::new(item)?)),
            DataType::Map(entries, _) => Self::Map(Box::new(MapBuilder::new(entries)?)),
            DataType::Struct(fields) => Self::Row(Box::new(RowBuilder::new(fields)?)),
            other => return Err(format!("a column of a topic cannot be {other}")),
        })
    }

    /// Whether bytes must be UTF-8 to fit.
    pub(crate) fn wants_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Adds a value; returns the bytes of variable length that it added.
    #[inline]
    pub(crate) fn push_cell(&mut self, cell: &Cell<'_>) -> Result<usize, String> {
        match self {
            Self::Boolean(builder) => append!(builder, cell, Boolean, value => *value),
            Self::Int8(builder) => append!(builder, cell, Integer, value => narrow(*value)?),
            Self::Int16(builder) => append!(builder, cell, Integer, value => narrow(*value)?),
            Self::Int32(builder) => append!(builder, cell, Integer, value => narrow(*value)?),
            Self::Int64(builder) => append!(builder, cell, Integer, value => *value),
            Self::Float32(builder) => append!(builder, cell, Real, value => *value),
            Self::Float64(builder) => append!(builder, cell, Double, value => *value),
            Self::Decimal(builder) => append!(builder, cell, Decimal, value => *value),
            Self::Date(builder) => append!(builder, cell, Integer, value => narrow(*value)?),
            Self::TimeMillis(builder) => append!(builder, cell, Integer, value => narrow(*value)?),
            Self::TimeMicros(builder) => append!(builder, cell, Integer, value => *value),
            Self::Seconds(builder) => append!(builder, cell, Integer, value => *value),
            Self::Millis(builder) => append!(builder, cell, Integer, value => *value),
            Self::Micros(builder) => append!(builder, cell, Integer, value => *value),
            Self::Nanos(builder) => append!(builder, cell, Integer, value => *value),
            Self::Text(builder) => match cell {
                Cell::Null => {
                    builder.push_null();
                    Ok(0)
                }
                Cell::Text(text) => {
                    builder.push(text)?;
                    Ok(text.len())
                }
                other => Err(mismatch(other)),
            },
            Self::Binary(builder) => match cell {
                Cell::Null => {
                    builder.push_null();
                    Ok(0)
                }
                Cell::Bytes(bytes) => {
                    builder.push(bytes)?;
                    Ok(bytes.len())
                }
                other => Err(mismatch(other)),
            },
            Self::List(builder) => builder.push(cell),
            Self::Map(builder) => builder.push(cell),
            Self::Row(builder) => builder.push(cell),
            Self::Headers(_) => Err(mismatch(cell)),
        }
    }

    /// Adds bytes; NULL where there are none, or where they are no text and must be.
    pub(crate) fn push_bytes(&mut self, bytes: Option<&[u8]>) -> Result<usize, String> {
        match (self, bytes) {
            (Self::Binary(builder), Some(bytes)) => builder.push(bytes)?,
            (Self::Binary(builder), None) => builder.push_null(),
            (Self::Text(builder), bytes) => match bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()) {
                Some(text) => builder.push(text)?,
                None => builder.push_null(),
            },
            _ => return Err("bytes cannot go into this column".to_owned()),
        }
        Ok(bytes.map_or(0, <[u8]>::len))
    }

    /// Adds the headers of a message.
    pub(crate) fn push_headers(&mut self, headers: &dyn RecordHeaders) -> Result<usize, String> {
        match self {
            Self::Headers(builder) => builder.push(headers),
            _ => Err("headers cannot go into this column".to_owned()),
        }
    }

    /// The builder of values that have no others in them; `None` if these are of another kind.
    pub(crate) fn flat(&mut self) -> Option<&mut dyn FlatBuilder> {
        Some(match self {
            Self::Boolean(builder) => builder,
            Self::Int8(builder) => builder,
            Self::Int16(builder) => builder,
            Self::Int32(builder) => builder,
            Self::Int64(builder) => builder,
            Self::Float32(builder) => builder,
            Self::Float64(builder) => builder,
            Self::Decimal(builder) => builder,
            Self::Date(builder) => builder,
            Self::TimeMillis(builder) => builder,
            Self::TimeMicros(builder) => builder,
            Self::Seconds(builder) => builder,
            Self::Millis(builder) => builder,
            Self::Micros(builder) => builder,
            Self::Nanos(builder) => builder,
            Self::Text(builder) => builder,
            Self::Binary(builder) => builder,
            Self::Headers(_) | Self::List(_) | Self::Map(_) | Self::Row(_) => return None,
        })
    }

    /// The column, leaving the builder empty.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, String> {
        match self {
            Self::Headers(builder) => builder.finish(),
            Self::List(builder) => builder.finish(),
            Self::Map(builder) => builder.finish(),
            Self::Row(builder) => builder.finish(),
            flat => match flat.flat() {
                Some(builder) => builder.finish(),
                None => Err("a column has no builder".to_owned()),
            },
        }
    }
}

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, String> {
    T::try_from(value).map_err(|_| format!("{value} is too large for its column"))
}

pub(crate) fn mismatch(cell: &Cell<'_>) -> String {
    format!("{cell:?} does not fit its column")
}

/// Builds a list of headers for each message.
#[derive(Debug, Default)]
pub(crate) struct HeadersBuilder {
    counts: Vec<usize>,
    keys: StringBuilder,
    values: BinaryBuilder,
}

impl HeadersBuilder {
    fn push(&mut self, headers: &dyn RecordHeaders) -> Result<usize, String> {
        let (mut count, mut bytes) = (0, 0);
        headers.each(&mut |key, value| {
            self.keys.append_value(key);
            self.values.append_option(value);
            count += 1;
            bytes += key.len() + value.map_or(0, <[u8]>::len);
        })?;
        self.counts.push(count);
        Ok(bytes)
    }

    fn finish(&mut self) -> Result<ArrayRef, String> {
        let offsets = OffsetBuffer::from_lengths(self.counts.drain(..));
        let keys: ArrayRef = Arc::new(self.keys.finish());
        let values: ArrayRef = Arc::new(self.values.finish());
        let wrong = |error: arrow::error::ArrowError| error.to_string();
        let headers = StructArray::try_new(header_fields(), vec![keys, values], None).map_err(wrong)?;
        let list = ListArray::try_new(Arc::new(header_item()), offsets, Arc::new(headers), None).map_err(wrong)?;
        Ok(Arc::new(list))
    }
}
