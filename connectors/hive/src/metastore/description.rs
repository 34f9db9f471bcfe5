//! From the metastore's description of a table to what a scan needs: columns, location, format. Tables that other engines
//! keep in a way of their own are refused by name: their raw files are not their rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use portolan_connector::{ConnectorError, Result, UnsupportedColumn};

use crate::format::{CsvFormat, Format, LEVELS};
use crate::metastore::calls::{HiveColumn, TableDescription, is_view};
use crate::metastore::format::format_of;
use crate::metastore::spark::{self, SparkTable};
use crate::metastore::types::arrow_type;
use crate::partition::PartitionColumn;
use crate::schema::FileColumn;
use crate::types::is_partition_type;

/// What a scan needs to know of a table.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// The columns of the files.
    pub(crate) columns: Vec<FileColumn>,
    pub(crate) comments: BTreeMap<String, String>,
    /// Hive's types by column name; none where they are a stand-in for Spark's.
    pub(crate) hive_types: BTreeMap<String, String>,
    pub(crate) unsupported: Vec<UnsupportedColumn>,
    /// From the outermost directory inwards.
    pub(crate) partition_columns: Vec<PartitionColumn>,
    /// Whether the metastore knows the partitions. If not, the directories below `location` are they.
    pub(crate) partitions_in_metastore: bool,
    /// A URL, or a path.
    pub(crate) location: String,
    /// The format of the files.
    pub(crate) format: Format,
    /// The format of the partitions that is expected; `None` where each file's format is the table's, whatever the
    /// metastore says of a partition.
    pub(crate) partition_format: Option<Format>,
}

/// One column before it is known whether it is in the files or in the names of directories.
struct SomeColumn {
    name: String,
    data_type: std::result::Result<DataType, String>,
    source_type: String,
    comment: Option<String>,
}

/// Describes a table, or says why it is not read.
pub(crate) fn describe(table: &TableDescription) -> Result<Described> {
    refuse(table)?;
    let spark = spark::read(&table.parameters).map_err(|reason| {
        ConnectorError::source("cannot understand what Spark wrote of the table's columns").said(reason)
    })?;
    let format = format_of(&table.storage, &table.parameters, spark.as_ref()).map_err(|reason| {
        ConnectorError::user(reason)
            .hint("of the tables of a metastore those in Parquet, text, JSON lines and Avro files are read")
    })?;
    let columns = match &spark {
        Some(spark) if !spark.columns.is_empty() => spark_columns(spark),
        _ => table.storage.columns.iter().chain(&table.partition_keys).map(hive_column).collect(),
    };
    let in_metastore = !table.partition_keys.is_empty();
    let partition_names: Vec<String> = match &spark {
        Some(spark) if !in_metastore && !spark.partitions_in_metastore => spark.partition_columns.clone(),
        _ => table.partition_keys.iter().map(|key| key.name.clone()).collect(),
    };
    let mut described = Described {
        columns: Vec::new(),
        comments: BTreeMap::new(),
        hive_types: BTreeMap::new(),
        unsupported: Vec::new(),
        partition_columns: Vec::new(),
        partitions_in_metastore: in_metastore,
        location: location(table, spark.as_ref())?,
        partition_format: spark.is_none().then(|| format.clone()),
        format,
    };
    for name in &partition_names {
        let column = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            ConnectorError::source(format!("the metastore does not describe the partition column `{name}`"))
        })?;
        described.partition_columns.push(partition_column(column)?);
    }
    let is_open_csv = matches!(&described.format, Format::Csv(format) if format.open_csv);
    for mut column in columns {
        let is_partition = partition_names.iter().any(|name| name.eq_ignore_ascii_case(&column.name));
        if is_open_csv && !is_partition {
            // Whatever the metastore says, the class gives texts.
            (column.data_type, column.source_type) = (Ok(DataType::Utf8View), "string".to_owned());
        }
        if spark.is_none() {
            described.hive_types.insert(column.name.clone(), column.source_type.clone());
        }
        if let Some(comment) = column.comment {
            described.comments.insert(column.name.clone(), comment);
        }
        if is_partition {
            continue;
        }
        match column.data_type {
            Ok(data_type) => {
                if let Format::Csv(format) = &described.format {
                    in_text(&data_type, format).map_err(|reason| out_of_place(&column.name, &reason))?;
                }
                described.columns.push(FileColumn {
                    field: Arc::new(Field::new(&column.name, data_type, true)),
                    source_type: column.source_type,
                });
            }
            Err(reason) if matches!(described.format, Format::Csv(_)) => {
                return Err(out_of_place(&column.name, &reason));
            }
            Err(reason) => described.unsupported.push(UnsupportedColumn {
                name: column.name,
                source_type: column.source_type,
                reason,
            }),
        }
    }
    Ok(described)
}

