//! Messages to the brokers, and transactions, with librdkafka.
//!
//! Calls of this module wait, so that they are made on threads that may.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portolan_connector::Result;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig};

use super::failure::{Failure, failed};
use super::rows::Message;
use crate::client::common_settings;
use crate::config::KafkaConfig;
use crate::context::LogContext;
use crate::gateway::Gateway;
use crate::idle::Idle;

/// Kibibytes of messages that one statement has on their way to the brokers, or of one that is larger.
const QUEUE_KIB: usize = 32 << 10;

/// What a message may have beyond its limit, in bytes: the last ones of a statement carry its write_token.
const TOKEN_BYTES: usize = 2_048;

/// Kibibytes of the queue: what does not fit into an empty one would be waited for without an end.
fn queue_kib(max_message_bytes: usize) -> usize {
    (max_message_bytes.saturating_add(TOKEN_BYTES) / 1024 + 1).max(QUEUE_KIB)
}

/// How long a step waits for room in the queue before it looks whether anybody still waits for it.
const WAIT: Duration = Duration::from_millis(100);

/// How long to listen for reasons after a failure.
const LISTEN: Duration = Duration::from_millis(50);

/// How long messages that are on their way are waited for by a statement that has failed without a transaction.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// How long a transaction may take to be aborted by a statement that has failed. The broker aborts it after its own time.
const ABORT_LIMIT: Duration = Duration::from_secs(10);

/// What the client's log calls a transaction that has failed.
const FAILED_TRANSACTION: &str = "TXNERR";

/// What begins the names by which brokers know our transactions.
const ID_PREFIX: &str = "portolan-";

/// Makes the producers of a catalog, and keeps some for the next statements.
pub(super) struct Producers {
    brokers: String,
    /// Settings of all producers; holds secrets, so it is never printed.
    settings: ClientConfig,
    /// Whether a statement is one transaction.
    pub(super) transactional: bool,
    /// How long a transaction may be open, and its commit may take.
    pub(super) limit: Duration,
    /// How long the brokers may take to let a producer begin.
    begin_limit: Duration,
    /// What the clients connect to instead of the brokers.
    gateway: Option<Arc<Gateway>>,
    /// Producers that wait for the next statement.
    idle: Idle<Sender>,
}

impl fmt::Debug for Producers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producers").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

impl Producers {
    /// Takes the settings; connects only when something is written.
    pub(super) fn new(config: &KafkaConfig, gateway: Option<Arc<Gateway>>) -> Self {
        let mut settings = common_settings(config, gateway.as_deref());
        settings
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("message.max.bytes", config.write.max_message_bytes.saturating_add(TOKEN_BYTES).to_string())
            .set("queue.buffering.max.kbytes", queue_kib(config.write.max_message_bytes).to_string())
            .set("message.timeout.ms", config.write.limit.as_millis().to_string());
        Self {
            brokers: config.brokers.clone(),
            settings,
            transactional: config.write.transactional,
            limit: config.write.limit,
            begin_limit: config.metadata_timeout,
            gateway,
            idle: Idle::default(),
        }
    }

    /// A producer that is ready to begin. One of an `id` ends whatever an earlier one of it has not ended: that has failed then.
    pub(super) fn sender(&self, id: Option<&str>) -> Result<Sender> {
        if id.is_none()
            && let Some(sender) = self.idle.take()
        {
            return Ok(sender);
        }
        let mut settings = self.settings.clone();
        if self.transactional {
            let id = id.map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), ToOwned::to_owned);
            settings
                .set("transactional.id", format!("{ID_PREFIX}{id}"))
                .set("transaction.timeout.ms", self.limit.as_millis().to_string());
        }
        let deliveries = Deliveries { log: LogContext::new(self.gateway.clone()), ..Deliveries::default() };
        let producer: BaseProducer<Deliveries> = settings
            .create_with_context(deliveries)
            .map_err(|error| failed("start a producer", &error, &Deliveries::default(), &self.brokers))?;
        let is_transactional = self.transactional;
        let (producer, brokers) = (Arc::new(producer), self.brokers.clone());
        let sender = Sender { producer, brokers, is_transactional, open: false, is_kept: id.is_none() };
        if self.transactional {
            let begun = sender.producer.init_transactions(self.begin_limit);
            begun.map_err(|error| sender.failed("begin a transaction", &error))?;
        }
        Ok(sender)
    }

    /// Keeps a producer whose statement went well for the next one.
    pub(super) fn give_back(&self, sender: Sender) {
        if !sender.is_kept || sender.open {
            return;
        }
        sender.producer.context().reset();
        self.idle.put(sender);
    }
}

