//! TLS and SCRAM for librdkafka, which has neither unless OpenSSL is linked into it.
//!
//! librdkafka, and bounded reads by what it tells them, connect to a listener of this process on the loopback interface, one for
//! each broker, and the gateway to the broker: encrypted with rustls, logged in with what the catalog file says. Frames pass as they are. Only what tells clients
//! where brokers listen is written anew ([`addresses`]), so that they come back to the gateway.
//!
//! Other users of this machine can connect to such a listener, too, so that nobody gets through who does not know a secret
//! that is made anew with each gateway ([`local`]).

mod addresses;
mod local;
mod route;
mod session;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portolan_connector::{ConnectorError, Result};
use rdkafka::ClientConfig;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

use crate::config::{KafkaConfig, Mechanism, Sasl, Security};
use crate::error::LogError;
use crate::protocol::Address;
use local::Secret;
use route::Routes;

/// What clients of a catalog connect to instead of its brokers. It ends when it is dropped.
pub(crate) struct Gateway {
    shared: Arc<Shared>,
    /// What clients take for the brokers' addresses.
    bootstrap: String,
    /// Dropped with the gateway, which ends its thread.
    _running: oneshot::Sender<()>,
}

/// What the connections of a gateway have in common.
struct Shared {
    routes: Routes,
    secret: Secret,
    tls: Option<TlsConnector>,
    sasl: Option<Sasl>,
    connect_timeout: Duration,
    /// Why the last connection to a broker failed, and when, until one succeeds.
    failures: Mutex<BTreeMap<Address, (Instant, LogError)>>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway where the catalog needs one: for TLS, and for logins that librdkafka does not know by itself. Certificates are
    /// read now; brokers are connected to when a client asks for them.
    pub(crate) fn start(config: &KafkaConfig) -> Result<Option<Arc<Self>>> {
        let needs_login = config.security.sasl.as_ref().is_some_and(|sasl| sasl.mechanism != Mechanism::Plain);
        if config.security.tls.is_none() && !needs_login {
            return Ok(None);
        }
        Self::before(&config.brokers, &config.security, config.connect_timeout).map(Some)
    }

    fn before(brokers: &str, security: &Security, connect_timeout: Duration) -> Result<Arc<Self>> {
        let addresses = Address::list(brokers)?;
        let shared = Arc::new(Shared {
            routes: Routes::default(),
            secret: Secret::new()?,
            tls: security.tls.as_ref().map(tls::connector).transpose()?,
            sasl: security.sasl.clone(),
            connect_timeout,
            failures: Mutex::default(),
        });
        let failed = |error: std::io::Error| {
            ConnectorError::internal(format!("cannot listen on 127.0.0.1 for connections to the brokers: {error}"))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let bootstrap = {
            let _within = runtime.enter();
            let ports = addresses.into_iter().map(|address| shared.route(address).map_err(failed));
            let ports = ports.map(|port| Ok(format!("127.0.0.1:{}", port?)));
            ports.collect::<Result<Vec<_>>>()?.join(",")
        };
        let (running, dropped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("kafka gateway".to_owned());
        // The sender is never used: its end is the signal.
        thread.spawn(move || runtime.block_on(dropped).is_ok()).map_err(failed)?;
        Ok(Arc::new(Self { shared, bootstrap, _running: running }))
    }

    /// Sends clients to the gateway.
    pub(crate) fn apply(&self, settings: &mut ClientConfig) {
        // The gateway gives up first, and says why.
        let patience = (self.shared.connect_timeout + MORE_PATIENCE).min(MAX_PATIENCE).as_millis().to_string();
        settings
            .set("bootstrap.servers", &self.bootstrap)
            .set("socket.connection.setup.timeout.ms", &patience)
            .set("api.version.request.timeout.ms", &patience);
    }

    /// What clients log in with at the gateway.
    pub(crate) fn login(&self) -> Sasl {
        self.shared.secret.login()
    }

    /// Why a broker was not reached lately, if that is so: what a person has to do something about comes first.
    pub(crate) fn failure(&self) -> Option<LogError> {
        let failures = self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = failures.values().filter(|(at, _)| at.elapsed() < TOLD_FOR);
        let worst = recent.min_by_key(|(at, error)| {
            let rank = match error {
                LogError::Login { .. } => 0,
                LogError::Tls { .. } => 1,
                _ => 2,
            };
            (rank, at.elapsed())
        });
        worst.map(|(_, error)| error.clone())
    }

    /// Why the broker that this port leads to was not reached lately, if that is so.
    pub(crate) fn failure_of(&self, port: u16) -> Option<LogError> {
        let broker = self.shared.routes.broker(port)?;
        let failures = self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(&broker).filter(|(at, _)| at.elapsed() < TOLD_FOR).map(|(_, error)| error.clone())
    }

    /// What the client library says, with the brokers' own addresses.
    pub(crate) fn with_names(&self, said: &str) -> String {
        self.shared.routes.with_names(said)
    }
}

impl Shared {
    /// The port of the listener that leads to a broker. Within the gateway's runtime.
    fn route(self: &Arc<Self>, address: Address) -> std::io::Result<u16> {
        self.routes.port(&address, |listener| {
            let shared = Arc::clone(self);
            let to = address.clone();
            tokio::spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((client, _)) => drop(tokio::spawn(session::serve(client, to.clone(), Arc::clone(&shared)))),
                        Err(error) => {
                            // Too many open files, as a rule: others will be closed.
                            tracing::debug!(%error, "a connection to a Kafka broker is not accepted");
                            tokio::time::sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
            });
        })
    }

    fn failed(&self, to: &Address, error: LogError) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.insert(to.clone(), (Instant::now(), error));
    }

