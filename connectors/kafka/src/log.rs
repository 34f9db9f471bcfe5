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

    /// The id of a topic, which another one of its name does not have; `None` where the cluster gives none.
    async fn topic_id(&self, topic: &str) -> Result<Option<String>, LogError>;

    /// Whether the brokers stamp the messages of a topic when they append them, from now on; the error is what they said.
    async fn appends_times(&self, topic: &str) -> Result<bool, String>;

    /// For each partition, in order, the first offset whose message is not older than `millis` since 1970; `None`
    /// where there is none. Messages before that offset are all older, whatever the order of times.
    async fn offsets_for_time(
        &self,
        topic: &str,
        partitions: &[i32],
        millis: i64,
    ) -> Result<Vec<Option<i64>>, LogError>;

    /// Where the copies of a topic's partitions are, by number; `None` if there is no such topic.
    async fn replicas(&self, topic: &str) -> Result<Option<Vec<Replicas>>, LogError>;

    /// The groups of consumers.
    async fn groups(&self) -> Result<Vec<Group>, LogError>;

    /// What a group has committed of the partitions of these topics. Joins nothing and commits nothing.
    async fn committed(&self, group: &str, topics: &[String]) -> Result<Vec<Committed>, LogError>;

    /// A bounded read, on a thread that may block.
    fn scan(&self, range: ScanRange<'_>) -> Box<dyn LogScan>;

    /// Whether there is room for a read that nobody waits for yet, so that those that somebody waits for find some.
    fn has_room(&self) -> bool;

    /// Opens a read without end. Called on a thread that may block.
    fn follow(&self, range: TailRange<'_>) -> Result<Box<dyn LogTail>, LogError>;
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
    /// Whether offsets that retention has deleted are passed over instead of being an error.
    pub(crate) skips_deleted: bool,
    /// How many messages will be taken at most, where that is known.
    pub(crate) limit: Option<usize>,
}

impl ScanRange<'_> {
    /// How many messages will be taken at most.
    pub(crate) fn max_messages(&self) -> u64 {
        let limit = self.limit.map_or(u64::MAX, |limit| u64::try_from(limit).unwrap_or(u64::MAX));
        u64::try_from(self.end.saturating_sub(self.start)).unwrap_or(0).min(limit)
    }
}

/// What a read without end covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TailRange<'a> {
    /// The topic.
    pub(crate) topic: &'a str,
    /// The partitions to read, each from an offset on.
    pub(crate) starts: &'a [(i32, i64)],
    /// How many partitions the topic has. Those that are added later are read from their first message on.
    pub(crate) partitions: i32,
    /// Whether offsets that retention has deleted are passed over instead of being an error.
    pub(crate) skips_deleted: bool,
}

/// Where the copies of a partition are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replicas {
    /// The partition's number.
    pub(crate) partition: i32,
    /// The broker that is asked; `None` where there is none.
    pub(crate) leader: Option<i32>,
    /// The brokers that are to have a copy.
    pub(crate) all: Vec<i32>,
    /// Those whose copy is up to date.
    pub(crate) in_sync: Vec<i32>,
}

/// A group of consumers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// As the broker calls it: `Stable`, `Empty`.
    pub(crate) state: String,
    pub(crate) members: usize,
}

/// What a group has committed of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// The offset that the group reads next.
    pub(crate) offset: i64,
}

/// A bounded read of one partition. Dropping it frees what it holds.
pub(crate) trait LogScan {
    /// Waits at most `wait` for the next message and hands it to `visit`, at most once.
    fn next(&mut self, wait: Duration, visit: &mut dyn FnMut(&Record<'_>)) -> Result<Step, LogError>;

    /// How many offsets were passed over because retention has deleted them.
    fn deleted(&self) -> u64;

    /// Nobody takes messages for a while: gives others what they may need for theirs.
    fn make_way(&mut self);
}

/// A read of a topic that does not end. Dropping it frees what it holds.
pub(crate) trait LogTail {
    /// Waits at most about `wait` for the next message and hands it to `visit` with its partition, at most once. Messages of
    /// one partition come in order.
    fn next(&mut self, wait: Duration, visit: &mut dyn FnMut(i32, &Record<'_>)) -> Result<(), LogError>;

    /// How many offsets were passed over because retention has deleted them.
    fn deleted(&self) -> u64;
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
    /// Milliseconds since 1970, and what they tell, if it has a time.
    pub(crate) time: Option<(i64, TimeKind)>,
    /// Its key, if it has one.
    pub(crate) key: Option<&'a [u8]>,
    /// Its value; `None` for a tombstone.
    pub(crate) value: Option<&'a [u8]>,
    /// Its headers.
    pub(crate) headers: &'a dyn RecordHeaders,
}

/// What the time of a message tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeKind {
    /// When its producer made it, or says so.
    Create,
    /// When the broker appended it.
    LogAppend,
}

impl TimeKind {
    /// As Kafka calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "CreateTime",
            Self::LogAppend => "LogAppendTime",
        }
    }
}

/// The headers of a message.
pub(crate) trait RecordHeaders {
    /// Visits them in order: their keys, and their values where they have one. The error says which cannot be read.
    fn each(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) -> Result<(), String>;
}

impl Record<'_> {
    /// Bytes of key and value.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len)
    }
}
