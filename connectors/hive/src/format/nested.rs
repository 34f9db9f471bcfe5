//! Columns of lists, structs and maps that are being read: what each reader of text puts its values into.

use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;

use super::values::{ColumnBuilder, Misfit};

/// Where the values of each row end among the values of all.
struct Ends {
    offsets: Vec<i32>,
    validity: NullBufferBuilder,
    length: usize,
}

/// A column of lists.
pub(crate) struct ListColumn {
    field: FieldRef,
    ends: Ends,
    pub(crate) items: ColumnBuilder,
}

/// A column of structs.
pub(crate) struct StructColumn {
    pub(crate) fields: Fields,
    pub(crate) columns: Vec<ColumnBuilder>,
    validity: NullBufferBuilder,
}

/// A column of maps.
pub(crate) struct MapColumn {
    entries: FieldRef,
    fields: Fields,
    ends: Ends,
    pub(crate) keys: ColumnBuilder,
    pub(crate) values: ColumnBuilder,
}

impl Ends {
    fn new(rows: usize) -> Self {
        Self { offsets: vec![0], validity: NullBufferBuilder::new(rows), length: 0 }
    }

    fn end(&mut self) -> Result<(), Misfit> {
        let end = i32::try_from(self.length).map_err(|_| Misfit("there are too many items in one batch".to_owned()))?;
        self.offsets.push(end);
        self.validity.append_non_null();
        Ok(())
    }

    fn end_null(&mut self) {
        self.offsets.push(self.offsets.last().copied().unwrap_or(0));
        self.validity.append_null();
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Option<arrow::buffer::NullBuffer>) {
        self.length = 0;
        let offsets = OffsetBuffer::new(std::mem::replace(&mut self.offsets, vec![0]).into());
        (offsets, self.validity.finish())
    }
}

impl ListColumn {
    /// Room for so many rows; `None` where text does not hold the items.
    pub(super) fn new(field: &FieldRef, rows: usize) -> Option<Self> {
        let items = ColumnBuilder::new(field.data_type(), rows)?;
        Some(Self { field: Arc::clone(field), ends: Ends::new(rows), items })
    }

    /// Counts an item that was added to `items`.
    pub(crate) fn count(&mut self) {
        self.ends.length += 1;
    }

    /// Ends a list of the items counted since the last one.
    pub(crate) fn end(&mut self) -> Result<(), Misfit> {
        self.ends.end()
    }

    pub(super) fn end_null(&mut self) {
        self.ends.end_null();
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let (offsets, validity) = self.ends.finish();
        Ok(Arc::new(ListArray::try_new(Arc::clone(&self.field), offsets, self.items.finish()?, validity)?))
    }
}

impl StructColumn {
    /// Room for so many rows; `None` where text does not hold the members.
    pub(super) fn new(fields: &Fields, rows: usize) -> Option<Self> {
        let columns = fields.iter().map(|field| ColumnBuilder::new(field.data_type(), rows)).collect::<Option<_>>()?;
        Some(Self { fields: fields.clone(), columns, validity: NullBufferBuilder::new(rows) })
    }

    /// Ends a struct, of which every member was added.
    pub(crate) fn end(&mut self) {
        self.validity.append_non_null();
    }

    pub(super) fn end_null(&mut self) {
        self.columns.iter_mut().for_each(ColumnBuilder::append_null);
        self.validity.append_null();
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(StructArray::try_new(self.fields.clone(), columns, self.validity.finish())?))
    }
}

impl MapColumn {
    /// Room for so many rows; `None` where text does not hold the keys or the values.
    pub(super) fn new(entries: &FieldRef, rows: usize) -> Option<Self> {
        let DataType::Struct(fields) = entries.data_type() else { return None };
        let [key, value] = fields.as_ref() else { return None };
        Some(Self {
            keys: ColumnBuilder::new(key.data_type(), rows)?,
            values: ColumnBuilder::new(value.data_type(), rows)?,
            entries: Arc::clone(entries),
            fields: fields.clone(),
            ends: Ends::new(rows),
        })
    }

    /// Counts an entry that was added to `keys` and `values`.
    pub(crate) fn count(&mut self) {
        self.ends.length += 1;
    }

    /// Ends a map of the entries counted since the last one.
    pub(crate) fn end(&mut self) -> Result<(), Misfit> {
        self.ends.end()
    }

    pub(super) fn end_null(&mut self) {
        self.ends.end_null();
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let (offsets, validity) = self.ends.finish();
        let entries =
            StructArray::try_new(self.fields.clone(), vec![self.keys.finish()?, self.values.finish()?], None)?;
        Ok(Arc::new(MapArray::try_new(Arc::clone(&self.entries), offsets, entries, validity, false)?))
    }
}
