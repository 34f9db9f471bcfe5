//! Splits without messages that have no partner in a join, once its keys are known.

use datafusion::common::ScalarValue;
use portolan_connector::{KeyFilter, Narrowed, Result};

use crate::instant::millis_around;
use crate::predicate::bytes_of;
use crate::range::Ranges;
use crate::split::KafkaSplit;
use crate::time_bounds::Bounds;

/// What is read in place of a split when these filters are known: fewer offsets, the offsets of some times,
/// or nothing. Kafka finds nothing else by its value.
pub(crate) fn narrow(split: KafkaSplit, filters: &[KeyFilter]) -> Result<Narrowed> {
    // The first messages are others when some are left out.
    if split.limit.is_some() {
        return Ok(Narrowed::Unchanged);
    }
    let whole = Ranges::union_of(&split.ranges);
    let (mut kept, mut times) = (whole.clone(), split.times.clone());
    for filter in filters {
        let Some(column) = filter.column() else { return Ok(Narrowed::Nothing) };
        let places = &split.places;
        if places.partition == Some(column) && !numbers(filter).contains(i128::from(split.partition)) {
            return Ok(Narrowed::Nothing);
        }
        if places.keys.contains(&column) && !may_have_a_key(&split, filter) {
            return Ok(Narrowed::Nothing);
        }
        if places.offset == Some(column) {
            kept = kept.intersect(&numbers(filter));
        }
        if let Some(lateness) = places.lateness(column)
            && let Some(bounds) = between(filter).map(|bounds| bounds.later_by(lateness))
            && bounds.narrows(split.order)
            && !times.contains(&bounds)
        {
            times.push(bounds);
        }
    }
    if kept == whole && times == split.times {
        return Ok(Narrowed::Unchanged);
    }
    let ends = |(start, end)| Some((i64::try_from(start).ok()?, i64::try_from(end).ok()?));
    let ranges: Vec<(i64, i64)> = kept.iter().filter_map(ends).collect();
    if ranges.is_empty() {
        return Ok(Narrowed::Nothing);
    }
    KafkaSplit { ranges, times, ..split }.pack().map(Narrowed::To)
}

/// Whether the split's partition may have a message with one of the keys of a join.
fn may_have_a_key(split: &KafkaSplit, filter: &KeyFilter) -> bool {
    let (KeyFilter::In { values, .. }, Some((partitioner, partitions))) = (filter, split.places.partitioner) else {
        return true;
    };
    let partition = |value: &ScalarValue| partitioner.partition(bytes_of(value)?, partitions);
    let is_here = |partition: u32| i32::try_from(partition) == Ok(split.partition);
    // A key that is left to chance is anywhere.
    values.iter().any(|value| partition(value).is_none_or(is_here))
}

/// The numbers for which a filter on a column of integers holds.
fn numbers(filter: &KeyFilter) -> Ranges {
    match filter {
        KeyFilter::In { values, .. } => {
            let all: Option<Vec<i128>> = values.iter().map(integer).collect();
            all.map_or_else(Ranges::all, Ranges::of)
        }
        KeyFilter::Between { low, high, .. } => {
            let from = low.as_ref().and_then(integer).map_or_else(Ranges::all, Ranges::from);
            let until = high.as_ref().and_then(integer).and_then(|high| high.checked_add(1));
            from.intersect(&until.map_or_else(Ranges::all, Ranges::until))
        }
        KeyFilter::Nothing => Ranges::none(),
    }
}

/// The milliseconds between which all times are for which a filter on `_timestamp` holds; `None` where that is not known.
fn between(filter: &KeyFilter) -> Option<Bounds> {
    match filter {
        KeyFilter::In { values, .. } => {
            let all: Vec<(i64, i64)> = values.iter().map(millis_around).collect::<Option<_>>()?;
            let (least, greatest) =
                (all.iter().map(|(floor, _)| *floor).min()?, all.iter().map(|(_, ceil)| *ceil).max()?);
            Some(Bounds { lower: Some(least), upper: Some(greatest) })
        }
        KeyFilter::Between { low, high, .. } => Some(Bounds {
            lower: low.as_ref().and_then(millis_around).map(|(floor, _)| floor),
            upper: high.as_ref().and_then(millis_around).map(|(_, ceiling)| ceiling),
        }),
        KeyFilter::Nothing => None,
    }
}

