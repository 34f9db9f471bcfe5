//! Splits: which offsets one task reads, and what it makes of them.

use portolan_connector::{ConnectorError, Result, Split, TableName};
use serde::{Deserialize, Serialize};

use crate::follow::FollowSplit;
use crate::groups::GroupsSplit;
use crate::layout::Layout;
use crate::partitions::PartitionsSplit;
use crate::places::Places;
use crate::range::Ranges;
use crate::time_bounds::{Bounds, TimeOrder};

/// Ranges that are nearer than this are read as one, and the messages between them dropped: asking anew costs more.
const NEAR: i64 = 10_000;

/// The most splits of one scan; beyond it each covers more offsets.
const MAX_SPLITS: u64 = 10_000;

/// What a task needs to read its part of a topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KafkaSplit {
    pub(crate) table: TableName,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// Offsets from a start up to an end that is not included, in ascending order, at least one.
    pub(crate) ranges: Vec<(i64, i64)>,
    /// How messages are taken apart.
    pub(crate) layout: Layout,
    /// Whether rows are made of the messages that do not decode, instead of the others.
    pub(crate) errors: bool,
    /// The cut that the query reads, where it asks for it.
    pub(crate) cut: String,
    /// Whether offsets that retention has deleted are passed over.
    pub(crate) skips_deleted: bool,
    /// Rows after which to stop.
    pub(crate) limit: Option<usize>,
    /// Where the columns stand in the result by which keys of a join leave messages out.
    pub(crate) places: Places,
    /// How much older than one before it a message may be, where that is known.
    pub(crate) order: TimeOrder,
    /// Times that keys of a join leave. The broker is asked for their offsets when the split is read.
    pub(crate) times: Vec<Bounds>,
}

impl KafkaSplit {
    /// The split as the engine carries it.
    pub(crate) fn pack(self) -> Result<Split> {
        let ranges = Ranges::union_of(&self.ranges);
        let offsets = ranges.len();
        let limit = self.limit.and_then(|limit| u64::try_from(limit).ok());
        let label = format!("topic {}, partition {}, offsets {ranges}", self.topic, self.partition);
        let rows = (!self.errors).then_some(limit.map_or(offsets, |limit| offsets.min(limit)));
        Work::Messages(Box::new(self)).pack(label, rows)
    }
}

/// What a split asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// Messages of a part of a topic.
    Messages(Box<KafkaSplit>),
    /// Messages that are added to a topic.
    Following(Box<FollowSplit>),
    /// The partitions of a topic.
    Partitions(PartitionsSplit),
    /// What groups of consumers have read.
    Groups(GroupsSplit),
}

impl Work {
    /// The split as the engine carries it, how errors call it, and how many rows it is expected to have.
    pub(crate) fn pack(&self, label: String, rows: Option<u64>) -> Result<Split> {
        let payload = serde_json::to_value(self)
            .map_err(|error| ConnectorError::internal("a split cannot be written down").said(error))?;
        Ok(Split { payload, label, rows })
    }

    /// What was packed.
    pub(crate) fn unpack(split: &Split) -> Result<Self> {
        serde_json::from_value(split.payload.clone())
            .map_err(|error| ConnectorError::internal(format!("the split {} cannot be read", split.label)).said(error))
    }
}

/// Cuts the offsets of partitions into lists of ranges, one a split, of at most `per_split` offsets. Offsets must be
/// within bounds of partitions.
pub(crate) fn cut(partitions: &[(i32, Ranges)], per_split: u64) -> Vec<(i32, Vec<(i64, i64)>)> {
    let total = partitions.iter().fold(0_u64, |sum, (_, ranges)| sum.saturating_add(ranges.len()));
    let per_split = i64::try_from(per_split.max(total.div_ceil(MAX_SPLITS)).max(1)).unwrap_or(i64::MAX);
    let mut splits = Vec::new();
    for (partition, ranges) in partitions {
        let (mut current, mut room) = (Vec::<(i64, i64)>::new(), per_split);
        for (start, end) in ranges.iter() {
            let (Ok(mut start), Ok(end)) = (i64::try_from(start), i64::try_from(end)) else { continue };
            while start < end {
                let is_far = current.last().is_some_and(|(_, last)| start - *last > NEAR);
                if room == 0 || is_far {
                    splits.push((*partition, std::mem::take(&mut current)));
                    room = per_split;
                }
                let stop = end.min(start.saturating_add(room));
                room -= stop - start;
                current.push((start, stop));
                start = stop;
            }
        }
        if !current.is_empty() {
            splits.push((*partition, current));
        }
    }
    splits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_cut_by_offsets() {
        let partitions = [(0, Ranges::between(0, 250)), (1, Ranges::none()), (2, Ranges::between(50_000, 50_100))];
        assert_eq!(
            cut(&partitions, 100),
            [(0, vec![(0, 100)]), (0, vec![(100, 200)]), (0, vec![(200, 250)]), (2, vec![(50_000, 50_100)]),]
        );
    }

    #[test]
    fn near_ranges_share_a_split_and_far_ones_do_not() {
        let near = Ranges::of([3, 8, 9]).union(&Ranges::between(50_000, 50_002));
        assert_eq!(cut(&[(0, near)], 100), [(0, vec![(3, 4), (8, 10)]), (0, vec![(50_000, 50_002)])]);
    }

    #[test]
    fn the_number_of_splits_is_bounded() {
        let splits = cut(&[(0, Ranges::between(0, 1_000_000_000_000))], 1_000);
        assert_eq!(splits.len(), 10_000);
        assert_eq!(splits.last().unwrap().1, [(999_900_000_000, 1_000_000_000_000)]);
    }
}
