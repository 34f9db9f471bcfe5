//! What is asked for messages, and what an answer says before they come (`Fetch`, versions 4 to 11).
//!
//! <https://kafka.apache.org/protocol.html#The_Messages_Fetch>. Each question is for one partition.

use std::io;
use std::time::Duration;

use super::aborted::Aborted;
use crate::config::Isolation;
use crate::protocol::{CLIENT_ID, Question, Reader, Writer, api, invalid};

/// The oldest version that knows transactions (Kafka 0.11), and the newest before tagged fields; brokers have had it since 2.3,
/// and those of version 4.0 have both.
pub(super) const VERSIONS: std::ops::RangeInclusive<i16> = 4..=11;

/// How long a broker may wait for messages where it has none.
const BROKER_WAIT: Duration = Duration::from_millis(100);

/// The most bytes of what an answer says before the messages.
const MAX_HEAD_BYTES: usize = 64 << 20;

/// Bytes of an aborted transaction in an answer.
const ABORTED_BYTES: usize = 16;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    /// The first offset.
    pub(super) offset: i64,
    /// How many bytes the answer may have. One batch comes in any case.
    pub(super) bytes: i32,
    pub(super) isolation: Isolation,
}

impl Wish<'_> {
    /// The frame that asks for it.
    pub(super) fn frame(&self, version: i16, number: i32) -> io::Result<Vec<u8>> {
        let mut writer = Writer::default();
        Question { api: api::FETCH, version, number }.write(&mut writer);
        writer.string(Some(CLIENT_ID), false)?;
        // Not a broker that copies.
        writer.int32(-1);
        writer.int32(i32::try_from(BROKER_WAIT.as_millis()).unwrap_or(i32::MAX));
        // The fewest bytes to answer with.
        writer.int32(1);
        writer.int32(self.bytes);
        writer.bytes(&[match self.isolation {
            Isolation::ReadUncommitted => 0,
            Isolation::ReadCommitted => 1,
        }]);
        if version >= 7 {
            // No session (KIP-227).
            writer.int32(0);
            writer.int32(-1);
        }
        writer.count(1, false)?;
        writer.string(Some(self.topic), false)?;
        writer.count(1, false)?;
        writer.int32(self.partition);
        if version >= 9 {
            // The leader's epoch is not known.
            writer.int32(-1);
        }
        writer.int64(self.offset);
        if version >= 5 {
            // The first offset that is kept, for brokers that copy.
            writer.int64(-1);
        }
        writer.int32(self.bytes);
        if version >= 7 {
            // Nothing of a session to forget.
            writer.count(0, false)?;
        }
        if version >= 11 {
            // No rack: the leader is asked.
            writer.string(Some(""), false)?;
        }
        Ok(writer.frame())
    }
}

/// How many bytes of an answer say how many there are in all before the messages.
pub(super) fn first_bytes(version: i16, topic: &str) -> usize {
    let session = if version >= 7 { 2 + 4 } else { 0 };
    let first_kept = if version >= 5 { 8 } else { 0 };
    // Number and wait; counts and names of topic and partition; its error and its ends; how many transactions were aborted.
    4 + 4 + session + 4 + 2 + topic.len() + 4 + 4 + 2 + 8 + 8 + first_kept + 4
}

/// How many bytes there are before the messages, by the first of them. Those of an error may be fewer.
pub(super) fn head_bytes(version: i16, first: &[u8]) -> io::Result<usize> {
    let count = first.last_chunk().map_or(0, |count| i32::from_be_bytes(*count));
    let aborted = usize::try_from(count).unwrap_or(0).checked_mul(ABORTED_BYTES);
    let replica = if version >= 11 { 4 } else { 0 };
    let bytes = aborted.and_then(|aborted| aborted.checked_add(first.len() + replica + 4));
    let bytes = bytes.filter(|bytes| *bytes <= MAX_HEAD_BYTES);
    bytes.ok_or_else(|| invalid("an answer has too many transactions"))
}

