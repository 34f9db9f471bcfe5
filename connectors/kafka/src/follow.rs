//! `FOLLOW`: the messages that are added to a topic, without end.
//!
//! One task reads all partitions, so that none waits for another one that never ends. Messages are handed on after a
//! moment, however few there are.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use portolan_connector::{ConnectorError, ReadContext, Result, TableName, Verdict};
use serde::{Deserialize, Serialize};

use crate::batches::{Batches, Output, Task};
use crate::cut::Cut;
use crate::decode::{Poison, Pushed, Wanted};
use crate::layout::Layout;
use crate::log::{KafkaLog, LogTail, PartitionOffsets, TailRange};
use crate::predicate::Predicate;
use crate::range::Ranges;
use crate::read::{count_lost, decoder, poisoned};
use crate::registry::Schemas;
use crate::table::KafkaTable;
use crate::times::Times;

/// How long a message waits for others that are handed on with it.
const TOGETHER: Duration = Duration::from_millis(100);

/// How long the thread waits for a message before it looks whether anybody still listens.
const WAIT: Duration = Duration::from_millis(100);

/// Why a filter is not Kafka's business.
const AS_THEY_COME: &str = "messages of a topic that is followed are filtered as they come";

/// From where on a topic is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// Its end when the query starts.
    End,
    /// Its first message.
    Beginning,
    /// The first message of this time or a later one, in milliseconds since 1970.
    Time(i64),
    /// The end of a cut.
    Cut(Cut),
}

impl Since {
    /// Reads what `FOLLOW SINCE` names: `beginning`, `15 minutes`, a time in UTC, or a cut of the topic.
    pub(crate) fn of(place: &str, topic: &str) -> Result<Self> {
        let text = place.trim();
        if text.eq_ignore_ascii_case("beginning") {
            return Ok(Self::Beginning);
        }
        if let Some(ago) = duration(text) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let then = now.saturating_sub(ago).as_millis();
            return Ok(Self::Time(i64::try_from(then).unwrap_or_default()));
        }
        if let Some(millis) = instant(text) {
            return Ok(Self::Time(millis));
        }
        let hint = "FOLLOW SINCE takes 'beginning', '15 minutes', a time in UTC such as '2026-11-22 10:00:00', or a cut of the \
                    topic, behind which it begins";
        let cut: Cut = text.parse().map_err(|error| {
            ConnectorError::user(format!("'{place}' is no place in a topic: read as a cut, {error}")).hint(hint)
        })?;
        if cut.partitions.is_empty() {
            return Err(ConnectorError::user(format!("'{place}' is no place in a topic")).hint(hint));
        }
        if cut.topic != topic {
            let error = format!("'{place}' is a cut of topic {}, and the table is topic {topic}", cut.topic);
            return Err(ConnectorError::user(error).hint(hint));
        }
        Ok(Self::Cut(cut))
    }

    /// The offset from which on each of these partitions is read.
    async fn starts(&self, table: &KafkaTable, now: &[PartitionOffsets]) -> Result<Vec<(i32, i64)>> {
        let told = |error| ConnectorError::from(error).in_table(&table.name);
        let starts = match self {
            Self::End => now.iter().map(|offsets| (offsets.partition, offsets.end)).collect(),
            Self::Beginning => now.iter().map(|offsets| (offsets.partition, offsets.start)).collect(),
            Self::Time(millis) => {
                let partitions: Vec<i32> = now.iter().map(|offsets| offsets.partition).collect();
                let found = table.log.offsets_for_time(&table.topic, &partitions, *millis).await.map_err(told)?;
                // The ends were taken before: what has no message so young now had none then.
                now.iter()
                    .zip(found)
                    .map(|(offsets, first)| (offsets.partition, first.unwrap_or(offsets.end)))
                    .collect()
            }
            Self::Cut(cut) => {
                let behind = PartitionsBehind { cut, skips_deleted: table.skips_deleted };
                let starts = behind.starts(now).map_err(told)?;
                cut.check_topic(table.log.as_ref()).await.map_err(told)?;
                starts
            }
        };
        Ok(starts)
    }
}

/// What comes behind a cut.
struct PartitionsBehind<'a> {
    cut: &'a Cut,
    skips_deleted: bool,
}

