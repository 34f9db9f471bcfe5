//! One question and its answer, without any client: what a read that is to be answered by a broker cannot be faster than.

use std::io::{Read, Write};
use std::net::TcpStream;

/// The key of `Fetch`, and a version that all brokers since 0.11 know (<https://kafka.apache.org/protocol#The_Messages_Fetch>).
const FETCH: i16 = 1;
const VERSION: i16 = 4;

/// Bytes that are asked for, as a read of a few messages does.
const BYTES: i32 = 128 << 10;

/// A connection that has asked nothing yet.
pub(super) struct Asker(TcpStream);

impl Asker {
    /// Of the first broker of a list, which has to lead the partitions that are asked about.
    pub(super) fn connect(brokers: &str) -> Self {
        let first = brokers.split(',').next().expect("a broker");
        let stream = TcpStream::connect(first).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self(stream)
    }

    /// Asks for the first messages of partition 0 of a topic; returns when the answer begins, and takes the rest of it later.
    pub(super) fn ask(&mut self, topic: &str) -> usize {
        let mut question = Vec::new();
        question.extend(FETCH.to_be_bytes());
        question.extend(VERSION.to_be_bytes());
        // The number of the question, and no name of a client.
        question.extend(7_i32.to_be_bytes());
        question.extend((-1_i16).to_be_bytes());
        // No replica; half a second to wait at most for a byte at least.
        for number in [-1_i32, 500, 1, BYTES] {
            question.extend(number.to_be_bytes());
        }
        // Committed messages, of one topic.
        question.push(1);
        question.extend(1_i32.to_be_bytes());
        question.extend(i16::try_from(topic.len()).expect("a name").to_be_bytes());
        question.extend(topic.as_bytes());
        // One partition, its number, and the offset.
        question.extend(1_i32.to_be_bytes());
        question.extend(0_i32.to_be_bytes());
        question.extend(0_i64.to_be_bytes());
        question.extend(BYTES.to_be_bytes());
        let length = i32::try_from(question.len()).expect("a length");
        self.0.write_all(&length.to_be_bytes()).expect("a question");
        self.0.write_all(&question).expect("a question");
        let mut length = [0; 4];
        self.0.read_exact(&mut length).expect("an answer");
        usize::try_from(i32::from_be_bytes(length)).expect("a length")
    }

    /// Takes the rest of an answer.
    pub(super) fn rest(&mut self, bytes: usize) {
        let taken = std::io::copy(&mut (&mut self.0).take(bytes as u64), &mut std::io::sink()).expect("an answer");
        assert_eq!(taken, bytes as u64);
    }
}
