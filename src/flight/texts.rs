//! Texts and bytes in one buffer, which every client reads, from views.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, GenericByteArray, GenericByteViewArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{ByteArrayType, ByteViewType};
use arrow::error::ArrowError;

/// Values of at most so many bytes are in their view itself, behind the length.
const INLINE_MAX: usize = 12;

/// Values of at most so many bytes are copied as if they were so long, which is faster than copying just enough.
const SHORT_MAX: usize = 32;

/// The values of an array of views. A good part of sending rows is spent here, which is why it is not left to the
/// general conversion.
pub(super) fn gathered<V, T>(array: &GenericByteViewArray<V>) -> Result<ArrayRef, ArrowError>
where
    V: ByteViewType,
    T: ByteArrayType<Offset = i32>,
{
    let length: usize = array.views().iter().map(|view| view_length(*view)).sum();
    let buffers: Vec<&[u8]> = array.data_buffers().iter().map(|buffer| buffer.as_slice()).collect();
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let mut values = Vec::with_capacity(length + SHORT_MAX);
    let mut ends = Vec::with_capacity(array.len() + 1);
    ends.push(0);
    for (row, view) in array.views().iter().enumerate() {
        if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
            append(&mut values, *view, &buffers)
                .ok_or_else(|| ArrowError::InvalidArgumentError("a view points to nothing".to_owned()))?;
        }
        ends.push(i32::try_from(values.len()).map_err(|_| ArrowError::OffsetOverflowError(values.len()))?);
    }
    let gathered =
        GenericByteArray::<T>::try_new(OffsetBuffer::new(ends.into()), values.into(), array.nulls().cloned());
    Ok(Arc::new(gathered?))
}

/// How many bytes a view stands for.
pub(super) fn view_length(view: u128) -> usize {
    view as u32 as usize
}

/// Appends the value of a view; `None` if it points to nothing.
#[inline]
fn append(values: &mut Vec<u8>, view: u128, buffers: &[&[u8]]) -> Option<()> {
    let length = view_length(view);
    let end = values.len() + length;
    if length <= INLINE_MAX {
        let [_, _, _, _, inline @ ..] = view.to_le_bytes();
        values.extend_from_slice(&inline);
        values.truncate(end);
        return Some(());
    }
    let (buffer, offset) = ((view >> 64) as u32 as usize, (view >> 96) as u32 as usize);
    let value = buffers.get(buffer)?.get(offset..)?;
    match value.first_chunk::<SHORT_MAX>() {
        Some(short) if length <= SHORT_MAX => {
            values.extend_from_slice(short);
            values.truncate(end);
        }
        _ => values.extend_from_slice(value.get(..length)?),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, BinaryViewArray, StringViewArray};
    use arrow::datatypes::{BinaryType, BinaryViewType, StringViewType, Utf8Type};

    use super::*;

    #[test]
    fn texts_of_all_lengths_with_and_without_null() {
        let texts: Vec<Option<String>> = (0..200).map(|n| (n % 5 > 0).then(|| "é".repeat(n % 40))).collect();
        let views = StringViewArray::from_iter(texts.iter());
        let gathered = gathered::<StringViewType, Utf8Type>(&views).unwrap();
        let found: Vec<Option<&str>> = gathered.as_string::<i32>().iter().collect();
        assert_eq!(found, texts.iter().map(Option::as_deref).collect::<Vec<_>>());

        let slice = views.slice(17, 30);
        let sliced = super::gathered::<StringViewType, Utf8Type>(&slice).unwrap();
        assert_eq!(sliced.as_string::<i32>(), &gathered.as_string::<i32>().slice(17, 30));

        let all = BinaryViewArray::from_iter_values([&b"\xff"[..], b"", b"more than twelve bytes"]);
        let gathered = super::gathered::<BinaryViewType, BinaryType>(&all).unwrap();
        assert_eq!(gathered.as_binary::<i32>().iter().collect::<Vec<_>>(), all.iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_behind_a_null_is_not_sent() {
        let hidden = StringViewArray::from_iter_values(["a secret that is long", "short", "said"]);
        let nulls = arrow::buffer::NullBuffer::from(vec![false, false, true]);
        let views = StringViewArray::new(hidden.views().clone(), hidden.data_buffers().to_vec(), Some(nulls));
        let gathered = gathered::<StringViewType, Utf8Type>(&views).unwrap();
        assert_eq!(gathered.as_string::<i32>().value_data(), b"said");
    }
}
