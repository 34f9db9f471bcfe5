//! Timestamp constants as milliseconds, the unit of Kafka's time index.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;

/// The last millisecond not after a timestamp and the first one not before it; `None` for anything but a timestamp
/// without a zone or in UTC. Times of messages are in UTC.
pub(crate) fn millis_around(value: &ScalarValue) -> Option<(i64, i64)> {
    let (units, per_milli, zone) = match value {
        ScalarValue::TimestampSecond(Some(seconds), zone) => (seconds.checked_mul(1000)?, 1, zone),
        ScalarValue::TimestampMillisecond(Some(units), zone) => (*units, 1, zone),
        ScalarValue::TimestampMicrosecond(Some(units), zone) => (*units, 1_000, zone),
        ScalarValue::TimestampNanosecond(Some(units), zone) => (*units, 1_000_000, zone),
        _ => return None,
    };
    if !is_utc(zone.as_deref()) {
        return None;
    }
    let floor = units.div_euclid(per_milli);
    let ceiling = if units.rem_euclid(per_milli) == 0 { floor } else { floor.checked_add(1)? };
    Some((floor, ceiling))
}

/// Whether a cast from one type of timestamp to another keeps the instant: to a unit that is as fine, both in UTC.
pub(crate) fn keeps_instant(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Timestamp(from, of_from), DataType::Timestamp(to, of_to)) => {
            digits(*from) <= digits(*to) && is_utc(of_from.as_deref()) && is_utc(of_to.as_deref())
        }
        _ => false,
    }
}

/// Digits of a second's fraction.
fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn is_utc(zone: Option<&str>) -> bool {
    zone.is_none_or(|zone| matches!(zone, "UTC" | "utc" | "Z" | "+00:00" | "+00" | "+0000" | "Etc/UTC"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_enclosed_by_milliseconds() {
        let nanos = |units| ScalarValue::TimestampNanosecond(Some(units), None);
        assert_eq!(millis_around(&nanos(1_500_000)), Some((1, 2)));
        assert_eq!(millis_around(&nanos(2_000_000)), Some((2, 2)));
        assert_eq!(millis_around(&nanos(-1)), Some((-1, 0)));
        assert_eq!(millis_around(&ScalarValue::TimestampSecond(Some(3), Some("+00:00".into()))), Some((3000, 3000)));
        assert_eq!(millis_around(&ScalarValue::TimestampMillisecond(Some(7), Some("+02:00".into()))), None);
        assert_eq!(millis_around(&ScalarValue::TimestampSecond(Some(i64::MAX), None)), None);
        assert_eq!(millis_around(&ScalarValue::Int64(Some(7))), None);
    }
}
