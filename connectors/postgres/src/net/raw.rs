//! Reading the server's messages straight off the socket.

use std::io;
use std::sync::Arc;
use std::task::Poll;

use tokio::io::ReadBuf;

use super::message::{self, Backend, HEADER, parse_backend, parse_header};
use super::shared::Lend;

/// Bytes read at once. The server sends 8 KiB at a time; several of them are read in one go when they wait.
const BUFFER: usize = 256 * 1024;

/// The least bytes of space worth receiving into.
const SPACE: usize = 32 * 1024;

/// The wire of one session, borrowed for one statement.
pub(crate) struct RawWire {
    stream: Arc<dyn Lend>,
    buffer: Vec<u8>,
    /// What of the buffer has been received and not yet been consumed.
    start: usize,
    end: usize,
    /// Bytes of a `CopyData` message that have not arrived yet.
    copy_remaining: usize,
}

/// The step that a reader has to take next.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A message, or a piece of one.
    Message(Backend<'a>),
    /// More bytes have to be received first.
    Receive,
}

impl RawWire {
    pub(super) fn borrow(stream: Arc<dyn Lend>) -> Self {
        stream.lend(true);
        Self { stream, buffer: vec![0; BUFFER], start: 0, end: 0, copy_remaining: 0 }
    }

    /// Sends a simple query.
    pub(crate) async fn send_query(&mut self, sql: &str) -> io::Result<()> {
        let message = message::query(sql)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a statement with a NUL character"))?;
        let mut rest = message.as_slice();
        while !rest.is_empty() {
            let written = std::future::poll_fn(|cx| self.stream.poll_write(cx, rest)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(written..).unwrap_or_default();
        }
        std::future::poll_fn(|cx| self.stream.poll_flush(cx)).await
    }

    /// Receives what the server has sent; waits until there is something. Returns the number of bytes.
    pub(crate) async fn receive(&mut self) -> io::Result<usize> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.buffer.len() - self.end < SPACE {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let received = std::future::poll_fn(|cx| {
            let mut space = ReadBuf::new(self.buffer.get_mut(self.end..).unwrap_or_default());
            match self.stream.poll_read(cx, &mut space) {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(space.filled().len())),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await?;
        if received == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        self.end += received;
        Ok(received)
    }

    /// The next message among what has been received. A `CopyData` message that is longer than the buffer comes in
    /// pieces; every other one comes whole.
    pub(crate) fn next(&mut self) -> io::Result<Step<'_>> {
        let invalid =
            |what: String| io::Error::new(io::ErrorKind::InvalidData, format!("unexpected from a server: {what}"));
        let received = self.buffer.get(self.start..self.end).unwrap_or_default();
        if self.copy_remaining > 0 {
            let piece = received.get(..self.copy_remaining.min(received.len())).unwrap_or_default();
            self.start += piece.len();
            self.copy_remaining -= piece.len();
            return Ok(if piece.is_empty() { Step::Receive } else { Step::Message(Backend::CopyData(piece)) });
        }
        let Some((kind, length)) = parse_header(received) else { return Ok(Step::Receive) };
        let length = length.map_err(invalid)?;
        let content = received.get(HEADER..).unwrap_or_default();
        if let Some(content) = content.get(..length) {
            self.start += HEADER + length;
            return match kind {
                b'd' => Ok(Step::Message(Backend::CopyData(content))),
                _ => parse_backend(kind, content).map(Step::Message).map_err(invalid),
            };
        }
        if HEADER + length <= self.buffer.len() {
            return Ok(Step::Receive);
        }
        if kind != b'd' {
            return Err(invalid(format!("a message of kind {:?} and {length} bytes", char::from(kind))));
        }
        self.start += HEADER + content.len();
        self.copy_remaining = length - content.len();
        Ok(Step::Message(Backend::CopyData(content)))
    }

    /// Gives the wire back to the client library, once the server is ready. False when something is left unread: then
    /// the session must be closed.
    pub(crate) fn give_back(&mut self) -> bool {
        let clean = self.start == self.end && self.copy_remaining == 0;
        if clean {
            self.stream.lend(false);
        }
        clean
    }
}