/// A producer of one statement at a time.
pub(super) struct Sender {
    producer: Arc<BaseProducer<Deliveries>>,
    brokers: String,
    is_transactional: bool,
    /// Whether a transaction is open.
    open: bool,
    /// Whether it is good for other statements.
    is_kept: bool,
}

impl Sender {
    /// Begins a transaction.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.producer.begin_transaction().map_err(|error| self.failed("begin a transaction", &error))?;
        self.open = true;
        Ok(())
    }

    /// Sends messages; waits while too many are on their way.
    pub(super) fn send(&self, topic: &str, messages: &[Message], is_wanted: impl Fn() -> bool) -> Result<()> {
        for message in messages {
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(message.partition);
            record.key = message.key.as_deref();
            record.payload = message.value.as_deref();
            record.timestamp = message.timestamp;
            record.headers = (!message.headers.is_empty()).then(|| headers(&message.headers));
            while let Err((error, back)) = self.producer.send(record) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(self.failed("send a message", &error));
                }
                if !is_wanted() {
                    return Err(Failure::Ended.told());
                }
                record = back;
                self.producer.poll(WAIT);
                self.refused()?;
            }
        }
        self.producer.poll(Duration::ZERO);
        self.refused()
    }

    /// Waits until the brokers have all messages that were sent.
    pub(super) fn flush(&self, limit: Duration) -> Result<()> {
        let flushed = self.producer.flush(limit);
        self.refused()?;
        flushed.map_err(|error| self.failed("send the messages", &error))
    }

    /// Makes the messages visible. Returns the ends of the partitions that have some of them.
    pub(super) fn commit(&mut self, limit: Duration) -> Result<BTreeMap<i32, i64>> {
        let started = Instant::now();
        loop {
            let left = limit.saturating_sub(started.elapsed());
            let error = match self.producer.commit_transaction(left) {
                Ok(()) => break,
                Err(error) => error,
            };
            let (is_retriable, is_over) = match &error {
                KafkaError::Transaction(error) => {
                    (error.is_retriable(), error.txn_requires_abort() || error.is_fatal())
                }
                _ => (true, false),
            };
            if is_over {
                return Err(self.failed("commit the transaction", &error));
            }
            if !is_retriable || left.is_zero() {
                self.open = false;
                return Err(Failure::InDoubt { said: error.to_string() }.told());
            }
        }
        self.open = false;
        Ok(self.producer.context().ends())
    }

    /// The ends of the partitions that have messages, where there are no transactions.
    pub(super) fn ends(&self) -> BTreeMap<i32, i64> {
        self.producer.context().ends()
    }

    /// Whether what is sent is part of a transaction.
    pub(super) fn is_transactional(&self) -> bool {
        self.is_transactional
    }

    /// Sends no more, and waits for the answers to what is on its way. How many messages of the statement the brokers have,
    /// and of how many they have not said.
    pub(super) fn settle(&self) -> (u64, u64) {
        self.producer.purge(PurgeConfig::default().queue());
        // What is not answered by then is counted as such.
        let _ = self.producer.flush(SETTLE_LIMIT);
        let on_the_way = u64::try_from(self.producer.in_flight_count()).unwrap_or(0);
        let (there, doubtful) = self.producer.context().counts();
        (there, doubtful.saturating_add(on_the_way))
    }

    /// Leaves nothing of what was sent.
    pub(super) fn abort(&mut self) {
        if std::mem::take(&mut self.open) {
            abort(&self.producer);
        }
    }

    /// The first message that the brokers have not taken.
    fn refused(&self) -> Result<()> {
        let context = self.producer.context();
        match context.refusal() {
            Some(error) => Err(self.failed("send a message", &error)),
            None => Ok(()),
        }
    }

    fn failed(&self, what: &str, error: &KafkaError) -> portolan_connector::ConnectorError {
        // Why connections fail is told beside the answers.
        self.producer.poll(LISTEN);
        failed(what, error, self.producer.context(), &self.brokers)
    }
}

