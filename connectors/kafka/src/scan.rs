//! A bounded read of one partition with a client of its own.
//!
//! The client is assigned an explicit offset and joins no group. The read ends by position, not by the last message:
//! control records, aborted transactions and compaction take offsets that no message has. When the client reaches the
//! end of the log before the frozen end, the log's end is asked again: if it is not below the frozen end, the rest
//! held no messages; if it is, messages were lost.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedHeaders, Headers, Message, Timestamp};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::{Client, Shared};
use crate::error::LogError;
use crate::kind::Kind;
use crate::log::{LogScan, Record, RecordHeaders, ScanRange, Step, TimeKind};

/// How long the log's ends may take to be told when something is odd.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// A read in progress.
pub(crate) struct BrokerScan {
    /// Given back when the read is dropped.
    client: Option<Client>,
    shared: Arc<Shared>,
    topic: String,
    partition: i32,
    /// The offset after the last message seen.
    position: i64,
    end: i64,
    /// How many messages the read was for.
    max_messages: u64,
    finished: bool,
    skips_deleted: bool,
    /// How many offsets were passed over.
    deleted: u64,
    /// Whether something went wrong, so that the client is not used again.
    failed: bool,
    /// How long nothing came, while somebody waited.
    idle: Duration,
    /// How much of that no broker was connected.
    down: Option<Duration>,
}

impl BrokerScan {
    /// Starts fetching.
    pub(crate) fn new(client: Client, range: ScanRange<'_>, shared: Arc<Shared>) -> Result<Self, LogError> {
        assign(&client, range.topic, range.partition, range.start)?;
        Ok(Self {
            client: Some(client),
            shared,
            topic: range.topic.to_owned(),
            partition: range.partition,
            position: range.start,
            end: range.end,
            max_messages: range.max_messages(),
            finished: range.start >= range.end,
            skips_deleted: range.skips_deleted,
            deleted: 0,
            failed: false,
            idle: Duration::ZERO,
            down: None,
        })
    }

    /// Nothing came within `wait`.
    fn wait(&mut self, wait: Duration) -> Result<Step, LogError> {
        self.idle += wait;
        if let Some(down) = &mut self.down {
            *down += wait;
            if *down >= self.shared.connect_timeout {
                return Err(LogError::Unreachable { brokers: self.shared.brokers.clone(), said: self.said() });
            }
        }
        if self.idle >= self.shared.idle_timeout {
            return Err(LogError::Idle {
                topic: self.topic.clone(),
                partition: self.partition,
                position: self.position,
                end: self.end,
                limit: self.shared.idle_timeout,
                said: self.said(),
            });
        }
        Ok(Step::Waiting)
    }

    /// The client has read to the end of the log.
    fn end_of_log(&mut self) -> Result<Step, LogError> {
        let positions = self.client.as_ref().and_then(|client| client.position().ok());
        let read_to =
            positions.and_then(|positions| match positions.find_partition(&self.topic, self.partition)?.offset() {
                Offset::Offset(position) => Some(position),
                _ => None,
            });
        self.position = self.position.max(read_to.unwrap_or(self.position));
        if self.position < self.end {
            let (_, now) = self.ends("check the end of the log")?;
            if now < self.end {
                return Err(self.shrunk(now));
            }
        }
        self.finished = true;
        Ok(Step::End)
    }

    /// The first and the end offset now.
    fn ends(&self, what: &str) -> Result<(i64, i64), LogError> {
        let client = self.client.as_ref().ok_or_else(|| closed(what))?;
        client
            .fetch_watermarks(&self.topic, self.partition, CHECK_LIMIT)
            .map_err(|error| LogError::Client { what: what.to_owned(), said: error.to_string() })
    }

    fn shrunk(&self, now: i64) -> LogError {
        LogError::Shrunk { topic: self.topic.clone(), partition: self.partition, now, end: self.end }
    }

    /// What an error means; most are told again and again while the library keeps trying, and pass.
    fn reported(&mut self, error: &KafkaError) -> Result<Step, LogError> {
        let (topic, partition) = (self.topic.clone(), self.partition);
        match Kind::of(error) {
            Kind::OutOfRange => {
                let ends = self.ends("find the first offset").ok();
                match ends {
                    Some((_, now)) if now < self.position => Err(self.shrunk(now)),
                    Some((first, _)) if self.skips_deleted && first > self.position => self.pass_over(first),
                    _ => Err(LogError::Truncated {
                        topic,
                        partition,
                        position: self.position,
                        end: self.end,
                        first: ends.map(|(first, _)| first),
                    }),
                }
            }
            Kind::Gone => Err(LogError::Gone { topic, partition }),
            Kind::Forbidden(code) => Err(LogError::Forbidden { topic, said: code.to_string() }),
            Kind::Login => Err(LogError::Login { said: self.said() }),
            Kind::Unreadable => Err(self.unreadable(error)),
            Kind::Down => {
                self.down.get_or_insert(Duration::ZERO);
                Ok(Step::Waiting)
            }
            Kind::Passes => Ok(Step::Waiting),
        }
    }

