//! Values of Arrow arrays as cells: the way back from what [`crate::build`] makes.

use std::borrow::Cow;

use arrow::array::{
    Array, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, ListArray, MapArray, StringArray, StructArray, Time32MillisecondArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};

use crate::cell::Cell;

/// The value of a row; the array has a type that a column of a message may have.
pub(super) fn cell(array: &dyn Array, row: usize) -> Result<Cell<'_>, String> {
    if array.is_null(row) {
        return Ok(Cell::Null);
    }
    let found = match array.data_type() {
        DataType::Boolean => of::<BooleanArray>(array).map(|array| Cell::Boolean(array.value(row))),
        DataType::Int8 => of::<Int8Array>(array).map(|array| Cell::Integer(array.value(row).into())),
        DataType::Int16 => of::<Int16Array>(array).map(|array| Cell::Integer(array.value(row).into())),
        DataType::Int32 => of::<Int32Array>(array).map(|array| Cell::Integer(array.value(row).into())),
        DataType::Int64 => of::<Int64Array>(array).map(|array| Cell::Integer(array.value(row))),
        DataType::Float32 => of::<Float32Array>(array).map(|array| Cell::Real(array.value(row))),
        DataType::Float64 => of::<Float64Array>(array).map(|array| Cell::Double(array.value(row))),
        DataType::Decimal128(..) => of::<Decimal128Array>(array).map(|array| Cell::Decimal(array.value(row))),
        DataType::Date32 => of::<Date32Array>(array).map(|array| Cell::Integer(array.value(row).into())),
        DataType::Time32(TimeUnit::Millisecond) => {
            of::<Time32MillisecondArray>(array).map(|array| Cell::Integer(array.value(row).into()))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            of::<Time64MicrosecondArray>(array).map(|array| Cell::Integer(array.value(row)))
        }
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => of::<TimestampSecondArray>(array).map(|array| array.value(row)),
            TimeUnit::Millisecond => of::<TimestampMillisecondArray>(array).map(|array| array.value(row)),
            TimeUnit::Microsecond => of::<TimestampMicrosecondArray>(array).map(|array| array.value(row)),
            TimeUnit::Nanosecond => of::<TimestampNanosecondArray>(array).map(|array| array.value(row)),
        }
        .map(Cell::Integer),
        DataType::Utf8 => of::<StringArray>(array).map(|array| Cell::Text(Cow::Borrowed(array.value(row)))),
        DataType::Binary => of::<BinaryArray>(array).map(|array| Cell::Bytes(Cow::Borrowed(array.value(row)))),
        DataType::List(_) => return of::<ListArray>(array).map_or_else(|| Err(unfit(array)), |array| list(array, row)),
        DataType::Map(..) => return of::<MapArray>(array).map_or_else(|| Err(unfit(array)), |array| map(array, row)),
        DataType::Struct(_) => {
            return of::<StructArray>(array).map_or_else(|| Err(unfit(array)), |array| fields(array, row));
        }
        _ => None,
    };
    found.ok_or_else(|| unfit(array))
}

fn of<T: 'static>(array: &dyn Array) -> Option<&T> {
    array.as_any().downcast_ref()
}

fn unfit(array: &dyn Array) -> String {
    format!("values of the type {} are not written", array.data_type())
}

/// The elements that belong to a row.
fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |place: usize| offsets.get(place).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or_default();
    at(row)..at(row + 1)
}

fn list(array: &ListArray, row: usize) -> Result<Cell<'_>, String> {
    let elements = range(array.value_offsets(), row).map(|element| cell(array.values().as_ref(), element));
    elements.collect::<Result<_, _>>().map(Cell::List)
}

fn map(array: &MapArray, row: usize) -> Result<Cell<'_>, String> {
    let entries = range(array.value_offsets(), row).map(|entry| match cell(array.keys().as_ref(), entry)? {
        Cell::Text(key) => Ok((key, cell(array.values().as_ref(), entry)?)),
        _ => Err("the name of an entry is no text".to_owned()),
    });
    entries.collect::<Result<_, _>>().map(Cell::Entries)
}

fn fields(array: &StructArray, row: usize) -> Result<Cell<'_>, String> {
    array.columns().iter().map(|column| cell(column.as_ref(), row)).collect::<Result<_, _>>().map(Cell::Fields)
}