impl Drop for Sender {
    /// A statement that ends before its commit leaves nothing.
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let producer = Arc::clone(&self.producer);
        let aborting = std::thread::Builder::new().name("kafka abort".to_owned()).spawn(move || abort(&producer));
        if let Err(error) = aborting {
            tracing::warn!(%error, "no thread aborts a transaction; the broker does it when its time is over");
        }
    }
}

fn abort(producer: &BaseProducer<Deliveries>) {
    // What is on its way must be answered first, and nobody else looks for the answers.
    producer.purge(PurgeConfig::default().queue());
    let _ = producer.flush(ABORT_LIMIT);
    if let Err(error) = producer.abort_transaction(ABORT_LIMIT) {
        tracing::warn!(%error, "a transaction is not aborted; the broker does it when its time is over");
    }
}

fn headers(headers: &[(String, Option<Vec<u8>>)]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |all, (key, value)| {
        all.insert(Header { key, value: value.as_deref() })
    })
}

/// What became of messages that were sent.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// What the client reports of its connections.
    pub(super) log: LogContext,
    state: Mutex<Delivered>,
}

#[derive(Debug, Default)]
struct Delivered {
    /// How many the brokers have.
    messages: u64,
    /// How many they may have: they were sent, and nothing was answered.
    doubtful: u64,
    /// The offset after the last one, by partition.
    ends: BTreeMap<i32, i64>,
    /// Why the first one was refused.
    refusal: Option<KafkaError>,
    /// What the client says of a transaction that has failed.
    transaction: Option<String>,
}

impl Deliveries {
    fn reset(&self) {
        self.log.reset();
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Delivered::default();
    }

    fn ends(&self) -> BTreeMap<i32, i64> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).ends.clone()
    }

    fn refusal(&self) -> Option<KafkaError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).refusal.clone()
    }

    /// Why the transaction has failed, if it has.
    pub(super) fn transaction(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).transaction.clone()
    }

    /// How many messages the brokers have, and how many they may have.
    fn counts(&self) -> (u64, u64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.messages, state.doubtful)
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Messages that it does not send any more are told as purged, and the reason in this line alone.
        if facility == FAILED_TRANSACTION {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.transaction.get_or_insert_with(|| message.to_owned());
        }
        self.log.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) => {
                state.messages += 1;
                let end = state.ends.entry(message.partition()).or_default();
                *end = (*end).max(message.offset().saturating_add(1));
            }
            Err((error, _)) => {
                state.doubtful += u64::from(is_doubtful(error));
                state.refusal.get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// Whether a message that was given up may have reached a broker all the same. Those that were never sent may be among them:
/// the library does not say which they are.
fn is_doubtful(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::MessageTimedOut
                | RDKafkaErrorCode::PurgeInflight
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_message_has_room_in_the_queue() {
        for bytes in [1_000, 32 << 20, 50_000_000, 1_000_000_000] {
            assert!(queue_kib(bytes) * 1024 > bytes + TOKEN_BYTES);
        }
    }
}
