//! A read of a topic without end, with a client of its own.
//!
//! The client is assigned all partitions at explicit offsets and joins no group. Every few seconds it looks at the topic:
//! partitions that were added are read from their first message on, and a topic that is gone, or a cluster that does not
//! answer for too long, ends the read. In between, the library finds brokers that come back by itself.

mod gap;
mod landmarks;
mod message;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::{Client, Found, Shared, find};
use crate::error::LogError;
use crate::kind::Kind;
use crate::log::{LogTail, Record, TailRange};
use gap::{Ends, Gap};
use landmarks::Landmarks;
use message::{MessageHeaders, time_of};

/// How often the topic is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a look may take; messages wait meanwhile.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// How often in a row a topic or a partition must be missing until it counts as deleted: a broker that starts may not know it yet.
const MISSING_LOOKS: u32 = 2;

/// How soon after a look something that is reported may be a reason for the next one. The library reports a topic that is missing for
/// each of its partitions.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How soon after the ends of partitions were asked for they may be asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

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
    /// Offsets that are not there any more, if there may be some.
    gap: Option<Gap>,
    /// When the ends of the partitions were asked for last.
    asked: Option<Instant>,
    /// By which the topic is known again.
    landmarks: Landmarks,
    skips_deleted: bool,
    /// How many offsets were passed over.
    deleted: u64,
    /// Whether something went wrong, so that the client is not used again.
    failed: bool,
}

impl BrokerTail {
    /// Starts fetching.
    pub(crate) fn new(client: Client, range: TailRange<'_>, shared: Arc<Shared>) -> Result<Self, LogError> {
        let mut tail = Self {
            client: Some(client),
            shared,
            topic: range.topic.to_owned(),
            positions: range.starts.iter().map(|(partition, start)| (*partition, Some(*start))).collect(),
            known: range.partitions,
            looked: Instant::now(),
            missing: 0,
            silent: None,
            gap: None,
            asked: None,
            landmarks: Landmarks::default(),
            skips_deleted: range.skips_deleted,
            deleted: 0,
            failed: false,
        };
        let client = tail.client()?;
        let mut all = TopicPartitionList::with_capacity(range.starts.len());
        for (partition, start) in range.starts {
            all.add_partition_offset(range.topic, *partition, Offset::Offset(*start))
                .map_err(|error| client_error("start reading", &error))?;
        }
        client.assign(&all).map_err(|error| client_error("start reading", &error))?;
        tail.landmarks = Landmarks::of(range.starts, client, range.topic, tail.limit());
        Ok(tail)
    }

    /// How long one question may take.
    fn limit(&self) -> Duration {
        LOOK_LIMIT.min(self.shared.metadata_timeout)
    }

    fn client(&self) -> Result<&Client, LogError> {
        self.client.as_ref().ok_or_else(closed)
    }

    /// Looks whether the topic is there, is still the same, and has more partitions.
    fn look(&mut self) -> Result<(), LogError> {
        let found = find(self.client()?, &self.topic, self.limit());
        self.looked = Instant::now();
        let found = match found {
            Ok((found, _)) => found,
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
        if let Some(gone) = self.positions.keys().find(|partition| !partitions.contains(partition)) {
            self.missing += 1;
            let is_gone = self.missing >= MISSING_LOOKS;
            let gone = LogError::Gone { topic: self.topic.clone(), partition: *gone };
            return if is_gone { Err(gone) } else { Ok(()) };
        }
        self.missing = 0;
        self.look_for_others()?;
        let added: Vec<i32> = partitions.into_iter().filter(|partition| *partition >= self.known).collect();
        for partition in added {
            self.read_from(partition, Offset::Beginning)?;
            self.positions.insert(partition, None);
            self.known = self.known.max(partition.saturating_add(1));
        }
        Ok(())
    }

    /// Looks whether the messages are still those of the topic that was followed.
    fn look_for_others(&mut self) -> Result<(), LogError> {
        let client = self.client.as_ref().ok_or_else(closed)?;
        // Who does not answer this now is asked at the next look: messages may come all the same.
        match self.landmarks.moved(client, &self.topic) {
            Ok(Some(partition)) => Err(LogError::Anew { topic: self.topic.clone(), partition }),
            Ok(None) | Err(_) => Ok(()),
        }
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
        match Kind::of(error) {
            Kind::OutOfRange => {
                self.gap = Some(Gap::Due(Instant::now()));
                Ok(())
            }
            Kind::Gone if self.looked.elapsed() >= LOOK_AGAIN => self.look(),
            Kind::Forbidden(code) => Err(LogError::Forbidden { topic: self.topic.clone(), said: code.to_string() }),
            Kind::Login => Err(LogError::Login { said: self.client()?.context().said() }),
            Kind::Unreadable => Err(self.unreadable(error)),
            Kind::Gone | Kind::Down | Kind::Passes => Ok(()),
        }
    }

    /// Takes what the client knows into account: marks of transactions and aborted messages take offsets, and are not handed out.
    fn catch_up(&mut self) -> Result<(), LogError> {
        // What the client does not tell is known from the messages.
        let Ok(told) = self.client()?.position() else { return Ok(()) };
        for element in told.elements() {
            if let (Offset::Offset(told), Some(position)) =
                (element.offset(), self.positions.get_mut(&element.partition()))
            {
                *position = (*position).max(Some(told));
            }
        }
        Ok(())
    }

    /// Asks for the ends of all partitions where that is due. Brokers that do not answer are waited for.
    fn ask_ends(&mut self) -> Result<(), LogError> {
        let Some(Gap::Due(since)) = &self.gap else { return Ok(()) };
        let since = *since;
        if self.asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN) {
            return Ok(());
        }
        self.catch_up()?;
        let positions: Vec<(i32, Option<i64>)> =
            self.positions.iter().map(|(partition, position)| (*partition, *position)).collect();
        let answer = gap::ask(self.client()?, &self.topic, &positions, self.limit());
        self.asked = Some(Instant::now());
        let ends = match answer {
            Ok(ends) => ends,
            Err(_) if since.elapsed() < self.shared.idle_timeout => return Ok(()),
            Err(error) => {
                let what = format!("the first offsets of topic {}", self.topic);
                return Err(self.shared.explain(&what, &error, self.client()?.context()));
            }
        };
        for Ends { partition, end, position, .. } in &ends {
            if let Some(position) = position.filter(|position| end < position) {
                return Err(LogError::Restarted {
                    topic: self.topic.clone(),
                    partition: *partition,
                    now: *end,
                    position,
                });
            }
        }
        self.gap = Some(Gap::Asked(ends));
        Ok(())
    }

