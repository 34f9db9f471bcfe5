//! Hive's names of types: `decimal(12,2)`, `map<string,array<int>>`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

use crate::types::parse_type;

/// How deep types may be nested.
const MAX_DEPTH: usize = 32;

/// The Arrow type that a column of a Hive type is read as, or why there is none.
pub(crate) fn arrow_type(hive: &str) -> Result<DataType, String> {
    parse(hive, 0)
}

/// Text and bytes within lists and structs are not views: the reader would have to copy them.
pub(super) fn nested(data_type: DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other,
    }
}

/// The type of a list. The elements are called as Spark calls them in its files.
pub(super) fn list(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", nested(element), true)))
}

/// The type of a map.
pub(super) fn map(key: DataType, value: DataType) -> DataType {
    let entries = Fields::from(vec![Field::new("key", nested(key), false), Field::new("value", nested(value), true)]);
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries), false)), false)
}

/// The type of a struct.
pub(super) fn structure(fields: Vec<(String, DataType)>) -> DataType {
    let fields: Vec<Field> =
        fields.into_iter().map(|(name, data_type)| Field::new(name, nested(data_type), true)).collect();
    DataType::Struct(Fields::from(fields))
}

fn parse(hive: &str, depth: usize) -> Result<DataType, String> {
    let hive = hive.trim();
    let unknown = || Err(format!("the type {hive} of Hive has no counterpart here"));
    if depth > MAX_DEPTH {
        return unknown();
    }
    if let Some((word, inner)) = parameters(hive) {
        let parts = split(inner);
        let inner = |part: &str| parse(part, depth + 1);
        return match (word.as_str(), parts.as_slice()) {
            ("array", [element]) => Ok(list(inner(element)?)),
            ("map", [key, value]) => Ok(map(inner(key)?, inner(value)?)),
            ("struct", fields) => {
                let fields = fields
                    .iter()
                    .map(|field| {
                        let (name, data_type) = field
                            .split_once(':')
                            .ok_or_else(|| format!("the type {hive} has a field without a type"))?;
                        Ok((name.trim().trim_matches('`').to_owned(), inner(data_type)?))
                    })
                    .collect::<Result<_, String>>()?;
                Ok(structure(fields))
            }
            _ => unknown(),
        };
    }
    let lower = hive.to_ascii_lowercase();
    // Their lengths say what may be written; what is read is text.
    if lower.starts_with("varchar(") || lower.starts_with("char(") {
        return Ok(DataType::Utf8View);
    }
    match lower.as_str() {
        // Without parameters Hive means whole numbers.
        "decimal" => Ok(DataType::Decimal128(10, 0)),
        "timestamp with local time zone" => Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        _ => parse_type(&lower).or_else(|| timestamp(&lower)).map_or_else(unknown, Ok),
    }
}

/// SQL's name of a timestamp that Hive has no name for: `timestamp(9)`, `timestamp(6) with time zone`.
fn timestamp(lower: &str) -> Option<DataType> {
    let (digits, rest) = lower.strip_prefix("timestamp(")?.split_once(')')?;
    let unit = match digits {
        "0" => TimeUnit::Second,
        "3" => TimeUnit::Millisecond,
        "6" => TimeUnit::Microsecond,
        "9" => TimeUnit::Nanosecond,
        _ => return None,
    };
    match rest {
        "" => Some(DataType::Timestamp(unit, None)),
        " with time zone" => Some(DataType::Timestamp(unit, Some("UTC".into()))),
        _ => None,
    }
}

/// `map` and `k,v` of `map<k,v>`.
fn parameters(hive: &str) -> Option<(String, &str)> {
    let (word, rest) = hive.split_once('<')?;
    Some((word.trim().to_ascii_lowercase(), rest.strip_suffix('>')?))
}

/// The parts between the commas that stand in no brackets.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut depth = 0_i32;
    let mut rest = text;
    let mut start = 0;
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
                rest = text.get(start..).unwrap_or_default();
            }
            _ => {}
        }
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_types() {
        for (hive, wanted) in [
            ("int", DataType::Int32),
            ("BIGINT", DataType::Int64),
            ("float", DataType::Float32),
            ("string", DataType::Utf8View),
            ("varchar(10)", DataType::Utf8View),
            ("char(3)", DataType::Utf8View),
            ("binary", DataType::BinaryView),
            ("decimal", DataType::Decimal128(10, 0)),
            ("decimal(12,2)", DataType::Decimal128(12, 2)),
            ("date", DataType::Date32),
            ("timestamp", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ] {
            assert_eq!(arrow_type(hive), Ok(wanted), "{hive}");
        }
    }

    #[test]
    fn nested_types() {
        let inner = structure(vec![
            ("a".to_owned(), DataType::Decimal128(12, 2)),
            ("b".to_owned(), map(DataType::Utf8, list(DataType::Int32))),
        ]);
        assert_eq!(arrow_type("array<struct<a:decimal(12,2),b:map<string,array<int>>>>"), Ok(list(inner)));
    }

    #[test]
    fn what_has_no_counterpart_says_so() {
        for hive in
            ["uniontype<int,string>", "interval_day_time", "array<void>", "array<int", "struct<a>", "map<int>", ""]
        {
            let reason = arrow_type(hive).unwrap_err();
            assert!(reason.contains("the type "), "{hive}: {reason}");
        }
        assert!(arrow_type(&format!("{}int{}", "array<".repeat(100), ">".repeat(100))).is_err());
    }
}
