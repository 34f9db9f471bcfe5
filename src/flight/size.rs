//! How many bytes rows take in a message, and batches cut so that each part fits.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;

use super::texts::view_length;

/// The parts of a batch, in order, each of at most `bytes_max` bytes or a single row. Nothing is copied.
pub(super) fn split(batch: RecordBatch, bytes_max: usize) -> Vec<RecordBatch> {
    let mut parts = Vec::new();
    // The part on top is the next one in order.
    let mut stack = vec![batch];
    while let Some(batch) = stack.pop() {
        let rows = batch.num_rows();
        if rows <= 1 || batch_bytes(&batch) <= bytes_max {
            parts.push(batch);
        } else {
            stack.push(batch.slice(rows / 2, rows - rows / 2));
            stack.push(batch.slice(0, rows / 2));
        }
    }
    parts
}

fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| array_bytes(column.as_ref())).sum()
}

/// The bytes of an array's own rows, whatever larger buffers it is a slice of. Dictionaries and views count as the
/// values that they stand for, since they travel so.
fn array_bytes(array: &dyn Array) -> usize {
    let rows = array.len();
    let nulls = if array.nulls().is_some() { rows.div_ceil(8) } else { 0 };
    nulls
        + match array.data_type() {
            DataType::Utf8 => offset_span(array.as_string::<i32>().value_offsets()) + (rows + 1) * 4,
            DataType::LargeUtf8 => offset_span(array.as_string::<i64>().value_offsets()) + (rows + 1) * 8,
            DataType::Binary => offset_span(array.as_binary::<i32>().value_offsets()) + (rows + 1) * 4,
            DataType::LargeBinary => offset_span(array.as_binary::<i64>().value_offsets()) + (rows + 1) * 8,
            DataType::Utf8View => view_bytes(array.as_string_view().views()) + (rows + 1) * 4,
            DataType::BinaryView => view_bytes(array.as_binary_view().views()) + (rows + 1) * 4,
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                items_bytes(list.values().as_ref(), list.value_offsets()) + (rows + 1) * 4
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                items_bytes(list.values().as_ref(), list.value_offsets()) + (rows + 1) * 8
            }
            DataType::Map(_, _) => {
                let map = array.as_map();
                items_bytes(map.entries(), map.value_offsets()) + (rows + 1) * 4
            }
            DataType::FixedSizeList(_, _) => array_bytes(array.as_fixed_size_list().values().as_ref()),
            DataType::Struct(_) => array.as_struct().columns().iter().map(|column| array_bytes(column.as_ref())).sum(),
            DataType::Dictionary(_, _) => {
                let values = array.as_any_dictionary().values();
                array_bytes(values.as_ref()).div_ceil(values.len().max(1)).saturating_mul(rows)
            }
            _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_buffer_memory_size()),
        }
}

fn view_bytes(views: &[u128]) -> usize {
    views.iter().map(|view| view_length(*view)).sum()
}

fn offset_span<O: Copy + TryInto<usize>>(offsets: &[O]) -> usize {
    let at = |offset: Option<&O>| offset.and_then(|offset| (*offset).try_into().ok()).unwrap_or(0);
    at(offsets.last()).saturating_sub(at(offsets.first()))
}

fn items_bytes<O: Copy + TryInto<usize>>(items: &dyn Array, offsets: &[O]) -> usize {
    let start = offsets.first().and_then(|offset| (*offset).try_into().ok()).unwrap_or(0);
    array_bytes(items.slice(start, offset_span(offsets)).as_ref())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, DictionaryArray, Int32Array, Int64Array, ListArray, StringArray, StringViewArray, StructArray,
    };
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    fn batch(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([("c", column)]).unwrap()
    }

    #[test]
    fn rows_are_counted_not_the_buffers_behind_them() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
        assert_eq!(array_bytes(numbers.slice(5000, 10).as_ref()), 80);
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..1000).map(|_| "x".repeat(100))));
        assert_eq!(array_bytes(texts.slice(500, 10).as_ref()), 1000 + 11 * 4);
        let views: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..1000).map(|_| "x".repeat(100))));
        assert_eq!(array_bytes(views.slice(500, 10).as_ref()), 1000 + 11 * 4);
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
            (0..1000).map(|_| Some(vec![Some(1), Some(2)])),
        ));
        assert_eq!(array_bytes(lists.slice(500, 10).as_ref()), 20 * 4 + 11 * 4);
        let keys = Int32Array::from_iter_values((0..1000).map(|row| row % 2));
        let words = StringArray::from_iter_values(["x".repeat(100), "y".repeat(100)]);
        let dictionary: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(words)));
        assert_eq!(array_bytes(dictionary.slice(500, 10).as_ref()), 106 * 10);
        let field = Arc::new(Field::new("n", DataType::Int64, false));
        let rows: ArrayRef = Arc::new(StructArray::from(vec![(field, numbers)]));
        assert_eq!(array_bytes(rows.slice(500, 10).as_ref()), 80);
    }

    #[test]
    fn parts_fit_keep_their_order_and_lose_nothing() {
        // One row is far larger than all others.
        let texts = (0..1000).map(|row| if row == 137 { "y".repeat(5000) } else { format!("{row:0>100}") });
        let whole = batch(Arc::new(StringArray::from_iter_values(texts)));
        let parts = split(whole.clone(), 4096);
        assert!(parts.iter().all(|part| part.num_rows() == 1 || batch_bytes(part) <= 4096));
        let joined = arrow::compute::concat_batches(&whole.schema(), &parts).unwrap();
        assert_eq!(joined, whole);
        // A small slice of something large stays whole.
        assert_eq!(split(whole.slice(0, 10), 4096).len(), 1);
    }
}
