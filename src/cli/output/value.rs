//! One value as text, the same in every text format.
//!
//! Numbers keep all their digits, a fraction of a second loses its trailing zeros, bytes are `\x` and hexadecimal
//! digits, and what nests (arrays, rows, maps) is JSON, so that it stays unambiguous.

use std::fmt::Write;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType,
    IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::indirect::resolve;
use super::{json, time};
use crate::error::{Error, Result};

/// Appends the value at `row` to `out`. Returns whether there was one: nothing is written for NULL.
pub(crate) fn write_text(array: &dyn Array, row: usize, out: &mut String) -> Result<bool> {
    let Some((array, row)) = resolve(array, row)? else { return Ok(false) };
    write_present(array, row, out)?;
    Ok(true)
}

/// Appends a value that is not NULL and whose array holds its values itself.
pub(super) fn write_present(array: &dyn Array, row: usize, out: &mut String) -> Result<()> {
    match array.data_type() {
        DataType::Boolean => {
            let value = array.as_boolean_opt().ok_or_else(|| unprintable(array))?.value(row);
            out.push_str(if value { "true" } else { "false" });
            Ok(())
        }
        DataType::Int8 => show(primitive::<Int8Type>(array, row)?, out),
        DataType::Int16 => show(primitive::<Int16Type>(array, row)?, out),
        DataType::Int32 => show(primitive::<Int32Type>(array, row)?, out),
        DataType::Int64 => show(primitive::<Int64Type>(array, row)?, out),
        DataType::UInt8 => show(primitive::<UInt8Type>(array, row)?, out),
        DataType::UInt16 => show(primitive::<UInt16Type>(array, row)?, out),
        DataType::UInt32 => show(primitive::<UInt32Type>(array, row)?, out),
        DataType::UInt64 => show(primitive::<UInt64Type>(array, row)?, out),
        DataType::Float16 => float(f64::from(primitive::<Float16Type>(array, row)?), None, out),
        DataType::Float32 => {
            let value = primitive::<Float32Type>(array, row)?;
            float(f64::from(value), Some(value), out)
        }
        DataType::Float64 => float(primitive::<Float64Type>(array, row)?, None, out),
        DataType::Decimal32(..) => decimal::<Decimal32Type>(array, row, out),
        DataType::Decimal64(..) => decimal::<Decimal64Type>(array, row, out),
        DataType::Decimal128(..) => decimal::<Decimal128Type>(array, row, out),
        DataType::Decimal256(..) => decimal::<Decimal256Type>(array, row, out),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            out.push_str(string(array, row)?);
            Ok(())
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            hexadecimal(bytes(array, row)?, out)
        }
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) | DataType::Timestamp(..) => {
            moment(array, row, out)
        }
        DataType::Duration(_) | DataType::Interval(_) => span(array, row, out),
        _ => json::write_present(array, row, out),
    }
}

/// Whether values of a type are numbers, which stand to the right in a column.
pub(crate) fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        other => other.is_numeric(),
    }
}