impl PartitionsBehind<'_> {
    /// Partitions that the cut does not have are read from their first message on: they came later.
    fn starts(&self, now: &[PartitionOffsets]) -> std::result::Result<Vec<(i32, i64)>, crate::error::LogError> {
        let empty = |cut: &PartitionOffsets| PartitionOffsets { start: cut.end, ..*cut };
        let partitions = self.cut.partitions.iter().map(empty).collect();
        let ends = Cut { topic: self.cut.topic.clone(), partitions, mark: None };
        // Whether the cut is one of this topic.
        ends.within(now, self.skips_deleted)?;
        now.iter()
            .map(|kept| {
                let partition = kept.partition;
                let cut = ends.partitions.iter().find(|cut| cut.partition == partition);
                let start = cut.map_or(kept.start, |cut| cut.end);
                if start < kept.start && !self.skips_deleted {
                    let (topic, first) = (self.cut.topic.clone(), kept.start);
                    return Err(crate::error::LogError::CutTruncated { topic, partition, start, first });
                }
                // What is gone is counted where it is passed over.
                Ok((partition, start))
            })
            .collect()
    }
}

/// `15 minutes`, `1 hour`.
fn duration(text: &str) -> Option<Duration> {
    let (count, unit) = text.split_once(' ')?;
    let seconds = match unit.trim().to_lowercase().trim_end_matches('s') {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    count.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

/// A time in milliseconds since 1970: with an offset from UTC, or in UTC.
fn instant(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let without = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    let time = without.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let time = time.or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0));
    time.map(|time| time.and_utc().timestamp_millis())
}

/// The error of a table that is made of all messages, or of none.
pub(crate) fn not_of(table: &TableName) -> ConnectorError {
    ConnectorError::user(format!("{table} is no topic to which messages are added")).hint("FOLLOW the topic itself")
}

/// What a filter of a topic that is followed comes to: partitions that it leaves out are not read.
pub(crate) fn verdict(filter: &Predicate) -> Verdict {
    if filter.is_exact() { Verdict::Pruning } else { Verdict::refused(AS_THEY_COME) }
}

/// Which partitions are followed, and from where on.
pub(crate) struct Plan {
    pub(crate) starts: Vec<(i32, i64)>,
    /// How many partitions the topic has.
    pub(crate) partitions: i32,
    /// For each filter, what it leaves.
    pub(crate) selected: Vec<Option<String>>,
}

/// Plans to follow a topic.
pub(crate) async fn plan(
    table: &KafkaTable,
    since: &Since,
    filters: &[Predicate],
    now: &[PartitionOffsets],
) -> Result<Plan> {
    let mut starts = since.starts(table, now).await?;
    let partitions = now.iter().map(|offsets| offsets.partition.saturating_add(1)).max().unwrap_or(0);
    let mut selected = Vec::with_capacity(filters.len());
    for filter in filters {
        let may_match = |(partition, start): &(i32, i64)| {
            let matching = filter.offsets(*partition, table.order, &Times::none());
            !matching.intersect(&Ranges::from((*start).into())).is_empty()
        };
        let kept: Vec<String> =
            starts.iter().filter(|start| may_match(start)).map(|(partition, _)| partition.to_string()).collect();
        selected.push(Some(match kept.is_empty() {
            true => "partitions that are added".to_owned(),
            false => format!("partitions {}", kept.join(", ")),
        }));
        starts.retain(may_match);
    }
    Ok(Plan { starts, partitions, selected })
}

/// What a task needs to follow a topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FollowSplit {
    pub(crate) table: TableName,
    pub(crate) topic: String,
    /// The partitions to read, each from an offset on.
    pub(crate) starts: Vec<(i32, i64)>,
    /// How many partitions the topic has; those that are added are read, too.
    pub(crate) partitions: i32,
    /// How messages are taken apart.
    pub(crate) layout: Layout,
    /// Whether rows are made of the messages that do not decode, instead of the others.
    pub(crate) errors: bool,
    /// Whether offsets that retention has deleted are passed over.
    pub(crate) skips_deleted: bool,
}

/// What the thread does.
pub(crate) struct Following {
    log: Arc<dyn KafkaLog>,
    schemas: Option<Arc<dyn Schemas>>,
    split: FollowSplit,
    context: ReadContext,
}

/// The batches of a topic that is followed.
pub(crate) fn batches(
    log: Arc<dyn KafkaLog>,
    schemas: Option<Arc<dyn Schemas>>,
    split: FollowSplit,
    context: ReadContext,
) -> Batches<Following> {
    Batches::new(Arc::clone(&context.schema), Following { log, schemas, split, context })
}

impl Task for Following {
    type Held = Box<dyn LogTail>;

    fn table(&self) -> &TableName {
        &self.split.table
    }

