//! Calls over one TCP connection, one after the other.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::extent::Extent;
use super::value::Struct;
use super::wire::{EXCEPTION, REPLY, decode, encode_call};

/// The longest answer. The names of a million partitions are a tenth of it.
const MAX_ANSWER_BYTES: usize = 512 * 1024 * 1024;

/// How many bytes there is room for before each read.
const READ_BYTES: usize = 64 * 1024;

/// Why a call has no answer.
#[derive(Debug)]
pub enum CallError {
    /// The connection failed or was closed.
    Io(io::Error),
    /// What arrived is no answer to the call.
    Protocol(String),
    /// The server refused the call as such: it does not know the method, or failed in it without saying how.
    Refused {
        /// Thrift's number of the reason; 1 is an unknown method.
        kind: i64,
        /// What the server says.
        message: String,
    },
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    sequence: i32,
}

impl Connection {
    /// Connects to the first address of a host that answers in this time.
    pub async fn open(host: &str, port: u16, limit: Duration) -> io::Result<Self> {
        let stream = timeout(limit, TcpStream::connect((host, port))).await.map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {:.0} s", limit.as_secs_f64()))
        })??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, sequence: 0 })
    }

    /// Calls a method. Returns the struct of its results: field 0 is the value, the others are the exceptions that the
    /// method declares. After an error, and when the call is dropped before its end, the connection is of no more use.
    pub async fn call(&mut self, method: &str, arguments: &Struct) -> Result<Struct, CallError> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = encode_call(method, self.sequence, arguments);
        self.stream.write_all(&request).await.map_err(CallError::Io)?;
        let mut buffer = BytesMut::new();
        let mut extent = Extent::default();
        let end = loop {
            buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut buffer).await.map_err(CallError::Io)? == 0 {
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed without an answer");
                return Err(CallError::Io(error));
            }
            if let Some(end) = extent.advance(&buffer).map_err(CallError::Protocol)? {
                break end;
            }
            if buffer.len() > MAX_ANSWER_BYTES {
                let megabytes = MAX_ANSWER_BYTES / (1024 * 1024);
                return Err(CallError::Protocol(format!("the answer has more than {megabytes} MB")));
            }
        };
        let message = (end == buffer.len()).then(|| decode(buffer.freeze())).flatten();
        match message {
            Some(message) if message.sequence == self.sequence && message.kind == REPLY => Ok(message.body),
            Some(message) if message.kind == EXCEPTION => Err(CallError::Refused {
                kind: message.body.integer(2).unwrap_or_default(),
                message: message.body.text(1).unwrap_or_else(|| "no reason given".to_owned()),
            }),
            _ => Err(CallError::Protocol("the answer belongs to another call".to_owned())),
        }
    }
}
