//! Messages as brokers had them before Kafka 0.11 (versions 0 and 1 of their format): topics that are older than that still do.
//!
//! <https://kafka.apache.org/documentation/#messageset>: each message is behind its offset and its size. A compressed one has
//! others in its value; in version 1 their offsets count from the first of them (KIP-31), and the last one's is the outer one's.

use std::io;

use super::batch::{Found, Headers};
use super::compression::Codec;
use crate::log::TimeKind;
use crate::protocol::{Reader, invalid};

/// The attribute of messages whose time is the broker's (KIP-32).
const LOG_APPEND_TIME: i8 = 0x08;

/// Messages that are one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct OldMessages {
    at: usize,
    /// The offset after the last one.
    next_offset: i64,
    /// What is added to offsets.
    offset: i64,
    /// The time of all of them, where it is the broker's.
    appended_millis: Option<i64>,
}

impl OldMessages {
    /// Takes one message with its offset and its size. Tells whether there are others in it: they are in `inflated` then.
    pub(super) fn open(bytes: &[u8], inflated: &mut Vec<u8>) -> io::Result<(Self, bool)> {
        let outer = Old::read(&mut Reader::new(bytes))?;
        let mut messages =
            Self { at: 0, next_offset: outer.offset.saturating_add(1), offset: 0, appended_millis: None };
        let Some(codec) = Codec::of(i16::from(outer.attributes))? else { return Ok((messages, false)) };
        if outer.version == 0 && codec == Codec::Lz4 {
            // Its frames have another checksum than LZ4 says (KAFKA-3160).
            return Err(invalid("messages of version 0 that are compressed with LZ4 cannot be read"));
        }
        codec.inflate(outer.value.unwrap_or_default(), inflated)?;
        if outer.version == 1 {
            let (mut reader, mut last) = (Reader::new(inflated), 0);
            while !reader.rest().is_empty() {
                last = Old::read(&mut reader)?.offset;
            }
            messages.offset = outer.offset.wrapping_sub(last);
            if messages.offset < 0 {
                return Err(invalid(&format!("the message at offset {} has others behind it", outer.offset)));
            }
        }
        messages.appended_millis = (outer.attributes & LOG_APPEND_TIME != 0).then_some(outer.millis);
        Ok((messages, true))
    }

    /// The offset after the last one.
    pub(super) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The next message of those in `bytes`.
    pub(super) fn next<'b>(&mut self, bytes: &'b [u8]) -> io::Result<Option<Found<'b>>> {
        let mut reader = Reader::new(bytes.get(self.at..).unwrap_or_default());
        if reader.rest().is_empty() {
            return Ok(None);
        }
        let old = Old::read(&mut reader)?;
        self.at = bytes.len() - reader.rest().len();
        let is_appended = self.appended_millis.is_some() || old.attributes & LOG_APPEND_TIME != 0;
        Ok(Some(Found {
            offset: old.offset.wrapping_add(self.offset),
            millis: self.appended_millis.unwrap_or(old.millis),
            kind: if is_appended { TimeKind::LogAppend } else { TimeKind::Create },
            key: old.key,
            value: old.value,
            headers: Headers::default(),
        }))
    }
}

/// One message.
struct Old<'b> {
    offset: i64,
    version: u8,
    attributes: i8,
    /// -1 for none.
    millis: i64,
    key: Option<&'b [u8]>,
    value: Option<&'b [u8]>,
}

impl<'b> Old<'b> {
    fn read(reader: &mut Reader<'b>) -> io::Result<Self> {
        let offset = reader.int64()?;
        let size = usize::try_from(reader.int32()?).map_err(|_| invalid("a message has no size"))?;
        let mut message = Reader::new(reader.bytes(size)?);
        let sum = message.uint32()?;
        if crc32fast::hash(message.rest()) != sum {
            return Err(invalid(&format!("the message at offset {offset} is damaged: its checksum is another")));
        }
        let [version, attributes] = [message.uint8()?, message.uint8()?];
        if version > 1 {
            return Err(invalid(&format!("a message of version {version} is among those of version 1")));
        }
        let millis = if version == 1 { message.int64()? } else { -1 };
        let (key, value) = (part(&mut message)?, part(&mut message)?);
        Ok(Self { offset, version, attributes: attributes.cast_signed(), millis, key, value })
    }
}

/// So many bytes as the number before them says; a negative number is NULL.
fn part<'b>(message: &mut Reader<'b>) -> io::Result<Option<&'b [u8]>> {
    match usize::try_from(message.int32()?) {
        Ok(length) => message.bytes(length).map(Some),
        Err(_) => Ok(None),
    }
}
