//! Listening, limits, and stopping.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt, stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};
use tonic::Status;
use tonic::transport::Server;

use super::connection::{Connection, ConnectionInfo, Socket};
use super::fetch::Flight;
use super::gate::Gate;
use super::service::FlightSql;
use super::sessions::{SessionLimits, Sessions};
use super::tls::{Tls, TlsOptions};
use crate::auth::{AuthOptions, Authenticator, Peer};
use crate::error::Result;
use crate::{Engine, Error};

/// Calls of one connection that may run at the same time; others wait.
const CALLS_PER_CONNECTION_MAX: u32 = 256;

/// The headers of a call, in bytes. A JSON web token may be long.
const HEADER_BYTES_MAX: u32 = 32 << 10;

/// How long a client may take to agree on encryption.
const TLS_HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long a connection may go without a call that is let in. Its place is wanted by others.
const UNKNOWN_MAX: Duration = Duration::from_secs(60);

/// How often a silent client is asked whether it is still there, and how long it may take to answer. One that is gone
/// without a word does not keep its queries running.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long clients then have to read that their results were ended, before their connections are cut.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// How long to wait before accepting again after an error, such as too many open files.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// How a server is set up.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// How clients prove who they are.
    pub auth: AuthOptions,
    /// Encryption, if there is any.
    pub tls: Option<TlsOptions>,
    /// What clients may use at most.
    pub limits: ServerLimits,
}

/// What clients may use at most.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Connections that may be open at the same time; others wait.
    pub connections: usize,
    /// Sessions that are kept at the same time.
    pub sessions: usize,
    /// How long a session is kept that nothing uses.
    pub session_idle: Duration,
    /// The largest message that a client may send, in bytes. Above the longest statement, so that a statement that is
    /// too long is told so by its own error.
    pub message_bytes: usize,
    /// How long results that are being read may take to end once the server stops.
    pub drain: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            sessions: 10_000,
            session_idle: Duration::from_secs(3600),
            message_bytes: 16 << 20,
            drain: Duration::from_secs(10),
        }
    }
}

/// How far the server is with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Calls run.
    Open,
    /// Results that still run end with an error.
    Ending,
    /// Connections break.
    Cut,
}

/// Tells when the server stops.
#[derive(Clone, Debug)]
pub(super) struct Stop(watch::Receiver<Stage>);

impl Stop {
    async fn reached(mut self, stage: Stage) {
        if self.0.wait_for(|current| *current >= stage).await.is_err() {
            // The server is gone without a word: nothing left to wait for.
        }
    }

    /// A result that ends with an error when the server can wait for it no longer.
    pub(super) fn ends<T: Send + 'static>(
        &self,
        rows: impl Stream<Item = Result<T, Status>> + Send + 'static,
    ) -> impl Stream<Item = Result<T, Status>> + Send + 'static {
        let mut ending = Box::pin(self.clone().reached(Stage::Ending));
        let mut rows = Box::pin(rows);
        let mut is_ended = false;
        stream::poll_fn(move |context| {
            if is_ended {
                return Poll::Ready(None);
            }
            is_ended = ending.as_mut().poll(context).is_ready();
            match is_ended {
                true => Poll::Ready(Some(Err(Status::unavailable("the server is stopping: run the statement again")))),
                false => rows.as_mut().poll_next(context),
            }
        })
    }
}

/// A Flight SQL server.
#[derive(Debug)]
pub struct FlightServer {
    sessions: Sessions,
    authenticator: Arc<Authenticator>,
    tls: Option<Arc<Tls>>,
    limits: ServerLimits,
}

impl FlightServer {
    /// Reads the files of the options. An error says what is wrong with which.
    pub fn new(engine: Arc<Engine>, options: ServerOptions) -> Result<Self> {
        let ServerOptions { mut auth, tls, limits } = options;
        auth.client_certificates = tls.as_ref().is_some_and(|tls| tls.client_authorities.is_some());
        let authenticator = Arc::new(Authenticator::open(auth)?);
        let session_limits = SessionLimits { count: limits.sessions, idle: limits.session_idle };
        Ok(Self {
            sessions: Sessions::new(engine, Arc::clone(&authenticator), session_limits),
            authenticator,
            tls: tls.map(Tls::open).transpose()?.map(Arc::new),
            limits,
        })
    }

