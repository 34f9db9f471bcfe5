//! The text of a partition value, as Hive writes it into the name of a directory and as it is read back.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use datafusion::common::ScalarValue;

use crate::names::NULL_PARTITION;

/// Days from 0001-01-01 to 1970-01-01.
const UNIX_EPOCH_FROM_CE: i32 = 719_163;

/// The text of a value; `None` for NULL, and for the empty text, which Hive cannot tell from NULL in a directory's name.
/// An error says why the value has no text.
pub(super) fn partition_text(value: &ScalarValue) -> Result<Option<String>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let text = match value {
        ScalarValue::Boolean(Some(value)) => value.to_string(),
        ScalarValue::Int8(Some(value)) => value.to_string(),
        ScalarValue::Int16(Some(value)) => value.to_string(),
        ScalarValue::Int32(Some(value)) => value.to_string(),
        ScalarValue::Int64(Some(value)) => value.to_string(),
        ScalarValue::Float32(Some(value)) => float(f64::from(*value), &format!("{value:?}")),
        ScalarValue::Float64(Some(value)) => float(*value, &format!("{value:?}")),
        ScalarValue::Decimal128(Some(value), _, scale) => decimal(*value, *scale),
        ScalarValue::Date32(Some(days)) => {
            let date = days.checked_add(UNIX_EPOCH_FROM_CE).and_then(NaiveDate::from_num_days_from_ce_opt);
            date.filter(|date| is_plain_year(date.year()))
                .map(|date| date.format("%Y-%m-%d").to_string())
                .ok_or("a date outside of the years 1 to 9999")?
        }
        ScalarValue::TimestampSecond(Some(seconds), None) => timestamp(DateTime::from_timestamp_secs(*seconds))?,
        ScalarValue::TimestampMillisecond(Some(millis), None) => timestamp(DateTime::from_timestamp_millis(*millis))?,
        ScalarValue::TimestampMicrosecond(Some(micros), None) => timestamp(DateTime::from_timestamp_micros(*micros))?,
        ScalarValue::TimestampNanosecond(Some(nanos), None) => timestamp(Some(DateTime::from_timestamp_nanos(*nanos)))?,
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            if text == NULL_PARTITION {
                return Err(format!("the text {NULL_PARTITION}, which stands for NULL in the name of a directory"));
            }
            text.clone()
        }
        other => return Err(format!("a value of type {}", other.data_type())),
    };
    Ok((!text.is_empty()).then_some(text))
}

/// Hive's words for numbers that are none; there is one zero.
fn float(value: f64, written: &str) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        value if value.is_infinite() => if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        0.0 => "0.0".to_owned(),
        _ => written.to_owned(),
    }
}

