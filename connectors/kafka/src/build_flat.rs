//! Arrow arrays of values that have no others in them, built a value at a time. The last values can be taken back, which Arrow's
//! own builders do not do.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, BooleanArray, BooleanBufferBuilder, GenericByteArray,
    NullBufferBuilder, PrimitiveArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ByteArrayType, DataType};

/// The most values, and the most bytes of them, for which a builder makes room before it is given any: as many as it had last.
const MAX_ROOM: usize = 1 << 20;

/// What all of them do, whatever their values.
pub(crate) trait FlatBuilder {
    /// Adds a NULL.
    fn push_null(&mut self);

    /// Takes back all values behind the first `length`.
    fn truncate(&mut self, length: usize);

    /// The array, leaving the builder empty.
    fn finish(&mut self) -> Result<ArrayRef, String>;
}

/// Builds an array of numbers, or of what is kept as one.
#[derive(Debug)]
pub(crate) struct Numbers<T: ArrowPrimitiveType> {
    data_type: DataType,
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    /// An array of this type, which numbers of `T` may have.
    pub(crate) fn new(data_type: &DataType) -> Self {
        Self { data_type: data_type.clone(), values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: T::Native) {
        self.values.push(value);
        self.nulls.append_non_null();
    }
}

impl<T: ArrowPrimitiveType> FlatBuilder for Numbers<T> {
    fn push_null(&mut self) {
        self.values.push(T::Native::ZERO);
        self.nulls.append_null();
    }

    fn truncate(&mut self, length: usize) {
        self.values.truncate(length);
        self.nulls.truncate(length);
    }

    fn finish(&mut self) -> Result<ArrayRef, String> {
        let values = ScalarBuffer::from(taken(&mut self.values));
        let array = PrimitiveArray::<T>::try_new(values, self.nulls.finish()).map_err(|error| error.to_string())?;
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
    }
}

/// Builds an array of booleans.
#[derive(Debug)]
pub(crate) struct Booleans {
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl Booleans {
    pub(crate) fn new() -> Self {
        Self { values: BooleanBufferBuilder::new(0), nulls: NullBufferBuilder::new(0) }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: bool) {
        self.values.append(value);
        self.nulls.append_non_null();
    }
}

impl FlatBuilder for Booleans {
    fn push_null(&mut self) {
        self.values.append(false);
        self.nulls.append_null();
    }

    fn truncate(&mut self, length: usize) {
        self.values.truncate(length);
        self.nulls.truncate(length);
    }

    fn finish(&mut self) -> Result<ArrayRef, String> {
        Ok(Arc::new(BooleanArray::new(self.values.finish(), self.nulls.finish())))
    }
}

/// Builds an array of texts or of bytes.
pub(crate) struct Sequences<T> {
    bytes: Vec<u8>,
    /// Where each value begins, and where the last one ends.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    kind: PhantomData<T>,
}

impl<T: ByteArrayType<Offset = i32>> Sequences<T> {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0], nulls: NullBufferBuilder::new(0), kind: PhantomData }
    }

    /// Adds a value. The error is that there are more than two gigabytes of them.
    #[inline]
    pub(crate) fn push(&mut self, value: &T::Native) -> Result<(), String> {
        let value: &[u8] = value.as_ref();
        let end = i32::try_from(self.bytes.len() + value.len()).map_err(|_| self.too_large(value.len()))?;
        self.bytes.extend_from_slice(value);
        self.offsets.push(end);
        self.nulls.append_non_null();
        Ok(())
    }

    #[cold]
    fn too_large(&self, more: usize) -> String {
        format!("{} bytes of a column and {more} more are too many for one batch", self.bytes.len())
    }

    fn end(&self) -> i32 {
        self.offsets.last().copied().unwrap_or(0)
    }
}

impl<T: ByteArrayType<Offset = i32>> FlatBuilder for Sequences<T> {
    fn push_null(&mut self) {
        self.offsets.push(self.end());
        self.nulls.append_null();
    }

    fn truncate(&mut self, length: usize) {
        self.offsets.truncate(length + 1);
        self.nulls.truncate(length);
        self.bytes.truncate(usize::try_from(self.end()).unwrap_or(0));
    }

    fn finish(&mut self) -> Result<ArrayRef, String> {
        let offsets = taken(&mut self.offsets);
        self.offsets.push(0);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let bytes = Buffer::from_vec(taken(&mut self.bytes));
        let array = GenericByteArray::<T>::try_new(offsets, bytes, self.nulls.finish());
        Ok(Arc::new(array.map_err(|error| error.to_string())?))
    }
}

// Arrow's kinds of sequences cannot be shown themselves.
impl<T> fmt::Debug for Sequences<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequences").field("bytes", &self.bytes).field("offsets", &self.offsets).finish_non_exhaustive()
    }
}

/// The values, leaving room for as many others.
fn taken<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(values.len().min(MAX_ROOM));
    std::mem::replace(values, room)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use arrow::array::{BinaryArray, Int64Array, StringArray};
    use arrow::datatypes::{BinaryType, Int64Type, Utf8Type};

    use super::*;

    /// Values, some of them taken back, and others; then a second array of the same builder.
    fn built<B: FlatBuilder>(mut builder: B, push: impl Fn(&mut B, usize)) -> [ArrayRef; 2] {
        push(&mut builder, 0);
        builder.push_null();
        push(&mut builder, 1);
        builder.push_null();
        builder.truncate(4);
        builder.truncate(2);
        push(&mut builder, 2);
        let first = builder.finish().unwrap();
        push(&mut builder, 3);
        builder.truncate(0);
        push(&mut builder, 4);
        [first, builder.finish().unwrap()]
    }

    #[test]
    fn what_is_taken_back_is_gone() {
        let numbers = built(Numbers::<Int64Type>::new(&DataType::Int64), |builder, place| builder.push(place as i64));
        assert_eq!(numbers[0].as_ref(), &Int64Array::from(vec![Some(0), None, Some(2)]));
        assert_eq!(numbers[1].as_ref(), &Int64Array::from(vec![4]));

        let booleans = built(Booleans::new(), |builder, place| builder.push(place == 2 || place == 3));
        assert_eq!(booleans[0].as_ref(), &BooleanArray::from(vec![Some(false), None, Some(true)]));
        assert_eq!(booleans[1].as_ref(), &BooleanArray::from(vec![false]));

        let words = ["é", "long", "", "x", "yes"];
        let texts = built(Sequences::<Utf8Type>::new(), |builder, place| builder.push(words[place]).unwrap());
        assert_eq!(texts[0].as_ref(), &StringArray::from(vec![Some("é"), None, Some("")]));
        assert_eq!(texts[1].as_ref(), &StringArray::from(vec!["yes"]));

        let bytes = built(Sequences::<BinaryType>::new(), |builder, place| builder.push(&[place as u8, 255]).unwrap());
        assert_eq!(bytes[0].as_ref(), &BinaryArray::from_opt_vec(vec![Some(&[0, 255]), None, Some(&[2, 255])]));
        assert_eq!(bytes[1].as_ref(), &BinaryArray::from_vec(vec![&[4, 255]]));
    }

    #[test]
    fn nothing_is_an_array_too() {
        assert_eq!(Sequences::<Utf8Type>::new().finish().unwrap().len(), 0);
        assert_eq!(Numbers::<Int64Type>::new(&DataType::Int64).finish().unwrap().len(), 0);
        assert_eq!(Booleans::new().finish().unwrap().len(), 0);
    }
}
