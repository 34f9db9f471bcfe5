//! What the connector needs of Kafka, whatever the client library.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::LogError;

/// The offsets of one partition: from the first one kept up to the end, which is not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionOffsets {
    /// The partition's number.
    pub(crate) partition: i32,
    /// The first offset.
    pub(crate) start: i64,
    /// The offset after the last one, as the isolation of the catalog sees it.
    pub(crate) end: i64,
}

/// A cluster's logs, read at one isolation.
#[async_trait]
pub(crate) trait KafkaLog: Debug + Send + Sync {
    /// The names of all topics, those of Kafka's own machinery included.
    async fn topics(&self) -> Result<Vec<String>, LogError>;

    /// The partitions of a topic with their first and end offsets, by number; `None` if there is no such topic.
    async fn offsets(&self, topic: &str) -> Result<Option<Vec<PartitionOffsets>>, LogError>;

    /// For each partition, in order, the first offset whose message is not older than `millis` since 1970; `None`
    /// where there is none. Messages before that offset are all older, whatever the order of times.
    async fn offsets_for_time(
        &self,
        topic: &str,
        partitions: &[i32],
        millis: i64,
    ) -> Result<Vec<Option<i64>>, LogError>;

    /// Opens a bounded read. Called on a thread that may block.
    fn scan(&self, range: ScanRange<'_>) -> Result<Box<dyn LogScan>, LogError>;
}

/// What a bounded read covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanRange<'a> {
    /// The topic.
    pub(crate) topic: &'a str,
    /// The partition.
    pub(crate) partition: i32,
    /// The first offset.
    pub(crate) start: i64,
    /// The offset after the last one. Offsets before it may hold no message: control records and compaction take some.
    pub(crate) end: i64,
}

/// A bounded read of one partition. Dropping it frees what it holds.
pub(crate) trait LogScan {
    /// Waits at most `wait` for the next message and hands it to `visit`, at most once.
    fn next(&mut self, wait: Duration, visit: &mut dyn FnMut(&Record<'_>)) -> Result<Step, LogError>;
}

/// What a step of a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A message was handed out.
    Message,
    /// Nothing yet.
    Waiting,
    /// All messages of the range have been handed out.
    End,
}

/// A message, valid while it is visited.
pub(crate) struct Record<'a> {
    /// Its offset.
    pub(crate) offset: i64,
    /// Milliseconds since 1970, if it has a time.
    pub(crate) timestamp: Option<i64>,
    /// Its key, if it has one.
    pub(crate) key: Option<&'a [u8]>,
    /// Its value; `None` for a tombstone.
    pub(crate) value: Option<&'a [u8]>,
    /// Its headers.
    pub(crate) headers: &'a dyn RecordHeaders,
}

/// The headers of a message, in order.
pub(crate) trait RecordHeaders {
    /// How many there are.
    fn count(&self) -> usize;
    /// One of them: its key, and its value if it has one.
    fn get(&self, index: usize) -> Option<(&str, Option<&[u8]>)>;
}

impl Record<'_> {
    /// Bytes of key and value.
    pub(crate) fn bytes(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len)
    }
}
