//! Batches of messages, as brokers have them since Kafka 0.11 (version 2 of their format, KIP-98).
//!
//! <https://kafka.apache.org/documentation/#recordbatch>: a batch is one header for all its messages; they say only by how much
//! their offsets and times differ from it. Numbers of the header are big-endian. The checksum (CRC-32C) covers all behind it.

use std::io;

use super::compression::Codec;
use super::varint::{sized, varint};
use crate::log::{RecordHeaders, TimeKind};
use crate::protocol::{Reader, invalid};

/// Bytes of a header, of which the first offset and the length are not counted in the length.
const HEADER_BYTES: usize = 61;

/// Bytes before what the checksum covers.
const UNCHECKED_BYTES: usize = 21;

/// Attributes of a batch.
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// The kind of a control message that says that a transaction was aborted.
const ABORT: i16 = 0;

/// The header of a batch whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The offset that the messages' count from. It may have no message.
    pub(super) first_offset: i64,
    /// The offset after the batch's last one.
    pub(super) next_offset: i64,
    /// Who sent it, if it is of a transaction.
    pub(super) transaction_of: Option<i64>,
    /// Whether it is a mark of a transaction instead of messages.
    pub(super) is_control: bool,
    pub(super) codec: Option<Codec>,
    /// What the messages' times count from.
    first_millis: i64,
    /// The time of all messages, where it is the broker's.
    appended_millis: Option<i64>,
    /// How many messages there are.
    count: u32,
}

impl Batch {
    /// The messages of a batch, behind its header; compressed if that says so.
    pub(super) fn messages(bytes: &[u8]) -> &[u8] {
        bytes.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// Takes a whole batch.
    pub(super) fn read(bytes: &[u8]) -> io::Result<Self> {
        let mut reader = Reader::new(bytes);
        let first_offset = reader.int64()?;
        // The length, the epoch of the leader, and the version.
        reader.bytes(4 + 4 + 1)?;
        let sum = reader.uint32()?;
        if crc32c::crc32c(bytes.get(UNCHECKED_BYTES..).unwrap_or_default()) != sum {
            return Err(invalid(&format!("the batch at offset {first_offset} is damaged: its checksum is another")));
        }
        let attributes = reader.int16()?;
        let last = reader.int32()?;
        let (first_millis, last_millis) = (reader.int64()?, reader.int64()?);
        let producer = reader.int64()?;
        // The producer's epoch, and the number of its first message.
        reader.bytes(2 + 4)?;
        let count = u32::try_from(reader.int32()?).map_err(|_| invalid("a batch has fewer than no messages"))?;
        let next_offset = first_offset.checked_add(i64::from(last)).and_then(|last| last.checked_add(1));
        Ok(Self {
            first_offset,
            next_offset: next_offset
                .filter(|next| *next > first_offset)
                .ok_or_else(|| invalid("a batch ends before it begins"))?,
            transaction_of: (attributes & TRANSACTIONAL != 0).then_some(producer),
            is_control: attributes & CONTROL != 0,
            codec: Codec::of(attributes)?,
            first_millis,
            appended_millis: (attributes & LOG_APPEND_TIME != 0).then_some(last_millis),
            count,
        })
    }

    /// Its messages.
    pub(super) fn records(&self) -> Records {
        Records { at: 0, left: self.count }
    }

    /// Whether it is the mark of a transaction that was aborted. `messages` are those behind its header.
    pub(super) fn is_abort(&self, messages: &[u8]) -> io::Result<bool> {
        if !self.is_control {
            return Ok(false);
        }
        let Some(mark) = self.records().next(self, messages)? else { return Ok(false) };
        let mut key = Reader::new(mark.key.unwrap_or_default());
        // The version of the mark.
        key.int16()?;
        Ok(key.int16()? == ABORT)
    }
}

/// A place among the messages of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Records {
    at: usize,
    left: u32,
}

/// A message, as it is in its batch.
#[derive(Debug)]
pub(super) struct Found<'b> {
    pub(super) offset: i64,
    /// Milliseconds since 1970, negative for none.
    pub(super) millis: i64,
    pub(super) kind: TimeKind,
    pub(super) key: Option<&'b [u8]>,
    pub(super) value: Option<&'b [u8]>,
    pub(super) headers: Headers<'b>,
}

impl Records {
    /// The next message; `messages` are those of the batch, uncompressed.
    pub(super) fn next<'b>(&mut self, batch: &Batch, messages: &'b [u8]) -> io::Result<Option<Found<'b>>> {
        if self.left == 0 {
            let has_more = self.at < messages.len();
            return if has_more { Err(invalid("a batch has more messages than it says")) } else { Ok(None) };
        }
        let rest = messages.get(self.at..).unwrap_or_default();
        let (found, rest) = record(batch, rest).ok_or_else(ends_early)?;
        if !(batch.first_offset..batch.next_offset).contains(&found.offset) {
            return Err(invalid(&format!("a message has the offset {}, which its batch has not", found.offset)));
        }
        self.at = messages.len() - rest.len();
        self.left -= 1;
        Ok(Some(found))
    }
}

/// One message, and what is behind it.
fn record<'b>(batch: &Batch, bytes: &'b [u8]) -> Option<(Found<'b>, &'b [u8])> {
    let (record, behind) = sized(bytes)?;
    // A byte of attributes, of which there are none.
    let (_, rest) = record?.split_first()?;
    let (later, rest) = varint(rest)?;
    let (further, rest) = varint(rest)?;
    let (key, rest) = sized(rest)?;
    let (value, rest) = sized(rest)?;
    let (count, rest) = varint(rest)?;
    let (millis, kind) = match batch.appended_millis {
        Some(millis) => (millis, TimeKind::LogAppend),
        None => (batch.first_millis.wrapping_add(later), TimeKind::Create),
    };
    let offset = batch.first_offset.checked_add(further)?;
    let headers = Headers { count: usize::try_from(count).ok()?, bytes: rest };
    Some((Found { offset, millis, kind, key, value, headers }, behind))
}

fn ends_early() -> io::Error {
    invalid("a batch of messages ends too early")
}

/// The headers of a message, as they are in its batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Headers<'b> {
    count: usize,
    bytes: &'b [u8],
}

impl RecordHeaders for Headers<'_> {
    fn each(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) -> Result<(), String> {
        let mut rest = self.bytes;
        for number in 1..=self.count {
            let broken = || format!("its header {number} cannot be read");
            let (key, behind) = sized(rest).ok_or_else(broken)?;
            let (value, behind) = sized(behind).ok_or_else(broken)?;
            let key = str::from_utf8(key.ok_or_else(broken)?)
                .map_err(|_| format!("the key of its header {number} is not in UTF-8"))?;
            visit(key, value);
            rest = behind;
        }
        Ok(())
    }
}
