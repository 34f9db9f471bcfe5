//! A byte stream that the client library owns and that a scan can borrow.
//!
//! The client library hands rows over one message at a time, from one task to another. Rows by the million need the
//! socket itself: a scan lends it out, speaks the protocol for the length of one statement, and gives it back.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use super::low_water::Stream;

/// The library's side of the stream. While the stream is lent it neither reads nor writes.
pub(crate) struct SharedStream<T>(Arc<Mutex<Inner<T>>>);

struct Inner<T> {
    stream: T,
    lent: bool,
    /// The library's task, to be woken when the stream comes back.
    waker: Option<Waker>,
}

/// The borrower's side, whatever the stream is.
pub(crate) trait Lend: Send + Sync {
    /// Takes the stream from the library, or gives it back. Between statements only.
    fn lend(&self, lent: bool);
    /// As [`Stream::set_low_water`].
    fn set_low_water(&self, bytes: usize) -> io::Result<()>;
    /// As [`AsyncRead::poll_read`].
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;
    /// As [`AsyncWrite::poll_write`].
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
    /// As [`AsyncWrite::poll_flush`].
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl<T> SharedStream<T> {
    /// Both sides of a stream.
    pub(crate) fn new(stream: T) -> (Self, Arc<dyn Lend>)
    where
        T: Stream + 'static,
    {
        let inner = Arc::new(Mutex::new(Inner { stream, lent: false, waker: None }));
        (Self(Arc::clone(&inner)), Arc::new(Borrower(inner)))
    }

    /// The stream, unless it is lent out.
    fn own<R>(
        &self,
        cx: &mut Context<'_>,
        run: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>>
    where
        T: Unpin,
    {
        let mut inner = lock(&self.0);
        if !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            inner.waker = Some(cx.waker().clone());
        }
        if inner.lent {
            return Poll::Pending;
        }
        run(Pin::new(&mut inner.stream), cx)
    }
}

/// A poisoned lock means that another thread panicked while it polled; the stream then fails by itself.
fn lock<T>(inner: &Mutex<Inner<T>>) -> MutexGuard<'_, Inner<T>> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: AsyncRead + Unpin> AsyncRead for SharedStream<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.own(cx, |stream, cx| stream.poll_read(cx, buf))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for SharedStream<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.own(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.own(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.own(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

impl<T: TlsStream + Unpin> TlsStream for SharedStream<T> {
    fn channel_binding(&self) -> ChannelBinding {
        lock(&self.0).stream.channel_binding()
    }
}

struct Borrower<T>(Arc<Mutex<Inner<T>>>);

impl<T: Stream> Lend for Borrower<T> {
    fn lend(&self, lent: bool) {
        let mut inner = lock(&self.0);
        inner.lent = lent;
        // The borrower's polls took the place of the library's in the reactor, so the library has to poll anew.
        if !lent && let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    fn set_low_water(&self, bytes: usize) -> io::Result<()> {
        lock(&self.0).stream.set_low_water(bytes)
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).stream).poll_read(cx, buf)
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut lock(&self.0).stream).poll_write(cx, bytes)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).stream).poll_flush(cx)
    }
}
