//! The columns of a table's files.
//!
//! They are the union of the columns of a few files spread over the table (`schema_files`), in the order of the
//! newest. A column that the files have with different types gets the type that holds the values of both, if there is
//! one, or else the newest file's; reading a file that does not fit is an error that names the file and the column.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use datafusion::datasource::physical_plan::parquet::Int96Coercer;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::schema::types::Type;
use portolan_connector::{ConnectorError, Result, UnsupportedColumn};

use crate::adapter::find_column;
use crate::footers::FootersOf;
use crate::statistics::{Range, extreme, ranges};
use crate::store::{Files, Pinned};
use crate::widen::common;

/// How many bytes at the end of a file are read at first, in the hope that the footer is among them.
pub(crate) const FOOTER_BYTES: usize = 512 * 1024;
/// What INT96 timestamps are read as: nanoseconds would not reach the years that they can.
pub(crate) const INT96_UNIT: &str = "us";

/// A column of the files.
#[derive(Clone, Debug)]
pub(crate) struct FileColumn {
    pub(crate) field: FieldRef,
    /// The files' own name of the type, such as `INT64` or `BYTE_ARRAY (string)`.
    pub(crate) source_type: String,
}

/// What the sampled files tell of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileSchema {
    pub(crate) columns: Vec<FileColumn>,
    /// Rows and bytes of the sampled files, and bytes of each column, to estimate those of all files.
    pub(crate) rows: u64,
    pub(crate) file_bytes: u64,
    pub(crate) column_bytes: HashMap<String, u64>,
    /// Least and greatest values in the sampled files, by lower-case name.
    pub(crate) ranges: HashMap<String, Range>,
    /// Columns of the files that are not read.
    pub(crate) unsupported: Vec<UnsupportedColumn>,
}

/// Reads the footers of the samples, the newest first, and unites their columns.
pub(crate) async fn read_schema(store: &Files, samples: &[ObjectMeta], concurrency: usize) -> Result<FileSchema> {
    let footers: Vec<(ObjectMeta, Arc<ParquetMetaData>)> = stream::iter(samples.to_vec())
        .map(|file| async move {
            let footer = read_footer(store, &file).await?;
            Ok::<_, ConnectorError>((file, footer))
        })
        .buffered(concurrency)
        .try_collect()
        .await?;
    let mut schema = FileSchema::default();
    for (file, footer) in &footers {
        let columns = file_columns(footer).map_err(|error| {
            ConnectorError::source(format!("cannot read the columns of {}", store.display(&file.location))).said(error)
        })?;
        schema.unite(columns);
        schema.measure(file, footer);
    }
    Ok(schema)
}

/// The footer of a file, remembered or read.
pub(crate) async fn read_footer(store: &Files, file: &ObjectMeta) -> Result<Arc<ParquetMetaData>> {
    let pinned = Pinned::over(store.open()?, file.clone());
    DFParquetMetadata::new(pinned.as_ref(), file)
        .with_metadata_size_hint(Some(FOOTER_BYTES))
        .with_file_metadata_cache(Some(FootersOf::of(Arc::clone(store.footers()), file.clone())))
        .with_page_index_policy(Some(PageIndexPolicy::Optional))
        .fetch_metadata()
        .await
        .map_err(|error| {
            ConnectorError::source(format!("cannot read the footer of {}", store.display(&file.location)))
                .said(store.redact(&error.strip_backtrace()))
                .hint("check that the file is a whole Parquet file; names that begin with _ or . are passed over")
        })
}

impl FileSchema {
    pub(crate) fn unite(&mut self, columns: Vec<FileColumn>) {
        for column in columns {
            // A name that differs in case from several known columns matches none of them for sure.
            let known = find_column(column.field.name(), self.columns.iter().map(|known| &known.field)).ok().flatten();
            match known.and_then(|index| self.columns.get_mut(index)) {
                None => self.columns.push(column),
                Some(known) => {
                    if let Some(both) = common(column.field.data_type(), known.field.data_type())
                        && &both != known.field.data_type()
                    {
                        known.field = Arc::new(Field::new(known.field.name(), both, true));
                        known.source_type = column.source_type;
                    }
                }
            }
        }
    }

    fn measure(&mut self, file: &ObjectMeta, footer: &ParquetMetaData) {
        self.file_bytes += file.size;
        self.rows += u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
        for (name, (min, max)) in ranges(footer) {
            let name = name.to_lowercase();
            let range = match self.ranges.remove(&name) {
                Some((least, greatest)) => {
                    (extreme(least, min, Ordering::Less), extreme(greatest, max, Ordering::Greater))
                }
                None => (min, max),
            };
            self.ranges.insert(name, range);
        }
        for chunk in footer.row_groups().iter().flat_map(|group| group.columns()) {
            let Some(name) = chunk.column_path().parts().first() else { continue };
            let bytes = u64::try_from(chunk.compressed_size()).unwrap_or(0);
            *self.column_bytes.entry(name.to_lowercase()).or_default() += bytes;
        }
    }

