//! The rows of one statement until they are committed.
//!
//! Messages are held until there are many, so that the transaction of a small statement is open for as long only as it takes to
//! send them, however long its rows take to come. Where there are no transactions, all are held.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use portolan_connector::{ConnectorError, Result, TableName, TableWriter};

use super::Writes;
use super::producer::{Producers, Sender};
use super::rows::{Message, RowEncoder};
use super::token::Token;
use crate::log::KafkaLog;

/// Bytes of messages that are held before the first of them is sent.
const HELD_BYTES: usize = 16 << 20;

/// What a message costs beside what it carries, in bytes: Kafka's own, and ours.
const MESSAGE_BYTES: usize = 128;

/// How long a commit waits until readers see what it committed: brokers tell them a moment after they told us.
const VISIBLE_LIMIT: Duration = Duration::from_secs(1);

/// How long to wait before offsets are asked for again.
const WAIT: Duration = Duration::from_millis(10);

/// See the module's comment.
pub(super) struct Writer {
    pub(super) name: TableName,
    pub(super) topic: String,
    pub(super) rows: RowEncoder,
    pub(super) producers: Arc<Producers>,
    pub(super) log: Arc<dyn KafkaLog>,
    pub(super) max_message_bytes: usize,
    pub(super) token: Option<Token>,
    /// The producer, once there is one.
    pub(super) sender: Option<Sender>,
    pub(super) state: State,
}

/// How far a write has come.
#[derive(Default)]
pub(super) struct State {
    /// How many rows there were.
    rows: u64,
    held: Vec<Message>,
    held_bytes: usize,
    /// The last message for each partition, where it is to carry the token.
    last: BTreeMap<i32, Message>,
    /// Whether something was sent.
    has_sent: bool,
    /// Whether something went wrong, so that nothing is sent any more.
    has_failed: bool,
}

impl Writer {
    /// A writer that has a producer already where the statement has a token.
    pub(super) fn new(
        writes: &Writes,
        (name, topic): (TableName, String),
        rows: RowEncoder,
        token: Option<Token>,
        sender: Option<Sender>,
    ) -> Self {
        Self {
            name,
            topic,
            rows,
            producers: Arc::clone(&writes.producers),
            log: Arc::clone(&writes.committed),
            max_message_bytes: writes.max_message_bytes,
            token,
            sender,
            state: State::default(),
        }
    }

