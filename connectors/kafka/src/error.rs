//! What can go wrong with Kafka, and how it is told.

use std::time::Duration;

use portolan_connector::ConnectorError;

/// An error of a cluster or of the client library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogError {
    /// No broker answers.
    #[error("cannot reach a Kafka broker at {brokers}")]
    Unreachable {
        brokers: String,
        /// What the client library said last.
        said: Option<String>,
    },
    /// A broker answers, and not in time.
    #[error("the Kafka brokers did not answer within {} ms when asked for {what}", limit.as_millis())]
    Slow { what: String, limit: Duration, said: Option<String> },
    /// A broker was reached, and no encrypted connection came of it.
    #[error("cannot open an encrypted connection to the Kafka broker {broker}")]
    Tls { broker: String, said: String },
    /// The login was refused.
    #[error("the Kafka broker refused the login")]
    Login { said: Option<String> },
    /// The user may not.
    #[error("Kafka does not allow this user to read {topic}")]
    Forbidden { topic: String, said: String },
    /// The topic or partition is not there.
    #[error("topic {topic} has no partition {partition}; it may have been deleted while the query ran")]
    Gone { topic: String, partition: i32 },
    /// The topic is not there.
    #[error("there is no topic {topic}")]
    NoTopic { topic: String },
    /// Offsets that were there when the query started are not there any more.
    #[error(
        "offsets {position}..{end} of topic {topic}, partition {partition} were deleted while the query ran; the first one kept \
         is {first}"
    )]
    Truncated { topic: String, partition: i32, position: i64, end: i64, first: i64 },
    /// Offsets of a cut that was asked for are not there any more.
    #[error(
        "offsets of topic {topic}, partition {partition} from {start} on were asked for, and the first one kept is {first}"
    )]
    CutTruncated { topic: String, partition: i32, start: i64, first: i64 },
    /// A cut that was asked for ends after the log.
    #[error(
        "topic {topic}, partition {partition} ends at offset {now}, before the end {end} of the cut that was asked for: \
         messages were lost, the topic was made anew, or the cut is not one of it"
    )]
    BeyondEnd { topic: String, partition: i32, now: i64, end: i64 },
    /// The cut that was asked for is one of another topic of this name.
    #[error(
        "topic {topic} is not the one of the cut that was asked for{}: it was deleted and made anew since, or messages were lost",
        partition.map(|partition| format!(", its partition {partition} has other messages")).unwrap_or_default()
    )]
    OtherTopic { topic: String, partition: Option<i32> },
    /// The cut has a partition that the topic has not.
    #[error("topic {topic} has no partition {partition}, and the cut that was asked for has")]
    NoPartition { topic: String, partition: i32 },
    /// The log became shorter.
    #[error(
        "topic {topic}, partition {partition} ends at offset {now} and ended at {end} when the query started: \
         messages were lost or the topic was made anew"
    )]
    Shrunk { topic: String, partition: i32, now: i64, end: i64 },
    /// Offsets that were to be read next, while a topic is followed, are not there any more.
    #[error(
        "offsets of topic {topic}, partition {partition} from {position} on were deleted before they were read; the first one \
         kept is {first}"
    )]
    Behind { topic: String, partition: i32, position: i64, first: i64 },
    /// The log became shorter while a topic was followed.
    #[error(
        "topic {topic}, partition {partition} ends at offset {now} and was followed up to {position}: messages were lost or \
         the topic was made anew"
    )]
    Restarted { topic: String, partition: i32, now: i64, position: i64 },
    /// The messages are others than those that were followed.
    #[error(
        "topic {topic}, partition {partition} has other messages than those that were followed: it was made anew, or messages \
         were lost"
    )]
    Anew { topic: String, partition: i32 },
    /// A topic that is followed is not there any more.
    #[error("topic {topic} was deleted while it was followed")]
    Deleted { topic: String },
    /// Nothing came for too long.
    #[error(
        "no message of topic {topic}, partition {partition} came for {} ms, at offset {position} of {end}",
        limit.as_millis()
    )]
    Idle { topic: String, partition: i32, position: i64, end: i64, limit: Duration, said: Option<String> },
    /// All connections were in use for too long.
    #[error("no connection to a Kafka broker was free for {} ms: all {most} were in use", limit.as_millis())]
    Busy { limit: Duration, most: usize },
    /// Anything else that the client library reports.
    #[error("Kafka's client failed to {what}")]
    Client { what: String, said: String },
}

impl From<LogError> for ConnectorError {
    fn from(error: LogError) -> Self {
        let tried = error.to_string();
        let (said, hint) = match error {
            LogError::Unreachable { said, .. } => {
                (said, Some("check that the broker runs and that `brokers` has the address it listens on"))
            }
            LogError::Busy { .. } => (
                None,
                Some(
                    "run fewer queries at once, or raise `connections_max` and `in_flight_bytes_max`, which allows a connection for \
                     each `fetch_bytes`, or `connections_wait_ms`",
                ),
            ),
            LogError::Slow { said, .. } => (said, Some("if the cluster is only slow, raise `metadata_timeout_ms`")),
            LogError::Login { said } => {
                (said, Some("check `security`, `sasl.mechanism`, `sasl.username` and `sasl.password`"))
            }
            LogError::Tls { said, .. } => (
                Some(said),
                Some(
                    "check that `brokers` has addresses that speak TLS, `tls.ca_file`, and `tls.certificate_file` if clients need one",
                ),
            ),
            LogError::Forbidden { said, .. } => (Some(said), Some("give the user READ and DESCRIBE on the topic")),
            LogError::Truncated { .. } => (
                None,
                Some(
                    "run the query again, raise the topic's retention if it takes longer than that, or set \
                     on_truncated = \"skip\" to go on without them",
                ),
            ),
            LogError::Behind { .. } => (
                None,
                Some(
                    "ask for less at a time, raise the topic's retention, or set on_truncated = \"skip\" to go on without them",
                ),
            ),
            LogError::CutTruncated { .. } => {
                (None, Some("set on_truncated = \"skip\" to read what is left of the cut"))
            }
            LogError::Idle { said, .. } => (said, Some("check the broker; `idle_timeout_ms` sets how long to wait")),
            LogError::Client { said, .. } => (Some(said), None),
            LogError::BeyondEnd { .. } | LogError::NoPartition { .. } => (None, None),
            LogError::Gone { .. } | LogError::NoTopic { .. } | LogError::Shrunk { .. } => (None, None),
            LogError::OtherTopic { .. } => (
                None,
                Some(
                    "SHOW CUT FOR table tells the cut of now; without what stands behind the offsets the cut is read of any topic of this name",
                ),
            ),
            LogError::Restarted { .. } | LogError::Anew { .. } | LogError::Deleted { .. } => (None, None),
        };
        let mut told = ConnectorError::source(tried);
        if let Some(said) = said {
            told = told.said(said);
        }
        match hint {
            Some(hint) => told.hint(hint),
            None => told,
        }
    }
}
