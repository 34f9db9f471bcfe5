//! What tells a topic from another one of its name, which was made after it was deleted: offsets begin anew there, and a cut
//! of the first one would be rows of the second.
//!
//! Brokers from Kafka 2.8 on give topics ids (KIP-516), and that is the mark. Without one it is a time: the index by time
//! says that all messages of the cut are older than it. That stays true of the topic, whatever retention and
//! compaction delete, and it is not true of messages that were made since. So another topic is known by its messages
//! having times since the mark, which they have unless their producers were told older ones.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cut::Cut;
use crate::error::LogError;
use crate::log::{KafkaLog, PartitionOffsets};

/// The most topics whose marks are kept.
const MAX_KEPT: usize = 10_000;

/// How the parts of a cut begin that are marks.
const ID: &str = "id:";
const BEFORE: &str = "before:";

/// By what the topic of a cut is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The id of the topic.
    Id(String),
    /// A time that no message of the cut has reached.
    Before {
        /// In milliseconds since 1970.
        time: i64,
        /// Partitions with messages in the cut that have: each with the first offset of one.
        reached: Vec<(i32, i64)>,
    },
}

impl Mark {
    /// The mark of the topic as it is now, for these offsets of it.
    async fn of(log: &dyn KafkaLog, topic: &str, offsets: &[PartitionOffsets]) -> Result<Self, LogError> {
        if let Some(id) = log.topic_id(topic).await? {
            return Ok(Self::Id(id));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let time = i64::try_from(now).unwrap_or(i64::MAX);
        let firsts = log.offsets_for_time(topic, &numbers(offsets), time).await?;
        let reached = offsets.iter().zip(firsts).filter_map(|(offsets, first)| {
            let first = first.filter(|first| *first < offsets.end)?;
            Some((offsets.partition, first))
        });
        Ok(Self::Before { time, reached: reached.collect() })
    }

    /// An error where the topic is another one than that of the cut.
    async fn check(&self, log: &dyn KafkaLog, topic: &str, offsets: &[PartitionOffsets]) -> Result<(), LogError> {
        let (time, reached) = match self {
            Self::Id(id) if log.topic_id(topic).await?.as_ref() == Some(id) => return Ok(()),
            Self::Id(_) => return Err(LogError::OtherTopic { topic: topic.to_owned(), partition: None }),
            Self::Before { time, reached } => (*time, reached),
        };
        let firsts = log.offsets_for_time(topic, &numbers(offsets), time).await?;
        for (offsets, first) in offsets.iter().zip(firsts) {
            let known = reached.iter().find(|(partition, _)| *partition == offsets.partition);
            let known = known.map_or(offsets.end, |(_, first)| offsets.end.min(*first));
            if first.is_some_and(|first| first < known) {
                return Err(LogError::OtherTopic { topic: topic.to_owned(), partition: Some(offsets.partition) });
            }
        }
        Ok(())
    }
}

fn numbers(offsets: &[PartitionOffsets]) -> Vec<i32> {
    offsets.iter().map(|offsets| offsets.partition).collect()
}

impl Cut {
    /// An error where the topic is not the one that the cut was taken of.
    pub(crate) async fn check_topic(&self, log: &dyn KafkaLog) -> Result<(), LogError> {
        match &self.mark {
            Some(mark) => mark.check(log, &self.topic, &self.partitions).await,
            None => Ok(()),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{ID}{id}"),
            Self::Before { time, reached } => {
                write!(f, "{BEFORE}{time}")?;
                reached.iter().try_for_each(|(partition, first)| write!(f, ",{partition}:{first}"))
            }
        }
    }
}

/// The error is that the text is no mark.
impl FromStr for Mark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(id) = text.strip_prefix(ID) {
            return if id.is_empty() { Err(()) } else { Ok(Self::Id(id.to_owned())) };
        }
        let mut parts = text.strip_prefix(BEFORE).ok_or(())?.split(',');
        let time = parts.next().and_then(|time| time.parse().ok()).ok_or(())?;
        let first = |part: &str| {
            let (partition, first) = part.split_once(':')?;
            Some((partition.parse().ok()?, first.parse().ok()?))
        };
        let reached = parts.map(first).collect::<Option<_>>().ok_or(())?;
        Ok(Self::Before { time, reached })
    }
}

/// The marks that were given last, by topic: as long as nothing was added to a topic, its cut is the same text.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    kept: Mutex<HashMap<String, (Vec<PartitionOffsets>, Mark)>>,
}

impl Marks {
    /// The mark of a topic for these offsets.
    pub(crate) async fn of(
        &self,
        log: &dyn KafkaLog,
        topic: &str,
        offsets: &[PartitionOffsets],
    ) -> Result<Mark, LogError> {
        if let Some(kept) = self.kept(topic, offsets) {
            match kept.check(log, topic, offsets).await {
                Err(LogError::OtherTopic { .. }) => {}
                checked => return checked.map(|()| kept),
            }
        }
        let mark = Mark::of(log, topic, offsets).await?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(topic.to_owned(), (offsets.to_vec(), mark.clone()));
        Ok(mark)
    }

    /// The mark that was given for the same ends.
    fn kept(&self, topic: &str, offsets: &[PartitionOffsets]) -> Option<Mark> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, mark) = kept.get(topic)?;
        let end = |offsets: &PartitionOffsets| (offsets.partition, offsets.end);
        of.iter().map(end).eq(offsets.iter().map(end)).then(|| mark.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_text_and_back() {
        for text in ["id:Zb3-pWqkTV2vnR1dQX0a5g", "before:1763887341000", "before:1763887341000,3:7,5:0"] {
            assert_eq!(text.parse::<Mark>().unwrap().to_string(), text);
        }
        for text in ["", "id:", "before:", "before:soon", "before:1,", "before:1,2", "before:1,2:x", "at:1", "0:0..1"] {
            assert_eq!(text.parse::<Mark>(), Err(()), "{text}");
        }
    }
}
