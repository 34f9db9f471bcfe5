//! The id of a topic (KIP-516), which tells one that was made anew. librdkafka tells it only to those who call C.

use std::io;
use std::time::Instant;

use super::connection::Connection;
use crate::protocol::{CLIENT_ID, Question, Reader, Writer, api, invalid};

/// The first version of `Metadata` whose answers have ids (Kafka 2.8).
const VERSION: i16 = 10;

/// The error of a topic that is not there.
const UNKNOWN_TOPIC: i16 = 3;

/// Bytes of an id; all are zero for none.
const ID_BYTES: usize = 16;

/// The most bytes of an answer: one topic has 200,000 partitions at most, each of which takes some tens of bytes.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Asks for a topic's id. `None` where the broker gives none, or has no such topic.
pub(super) fn topic_id(connection: &mut Connection, topic: &str, until: Instant) -> io::Result<Option<[u8; ID_BYTES]>> {
    if connection.metadata_version() < VERSION {
        return Ok(None);
    }
    let number = connection.next_number();
    connection.ask(&question(topic, number)?)?;
    let slow = || io::Error::from(io::ErrorKind::TimedOut);
    if !connection.fill(4, until)? {
        return Err(slow());
    }
    let length = connection.frame_length()?;
    if length > MAX_ANSWER_BYTES {
        return Err(invalid("an answer about a topic is too long"));
    }
    if !connection.fill(length, until)? {
        return Err(slow());
    }
    let id = answered(connection.bytes(length), topic, number);
    connection.take(length);
    id
}

/// `Metadata` of one topic, in a version with tagged fields.
fn question(topic: &str, number: i32) -> io::Result<Vec<u8>> {
    let mut writer = Writer::default();
    Question { api: api::METADATA, version: VERSION, number }.write(&mut writer);
    writer.string(Some(CLIENT_ID), false)?;
    let no_tags = 0;
    writer.varint(no_tags);
    writer.count(1, true)?;
    // By its name.
    writer.bytes(&[0; ID_BYTES]);
    writer.string(Some(topic), true)?;
    writer.varint(no_tags);
    // It is not made, and nobody asks who may do what with the cluster and with the topic.
    writer.bytes(&[0; 3]);
    writer.varint(no_tags);
    Ok(writer.frame())
}

fn answered(answer: &[u8], topic: &str, number: i32) -> io::Result<Option<[u8; ID_BYTES]>> {
    let mut reader = Reader::new(answer);
    if reader.int32()? != number {
        return Err(invalid("an answer is to another question"));
    }
    reader.tags()?;
    // How long the broker waited.
    reader.int32()?;
    for _ in 0..reader.count(true)? {
        // A broker's number, host, port and rack.
        reader.int32()?;
        reader.string(true)?;
        reader.int32()?;
        reader.string(true)?;
        reader.tags()?;
    }
    // The cluster's name, and who controls it.
    reader.string(true)?;
    reader.int32()?;
    if reader.count(true)? != 1 {
        return Err(invalid("an answer is not about one topic"));
    }
    match reader.int16()? {
        0 => {}
        UNKNOWN_TOPIC => return Ok(None),
        // A broker that has just started, one that may not tell.
        error => return Err(io::Error::other(format!("the broker answers error {error}"))),
    }
    if reader.string(true)? != Some(topic) {
        return Err(invalid("an answer is about another topic"));
    }
    let id = reader.bytes(ID_BYTES)?.first_chunk().copied();
    Ok(id.filter(|id| *id != [0; ID_BYTES]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use super::*;

    #[test]
    fn questions_name_the_topic() {
        let id = [0; 16];
        let wanted = [
            &[0, 3, 0, 10, 0, 0, 0, 0, 0, 8][..],
            b"portolan",
            // No tags; one topic, by its name.
            &[0, 2],
            &id,
            &[4],
            b"web",
            &[0, 0, 0, 0, 0],
        ];
        assert_eq!(question("web", 0).unwrap(), wanted.concat());
    }

    #[test]
    fn answers_tell_the_id() {
        let id = [7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let answer = |error: u8, id: [u8; 16]| {
            let parts = [
                // The number, no tags, no wait; one broker: 1 at "kafka":9092 in no rack.
                &[0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 6][..],
                b"kafka",
                &[0, 0, 0x23, 0x84, 0, 0],
                // The cluster "c", controlled by 1; one topic.
                &[2, b'c', 0, 0, 0, 1, 2, 0, error, 4],
                b"web",
                &id,
                // Not internal; no partitions.
                &[0, 1, 0x80, 0, 0, 0, 0, 0],
            ];
            parts.concat()
        };
        assert_eq!(answered(&answer(0, id), "web", 0).unwrap(), Some(id));
        assert_eq!(answered(&answer(0, [0; 16]), "web", 0).unwrap(), None);
        assert_eq!(answered(&answer(3, id), "web", 0).unwrap(), None);
        assert!(answered(&answer(5, id), "web", 0).is_err(), "it is not there yet");
        assert!(answered(&answer(0, id), "other", 0).is_err());
        assert!(answered(&answer(0, id), "web", 1).is_err());
        assert!(answered(answer(0, id).get(..30).unwrap(), "web", 0).is_err());
    }
}
