//! Arrays that hold their values elsewhere: dictionaries, runs and unions.

use arrow::array::{Array, AsArray, UnionArray};
use arrow::datatypes::{
    ArrowDictionaryKeyType, DataType, Int8Type, Int16Type, Int32Type, Int64Type, RunEndIndexType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use super::value::unprintable;
use crate::error::Result;

/// The array that holds the value at `row` itself, and the value's place in it; `None` for NULL.
pub(super) fn resolve(array: &dyn Array, row: usize) -> Result<Option<(&dyn Array, usize)>> {
    let place = match array.data_type() {
        DataType::Null => return Ok(None),
        DataType::Dictionary(key, _) => match key.as_ref() {
            DataType::Int8 => entry::<Int8Type>(array, row),
            DataType::Int16 => entry::<Int16Type>(array, row),
            DataType::Int32 => entry::<Int32Type>(array, row),
            DataType::Int64 => entry::<Int64Type>(array, row),
            DataType::UInt8 => entry::<UInt8Type>(array, row),
            DataType::UInt16 => entry::<UInt16Type>(array, row),
            DataType::UInt32 => entry::<UInt32Type>(array, row),
            DataType::UInt64 => entry::<UInt64Type>(array, row),
            _ => None,
        },
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => run::<Int16Type>(array, row),
            DataType::Int32 => run::<Int32Type>(array, row),
            DataType::Int64 => run::<Int64Type>(array, row),
            _ => None,
        },
        DataType::Union(..) => array.as_any().downcast_ref::<UnionArray>().map(|union| {
            let child: &dyn Array = union.child(union.type_id(row)).as_ref();
            Some((child, union.value_offset(row)))
        }),
        _ => return Ok((!array.is_null(row)).then_some((array, row))),
    };
    match place.ok_or_else(|| unprintable(array))? {
        Some((values, row)) => resolve(values, row),
        None => Ok(None),
    }
}

/// The outer `None` says that the array is not what its type says, the inner one that the value is NULL.
type Place<'a> = Option<Option<(&'a dyn Array, usize)>>;

fn entry<K: ArrowDictionaryKeyType>(array: &dyn Array, row: usize) -> Place<'_> {
    let dictionary = array.as_dictionary_opt::<K>()?;
    let values: &dyn Array = dictionary.values().as_ref();
    Some(dictionary.key(row).map(|key| (values, key)))
}

fn run<E: RunEndIndexType>(array: &dyn Array, row: usize) -> Place<'_> {
    let runs = array.as_run_opt::<E>()?;
    let values: &dyn Array = runs.values().as_ref();
    Some(Some((values, runs.get_physical_index(row))))
}
