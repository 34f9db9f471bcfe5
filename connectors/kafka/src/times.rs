//! The offsets that times are found at, as the broker's time index tells them.

use std::collections::HashMap;

use crate::error::LogError;
use crate::log::{KafkaLog, PartitionOffsets};
use crate::partitioner::Partitioner;
use crate::range::Ranges;
use crate::split::KafkaSplit;
use crate::time_bounds::TimeIndex;

/// The offsets that times were found at, by partition and time, and how keys choose partitions.
pub(crate) struct Times {
    first_at: HashMap<(i32, i64), i64>,
    /// How producers choose, and among how many partitions.
    partitioner: Option<(Partitioner, u32)>,
}

impl Times {
    /// Nothing was asked.
    pub(crate) fn none() -> Self {
        Self { first_at: HashMap::new(), partitioner: None }
    }

    /// The same, knowing how producers choose partitions.
    pub(crate) fn with_partitioner(self, partitioner: Option<(Partitioner, u32)>) -> Self {
        Self { partitioner, ..self }
    }
}

impl TimeIndex for Times {
    fn first_at(&self, partition: i32, millis: i64) -> Option<i64> {
        self.first_at.get(&(partition, millis)).copied()
    }

    fn partition_of(&self, key: &[u8]) -> Option<i32> {
        let (partitioner, partitions) = self.partitioner?;
        i32::try_from(partitioner.partition(key, partitions)?).ok()
    }
}

/// Asks where the messages of some times begin, in milliseconds since 1970, in each of these partitions.
pub(crate) async fn look_up(
    log: &dyn KafkaLog,
    topic: &str,
    wanted: &[i64],
    offsets: &[PartitionOffsets],
) -> Result<Times, LogError> {
    let partitions: Vec<i32> = offsets.iter().map(|offsets| offsets.partition).collect();
    let mut found = HashMap::new();
    for millis in wanted {
        let firsts = log.offsets_for_time(topic, &partitions, *millis).await?;
        for (offsets, first) in offsets.iter().zip(firsts) {
            // The ends were frozen before: what has no message so young now had none then.
            found.insert((offsets.partition, *millis), first.unwrap_or(offsets.end));
        }
    }
    Ok(Times { first_at: found, partitioner: None })
}

/// The split without the offsets whose messages are outside the times that it is to have.
pub(crate) async fn within_times(log: &dyn KafkaLog, mut split: KafkaSplit) -> Result<KafkaSplit, LogError> {
    let times = std::mem::take(&mut split.times);
    let Some((start, end)) = split.ranges.first().zip(split.ranges.last()).map(|(first, last)| (first.0, last.1))
    else {
        return Ok(split);
    };
    let offsets = [PartitionOffsets { partition: split.partition, start, end }];
    let mut wanted: Vec<i64> =
        times.iter().flat_map(|bounds| [bounds.lower, bounds.after_upper(split.order)]).flatten().collect();
    // Times of messages are not before 1970, so such a bound excludes nothing.
    wanted.retain(|millis| *millis > 0);
    let index = look_up(log, &split.topic, &wanted, &offsets).await?;
    let mut kept = Ranges::union_of(&split.ranges);
    for bounds in times {
        kept = kept.intersect(&bounds.offsets(split.partition, split.order, &index));
    }
    let ends = |(start, end)| Some((i64::try_from(start).ok()?, i64::try_from(end).ok()?));
    split.ranges = kept.iter().filter_map(ends).collect();
    Ok(split)
}
