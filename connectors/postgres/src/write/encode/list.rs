//! Arrays of one dimension. Source: PostgreSQL's `arrayfuncs.c`, `array_recv`.

use arrow::buffer::NullBuffer;

use super::cell::Cells;
use super::{NULL, Unwritable, with_length};

/// Where an array's elements begin to count.
const LOWER_BOUND: i32 = 1;

/// The lists of a column.
pub(super) struct Lists<'a> {
    pub(super) offsets: &'a [i32],
    /// Of the elements of all lists.
    pub(super) nulls: Option<&'a NullBuffer>,
    pub(super) elements: Box<dyn Cells + 'a>,
    /// PostgreSQL's number of the elements' type, which it checks.
    pub(super) element: u32,
}

impl Cells for Lists<'_> {
    fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let offset = |at: usize| self.offsets.get(at).and_then(|offset| usize::try_from(*offset).ok());
        let range = offset(row).unwrap_or_default()..offset(row + 1).unwrap_or_default();
        let is_null = |at: usize| self.nulls.is_some_and(|nulls| nulls.is_null(at));
        let has_null = range.clone().any(is_null);
        let dimensions = i32::from(!range.is_empty());
        out.extend_from_slice(&dimensions.to_be_bytes());
        out.extend_from_slice(&i32::from(has_null).to_be_bytes());
        out.extend_from_slice(&self.element.to_be_bytes());
        if range.is_empty() {
            return Ok(());
        }
        let length = i32::try_from(range.len()).map_err(|_| Unwritable::new("an array of too many elements"))?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&LOWER_BOUND.to_be_bytes());
        for at in range {
            if is_null(at) {
                out.extend_from_slice(&NULL);
            } else {
                with_length(out, |out| self.elements.put(at, out))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::ListArray;
    use arrow::datatypes::Int32Type;

    use super::super::cell::cells;
    use crate::types::Wire;

    #[test]
    fn arrays_say_what_their_elements_are() {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(5), None]), Some(vec![])]);
        let cells = cells(&lists, &Wire::List(Box::new(Wire::Int4)), 23).unwrap();
        let mut out = Vec::new();
        cells.put(0, &mut out).unwrap();
        let numbers = [1_i32, 1, 23, 2, 1, 4, 5, -1].map(i32::to_be_bytes).concat();
        assert_eq!(out, numbers);
        out.clear();
        cells.put(1, &mut out).unwrap();
        assert_eq!(out, [0_i32, 0, 23].map(i32::to_be_bytes).concat());
    }
}
