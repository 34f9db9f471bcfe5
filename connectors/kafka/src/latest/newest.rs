//! Of messages sorted by their keys, the newest first, the first one of each key.

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, Schema};
use datafusion::error::{DataFusionError, Result};

use crate::columns::{KEY_BYTES, MESSAGE_LENGTH, PARTITION_ID};

/// Finds the newest messages, batch by batch.
#[derive(Debug)]
pub(crate) struct Newest {
    key: usize,
    partition: usize,
    length: usize,
    /// The partition and the key of the row before.
    last: Option<(i64, Vec<u8>)>,
}

impl Newest {
    /// For batches with these columns.
    pub(crate) fn new(schema: &Schema) -> Result<Self> {
        Ok(Self {
            key: schema.index_of(KEY_BYTES)?,
            partition: schema.index_of(PARTITION_ID)?,
            length: schema.index_of(MESSAGE_LENGTH)?,
            last: None,
        })
    }

    /// The rows of a batch that are the newest of their keys and no tombstones.
    pub(crate) fn of(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let wrong = || DataFusionError::Internal("the columns of the newest messages have other types".to_owned());
        let column = |place: usize| batch.columns().get(place).ok_or_else(wrong);
        let keys: &BinaryArray = column(self.key)?.as_binary_opt().ok_or_else(wrong)?;
        let partitions: &Int64Array = column(self.partition)?.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
        let lengths = column(self.length)?;
        let mut kept = Vec::with_capacity(batch.num_rows());
        let mut last = self.last.as_ref().map(|(partition, key)| (*partition, key.as_slice()));
        for row in 0..batch.num_rows() {
            let here = keys.is_valid(row).then(|| (partitions.value(row), keys.value(row)));
            kept.push(here.is_some() && here != last && lengths.is_valid(row));
            last = here;
        }
        let last = last.map(|(partition, key)| (partition, key.to_vec()));
        let rows = filter_record_batch(batch, &BooleanArray::from(kept))?;
        self.last = last;
        Ok(rows)
    }
}