    /// Finds the partitions whose next offset is not there any more, once all that had been fetched is read, and goes on with
    /// those that stand still: which ones the library has stopped to read it does not say.
    fn close_gap(&mut self) -> Result<(), LogError> {
        let ends = match self.gap.take() {
            Some(Gap::Asked(ends)) => ends,
            other => {
                self.gap = other;
                return Ok(());
            }
        };
        self.catch_up()?;
        for Ends { partition, first, position: before, .. } in ends {
            let now = self.positions.get(&partition).copied().flatten();
            match now {
                Some(position) if position < first => {
                    if !self.skips_deleted {
                        let topic = self.topic.clone();
                        return Err(LogError::Behind { topic, partition, position, first });
                    }
                    self.pass_over(partition, position, first)?;
                }
                // The offset is there: a broker that has just become the leader may not have known yet.
                _ if now == before => self.read_anew(partition, now.map_or(Offset::Beginning, Offset::Offset))?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Goes on with the first offset that is kept.
    fn pass_over(&mut self, partition: i32, position: i64, first: i64) -> Result<(), LogError> {
        tracing::warn!(
            topic = self.topic,
            partition,
            "offsets {position}..{first} were deleted while the topic was followed; it goes on without them"
        );
        self.deleted = self.deleted.saturating_add(first.abs_diff(position));
        self.read_anew(partition, Offset::Offset(first))?;
        self.positions.insert(partition, Some(first));
        Ok(())
    }

    /// Reads a partition from another offset on. What was fetched of it is forgotten.
    fn read_anew(&self, partition: i32, offset: Offset) -> Result<(), LogError> {
        let mut old = TopicPartitionList::with_capacity(1);
        old.add_partition(&self.topic, partition);
        let stopped = self.client()?.incremental_unassign(&old);
        stopped.map_err(|error| client_error("stop reading a partition", &error))?;
        self.read_from(partition, offset)
    }

    fn unreadable(&self, error: &KafkaError) -> LogError {
        LogError::Client { what: format!("follow topic {}", self.topic), said: error.to_string() }
    }

    fn step(&mut self, wait: Duration, visit: &mut dyn FnMut(i32, &Record<'_>)) -> Result<(), LogError> {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.look()?;
        }
        self.ask_ends()?;
        let failure = match self.client()?.poll(wait) {
            None => return self.close_gap(),
            Some(Err(error)) => error,
            Some(Ok(message)) => {
                let (partition, offset, time) = (message.partition(), message.offset(), time_of(message.timestamp()));
                visit(
                    partition,
                    &Record {
                        offset,
                        time,
                        key: message.key(),
                        value: message.payload(),
                        headers: &MessageHeaders(message.headers()),
                    },
                );
                drop(message);
                self.positions.insert(partition, Some(offset.saturating_add(1)));
                self.landmarks.visited(partition, time.map(|(millis, _)| millis));
                self.silent = None;
                let is_drained = self.gap.as_ref().is_some_and(|gap| gap.is_behind(partition, offset));
                return if is_drained { self.close_gap() } else { Ok(()) };
            }
        };
        match failure {
            KafkaError::PartitionEOF(_) => Ok(()),
            error => self.reported(&error),
        }
    }
}

fn closed() -> LogError {
    LogError::Client { what: "read".to_owned(), said: "the client is closed".to_owned() }
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
