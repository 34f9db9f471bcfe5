//! Values that are written as text, read into columns.
//!
//! A text that is no value of the column's type is an error, and NULL only where the catalog file says so: what a file says is
//! not to be lost.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, StringViewBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::fault::shown;
use super::nested::{ListColumn, MapColumn, StructColumn};
use crate::types::{days, decimal, sql_name};

/// What is wrong with one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit(pub(crate) String);

impl Misfit {
    fn of(text: &str, kind: &str) -> Self {
        Self(format!("`{}` is no {kind}", shown(text)))
    }
}

/// A column that is being read.
pub(crate) enum ColumnBuilder {
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringViewBuilder),
    /// Text within lists, structs and maps.
    InnerText(StringBuilder),
    List(Box<ListColumn>),
    Struct(Box<StructColumn>),
    Map(Box<MapColumn>),
}

impl ColumnBuilder {
    /// A builder for a type, with room for so many rows; `None` for a type that text cannot hold.
    pub(crate) fn new(data_type: &DataType, rows: usize) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            DataType::Int8 => Self::Int8(Int8Builder::with_capacity(rows)),
            DataType::Int16 => Self::Int16(Int16Builder::with_capacity(rows)),
            DataType::Int32 => Self::Int32(Int32Builder::with_capacity(rows)),
            DataType::Int64 => Self::Int64(Int64Builder::with_capacity(rows)),
            DataType::Float32 => Self::Float32(Float32Builder::with_capacity(rows)),
            DataType::Float64 => Self::Float64(Float64Builder::with_capacity(rows)),
            DataType::Decimal128(precision, scale) => Self::Decimal(
                Decimal128Builder::with_capacity(rows).with_data_type(data_type.clone()),
                *precision,
                *scale,
            ),
            DataType::Date32 => Self::Date(Date32Builder::with_capacity(rows)),
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows))
            }
            DataType::Utf8View => Self::Text(StringViewBuilder::with_capacity(rows)),
            DataType::Utf8 => Self::InnerText(StringBuilder::new()),
            DataType::List(field) => Self::List(Box::new(ListColumn::new(field, rows)?)),
            DataType::Struct(fields) => Self::Struct(Box::new(StructColumn::new(fields, rows)?)),
            DataType::Map(entries, _) => Self::Map(Box::new(MapColumn::new(entries, rows)?)),
            _ => return None,
        })
    }

    /// The SQL name of the column's type.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Boolean(_) => "boolean".to_owned(),
            Self::Int8(_) => "tinyint".to_owned(),
            Self::Int16(_) => "smallint".to_owned(),
            Self::Int32(_) => "integer".to_owned(),
            Self::Int64(_) => "bigint".to_owned(),
            Self::Float32(_) => "real".to_owned(),
            Self::Float64(_) => "double".to_owned(),
            Self::Decimal(_, precision, scale) => sql_name(&DataType::Decimal128(*precision, *scale)),
            Self::Date(_) => "date".to_owned(),
            Self::Timestamp(_) => "timestamp".to_owned(),
            Self::Text(_) | Self::InnerText(_) => "varchar".to_owned(),
            Self::List(_) => "list".to_owned(),
            Self::Struct(_) => "struct".to_owned(),
            Self::Map(_) => "map".to_owned(),
        }
    }

    /// Adds the value that a text stands for.
    pub(crate) fn append_text(&mut self, text: &str) -> Result<(), Misfit> {
        match self {
            Self::Boolean(builder) => builder.append_value(boolean(text)?),
            Self::Int8(builder) => builder.append_value(number(text, "tinyint")?),
            Self::Int16(builder) => builder.append_value(number(text, "smallint")?),
            Self::Int32(builder) => builder.append_value(number(text, "integer")?),
            Self::Int64(builder) => builder.append_value(number(text, "bigint")?),
            Self::Float32(builder) => {
                let value: f32 = number(text, "real")?;
                check_finite(value.is_infinite(), text, "real")?;
                builder.append_value(value);
            }
            Self::Float64(builder) => {
                let value: f64 = number(text, "double")?;
                check_finite(value.is_infinite(), text, "double")?;
                builder.append_value(value);
            }
            Self::Decimal(builder, precision, scale) => {
                let value = decimal(text, *precision, *scale).ok_or_else(|| {
                    Misfit::of(text, &format!("decimal({precision},{scale}), or would have to be rounded"))
                })?;
                builder.append_value(value);
            }
            Self::Date(builder) => builder.append_value(date(text).ok_or_else(|| Misfit::of(text, "date"))?),
            Self::Timestamp(builder) => builder.append_value(
                timestamp_micros(text)
                    .ok_or_else(|| Misfit::of(text, "timestamp of at most microseconds without a time zone"))?,
            ),
            Self::Text(builder) => builder.append_value(text),
            Self::InnerText(builder) => builder.append_value(text),
            Self::List(_) | Self::Struct(_) | Self::Map(_) => return Err(Misfit::of(text, &self.kind())),
        }
        Ok(())
    }

    /// The same; where that is wanted, NULL for a text that stands for no value of the type.
    pub(crate) fn append_text_or_null(&mut self, text: &str, null_on_mismatch: bool) -> Result<(), Misfit> {
        match self.append_text(text) {
            Err(_) if null_on_mismatch => {
                self.append_null();
                Ok(())
            }
            appended => appended,
        }
    }

    pub(crate) fn append_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::Int8(builder) => builder.append_null(),
            Self::Int16(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) => builder.append_null(),
            Self::Float32(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Decimal(builder, _, _) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::InnerText(builder) => builder.append_null(),
            Self::List(list) => list.end_null(),
            Self::Struct(object) => object.end_null(),
            Self::Map(map) => map.end_null(),
        }
    }

    /// The column, and the builder empty again.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Int8(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder, _, _) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::InnerText(builder) => Arc::new(builder.finish()),
            Self::List(list) => list.finish()?,
            Self::Struct(object) => object.finish()?,
            Self::Map(map) => map.finish()?,
        })
    }
}

