//! Arrays of one dimension.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{Field, FieldRef};

use super::column::{Column, ValueError};
use super::decoder::{split_i32, split_value};
use super::nulls::Nulls;
use super::text::end;
use crate::types::Wire;

/// Lists of elements. PostgreSQL's lower bounds have no counterpart in the engine and are lost.
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
        let (dimensions, rest) = split_i32(value).ok_or_else(short)?;
        // Whether there are NULLs, and the element's type: the elements themselves say the one, the catalog the other.
        let (_, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let rest = match dimensions {
            0 => rest,
            1 => {
                let (length, rest) = split_i32(rest).ok_or_else(short)?;
                let (_lower_bound, mut rest) = split_i32(rest).ok_or_else(short)?;
                for _ in 0..length {
                    let (element, after) = split_value(rest)?.ok_or_else(short)?;
                    match element {
                        Some(element) => self.elements.push(element)?,
                        None => self.elements.push_null(),
                    }
                    self.count += 1;
                    rest = after;
                }
                rest
            }
            more => {
                return Err(ValueError::new(format!("an array of {more} dimensions"))
                    .hint("only arrays of one dimension can be read; unnest it in a view, or leave the column out"));
            }
        };
        if !rest.is_empty() {
            return Err(ValueError::new("an array that ends too late"));
        }
        self.offsets.push(end(self.count)?);
        self.nulls.value();
        Ok(())
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
