//! The cut of a topic that a query reads, as a text: `web.clicks 0:5..1200 1:0..980 before:1763887341000`, each partition
//! with its first offset and its end, which is not included, and by what the topic is known again ([`crate::mark`]).
//! `FOR VERSION AS OF` takes it, so that the same offsets are read again. One that is written by hand needs no mark.

use std::fmt;
use std::str::FromStr;

use crate::error::LogError;
use crate::log::PartitionOffsets;
use crate::mark::Mark;

/// The most partitions of a cut.
const MAX_PARTITIONS: usize = 100_000;

/// Offsets of all partitions of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) topic: String,
    /// By number.
    pub(crate) partitions: Vec<PartitionOffsets>,
    /// By what the topic is known again.
    pub(crate) mark: Option<Mark>,
}

impl Cut {
    /// The offsets of the cut, checked against those that the topic has now. With `skips_deleted`, what retention has
    /// deleted since is no error: who reads the offsets passes over it and counts it. Everything else that is missing is one.
    pub(crate) fn within(
        &self,
        now: &[PartitionOffsets],
        skips_deleted: bool,
    ) -> Result<Vec<PartitionOffsets>, LogError> {
        let mut offsets = Vec::with_capacity(self.partitions.len());
        for cut in &self.partitions {
            let (topic, partition) = (self.topic.clone(), cut.partition);
            let Some(kept) = now.iter().find(|offsets| offsets.partition == partition) else {
                return Err(LogError::NoPartition { topic, partition });
            };
            if cut.end > kept.end {
                return Err(LogError::BeyondEnd { topic, partition, now: kept.end, end: cut.end });
            }
            if cut.start < cut.end.min(kept.start) && !skips_deleted {
                return Err(LogError::CutTruncated { topic, partition, start: cut.start, first: kept.start });
            }
            offsets.push(*cut);
        }
        Ok(offsets)
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.topic)?;
        for PartitionOffsets { partition, start, end } in &self.partitions {
            write!(f, " {partition}:{start}..{end}")?;
        }
        if let Some(mark) = &self.mark {
            write!(f, " {mark}")?;
        }
        Ok(())
    }
}

/// The error says what is wrong with the text.
impl FromStr for Cut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split_whitespace();
        let topic = parts.next().ok_or("the cut is empty")?.to_owned();
        let mut partitions = Vec::<PartitionOffsets>::new();
        let mut mark = None;
        for part in parts {
            if mark.is_some() {
                return Err(format!("\"{part}\" stands behind what tells the topic"));
            }
            if let Ok(found) = part.parse() {
                mark = Some(found);
                continue;
            }
            let offsets = offsets(part).ok_or_else(|| format!("\"{part}\" is not PARTITION:FIRST..END"))?;
            if partitions.last().is_some_and(|last| last.partition >= offsets.partition) {
                return Err(format!("partition {} is not behind the one before it", offsets.partition));
            }
            if partitions.len() == MAX_PARTITIONS {
                return Err(format!("the cut has more than {MAX_PARTITIONS} partitions"));
            }
            partitions.push(offsets);
        }
        Ok(Self { topic, partitions, mark })
    }
}

fn offsets(text: &str) -> Option<PartitionOffsets> {
    let (partition, range) = text.split_once(':')?;
    let (start, end) = range.split_once("..")?;
    let offsets =
        PartitionOffsets { partition: partition.parse().ok()?, start: start.parse().ok()?, end: end.parse().ok()? };
    (offsets.partition >= 0 && 0 <= offsets.start && offsets.start <= offsets.end).then_some(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(partition: i32, start: i64, end: i64) -> PartitionOffsets {
        PartitionOffsets { partition, start, end }
    }

    #[test]
    fn a_cut_is_a_text_and_back() {
        let partitions = vec![of(0, 5, 1200), of(2, 0, 0)];
        let cut = Cut { topic: "web.clicks".to_owned(), partitions, mark: None };
        assert_eq!(cut.to_string(), "web.clicks 0:5..1200 2:0..0");
        assert_eq!(cut.to_string().parse(), Ok(cut.clone()));
        let marked = Cut { mark: "before:7,2:0".parse().ok(), ..cut };
        assert_eq!(marked.to_string(), "web.clicks 0:5..1200 2:0..0 before:7,2:0");
        assert_eq!(marked.to_string().parse(), Ok(marked));
        assert_eq!("t".parse(), Ok(Cut { topic: "t".to_owned(), partitions: Vec::new(), mark: None }));
        for (text, part) in [
            ("", "empty"),
            ("t 0:5", "\"0:5\" is not PARTITION:FIRST..END"),
            ("t 0:6..5", "not PARTITION:FIRST..END"),
            ("t -1:0..5", "not PARTITION:FIRST..END"),
            ("t 0:-2..5", "not PARTITION:FIRST..END"),
            ("t 1:0..5 1:0..5", "partition 1 is not behind"),
            ("t 0:0..5 before:x", "\"before:x\" is not PARTITION:FIRST..END"),
            ("t before:5 0:0..5", "\"0:0..5\" stands behind what tells the topic"),
        ] {
            let error = text.parse::<Cut>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn what_a_cut_has_and_the_topic_has_not_is_an_error() {
        let cut: Cut = "t 0:5..10 1:0..0".parse().unwrap();
        assert_eq!(cut.within(&[of(0, 0, 20), of(1, 7, 9), of(2, 0, 3)], false), Ok(vec![of(0, 5, 10), of(1, 0, 0)]));
        let truncated = cut.within(&[of(0, 8, 20), of(1, 0, 0)], false);
        assert!(matches!(truncated, Err(LogError::CutTruncated { start: 5, first: 8, .. })));
        for kept in [8, 18] {
            let whole = cut.within(&[of(0, kept, 20), of(1, 0, 0)], true);
            assert_eq!(whole, Ok(cut.partitions.clone()), "what is gone is counted where it is read");
        }
        for skips in [false, true] {
            let beyond = cut.within(&[of(0, 0, 9), of(1, 0, 0)], skips);
            assert!(matches!(beyond, Err(LogError::BeyondEnd { now: 9, end: 10, .. })));
            assert!(matches!(cut.within(&[of(0, 0, 20)], skips), Err(LogError::NoPartition { partition: 1, .. })));
        }
    }
}
