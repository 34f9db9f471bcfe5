use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use portolan_connector::{CatalogEntry, Connector, ConnectorError, ConnectorFactory, properties};
use portolan_hive::HiveFactory;
use tempfile::TempDir;
use toml::de::DeTable;

/// Files below `<temporary>/bucket/lake`: the bucket's directory is what the S3 server serves.
pub(crate) struct Lake {
    directory: TempDir,
}

struct NoSecrets;

impl properties::Secrets for NoSecrets {
    fn env(&self, name: &str) -> Result<String, String> {
        Err(format!("no variable {name}"))
    }
    fn file(&self, path: &str) -> Result<String, String> {
        Err(format!("no file {path}"))
    }
}

impl Lake {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    /// What an S3 server serves: its only entry is the bucket `bucket`.
    pub(crate) fn buckets(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("bucket/lake").join(path)
    }

    /// Writes a Parquet file.
    pub(crate) fn write(&self, path: &str, columns: Vec<(&str, ArrayRef)>) {
        self.write_with(path, columns, WriterProperties::builder().build());
    }

    pub(crate) fn write_with(&self, path: &str, columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    /// Writes any file.
    pub(crate) fn raw(&self, path: &str, content: &[u8]) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A catalog `lake` over these files, with more settings.
    pub(crate) fn connector(&self, settings: &str) -> Result<Arc<dyn Connector>, ConnectorError> {
        HiveFactory.create(self.entry(settings))
    }

    pub(crate) fn entry(&self, settings: &str) -> CatalogEntry {
        catalog(&format!("location = '{}'\n{settings}", self.path("").display()))
    }
}

/// The entry of a catalog `lake`.
pub(crate) fn catalog(text: &str) -> CatalogEntry {
    let table = DeTable::parse(text).unwrap();
    let properties =
        properties::parse(table.get_ref(), table.span(), HiveFactory.properties(), &["connector"], &NoSecrets)
            .unwrap_or_else(|error| panic!("{error}: {text}"));
    CatalogEntry { name: "lake".to_owned(), properties }
}

pub(crate) fn integers(values: impl IntoIterator<Item = impl Into<Option<i32>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Int32Array>())
}

pub(crate) fn longs(values: impl IntoIterator<Item = impl Into<Option<i64>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Int64Array>())
}

pub(crate) fn floats(values: impl IntoIterator<Item = impl Into<Option<f64>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Float64Array>())
}

pub(crate) fn texts<'a>(values: impl IntoIterator<Item = impl Into<Option<&'a str>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<StringArray>())
}

/// Days since 1970-01-01.
pub(crate) fn dates(values: impl IntoIterator<Item = impl Into<Option<i32>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Date32Array>())
}
