//! Calls to a metastore that may be down, slow, or starting again.
//!
//! All that is asked here only reads or may be done twice, so a call whose connection fails is made again: at another server of the metastore
//! where there are several, after a pause that doubles, until `metastore_timeout_seconds` are over.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use portolan_connector::{ConnectorError, Result};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::metastore::address::Address;
use crate::thrift::{CallError, Connection, Struct};

/// The most connections that one catalog holds at the same time. A metastore gives each a thread.
const MAX_CONNECTIONS: usize = 8;

/// The pause before a call is made again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a connection is kept that nobody uses. Firewalls forget such connections without telling.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// The least time that a server is given where there are others to try.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);

/// Thrift's number for a method that the server does not know.
const UNKNOWN_METHOD: i64 = 1;

/// How to reach a metastore, and the connections that are open to it.
#[derive(Debug)]
pub(crate) struct Client {
    addresses: Vec<Address>,
    timeout: Duration,
    connect_timeout: Duration,
    /// Connections that nobody uses just now.
    idle: Mutex<Vec<Idle>>,
    permits: Semaphore,
}

/// A connection that nobody uses.
#[derive(Debug)]
struct Idle {
    since: Instant,
    connection: Connection,
}

/// What a call came to: its result, or the exception that the method declares, with the number of its field.
pub(crate) type Outcome = std::result::Result<Struct, Exception>;

/// An exception that a method declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    /// The number of the field that the exception came in: which of the declared ones it is.
    pub(crate) field: i16,
    pub(crate) message: String,
}

/// Why one attempt failed.
enum Failure {
    /// Trying again may help. A connection that was idle may have been closed long ago, which says nothing of the server.
    Passing { said: String, idle: bool },
    /// Trying again will not help.
    Lasting { said: String, hint: &'static str },
}

impl Client {
    pub(crate) fn new(addresses: Vec<Address>, timeout: Duration, connect_timeout: Duration) -> Self {
        let permits = Semaphore::new(MAX_CONNECTIONS);
        Self { addresses, timeout, connect_timeout, idle: Mutex::default(), permits }
    }

    /// The addresses, for people.
    pub(crate) fn place(&self) -> String {
        self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// Calls a method that only reads, or may be called again. `wanted` says in errors what was asked for, such as `the table s.t`.
    pub(crate) async fn call(&self, method: &str, arguments: &Struct, wanted: &str) -> Result<Outcome> {
        let deadline = Instant::now() + self.timeout;
        let failed = |said: String, hint: &str| {
            ConnectorError::source(format!("cannot ask the metastore at {} for {wanted}", self.place()))
                .said(said)
                .hint(hint)
        };
        let busy =
            |_| failed("all connections are in use".to_owned(), "raise metastore_timeout_seconds, or ask less at once");
        // A semaphore that is never closed gives its permits.
        let _permit = timeout_at(deadline, self.permits.acquire()).await.map_err(busy)?;
        let mut pause = FIRST_PAUSE;
        let mut attempts = 0_u32;
        loop {
            let failure = match self.attempt(attempts, deadline, method, arguments).await {
                Ok(result) => return Ok(outcome(result)),
                Err(failure) => failure,
            };
            let said = match failure {
                Failure::Passing { idle: true, .. } => {
                    self.forget_idle();
                    continue;
                }
                Failure::Passing { said, idle: false } => said,
                Failure::Lasting { said, hint } => return Err(failed(said, hint)),
            };
            attempts += 1;
            tracing::debug!(method, attempts, said, "the metastore did not answer");
            let left = deadline.saturating_duration_since(Instant::now());
            if left < FIRST_PAUSE {
                let seconds = self.timeout.as_secs();
                let plural = if attempts == 1 { "" } else { "s" };
                return Err(failed(
                    format!("{said} ({attempts} attempt{plural} in {seconds} s)"),
                    "check that the metastore runs, that `metastore` of the catalog names its host and port, and that it \
                     asks for neither Kerberos (SASL) nor TLS; `metastore_timeout_seconds` says how long it is waited for",
                ));
            }
            // Half of what is left leaves time for another attempt.
            sleep(pause.min(left / 2)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One attempt, at the address whose turn it is.
    async fn attempt(
        &self,
        attempts: u32,
        deadline: Instant,
        method: &str,
        arguments: &Struct,
    ) -> std::result::Result<Struct, Failure> {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        let servers = u32::try_from(self.addresses.len()).unwrap_or(1).max(1);
        let share = if servers > 1 { (self.timeout / servers).max(SHORTEST_ATTEMPT).min(left) } else { left };
        let known = self.take_idle();
        let idle = known.is_some();
        let passing = |said: String| Failure::Passing { said, idle };
        let mut connection = match known {
            Some(known) => known,
            None => {
                let place = usize::try_from(attempts % servers).unwrap_or(0);
                let Some(address) = self.addresses.get(place) else {
                    return Err(Failure::Lasting { said: "it has no address".to_owned(), hint: "set `metastore`" });
                };
                Connection::open(&address.host, address.port, self.connect_timeout.min(share))
                    .await
                    .map_err(|error| passing(format!("cannot connect to {address}: {error}")))?
            }
        };
        match timeout_at(now + share, connection.call(method, arguments)).await {
            Ok(Ok(result)) => {
                self.idle
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Idle { since: Instant::now(), connection });
                Ok(result)
            }
            Ok(Err(CallError::Io(error))) => Err(passing(error.to_string())),
            // An idle connection that does not answer in time is no sign that it was closed: the time is over anyway.
            Err(_) => {
                Err(Failure::Passing { said: format!("no answer within {:.0} s", share.as_secs_f64()), idle: false })
            }
            Ok(Err(CallError::Protocol(said))) => Err(Failure::Lasting {
                said,
                hint: "check that `metastore` names a Hive Metastore that asks for neither Kerberos (SASL), TLS nor framed transport",
            }),
            Ok(Err(CallError::Refused { kind: UNKNOWN_METHOD, message })) => {
                Err(Failure::Lasting { said: message, hint: "metastores of Hive 2.3 and later are supported" })
            }
            Ok(Err(CallError::Refused { message, .. })) => {
                Err(Failure::Lasting { said: message, hint: "the metastore's log says more" })
            }
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|known| known.since.elapsed() < IDLE_MAX);
        idle.pop().map(|known| known.connection)
    }

    /// Closes the connections that nobody uses: one of them was found closed by the server.
    fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The exception of a result that has one. All that a metastore declares have their message in field 1.
fn outcome(result: Struct) -> Outcome {
    let exception = result.fields().find_map(|(id, _)| {
        let exception = (id != 0).then(|| result.structure(id)).flatten()?;
        Some(Exception { field: id, message: exception.text(1).unwrap_or_else(|| "no reason given".to_owned()) })
    });
    match exception {
        Some(exception) => Err(exception),
        None => Ok(result),
    }
}