fn integer(value: &ScalarValue) -> Option<i128> {
    match value {
        ScalarValue::Int32(Some(value)) => Some(i128::from(*value)),
        ScalarValue::Int64(Some(value)) => Some(i128::from(*value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use portolan_connector::TableName;

    use super::*;
    use crate::layout::{Format, Layout, OnError, Part};
    use crate::partitioner::Partitioner;
    use crate::places::Places;
    use crate::split::Work;
    use crate::time_bounds::TimeOrder;

    fn split(limit: Option<usize>) -> KafkaSplit {
        KafkaSplit {
            table: TableName::new("k", "default", "t"),
            topic: "t".to_owned(),
            partition: 3,
            ranges: vec![(0, 100), (200, 300)],
            layout: Layout {
                key: Part::undeclared(Format::Text),
                value: Part::undeclared(Format::Json),
                on_error: OnError::Fail,
            },
            errors: false,
            cut: String::new(),
            skips_deleted: false,
            limit,
            places: Places {
                partition: Some(0),
                offset: Some(2),
                time: Some(4),
                event_time: Some((5, 1_000)),
                keys: vec![6],
                partitioner: Some((Partitioner::Murmur2, 4)),
            },
            order: TimeOrder::of(None),
            times: Vec::new(),
        }
    }

    fn unpacked(split: &portolan_connector::Split) -> KafkaSplit {
        match Work::unpack(split).unwrap() {
            Work::Messages(split) => *split,
            other => panic!("{other:?}"),
        }
    }

    fn of(filters: &[KeyFilter]) -> Option<Vec<(i64, i64)>> {
        match narrow(split(None), filters).unwrap() {
            Narrowed::Unchanged => Some(vec![(0, 100), (200, 300)]),
            Narrowed::Nothing => None,
            Narrowed::To(split) => Some(unpacked(&split).ranges),
        }
    }

    #[test]
    fn keys_choose_offsets_and_partitions() {
        let offsets =
            |values: &[i64]| KeyFilter::In { column: 2, values: values.iter().map(|v| (*v).into()).collect() };
        assert_eq!(of(&[offsets(&[7, 8, 150, 299, 300])]), Some(vec![(7, 9), (299, 300)]));
        assert_eq!(of(&[offsets(&[150])]), None);
        let between = KeyFilter::Between { column: 2, low: Some(50_i64.into()), high: Some(200_i64.into()) };
        assert_eq!(of(std::slice::from_ref(&between)), Some(vec![(50, 100), (200, 201)]));
        assert_eq!(of(&[between, offsets(&[60, 250])]), Some(vec![(60, 61)]));
        let partitions =
            |values: &[i32]| KeyFilter::In { column: 0, values: values.iter().map(|v| (*v).into()).collect() };
        assert_eq!(of(&[partitions(&[1, 2])]), None);
        assert_eq!(of(&[partitions(&[3])]), Some(vec![(0, 100), (200, 300)]));
        assert_eq!(of(&[KeyFilter::Nothing]), None);
    }

    #[test]
    fn keys_that_are_times_are_asked_for_when_the_split_is_read() {
        let millis = |value: i64| ScalarValue::TimestampMillisecond(Some(value), Some("UTC".into()));
        let times = |filter: KeyFilter, slack: Option<i64>| {
            let split = KafkaSplit { order: TimeOrder::of(slack), ..split(None) };
            match narrow(split, &[filter]).unwrap() {
                Narrowed::To(split) => unpacked(&split).times,
                _ => Vec::new(),
            }
        };
        let some = || KeyFilter::In { column: 4, values: vec![millis(70), millis(20), millis(50)] };
        let bounds = |lower, upper| vec![Bounds { lower, upper }];
        assert_eq!(times(some(), None), bounds(Some(20), Some(70)));
        let until = || KeyFilter::Between { column: 4, low: None, high: Some(millis(70)) };
        // Where messages may be in any order, the last time limits nothing.
        assert_eq!(times(until(), None), []);
        assert_eq!(times(until(), Some(5)), bounds(None, Some(70)));
        assert_eq!(times(KeyFilter::In { column: 4, values: vec!["soon".into()] }, Some(5)), []);
        // What a message tells of was before it, by a second at most.
        let told = || KeyFilter::In { column: 5, values: vec![millis(70), millis(20)] };
        assert_eq!(times(told(), None), bounds(Some(20), Some(1_070)));
        let between = KeyFilter::Between { column: 5, low: Some(millis(20)), high: Some(millis(70)) };
        assert_eq!(times(between, Some(5)), bounds(Some(20), Some(1_070)));
    }

    #[test]
    fn keys_of_messages_choose_partitions() {
        let keys =
            |values: &[&str]| KeyFilter::In { column: 6, values: values.iter().map(|key| (*key).into()).collect() };
        let here = |key: &&str| Partitioner::Murmur2.partition(key.as_bytes(), 4) == Some(3);
        let all = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let (here, elsewhere): (Vec<&str>, Vec<&str>) = all.iter().partition(|key| here(key));
        assert!(!here.is_empty() && elsewhere.len() > 1);
        let whole = Some(vec![(0, 100), (200, 300)]);
        assert_eq!(of(&[keys(&elsewhere)]), None);
        assert_eq!(of(&[keys(&all)]), whole);
        assert_eq!(of(&[keys(&here)]), whole);
        assert_eq!(of(&[keys(&[""])]), whole, "producers put an empty key anywhere");
        let between = KeyFilter::Between { column: 6, low: Some("a".into()), high: Some("b".into()) };
        assert_eq!(of(&[between]), whole);
    }

    #[test]
    fn what_kafka_does_not_find_stays() {
        let all = Some(vec![(0, 100), (200, 300)]);
        let other = KeyFilter::In { column: 1, values: vec![5_i64.into()] };
        assert_eq!(of(&[other]), all);
        // A key that is no integer may be equal to one after a conversion that is the join's business.
        assert_eq!(of(&[KeyFilter::In { column: 2, values: vec!["7".into()] }]), all);
        let seven = KeyFilter::In { column: 2, values: vec![7_i64.into()] };
        assert_eq!(narrow(split(Some(5)), &[seven]).unwrap(), Narrowed::Unchanged);
    }
}