/// What an answer says before the messages.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The number of the question.
    pub(super) number: i32,
    /// An error's code, 0 for none.
    pub(super) error: i16,
    /// How long the broker looks at nothing more of this client, because it has asked for too much (KIP-219).
    pub(super) slowed: Duration,
    /// Whether it is about no partition, as answers are to those who are slowed down.
    pub(super) is_empty: bool,
    /// The end of the log.
    pub(super) high_watermark: i64,
    /// The end of what is committed, or -1.
    pub(super) last_stable: i64,
    /// The transactions that were aborted.
    pub(super) aborted: Vec<Aborted>,
    /// How many bytes of messages follow.
    pub(super) message_bytes: usize,
}

impl Answer {
    /// Takes all bytes before the messages, which have to be of this partition of the topic.
    pub(super) fn read(version: i16, bytes: &[u8], topic: &str, partition: i32) -> io::Result<Self> {
        let mut reader = Reader::new(bytes);
        let number = reader.int32()?;
        let mut answer = Self {
            number,
            error: 0,
            slowed: Duration::from_millis(u64::try_from(reader.int32()?).unwrap_or(0)),
            is_empty: false,
            high_watermark: -1,
            last_stable: -1,
            aborted: Vec::new(),
            message_bytes: 0,
        };
        if version >= 7 {
            answer.error = reader.int16()?;
            // The session.
            reader.int32()?;
        }
        if answer.error != 0 {
            return Ok(answer);
        }
        match reader.count(false)? {
            0 => {
                answer.is_empty = true;
                return Ok(answer);
            }
            1 => {}
            _ => return Err(invalid("an answer is not about one topic")),
        }
        let told = reader.string(false)?;
        if reader.count(false)? != 1 || told != Some(topic) || reader.int32()? != partition {
            return Err(invalid("an answer is not about the partition that was asked for"));
        }
        answer.error = reader.int16()?;
        answer.high_watermark = reader.int64()?;
        answer.last_stable = reader.int64()?;
        if version >= 5 {
            reader.int64()?;
        }
        for _ in 0..reader.count(false)? {
            answer.aborted.push(Aborted { producer: reader.int64()?, first_offset: reader.int64()? });
        }
        if version >= 11 {
            // Another broker to ask, where racks are known.
            reader.int32()?;
        }
        answer.message_bytes = reader.count(false)?;
        Ok(answer)
    }
}

/// The frame that asks what a broker supports (`ApiVersions`, version 0).
pub(super) fn versions_frame() -> io::Result<Vec<u8>> {
    let mut writer = Writer::default();
    Question { api: api::API_VERSIONS, version: 0, number: 0 }.write(&mut writer);
    writer.string(Some(CLIENT_ID), false)?;
    Ok(writer.frame())
}

/// What a broker supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Supported {
    /// The newest version of `Fetch` that both sides know.
    pub(super) fetch: i16,
    /// The newest version of `Metadata` that the broker knows.
    pub(super) metadata: i16,
}

impl Supported {
    /// By the broker's answer.
    pub(super) fn read(answer: &[u8]) -> io::Result<Self> {
        let mut reader = Reader::new(answer);
        reader.int32()?;
        let error = reader.int16()?;
        if error != 0 {
            return Err(invalid(&format!("the broker does not say what it supports: error {error}")));
        }
        let (mut fetch, mut metadata) = (None, 0);
        for _ in 0..reader.count(false)? {
            let (key, oldest, newest) = (reader.int16()?, reader.int16()?, reader.int16()?);
            match key {
                api::FETCH => fetch = Some((oldest, newest)),
                api::METADATA => metadata = newest,
                _ => {}
            }
        }
        let (oldest, newest) = fetch.ok_or_else(|| invalid("the broker does not hand out messages"))?;
        let fetch = newest.min(*VERSIONS.end());
        if fetch < oldest.max(*VERSIONS.start()) {
            let known = format!("the broker knows versions {oldest} to {newest} of Fetch, and 4 to 11 can be read");
            return Err(invalid(&known));
        }
        Ok(Self { fetch, metadata })
    }
}
