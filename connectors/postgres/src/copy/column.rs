//! The values of one column of a batch.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType,
};

use super::decimal::{Decimals128, Decimals256};
use super::fixed::{self, Booleans};
use super::list::Lists;
use super::map::Maps;
use super::nulls::Nulls;
use super::text::{self, Texts};
use super::{inet, numeric};
use crate::types::Wire;

/// Why a value cannot be decoded. As small as a pointer: every decoded value is returned in the place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ValueError(Box<Explanation>);

/// What there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Explanation {
    /// What the column holds, a clause without the column, which the caller knows.
    pub(crate) what: String,
    pub(crate) hint: Option<String>,
}

impl ValueError {
    #[cold]
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(Box::new(Explanation { what: what.into(), hint: None }))
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The parts.
    pub(crate) fn explanation(&self) -> &Explanation {
        &self.0
    }

    /// A value that is not as long as its type says.
    #[cold]
    pub(super) fn length(type_name: &str, bytes: usize) -> Self {
        Self::new(format!("a {type_name} of {bytes} bytes"))
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

/// Values of a type with a fixed width.
#[derive(Debug)]
pub(super) struct Fixed<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: Nulls,
    data_type: arrow::datatypes::DataType,
}

impl<T: ArrowPrimitiveType> Fixed<T> {
    pub(super) fn new(wire: &Wire) -> Self {
        Self { values: Vec::new(), nulls: Nulls::default(), data_type: wire.data_type() }
    }

    #[inline]
    pub(super) fn push(&mut self, value: T::Native) {
        self.values.push(value);
        self.nulls.value();
    }

    fn push_null(&mut self) {
        self.nulls.null(self.values.len());
        self.values.push(T::Native::default());
    }

    /// The array, and room for as many values again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ValueError> {
        let room = self.values.len();
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(room));
        let array = PrimitiveArray::<T>::try_new(ScalarBuffer::from(values), self.nulls.finish());
        let array = array.map_err(|error| ValueError::new(error.to_string()))?;
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
    }
}

/// A column under construction. One variant for each loop that decodes differently.
#[derive(Debug)]
pub(super) enum Column {
    Bool(Booleans),
    Int2(Fixed<Int16Type>),
    Int4(Fixed<Int32Type>),
    Int8(Fixed<Int64Type>),
    Float4(Fixed<Float32Type>),
    Float8(Fixed<Float64Type>),
    NumericDouble(Fixed<Float64Type>),
    Decimal128(Fixed<Decimal128Type>, Decimals128),
    Decimal256(Fixed<Decimal256Type>, Decimals256),
    Date(Fixed<arrow::datatypes::Date32Type>),
    Time(Fixed<arrow::datatypes::Time64MicrosecondType>),
    Timestamp(Fixed<arrow::datatypes::TimestampMicrosecondType>),
    Interval(Fixed<IntervalMonthDayNanoType>),
    Text(Texts),
    PaddedText(Texts),
    Jsonb(Texts),
    Uuid(Texts),
    NumericText(Texts),
    Bytea(Texts),
    Oid(Fixed<Int64Type>),
    ClampedDate(Fixed<arrow::datatypes::Date32Type>),
    ClampedTime(Fixed<arrow::datatypes::Time64MicrosecondType>),
    ClampedTimestamp(Fixed<arrow::datatypes::TimestampMicrosecondType>),
    TimestampNanos(Fixed<arrow::datatypes::TimestampNanosecondType>),
    Inet(Texts),
    Hstore(Box<Maps>),
    List(Box<Lists>),
}

impl Column {
    pub(super) fn new(wire: &Wire) -> Self {
        match wire {
            Wire::Bool => Self::Bool(Booleans::new()),
            Wire::Int2 => Self::Int2(Fixed::new(wire)),
            Wire::Int4 => Self::Int4(Fixed::new(wire)),
            Wire::Int8 => Self::Int8(Fixed::new(wire)),
            Wire::Float4 => Self::Float4(Fixed::new(wire)),
            Wire::Float8 => Self::Float8(Fixed::new(wire)),
            Wire::NumericDouble => Self::NumericDouble(Fixed::new(wire)),
            Wire::Decimal { precision, scale } => match Decimals128::new(*precision, *scale) {
                Some(decimals) => Self::Decimal128(Fixed::new(wire), decimals),
                None => Self::Decimal256(Fixed::new(wire), Decimals256::new(*precision, *scale)),
            },
            Wire::Date => Self::Date(Fixed::new(wire)),
            Wire::Time => Self::Time(Fixed::new(wire)),
            Wire::Timestamp | Wire::Timestamptz => Self::Timestamp(Fixed::new(wire)),
            Wire::Interval => Self::Interval(Fixed::new(wire)),
            Wire::Text => Self::Text(Texts::utf8()),
            Wire::PaddedText => Self::PaddedText(Texts::utf8()),
            Wire::Jsonb => Self::Jsonb(Texts::utf8()),
            Wire::Uuid => Self::Uuid(Texts::utf8()),
            Wire::NumericText => Self::NumericText(Texts::utf8()),
            Wire::Bytea => Self::Bytea(Texts::binary()),
            Wire::Oid => Self::Oid(Fixed::new(wire)),
            Wire::Clamped(of) => match of.as_ref() {
                Wire::Date => Self::ClampedDate(Fixed::new(wire)),
                Wire::Time => Self::ClampedTime(Fixed::new(wire)),
                Wire::Timestamp | Wire::Timestamptz => Self::ClampedTimestamp(Fixed::new(wire)),
                // Nothing else has values out of range.
                other => Self::new(other),
            },
            Wire::TimestampNanos => Self::TimestampNanos(Fixed::new(wire)),
            Wire::Inet => Self::Inet(Texts::utf8()),
            Wire::Hstore => Self::Hstore(Box::new(Maps::new())),
            Wire::List(element) => Self::List(Box::new(Lists::new(element))),
        }
    }