    /// Goes on with the first offset that is kept.
    fn pass_over(&mut self, first: i64) -> Result<Step, LogError> {
        let until = first.min(self.end);
        self.deleted = self.deleted.saturating_add(until.abs_diff(self.position));
        tracing::warn!(
            topic = self.topic,
            partition = self.partition,
            "offsets {}..{until} were deleted while a query ran; it goes on without them",
            self.position
        );
        self.position = until;
        self.finished = until >= self.end;
        if self.finished {
            return Ok(Step::End);
        }
        let client = self.client.as_ref().ok_or_else(|| closed("read"))?;
        assign(client, &self.topic, self.partition, until)?;
        Ok(Step::Waiting)
    }

    /// Why connections failed last.
    fn said(&self) -> Option<String> {
        self.client.as_ref().and_then(|client| client.context().said())
    }

    fn unreadable(&self, error: &KafkaError) -> LogError {
        LogError::Client {
            what: format!("read topic {}, partition {}, from offset {}", self.topic, self.partition, self.position),
            said: error.to_string(),
        }
    }
}

/// Tells the client what to read, and from where.
fn assign(client: &Client, topic: &str, partition: i32, start: i64) -> Result<(), LogError> {
    let mut assignment = TopicPartitionList::with_capacity(1);
    assignment
        .add_partition_offset(topic, partition, Offset::Offset(start))
        .and_then(|()| client.assign(&assignment))
        .map_err(|error| LogError::Client { what: "start reading".to_owned(), said: error.to_string() })
}

fn closed(what: &str) -> LogError {
    LogError::Client { what: what.to_owned(), said: "the client is closed".to_owned() }
}

impl LogScan for BrokerScan {
    fn next(&mut self, wait: Duration, visit: &mut dyn FnMut(&Record<'_>)) -> Result<Step, LogError> {
        let step = self.step(wait, visit);
        self.failed |= step.is_err();
        step
    }

    fn deleted(&self) -> u64 {
        self.deleted
    }
}

impl Drop for BrokerScan {
    fn drop(&mut self) {
        if let Some(client) = self.client.take()
            && !self.failed
        {
            self.shared.give_back(client, self.max_messages);
        }
    }
}

impl BrokerScan {
    fn step(&mut self, wait: Duration, visit: &mut dyn FnMut(&Record<'_>)) -> Result<Step, LogError> {
        if self.finished {
            return Ok(Step::End);
        }
        let client = self.client.as_ref().ok_or_else(|| closed("read"))?;
        let failure = match client.poll(wait) {
            None => return self.wait(wait),
            Some(Err(error)) => error,
            Some(Ok(message)) => {
                (self.idle, self.down) = (Duration::ZERO, None);
                let offset = message.offset();
                self.finished = offset.saturating_add(1) >= self.end;
                self.position = offset.saturating_add(1);
                if offset >= self.end {
                    return Ok(Step::End);
                }
                visit(&Record {
                    offset,
                    time: time_of(message.timestamp()),
                    key: message.key(),
                    value: message.payload(),
                    headers: &MessageHeaders(message.headers()),
                });
                return Ok(Step::Message);
            }
        };
        match failure {
            KafkaError::PartitionEOF(_) => self.end_of_log(),
            error => self.reported(&error),
        }
    }
}

/// The time of a message. -1 is how Kafka writes that a message has no time.
pub(crate) fn time_of(timestamp: Timestamp) -> Option<(i64, TimeKind)> {
    match timestamp {
        Timestamp::CreateTime(millis) if millis >= 0 => Some((millis, TimeKind::Create)),
        Timestamp::LogAppendTime(millis) if millis >= 0 => Some((millis, TimeKind::LogAppend)),
        _ => None,
    }
}

/// Headers as the client library has them.
pub(crate) struct MessageHeaders<'a>(pub(crate) Option<&'a BorrowedHeaders>);

impl RecordHeaders for MessageHeaders<'_> {
    fn count(&self) -> usize {
        self.0.map_or(0, Headers::count)
    }

    fn get(&self, index: usize) -> Option<(&str, Option<&[u8]>)> {
        self.0?.try_get(index).map(|header| (header.key, header.value))
    }
}
