//! A bounded read of one partition, in Kafka's own protocol.
//!
//! librdkafka fetches ahead of who reads, into queues of its own, one message at a time. A bounded read wants neither: it asks
//! the leader of its partition for messages (`Fetch`), takes the answer batch by batch as it comes, and hands the messages out
//! where they are. What it holds is one batch, however large an answer is, and what is not wanted is not read.
//!
//! The read ends by position, not by the last message: marks of transactions, aborted transactions and compaction take offsets
//! that no message has. Where a broker has nothing more before the frozen end, its own end tells: below the frozen
//! one, messages were lost; otherwise, what it has uncommitted shows whether something comes before the end.

mod aborted;
mod batch;
mod compression;
mod connection;
mod identity;
mod old;
mod question;
mod reply;
mod trouble;
mod varint;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::client::Shared;
use crate::config::Isolation;
use crate::error::LogError;
use crate::log::{LogScan, Record, ScanRange, Step};
use crate::protocol::invalid;
use question::{Answer, Wish, first_bytes, head_bytes};
use reply::{Ahead, Progress, Reply};
use trouble::Trouble;

pub(crate) use connection::Connection;

/// A read of no more messages than these asks for little at once: most of a large answer would never be looked at.
const LITTLE_MESSAGES: u64 = 100;

/// What such a read asks for at once, in bytes. A larger message is still fetched.
const LITTLE_BYTES: i32 = 128 << 10;

/// A read in progress.
pub(crate) struct FetchScan {
    shared: Arc<Shared>,
    topic: String,
    partition: i32,
    ahead: Ahead,
    /// How many bytes are asked for at once.
    bytes: i32,
    skips_deleted: bool,
    /// How many offsets were passed over.
    deleted: u64,
    connection: Option<Connection>,
    /// The number of the open question.
    number: i32,
    stage: Stage,
    /// The messages of the open batch, where it was compressed.
    inflated: Vec<u8>,
    /// Whether uncommitted messages are asked for, to see whether there is something before the end.
    is_proving: bool,
    trouble: Trouble,
}

/// How far a question and its answer are.
enum Stage {
    /// Nothing is asked.
    Idle,
    /// The answer has not begun.
    Asked,
    /// A frame of so many bytes has begun.
    Begun(usize),
    /// The messages come, from a broker whose log ends there.
    Reply(Reply, i64),
}

