//! The columns of a scan by which the keys of a join leave messages out.

use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};

use crate::columns::{MESSAGE_TIMESTAMP, PARTITION_ID, PARTITION_OFFSET};
use crate::partitioner::Partitioner;
use crate::rules::BY_KEY;
use crate::table::KafkaTable;

/// Where columns stand in the result of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Places {
    /// The number of the partition.
    pub(crate) partition: Option<usize>,
    /// The offset.
    pub(crate) offset: Option<usize>,
    /// The time of the message.
    pub(crate) time: Option<usize>,
    /// The time of what the message tells of, and how many milliseconds it comes after that at most.
    pub(crate) event_time: Option<(usize, i64)>,
    /// The key as a whole.
    pub(crate) keys: Vec<usize>,
    /// How keys choose one of so many partitions, where that is known; otherwise there are no `keys`.
    pub(crate) partitioner: Option<(Partitioner, u32)>,
}

impl Places {
    /// The places in a result with these columns of a table.
    pub(crate) fn of(schema: &Schema, table: &KafkaTable, partitioner: Option<(Partitioner, u32)>) -> Self {
        let place = |name: &str| schema.index_of(name).ok();
        let by_key = table.columns.iter().filter(|column| column.domain == BY_KEY && partitioner.is_some());
        Self {
            partition: place(PARTITION_ID),
            offset: place(PARTITION_OFFSET),
            time: place(MESSAGE_TIMESTAMP),
            event_time: table.event_time.as_ref().and_then(|(name, lateness)| Some((place(name)?, *lateness))),
            keys: by_key.filter_map(|column| place(column.name())).collect(),
            partitioner,
        }
    }

    /// How many milliseconds a message comes after the time in this column at most; `None` if it has none that is known.
    pub(crate) fn lateness(&self, column: usize) -> Option<i64> {
        match self.event_time {
            Some((place, lateness)) if place == column => Some(lateness),
            _ => (self.time == Some(column)).then_some(0),
        }
    }

    /// All places.
    pub(crate) fn all(&self) -> Vec<usize> {
        let event_time = self.event_time.map(|(place, _)| place);
        let some = [self.partition, self.offset, self.time, event_time].into_iter().flatten();
        some.chain(self.keys.iter().copied()).collect()
    }
}
