//! What an error means that the client library reports during a read.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An offset that is to be read next is not there.
    OutOfRange,
    /// The topic or the partition is not there.
    Gone,
    /// The user may not read the topic.
    Forbidden(RDKafkaErrorCode),
    /// The login was refused.
    Login,
    /// What came cannot be read, or the client does not work any more.
    Unreadable,
    /// No broker is connected.
    Down,
    /// The library keeps trying, and tells of it again and again.
    Passes,
}

impl Kind {
    pub(crate) fn of(error: &KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::LogTruncation,
            ) => Self::OutOfRange,
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition,
            ) => Self::Gone,
            Some(code @ RDKafkaErrorCode::TopicAuthorizationFailed) => Self::Forbidden(code),
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => Self::Login,
            Some(
                RDKafkaErrorCode::BadMessage
                | RDKafkaErrorCode::BadCompression
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::UnsupportedFeature,
            ) => Self::Unreadable,
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => Self::Unreadable,
            Some(RDKafkaErrorCode::AllBrokersDown) => Self::Down,
            _ => Self::Passes,
        }
    }
}
