//! One session on the server, with settings that fix what texts mean.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::{CancelToken, Client, NoTls, SimpleQueryMessage};

use super::dial::Address;
use super::shared::{Lend, SharedStream};
use super::tls::{SharedTls, Tls};
use super::{CopyInWire, RawWire, ServerError};
use crate::config::Config;

/// What is set on every session. A session that holds a snapshot is idle for as long as its query runs.
/// `statement_timeout` and `search_path` stay what the server says: functions behind a view may need theirs.
const SETTINGS: &str = "SET standard_conforming_strings = on; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; \
    SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; \
    SET extra_float_digits = 1; SET client_encoding = 'UTF8'; SET idle_in_transaction_session_timeout = 0; \
    SET default_transaction_read_only = on; SET client_min_messages = warning";

/// A logged-in session.
pub(crate) struct Session {
    client: Client,
    wire: Arc<dyn Lend>,
    task: JoinHandle<()>,
    canceller: Canceller,
    utf8: bool,
}

/// Why a session did not open.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The socket did not open.
    Dial(std::io::Error),
    /// Certificates could not be read.
    Tls(String),
    /// The server or the handshake said no.
    Login(tokio_postgres::Error),
    /// Nothing came back in time.
    Timeout(Duration),
}

impl Session {
    /// Connects, logs in and applies the settings.
    pub(crate) async fn open(config: &Config, tls: &Arc<Tls>) -> Result<Self, OpenError> {
        let socket = config.address.dial(config.connect_timeout).await.map_err(OpenError::Dial)?;
        let login = Self::login(config, tls, SharedStream::new(socket));
        tokio::time::timeout(config.connect_timeout, login)
            .await
            .map_err(|_| OpenError::Timeout(config.connect_timeout))?
    }

    async fn login(
        config: &Config,
        tls: &Arc<Tls>,
        (stream, plain): (super::tls::Plain, Arc<dyn Lend>),
    ) -> Result<Self, OpenError> {
        let mut login = tokio_postgres::Config::new();
        login
            .user(&config.user)
            .dbname(&config.database)
            .application_name("portolan")
            .ssl_mode(tls.mode())
            .ssl_negotiation(SslNegotiation::Postgres);
        if let Some(password) = &config.password {
            login.password(password.expose_secret());
        }
        let (client, task, wire, encoding) = if tls.mode() == SslMode::Disable {
            let (client, connection) = login.connect_raw(stream, NoTls).await.map_err(OpenError::Login)?;
            let encoding = connection.parameter("server_encoding").map(str::to_owned);
            (client, tokio::spawn(run(connection)), plain, encoding)
        } else {
            let encrypted = Arc::new(OnceLock::new());
            let connector = tls.connector(config.address.host()).await.map_err(OpenError::Tls)?;
            let connector = SharedTls { connector, encrypted: Arc::clone(&encrypted) };
            let (client, connection) = login.connect_raw(stream, connector).await.map_err(OpenError::Login)?;
            let encoding = connection.parameter("server_encoding").map(str::to_owned);
            let wire = encrypted.get().cloned().unwrap_or(plain);
            (client, tokio::spawn(run(connection)), wire, encoding)
        };
        let canceller = Canceller {
            token: client.cancel_token(),
            address: config.address.clone(),
            tls: Arc::clone(tls),
            timeout: config.connect_timeout,
        };
        let session = Self { client, wire, task, canceller, utf8: encoding.is_some_and(|name| name == "UTF8") };
        session.client.batch_execute(SETTINGS).await.map_err(OpenError::Login)?;
        Ok(session)
    }

    /// The client library's handle.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the database stores UTF-8, so that every text can be sent to it and bytes order as code points do.
    pub(crate) fn is_utf8(&self) -> bool {
        self.utf8
    }

    /// Borrows the wire for one statement. Until it is given back, the client library's handle must not be used.
    pub(crate) fn borrow_wire(&self) -> RawWire {
        RawWire::borrow(Arc::clone(&self.wire))
    }

    /// Borrows the wire to send rows. As [`Session::borrow_wire`].
    pub(crate) fn borrow_wire_in(&self) -> CopyInWire {
        CopyInWire::borrow(Arc::clone(&self.wire))
    }

    /// What stops this session's statement.
    pub(crate) fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Runs statements and returns the first column of the last row that they return.
    pub(crate) async fn execute(&self, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
        let messages = self.client.simple_query(sql).await?;
        Ok(messages.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("address", &self.canceller.address).finish_non_exhaustive()
    }
}

/// Closes the socket, whatever state the session is in.
impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    // Whoever waits for an answer gets the error as well; this is for sessions that nobody uses at the moment.
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a PostgreSQL session ended");
    }
}

/// Stops the statement that a session runs.
#[derive(Clone)]
pub(crate) struct Canceller {
    token: CancelToken,
    address: Address,
    tls: Arc<Tls>,
    timeout: Duration,
}

impl Canceller {
    /// Asks the server, over a connection of its own, to stop. The server does not say whether it did.
    pub(crate) async fn cancel(&self) -> Result<(), OpenError> {
        let socket = self.address.dial(self.timeout).await.map_err(OpenError::Dial)?;
        let request = async {
            if self.tls.mode() == SslMode::Disable {
                self.token.cancel_query_raw(socket, NoTls).await.map_err(OpenError::Login)
            } else {
                let connector = self.tls.connector(self.address.host()).await.map_err(OpenError::Tls)?;
                self.token.cancel_query_raw(socket, connector).await.map_err(OpenError::Login)
            }
        };
        tokio::time::timeout(self.timeout, request).await.map_err(|_| OpenError::Timeout(self.timeout))?
    }
}

/// The server's own words in an error of the client library.
pub(crate) fn server_error(error: &tokio_postgres::Error) -> Option<ServerError> {
    let error = error.as_db_error()?;
    Some(ServerError {
        code: error.code().code().to_owned(),
        message: error.message().to_owned(),
        detail: error.detail().map(str::to_owned),
        hint: error.hint().map(str::to_owned),
        place: error.where_().map(str::to_owned),
    })
}