    /// Reads until an error, or until nobody listens.
    fn run(&self, output: &Output, tail: &mut Option<Box<dyn LogTail>>) -> Result<()> {
        let Self { split, context, .. } = self;
        let wanted = Wanted {
            layout: &split.layout,
            errors: split.errors,
            partition: 0,
            cut: "",
            schemas: self.schemas.as_ref(),
        };
        let mut decoder = decoder(context, wanted)?;
        let range = TailRange {
            topic: &split.topic,
            starts: &split.starts,
            partitions: split.partitions,
            skips_deleted: split.skips_deleted,
        };
        let tail = tail.insert(self.log.follow(range)?);
        let (mut first, mut deleted) = (None::<Instant>, 0);
        while !output.is_closed() {
            let mut poison = None::<(i32, i64, Poison)>;
            let wait = first.map_or(WAIT, |first| TOGETHER.saturating_sub(first.elapsed()));
            let started = Instant::now();
            let mut came = false;
            tail.next(wait, &mut |partition, record| {
                came = true;
                context.metrics.bytes_received.add(record.bytes());
                decoder.of_partition(partition);
                match decoder.push(record) {
                    Ok(Pushed::Row | Pushed::Other) => {}
                    Ok(Pushed::Skipped) => context.metrics.rows_skipped.add(1),
                    Err(what) => poison = Some((partition, record.offset, what)),
                }
            })?;
            if !came {
                context.metrics.time_waiting.add_duration(started.elapsed());
            }
            count_lost(context, &mut deleted, tail.deleted());
            if decoder.rows() > 0 {
                first.get_or_insert(started);
            }
            // What is good before a bad message is handed on.
            let is_due = first.is_some_and(|first| first.elapsed() >= TOGETHER);
            if decoder.is_full() || is_due || (poison.is_some() && decoder.rows() > 0) {
                output.send(&mut decoder, || {})?;
                first = None;
            }
            if let Some((partition, offset, what)) = poison {
                let else_do = "set on_error = \"skip\" to leave such messages out";
                return Err(poisoned(&split.topic, partition, offset, &what, else_do));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_topic() {
        let of = |place: &str| Since::of(place, "web.clicks");
        assert_eq!(of("Beginning").unwrap(), Since::Beginning);
        assert_eq!(of("2026-11-22 10:00:00.5").unwrap(), Since::Time(1_795_341_600_500));
        assert_eq!(of("2026-11-22T12:00:00+02:00").unwrap(), Since::Time(1_795_341_600_000));
        assert_eq!(of("2026-11-22").unwrap(), Since::Time(1_795_305_600_000));
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let Since::Time(ago) = of("15 minutes").unwrap() else { panic!("no time") };
        assert!((now - 900_000 - ago).abs() < 60_000, "{ago}");
        assert!(matches!(of("web.clicks 0:5..9").unwrap(), Since::Cut(cut) if cut.partitions.len() == 1));
        for (place, part) in [
            ("", "the cut is empty"),
            ("yesterday", "'yesterday' is no place in a topic"),
            ("3 fortnights", "'3 fortnights' is no place in a topic"),
            ("other 0:5..9", "is a cut of topic other, and the table is topic web.clicks"),
        ] {
            let error = of(place).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("'15 minutes'"), "{error}");
        }
    }

    #[test]
    fn what_comes_behind_a_cut() {
        let now = |partition, start, end| PartitionOffsets { partition, start, end };
        let cut: Cut = "t 0:0..5 1:3..8".parse().unwrap();
        let starts =
            |skips_deleted, now: &[PartitionOffsets]| PartitionsBehind { cut: &cut, skips_deleted }.starts(now);
        assert_eq!(starts(false, &[now(0, 2, 9), now(1, 8, 8), now(2, 1, 4)]), Ok(vec![(0, 5), (1, 8), (2, 1)]));
        let lost = starts(false, &[now(0, 6, 9), now(1, 8, 8)]);
        assert!(matches!(lost, Err(crate::error::LogError::CutTruncated { start: 5, first: 6, .. })), "{lost:?}");
        assert_eq!(starts(true, &[now(0, 6, 9), now(1, 8, 8)]), Ok(vec![(0, 5), (1, 8)]));
        assert!(matches!(starts(true, &[now(0, 0, 4), now(1, 8, 8)]), Err(crate::error::LogError::BeyondEnd { .. })));
        assert!(matches!(starts(true, &[now(0, 0, 9)]), Err(crate::error::LogError::NoPartition { .. })));
    }
}
