//! SQL names of types, and values read from the text of a directory name.

use arrow::compute::kernels::cast_utils::{parse_decimal, string_to_datetime};
use arrow::datatypes::{DataType, Decimal128Type, TimeUnit};
use chrono::{Datelike, NaiveDate, Utc};
use datafusion::common::ScalarValue;

/// Days from 0001-01-01 to 1970-01-01.
const UNIX_EPOCH_FROM_CE: i32 = 719_163;

/// The names that the catalog file may use, for messages.
pub(crate) const KNOWN_TYPES: &str =
    "boolean, tinyint, smallint, integer, bigint, real, double, decimal(p,s), date, timestamp, varchar, varbinary";

/// The Arrow type of a type's SQL name, as the catalog file writes it. Case does not matter.
pub(crate) fn parse_type(name: &str) -> Option<DataType> {
    let name = name.trim().to_ascii_lowercase();
    Some(match name.as_str() {
        "boolean" | "bool" => DataType::Boolean,
        "tinyint" => DataType::Int8,
        "smallint" => DataType::Int16,
        "int" | "integer" => DataType::Int32,
        "bigint" => DataType::Int64,
        "real" | "float" => DataType::Float32,
        "double" | "double precision" => DataType::Float64,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "varchar" | "text" | "string" => DataType::Utf8View,
        "varbinary" | "binary" => DataType::BinaryView,
        _ => return parse_decimal_type(&name),
    })
}

fn parse_decimal_type(name: &str) -> Option<DataType> {
    let (word, rest) = name.split_once('(')?;
    if !matches!(word.trim(), "decimal" | "numeric") {
        return None;
    }
    let inner = rest.strip_suffix(')')?;
    let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
    let precision: u8 = precision.trim().parse().ok()?;
    let scale: u8 = scale.trim().parse().ok()?;
    let fits = (1..=38).contains(&precision) && scale <= precision;
    fits.then_some(DataType::Decimal128(precision, i8::try_from(scale).ok()?))
}

/// The SQL name of an Arrow type; Arrow's own name where SQL has none.
pub(crate) fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => format!("decimal({p},{s})"),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "varchar".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "varbinary".to_owned()
        }
        other => other.to_string(),
    }
}

/// Whether a column of partition values may have the type.
pub(crate) fn is_partition_type(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal128(_, _)
            | DataType::Date32
            | DataType::Timestamp(_, None)
            | DataType::Utf8View
    )
}

/// The value that a directory name's text stands for, or `None` if the type has no such value. Zero-padded numbers
/// are numbers: `01` is 1.
pub(crate) fn parse_value(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Boolean => ScalarValue::Boolean(Some(match text.to_ascii_lowercase().as_str() {
            "true" => true,
            "false" => false,
            _ => return None,
        })),
        DataType::Int8 => ScalarValue::Int8(Some(text.parse().ok()?)),
        DataType::Int16 => ScalarValue::Int16(Some(text.parse().ok()?)),
        DataType::Int32 => ScalarValue::Int32(Some(text.parse().ok()?)),
        DataType::Int64 => ScalarValue::Int64(Some(text.parse().ok()?)),
        // The engine knows one zero and one NaN.
        DataType::Float32 => ScalarValue::Float32(Some(match text.parse().ok()? {
            0.0_f32 => 0.0,
            value if value.is_nan() => f32::NAN,
            value => value,
        })),
        DataType::Float64 => ScalarValue::Float64(Some(match text.parse().ok()? {
            0.0_f64 => 0.0,
            value if value.is_nan() => f64::NAN,
            value => value,
        })),
        DataType::Decimal128(precision, scale) => {
            ScalarValue::Decimal128(Some(decimal(text, *precision, *scale)?), *precision, *scale)
        }
        DataType::Date32 => ScalarValue::Date32(Some(days(text)?)),
        DataType::Timestamp(unit, None) => timestamp(text, *unit)?,
        DataType::Utf8View => ScalarValue::Utf8View(Some(text.to_owned())),
        _ => return None,
    })
}

/// A time without parts that the unit does not hold.
fn timestamp(text: &str, unit: TimeUnit) -> Option<ScalarValue> {
    let time = string_to_datetime(&Utc, text).ok()?;
    let in_unit = match unit {
        TimeUnit::Second => ScalarValue::TimestampSecond(Some(time.timestamp()), None),
        TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(Some(time.timestamp_millis()), None),
        TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(time.timestamp_micros()), None),
        TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(Some(time.timestamp_nanos_opt()?), None),
    };
    time.timestamp_subsec_nanos().is_multiple_of(nanos_of(unit)).then_some(in_unit)
}

/// How many nanoseconds a unit of time has.
pub(crate) const fn nanos_of(unit: TimeUnit) -> u32 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// A decimal that needs no rounding to fit.
pub(crate) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction).trim_end_matches('0');
    if text.contains(['e', 'E']) || fraction.len() > usize::try_from(scale).ok()? {
        return None;
    }
    parse_decimal::<Decimal128Type>(text, precision, scale).ok()
}

