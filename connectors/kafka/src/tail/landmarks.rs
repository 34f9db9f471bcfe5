//! Whether a topic is still the one that was followed.
//!
//! A topic that is deleted and made anew has its offsets anew, and the library goes on with the old ones. It tells no topic ids
//! (KIP-516), so the index by time is asked: the first message that is not older than some time keeps its
//! offset while it is kept, and what comes first then has a later one. Where that offset becomes smaller, these are
//! other messages.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::Client;

/// How long a question may take while messages wait. What is not answered is asked again at the next look.
const LIMIT: Duration = Duration::from_millis(500);

/// For each partition, a time and the offset before which all messages are older.
#[derive(Default)]
pub(super) struct Landmarks {
    marks: HashMap<i32, Mark>,
    /// The times of the newest messages since the marks were set, in milliseconds since 1970.
    newest: HashMap<i32, i64>,
}

#[derive(Clone, Copy)]
struct Mark {
    /// In milliseconds since 1970.
    time: i64,
    /// No message before this offset is of that time or younger.
    first: i64,
}

impl Landmarks {
    /// Marks where partitions are read from, now: what comes is behind that, by whatever clock. The question may take
    /// `limit`.
    pub(super) fn of(starts: &[(i32, i64)], client: &Client, topic: &str, limit: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let time = i64::try_from(now).unwrap_or(i64::MAX);
        let mut landmarks = Self::default();
        let times = starts.iter().map(|(partition, _)| (*partition, time));
        let Ok(found) = first_since(client, topic, times, limit) else {
            return landmarks;
        };
        for (partition, start) in starts {
            let first = match found.get(partition) {
                Some(Some(first)) => *first,
                // All that is there is older.
                Some(None) => *start,
                None => continue,
            };
            landmarks.marks.insert(*partition, Mark { time, first });
        }
        landmarks
    }

    /// A message was read.
    pub(super) fn visited(&mut self, partition: i32, time: Option<i64>) {
        if let Some(time) = time {
            let newest = self.newest.entry(partition).or_insert(time);
            *newest = time.max(*newest);
        }
    }

    /// The partition whose messages are others than before, if there is one. Marks move on to the newest messages.
    pub(super) fn moved(&mut self, client: &Client, topic: &str) -> KafkaResult<Option<i32>> {
        let times = self.marks.iter().map(|(partition, mark)| (*partition, mark.time));
        let found = first_since(client, topic, times, LIMIT)?;
        let is_other = |(partition, mark): (&i32, &Mark)| {
            let first = found.get(partition).copied().flatten();
            first.is_some_and(|first| first < mark.first).then_some(*partition)
        };
        if let Some(partition) = self.marks.iter().find_map(is_other) {
            return Ok(Some(partition));
        }
        let found = first_since(client, topic, self.newest.iter().map(|(partition, time)| (*partition, *time)), LIMIT)?;
        for (partition, first) in found {
            // Without an offset its message is gone already.
            if let (Some(time), Some(first)) = (self.newest.remove(&partition), first) {
                self.marks.insert(partition, Mark { time, first });
            }
        }
        Ok(None)
    }
}

/// The first offset of each partition whose message is not older than a time, `None` where all are older. Partitions that cannot be
/// asked are left out.
fn first_since(
    client: &Client,
    topic: &str,
    times: impl Iterator<Item = (i32, i64)>,
    limit: Duration,
) -> KafkaResult<HashMap<i32, Option<i64>>> {
    let mut list = TopicPartitionList::new();
    for (partition, time) in times {
        list.add_partition_offset(topic, partition, Offset::Offset(time))?;
    }
    if list.count() == 0 {
        return Ok(HashMap::new());
    }
    let answer = client.offsets_for_times(list, limit)?;
    let told = answer.elements().into_iter().filter(|element| element.error().is_ok());
    let offset = |offset| match offset {
        Offset::Offset(offset) => Some(Some(offset)),
        Offset::End => Some(None),
        _ => None,
    };
    Ok(told.filter_map(|element| Some((element.partition(), offset(element.offset())?))).collect())
}