/// Why no value of the type stands between two delimiters.
fn in_text(data_type: &DataType, format: &CsvFormat) -> std::result::Result<(), String> {
    let binary = |data_type: &DataType| matches!(data_type, DataType::BinaryView | DataType::Binary);
    if any_leaf(data_type, &binary) {
        return Err("text holds no varbinary".to_owned());
    }
    if !data_type.is_nested() {
        return Ok(());
    }
    if format.separators.is_none() {
        return Err("lists, maps and structs are read of text without an escape character".to_owned());
    }
    match levels(data_type) > LEVELS {
        true => Err(format!("it is nested in more than {LEVELS} levels, for which Hive has no characters")),
        false => Ok(()),
    }
}

// The depth is that of a type, which its parser bounds.
fn any_leaf(data_type: &DataType, wanted: &dyn Fn(&DataType) -> bool) -> bool {
    match data_type {
        DataType::List(field) | DataType::Map(field, _) => any_leaf(field.data_type(), wanted),
        DataType::Struct(fields) => fields.iter().any(|field| any_leaf(field.data_type(), wanted)),
        leaf => wanted(leaf),
    }
}

/// How many characters stand between the items of a value, one for each level; maps have two.
fn levels(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(field) | DataType::Map(field, _) => 1 + levels(field.data_type()),
        DataType::Struct(fields) => 1 + fields.iter().map(|field| levels(field.data_type())).max().unwrap_or(0),
        _ => 0,
    }
}

/// The columns of text are found by their places: none can be left out.
fn out_of_place(column: &str, reason: &str) -> ConnectorError {
    ConnectorError::user(format!("the column `{column}` of its text files cannot be read: {reason}"))
        .hint("rewrite the table as Parquet")
}

/// Refuses what is no table of plain files.
fn refuse(table: &TableDescription) -> Result<()> {
    let parameter = |name: &str| {
        // Writers do not agree on the case of keys and values.
        let mut entries = table.parameters.iter();
        entries.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_ascii_lowercase())
    };
    let provider = parameter("spark.sql.sources.provider").unwrap_or_default();
    let refused = |reason: String, hint: &str| Err(ConnectorError::user(reason).hint(hint));
    if is_view(&table.kind) {
        return refused(
            "it is a view, written in the SQL of Hive or Spark, which is not run here".to_owned(),
            "query the tables that the view reads",
        );
    }
    if parameter("table_type").is_some_and(|kind| kind == "iceberg") || provider == "iceberg" {
        return refused(
            "it is an Iceberg table, and there is no connector for Iceberg yet".to_owned(),
            "its files hold deleted rows and old versions as well, so they are not read as they are",
        );
    }
    if provider == "delta" || parameter("table_type").is_some_and(|kind| kind == "delta") {
        return refused(
            "it is a Delta Lake table, and there is no connector for Delta Lake yet".to_owned(),
            "its files hold deleted rows and old versions as well, so they are not read as they are",
        );
    }
    if provider == "hudi" || table.storage.input_format.contains(".hudi.") {
        return refused(
            "it is a Hudi table, and there is no connector for Hudi".to_owned(),
            "its files hold old versions of rows as well, so they are not read as they are",
        );
    }
    if parameter("transactional").is_some_and(|value| value == "true") {
        return refused(
            "it is a transactional table of Hive (ACID), which only Hive reads".to_owned(),
            "its files hold deleted rows as well; copy it into an external table to read it here",
        );
    }
    Ok(())
}

