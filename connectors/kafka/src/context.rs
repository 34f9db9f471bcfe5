//! What librdkafka reports beside its answers: log lines and errors of connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::client::Client;
use crate::error::LogError;
use crate::gateway::Gateway;

/// How long to listen for reasons after a failure.
const LISTEN: Duration = Duration::from_millis(50);

/// How many reports to take after a success.
const REPORTS: usize = 16;

/// Collects reports of one client and passes its log lines on to `tracing`.
#[derive(Debug, Default)]
pub(crate) struct LogContext {
    reports: Mutex<Reports>,
    /// What the client connects to instead of the brokers.
    gateway: Option<Arc<Gateway>>,
}

#[derive(Debug, Default)]
struct Reports {
    /// The last reason of a failed connection.
    reason: Option<String>,
    /// Whether no broker is connected.
    down: bool,
    /// Whether a broker refused the login.
    login: bool,
}

impl LogContext {
    pub(crate) fn new(gateway: Option<Arc<Gateway>>) -> Self {
        Self { gateway, reports: Mutex::default() }
    }

    /// Why the gateway did not reach a broker, if there is one and it did not.
    pub(crate) fn failure(&self) -> Option<LogError> {
        let failure = self.gateway.as_ref()?.failure()?;
        let is_login = matches!(failure, LogError::Login { .. });
        (is_login || !self.refused_login()).then_some(failure)
    }

    /// Forgets what was reported.
    pub(crate) fn reset(&self) {
        *self.reports.lock().unwrap_or_else(PoisonError::into_inner) = Reports::default();
    }

    /// Takes reports that wait in the client's queue; after a failure it listens a little longer.
    pub(crate) fn collect(&self, client: &Client, failed: bool) {
        if !failed {
            for _ in 0..REPORTS {
                client.poll(Duration::ZERO);
            }
            return self.reset();
        }
        let started = Instant::now();
        while started.elapsed() < LISTEN {
            client.poll(LISTEN / 10);
        }
    }

    /// The last reason of a failed connection.
    pub(crate) fn said(&self) -> Option<String> {
        match self.failure() {
            Some(LogError::Login { said } | LogError::Unreachable { said, .. }) => return said,
            Some(LogError::Tls { said, .. }) => return Some(said),
            _ => {}
        }
        let said = self.reports.lock().unwrap_or_else(PoisonError::into_inner).reason.clone()?;
        Some(self.gateway.as_ref().map_or(said.clone(), |gateway| gateway.with_names(&said)))
    }

    /// Whether no broker is connected.
    pub(crate) fn is_down(&self) -> bool {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).down
    }

    /// Whether a broker refused the login.
    pub(crate) fn refused_login(&self) -> bool {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).login
    }

    /// Whether asking again will not help soon.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.is_down() || self.refused_login()
    }
}

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "librdkafka", facility, "{message}");
            }
            // A broker that cannot be reached is told by the query that needs it; here it is told again and again.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
                tracing::debug!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::trace!(target: "librdkafka", facility, "{message}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                reports.down = true;
                return;
            }
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => reports.login = true,
            // Not an error of a connection.
            Some(RDKafkaErrorCode::PartitionEOF) => return,
            _ => {}
        }
        reports.reason = Some(reason.to_owned());
    }
}

impl ConsumerContext for LogContext {}
