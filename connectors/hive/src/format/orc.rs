//! ORC files. Each carries its columns' names and types; of a file the stripes' streams of the columns that are wanted are
//! read. Columns are found and widened as in Parquet files ([`crate::adapter`]).

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::metrics::Count;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use futures::{FutureExt, TryFutureExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use orc_rust::projection::ProjectionMask;
use orc_rust::reader::AsyncChunkReader;
use orc_rust::{ArrowReaderBuilder, TimestampPrecision};
use portolan_connector::ConnectorError;

use super::adapt::{Adapter, columns_of};
use super::fault::Fault;
use super::project;
use super::source::{Batches, OpenFile, RowFormat};
use crate::adapter::{LakeAdapterFactory, find_column};
use crate::schema::FileSchema;
use crate::store::{Files, Pinned};

/// How much of a file is read at least with one request, in bytes: the streams of columns lie side by side, and a small file
/// comes whole.
pub(crate) const READ_BYTES: u64 = 1024 * 1024;

/// What is said of a file on which the decoder gives up without saying why.
const BROKEN: &str = "it is not an ORC file, or a broken one";

/// The format of ORC files.
#[derive(Debug)]
pub(super) struct OrcFormat {
    pub(super) adapter: LakeAdapterFactory,
}

impl RowFormat for OrcFormat {
    fn name(&self) -> &'static str {
        "orc"
    }

    fn open(&self, file: OpenFile) -> BoxFuture<'static, Result<Batches>> {
        decode(file, self.adapter).boxed()
    }
}

/// The first failed request for a file: what the decoder says of it has lost what was wrong.
type Failed = Arc<Mutex<Option<object_store::Error>>>;

/// A file, of which the decoder asks for one range after the other.
struct Ranges {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
    /// What was read last, and where it begins.
    held: (u64, Bytes),
    scanned: Count,
    failed: Failed,
}

impl Ranges {
    fn new(store: &Arc<dyn ObjectStore>, file: &ObjectMeta, scanned: Count) -> Self {
        Self {
            store: Pinned::over(Arc::clone(store), file.clone()),
            path: file.location.clone(),
            size: file.size,
            held: (0, Bytes::new()),
            scanned,
            failed: Failed::default(),
        }
    }

    fn of_held(&self, start: u64, end: u64) -> Option<Bytes> {
        let (begins, bytes) = &self.held;
        let at = |position: u64| position.checked_sub(*begins).and_then(|at| usize::try_from(at).ok());
        let (start, end) = (at(start)?, at(end)?);
        (start <= end && end <= bytes.len()).then(|| bytes.slice(start..end))
    }

    async fn read(&mut self, start: u64, length: u64) -> io::Result<Bytes> {
        let short = || io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before a part that it should have");
        let end = start.checked_add(length).filter(|end| *end <= self.size).ok_or_else(short)?;
        if let Some(known) = self.of_held(start, end) {
            return Ok(known);
        }
        let from = if self.size <= READ_BYTES { 0 } else { start };
        let to = end.max(start.saturating_add(READ_BYTES)).min(self.size);
        let bytes = self.store.get_range(&self.path, from..to).await.map_err(|error| {
            let said = io::Error::other(error.to_string());
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            said
        })?;
        self.scanned.add(bytes.len());
        self.held = (from, bytes);
        self.of_held(start, end).ok_or_else(short)
    }
}

impl AsyncChunkReader for Ranges {
    fn len(&mut self) -> BoxFuture<'_, io::Result<u64>> {
        let size = self.size;
        async move { Ok(size) }.boxed()
    }

    fn get_bytes(&mut self, offset_from_start: u64, length: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        self.read(offset_from_start, length).boxed()
    }
}

/// What an error of the decoder is about: the store, or the file.
fn failure(failed: &Failed, said: String) -> DataFusionError {
    match failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) => error.into(),
        None => Fault::new(said).into(),
    }
}

/// Opens a file: reads its footer.
async fn open(ranges: Ranges) -> Result<ArrowReaderBuilder<Ranges>> {
    let failed = Arc::clone(&ranges.failed);
    // The decoder panics on some broken files.
    let opened = AssertUnwindSafe(ArrowReaderBuilder::try_new_async(ranges)).catch_unwind().await;
    let builder = opened
        .map_err(|_| failure(&failed, BROKEN.to_owned()))?
        .map_err(|error| failure(&failed, error.to_string()))?;
    // Nanoseconds do not reach the years that the format does.
    Ok(builder.with_timestamp_precision(TimestampPrecision::Microsecond))
}

