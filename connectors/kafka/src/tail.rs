//! A read of a topic without end, with a client of its own.
//!
//! The client is assigned all partitions at explicit offsets and joins no group. Every few seconds it looks at the topic:
//! partitions that were added are read from their first message on, and a topic that is gone, or a cluster that does not
//! answer for too long, ends the read. In between, the library finds brokers that come back by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::{Client, Found, Shared, partitions};
use crate::error::LogError;
use crate::log::{LogTail, Record, TailRange};
use crate::scan::{MessageHeaders, time_of};

/// How often the topic is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a look may take; messages wait meanwhile.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// How often in a row a topic must be missing until it counts as deleted: a broker that starts may not know it yet.
const MISSING_LOOKS: u32 = 2;

/// A read in progress.
pub(crate) struct BrokerTail {
    /// Given back when the read is dropped.
    client: Option<Client>,
    shared: Arc<Shared>,
    topic: String,
    /// The offset that is read next in each partition that is read; `None` before the first message of one that was added.
    positions: HashMap<i32, Option<i64>>,
    /// How many partitions are known.
    known: i32,
    looked: Instant,
    /// How many looks in a row did not find the topic.
    missing: u32,
    /// Since when nobody answers.
    silent: Option<Instant>,
    skips_deleted: bool,
    /// How many offsets were passed over.
    deleted: u64,
    /// Whether something went wrong, so that the client is not used again.
    failed: bool,
}

impl BrokerTail {
    /// Starts fetching.
    pub(crate) fn new(client: Client, range: TailRange<'_>, shared: Arc<Shared>) -> Result<Self, LogError> {
        let tail = Self {
            client: Some(client),
            shared,
            topic: range.topic.to_owned(),
            positions: range.starts.iter().map(|(partition, start)| (*partition, Some(*start))).collect(),
            known: range.partitions,
            looked: Instant::now(),
            missing: 0,
            silent: None,
            skips_deleted: range.skips_deleted,
            deleted: 0,
            failed: false,
        };
        tail.restart()?;
        Ok(tail)
    }

    /// Reads each partition from its next offset on.
    fn restart(&self) -> Result<(), LogError> {
        let client = self.client()?;
        let mut all = TopicPartitionList::with_capacity(self.positions.len());
        for (partition, position) in &self.positions {
            let offset = position.map_or(Offset::Beginning, Offset::Offset);
            all.add_partition_offset(&self.topic, *partition, offset)
                .map_err(|error| client_error("start reading", &error))?;
        }
        client.assign(&all).map_err(|error| client_error("start reading", &error))
    }

    fn client(&self) -> Result<&Client, LogError> {
        self.client
            .as_ref()
            .ok_or_else(|| LogError::Client { what: "read".to_owned(), said: "the client is closed".to_owned() })
    }

