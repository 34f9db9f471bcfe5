//! What makes a statement that is tried again write once: its token, in a header of the last message that it writes to each
//! partition, looked for among the newest messages of the topic.
//!
//! The name of the transaction is made of the token as well, so that a try ends an earlier one that is still under way: of both
//! only one can commit, and what that was is known before the token is looked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use portolan_connector::{ConnectorError, Result, WriteToken};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::Writes;
use crate::error::LogError;
use crate::log::{KafkaLog, PartitionOffsets, Record, ScanRange, Step};

/// The header's key.
pub(super) const HEADER: &str = "portolan.write_token";

/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 1_000;

/// How many partitions are looked through at the same time.
const TOGETHER: usize = 8;

/// How long transactions of others that are open may keep us from seeing what is committed.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// How long to wait before offsets are asked for again.
const WAIT: Duration = Duration::from_millis(50);

/// The token of a statement.
#[derive(Clone, Debug)]
pub(super) struct Token {
    token: String,
    /// A digest of the statement, which itself may hold what is nobody's business.
    statement: String,
    topic: String,
}

/// What the header holds, as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Note<'a> {
    /// A topic that is copied with its headers has not been written by the statement.
    topic: &'a str,
    token: &'a str,
    statement: &'a str,
    rows: u64,
}

impl Token {
    /// The token of a statement that writes to a topic.
    pub(super) fn new(token: &WriteToken, topic: &str) -> Result<Self> {
        if token.token.is_empty() || token.token.len() > TOKEN_BYTES_MAX {
            return Err(ConnectorError::user(format!("a write_token has 1 to {TOKEN_BYTES_MAX} bytes")));
        }
        Ok(Self { token: token.token.clone(), statement: hex(&[&token.statement]), topic: topic.to_owned() })
    }

    /// The name of the transaction: the same for each try.
    pub(super) fn id(&self) -> String {
        hex(&[&self.topic, "\0", &self.token])
    }

    /// The header of a statement that writes so many rows.
    pub(super) fn header(&self, rows: u64) -> Result<(String, Option<Vec<u8>>)> {
        let note = Note { topic: &self.topic, token: &self.token, statement: &self.statement, rows };
        let note = serde_json::to_vec(&note)
            .map_err(|error| ConnectorError::internal("cannot write the write_token down").said(error))?;
        Ok((HEADER.to_owned(), Some(note)))
    }

    /// How many rows an earlier try has written, if one has. Called when no earlier try can commit any more.
    pub(super) async fn committed(&self, writes: &Writes) -> Result<Option<u64>> {
        let partitions = self.settled(writes).await?;
        let newest = i64::try_from(writes.token_messages).unwrap_or(i64::MAX);
        let searches = partitions.into_iter().map(|offsets| {
            let (token, log) = (self.clone(), Arc::clone(&writes.committed));
            let start = offsets.start.max(offsets.end.saturating_sub(newest));
            let searching = tokio::task::spawn_blocking(move || token.search(log.as_ref(), &offsets, start));
            async move { searching.await.map_err(|error| ConnectorError::internal("a search stopped").said(error))? }
        });
        // Nothing is begun before it is polled, so that no more are under way.
        let found: Vec<Option<u64>> = stream::iter(searches).buffered(TOGETHER).try_collect().await?;
        Ok(found.into_iter().flatten().next())
    }

    /// The offsets of what is committed, once that is all that was sent before.
    async fn settled(&self, writes: &Writes) -> Result<Vec<PartitionOffsets>> {
        let no_topic = || LogError::NoTopic { topic: self.topic.clone() };
        let sent = writes.sent.offsets(&self.topic).await?.ok_or_else(no_topic)?;
        let started = Instant::now();
        loop {
            let committed = writes.committed.offsets(&self.topic).await?.ok_or_else(no_topic)?;
            let behind = sent.iter().find(|sent| {
                let of_same = committed.iter().find(|committed| committed.partition == sent.partition);
                of_same.is_none_or(|committed| committed.end < sent.end)
            });
            let Some(behind) = behind else { return Ok(committed) };
            if started.elapsed() >= SETTLE_LIMIT {
                return Err(ConnectorError::source(format!(
                    "another transaction on topic {}, partition {} is open, so that it cannot be told whether this write_token was \
                     written",
                    self.topic, behind.partition
                ))
                .hint("try again when it has ended"));
            }
            tokio::time::sleep(WAIT).await;
        }
    }

    /// Looks through one partition, to its end.
    fn search(&self, log: &dyn KafkaLog, offsets: &PartitionOffsets, start: i64) -> Result<Option<u64>> {
        if start >= offsets.end {
            return Ok(None);
        }
        let range = ScanRange {
            topic: &self.topic,
            partition: offsets.partition,
            start,
            end: offsets.end,
            skips_deleted: true,
            limit: None,
        };
        let (mut scan, mut found) = (log.scan(range), Ok(None));
        loop {
            let step = scan.next(WAIT, &mut |record| {
                if let Some(rows) = self.rows_of(record).transpose() {
                    found = rows.map(Some);
                }
            })?;
            if step == Step::End || found.is_err() {
                return found;
            }
        }
    }

    /// What a message says that the statement wrote, if it is one of it.
    fn rows_of(&self, record: &Record<'_>) -> Result<Option<u64>> {
        let mut note = None;
        // A header that others have written says nothing, nor does one that cannot be read.
        let _ = record.headers.each(&mut |key, value| {
            let Some(value) = value.filter(|_| key == HEADER) else { return };
            let written = serde_json::from_slice::<OwnedNote>(value).ok();
            note = written.filter(|note| note.token == self.token && note.topic == self.topic).or_else(|| note.take());
        });
        match note {
            Some(note) if note.statement != self.statement => {
                Err(ConnectorError::user(format!("write_token {} was used for another statement", self.token))
                    .hint("choose another token for each write"))
            }
            note => Ok(note.map(|note| note.rows)),
        }
    }
}

/// A note that was read.
#[derive(Deserialize)]
struct OwnedNote {
    topic: String,
    token: String,
    statement: String,
    rows: u64,
}

fn hex(texts: &[&str]) -> String {
    let digest = digest(&SHA256, texts.concat().as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