    fn succeeded(&self, to: &Address) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(to);
    }
}

/// For how long a failure is told. Clients that need a broker try again at least every ten seconds.
const TOLD_FOR: Duration = Duration::from_secs(30);

/// How much longer than the gateway clients wait for a connection.
const MORE_PATIENCE: Duration = Duration::from_secs(1);

/// How long librdkafka can be told to wait for a connection.
const MAX_PATIENCE: Duration = Duration::from_secs(300);

/// How long to wait after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn nobody_gets_through_who_does_not_know_the_secret() {
        let broker = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = broker.local_addr().unwrap();
        let sasl = Sasl {
            mechanism: Mechanism::ScramSha256,
            username: "anna".to_owned(),
            password: "open sesame".to_owned().into(),
        };
        let security = Security { sasl: Some(sasl), tls: None };
        let gateway = Gateway::before(&address.to_string(), &security, PATIENCE).unwrap();
        assert_ne!(gateway.bootstrap, address.to_string());
        // A question for topics before a login, and a login with another password.
        let metadata = [&[0, 3, 0, 0, 0, 0, 0, 1][..], &[0, 1, b'x', 0, 0, 0, 0]].concat();
        let login = [&[0, 36, 0, 0, 0, 0, 0, 1][..], &[0, 1, b'x', 0, 0, 0, 4, 0, b'a', 0, b'b']].concat();
        for question in [metadata, login] {
            let mut client = TcpStream::connect(&gateway.bootstrap).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            let length = u32::try_from(question.len()).unwrap().to_be_bytes();
            client.write_all(&[&length, &question[..]].concat()).unwrap();
            let mut bytes = Vec::new();
            // Hung up on, with or without a reset.
            let _ = client.read_to_end(&mut bytes);
            assert!(bytes.is_empty(), "{bytes:?}");
            let (mut seen, _) = broker.accept().unwrap();
            seen.set_read_timeout(Some(PATIENCE)).unwrap();
            let _ = seen.read_to_end(&mut bytes);
            assert!(bytes.is_empty(), "the broker is asked {bytes:?}");
        }
    }

    #[test]
    fn what_a_person_has_to_do_something_about_is_told_first_and_by_broker() {
        let gateway = Gateway::before("127.0.0.1:1", &Security { sasl: None, tls: None }, PATIENCE).unwrap();
        let broker = |port| Address { host: "kafka".to_owned(), port };
        let login = LogError::Login { said: None };
        let away = LogError::Unreachable { brokers: "kafka:2".to_owned(), said: None };
        assert_eq!(gateway.failure(), None);
        gateway.shared.failed(&broker(1), login.clone());
        gateway.shared.failed(&broker(2), away.clone());
        assert_eq!(gateway.failure(), Some(login));
        gateway.shared.succeeded(&broker(1));
        assert_eq!(gateway.failure(), Some(away.clone()));
        let long_ago = Instant::now().checked_sub(TOLD_FOR).unwrap();
        gateway.shared.failures.lock().unwrap().insert(broker(2), (long_ago, away));
        assert_eq!(gateway.failure(), None);
    }

    #[test]
    fn a_gateway_that_is_dropped_listens_no_more() {
        let security = Security { sasl: None, tls: None };
        let gateway = Gateway::before("127.0.0.1:1", &security, PATIENCE).unwrap();
        let bootstrap = gateway.bootstrap.clone();
        drop(gateway);
        let started = std::time::Instant::now();
        while TcpStream::connect(&bootstrap).is_ok() {
            assert!(started.elapsed() < PATIENCE, "it still listens");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