    /// The share of a file's bytes that the named columns have, from 0 to 1; `None` when it is not known.
    pub(crate) fn share<'a>(&self, columns: impl Iterator<Item = &'a str>) -> Option<f64> {
        if self.file_bytes == 0 || self.column_bytes.is_empty() {
            return None;
        }
        let bytes: u64 = columns.filter_map(|name| self.column_bytes.get(&name.to_lowercase())).sum();
        Some((bytes as f64 / self.file_bytes as f64).min(1.0))
    }

    /// How many rows files of so many bytes have, if they are like the sampled ones.
    pub(crate) fn rows_in(&self, bytes: u64) -> Option<u64> {
        (self.file_bytes > 0).then(|| (bytes as f64 * self.rows as f64 / self.file_bytes as f64).round() as u64)
    }
}

/// The columns of a file, with the types that the engine reads them as.
fn file_columns(footer: &ParquetMetaData) -> parquet::errors::Result<Vec<FileColumn>> {
    let file = footer.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
    let schema = Int96Coercer::new(file.schema_descr(), &schema, &TimeUnit::Microsecond).coerce().unwrap_or(schema);
    let types = file.schema_descr().root_schema().get_fields();
    Ok(columns_of(&schema, types))
}

fn columns_of(schema: &Schema, types: &[Arc<Type>]) -> Vec<FileColumn> {
    schema
        .fields()
        .iter()
        .map(|field| FileColumn {
            // Any file may lack the column, so it is nullable. Metadata of one file says nothing of the others.
            field: Arc::new(Field::new(field.name(), engine_type(field.data_type()), true)),
            source_type: types
                .iter()
                .find(|parquet| parquet.name() == field.name())
                .map_or_else(|| field.data_type().to_string(), |parquet| parquet_type(parquet)),
        })
        .collect()
}

/// Views for text and bytes, which the reader produces without copying, and no dictionaries, which one file may have
/// and the next may not.
pub(crate) fn engine_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, value) => engine_type(value),
        other => other.clone(),
    }
}

fn parquet_type(parquet: &Type) -> String {
    if parquet.is_group() {
        return "group".to_owned();
    }
    let physical = parquet.get_physical_type();
    match parquet.get_basic_info().logical_type_ref() {
        // The name alone: parameters such as precision are in the column's own type.
        Some(logical) => {
            let logical = format!("{logical:?}");
            let name = logical.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            format!("{physical} ({})", name.to_ascii_lowercase())
        }
        None => physical.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: DataType) -> FileColumn {
        FileColumn { field: Arc::new(Field::new(name, data_type, true)), source_type: String::new() }
    }

    fn united(files: &[&[(&str, DataType)]]) -> Vec<(String, DataType)> {
        let mut schema = FileSchema::default();
        for file in files {
            schema.unite(file.iter().map(|(name, data_type)| column(name, data_type.clone())).collect());
        }
        schema.columns.iter().map(|c| (c.field.name().clone(), c.field.data_type().clone())).collect()
    }

    #[test]
    fn columns_of_all_samples_in_the_order_of_the_newest() {
        assert_eq!(
            united(&[
                &[("b", DataType::Int32), ("a", DataType::Utf8View)],
                &[("A", DataType::Utf8View), ("B", DataType::Int64), ("c", DataType::Date32)],
            ]),
            [
                ("b".to_owned(), DataType::Int64),
                ("a".to_owned(), DataType::Utf8View),
                ("c".to_owned(), DataType::Date32)
            ]
        );
    }

    #[test]
    fn without_a_common_type_the_newest_wins() {
        assert_eq!(
            united(&[&[("a", DataType::Utf8View)], &[("a", DataType::Int64)]]),
            [("a".to_owned(), DataType::Utf8View)]
        );
    }

    #[test]
    fn estimates_follow_the_sample() {
        let schema = FileSchema {
            rows: 10,
            file_bytes: 1000,
            column_bytes: HashMap::from([("a".to_owned(), 250), ("b".to_owned(), 500)]),
            ..FileSchema::default()
        };
        assert_eq!(schema.rows_in(5000), Some(50));
        assert_eq!(schema.share(["A"].into_iter()), Some(0.25));
        assert_eq!(FileSchema::default().rows_in(5000), None);
    }
}