fn boolean(text: &str) -> Result<bool, Misfit> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(Misfit::of(text, "boolean"))
    }
}

fn number<T: FromStr>(text: &str, kind: &str) -> Result<T, Misfit> {
    text.parse().map_err(|_| Misfit::of(text, kind))
}

/// A number that is too large is read as infinity, which the file did not say.
fn check_finite(infinite: bool, text: &str, kind: &str) -> Result<(), Misfit> {
    let said = || text.trim_start_matches(['-', '+']).starts_with(['i', 'I']);
    if infinite && !said() { Err(Misfit::of(text, &format!("{kind}: it is too large"))) } else { Ok(()) }
}

fn date(text: &str) -> Option<i32> {
    if is_date(text) { days(text) } else { None }
}

/// Whether a text is a date as Hive writes it, `2026-10-01`.
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == "2026-10-01".len() && days(text).is_some()
}

/// The microseconds since 1970 of a timestamp without a time zone: `2026-10-01 12:30:00`, with a fraction of at most
/// nine digits of which those after the sixth are zero, or a date alone.
pub(crate) fn timestamp_micros(text: &str) -> Option<i64> {
    if is_date(text) {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        return Some(day.and_time(NaiveTime::MIN).and_utc().timestamp_micros());
    }
    let separator = text.as_bytes().get("2026-10-01".len())?;
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    if fraction.len() > 9 || !matches!(separator, b' ' | b'T') {
        return None;
    }
    let format = if *separator == b'T' { "%Y-%m-%dT%H:%M:%S%.f" } else { "%Y-%m-%d %H:%M:%S%.f" };
    let time = NaiveDateTime::parse_from_str(text, format).ok()?.and_utc();
    let lost = fraction.get(6..).is_some_and(|beyond| beyond.bytes().any(|digit| digit != b'0'));
    (!lost).then(|| time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::util::display::array_value_to_string;

    fn read(data_type: DataType, text: &str) -> Result<String, String> {
        let mut builder = ColumnBuilder::new(&data_type, 1).unwrap();
        builder.append_text(text).map_err(|misfit| misfit.0)?;
        Ok(array_value_to_string(&builder.finish().unwrap(), 0).unwrap())
    }

    #[test]
    fn what_fits() {
        for (data_type, text, value) in [
            (DataType::Boolean, "TRUE", "true"),
            (DataType::Int8, "-128", "-128"),
            (DataType::Int64, "007", "7"),
            (DataType::Float64, "NaN", "NaN"),
            (DataType::Float64, "-Infinity", "-inf"),
            (DataType::Float64, "1e3", "1000.0"),
            (DataType::Decimal128(5, 2), "1.50", "1.50"),
            (DataType::Decimal128(5, 2), "1.5000", "1.50"),
            (DataType::Date32, "2026-10-01", "2026-10-01"),
            (DataType::Timestamp(TimeUnit::Microsecond, None), "2026-10-01", "2026-10-01T00:00:00"),
            (DataType::Timestamp(TimeUnit::Microsecond, None), "1969-12-31 23:59:59.5", "1969-12-31T23:59:59.500"),
            (
                DataType::Timestamp(TimeUnit::Microsecond, None),
                "2026-10-01T12:30:00.123456000",
                "2026-10-01T12:30:00.123456",
            ),
            (DataType::Utf8View, "", ""),
        ] {
            assert_eq!(read(data_type, text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for (data_type, text) in [
            (DataType::Boolean, "1"),
            (DataType::Int8, "128"),
            (DataType::Int64, "9223372036854775808"),
            (DataType::Int64, "1.0"),
            (DataType::Int64, ""),
            (DataType::Int64, " 1"),
            (DataType::Float64, "1e999"),
            (DataType::Float32, "1e39"),
            (DataType::Float64, "1,5"),
            (DataType::Decimal128(5, 2), "1.505"),
            (DataType::Decimal128(5, 2), "1234.00"),
            (DataType::Decimal128(5, 2), "NaN"),
            (DataType::Date32, "2026-02-30"),
            (DataType::Date32, "2026-1-2"),
            (DataType::Timestamp(TimeUnit::Microsecond, None), "2026-10-01 12:30:00.1234567"),
            (DataType::Timestamp(TimeUnit::Microsecond, None), "2026-10-01 12:30:00Z"),
            (DataType::Timestamp(TimeUnit::Microsecond, None), "2026-10-01 25:30:00"),
        ] {
            assert!(read(data_type.clone(), text).is_err(), "{text} as {data_type}");
        }
        assert!(ColumnBuilder::new(&DataType::BinaryView, 1).is_none());
    }
}
