//! A Kafka-protocol broker.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ServerError;
use crate::command::{cache_directory, find_in_path, path_variable};
use crate::port::{ATTEMPTS, free_port, port_was_taken};
use crate::supervisor::Supervised;

/// The broker's program.
const PROGRAM: &str = "noida-db";

/// A program to use in place of all others.
const VARIABLE: &str = "PORTOLAN_NOIDA_DB";

/// Where the project's scripts install the broker, in the user's cache directory.
const IN_CACHE: &str = "portolan/broker";

/// Where the address of a broker is taken from that is there already.
const GIVEN: &str = "KAFKA_BOOTSTRAP";

/// The version that the tests were written against.
const VERSION: &str = "0.2.3";

/// How long the broker may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long one attempt to connect may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// A Kafka-protocol broker on a free loopback port; stopped and removed on drop, and when this process ends.
///
/// The broker is noida-db, a small stand-in for Apache Kafka that speaks its protocol. It keeps its data in memory.
#[derive(Debug)]
pub struct KafkaBroker {
    server: Supervised,
    port: u16,
}

impl KafkaBroker {
    /// Starts the broker and waits until it takes connections.
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(None)
    }

    /// Starts a broker that writes its data to a directory of the caller's when it is stopped.
    pub fn start_in(data: &Path) -> Result<Self, ServerError> {
        Self::start_with(Some(data))
    }

    fn start_with(data: Option<&Path>) -> Result<Self, ServerError> {
        let program = find()?;
        let mut attempt = 1;
        loop {
            match Self::start_once(&program, free_port()?, data) {
                Err(error) if attempt < ATTEMPTS && port_was_taken(&error) => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    /// Starts a broker that was stopped anew, where clients look for it and with the data that it had.
    pub fn start_again(&self, data: &Path) -> Result<Self, ServerError> {
        Self::start_once(&find()?, self.port, Some(data))
    }

    fn start_once(program: &Path, port: u16, data: Option<&Path>) -> Result<Self, ServerError> {
        let directory = tempfile::Builder::new()
            .prefix("portolan-kafka-")
            .tempdir()
            .map_err(ServerError::io("create a temporary directory for the Kafka broker"))?;
        let name = format!("the Kafka broker ({} on port {port})", program.display());
        // Told to end by TERM it does so at once, by INT it writes its data before.
        let (data, signal) = data.map_or((Path::new("data"), "TERM"), |data| (data, "INT"));
        let (program, port_text, data) = (program.to_string_lossy(), port.to_string(), data.to_string_lossy());
        let command = [
            &*program,
            "start",
            "--only",
            "kafka",
            "--host",
            "127.0.0.1",
            "--kafka-port",
            &port_text,
            "--data-dir",
            &data,
        ];
        let server = Supervised::start(&name, &command, signal, None, directory)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        server.wait_until(START_LIMIT, || TcpStream::connect_timeout(&address, CONNECT_LIMIT).is_ok())?;
        Ok(Self { server, port })
    }

    /// The broker's address for a client's `bootstrap.servers`: `127.0.0.1:PORT`.
    pub fn bootstrap(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The process number of the broker's program.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Stops the broker and removes its directory. For tests of a dying broker; otherwise dropping is enough.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.server.stop()
    }
}

/// The broker that tests make their topics at: the one that `KAFKA_BOOTSTRAP` names, or one that is started for them.
#[derive(Debug)]
pub enum TestBroker {
    /// Somebody else's, by its address. Topics that an earlier run has left may be there.
    Given(String),
    /// One of the tests' own, which is empty.
    Started(KafkaBroker),
}

impl TestBroker {
    /// Takes the broker.
    pub fn take() -> Result<Self, ServerError> {
        match std::env::var(GIVEN).ok().filter(|brokers| !brokers.trim().is_empty()) {
            Some(brokers) => Ok(Self::Given(brokers.trim().to_owned())),
            None => KafkaBroker::start().map(Self::Started),
        }
    }

    /// The broker's address for a client's `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        match self {
            Self::Given(brokers) => brokers.clone(),
            Self::Started(broker) => broker.bootstrap(),
        }
    }

    /// The process number of the broker's program, where it is the tests' own.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Given(_) => None,
            Self::Started(broker) => Some(broker.pid()),
        }
    }

    /// Whether it is somebody else's.
    pub fn is_given(&self) -> bool {
        matches!(self, Self::Given(_))
    }
}

/// The broker's program: what `PORTOLAN_NOIDA_DB` names, else in the user's cache directory, else on PATH.
fn find() -> Result<PathBuf, ServerError> {
    let in_cache = cache_directory().map(|cache| cache.join(IN_CACHE));
    let missing = |looked_in: String| {
        let environment = in_cache.as_ref().map_or_else(|| "broker".into(), |path| path.display().to_string());
        ServerError::Missing {
            program: format!("{PROGRAM}, the stand-in for a Kafka broker"),
            looked_in,
            install: format!(
                "python3 -m venv {environment} && {environment}/bin/pip install {PROGRAM}=={VERSION} \
                 (or set {VARIABLE} to its path)"
            ),
        }
    };
    if let Some(program) = path_variable(VARIABLE) {
        return if program.is_file() {
            Ok(program)
        } else {
            Err(missing(format!("{} ({VARIABLE})", program.display())))
        };
    }
    let cached = in_cache.as_ref().map(|cache| cache.join("bin").join(PROGRAM)).filter(|path| path.is_file());
    cached.or_else(|| find_in_path(PROGRAM)).ok_or_else(|| {
        let cache = in_cache.as_ref().map_or_else(String::new, |cache| format!("{}/bin and ", cache.display()));
        missing(format!("{cache}the directories of PATH"))
    })
}
