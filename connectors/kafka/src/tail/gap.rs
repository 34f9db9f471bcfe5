//! Offsets that are not there any more, told apart from messages that were fetched and wait to be read.
//!
//! The library reports that an offset is out of range, not of which partition, and stops fetching that one. Up to where
//! partitions were read says little at that moment: messages of others may wait in the client's queue whose offsets retention has
//! deleted since. So the ends of all partitions are asked for, and positions are compared with them once all is read that
//! had been fetched by then: when the queue is empty, or hands out a message that was not yet there when the ends were asked for.

use std::time::{Duration, Instant};

use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::Offset;

use crate::client::{Client, list_offsets, number};

/// How far the question has come which offsets are gone.
pub(super) enum Gap {
    /// The ends are to be asked for, since then.
    Due(Instant),
    /// They are known, and what was fetched by then is to be read.
    Asked(Vec<Ends>),
}

/// The ends of a partition when they were asked for.
pub(super) struct Ends {
    pub(super) partition: i32,
    /// The first offset that was kept.
    pub(super) first: i64,
    /// The offset after the last one.
    pub(super) end: i64,
    /// The offset that was to be read next; `None` before the first message.
    pub(super) position: Option<i64>,
}

impl Gap {
    /// Whether a message that is read tells that all is read that had been fetched when the ends were asked for: it was added
    /// later, and the queue keeps the order of fetching.
    pub(super) fn is_behind(&self, partition: i32, offset: i64) -> bool {
        match self {
            Self::Due(_) => false,
            Self::Asked(ends) => ends.iter().any(|ends| ends.partition == partition && ends.end <= offset),
        }
    }
}

/// Asks for the ends of partitions, each given with the offset to be read next: two questions, of which each may take `limit`.
pub(super) fn ask(
    client: &Client,
    topic: &str,
    positions: &[(i32, Option<i64>)],
    limit: Duration,
) -> KafkaResult<Vec<Ends>> {
    let partitions: Vec<i32> = positions.iter().map(|(partition, _)| *partition).collect();
    let firsts = list_offsets(client, topic, &partitions, Offset::Beginning, limit)?;
    // The end last: what is behind it was fetched after the first offsets were told.
    let ends = list_offsets(client, topic, &partitions, Offset::End, limit)?;
    let all = positions.iter().zip(firsts).zip(ends);
    all.map(|(((partition, position), first), end)| {
        Ok(Ends { partition: *partition, first: number(first)?, end: number(end)?, position: *position })
    })
    .collect()
}
