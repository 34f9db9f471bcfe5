//! Rows sorted out by the partition that they belong to.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::take_record_batch;
use arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use portolan_connector::{ConnectorError, Result};

use super::target::Target;
use super::types::conformed;
use super::values::partition_text;
use crate::names::partition_directory;
use crate::types::parse_value;

/// The most partitions that one statement writes to.
const PARTITIONS_MAX: usize = 100_000;

/// A partition that has got rows.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    /// As we would call it, relative to the table's; empty where the table has no partitions.
    pub(super) directory: String,
    pub(super) values: Vec<ScalarValue>,
}

/// Sorts rows out.
pub(super) struct Splitter {
    target: Arc<Target>,
    /// Of a table with partitions.
    converter: Option<RowConverter>,
    known: HashMap<Box<[u8]>, usize>,
    /// By directory.
    named: HashMap<String, usize>,
    pub(super) partitions: Vec<Partition>,
}

impl Splitter {
    pub(super) fn new(target: &Arc<Target>) -> Result<Self> {
        let fields: Vec<SortField> =
            target.partitions.iter().map(|column| SortField::new(column.data_type.clone())).collect();
        let mut this = Self {
            target: Arc::clone(target),
            converter: None,
            known: HashMap::new(),
            named: HashMap::new(),
            partitions: Vec::new(),
        };
        if fields.is_empty() {
            this.partitions.push(Partition { directory: String::new(), values: Vec::new() });
        } else {
            this.converter = Some(RowConverter::new(fields).map_err(|error| this.failed(&error))?);
        }
        Ok(this)
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> ConnectorError {
        ConnectorError::internal("cannot sort the rows into partitions").said(error).in_table(&self.target.name)
    }

    /// The rows of each partition, with the columns of its files.
    pub(super) fn split(&mut self, batch: &RecordBatch) -> Result<Vec<(usize, RecordBatch)>> {
        let columns = self.columns(batch)?;
        let count = self.target.files.fields().len();
        let (files, keys) = columns.split_at_checked(count).unwrap_or((&columns, &[]));
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.target.files), files.to_vec(), &options)
            .map_err(|error| self.failed(&error))?;
        let Some(converter) = &self.converter else { return Ok(vec![(0, rows)]) };
        let converted = converter.convert_columns(keys).map_err(|error| self.failed(&error))?;
        let mut groups: Vec<(usize, Vec<u32>)> = Vec::new();
        let mut places: HashMap<usize, usize> = HashMap::new();
        for (at, key) in converted.iter().enumerate() {
            let partition = match self.known.get(key.as_ref()) {
                Some(known) => *known,
                None => self.add(key.as_ref(), keys, at)?,
            };
            let place = *places.entry(partition).or_insert_with(|| {
                groups.push((partition, Vec::new()));
                groups.len() - 1
            });
            if let Some((_, rows)) = groups.get_mut(place) {
                rows.push(u32::try_from(at).map_err(|error| self.failed(&error))?);
            }
        }
        if let [(partition, _)] = groups.as_slice() {
            return Ok(vec![(*partition, rows)]);
        }
        let taken = groups.into_iter().map(|(partition, indices)| {
            let taken = take_record_batch(&rows, &UInt32Array::from(indices)).map_err(|error| self.failed(&error))?;
            Ok((partition, taken))
        });
        taken.collect()
    }

    /// All columns of the table, of the types that they are written in.
    fn columns(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let files = self.target.files.fields().iter().map(|field| (field.name(), field.data_type()));
        let partitions = self.target.partitions.iter().map(|column| (&column.name, &column.data_type));
        let columns = files.chain(partitions).zip(&self.target.sources).map(|((name, data_type), source)| match source
            .and_then(|index| batch.columns().get(index))
        {
            Some(array) => conformed(array, data_type).map_err(|error| {
                ConnectorError::user(format!("column {name} cannot be written")).said(error).in_table(&self.target.name)
            }),
            None => Ok(new_null_array(data_type, batch.num_rows())),
        });
        columns.collect()
    }

    fn add(&mut self, key: &[u8], columns: &[ArrayRef], row: usize) -> Result<usize> {
        if self.partitions.len() >= PARTITIONS_MAX {
            return Err(ConnectorError::resource_exhausted(format!(
                "the rows belong to more than {PARTITIONS_MAX} partitions"
            ))
            .hint("write fewer of them with each statement")
            .in_table(&self.target.name));
        }
        let mut values = Vec::with_capacity(columns.len());
        let mut names = Vec::with_capacity(columns.len());
        for (column, array) in self.target.partitions.iter().zip(columns) {
            let value = ScalarValue::try_from_array(array, row).map_err(|error| self.failed(&error))?;
            let text = partition_text(&value).map_err(|reason| {
                ConnectorError::user(format!("the partition column {} has {reason}", column.name))
                    .in_table(&self.target.name)
            })?;
            names.push(partition_directory(&column.name, text.as_deref()));
            // As it is read from the directory's name: the empty text as NULL, and one zero and one NaN for all of them.
            let read = match &text {
                None => ScalarValue::try_new_null(&column.data_type).map_err(|error| self.failed(&error))?,
                Some(text) => parse_value(text, &column.data_type).unwrap_or(value),
            };
            values.push(read);
        }
        let directory = names.join("/");
        // NULL and the empty text have one directory, as a zero has that is negative.
        let partition = *self.named.entry(directory.clone()).or_insert(self.partitions.len());
        if partition == self.partitions.len() {
            self.partitions.push(Partition { directory, values });
        }
        self.known.insert(key.into(), partition);
        Ok(partition)
    }
}