    /// Makes messages of rows; nothing is sent.
    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        for row in 0..batch.num_rows() {
            let number = self.state.rows + 1;
            let message = self
                .rows
                .message(batch, row)
                .map_err(|error| ConnectorError::user(format!("row {number} cannot be written: {error}")))?;
            let bytes = message.bytes().saturating_add(MESSAGE_BYTES);
            if bytes > self.max_message_bytes {
                let limit = self.max_message_bytes;
                return Err(ConnectorError::user(format!(
                    "row {number} makes a message of {bytes} bytes, and the limit is {limit}"
                ))
                .hint("raise `max_message_bytes` of the catalog, and max.message.bytes of the topic"));
            }
            self.state.rows = number;
            // The last message of a partition is known when the next one comes, or at the end.
            let free = match self.token {
                Some(_) => self.state.last.insert(message.partition, message),
                None => Some(message),
            };
            if let Some(free) = free {
                self.state.held_bytes = self.state.held_bytes.saturating_add(bytes);
                self.state.held.push(free);
            }
        }
        Ok(())
    }

    /// Sends what is held.
    async fn send(&mut self, is_last: bool) -> Result<()> {
        let messages = std::mem::take(&mut self.state.held);
        self.state.held_bytes = 0;
        let (producers, topic) = (Arc::clone(&self.producers), self.topic.clone());
        let (sender, begins) = (self.sender.take(), producers.transactional && !self.state.has_sent);
        self.state.has_sent = true;
        // Held by this call alone: when nobody waits for it, the thread hears of it.
        let waiting = Arc::new(());
        let awaited = Arc::downgrade(&waiting);
        let sending = tokio::task::spawn_blocking(move || {
            let mut sender = match sender {
                Some(sender) => sender,
                None => producers.sender(None)?,
            };
            let sent = (|| {
                if begins {
                    sender.begin()?;
                }
                sender.send(&topic, &messages, || awaited.strong_count() > 0)?;
                if is_last { sender.flush(producers.limit) } else { Ok(()) }
            })();
            match sent {
                Ok(()) => Ok(sender),
                Err(error) => Err(undone(sender, error)),
            }
        });
        let sent = sending.await.map_err(|error| ConnectorError::internal("sending stopped").said(error))?;
        drop(waiting);
        self.sender = Some(sent.inspect_err(|_| self.state.has_failed = true)?);
        Ok(())
    }

    /// Sends the rest, and commits.
    async fn finish(&mut self) -> Result<u64> {
        let rows = self.state.rows;
        let last = std::mem::take(&mut self.state.last);
        for (_, mut message) in last {
            if let Some(token) = &self.token {
                message.headers.push(token.header(rows)?);
            }
            self.state.held.push(message);
        }
        if rows == 0 {
            let sender = self.sender.take();
            // Closing takes a while.
            tokio::task::spawn_blocking(move || drop(sender));
            return Ok(0);
        }
        self.send(true).await?;
        let Some(mut sender) = self.sender.take() else {
            return Err(ConnectorError::internal("there is no producer"));
        };
        let producers = Arc::clone(&self.producers);
        let committing = tokio::task::spawn_blocking(move || {
            let committed = match producers.transactional {
                true => sender.commit(producers.limit),
                false => Ok(sender.ends()),
            };
            match committed {
                Ok(ends) => {
                    producers.give_back(sender);
                    Ok(ends)
                }
                Err(error) => Err(undone(sender, error)),
            }
        });
        let ends = committing.await.map_err(|error| ConnectorError::internal("the commit stopped").said(error))??;
        self.seen(&ends).await;
        Ok(rows)
    }

    /// Waits until a query sees the messages before these offsets.
    async fn seen(&self, ends: &BTreeMap<i32, i64>) {
        let started = Instant::now();
        while started.elapsed() < VISIBLE_LIMIT {
            // What is committed is committed, whether or not this question is answered.
            let Ok(Some(offsets)) = self.log.offsets(&self.topic).await else { return };
            let reaches =
                |partition: i32| offsets.iter().find(|offsets| offsets.partition == partition).map(|found| found.end);
            if ends.iter().all(|(partition, end)| reaches(*partition).is_some_and(|reached| reached >= *end)) {
                return;
            }
            tokio::time::sleep(WAIT).await;
        }
    }
}

/// Takes back what was sent by a statement that fails; the error says where that is not possible.
fn undone(mut sender: Sender, error: ConnectorError) -> ConnectorError {
    if sender.is_transactional() {
        sender.abort();
        return error;
    }
    let left = match sender.settle() {
        (0, 0) => return error,
        (there, 0) => format!("{there} messages of the statement are in the topic already"),
        (0, doubtful) => {
            format!("up to {doubtful} messages of the statement may be in the topic: nothing was answered of them")
        }
        (there, doubtful) => format!(
            "{there} messages of the statement are in the topic already, and up to {doubtful} more may be: nothing was answered \
             of them"
        ),
    };
    let said = error.detail().said.clone();
    let tried = format!("{}; {left}", error.detail().tried);
    let told =
        ConnectorError::source(tried).hint("without transactions a statement that fails may leave a part of its rows");
    match said {
        Some(said) => told.said(said),
        None => told,
    }
}

#[async_trait]
impl TableWriter for Writer {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        let taken = self.take(&batch).map_err(|error| error.in_table(&self.name));
        if taken.is_err() {
            self.state.has_failed = true;
            return taken;
        }
        if self.state.held_bytes < HELD_BYTES {
            return Ok(());
        }
        if !self.producers.transactional {
            self.state.has_failed = true;
            let text = format!(
                "the statement's messages are more than {HELD_BYTES} bytes, which are held without transactions"
            );
            return Err(ConnectorError::resource_exhausted(text)
                .hint("write less with one statement, or set write_transactions = \"required\"")
                .in_table(&self.name));
        }
        self.send(false).await.map_err(|error| error.in_table(&self.name))
    }

    async fn commit(mut self: Box<Self>) -> Result<u64> {
        if self.state.has_failed {
            return Err(ConnectorError::internal("the write has failed before").in_table(&self.name));
        }
        let finished = self.finish().await;
        finished.map_err(|error| error.in_table(&self.name))
    }
}
