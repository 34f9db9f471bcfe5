//! Sending rows to the server over a session's own wire.
//!
//! The client library would tell of a failure only when the last row is sent. Here the server's messages are read between
//! two messages of rows, and also while the server takes none because it waits for its own to be read.
//!
//! Source: PostgreSQL's documentation, "Frontend/Backend Protocol", section "COPY Operations".

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::message::{self, Backend, HEADER, ServerError, parse_backend, parse_header};
use super::shared::Lend;

/// Bytes received at once. The server has little to say.
const RECEIVE_BYTES: usize = 8 * 1024;

/// The longest message of the server: an error shows the row that it is about.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most bytes of rows in one message.
pub(crate) const ROWS_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Why rows were not taken.
#[derive(Debug)]
pub(crate) enum CopyInError {
    /// The server said no, and waits for the next statement.
    Refused(ServerError),
    /// The connection broke.
    Broken(io::Error),
}

impl From<io::Error> for CopyInError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// The wire of one session, borrowed for one `COPY ... FROM STDIN`.
pub(crate) struct CopyInWire {
    stream: Arc<dyn Lend>,
    received: Vec<u8>,
    /// The server has asked for rows.
    is_open: bool,
    /// The server waits for the next statement.
    is_ready: bool,
    failed: Option<ServerError>,
    /// What the server says that it wrote.
    rows: u64,
}

impl CopyInWire {
    pub(super) fn borrow(stream: Arc<dyn Lend>) -> Self {
        stream.lend(true);
        Self { stream, received: Vec::new(), is_open: false, is_ready: false, failed: None, rows: 0 }
    }

    /// Sends the statement and waits until the server asks for rows.
    pub(crate) async fn start(&mut self, sql: &str) -> Result<(), CopyInError> {
        let nul = || io::Error::new(io::ErrorKind::InvalidInput, "a statement with a NUL character");
        self.send(&message::query(sql).ok_or_else(nul)?).await?;
        while !self.is_open {
            self.receive().await?;
            self.check().await?;
        }
        Ok(())
    }

    /// Sends bytes of rows. The first [`HEADER`] bytes are room for the message's own.
    pub(crate) async fn send_rows(&mut self, bytes: &mut [u8]) -> Result<(), CopyInError> {
        let length = u32::try_from(bytes.len().saturating_sub(1)).unwrap_or(u32::MAX);
        if let Some([kind, place @ ..]) = bytes.first_chunk_mut::<HEADER>() {
            *kind = b'd';
            place.copy_from_slice(&length.to_be_bytes());
        }
        self.send(bytes).await
    }

    /// Ends the rows, and returns how many the server wrote.
    pub(crate) async fn finish(&mut self) -> Result<u64, CopyInError> {
        self.send(&[b'c', 0, 0, 0, 4]).await?;
        while !self.is_ready {
            self.receive().await?;
        }
        self.check().await?;
        Ok(self.rows)
    }

    /// Gives the wire back to the client library, once the server is ready. False when something is left: then the
    /// session must be closed.
    pub(crate) fn give_back(&self) -> bool {
        let clean = self.is_ready && self.received.is_empty();
        if clean {
            self.stream.lend(false);
        }
        clean
    }

    /// Where the server has failed, waits until it is ready, and says what it said.
    async fn check(&mut self) -> Result<(), CopyInError> {
        if self.failed.is_none() {
            return Ok(());
        }
        while !self.is_ready {
            self.receive().await?;
        }
        Err(CopyInError::Refused(self.failed.clone().unwrap_or_default()))
    }

    /// Sends a whole message.
    async fn send(&mut self, bytes: &[u8]) -> Result<(), CopyInError> {
        let mut rest = bytes;
        let sent = std::future::poll_fn(|cx| self.poll_send(cx, &mut rest)).await;
        match (sent, self.failed.clone()) {
            // A server that shuts down says so before it hangs up.
            (Err(_), Some(said)) => Err(CopyInError::Refused(said)),
            (Err(error), None) => Err(error.into()),
            (Ok(()), _) => self.check().await,
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, rest: &mut &[u8]) -> Poll<io::Result<()>> {
        loop {
            let sent = match rest.is_empty() {
                false => self.stream.poll_write(cx, rest)?,
                true => self.stream.poll_flush(cx)?.map(|()| 0),
            };
            match sent {
                Poll::Ready(0) if !rest.is_empty() => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(written) if !rest.is_empty() => *rest = rest.get(written..).unwrap_or_default(),
                Poll::Ready(_) => {
                    // What has come meanwhile; nothing is waited for.
                    while self.poll_receive(cx)?.is_ready() {}
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => match self.poll_receive(cx)? {
                    Poll::Ready(()) => {}
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }

    /// Waits for something from the server.
    async fn receive(&mut self) -> Result<(), CopyInError> {
        let received = std::future::poll_fn(|cx| self.poll_receive(cx)).await;
        match (received, self.failed.clone()) {
            (Err(_), Some(said)) => Err(CopyInError::Refused(said)),
            (received, _) => Ok(received?),
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [0; RECEIVE_BYTES];
        let mut space = ReadBuf::new(&mut space);
        match self.stream.poll_read(cx, &mut space)? {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) if space.filled().is_empty() => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")))
            }
            Poll::Ready(()) => {
                self.received.extend_from_slice(space.filled());
                Poll::Ready(self.take_messages())
            }
        }
    }

    /// Takes in all messages that have come whole.
    fn take_messages(&mut self) -> io::Result<()> {
        let invalid =
            |what: String| io::Error::new(io::ErrorKind::InvalidData, format!("unexpected from a server: {what}"));
        while let Some((kind, length)) = parse_header(&self.received) {
            let length = length.map_err(invalid)?;
            if length > MESSAGE_BYTES_MAX {
                return Err(invalid(format!("a message of {length} bytes")));
            }
            let Some(content) = self.received.get(HEADER..HEADER + length) else { break };
            match (kind, parse_backend(kind, content).map_err(invalid)?) {
                (b'G', _) => self.is_open = true,
                (b'C', _) => self.rows = copied_rows(content),
                (_, Backend::Error(said)) => self.failed = Some(said),
                (_, Backend::Ready { .. }) => self.is_ready = true,
                _ => {}
            }
            self.received.drain(..HEADER + length);
        }
        Ok(())
    }
}

/// The number in `COPY 5`.
fn copied_rows(tag: &[u8]) -> u64 {
    let tag = String::from_utf8_lossy(tag);
    let number = tag.trim_end_matches('\0').rsplit(' ').next();
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_tells_the_rows() {
        assert_eq!(copied_rows(b"COPY 1234\0"), 1234);
        assert_eq!(copied_rows(b"COPY\0"), 0);
    }
}
