//! Tables that Spark made with `USING parquet`: their true columns are in table parameters, as JSON, with the case of
//! names kept. What the metastore itself says of their columns may be a stand-in.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, TimeUnit};
use serde_json::Value;

use crate::metastore::types::{arrow_type, list, map, structure};

const PROVIDER: &str = "spark.sql.sources.provider";
const SCHEMA: &str = "spark.sql.sources.schema";
const PARTITION_PROVIDER: &str = "spark.sql.partitionProvider";

/// The most parts that a schema may be cut into.
const MAX_PARTS: usize = 10_000;

/// A column of Spark's.
#[derive(Clone, Debug)]
pub(crate) struct SparkColumn {
    pub(crate) name: String,
    /// The type that it is read as, or why it cannot be.
    pub(crate) data_type: Result<DataType, String>,
    /// Spark's own name of the type.
    pub(crate) source_type: String,
    pub(crate) comment: Option<String>,
}

/// What Spark's parameters say of a table.
#[derive(Clone, Debug)]
pub(crate) struct SparkTable {
    /// The format, in lower case, such as `parquet` or `delta`.
    pub(crate) provider: String,
    /// All columns, partition columns among them; none where the parameters do not say.
    pub(crate) columns: Vec<SparkColumn>,
    /// From the outermost directory inwards.
    pub(crate) partition_columns: Vec<String>,
    /// Whether the partitions are in the metastore; otherwise only the directories tell.
    pub(crate) partitions_in_metastore: bool,
}

/// Reads the parameters of a table; `None` for one that Spark does not consider its own. An error says what is wrong.
pub(crate) fn read(parameters: &BTreeMap<String, String>) -> Result<Option<SparkTable>, String> {
    let Some(provider) = parameters.get(PROVIDER).map(|provider| provider.to_ascii_lowercase()) else {
        return Ok(None);
    };
    // Spark's name for tables of Hive's own formats.
    if provider == "hive" {
        return Ok(None);
    }
    let columns = match in_parts(parameters, SCHEMA, "numParts", "part")? {
        Some(text) => schema(&text)?,
        None => Vec::new(),
    };
    Ok(Some(SparkTable {
        provider,
        columns,
        partition_columns: listed(parameters, &format!("{SCHEMA}.numPartCols"), &format!("{SCHEMA}.partCol"))?,
        partitions_in_metastore: parameters.get(PARTITION_PROVIDER).is_some_and(|provider| provider == "catalog"),
    }))
}

/// A long value, which Spark cuts up: `KEY`, or `KEY.numParts` and `KEY.part.N`.
fn in_parts(
    parameters: &BTreeMap<String, String>,
    key: &str,
    count: &str,
    part: &str,
) -> Result<Option<String>, String> {
    if let Some(whole) = parameters.get(key) {
        return Ok(Some(whole.clone()));
    }
    let parts = listed(parameters, &format!("{key}.{count}"), &format!("{key}.{part}"))?;
    Ok((!parts.is_empty()).then(|| parts.concat()))
}

fn listed(parameters: &BTreeMap<String, String>, count: &str, prefix: &str) -> Result<Vec<String>, String> {
    let Some(written) = parameters.get(count) else { return Ok(Vec::new()) };
    let parts: usize = written
        .parse()
        .ok()
        .filter(|parts| *parts <= MAX_PARTS)
        .ok_or_else(|| format!("the table parameter {count} is `{written}`"))?;
    (0..parts)
        .map(|part| {
            let name = format!("{prefix}.{part}");
            parameters.get(&name).cloned().ok_or_else(|| format!("the table parameter {name} is missing"))
        })
        .collect()
}

fn schema(text: &str) -> Result<Vec<SparkColumn>, String> {
    let wrong = || "the table parameter spark.sql.sources.schema is no schema of Spark's".to_owned();
    let json: Value = serde_json::from_str(text).map_err(|error| format!("{}: {error}", wrong()))?;
    let fields = json.get("fields").and_then(Value::as_array).ok_or_else(wrong)?;
    fields
        .iter()
        .map(|field| {
            let written = field.get("type").ok_or_else(wrong)?;
            let metadata = field.get("metadata");
            let comment = metadata.and_then(|metadata| metadata.get("comment")).and_then(Value::as_str);
            Ok(SparkColumn {
                name: text_of(field, "name").ok_or_else(wrong)?,
                data_type: data_type(written),
                source_type: written.as_str().map_or_else(|| kind(written), str::to_owned),
                comment: comment.map(str::to_owned),
            })
        })
        .collect()
}

