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

/// Whether casting a timestamp of milliseconds to this type keeps the instant.
pub(crate) fn keeps_millis(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => false,
        DataType::Timestamp(_, zone) => is_utc(zone.as_deref()),
        _ => false,
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
