//! Which values of a column are NULL.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::NullBuffer;

/// Grows with its column. Without any NULL so far, a value costs one comparison.
#[derive(Debug, Default)]
pub(super) struct Nulls(Option<BooleanBufferBuilder>);

impl Nulls {
    /// A value was added.
    #[inline]
    pub(super) fn value(&mut self) {
        if let Some(valid) = &mut self.0 {
            valid.append(true);
        }
    }

    /// A NULL was added after so many others.
    pub(super) fn null(&mut self, others: usize) {
        let valid = self.0.get_or_insert_with(|| {
            let mut valid = BooleanBufferBuilder::new(others + 1);
            valid.append_n(others, true);
            valid
        });
        valid.append(false);
    }

    /// For the array; the column starts anew.
    pub(super) fn finish(&mut self) -> Option<NullBuffer> {
        self.0.take().map(|mut valid| NullBuffer::new(valid.finish()))
    }
}
