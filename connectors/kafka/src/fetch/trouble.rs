//! What keeps a read from going on: brokers that are away, leaders that move, errors that pass and those that do not.

use std::io;
use std::time::{Duration, Instant};

use rdkafka::topic_partition_list::Offset;

use super::{Connection, Failure, FetchScan, Stage};
use crate::client::{Found, find, list_offsets, number};
use crate::error::LogError;
use crate::permits::Permit;
use crate::protocol::{Address, LoginError};

/// How long to wait before something is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a broker may not know of a topic or of an offset: after an election, or when it has just started.
const SETTLING: Duration = Duration::from_secs(1);

/// How long a new leader may not know how far its followers are: they ask it once a second (`replica.fetch.backoff.ms`), and those
/// that are gone are given up first.
const CATCHING_UP: Duration = Duration::from_secs(5);

/// How long a broker may slow a client down at once. Its quotas are over windows of seconds.
const MAX_SLOWED: Duration = Duration::from_secs(60);

/// Errors that brokers answer with, by their codes: <https://kafka.apache.org/protocol.html#protocol_error_codes>.
mod code {
    pub(super) const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub(super) const CORRUPT_MESSAGE: i16 = 2;
    pub(super) const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub(super) const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
    pub(super) const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;
    pub(super) const UNSUPPORTED_VERSION: i16 = 35;
    pub(super) const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
}

/// The names of errors that are told.
fn name(code: i16) -> String {
    let name = match code {
        -1 => "UNKNOWN_SERVER_ERROR",
        code::CORRUPT_MESSAGE => "CORRUPT_MESSAGE",
        5 => "LEADER_NOT_AVAILABLE",
        6 => "NOT_LEADER_OR_FOLLOWER",
        7 => "REQUEST_TIMED_OUT",
        9 => "REPLICA_NOT_AVAILABLE",
        code::TOPIC_AUTHORIZATION_FAILED => "TOPIC_AUTHORIZATION_FAILED",
        code::CLUSTER_AUTHORIZATION_FAILED => "CLUSTER_AUTHORIZATION_FAILED",
        code::UNSUPPORTED_VERSION => "UNSUPPORTED_VERSION",
        56 => "KAFKA_STORAGE_ERROR",
        74 => "FENCED_LEADER_EPOCH",
        75 => "UNKNOWN_LEADER_EPOCH",
        code::UNSUPPORTED_COMPRESSION_TYPE => "UNSUPPORTED_COMPRESSION_TYPE",
        78 => "OFFSET_NOT_AVAILABLE",
        _ => return format!("error {code}"),
    };
    format!("{name} (error {code})")
}

/// What is wrong, and for how long.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// When to try again.
    again: Option<Instant>,
    /// How long nothing came, while somebody waited.
    idle: Duration,
    /// Since when no broker is reached.
    down: Option<Instant>,
    /// Since when a broker knows less than others did, and of what.
    behind: Option<(Behind, Instant)>,
    /// Since when there is no permit for a connection.
    pub(super) queued: Option<Instant>,
    /// Until when the broker looks at nothing of this client.
    slowed: Option<Instant>,
    /// How long no byte came of an answer, and how many bytes had come then.
    silence: (Duration, u64),
    /// Whether a connection was given up for its silence. The next one is waited for.
    was_silent: bool,
    /// What was said of it last.
    said: Option<String>,
    /// Whether the connection was one of an earlier read, which the broker may have closed since.
    is_reused: bool,
}

/// What a broker knows less of than others did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// It has no such topic or partition.
    Topic,
    /// Its log ends before the end that was frozen.
    End,
    /// It has not an offset that is there.
    Offset,
}

impl Behind {
    /// How long that may last.
    fn limit(self) -> Duration {
        match self {
            Self::Topic | Self::Offset => SETTLING,
            Self::End => CATCHING_UP,
        }
    }
}

impl Trouble {
    /// Waits until something may be tried again, by then at the latest; tells whether it may.
    pub(super) fn is_over(&mut self, until: Instant) -> bool {
        let Some(again) = self.again else { return true };
        std::thread::sleep(again.min(until).saturating_duration_since(Instant::now()));
        let is_over = Instant::now() >= again;
        if is_over {
            self.again = None;
        }
        is_over
    }

