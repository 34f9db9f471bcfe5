//! Arrow arrays, built a value at a time.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, ListArray, StringBuilder, StructArray,
    Time32MillisecondBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder, TimestampMillisecondBuilder,
    TimestampNanosecondBuilder, TimestampSecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, TimeUnit};

use crate::build_nested::{ListBuilder, MapBuilder, RowBuilder};
use crate::cell::Cell;
use crate::columns::{header_fields, header_item};
use crate::log::RecordHeaders;

/// Builds one column.
#[derive(Debug)]
pub(crate) enum ColumnBuilder {
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder),
    Date(Date32Builder),
    TimeMillis(Time32MillisecondBuilder),
    TimeMicros(Time64MicrosecondBuilder),
    Seconds(TimestampSecondBuilder),
    Millis(TimestampMillisecondBuilder),
    Micros(TimestampMicrosecondBuilder),
    Nanos(TimestampNanosecondBuilder),
    Text(StringBuilder),
    Binary(BinaryBuilder),
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
                $builder.append_null();
                Ok(0)
            }
            Cell::$variant($value) => {
                $builder.append_value($convert);
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
        let same = data_type.clone();
        Ok(match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(..) => Self::Decimal(Decimal128Builder::new().with_data_type(same)),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Time32(TimeUnit::Millisecond) => Self::TimeMillis(Time32MillisecondBuilder::new()),
            DataType::Time64(TimeUnit::Microsecond) => Self::TimeMicros(Time64MicrosecondBuilder::new()),
            DataType::Timestamp(TimeUnit::Second, _) => {
                Self::Seconds(TimestampSecondBuilder::new().with_data_type(same))
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                Self::Millis(TimestampMillisecondBuilder::new().with_data_type(same))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Micros(TimestampMicrosecondBuilder::new().with_data_type(same))
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                Self::Nanos(TimestampNanosecondBuilder::new().with_data_type(same))
            }
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
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
                    builder.append_null();
                    Ok(0)
                }
                Cell::Text(text) => {
                    builder.append_value(text);
                    Ok(text.len())
                }
                other => Err(mismatch(other)),
            },
            Self::Binary(builder) => match cell {
                Cell::Null => {
                    builder.append_null();
                    Ok(0)
                }
                Cell::Bytes(bytes) => {
                    builder.append_value(bytes);
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
        match self {
            Self::Binary(builder) => builder.append_option(bytes),
            Self::Text(builder) => builder.append_option(bytes.and_then(|bytes| std::str::from_utf8(bytes).ok())),
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

    /// The column, leaving the builder empty.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, String> {
        let builder: &mut dyn ArrayBuilder = match self {
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
            Self::Headers(builder) => return builder.finish(),
            Self::List(builder) => return builder.finish(),
            Self::Map(builder) => return builder.finish(),
            Self::Row(builder) => return builder.finish(),
        };
        Ok(builder.finish())
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
