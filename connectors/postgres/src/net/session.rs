//! One session on the server.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::{CancelToken, Client, NoTls, SimpleQueryMessage};

use super::shared::{Lend, SharedStream};
use super::tls::{SharedTls, Tls};
use super::{CopyInWire, RawWire, ServerError};
use crate::config::{Host, Target, Wanted};

/// Whether the server is a standby, and whether it lets nobody write by default.
const KIND: &str = "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')";

/// A logged-in session. Nothing is set on it that outlives a transaction: behind a pooler (PgBouncer's transaction mode) the
/// next transaction may run on another session of the server's, and somebody else's on this one.
pub(crate) struct Session {
    client: Client,
    opening: Arc<str>,
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
    /// The server is not of the kind that is wanted.
    Unsuited(String),
}

impl OpenError {
    /// Whether another host may do better. A wrong password, user or database is wrong everywhere.
    pub(crate) fn is_of_the_host(&self) -> bool {
        match self {
            Self::Dial(_) | Self::Timeout(_) | Self::Unsuited(_) => true,
            Self::Tls(_) => false,
            Self::Login(error) => {
                server_error(error).is_none_or(|said| !said.code.starts_with("28") && !said.code.starts_with("3D"))
            }
        }
    }

    /// Whether the server does not let this user in this way (class 28, "Invalid Authorization Specification").
    fn is_of_the_login(&self) -> bool {
        match self {
            Self::Login(error) => server_error(error).is_some_and(|said| said.code.starts_with("28")),
            _ => false,
        }
    }
}

impl Session {
    /// Connects and logs in.
    pub(crate) async fn open(
        target: &Target,
        host: &Host,
        tls: &Arc<Tls>,
        opening: &Arc<str>,
    ) -> Result<Self, OpenError> {
        if !host.address.is_remote() {
            return Self::open_as(target, host, tls, SslMode::Disable, opening).await;
        }
        let refused = match (Self::open_as(target, host, tls, tls.mode(), opening).await, tls.second_mode()) {
            (Err(refused), Some(second)) if refused.is_of_the_login() => (refused, second),
            (opened, _) => return opened,
        };
        // What is said of a login over TLS tells more: without TLS, many servers let nobody in.
        match (Self::open_as(target, host, tls, refused.1, opening).await, refused.1) {
            (Err(_), SslMode::Disable) => Err(refused.0),
            (opened, _) => opened,
        }
    }

    async fn open_as(
        target: &Target,
        host: &Host,
        tls: &Arc<Tls>,
        mode: SslMode,
        opening: &Arc<str>,
    ) -> Result<Self, OpenError> {
        let timeout = target.connect_timeout;
        let socket = host.address.dial(timeout).await.map_err(OpenError::Dial)?;
        let login = Self::login(target, host, (tls, mode), opening, SharedStream::new(socket));
        tokio::time::timeout(timeout, login).await.map_err(|_| OpenError::Timeout(timeout))?
    }

    async fn login(
        target: &Target,
        host: &Host,
        (tls, mode): (&Arc<Tls>, SslMode),
        opening: &Arc<str>,
        (stream, plain): (super::tls::Plain, Arc<dyn Lend>),
    ) -> Result<Self, OpenError> {
        let mut login = tokio_postgres::Config::new();
        login
            .user(&target.user)
            .dbname(&target.database)
            .application_name(&target.application_name)
            .ssl_mode(mode)
            .ssl_negotiation(SslNegotiation::Postgres)
            .channel_binding(target.channel_binding);
        if let Some(options) = &target.options {
            login.options(options);
        }
        if let Some(password) = target.password(host) {
            login.password(password.expose_secret());
        }
        let (client, task, wire, encoding) = if mode == SslMode::Disable {
            let (client, connection) = login.connect_raw(stream, NoTls).await.map_err(OpenError::Login)?;
            let encoding = connection.parameter("server_encoding").map(str::to_owned);
            (client, tokio::spawn(run(connection)), plain, encoding)
        } else {
            let encrypted = Arc::new(OnceLock::new());
            let connector = tls.connector(&host.name).await.map_err(OpenError::Tls)?;
            let connector = SharedTls { connector, encrypted: Arc::clone(&encrypted) };
            let (client, connection) = login.connect_raw(stream, connector).await.map_err(OpenError::Login)?;
            let encoding = connection.parameter("server_encoding").map(str::to_owned);
            let wire = encrypted.get().cloned().unwrap_or(plain);
            (client, tokio::spawn(run(connection)), wire, encoding)
        };
        let canceller = Canceller {
            token: client.cancel_token(),
            host: host.clone(),
            mode,
            tls: Arc::clone(tls),
            timeout: target.connect_timeout,
        };
        let opening = Arc::clone(opening);
        Ok(Self { client, opening, wire, task, canceller, utf8: encoding.is_some_and(|name| name == "UTF8") })
    }

    /// The statements that open a transaction that only reads, with settings that fix what texts mean.
    pub(crate) fn opening(&self) -> &str {
        &self.opening
    }

    /// Asks a question in a transaction that only reads. All of it is sent at once, so the question must send all that it
    /// sends when it is first polled.
    pub(crate) async fn read_only<T>(
        &self,
        question: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, tokio_postgres::Error> {
        let (opened, answer, closed) =
            futures::join!(self.client.batch_execute(&self.opening), question, self.client.batch_execute("COMMIT"));
        opened?;
        let answer = answer?;
        closed.map(|()| answer)
    }

    /// Says no unless the server is of the kind that is wanted.
    pub(crate) async fn check(&self, wanted: Wanted) -> Result<(), OpenError> {
        if wanted == Wanted::Any {
            return Ok(());
        }
        let kind = self.client.simple_query(KIND).await.map_err(OpenError::Login)?;
        let (standby, read_only) = kind
            .iter()
            .find_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some((row.get(0) == Some("t"), row.get(1) == Some("on"))),
                _ => None,
            })
            .unwrap_or_default();
        let suits = match wanted {
            Wanted::Any => true,
            Wanted::ReadWrite => !standby && !read_only,
            Wanted::ReadOnly => standby || read_only,
            Wanted::Primary => !standby,
            Wanted::Standby | Wanted::PreferStandby => standby,
        };
        let is = if standby {
            "a standby"
        } else if read_only {
            "a primary that only reads"
        } else {
            "a primary"
        };
        if suits { Ok(()) } else { Err(OpenError::Unsuited(format!("the server is {is}"))) }
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
        f.debug_struct("Session").field("address", &self.canceller.host.address).finish_non_exhaustive()
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
    host: Host,
    mode: SslMode,
    tls: Arc<Tls>,
    timeout: Duration,
}

impl Canceller {
    /// Asks the server, over a connection of its own, to stop. The server does not say whether it did.
    pub(crate) async fn cancel(&self) -> Result<(), OpenError> {
        let socket = self.host.address.dial(self.timeout).await.map_err(OpenError::Dial)?;
        let request = async {
            if self.mode == SslMode::Disable {
                self.token.cancel_query_raw(socket, NoTls).await.map_err(OpenError::Login)
            } else {
                let connector = self.tls.connector(&self.host.name).await.map_err(OpenError::Tls)?;
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
