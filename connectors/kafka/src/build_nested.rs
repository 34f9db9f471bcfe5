//! Arrow arrays of lists, maps and rows, built a value at a time.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, MapArray, StringBuilder, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;

use crate::build::{ColumnBuilder, mismatch};
use crate::cell::Cell;

/// Bytes that a list, a map or a row adds, and each value in one, beside texts and bytes: a number, an offset or a bit, rounded up.
const OWN_BYTES: usize = 8;

/// How many values each list has, and which lists are NULL.
#[derive(Debug, Default)]
struct Lengths {
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl Lengths {
    fn push(&mut self, length: Option<usize>) {
        self.lengths.push(length.unwrap_or(0));
        self.valid.push(length.is_some());
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, NullBuffer) {
        let offsets = OffsetBuffer::from_lengths(std::mem::take(&mut self.lengths));
        (offsets, NullBuffer::from(std::mem::take(&mut self.valid)))
    }
}

/// Builds a column of lists.
#[derive(Debug)]
pub(crate) struct ListBuilder {
    item: FieldRef,
    values: ColumnBuilder,
    lengths: Lengths,
}

impl ListBuilder {
    pub(crate) fn new(item: &FieldRef) -> Result<Self, String> {
        let values = ColumnBuilder::new(item.data_type())?;
        Ok(Self { item: Arc::clone(item), values, lengths: Lengths::default() })
    }

    pub(crate) fn push(&mut self, cell: &Cell<'_>) -> Result<usize, String> {
        let values = match cell {
            Cell::Null => None,
            Cell::List(values) => Some(values),
            other => return Err(mismatch(other)),
        };
        let mut bytes = OWN_BYTES;
        for value in values.into_iter().flatten() {
            bytes += self.values.push_cell(value)? + OWN_BYTES;
        }
        self.lengths.push(values.map(Vec::len));
        Ok(bytes)
    }

    pub(crate) fn finish(&mut self) -> Result<ArrayRef, String> {
        let (offsets, nulls) = self.lengths.finish();
        let list = ListArray::try_new(Arc::clone(&self.item), offsets, self.values.finish()?, Some(nulls));
        Ok(Arc::new(list.map_err(wrong)?))
    }
}

/// Builds a column of maps whose keys are texts.
#[derive(Debug)]
pub(crate) struct MapBuilder {
    entries: FieldRef,
    fields: Fields,
    keys: StringBuilder,
    values: ColumnBuilder,
    lengths: Lengths,
}

impl MapBuilder {
    pub(crate) fn new(entries: &FieldRef) -> Result<Self, String> {
        let DataType::Struct(fields) = entries.data_type() else {
            return Err("a map has no entries".to_owned());
        };
        let value = fields.get(1).ok_or("a map has no values")?;
        Ok(Self {
            entries: Arc::clone(entries),
            fields: fields.clone(),
            keys: StringBuilder::new(),
            values: ColumnBuilder::new(value.data_type())?,
            lengths: Lengths::default(),
        })
    }

    pub(crate) fn push(&mut self, cell: &Cell<'_>) -> Result<usize, String> {
        let entries = match cell {
            Cell::Null => None,
            Cell::Entries(entries) => Some(entries),
            other => return Err(mismatch(other)),
        };
        let mut bytes = OWN_BYTES;
        for (key, value) in entries.into_iter().flatten() {
            self.keys.append_value(key);
            bytes += key.len() + self.values.push_cell(value)? + OWN_BYTES;
        }
        self.lengths.push(entries.map(Vec::len));
        Ok(bytes)
    }

    pub(crate) fn finish(&mut self) -> Result<ArrayRef, String> {
        let (offsets, nulls) = self.lengths.finish();
        let columns: Vec<ArrayRef> = vec![Arc::new(self.keys.finish()), self.values.finish()?];
        let entries = StructArray::try_new(self.fields.clone(), columns, None).map_err(wrong)?;
        let map = MapArray::try_new(Arc::clone(&self.entries), offsets, entries, Some(nulls), false);
        Ok(Arc::new(map.map_err(wrong)?))
    }
}

/// Builds a column of rows.
#[derive(Debug)]
pub(crate) struct RowBuilder {
    fields: Fields,
    columns: Vec<ColumnBuilder>,
    valid: Vec<bool>,
}

impl RowBuilder {
    pub(crate) fn new(fields: &Fields) -> Result<Self, String> {
        let columns = fields.iter().map(|field| ColumnBuilder::new(field.data_type())).collect::<Result<_, _>>()?;
        Ok(Self { fields: fields.clone(), columns, valid: Vec::new() })
    }

    pub(crate) fn push(&mut self, cell: &Cell<'_>) -> Result<usize, String> {
        let values = match cell {
            Cell::Null => None,
            Cell::Fields(values) => Some(values),
            other => return Err(mismatch(other)),
        };
        let mut bytes = OWN_BYTES;
        for (index, column) in self.columns.iter_mut().enumerate() {
            let value = values.and_then(|values| values.get(index)).unwrap_or(&Cell::Null);
            bytes += column.push_cell(value)? + OWN_BYTES;
        }
        self.valid.push(values.is_some());
        Ok(bytes)
    }

    pub(crate) fn finish(&mut self) -> Result<ArrayRef, String> {
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect::<Result<Vec<_>, _>>()?;
        let valid = std::mem::take(&mut self.valid);
        let rows = match columns.is_empty() {
            true => StructArray::new_empty_fields(valid.len(), Some(NullBuffer::from(valid))),
            false => {
                StructArray::try_new(self.fields.clone(), columns, Some(NullBuffer::from(valid))).map_err(wrong)?
            }
        };
        Ok(Arc::new(rows))
    }
}

fn wrong(error: ArrowError) -> String {
    error.to_string()
}