pub(crate) fn days(text: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    date.num_days_from_ce().checked_sub(UNIX_EPOCH_FROM_CE)
}

/// The narrowest of bigint, date and varchar that all values have. No value at all is varchar.
pub(crate) fn infer_type<'a>(values: impl IntoIterator<Item = &'a str>) -> DataType {
    let mut any = false;
    let (mut integers, mut dates) = (true, true);
    for value in values {
        any = true;
        integers = integers && is_integer(value);
        dates = dates && value.len() == "2026-10-01".len() && days(value).is_some();
        if !integers && !dates {
            break;
        }
    }
    match (any, integers, dates) {
        (true, true, _) => DataType::Int64,
        (true, _, true) => DataType::Date32,
        _ => DataType::Utf8View,
    }
}

/// Digits with an optional minus sign, within bigint. A plus sign is no number that a writer produces.
fn is_integer(text: &str) -> bool {
    !text.starts_with('+') && text.parse::<i64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names() {
        assert_eq!(parse_type(" BigInt "), Some(DataType::Int64));
        assert_eq!(parse_type("decimal(12, 2)"), Some(DataType::Decimal128(12, 2)));
        assert_eq!(parse_type("numeric(9)"), Some(DataType::Decimal128(9, 0)));
        for wrong in ["decimal(39,0)", "decimal(5,6)", "decimal(0,0)", "decimal", "money", ""] {
            assert_eq!(parse_type(wrong), None, "{wrong}");
        }
        for name in ["boolean", "tinyint", "smallint", "integer", "bigint", "real", "double", "date", "varchar"] {
            assert_eq!(sql_name(&parse_type(name).unwrap()), name);
        }
    }

    #[test]
    fn values() {
        let value = |text: &str, name: &str| parse_value(text, &parse_type(name).unwrap()).map(|v| v.to_string());
        assert_eq!(value("01", "integer").as_deref(), Some("1"));
        assert_eq!(value("-128", "tinyint").as_deref(), Some("-128"));
        assert_eq!(value("128", "tinyint"), None);
        assert_eq!(value("", "integer"), None);
        assert_eq!(parse_value("2026-10-01", &DataType::Date32), Some(ScalarValue::Date32(Some(20_727))));
        assert_eq!(value("2026-02-30", "date"), None);
        assert_eq!(parse_value("1.50", &DataType::Decimal128(4, 1)), Some(ScalarValue::Decimal128(Some(15), 4, 1)));
        assert_eq!(value("1.55", "decimal(4,1)"), None, "rounding would change the value");
        assert_eq!(parse_value("-0", &DataType::Float64), Some(ScalarValue::Float64(Some(0.0))));
        assert_eq!(value("TRUE", "boolean").as_deref(), Some("true"));
        assert_eq!(value("yes", "boolean"), None);
        assert_eq!(
            parse_value("1970-01-01 00:00:01.5", &parse_type("timestamp").unwrap()),
            Some(ScalarValue::TimestampMicrosecond(Some(1_500_000), None))
        );
        let at = |text: &str, unit| parse_value(text, &DataType::Timestamp(unit, None));
        assert_eq!(
            at("1970-01-01 00:00:01.5", TimeUnit::Millisecond),
            Some(ScalarValue::TimestampMillisecond(Some(1500), None))
        );
        assert_eq!(at("1970-01-01 00:00:01", TimeUnit::Second), Some(ScalarValue::TimestampSecond(Some(1), None)));
        assert_eq!(
            at("1969-12-31 23:59:59.999999999", TimeUnit::Nanosecond),
            Some(ScalarValue::TimestampNanosecond(Some(-1), None))
        );
        for (finer, unit) in [
            ("1970-01-01 00:00:01.5", TimeUnit::Second),
            ("1970-01-01 00:00:01.0005", TimeUnit::Millisecond),
            ("1970-01-01 00:00:01.0000005", TimeUnit::Microsecond),
            ("2999-01-01 00:00:00", TimeUnit::Nanosecond),
        ] {
            assert_eq!(at(finer, unit), None, "{finer} in {unit:?} would be another time");
        }
    }

    #[test]
    fn inference() {
        assert_eq!(infer_type(["01", "02", "10"]), DataType::Int64);
        assert_eq!(infer_type(["-5", "9223372036854775807"]), DataType::Int64);
        assert_eq!(infer_type(["9223372036854775808"]), DataType::Utf8View);
        assert_eq!(infer_type(["2026-01-01", "2026-12-31"]), DataType::Date32);
        assert_eq!(infer_type(["2026-01-01", "2026-1-2"]), DataType::Utf8View);
        assert_eq!(infer_type(["2026-01-01", "20260102"]), DataType::Utf8View);
        assert_eq!(infer_type(["1", "b"]), DataType::Utf8View);
        assert_eq!(infer_type(["+1"]), DataType::Utf8View);
        assert_eq!(infer_type([]), DataType::Utf8View);
    }
}