    /// Decodes one value. The types that most columns have are part of the loop over a row's fields: a call for each
    /// field would cost a tenth of the time.
    #[inline(always)]
    pub(super) fn push(&mut self, value: &[u8]) -> Result<(), ValueError> {
        match self {
            Self::Int4(column) => column.push(fixed::int4(value)?),
            Self::Int8(column) => column.push(fixed::int8(value)?),
            Self::Float8(column) => column.push(fixed::float8(value)?),
            Self::Decimal128(column, decimals) => column.push(decimals.decode(value)?),
            Self::Date(column) => column.push(fixed::date(value)?),
            Self::Timestamp(column) => column.push(fixed::timestamp(value)?),
            Self::Text(column) => column.push(value)?,
            Self::PaddedText(column) => column.push(text::without_padding(value))?,
            _ => self.push_rare(value)?,
        }
        Ok(())
    }

    /// The other types, kept out of the loop over a row's fields.
    #[inline(never)]
    fn push_rare(&mut self, value: &[u8]) -> Result<(), ValueError> {
        match self {
            Self::Bool(column) => column.push(fixed::boolean(value)?),
            Self::Int2(column) => column.push(fixed::int2(value)?),
            Self::Float4(column) => column.push(fixed::float4(value)?),
            Self::NumericDouble(column) => column.push(numeric::float8(value)?),
            Self::Decimal256(column, decimals) => column.push(decimals.decode(value)?),
            Self::Time(column) => column.push(fixed::time(value)?),
            Self::Interval(column) => column.push(fixed::interval(value)?),
            Self::Jsonb(column) => column.push(text::jsonb(value)?)?,
            Self::Uuid(column) => column.push(&text::uuid(value)?)?,
            Self::NumericText(column) => column.push(numeric::text(value)?.as_bytes())?,
            Self::Bytea(column) => column.push(value)?,
            Self::Oid(column) => column.push(fixed::oid(value)?),
            Self::ClampedDate(column) => column.push(fixed::clamped_date(value)?),
            Self::ClampedTime(column) => column.push(fixed::clamped_time(value)?),
            Self::ClampedTimestamp(column) => column.push(fixed::clamped_timestamp(value)?),
            Self::TimestampNanos(column) => column.push(fixed::timestamp_nanos(value)?),
            Self::Inet(column) => column.push(inet::text(value)?.as_bytes())?,
            Self::Hstore(column) => column.push(value)?,
            Self::List(column) => column.push(value)?,
            Self::Int4(_)
            | Self::Int8(_)
            | Self::Float8(_)
            | Self::Decimal128(..)
            | Self::Date(_)
            | Self::Timestamp(_)
            | Self::Text(_)
            | Self::PaddedText(_) => return self.push(value),
        }
        Ok(())
    }

    /// Adds a NULL.
    pub(super) fn push_null(&mut self) {
        match self {
            Self::Bool(column) => column.push_null(),
            Self::Int2(column) => column.push_null(),
            Self::Int4(column) => column.push_null(),
            Self::Int8(column) | Self::Oid(column) => column.push_null(),
            Self::Float4(column) => column.push_null(),
            Self::Float8(column) | Self::NumericDouble(column) => column.push_null(),
            Self::Decimal128(column, _) => column.push_null(),
            Self::Decimal256(column, _) => column.push_null(),
            Self::Date(column) | Self::ClampedDate(column) => column.push_null(),
            Self::Time(column) | Self::ClampedTime(column) => column.push_null(),
            Self::Timestamp(column) | Self::ClampedTimestamp(column) => column.push_null(),
            Self::TimestampNanos(column) => column.push_null(),
            Self::Interval(column) => column.push_null(),
            Self::Text(column)
            | Self::PaddedText(column)
            | Self::Jsonb(column)
            | Self::Uuid(column)
            | Self::NumericText(column)
            | Self::Inet(column)
            | Self::Bytea(column) => column.push_null(),
            Self::Hstore(column) => column.push_null(),
            Self::List(column) => column.push_null(),
        }
    }

    /// The values so far as an array; the column starts anew.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ValueError> {
        match self {
            Self::Bool(column) => Ok(column.finish()),
            Self::Int2(column) => column.finish(),
            Self::Int4(column) => column.finish(),
            Self::Int8(column) | Self::Oid(column) => column.finish(),
            Self::Float4(column) => column.finish(),
            Self::Float8(column) | Self::NumericDouble(column) => column.finish(),
            Self::Decimal128(column, _) => column.finish(),
            Self::Decimal256(column, _) => column.finish(),
            Self::Date(column) | Self::ClampedDate(column) => column.finish(),
            Self::Time(column) | Self::ClampedTime(column) => column.finish(),
            Self::Timestamp(column) | Self::ClampedTimestamp(column) => column.finish(),
            Self::TimestampNanos(column) => column.finish(),
            Self::Interval(column) => column.finish(),
            Self::Text(column)
            | Self::PaddedText(column)
            | Self::Jsonb(column)
            | Self::Uuid(column)
            | Self::NumericText(column)
            | Self::Inet(column)
            | Self::Bytea(column) => column.finish(),
            Self::Hstore(column) => column.finish(),
            Self::List(column) => column.finish(),
        }
    }
}