    /// Tries again a little later.
    pub(super) fn pause(&mut self) {
        self.again = Some(Instant::now() + PAUSE);
    }

    /// The connection works.
    pub(super) fn answered(&mut self) {
        self.down = None;
        self.is_reused = false;
    }

    /// Messages came.
    pub(super) fn moved(&mut self) {
        *self = Self { slowed: self.slowed, ..Self::default() };
    }

    /// Whether a broker has known less than others for longer than it may. If not, it is asked again a little later. The reason is
    /// told before the read is given up for having waited so long as `idle_timeout`.
    pub(super) fn lasts(&mut self, of: Behind, idle_timeout: Duration) -> bool {
        self.pause();
        let before = self.behind.filter(|(before, _)| *before == of);
        let (_, since) = *self.behind.insert(before.unwrap_or((of, Instant::now())));
        since.elapsed() >= of.limit().min(idle_timeout / 2)
    }

    /// The broker looks at nothing more of this client for so long.
    pub(super) fn slowed_for(&mut self, time: Duration) {
        self.slowed = (!time.is_zero()).then(|| Instant::now() + time.min(MAX_SLOWED));
    }

    /// There was nothing in the answer for that reason.
    pub(super) fn slowed_down(&mut self) {
        self.said = Some("the broker slows this client down, which has used up its quota".to_owned());
        self.pause();
        self.again = self.again.max(self.slowed);
    }

    fn is_slowed(&self) -> bool {
        self.slowed.is_some_and(|until| Instant::now() < until)
    }

    /// Whether no byte has come for so long that the broker may be gone without a word: `received` have come on the connection.
    fn is_silent(&mut self, time: Duration, received: u64, limit: Duration) -> bool {
        let (silence, before) = &mut self.silence;
        if *before != received {
            (*silence, *before) = (Duration::ZERO, received);
        }
        *silence += time;
        !self.was_silent && *silence >= limit
    }
}

impl FetchScan {
    /// Whether that has lasted for longer than it may.
    fn lasts(&mut self, of: Behind) -> bool {
        self.trouble.lasts(of, self.shared.idle_timeout)
    }

    /// Nothing came for so long.
    pub(super) fn waited(&mut self, time: Duration) -> Result<(), LogError> {
        // The broker has said that it will take a while, or is not to blame.
        if self.trouble.is_slowed() || self.trouble.queued.is_some() {
            return Ok(());
        }
        self.trouble.idle += time;
        self.doubt(time)?;
        if self.trouble.idle < self.shared.idle_timeout {
            return Ok(());
        }
        Err(LogError::Idle {
            topic: self.topic.clone(),
            partition: self.partition,
            position: self.ahead.position,
            end: self.ahead.end,
            limit: self.shared.idle_timeout,
            said: self.trouble.said.clone(),
        })
    }

    /// A third of the time is given to a connection on which nothing comes: the broker may be gone without having said so, and
    /// another one in its place. The rest is given to the next one: a broker may be slow as well.
    fn doubt(&mut self, time: Duration) -> Result<(), LogError> {
        let Some(connection) = self.connection.as_ref().filter(|_| !matches!(self.stage, Stage::Idle)) else {
            return Ok(());
        };
        let (received, limit) = (connection.received(), self.shared.idle_timeout / 3);
        if !self.trouble.is_silent(time, received, limit) {
            return Ok(());
        }
        self.trouble.was_silent = true;
        self.shared.leaders.forget(&self.topic);
        // Those that wait for their next read are of the same time; the next one is to be new.
        let to = connection.to().clone();
        while let Some(idle) = self.shared.connections.take_where(|idle| *idle.to() == to) {
            drop(idle);
        }
        let silent = format!("nothing came for {} ms", limit.as_millis());
        self.hung_up(&io::Error::new(io::ErrorKind::TimedOut, silent))
    }

    /// The connection ended.
    pub(super) fn hung_up(&mut self, error: &io::Error) -> Result<(), LogError> {
        let Some(connection) = self.connection.take() else { return Ok(()) };
        self.stage = Stage::Idle;
        if !std::mem::take(&mut self.trouble.is_reused) {
            self.unreached(connection.to(), error)?;
        }
        Ok(())
    }

