//! Listening, limits, and stopping.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::{FutureExt, Stream, stream};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};
use tonic::Status;
use tonic::transport::Server;

use super::connection::Connection;
use super::service::FlightSql;
use crate::error::Result;
use crate::{Engine, Error};

/// Connections that may be open at the same time; others wait.
const CONNECTIONS_MAX: usize = 1024;

/// Calls of one connection that may run at the same time; others wait.
const CALLS_PER_CONNECTION_MAX: u32 = 256;

/// The largest message that a client may send, in bytes. Above the longest statement, so that a statement that is too
/// long is told so by its own error.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// How often a silent client is asked whether it is still there, and how long it may take to answer. One that is gone
/// without a word does not keep its queries running.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long results that are being read may take to end once the server stops.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// How long clients then have to read that their results were ended, before their connections are cut.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// How long to wait before accepting again after an error, such as too many open files.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

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

/// Serves Flight SQL on a listener until `shutdown` is ready. Then no connection and no call is accepted any more, and
/// results that are being read have ten seconds to end.
pub async fn serve(
    engine: Arc<Engine>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    let (stage, stages) = watch::channel(Stage::Open);
    let stop = Stop(stages);
    let service =
        FlightServiceServer::new(FlightSql::new(engine, stop.clone())?).max_decoding_message_size(REQUEST_BYTES_MAX);
    let (begin, begun) = oneshot::channel::<()>();
    let serving = Server::builder()
        .max_concurrent_streams(CALLS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(service)
        .serve_with_incoming_shutdown(connections(listener, stop), async {
            // An error means that the sender is dropped, which is how it is told to stop.
            let _ = begun.await;
        });
    let mut serving = pin!(serving.map(|result| result.map_err(failed)));
    tokio::select! {
        result = &mut serving => result,
        () = shutdown => {
            drop(begin);
            drain(serving, &stage).await
        }
    }
}

/// Waits for the running calls, at first with patience, then without.
async fn drain(mut serving: Pin<&mut impl Future<Output = Result<()>>>, stage: &watch::Sender<Stage>) -> Result<()> {
    for (patience, next) in [(DRAIN_MAX, Stage::Ending), (FAREWELL_MAX, Stage::Cut)] {
        if let Ok(result) = timeout(patience, &mut serving).await {
            return result;
        }
        tracing::info!(stage = ?next, "results are still being read");
        stage.send_replace(next);
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

/// The connections of a listener, as many at a time as may be open.
fn connections(listener: TcpListener, stop: Stop) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    stream::unfold((listener, places, stop), |(listener, places, stop)| async move {
        // The semaphore is never closed.
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot turn off delays");
        }
        let cut = stop.clone().reached(Stage::Cut).boxed();
        Some((Ok(Connection::new(stream, cut, place)), (listener, places, stop)))
    })
}