    /// Serves on a listener until `shutdown` is ready. Then no connection and no call is accepted any more, and results
    /// that are being read have some time to end.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
        let (stage, stages) = watch::channel(Stage::Open);
        let stop = Stop(stages);
        let sweep = self.sessions.clone().sweep();
        let engine = Arc::clone(self.sessions.engine());
        let service = Flight::new(FlightSql::new(self.sessions, stop.clone())?, self.limits.message_bytes);
        let (begin, begun) = oneshot::channel::<()>();
        let serving = Server::builder()
            .max_concurrent_streams(CALLS_PER_CONNECTION_MAX)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(Gate::new(service, self.authenticator))
            .serve_with_incoming_shutdown(connections(listener, self.limits.connections, self.tls, stop), async {
                // An error means that the sender is dropped, which is how it is told to stop.
                let _ = begun.await;
            });
        let mut serving = pin!(serving.map(|result| result.map_err(failed)));
        tokio::select! {
            result = &mut serving => result,
            () = sweep => Ok(()),
            () = shutdown => {
                drop(begin);
                drain(serving, &stage, &engine, self.limits.drain).await
            }
        }
    }
}

/// Waits for the running calls, at first with patience, then without.
async fn drain(
    mut serving: Pin<&mut impl Future<Output = Result<()>>>,
    stage: &watch::Sender<Stage>,
    engine: &Engine,
    patience: Duration,
) -> Result<()> {
    for (patience, next) in [(patience, Stage::Ending), (FAREWELL_MAX, Stage::Cut)] {
        if let Ok(result) = timeout(patience, &mut serving).await {
            return result;
        }
        tracing::info!(stage = ?next, "results are still being read");
        stage.send_replace(next);
        // Results end by themselves at this stage; this ends what has none yet.
        engine.queries().stop_all(&Error::cancelled("the server is stopping: run the statement again"));
    }
    timeout(FAREWELL_MAX, serving).await.unwrap_or(Ok(()))
}

fn failed(error: tonic::transport::Error) -> Error {
    let mut text = format!("cannot serve Flight SQL: {error}");
    if let Some(source) = std::error::Error::source(&error) {
        text = format!("{text}: {source}");
    }
    Error::internal(text)
}

/// The connections of a listener, as many at a time as may be open. Those that are still agreeing on encryption do not
/// keep others waiting, and those that fail at it are left out.
fn connections(
    listener: TcpListener,
    places: usize,
    tls: Option<Arc<Tls>>,
    stop: Stop,
) -> impl Stream<Item = io::Result<Connection>> {
    accepted(listener, Arc::new(Semaphore::new(places)))
        .map(move |(stream, peer, place)| {
            let (tls, stopped) = (tls.clone(), stop.clone().reached(Stage::Cut));
            async move {
                let (stream, peer) = greet(stream, peer, tls.as_deref()).await?;
                let info = ConnectionInfo::new(peer);
                let unknown = info.clone().stays_unknown(UNKNOWN_MAX);
                let cut = async move {
                    tokio::select! {
                        () = stopped => {}
                        () = unknown => {}
                    }
                };
                Some(Ok(Connection::new(stream, info, cut.boxed(), place)))
            }
        })
        .buffer_unordered(places)
        .filter_map(|connection| async { connection })
}

/// Connections as they come, each with its place.
fn accepted(
    listener: TcpListener,
    places: Arc<Semaphore>,
) -> impl Stream<Item = (TcpStream, Peer, OwnedSemaphorePermit)> {
    stream::unfold((listener, places), |(listener, places)| async move {
        // The semaphore is never closed.
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let (stream, address) = loop {
            match listener.accept().await {
                Ok(accepted) => break accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot turn off delays");
        }
        let peer = Peer { address: Some(address.ip()), certificate_user: None };
        Some(((stream, peer, place), (listener, places)))
    })
}

/// Agrees on encryption, where there is any.
async fn greet(stream: TcpStream, peer: Peer, tls: Option<&Tls>) -> Option<(Box<dyn Socket>, Peer)> {
    let Some(tls) = tls else { return Some((Box::new(stream), peer)) };
    let address = peer.address.map(|address| address.to_string());
    match timeout(TLS_HANDSHAKE_MAX, tls.accept(stream)).await {
        Ok(Ok((stream, certificate_user))) => Some((Box::new(stream), Peer { certificate_user, ..peer })),
        Ok(Err(error)) => {
            tracing::info!(address, %error, "a client did not agree on TLS");
            None
        }
        Err(_) => {
            tracing::info!(address, "a client took too long to agree on TLS");
            None
        }
    }
}
