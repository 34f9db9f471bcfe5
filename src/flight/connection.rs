//! One client's socket: it knows who is at the other end, and it can be cut.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tonic::transport::server::Connected;

use super::sessions::ConnectionSessions;
use crate::auth::Peer;

/// What each call of a connection knows of it.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionInfo {
    pub(super) peer: Peer,
    pub(super) sessions: ConnectionSessions,
    is_known: Arc<AtomicBool>,
}

impl ConnectionInfo {
    pub(super) fn new(peer: Peer) -> Self {
        Self { peer, ..Self::default() }
    }

    /// Notes that a call of this connection was let in.
    pub(super) fn let_in(&self) {
        self.is_known.store(true, Ordering::Relaxed);
    }

    /// Ready after this time if no call of the connection was let in until then.
    pub(super) async fn stays_unknown(self, patience: Duration) {
        tokio::time::sleep(patience).await;
        if self.is_known.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

/// Bytes that come and go, encrypted or not.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// An accepted connection.
pub(super) struct Connection {
    stream: Box<dyn Socket>,
    info: ConnectionInfo,
    cut: BoxFuture<'static, ()>,
    is_cut: bool,
    /// The connection's place among those that may be open.
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// A connection that breaks as soon as `cut` is ready.
    pub(super) fn new(
        stream: Box<dyn Socket>,
        info: ConnectionInfo,
        cut: BoxFuture<'static, ()>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self { stream, info, cut, is_cut: false, _place: place }
    }

    fn poll_cut(&mut self, context: &mut Context<'_>) -> bool {
        self.is_cut = self.is_cut || self.cut.as_mut().poll(context).is_ready();
        self.is_cut
    }
}

impl Connected for Connection {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.info.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // HTTP/2 always waits for what the other side says next, so reading is where the connection learns of the cut.
        if self.poll_cut(context) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the server has ended the connection",
            )));
        }
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_not_let_in_stays_unknown() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let patience = Duration::from_millis(10);
            let (known, unknown) = (ConnectionInfo::default(), ConnectionInfo::default());
            known.let_in();
            tokio::select! {
                () = known.stays_unknown(patience) => panic!("it was let in"),
                () = async {
                    unknown.stays_unknown(patience).await;
                    tokio::time::sleep(patience).await;
                } => {}
            }
        });
    }
}
