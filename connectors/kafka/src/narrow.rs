//! Splits without messages that have no partner in a join, once its keys are known.

use datafusion::common::ScalarValue;
use portolan_connector::{KeyFilter, Narrowed, Result};

use crate::range::Ranges;
use crate::split::KafkaSplit;

/// What is read in place of a split when these filters are known: fewer offsets, or nothing. Kafka finds nothing else by its value.
pub(crate) fn narrow(split: KafkaSplit, filters: &[KeyFilter]) -> Result<Narrowed> {
    // The first messages are others when some are left out.
    if split.limit.is_some() {
        return Ok(Narrowed::Unchanged);
    }
    let whole = Ranges::union_of(&split.ranges);
    let mut kept = whole.clone();
    for filter in filters {
        let Some(column) = filter.column() else { return Ok(Narrowed::Nothing) };
        if split.partition_column == Some(column) && !numbers(filter).contains(i128::from(split.partition)) {
            return Ok(Narrowed::Nothing);
        }
        if split.offset_column == Some(column) {
            kept = kept.intersect(&numbers(filter));
        }
    }
    if kept == whole {
        return Ok(Narrowed::Unchanged);
    }
    let ends = |(start, end)| Some((i64::try_from(start).ok()?, i64::try_from(end).ok()?));
    let ranges: Vec<(i64, i64)> = kept.iter().filter_map(ends).collect();
    if ranges.is_empty() {
        return Ok(Narrowed::Nothing);
    }
    KafkaSplit { ranges, ..split }.pack().map(Narrowed::To)
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
    use crate::decode::OnError;

    fn split(limit: Option<usize>) -> KafkaSplit {
        KafkaSplit {
            table: TableName::new("k", "default", "t"),
            topic: "t".to_owned(),
            partition: 3,
            ranges: vec![(0, 100), (200, 300)],
            values: Vec::new(),
            on_error: OnError::Fail,
            limit,
            partition_column: Some(0),
            offset_column: Some(2),
        }
    }

    fn of(filters: &[KeyFilter]) -> Option<Vec<(i64, i64)>> {
        match narrow(split(None), filters).unwrap() {
            Narrowed::Unchanged => Some(vec![(0, 100), (200, 300)]),
            Narrowed::Nothing => None,
            Narrowed::To(split) => Some(KafkaSplit::unpack(&split).unwrap().ranges),
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