/// What ends a read, or only a connection.
enum Failure {
    Log(LogError),
    Io(io::Error),
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl FetchScan {
    /// A read that has asked nothing yet.
    pub(crate) fn new(range: ScanRange<'_>, shared: Arc<Shared>) -> Self {
        let bytes = i32::try_from(shared.fetch_bytes).unwrap_or(i32::MAX);
        Self {
            topic: range.topic.to_owned(),
            partition: range.partition,
            ahead: Ahead { position: range.start, end: range.end },
            bytes: if range.max_messages() <= LITTLE_MESSAGES { bytes.min(LITTLE_BYTES) } else { bytes },
            skips_deleted: range.skips_deleted,
            deleted: 0,
            connection: None,
            number: 0,
            stage: Stage::Idle,
            inflated: Vec::new(),
            is_proving: false,
            trouble: Trouble::default(),
            shared,
        }
    }

    /// The id of the topic, as Kafka's tools write it; `None` where brokers give none (before Kafka 2.8), or where there is no such
    /// topic. Blocks.
    pub(crate) fn topic_id(shared: &Arc<Shared>, topic: &str) -> Result<Option<String>, LogError> {
        // Every broker knows it; the leader of some partition is one that is there.
        let range = ScanRange { topic, partition: 0, start: 0, end: 1, skips_deleted: true, limit: None };
        let (mut asking, mut until) = (Self::new(range, Arc::clone(shared)), Instant::now() + shared.metadata_timeout);
        loop {
            let failure = match asking.connect(until) {
                Ok(true) => match identity::topic_id(asking.open_connection().map_err(unexpected)?, topic, until) {
                    Ok(id) => return Ok(id.map(|id| BASE64_URL_SAFE_NO_PAD.encode(id))),
                    Err(error) => error,
                },
                // Others have the connections: that says nothing about the brokers.
                Ok(false) if asking.trouble.queued.is_some() => {
                    until = Instant::now() + shared.metadata_timeout;
                    continue;
                }
                Ok(false) => io::ErrorKind::NotConnected.into(),
                Err(LogError::Gone { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            // What is left of an answer is not taken for another one.
            asking.hung_up(&failure)?;
            if Instant::now() >= until {
                let (what, limit) = (format!("the id of topic {topic}"), shared.metadata_timeout);
                return Err(LogError::Slow { what, limit, said: Some(failure.to_string()) });
            }
            asking.trouble.is_over(until);
        }
    }

    /// Hands out the next message of the open batch.
    fn hand_out(&mut self, visit: &mut dyn FnMut(&Record<'_>)) -> io::Result<bool> {
        let (Stage::Reply(reply, _), Some(connection), false) = (&mut self.stage, &self.connection, self.is_proving)
        else {
            return Ok(false);
        };
        let Some(found) = reply.next(connection, &self.inflated, &mut self.ahead)? else { return Ok(false) };
        visit(&Record {
            offset: found.offset,
            // -1 is how Kafka writes that a message has no time.
            time: (found.millis >= 0).then_some((found.millis, found.kind)),
            key: found.key,
            value: found.value,
            headers: &found.headers,
        });
        Ok(true)
    }

    /// Comes closer to the next message, by then at the latest. Tells whether there may be more to do at once.
    fn go_on(&mut self, until: Instant) -> Result<bool, Failure> {
        if !self.trouble.is_over(until) {
            return Ok(false);
        }
        match &mut self.stage {
            Stage::Idle => self.ask(until),
            Stage::Asked => self.begin(until),
            Stage::Begun(bytes) => {
                let bytes = *bytes;
                self.head(bytes, until)
            }
            Stage::Reply(..) => self.advance(until),
        }
    }

    fn isolation(&self) -> Isolation {
        if self.is_proving { Isolation::ReadUncommitted } else { self.shared.isolation }
    }

    fn wish(&self) -> Wish<'_> {
        Wish {
            topic: &self.topic,
            partition: self.partition,
            offset: self.ahead.position,
            bytes: self.bytes,
            isolation: self.isolation(),
        }
    }

    fn ask(&mut self, until: Instant) -> Result<bool, Failure> {
        if !self.connect(until)? {
            // A permit has been waited for already.
            return Ok(self.trouble.queued.is_none());
        }
        let connection = self.open_connection()?;
        let (version, number) = (connection.version(), connection.next_number());
        self.number = number;
        let frame = self.wish().frame(version, number)?;
        self.open_connection()?.ask(&frame)?;
        self.stage = Stage::Asked;
        Ok(true)
    }

    fn open_connection(&mut self) -> io::Result<&mut Connection> {
        self.connection.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn begin(&mut self, until: Instant) -> Result<bool, Failure> {
        let connection = self.open_connection()?;
        if !connection.fill(4, until)? {
            return Ok(false);
        }
        let length = connection.frame_length()?;
        self.stage = Stage::Begun(length);
        Ok(true)
    }

    /// Reads what an answer of so many bytes says before its messages.
    fn head(&mut self, frame: usize, until: Instant) -> Result<bool, Failure> {
        let Some(connection) = &mut self.connection else {
            return Err(io::Error::from(io::ErrorKind::NotConnected).into());
        };
        let version = connection.version();
        let first = first_bytes(version, &self.topic).min(frame);
        if !connection.fill(first, until)? {
            return Ok(false);
        }
        let bytes = head_bytes(version, connection.bytes(first))?.min(frame);
        if !connection.fill(bytes, until)? {
            return Ok(false);
        }
        let answer = Answer::read(version, connection.bytes(bytes), &self.topic, self.partition)?;
        connection.take(bytes);
        if answer.number != self.number {
            return Err(invalid("an answer is to another question").into());
        }
        if answer.error == 0 && !answer.is_empty && answer.message_bytes != frame - bytes {
            return Err(invalid("an answer has another length than it says").into());
        }
        self.trouble.answered();
        self.trouble.slowed_for(answer.slowed);
        let mut reply = Reply::new(frame - bytes, answer.aborted);
        if answer.error != 0 || answer.is_empty {
            // An error has no messages behind it; if it has, nobody reads them.
            if !reply.finish(connection) {
                self.connection = None;
            }
            self.stage = Stage::Idle;
            if answer.is_empty {
                self.trouble.slowed_down();
            } else {
                self.told(answer.error)?;
            }
            return Ok(true);
        }
        let is_stable = self.isolation() == Isolation::ReadCommitted && answer.last_stable >= 0;
        self.stage = Stage::Reply(reply, if is_stable { answer.last_stable } else { answer.high_watermark });
        Ok(true)
    }

    /// Goes on to the next batch of the answer, or to the next question.
    fn advance(&mut self, until: Instant) -> Result<bool, Failure> {
        let (Stage::Reply(reply, log_end), Some(connection)) = (&mut self.stage, &mut self.connection) else {
            return Ok(true);
        };
        // What is uncommitted is looked at, and not handed out.
        let mut probe = self.ahead;
        let ahead = if self.is_proving { &mut probe } else { &mut self.ahead };
        let progress = reply.advance(connection, &mut self.inflated, ahead, until)?;
        if self.is_proving {
            if probe.is_over() {
                self.ahead.position = self.ahead.end;
            } else if progress == Progress::Batch && probe.position == self.ahead.position {
                // There are messages that are not committed, or that the other answer did not have.
                self.is_proving = false;
                self.trouble.pause();
                return Err(io::Error::other("what is uncommitted tells nothing").into());
            }
        }
        match progress {
            Progress::Waiting => Ok(false),
            Progress::Batch => {
                if reply.has_moved && !self.is_proving {
                    self.trouble.moved();
                }
                Ok(true)
            }
            Progress::End => {
                let (has_moved, needed, log_end) = (reply.has_moved, reply.needed_bytes, *log_end);
                self.stage = Stage::Idle;
                if let Some(needed) = needed {
                    let needed = i32::try_from(needed).unwrap_or(i32::MAX);
                    if needed <= self.bytes {
                        return Err(invalid(&format!(
                            "the broker cuts off a batch of {needed} bytes, which were asked for"
                        ))
                        .into());
                    }
                    self.bytes = needed;
                } else if (!has_moved || self.is_proving) && !self.ahead.is_over() {
                    self.empty(log_end)?;
                }
                Ok(true)
            }
        }
    }

    /// A broker whose log ends there has answered with nothing that is wanted.
    fn empty(&mut self, log_end: i64) -> Result<(), LogError> {
        if log_end < self.ahead.end {
            return self.behind(log_end);
        }
        // Brokers answer with nothing for other reasons, too: where a client is slowed down, or their storage is far away.
        if self.is_proving || self.shared.isolation == Isolation::ReadUncommitted {
            self.trouble.pause();
            self.is_proving = false;
        } else {
            self.is_proving = true;
        }
        Ok(())
    }

    fn step(&mut self, wait: Duration, visit: &mut dyn FnMut(&Record<'_>)) -> Result<Step, Failure> {
        let mut waits: Option<(Instant, Instant)> = None;
        loop {
            if self.ahead.is_over() {
                return Ok(Step::End);
            }
            if self.hand_out(visit)? {
                return Ok(Step::Message);
            }
            if self.ahead.is_over() {
                return Ok(Step::End);
            }
            let (started, until) = *waits.get_or_insert_with(|| {
                let now = Instant::now();
                (now, now + wait)
            });
            let is_more = match self.go_on(until) {
                Err(Failure::Io(error)) if error.kind() != io::ErrorKind::InvalidData => {
                    self.hung_up(&error)?;
                    true
                }
                other => other?,
            };
            if !is_more || (started.elapsed() > wait && !wait.is_zero()) {
                self.waited(started.elapsed())?;
                return Ok(Step::Waiting);
            }
        }
    }
}

fn unexpected(error: io::Error) -> LogError {
    LogError::Client { what: "ask a broker".to_owned(), said: error.to_string() }
}

impl LogScan for FetchScan {
    fn next(&mut self, wait: Duration, visit: &mut dyn FnMut(&Record<'_>)) -> Result<Step, LogError> {
        self.step(wait, visit).map_err(|failure| match failure {
            Failure::Log(error) => error,
            Failure::Io(error) => LogError::Client {
                what: format!(
                    "read topic {}, partition {}, from offset {}",
                    self.topic, self.partition, self.ahead.position
                ),
                said: error.to_string(),
            },
        })
    }

    fn deleted(&self) -> u64 {
        self.deleted
    }

    fn make_way(&mut self) {
        if self.shared.permits.are_all_taken() {
            self.leave_connection();
        }
    }
}

impl FetchScan {
    /// Gives the connection back where nothing is to come on it, and ends it otherwise. What was not handed out is asked for again.
    fn leave_connection(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let is_free = match &mut self.stage {
            Stage::Idle => true,
            Stage::Asked | Stage::Begun(_) => false,
            Stage::Reply(reply, _) => reply.finish(&mut connection),
        };
        self.stage = Stage::Idle;
        self.is_proving = false;
        if is_free {
            self.shared.put(connection);
        }
    }
}

impl Drop for FetchScan {
    fn drop(&mut self) {
        self.leave_connection();
    }
}
