//! What is said when something cannot be written.

use portolan_connector::ConnectorError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::producer::Deliveries;
use crate::error::LogError;

/// Ways to fail that have words of their own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// Nobody waits for the statement.
    #[error("the statement has ended")]
    Ended,
    /// It is not known whether the transaction was committed.
    #[error("Kafka did not answer whether the transaction is committed")]
    InDoubt { said: String },
}

impl Failure {
    pub(super) fn told(&self) -> ConnectorError {
        let told = ConnectorError::source(self.to_string());
        match self {
            Self::Ended => told,
            Self::InDoubt { said } => told
                .said(said)
                .hint("look whether the rows are there; with a write_token the statement can be run again in any case"),
        }
    }
}

/// An error of the client library.
pub(super) fn failed(what: &str, error: &KafkaError, deliveries: &Deliveries, brokers: &str) -> ConnectorError {
    let log = &deliveries.log;
    if log.is_hopeless()
        && let Some(failure) = log.failure()
    {
        return failure.into();
    }
    if log.refused_login() {
        return LogError::Login { said: log.said() }.into();
    }
    if log.is_down() {
        return LogError::Unreachable { brokers: brokers.to_owned(), said: log.said() }.into();
    }
    let code = error.rdkafka_error_code();
    let is_purged = matches!(code, Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight));
    let said = match (error, deliveries.transaction()) {
        (_, Some(reason)) if is_purged => reason,
        (KafkaError::Transaction(error), _) => error.string(),
        (other, _) => other.to_string(),
    };
    let told = ConnectorError::source(format!("Kafka's client failed to {what}")).said(said);
    let hint = if is_purged { Some(TAKEN_OVER) } else { code.and_then(hint) };
    match hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

/// Why brokers end a transaction.
const TAKEN_OVER: &str = "another try of the statement with the same write_token took over, or the transaction was open for longer than \
                          `write_timeout_ms`; nothing of this one is left";

/// What to do about an error.
fn hint(code: RDKafkaErrorCode) -> Option<&'static str> {
    Some(match code {
        RDKafkaErrorCode::TopicAuthorizationFailed => "give the user WRITE on the topic",
        RDKafkaErrorCode::TransactionalIdAuthorizationFailed => {
            "give the user WRITE and DESCRIBE on transactional ids that begin with portolan-"
        }
        RDKafkaErrorCode::ClusterAuthorizationFailed => "give the user IDEMPOTENT_WRITE on the cluster",
        RDKafkaErrorCode::MessageSizeTooLarge => {
            "the topic's max.message.bytes is smaller than `max_message_bytes` of the catalog"
        }
        RDKafkaErrorCode::InvalidRecord => "a topic that is compacted takes no message without a key",
        RDKafkaErrorCode::InvalidTransactionTimeout => {
            "set `write_timeout_ms` to no more than the brokers' transaction.max.timeout.ms"
        }
        RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch => {
            TAKEN_OVER
        }
        RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion => {
            "where the brokers have no transactions, set write_transactions = \"none\""
        }
        RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::CoordinatorNotAvailable => {
            "try again; raise `metadata_timeout_ms` if the cluster is slow, or set write_transactions = \"none\" if its brokers have no \
             transactions"
        }
        _ => return None,
    })
}
