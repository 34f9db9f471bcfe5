//! Arrays, of as many dimensions as their column declares.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{Field, FieldRef};

use super::column::{Column, ValueError};
use super::decoder::{split_i32, split_value};
use super::nulls::Nulls;
use super::text::end;
use crate::types::Wire;

/// The lists of one dimension; for all but the last, of lists. PostgreSQL's lower bounds have no counterpart in the engine
/// and are lost.
#[derive(Debug)]
pub(super) struct Lists {
    offsets: Vec<i32>,
    nulls: Nulls,
    elements: Column,
    count: usize,
    field: FieldRef,
}

impl Lists {
    pub(super) fn new(element: &Wire) -> Self {
        Self {
            offsets: vec![0],
            nulls: Nulls::default(),
            elements: Column::new(element),
            count: 0,
            field: Arc::new(Field::new_list_field(element.data_type(), true)),
        }
    }

    pub(super) fn push(&mut self, value: &[u8]) -> Result<(), ValueError> {
        let short = || ValueError::new("an array that ends too early");
        let (count, rest) = split_i32(value).ok_or_else(short)?;
        // Whether there are NULLs, and the element's type: the elements themselves say the one, the catalog the other.
        let (_, mut rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let mut lengths = Vec::new();
        for _ in 0..count {
            let (length, after) = split_i32(rest).ok_or_else(short)?;
            let (_lower_bound, after) = split_i32(after).ok_or_else(short)?;
            lengths.push(usize::try_from(length).map_err(|_| short())?);
            rest = after;
        }
        // An empty array has no dimensions, whatever is declared.
        if lengths.is_empty() {
            lengths.push(0);
        } else if lengths.len() != self.depth() {
            return Err(self.wrong_depth(lengths.len()));
        }
        // Every element takes the room of a length at least.
        let elements = lengths.iter().try_fold(1_usize, |product, length| product.checked_mul(*length));
        if elements.is_none_or(|elements| elements > rest.len() / size_of::<i32>()) {
            return Err(short());
        }
        let rest = self.fill(&lengths, rest)?;
        if !rest.is_empty() {
            return Err(ValueError::new("an array that ends too late"));
        }
        Ok(())
    }

    /// Takes the elements of one list, and of all in it; returns what follows them.
    fn fill<'a>(&mut self, lengths: &[usize], mut rest: &'a [u8]) -> Result<&'a [u8], ValueError> {
        let short = || ValueError::new("an array that ends too early");
        let (length, inner) = lengths.split_first().ok_or_else(short)?;
        for _ in 0..*length {
            rest = match (&mut self.elements, inner.is_empty()) {
                (Column::List(lists), false) => lists.fill(inner, rest)?,
                (elements, _) => {
                    let (element, after) = split_value(rest)?.ok_or_else(short)?;
                    match element {
                        Some(element) => elements.push(element)?,
                        None => elements.push_null(),
                    }
                    after
                }
            };
        }
        self.count += length;
        self.offsets.push(end(self.count)?);
        self.nulls.value();
        Ok(rest)
    }

    /// How many dimensions the column declares.
    fn depth(&self) -> usize {
        match &self.elements {
            Column::List(lists) => 1 + lists.depth(),
            _ => 1,
        }
    }

    #[cold]
    fn wrong_depth(&self, dimensions: usize) -> ValueError {
        let declared = match self.depth() {
            1 => "one".to_owned(),
            depth => depth.to_string(),
        };
        ValueError::new(format!("an array of {dimensions} dimensions, where the column declares {declared}"))
            .hint("declare the column with as many [] as its values have dimensions, or leave the column out")
    }

    pub(super) fn push_null(&mut self) {
        self.nulls.null(self.offsets.len() - 1);
        self.offsets.push(self.offsets.last().copied().unwrap_or_default());
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ValueError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])));
        self.count = 0;
        let elements = self.elements.finish()?;
        let lists = ListArray::try_new(Arc::clone(&self.field), offsets, elements, self.nulls.finish());
        lists.map(|lists| Arc::new(lists) as ArrayRef).map_err(|error| ValueError::new(error.to_string()))
    }
}