fn text_of(json: &Value, key: &str) -> Option<String> {
    json.get(key)?.as_str().map(str::to_owned)
}

fn kind(json: &Value) -> String {
    text_of(json, "type").unwrap_or_else(|| json.to_string())
}

// The depth is bounded by that of the JSON document, which its parser bounds.
fn data_type(json: &Value) -> Result<DataType, String> {
    if let Some(name) = json.as_str() {
        return match name {
            "long" => Ok(DataType::Int64),
            "integer" => Ok(DataType::Int32),
            "short" => Ok(DataType::Int16),
            "byte" => Ok(DataType::Int8),
            "timestamp_ntz" => Ok(DataType::Timestamp(TimeUnit::Microsecond, None)),
            other => arrow_type(other).map_err(|_| format!("the type {other} of Spark has no counterpart here")),
        };
    }
    let inner = |key: &str| data_type(json.get(key).unwrap_or(&Value::Null));
    match kind(json).as_str() {
        "array" => Ok(list(inner("elementType")?)),
        "map" => Ok(map(inner("keyType")?, inner("valueType")?)),
        "struct" => {
            let fields = json.get("fields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let fields = fields
                .iter()
                .map(|field| {
                    let name = text_of(field, "name").ok_or("a field of a struct has no name")?;
                    Ok((name, data_type(field.get("type").unwrap_or(&Value::Null))?))
                })
                .collect::<Result<_, String>>()?;
            Ok(structure(fields))
        }
        other => Err(format!("the type {other} of Spark has no counterpart here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    // As Spark 3.5 writes it for CREATE TABLE t (Id BIGINT COMMENT 'key', Tags ARRAY<STRING>, Day DATE) PARTITIONED BY (Day).
    const EXAMPLE: &str = r#"{"type":"struct","fields":[
        {"name":"Id","type":"long","nullable":true,"metadata":{"comment":"key"}},
        {"name":"Tags","type":{"type":"array","elementType":"string","containsNull":true},"nullable":true,"metadata":{}},
        {"name":"Day","type":"date","nullable":true,"metadata":{}}]}"#;

    #[test]
    fn a_schema_in_one_piece_and_in_parts() {
        let whole = parameters(&[
            (PROVIDER, "PARQUET"),
            (SCHEMA, EXAMPLE),
            ("spark.sql.sources.schema.numPartCols", "1"),
            ("spark.sql.sources.schema.partCol.0", "Day"),
            (PARTITION_PROVIDER, "catalog"),
        ]);
        let table = read(&whole).unwrap().unwrap();
        assert_eq!(table.provider, "parquet");
        assert_eq!(table.partition_columns, ["Day"]);
        assert!(table.partitions_in_metastore);
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["Id", "Tags", "Day"]);
        assert_eq!(table.columns[0].comment.as_deref(), Some("key"));
        assert_eq!(table.columns[1].data_type, Ok(list(DataType::Utf8)));
        let (one, two) = EXAMPLE.split_at(100);
        let parts = parameters(&[
            (PROVIDER, "parquet"),
            ("spark.sql.sources.schema.numParts", "2"),
            ("spark.sql.sources.schema.part.0", one),
            ("spark.sql.sources.schema.part.1", two),
        ]);
        assert_eq!(read(&parts).unwrap().unwrap().columns.len(), 3);
    }

    #[test]
    fn what_is_not_spark_s_and_what_is_broken() {
        assert!(read(&parameters(&[("numRows", "1")])).unwrap().is_none());
        assert!(read(&parameters(&[(PROVIDER, "hive")])).unwrap().is_none());
        let missing = parameters(&[(PROVIDER, "parquet"), ("spark.sql.sources.schema.numParts", "1")]);
        assert_eq!(read(&missing).unwrap_err(), "the table parameter spark.sql.sources.schema.part.0 is missing");
        assert!(read(&parameters(&[(PROVIDER, "parquet"), (SCHEMA, "{}")])).is_err());
        let odd = parameters(&[
            (PROVIDER, "parquet"),
            (SCHEMA, r#"{"type":"struct","fields":[{"name":"v","type":"variant","nullable":true,"metadata":{}}]}"#),
        ]);
        let reason = read(&odd).unwrap().unwrap().columns[0].data_type.clone().unwrap_err();
        assert_eq!(reason, "the type variant of Spark has no counterpart here");
    }
}
