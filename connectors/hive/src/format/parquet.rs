//! Parquet files: the engine's own source, with footers that are corrected and kept ([`crate::trust`]).

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::{FileSource, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use portolan_connector::Result;

use crate::schema::{FOOTER_BYTES, INT96_UNIT};
use crate::store::Files;
use crate::trust::{Tails, TrustedReaderFactory};

/// The source of a scan over files with the columns of `schema`.
pub(super) fn source(schema: &TableSchema, files: &Files, session: &dyn Session) -> Result<Arc<dyn FileSource>> {
    let mut options = session.default_table_options().parquet;
    options.global.coerce_int96 = Some(INT96_UNIT.to_owned());
    let footer_bytes = options.global.metadata_size_hint.unwrap_or(FOOTER_BYTES);
    let readers = TrustedReaderFactory {
        store: files.open()?,
        footers: Arc::clone(files.footers()),
        tails: Tails::default(),
        locality: files.locality(),
    };
    let source = ParquetSource::new(schema.clone())
        .with_table_parquet_options(options)
        .with_metadata_size_hint(footer_bytes)
        .with_parquet_file_reader_factory(Arc::new(readers));
    Ok(Arc::new(source))
}
