//! The formats of files, each behind the same seam: how the columns are found in samples, how a scan's source is
//! built, and which domain its columns have, which decides by what filters they are pruned ([`crate::rules`]).
//!
//! * `options`: what the catalog file says of a format; `detect`: the format by a file's extension.
//! * `parquet`, `avro`, `orc`: formats with a schema of their own, of which `adapt` makes the table's. `csv`, `json`: text, whose values are read by `values`
//!   and whose types are inferred by `infer`.
//! * `source`: the source of all formats but Parquet, and `ruled_out` the files that it need not open; `input` and `codec`: a file's bytes, decompressed; `records`:
//!   from bytes to batches; `fault`: what is wrong with a file, and where.

mod adapt;
mod avro;
mod codec;
mod csv;
mod detect;
mod fault;
mod infer;
mod input;
mod json;
mod nested;
mod options;
mod orc;
mod parquet;
mod records;
mod ruled_out;
mod source;
mod values;

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::table_schema::TableSchema;
use object_store::ObjectMeta;
use portolan_connector::{ConnectorError, Domain, Result};

use crate::adapter::LakeAdapterFactory;
use crate::rules::{AVRO, CSV, JSON, ORC};
use crate::schema::{FileColumn, FileSchema, read_schema};
use crate::store::Files;
use crate::types::sql_name;

pub(crate) use codec::{CODECS, Codec};
pub(crate) use csv::{CsvFormat, HEADERS, Header, LEVELS, ROW_LENGTHS, Separators};
pub(crate) use detect::{Kind, check_kinds, data_extension};
pub(crate) use fault::{Fault, fault_of};
pub(crate) use json::JsonFormat;
pub(crate) use options::{FORMATS, FormatSettings, byte_of};
pub(crate) use orc::READ_BYTES as ORC_READ_BYTES;

use source::{RowFormat, RowSource};

/// The format of a table's files, with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Csv(CsvFormat),
    Json(JsonFormat),
    Avro,
    Orc,
}

impl Format {
    /// The name for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::Csv(_) => "CSV",
            Self::Json(_) => "JSON",
            Self::Avro => "Avro",
            Self::Orc => "ORC",
        }
    }

    /// The domain of the columns of files without statistics; `None` where the type of the column decides.
    pub(crate) fn domain(&self) -> Option<Domain> {
        match self {
            Self::Parquet => None,
            Self::Csv(_) => Some(CSV),
            Self::Json(_) => Some(JSON),
            Self::Avro => Some(AVRO),
            Self::Orc => Some(ORC),
        }
    }

    /// By what filters on columns of the files leave something out, for EXPLAIN; `None` where they do not.
    pub(crate) fn prunes_by(&self) -> Option<&'static str> {
        matches!(self, Self::Parquet).then_some("row-group and page statistics, bloom filters")
    }

    /// Whether a scan that nobody reads holds no request open: what is read of Parquet and of ORC is asked for part by part.
    pub(crate) fn pauses(&self) -> bool {
        matches!(self, Self::Parquet | Self::Orc)
    }

    /// Reads the columns from the samples, the newest first, `concurrency` of them at the same time.
    pub(crate) async fn read_schema(
        &self,
        store: &Files,
        samples: &[ObjectMeta],
        concurrency: usize,
    ) -> Result<FileSchema> {
        match self {
            Self::Parquet => read_schema(store, samples, concurrency).await,
            Self::Csv(format) => csv::read_schema(format, store, samples, concurrency).await,
            Self::Json(format) => json::read_schema(format, store, samples, concurrency).await,
            Self::Avro => avro::read_schema(store, samples, concurrency).await,
            Self::Orc => orc::read_schema(store, samples, concurrency).await,
        }
    }

    /// Checks that files of this format can have the columns. `declared` are those that the catalog file names,
    /// `partitions` the names of the partition columns.
    pub(crate) fn check(&self, declared: &[FileColumn], partitions: &[&str]) -> Result<()> {
        let text = match self {
            Self::Parquet | Self::Avro | Self::Orc => return Ok(()),
            Self::Csv(format) => {
                format.check(declared, partitions)?;
                "a CSV file"
            }
            Self::Json(_) => "a JSON file",
        };
        let binary = declared.iter().find(|column| matches!(column.field.data_type(), DataType::BinaryView));
        binary.map_or(Ok(()), |column| {
            Err(ConnectorError::user(format!(
                "the column `{}` cannot be of type {}: {text} holds text",
                column.field.name(),
                sql_name(column.field.data_type())
            ))
            .hint("declare it as varchar and decode it in the query"))
        })
    }

    /// The source of a scan over files with the columns of `schema`; `adapter` says how those of a file become these.
    pub(crate) fn source(
        &self,
        schema: &TableSchema,
        files: &Files,
        session: &dyn Session,
        adapter: LakeAdapterFactory,
    ) -> Result<Arc<dyn FileSource>> {
        let format: Arc<dyn RowFormat> = match self {
            Self::Parquet => return parquet::source(schema, files, session),
            Self::Csv(format) => Arc::new(format.clone()),
            Self::Json(format) => Arc::new(format.clone()),
            Self::Avro => Arc::new(avro::AvroFormat { adapter }),
            Self::Orc => Arc::new(orc::OrcFormat { adapter }),
        };
        Ok(Arc::new(RowSource::new(schema.clone(), format, adapter.rules.null_on_mismatch)))
    }

    /// How Hive's CREATE TABLE says it.
    pub(crate) fn hive_clause(&self) -> String {
        match self {
            Self::Parquet => "STORED AS PARQUET".to_owned(),
            Self::Csv(format) => format.hive_clause(),
            Self::Json(_) => {
                "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.JsonSerDe'\nSTORED AS TEXTFILE".to_owned()
            }
            Self::Avro => "STORED AS AVRO".to_owned(),
            Self::Orc => "STORED AS ORC".to_owned(),
        }
    }

    /// What to check when a file cannot be read.
    pub(crate) fn advice(&self) -> String {
        match self {
            Self::Parquet => "check that the file is a whole Parquet file of this table".to_owned(),
            other => format!(
                "check that the file is a whole {} file of this table, and `format` in the table's section of the catalog file",
                other.name()
            ),
        }
    }
}

/// The columns that a schema inferred from text has, as columns of files.
fn inferred_columns(columns: Vec<(String, infer::Inferred)>) -> Vec<FileColumn> {
    columns
        .into_iter()
        .map(|(name, inferred)| {
            let data_type = inferred.data_type();
            let source_type = format!("{} (inferred)", sql_name(&data_type));
            FileColumn { field: Arc::new(arrow::datatypes::Field::new(name, data_type, true)), source_type }
        })
        .collect()
}

/// The columns of a schema at the given places, in that order.
fn project(schema: &Schema, places: &[usize]) -> Arc<Schema> {
    let fields: Vec<_> = places.iter().filter_map(|place| schema.fields().get(*place).cloned()).collect();
    Arc::new(Schema::new(fields))
}