/// Where the table is. Of its own tables Spark writes the true place beside the SerDe, and may leave a stand-in in the usual
/// one.
fn location(table: &TableDescription, spark: Option<&SparkTable>) -> Result<String> {
    let of_spark = spark.and_then(|_| table.storage.serde_parameters.get("path").cloned());
    of_spark
        .or_else(|| table.storage.location.clone())
        .ok_or_else(|| ConnectorError::source("the metastore does not say where the table is"))
}

fn hive_column(column: &HiveColumn) -> SomeColumn {
    SomeColumn {
        name: column.name.clone(),
        data_type: arrow_type(&column.hive_type),
        source_type: column.hive_type.clone(),
        comment: column.comment.clone(),
    }
}

fn spark_columns(spark: &SparkTable) -> Vec<SomeColumn> {
    spark
        .columns
        .iter()
        .map(|column| SomeColumn {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            source_type: column.source_type.clone(),
            comment: column.comment.clone(),
        })
        .collect()
}

fn partition_column(column: &SomeColumn) -> Result<PartitionColumn> {
    match &column.data_type {
        Ok(data_type) if is_partition_type(data_type) => {
            Ok(PartitionColumn { name: column.name.clone(), data_type: data_type.clone(), declared: true, distinct: 0 })
        }
        _ => Err(ConnectorError::user(format!(
            "it is partitioned by `{}` of type {}, which has no values here",
            column.name, column.source_type
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metastore::calls::Storage;

    fn table(kind: &str, serde: &str, parameters: &[(&str, &str)]) -> TableDescription {
        TableDescription {
            kind: kind.to_owned(),
            storage: Storage {
                columns: vec![column("a", "bigint"), column("u", "uniontype<int>")],
                location: Some("file:/lake/t".to_owned()),
                serde: serde.to_owned(),
                ..Storage::default()
            },
            partition_keys: vec![column("day", "date")],
            parameters: parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }
    }

    fn column(name: &str, hive_type: &str) -> HiveColumn {
        HiveColumn { name: name.to_owned(), hive_type: hive_type.to_owned(), comment: None }
    }

    const PARQUET: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";

    #[test]
    fn columns_of_a_table_of_hive_s() {
        let described = describe(&table("EXTERNAL_TABLE", PARQUET, &[])).unwrap();
        assert_eq!(described.columns[0].source_type, "bigint");
        assert_eq!(described.partition_columns[0].data_type, DataType::Date32);
        assert!(described.partitions_in_metastore);
        assert_eq!(described.unsupported[0].name, "u");
        assert_eq!(described.location, "file:/lake/t");
    }

    #[test]
    fn what_is_refused_and_why() {
        for (kind, serde, parameters, reason) in [
            ("VIRTUAL_VIEW", "", &[][..], "it is a view"),
            ("EXTERNAL_TABLE", PARQUET, &[("table_type", "ICEBERG")], "Iceberg"),
            ("EXTERNAL_TABLE", PARQUET, &[("spark.sql.sources.provider", "DELTA")], "Delta Lake"),
            ("EXTERNAL_TABLE", PARQUET, &[("spark.sql.sources.provider", "hudi")], "Hudi"),
            ("MANAGED_TABLE", PARQUET, &[("transactional", "TRUE")], "ACID"),
            ("MANAGED_TABLE", "org.apache.hadoop.hive.serde2.RegexSerDe", &[], "not read: a format of their own"),
            (
                "MANAGED_TABLE",
                "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                &[],
                "the column `u` of its text files",
            ),
            ("EXTERNAL_TABLE", PARQUET, &[("spark.sql.sources.provider", "csv")], "the format csv of Spark"),
        ] {
            let error = describe(&table(kind, serde, parameters)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