async fn decode(file: OpenFile, adapter: LakeAdapterFactory) -> Result<Batches> {
    let ranges = Ranges::new(&file.store, &file.file, file.scanned.clone());
    let failed = Arc::clone(&ranges.failed);
    let builder = open(ranges).await?.with_batch_size(file.batch_rows);
    let wanted = project(&file.schema, &file.columns);
    if wanted.fields().is_empty() {
        return Ok(counted(&wanted, builder.file_metadata().number_of_rows(), file.batch_rows));
    }
    let written = builder.schema();
    let by_index = adapter.rules.by_index || is_unnamed(&written);
    let places = places(&file, &wanted, &written, by_index);
    let columns = builder.file_metadata().root_data_type().children();
    let indices = places.iter().filter_map(|place| columns.get(*place)).map(|column| column.data_type().column_index());
    let mask = ProjectionMask::roots(builder.file_metadata().root_data_type(), indices);
    let read = called(&project(&written, &places), &places, &file.schema, by_index);
    // By now columns have the names of the table's.
    let mut rules = adapter;
    rules.rules.by_index = false;
    let adapter = Adapter::new(&wanted, &read, rules)?;
    let batches = AssertUnwindSafe(builder.with_projection(mask).build_async()).catch_unwind();
    let adapted = batches.map(move |batch| {
        let batch = batch
            .map_err(|_| failure(&failed, BROKEN.to_owned()))?
            .map_err(|error| failure(&failed, error.to_string()))?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&read), batch.columns().to_vec(), &options)?;
        adapter.adapt(batch)
    });
    Ok(adapted.boxed())
}

/// Whether the file is one of old versions of Hive, which called its columns `_col0` and so on, whatever the table's.
fn is_unnamed(written: &Schema) -> bool {
    written.fields().iter().enumerate().all(|(place, field)| *field.name() == format!("_col{place}"))
}

/// The places of the file's columns to decode, in their order; of a file of which none is wanted one, to count its rows.
fn places(file: &OpenFile, wanted: &SchemaRef, written: &Schema, by_index: bool) -> Vec<usize> {
    let found = |field: &Arc<Field>| find_column(field.name(), written.fields().iter());
    let mut places: Vec<usize> = match by_index {
        true => file.columns.iter().copied().filter(|place| *place < written.fields().len()).collect(),
        // Columns of which several differ only in case are left to the adapter, which says so.
        false if wanted.fields().iter().any(|field| found(field).is_err()) => (0..written.fields().len()).collect(),
        false => wanted.fields().iter().filter_map(|field| found(field).ok().flatten()).collect(),
    };
    places.sort_unstable();
    places.dedup();
    if places.is_empty() {
        places.push(0);
    }
    places
}

/// The columns that are decoded, where they go by their places under the names of the table's.
fn called(read: &SchemaRef, places: &[usize], table: &Schema, by_index: bool) -> SchemaRef {
    if !by_index {
        return Arc::clone(read);
    }
    let fields = read.fields().iter().zip(places).map(|(field, place)| match table.fields().get(*place) {
        Some(known) => Arc::new(Field::clone(field).with_name(known.name())),
        None => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Rows without columns.
fn counted(schema: &SchemaRef, rows: u64, batch_rows: usize) -> Batches {
    let (schema, most) = (Arc::clone(schema), batch_rows.max(1) as u64);
    let counts = (0..rows.div_ceil(most)).map(move |batch| (rows - batch * most).min(most));
    let batches = counts.map(move |count| {
        let options = RecordBatchOptions::new().with_row_count(usize::try_from(count).ok());
        Ok(RecordBatch::try_new_with_options(Arc::clone(&schema), Vec::new(), &options)?)
    });
    stream::iter(batches).boxed()
}

/// Reads the footers of the samples, the newest first, and unites their columns.
pub(super) async fn read_schema(
    store: &Files,
    samples: &[ObjectMeta],
    concurrency: usize,
) -> portolan_connector::Result<FileSchema> {
    let footers: Vec<(u64, SchemaRef)> = stream::iter(samples.to_vec())
        .map(|file| async move { footer(store, &file).await })
        .buffered(concurrency)
        .try_collect()
        .await?;
    let mut united = FileSchema::default();
    let mut unsupported = Vec::new();
    for (rows, schema) in &footers {
        united.rows += rows;
        united.unite(columns_of(schema, &mut unsupported));
    }
    united.file_bytes = samples.iter().map(|file| file.size).sum();
    // A column that one file cannot give is no column of the table.
    united.columns.retain(|column| unsupported.iter().all(|other| other.name != *column.field.name()));
    united.unsupported = unsupported;
    Ok(united)
}

/// How many rows a file has, and its columns.
async fn footer(store: &Files, file: &ObjectMeta) -> portolan_connector::Result<(u64, SchemaRef)> {
    let opened = open(Ranges::new(&store.open()?, file, Count::default()));
    let read = opened.map_ok(|builder| (builder.file_metadata().number_of_rows(), builder.schema())).await;
    read.map_err(|error| match error {
        DataFusionError::ObjectStore(error) => store.error("read", &file.location, &error),
        error => ConnectorError::source(format!("cannot read the footer of {}", store.display(&file.location)))
            .said(store.redact(&error.strip_backtrace()))
            .hint("check that the file is a whole ORC file; names that begin with _ or . are passed over"),
    })
}