/// Hive leaves out zeros at the end of the fraction.
fn decimal(value: i128, scale: i8) -> String {
    let digits = usize::try_from(scale).unwrap_or_default();
    let sign = if value < 0 { "-" } else { "" };
    let padded = format!("{:0>width$}", value.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = padded.split_at_checked(padded.len() - digits).unwrap_or((&padded, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn is_plain_year(year: i32) -> bool {
    (1..=9999).contains(&year)
}

/// `2026-10-01 12:00:00`, with a fraction where there is one.
fn timestamp(time: Option<DateTime<Utc>>) -> Result<String, String> {
    let time = time.filter(|time| is_plain_year(time.year())).ok_or("a time outside of the years 1 to 9999")?;
    let whole = time.format("%Y-%m-%d %H:%M:%S").to_string();
    let fraction = format!("{:09}", time.nanosecond());
    Ok(match fraction.trim_end_matches('0') {
        "" => whole,
        fraction => format!("{whole}.{fraction}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{parse_partition, partition_directory};
    use crate::types::parse_value;

    fn texts(text: &str) -> ScalarValue {
        ScalarValue::Utf8View(Some(text.to_owned()))
    }

    #[test]
    fn a_value_comes_back_from_the_name_of_its_directory() {
        let nasty = [
            "a b",
            " a ",
            "a/b",
            "k=v",
            "a:b",
            "50%",
            "%41",
            "x#y",
            "a+b",
            "{b}",
            "[c]",
            "it's",
            "\"q\"",
            "ü é",
            "日本",
            "tab\there",
            "line\nfeed",
            "\u{1}\u{7f}",
            "a\\b",
            "a*b?",
            "^",
            "..",
            ".",
            "_hidden",
            "~",
            "\u{1F600}",
            "a,b;c",
        ];
        let mut values: Vec<ScalarValue> = nasty.iter().map(|text| texts(text)).collect();
        values.extend([
            ScalarValue::Boolean(Some(true)),
            ScalarValue::Int8(Some(i8::MIN)),
            ScalarValue::Int64(Some(i64::MIN)),
            ScalarValue::Int32(Some(7)),
            ScalarValue::Float64(Some(1e300)),
            ScalarValue::Float64(Some(-0.1)),
            ScalarValue::Float64(Some(f64::INFINITY)),
            ScalarValue::Float32(Some(16_777_216.0)),
            ScalarValue::Decimal128(Some(-5), 12, 2),
            ScalarValue::Decimal128(Some(150), 12, 2),
            ScalarValue::Decimal128(Some(i128::from(i64::MAX) * 1_000_000_000), 38, 0),
            ScalarValue::Date32(Some(20_727)),
            ScalarValue::Date32(Some(-719_162)),
            ScalarValue::TimestampMicrosecond(Some(1_500_000), None),
            ScalarValue::TimestampMicrosecond(Some(-1), None),
            ScalarValue::TimestampMicrosecond(Some(1_790_000_000_000_000), None),
            ScalarValue::TimestampSecond(Some(-62_135_596_800), None),
            ScalarValue::TimestampMillisecond(Some(1_790_000_000_007), None),
            ScalarValue::TimestampNanosecond(Some(i64::MIN), None),
            ScalarValue::TimestampNanosecond(Some(1_790_000_000_000_000_001), None),
        ]);
        for value in values {
            let text = partition_text(&value).unwrap();
            let directory = partition_directory("k=y", text.as_deref());
            assert!(object_store::path::Path::parse(&directory).is_ok(), "{directory}");
            let (key, read) = parse_partition(&directory).unwrap();
            assert_eq!(key, "k=y");
            assert_eq!(parse_value(&read.unwrap(), &value.data_type()), Some(value), "{directory}");
        }
    }

    #[test]
    fn every_character_comes_back() {
        for code in (1..=0x2fff_u32).chain(0x1F600..0x1F650) {
            let Some(c) = char::from_u32(code) else { continue };
            for text in [format!("{c}"), format!("a{c}{c}b"), format!("%{c}"), format!("{c}41")] {
                let directory = partition_directory("k", partition_text(&texts(&text)).unwrap().as_deref());
                assert_eq!(parse_partition(&directory), Some(("k".to_owned(), Some(text.clone()))), "{directory}");
            }
        }
    }

    #[test]
    fn null_and_the_empty_text_are_the_same() {
        assert_eq!(partition_text(&texts("")), Ok(None));
        assert_eq!(partition_text(&ScalarValue::Int32(None)), Ok(None));
        assert!(partition_text(&texts(NULL_PARTITION)).is_err());
    }

    #[test]
    fn texts_are_those_of_hive() {
        for (value, text) in [
            (ScalarValue::Decimal128(Some(1500), 6, 3), "1.5"),
            (ScalarValue::Decimal128(Some(-1), 3, 2), "-0.01"),
            (ScalarValue::Float64(Some(-0.0)), "0.0"),
            (ScalarValue::TimestampMicrosecond(Some(0), None), "1970-01-01 00:00:00"),
            (ScalarValue::TimestampMicrosecond(Some(120_000), None), "1970-01-01 00:00:00.12"),
            (ScalarValue::Date32(Some(0)), "1970-01-01"),
        ] {
            assert_eq!(partition_text(&value).unwrap().as_deref(), Some(text));
        }
        assert!(partition_text(&ScalarValue::Date32(Some(i32::MAX))).is_err());
    }
}