    /// A broker was not reached: it may be another one's turn.
    fn unreached(&mut self, to: &Address, error: &io::Error) -> Result<(), LogError> {
        let said = match self.shared.gateway_failure(to) {
            Some(failure @ LogError::Login { .. }) => return Err(failure),
            // The offsets were asked for over the same: it may be a broker that is just going or coming.
            Some(failure @ LogError::Tls { .. }) => failure.to_string(),
            _ => format!("{to}: {error}"),
        };
        self.trouble.said = Some(self.shared.with_names(&said));
        self.trouble.pause();
        self.shared.leaders.forget(&self.topic);
        Ok(())
    }

    /// Connects to the leader. Without one, it is tried again a little later, as without a permit for a connection: one is waited
    /// for until then.
    pub(super) fn connect(&mut self, until: Instant) -> Result<bool, LogError> {
        if self.connection.is_some() {
            return Ok(true);
        }
        let queued = self.trouble.queued.take();
        let Some(to) = self.leader()? else {
            self.trouble.pause();
            return Ok(false);
        };
        self.connection = self.shared.connections.take_where(|idle| *idle.to() == to);
        self.trouble.is_reused = self.connection.is_some();
        if self.connection.is_some() {
            return Ok(true);
        }
        let Some(permit) = self.permit() else {
            self.queue(queued.unwrap_or_else(Instant::now), until)?;
            return Ok(false);
        };
        let left = self.shared.idle_timeout.saturating_sub(self.trouble.idle).max(PAUSE);
        match Connection::open(&to, self.shared.login.as_ref(), self.shared.connect_timeout.min(left), permit) {
            Ok(connection) => self.connection = Some(connection),
            Err(LoginError::Refused(said)) => {
                return Err(self.shared.gateway_failure(&to).unwrap_or(LogError::Login { said: Some(said) }));
            }
            Err(LoginError::Io(error)) => self.unreached(&to, &error)?,
        }
        Ok(self.connection.is_some())
    }

    /// A permit for a connection: a free one, or that of a connection to another broker that waits for its next read.
    fn permit(&self) -> Option<Permit> {
        let permits = &self.shared.permits;
        permits.take().or_else(|| {
            drop(self.shared.connections.take_where(|_| true)?);
            permits.take()
        })
    }

    /// Waits for a permit. Others have the connections: that says nothing about the brokers.
    fn queue(&mut self, since: Instant, until: Instant) -> Result<(), LogError> {
        let limit = self.shared.connections_wait;
        if since.elapsed() >= limit {
            return Err(LogError::Busy { limit, most: self.shared.connections_max });
        }
        self.trouble.queued = Some(since);
        self.shared.permits.wait(until);
        Ok(())
    }

    /// Where the partition's leader listens; `None` as long as there is none.
    fn leader(&mut self) -> Result<Option<Address>, LogError> {
        if let Some(leader) = self.shared.leaders.of(&self.topic, self.partition) {
            return Ok(Some(leader));
        }
        let what = format!("the brokers of topic {}", self.topic);
        let found = self.shared.ask(&what, &|client, limit| find(client, &self.topic, limit));
        let (found, leaders) = match found {
            Ok(found) => found,
            Err(error @ LogError::Login { .. }) => return Err(error),
            Err(error @ (LogError::Unreachable { .. } | LogError::Tls { .. })) => {
                let down = *self.trouble.down.get_or_insert_with(Instant::now);
                return if down.elapsed() >= self.shared.connect_timeout { Err(error) } else { Ok(None) };
            }
            Err(error) => {
                self.trouble.said = Some(error.to_string());
                return Ok(None);
            }
        };
        self.trouble.down = None;
        match found {
            Found::Partitions(all) if all.contains(&self.partition) => {
                let leader = leaders.get(&self.partition).cloned();
                if leader.is_none() {
                    self.trouble.said = Some("the partition has no leader".to_owned());
                }
                self.shared.leaders.learn(&self.topic, leaders);
                Ok(leader)
            }
            Found::Forbidden(said) => Err(LogError::Forbidden { topic: self.topic.clone(), said }),
            Found::Partitions(_) | Found::Missing if self.lasts(Behind::Topic) => Err(self.gone()),
            Found::Partitions(_) | Found::Missing => Ok(None),
        }
    }

