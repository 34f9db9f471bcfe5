//! The values of one column, each in the form that its type's receive function reads.

use arrow::array::{Array, AsArray};
use arrow::datatypes::*;

use super::list::Lists;
use super::{Unwritable, fixed, numeric, text};
use crate::types::Wire;

/// The values of a column of a batch.
pub(super) trait Cells {
    /// Appends the value of a row, which is not NULL, without its length.
    fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Unwritable>;
}

/// Values that a function writes, one by one.
struct Each<F>(F);

impl<F: Fn(usize, &mut Vec<u8>) -> Result<(), Unwritable>> Cells for Each<F> {
    fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        (self.0)(row, out)
    }
}

fn each<'a, F: Fn(usize, &mut Vec<u8>) -> Result<(), Unwritable> + 'a>(put: F) -> Box<dyn Cells + 'a> {
    Box::new(Each(put))
}

/// Values of a fixed width that never fail.
fn fixed_width<'a, const N: usize>(bytes: impl Fn(usize) -> [u8; N] + 'a) -> Box<dyn Cells + 'a> {
    each(move |row, out: &mut Vec<u8>| {
        out.extend_from_slice(&bytes(row));
        Ok(())
    })
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> Result<&[T::Native], Unwritable> {
    let values = array.as_primitive_opt::<T>().ok_or_else(|| another_type(array))?;
    Ok(values.values())
}

fn another_type(array: &dyn Array) -> Unwritable {
    Unwritable::new(format!("values of the type {}", array.data_type()))
}

/// The value of a row that there is.
fn at<T: Copy + Default>(values: &[T], row: usize) -> T {
    values.get(row).copied().unwrap_or_default()
}

/// How the values of an array are written; refused where a wire format is only read. The array has the wire's type.
pub(super) fn cells<'a>(array: &'a dyn Array, wire: &Wire, element: u32) -> Result<Box<dyn Cells + 'a>, Unwritable> {
    let other = || another_type(array);
    Ok(match wire {
        Wire::Bool => {
            let values = array.as_boolean_opt().ok_or_else(other)?;
            fixed_width(move |row| [u8::from(values.value(row))])
        }
        Wire::Int2 => {
            let values = primitive::<Int16Type>(array)?;
            fixed_width(move |row| at(values, row).to_be_bytes())
        }
        Wire::Int4 => {
            let values = primitive::<Int32Type>(array)?;
            fixed_width(move |row| at(values, row).to_be_bytes())
        }
        Wire::Int8 => {
            let values = primitive::<Int64Type>(array)?;
            fixed_width(move |row| at(values, row).to_be_bytes())
        }
        Wire::Float4 => {
            let values = primitive::<Float32Type>(array)?;
            fixed_width(move |row| at(values, row).to_be_bytes())
        }
        Wire::Float8 => {
            let values = primitive::<Float64Type>(array)?;
            fixed_width(move |row| at(values, row).to_be_bytes())
        }
        Wire::NumericDouble => {
            let values = primitive::<Float64Type>(array)?;
            each(move |row, out: &mut Vec<u8>| numeric::put_float(at(values, row), out))
        }
        Wire::Decimal { scale, .. } => decimals(array, *scale)?,
        Wire::NumericText => {
            let values = array.as_string_opt::<i32>().ok_or_else(other)?;
            each(move |row, out: &mut Vec<u8>| numeric::put_text(values.value(row), out))
        }
        Wire::Text | Wire::PaddedText => {
            let values = array.as_string_opt::<i32>().ok_or_else(other)?;
            each(move |row, out: &mut Vec<u8>| text::put(values.value(row), out))
        }
        Wire::Jsonb => {
            let values = array.as_string_opt::<i32>().ok_or_else(other)?;
            each(move |row, out: &mut Vec<u8>| text::put_jsonb(values.value(row), out))
        }
        Wire::Uuid => {
            let values = array.as_string_opt::<i32>().ok_or_else(other)?;
            each(move |row, out: &mut Vec<u8>| text::put_uuid(values.value(row), out))
        }
        Wire::Bytea => {
            let values = array.as_binary_opt::<i32>().ok_or_else(other)?;
            each(move |row, out: &mut Vec<u8>| {
                out.extend_from_slice(values.value(row));
                Ok(())
            })
        }
        Wire::Date => {
            let values = primitive::<Date32Type>(array)?;
            each(move |row, out: &mut Vec<u8>| fixed::put_date(at(values, row), out))
        }
        Wire::Time => {
            let values = primitive::<Time64MicrosecondType>(array)?;
            fixed_width(move |row| at(values, row).to_be_bytes())
        }
        Wire::Timestamp | Wire::Timestamptz => {
            let values = primitive::<TimestampMicrosecondType>(array)?;
            each(move |row, out: &mut Vec<u8>| fixed::put_timestamp(at(values, row), out))
        }
        Wire::Interval => {
            let values = primitive::<IntervalMonthDayNanoType>(array)?;
            each(move |row, out: &mut Vec<u8>| fixed::put_interval(at(values, row), out))
        }
        Wire::List(inner) => {
            let lists = array.as_list_opt::<i32>().ok_or_else(other)?;
            let elements = lists.values();
            let cells = cells(elements.as_ref(), inner, 0)?;
            Box::new(Lists { offsets: lists.value_offsets(), nulls: elements.nulls(), elements: cells, element })
        }
        #[allow(unreachable_patterns, reason = "formats that are read and not written")]
        _ => return Err(Unwritable::new("values of a type that is read and not written")),
    })
}

fn decimals(array: &dyn Array, scale: i8) -> Result<Box<dyn Cells + '_>, Unwritable> {
    let places = u16::try_from(scale).map_err(|_| another_type(array))?;
    match array.data_type() {
        DataType::Decimal128(_, given) if *given == scale => {
            let values = primitive::<Decimal128Type>(array)?;
            Ok(each(move |row, out: &mut Vec<u8>| numeric::put_decimal128(at(values, row), places, out)))
        }
        DataType::Decimal256(_, given) if *given == scale => {
            let values = primitive::<Decimal256Type>(array)?;
            Ok(each(move |row, out: &mut Vec<u8>| numeric::put_decimal256(at(values, row), places, out)))
        }
        _ => Err(another_type(array)),
    }
}