    /// Looks whether the topic is there, and has more partitions.
    fn look(&mut self) -> Result<(), LogError> {
        let found = partitions(self.client()?, &self.topic, LOOK_LIMIT.min(self.shared.metadata_timeout));
        self.looked = Instant::now();
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let since = *self.silent.get_or_insert(self.looked);
                if since.elapsed() < self.shared.idle_timeout {
                    return Ok(());
                }
                let what = format!("the partitions of topic {}", self.topic);
                return Err(self.shared.explain(&what, &error, self.client()?.context()));
            }
        };
        self.silent = None;
        let partitions = match found {
            Found::Partitions(partitions) => partitions,
            Found::Missing => {
                self.missing += 1;
                let is_gone = self.missing >= MISSING_LOOKS;
                return if is_gone { Err(LogError::Deleted { topic: self.topic.clone() }) } else { Ok(()) };
            }
            Found::Forbidden(said) => return Err(LogError::Forbidden { topic: self.topic.clone(), said }),
        };
        self.missing = 0;
        let added: Vec<i32> = partitions.into_iter().filter(|partition| *partition >= self.known).collect();
        for partition in added {
            self.read_from(partition, Offset::Beginning)?;
            self.positions.insert(partition, None);
            self.known = self.known.max(partition.saturating_add(1));
        }
        Ok(())
    }

    /// Reads one more partition.
    fn read_from(&self, partition: i32, offset: Offset) -> Result<(), LogError> {
        let client = self.client()?;
        let mut more = TopicPartitionList::with_capacity(1);
        more.add_partition_offset(&self.topic, partition, offset)
            .and_then(|()| client.incremental_assign(&more))
            .map_err(|error| client_error("read one more partition", &error))
    }

    /// What an error means; most are told again and again while the library keeps trying, and pass.
    fn reported(&mut self, error: &KafkaError) -> Result<(), LogError> {
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::LogTruncation,
            ) => self.find_lost(),
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition,
            ) => self.look(),
            Some(code @ RDKafkaErrorCode::TopicAuthorizationFailed) => {
                Err(LogError::Forbidden { topic: self.topic.clone(), said: code.to_string() })
            }
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                Err(LogError::Login { said: self.client()?.context().said() })
            }
            Some(
                RDKafkaErrorCode::BadMessage
                | RDKafkaErrorCode::BadCompression
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::UnsupportedFeature,
            ) => Err(self.unreadable(error)),
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => Err(self.unreadable(error)),
            _ => Ok(()),
        }
    }

    /// Finds the partitions whose next offset is not there any more: the library does not say which they are, and stops reading
    /// them.
    fn find_lost(&mut self) -> Result<(), LogError> {
        let mut found = false;
        let positions: Vec<(i32, i64)> =
            self.positions.iter().filter_map(|(partition, position)| Some((*partition, (*position)?))).collect();
        for (partition, position) in positions {
            let ends = self.client()?.fetch_watermarks(&self.topic, partition, LOOK_LIMIT);
            let (first, end) = ends.map_err(|error| client_error("find the first offset", &error))?;
            let topic = self.topic.clone();
            if end < position {
                return Err(LogError::Restarted { topic, partition, now: end, position });
            }
            if position < first {
                if !self.skips_deleted {
                    return Err(LogError::Behind { topic, partition, position, first });
                }
                self.pass_over(partition, position, first)?;
                found = true;
            }
        }
        // All offsets are there: a broker that has just become the leader may not have known yet.
        if found { Ok(()) } else { self.restart() }
    }

    /// Goes on with the first offset that is kept.
    fn pass_over(&mut self, partition: i32, position: i64, first: i64) -> Result<(), LogError> {
        tracing::warn!(
            topic = self.topic,
            partition,
            "offsets {position}..{first} were deleted while the topic was followed; it goes on without them"
        );
        self.deleted = self.deleted.saturating_add(first.abs_diff(position));
        let mut old = TopicPartitionList::with_capacity(1);
        old.add_partition(&self.topic, partition);
        let stopped = self.client()?.incremental_unassign(&old);
        stopped.map_err(|error| client_error("pass over deleted offsets", &error))?;
        self.read_from(partition, Offset::Offset(first))?;
        self.positions.insert(partition, Some(first));
        Ok(())
    }

    fn unreadable(&self, error: &KafkaError) -> LogError {
        LogError::Client { what: format!("follow topic {}", self.topic), said: error.to_string() }
    }

    fn step(&mut self, wait: Duration, visit: &mut dyn FnMut(i32, &Record<'_>)) -> Result<(), LogError> {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.look()?;
        }
        let failure = match self.client()?.poll(wait) {
            None => return Ok(()),
            Some(Err(error)) => error,
            Some(Ok(message)) => {
                let (partition, offset) = (message.partition(), message.offset());
                visit(
                    partition,
                    &Record {
                        offset,
                        time: time_of(message.timestamp()),
                        key: message.key(),
                        value: message.payload(),
                        headers: &MessageHeaders(message.headers()),
                    },
                );
                drop(message);
                self.positions.insert(partition, Some(offset.saturating_add(1)));
                self.silent = None;
                return Ok(());
            }
        };
        match failure {
            KafkaError::PartitionEOF(_) => Ok(()),
            error => self.reported(&error),
        }
    }
}

fn client_error(what: &str, error: &KafkaError) -> LogError {
    LogError::Client { what: what.to_owned(), said: error.to_string() }
}

impl LogTail for BrokerTail {
    fn next(&mut self, wait: Duration, visit: &mut dyn FnMut(i32, &Record<'_>)) -> Result<(), LogError> {
        let step = self.step(wait, visit);
        self.failed |= step.is_err();
        step
    }

    fn deleted(&self) -> u64 {
        self.deleted
    }
}

impl Drop for BrokerTail {
    fn drop(&mut self) {
        if let Some(client) = self.client.take()
            && !self.failed
        {
            self.shared.give_back(client);
        }
    }
}
