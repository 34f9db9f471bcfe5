//! A connection to a broker that hands out messages as they come, however many an answer has.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::question::{Supported, versions_frame};
use crate::config::Sasl;
use crate::permits::Permit;
use crate::protocol::{Address, LoginError, frame_length, log_in, read_frame, write_frame};

/// Bytes that are asked of the system at once.
const READ_BYTES: usize = 256 << 10;

/// The most bytes of room that a connection keeps while nobody uses it.
const IDLE_BYTES: usize = 1 << 20;

/// The most bytes of an answer about what a broker supports.
const MAX_VERSIONS_BYTES: usize = 1 << 20;

/// An open connection, logged in. At most one question is open.
pub(crate) struct Connection {
    stream: TcpStream,
    to: Address,
    supported: Supported,
    /// What came and was not taken: `room[start..end]`.
    room: Vec<u8>,
    start: usize,
    end: usize,
    /// The number of the question that was asked last.
    number: i32,
    /// How many bytes ever came.
    received: u64,
    /// Its permit to be one of those that are open.
    _permit: Permit,
}

impl Connection {
    /// Connects, and logs in: each within `limit`.
    pub(super) fn open(to: &Address, sasl: Option<&Sasl>, limit: Duration, permit: Permit) -> Result<Self, LoginError> {
        let stream = connect(to, limit)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(limit))?;
        let mut blocking = Blocking { stream: &stream, until: Instant::now() + limit };
        let supported = block_on(async {
            write_frame(&mut blocking, &versions_frame()?).await?;
            let supported = Supported::read(&read_frame(&mut blocking, MAX_VERSIONS_BYTES).await?)?;
            if let Some(sasl) = sasl {
                log_in(&mut blocking, sasl).await?;
            }
            Ok::<_, LoginError>(supported)
        })?;
        Ok(Self {
            stream,
            to: to.clone(),
            supported,
            room: Vec::new(),
            start: 0,
            end: 0,
            number: 0,
            received: 0,
            _permit: permit,
        })
    }

    pub(super) fn to(&self) -> &Address {
        &self.to
    }

    /// The version of `Fetch` to ask in.
    pub(super) fn version(&self) -> i16 {
        self.supported.fetch
    }

    /// The newest version of `Metadata` that the broker knows.
    pub(super) fn metadata_version(&self) -> i16 {
        self.supported.metadata
    }

    /// The number of the next question: no other one of this connection has it.
    pub(super) fn next_number(&mut self) -> i32 {
        self.number = self.number.wrapping_add(1);
        self.number
    }

    /// How many bytes ever came.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Asks something. The answer to what was asked before has been taken.
    pub(super) fn ask(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        self.stream.set_nonblocking(false)?;
        self.stream.write_all(&[&length.to_be_bytes(), frame].concat())
    }

    /// Whether so many bytes are there, after waiting for them until then at most.
    pub(super) fn fill(&mut self, count: usize, until: Instant) -> io::Result<bool> {
        while self.end - self.start < count {
            self.make_room(count);
            let left = until.saturating_duration_since(Instant::now());
            self.stream.set_nonblocking(left.is_zero())?;
            if !left.is_zero() {
                self.stream.set_read_timeout(Some(left))?;
            }
            let room = self.room.get_mut(self.end..).unwrap_or_default();
            match self.stream.read(room) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the broker has closed the connection")),
                Ok(more) => {
                    self.end += more;
                    self.received += more as u64;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Makes room for more behind what is there. It grows as bytes come, not by what somebody says will come.
    fn make_room(&mut self, count: usize) {
        if self.end < self.room.len() && self.start + count <= self.room.len() {
            return;
        }
        if self.start > 0 {
            self.room.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.room.len() || self.room.len() < READ_BYTES {
            self.room.resize((2 * self.room.len()).max(READ_BYTES), 0);
        }
    }

    /// The first bytes that are there: so many, once [`fill`](Self::fill) has said so.
    pub(super) fn bytes(&self, count: usize) -> &[u8] {
        self.room.get(self.start..self.start + count).unwrap_or_default()
    }

    /// Forgets the first bytes, of which there are so many.
    pub(super) fn take(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// How many bytes are there.
    pub(super) fn waiting(&self) -> usize {
        self.end - self.start
    }

    /// The length of the next frame, once its first 4 bytes are there; takes them.
    pub(super) fn frame_length(&mut self) -> io::Result<usize> {
        let length = self.bytes(4).first_chunk().map_or(0, |length| i32::from_be_bytes(*length));
        self.take(4);
        frame_length(length)
    }

    /// Gives room back that is worth keeping only during a read.
    pub(crate) fn rest(&mut self) {
        (self.start, self.end) = (0, 0);
        self.room.truncate(IDLE_BYTES);
        self.room.shrink_to(IDLE_BYTES);
    }
}

/// Tries all addresses of a name.
fn connect(to: &Address, limit: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (to.host.as_str(), to.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// A connection whose reads and writes are always ready, because they block.
struct Blocking<'a> {
    stream: &'a TcpStream,
    /// When reads end at the latest, however few bytes came at once.
    until: Instant,
}

impl AsyncRead for Blocking<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        let read = self.stream.set_read_timeout(Some(left)).and_then(|()| self.stream.read(into.initialize_unfilled()));
        Poll::Ready(read.map(|count| into.advance(count)))
    }
}

impl AsyncWrite for Blocking<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.stream.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
