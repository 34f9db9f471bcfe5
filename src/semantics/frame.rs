//! The values of a frame that slides, first in and first out. A frame is the sum of two parts, of which one only grows and the other has
//! its sums ready for each value that may be the first, so that nothing is ever subtracted.

use std::fmt::Debug;

/// What some values of a frame, one after the other, come to. The default is that of none.
pub(super) trait Part: Clone + Debug + Default {
    /// What these values and later ones come to.
    fn and(&self, later: &Self) -> Self;
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Frame<P> {
    /// For each value of the first part what it comes to with those after it, to the part's end; the frame's first value is the last here.
    leaving: Vec<P>,
    /// The values of the second part, in order.
    coming: Vec<P>,
    /// What these come to.
    come: P,
}

impl<P: Part> Frame<P> {
    pub(super) fn push(&mut self, value: P) {
        self.come = self.come.and(&value);
        self.coming.push(value);
    }

    /// Takes the first value away.
    pub(super) fn pop(&mut self) {
        if self.leaving.is_empty() {
            let mut total = P::default();
            self.leaving.extend(self.coming.drain(..).rev().map(|value| {
                total = value.and(&total);
                total.clone()
            }));
            self.come = P::default();
        }
        self.leaving.pop();
    }

    pub(super) fn total(&self) -> P {
        self.leaving.last().map_or_else(|| self.come.clone(), |first| first.and(&self.come))
    }

    /// The memory that it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        size_of_val(self) + (self.leaving.capacity() + self.coming.capacity()) * size_of::<P>()
    }
}