pub(super) fn unprintable(array: &dyn Array) -> Error {
    Error::internal(format!("a value of type {} cannot be printed", array.data_type()))
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Result<T::Native> {
    Ok(array.as_primitive_opt::<T>().ok_or_else(|| unprintable(array))?.value(row))
}

fn show(value: impl std::fmt::Display, out: &mut String) -> Result<()> {
    // Writing to a String does not fail.
    let _ = write!(out, "{value}");
    Ok(())
}

/// The shortest digits that give the same number again; an exponent from 1e16 on and below 1e-5.
fn float(value: f64, single: Option<f32>, out: &mut String) -> Result<()> {
    match (value.is_nan(), value.is_infinite()) {
        (true, _) => out.push_str("NaN"),
        (_, true) => out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" }),
        _ => {
            let _ = match single {
                Some(single) => write!(out, "{single:?}"),
                None => write!(out, "{value:?}"),
            };
        }
    }
    Ok(())
}

fn decimal<T: DecimalType + ArrowPrimitiveType>(array: &dyn Array, row: usize, out: &mut String) -> Result<()> {
    let values = array.as_primitive_opt::<T>().ok_or_else(|| unprintable(array))?;
    out.push_str(&values.value_as_string(row));
    Ok(())
}

/// The text at `row` of an array of text.
pub(super) fn string(array: &dyn Array, row: usize) -> Result<&str> {
    let text = match array.data_type() {
        DataType::Utf8 => array.as_string_opt::<i32>().map(|values| values.value(row)),
        DataType::LargeUtf8 => array.as_string_opt::<i64>().map(|values| values.value(row)),
        _ => array.as_string_view_opt().map(|values| values.value(row)),
    };
    text.ok_or_else(|| unprintable(array))
}

fn bytes(array: &dyn Array, row: usize) -> Result<&[u8]> {
    let bytes = match array.data_type() {
        DataType::Binary => array.as_binary_opt::<i32>().map(|values| values.value(row)),
        DataType::LargeBinary => array.as_binary_opt::<i64>().map(|values| values.value(row)),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary_opt().map(|values| values.value(row)),
        _ => array.as_binary_view_opt().map(|values| values.value(row)),
    };
    bytes.ok_or_else(|| unprintable(array))
}

fn hexadecimal(bytes: &[u8], out: &mut String) -> Result<()> {
    out.push_str("\\x");
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    Ok(())
}

/// Dates, times and timestamps.
fn moment(array: &dyn Array, row: usize, out: &mut String) -> Result<()> {
    match array.data_type() {
        DataType::Date32 => time::date(i64::from(primitive::<Date32Type>(array, row)?), out),
        DataType::Date64 => time::date(primitive::<Date64Type>(array, row)?.div_euclid(time::DAY_MILLISECONDS), out),
        DataType::Time32(TimeUnit::Second) => {
            time::time_of_day(i64::from(primitive::<Time32SecondType>(array, row)?), TimeUnit::Second, out);
        }
        DataType::Time32(_) => {
            time::time_of_day(i64::from(primitive::<Time32MillisecondType>(array, row)?), TimeUnit::Millisecond, out);
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            time::time_of_day(primitive::<Time64NanosecondType>(array, row)?, TimeUnit::Nanosecond, out);
        }
        DataType::Time64(_) => {
            time::time_of_day(primitive::<Time64MicrosecondType>(array, row)?, TimeUnit::Microsecond, out);
        }
        DataType::Timestamp(unit, zone) => {
            let value = match unit {
                TimeUnit::Second => primitive::<TimestampSecondType>(array, row)?,
                TimeUnit::Millisecond => primitive::<TimestampMillisecondType>(array, row)?,
                TimeUnit::Microsecond => primitive::<TimestampMicrosecondType>(array, row)?,
                TimeUnit::Nanosecond => primitive::<TimestampNanosecondType>(array, row)?,
            };
            time::timestamp(value, *unit, zone.as_deref(), out);
        }
        _ => return Err(unprintable(array)),
    }
    Ok(())
}

/// Durations and intervals.
fn span(array: &dyn Array, row: usize, out: &mut String) -> Result<()> {
    match array.data_type() {
        DataType::Duration(unit) => {
            let value = match unit {
                TimeUnit::Second => primitive::<DurationSecondType>(array, row)?,
                TimeUnit::Millisecond => primitive::<DurationMillisecondType>(array, row)?,
                TimeUnit::Microsecond => primitive::<DurationMicrosecondType>(array, row)?,
                TimeUnit::Nanosecond => primitive::<DurationNanosecondType>(array, row)?,
            };
            let nanoseconds = i128::from(value) * i128::from(time::nanoseconds_of(*unit));
            let days = nanoseconds / time::DAY_NANOSECONDS;
            time::interval(0, days, nanoseconds % time::DAY_NANOSECONDS, out);
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            time::interval(i64::from(primitive::<IntervalYearMonthType>(array, row)?), 0, 0, out);
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            let value = primitive::<IntervalDayTimeType>(array, row)?;
            time::interval(0, i128::from(value.days), i128::from(value.milliseconds) * 1_000_000, out);
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let value = primitive::<IntervalMonthDayNanoType>(array, row)?;
            time::interval(i64::from(value.months), i128::from(value.days), i128::from(value.nanoseconds), out);
        }
        _ => return Err(unprintable(array)),
    }
    Ok(())
}