    fn gone(&self) -> LogError {
        LogError::Gone { topic: self.topic.clone(), partition: self.partition }
    }

    /// What an error of a broker means. Most pass.
    pub(super) fn told(&mut self, error: i16) -> Result<(), Failure> {
        match error {
            code::OFFSET_OUT_OF_RANGE => return self.out_of_range().map_err(Failure::Log),
            code::TOPIC_AUTHORIZATION_FAILED | code::CLUSTER_AUTHORIZATION_FAILED => {
                return Err(LogError::Forbidden { topic: self.topic.clone(), said: name(error) }.into());
            }
            code::CORRUPT_MESSAGE | code::UNSUPPORTED_VERSION | code::UNSUPPORTED_COMPRESSION_TYPE => {
                return Err(
                    io::Error::new(io::ErrorKind::InvalidData, format!("the broker answers {}", name(error))).into()
                );
            }
            // Whether it is there, its brokers tell.
            code::UNKNOWN_TOPIC_OR_PARTITION => {}
            _ => self.trouble.said = Some(format!("the broker answers {}", name(error))),
        }
        self.trouble.pause();
        self.ask_for_the_leader();
        Ok(())
    }

    /// It may be another broker's turn.
    fn ask_for_the_leader(&mut self) {
        self.shared.leaders.forget(&self.topic);
        // Of an answer nothing is left.
        if let Some(connection) = self.connection.take().filter(|connection| connection.waiting() == 0) {
            self.shared.put(connection);
        }
    }

    /// The log of a broker ends there, before the end that was frozen.
    pub(super) fn behind(&mut self, now: i64) -> Result<(), LogError> {
        if self.lasts(Behind::End) {
            let (topic, partition, end) = (self.topic.clone(), self.partition, self.ahead.end);
            return Err(LogError::Shrunk { topic, partition, now, end });
        }
        // A new leader may not know at once how far its followers are, and an old one that it is none.
        self.trouble.said = Some(format!("the broker's log ends at offset {now}"));
        self.ask_for_the_leader();
        Ok(())
    }

    /// The next offset is not there.
    fn out_of_range(&mut self) -> Result<(), LogError> {
        let (topic, partition) = (self.topic.clone(), self.partition);
        let what = format!("the offsets of topic {topic}");
        let ends = self.shared.ask(&what, &|client, limit| {
            let at = |at| {
                number(
                    list_offsets(client, &topic, &[partition], at, limit)?.first().copied().unwrap_or(Offset::Invalid),
                )
            };
            Ok((at(Offset::Beginning)?, at(Offset::End)?))
        });
        let position = self.ahead.position;
        match ends {
            Ok((_, now)) if now < position => self.behind(now),
            Ok((first, _)) if first > position && self.skips_deleted => {
                self.pass_over(first);
                Ok(())
            }
            // It is there: a broker that has just become the leader may not know yet.
            Ok((first, _)) if first <= position && !self.lasts(Behind::Offset) => Ok(()),
            Ok((first, _)) => Err(LogError::Truncated { topic, partition, position, end: self.ahead.end, first }),
            Err(error @ (LogError::Login { .. } | LogError::Forbidden { .. } | LogError::Gone { .. })) => Err(error),
            // Where the log begins is asked again.
            Err(error) => {
                self.trouble.said = Some(error.to_string());
                self.trouble.pause();
                Ok(())
            }
        }
    }

    /// Goes on with the first offset that is kept.
    fn pass_over(&mut self, first: i64) {
        let until = first.min(self.ahead.end);
        self.deleted = self.deleted.saturating_add(until.abs_diff(self.ahead.position));
        tracing::warn!(
            topic = self.topic,
            partition = self.partition,
            "offsets {}..{until} were deleted while a query ran; it goes on without them",
            self.ahead.position
        );
        self.ahead.position = until;
    }
}
