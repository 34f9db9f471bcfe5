//! Reading the server's messages straight off the socket.

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::ReadBuf;

use super::message::{self, Backend, HEADER, parse_backend, parse_header};
use super::shared::Lend;

/// Bytes read at once. The server sends 8 KiB at a time; several of them are read in one go when they wait.
const BUFFER: usize = 256 * 1024;

/// The least bytes of space worth receiving into.
const SPACE: usize = 32 * 1024;

/// Bytes after which a result counts as long: then the reader is woken for [`LOW_WATER`] bytes.
const LONG_RESULT_BYTES: usize = 1024 * 1024;

/// Half of what is read at once, so that the server goes on sending while the reader decodes.
const LOW_WATER: usize = BUFFER / 2;

/// How long to wait for so many. A server that sends less in this time is not worth waiting for.
const PATIENCE: Duration = Duration::from_millis(5);

/// The wire of one session, borrowed for one statement.
pub(crate) struct RawWire {
    stream: Arc<dyn Lend>,
    buffer: Vec<u8>,
    /// What of the buffer has been received and not yet been consumed.
    start: usize,
    end: usize,
    /// Bytes of a `CopyData` message that have not arrived yet.
    copy_remaining: usize,
    /// Whether the server gets ahead before the reader is woken.
    patient: bool,
    /// Not every stream can be read in that way.
    can_be_patient: bool,
    /// The kind of message whose content is handed on as it arrives: the data of `COPY`, or rows.
    data: u8,
    /// Bytes received since the reader was last patient.
    since_impatient: usize,
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
        Self {
            stream,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            copy_remaining: 0,
            patient: false,
            can_be_patient: true,
            data: b'd',
            since_impatient: 0,
        }
    }

    /// Hands on rows of queries as data of `COPY` are handed on.
    pub(crate) fn take_rows_as_data(&mut self) {
        self.data = b'D';
    }

    /// Sends simple queries, all at once. The server is ready once after each.
    pub(crate) async fn send_queries(&mut self, queries: &[String]) -> io::Result<()> {
        let mut message = Vec::new();
        for sql in queries {
            let query = message::query(sql);
            message.extend(
                query.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a statement with a NUL character"))?,
            );
        }
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
        self.make_space();
        let received = if self.patient {
            match tokio::time::timeout(PATIENCE, self.fill()).await {
                Ok(received) => received?,
                // The end of the result, or a slow server.
                Err(_) => {
                    self.be_patient(false)?;
                    self.fill().await?
                }
            }
        } else {
            self.fill().await?
        };
        if received == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        self.end += received;
        self.since_impatient = self.since_impatient.saturating_add(received);
        if !self.patient && self.can_be_patient && self.since_impatient >= LONG_RESULT_BYTES {
            self.can_be_patient = self.be_patient(true).is_ok();
        }
        Ok(received)
    }

    fn make_space(&mut self) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.buffer.len() - self.end < SPACE {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|cx| {
            let mut space = ReadBuf::new(self.buffer.get_mut(self.end..).unwrap_or_default());
            match self.stream.poll_read(cx, &mut space) {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(space.filled().len())),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Whether to be woken for many bytes only.
    fn be_patient(&mut self, patient: bool) -> io::Result<()> {
        self.stream.set_low_water(if patient { LOW_WATER } else { 1 })?;
        self.patient = patient;
        self.since_impatient = 0;
        Ok(())
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
                kind if kind == self.data => Ok(Step::Message(Backend::CopyData(content))),
                _ => parse_backend(kind, content).map(Step::Message).map_err(invalid),
            };
        }
        if HEADER + length <= self.buffer.len() {
            return Ok(Step::Receive);
        }
        if kind != self.data {
            return Err(invalid(format!("a message of kind {:?} and {length} bytes", char::from(kind))));
        }
        self.start += HEADER + content.len();
        self.copy_remaining = length - content.len();
        Ok(Step::Message(Backend::CopyData(content)))
    }

    /// Gives the wire back to the client library, once the server is ready. False when something is left unread: then
    /// the session must be closed.
    pub(crate) fn give_back(&mut self) -> bool {
        let awake = !self.patient || self.be_patient(false).is_ok();
        let clean = self.start == self.end && self.copy_remaining == 0 && awake;
        if clean {
            self.stream.lend(false);
        }
        clean
    }
}
