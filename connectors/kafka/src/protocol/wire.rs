//! Frames of Kafka's protocol, and the few types in them that are read and written here.
//!
//! <https://kafka.apache.org/protocol.html>: a frame is its length in 4 bytes and so many bytes. A question begins with the
//! key of what is asked, its version and a number, an answer with the number. Numbers are big-endian.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What the process calls itself towards brokers.
pub(crate) const CLIENT_ID: &str = "portolan";

/// Keys of questions.
pub(crate) mod api {
    pub(crate) const PRODUCE: i16 = 0;
    pub(crate) const FETCH: i16 = 1;
    pub(crate) const METADATA: i16 = 3;
    pub(crate) const FIND_COORDINATOR: i16 = 10;
    pub(crate) const SASL_HANDSHAKE: i16 = 17;
    pub(crate) const API_VERSIONS: i16 = 18;
    pub(crate) const SASL_AUTHENTICATE: i16 = 36;
    pub(crate) const DESCRIBE_CLUSTER: i16 = 60;
    pub(crate) const SHARE_FETCH: i16 = 78;
    pub(crate) const SHARE_ACKNOWLEDGE: i16 = 79;
}

/// What a question begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) api: i16,
    pub(crate) version: i16,
    /// The number that the answer has as well.
    pub(crate) number: i32,
}

impl Question {
    /// How many bytes a question begins with.
    pub(crate) const BYTES: usize = 8;

    pub(crate) fn read(reader: &mut Reader<'_>) -> io::Result<Self> {
        Ok(Self { api: reader.int16()?, version: reader.int16()?, number: reader.int32()? })
    }

    pub(crate) fn write(self, writer: &mut Writer) {
        writer.int16(self.api);
        writer.int16(self.version);
        writer.int32(self.number);
    }
}

/// Reads one frame of at most so many bytes, without its length.
pub(crate) async fn read_frame(from: &mut (impl AsyncRead + Unpin), max_bytes: usize) -> io::Result<Vec<u8>> {
    let length = frame_length(from.read_i32().await?)?;
    if length > max_bytes {
        return Err(invalid("a frame is too long"));
    }
    let mut frame = vec![0; length];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Writes one frame behind its length.
pub(crate) async fn write_frame(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    let length = i32::try_from(frame.len()).map_err(|_| invalid("a frame is too long"))?;
    to.write_i32(length).await?;
    to.write_all(frame).await?;
    to.flush().await
}

/// The length of a frame that has at least a number.
pub(crate) fn frame_length(length: i32) -> io::Result<usize> {
    usize::try_from(length).ok().filter(|length| *length >= 4).ok_or_else(|| invalid("a frame is too short"))
}

pub(crate) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Takes a frame apart.
#[derive(Debug)]
pub(crate) struct Reader<'f> {
    rest: &'f [u8],
}

impl<'f> Reader<'f> {
    pub(crate) fn new(frame: &'f [u8]) -> Self {
        Self { rest: frame }
    }

    /// All that was not read.
    pub(crate) fn rest(&self) -> &'f [u8] {
        self.rest
    }

    pub(crate) fn bytes(&mut self, length: usize) -> io::Result<&'f [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(|| invalid("an answer ends too early"))?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(|| invalid("an answer ends too early"))?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn int16(&mut self) -> io::Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn int32(&mut self) -> io::Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn int64(&mut self) -> io::Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn uint8(&mut self) -> io::Result<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn uint32(&mut self) -> io::Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// `UNSIGNED_VARINT`: seven bits a byte, the lowest first.
    pub(crate) fn varint(&mut self) -> io::Result<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(invalid("a number is too long"))
    }

    /// `STRING` and `NULLABLE_STRING`, or their `COMPACT` forms; NULL is none.
    pub(crate) fn string(&mut self, compact: bool) -> io::Result<Option<&'f str>> {
        let length = if compact { i64::from(self.varint()?) - 1 } else { i64::from(self.int16()?) };
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        str::from_utf8(self.bytes(length)?).map(Some).map_err(|_| invalid("a text is not in UTF-8"))
    }

    /// How many elements an array has; NULL has none.
    pub(crate) fn count(&mut self, compact: bool) -> io::Result<usize> {
        let count = if compact { i64::from(self.varint()?) - 1 } else { i64::from(self.int32()?) };
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Tagged fields, which end everything in versions that are `flexible`.
    pub(crate) fn tags(&mut self) -> io::Result<&'f [u8]> {
        let all = self.rest;
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.bytes(usize::try_from(length).unwrap_or(usize::MAX))?;
        }
        Ok(all.get(..all.len().saturating_sub(self.rest.len())).unwrap_or_default())
    }
}

/// Puts a frame together.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    frame: Vec<u8>,
}

impl Writer {
    /// What was written so far.
    pub(crate) fn frame(self) -> Vec<u8> {
        self.frame
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.frame.extend_from_slice(bytes);
    }

    pub(crate) fn int16(&mut self, value: i16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn int32(&mut self, value: i32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn int64(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn varint(&mut self, mut value: u32) {
        loop {
            let [low, ..] = value.to_le_bytes();
            if value < 0x80 {
                return self.frame.push(low);
            }
            self.frame.push(low | 0x80);
            value >>= 7;
        }
    }

    pub(crate) fn string(&mut self, text: Option<&str>, compact: bool) -> io::Result<()> {
        let length =
            text.map(|text| i16::try_from(text.len()).map_err(|_| invalid("a text is too long"))).transpose()?;
        if compact {
            self.varint(length.map_or(0, |length| u32::from(length.unsigned_abs()) + 1));
        } else {
            self.int16(length.unwrap_or(-1));
        }
        self.bytes(text.unwrap_or_default().as_bytes());
        Ok(())
    }

    pub(crate) fn count(&mut self, count: usize, compact: bool) -> io::Result<()> {
        let count = i32::try_from(count).map_err(|_| invalid("an array is too long"))?;
        if compact {
            self.varint(count.unsigned_abs() + 1);
        } else {
            self.int32(count);
        }
        Ok(())
    }
}
