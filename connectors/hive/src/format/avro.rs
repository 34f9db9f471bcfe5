//! Avro files. Each carries the schema that it was written with; columns are found by name and widened as in Parquet
//! files ([`crate::adapter`]).

use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_avro::codec::Tz;
use arrow_avro::reader::{Reader, ReaderBuilder};
use datafusion::error::Result;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use futures::{FutureExt, TryFutureExt};
use object_store::{GetOptions, GetResultPayload, ObjectMeta, ObjectStore};
use portolan_connector::ConnectorError;

use super::adapt::{Adapter, columns_of};
use super::fault::Fault;
use super::project;
use super::source::{Batches, OpenFile, RowFormat};
use crate::adapter::{LakeAdapterFactory, find_column};
use crate::schema::FileSchema;
use crate::store::{Files, Pinned};

/// How much of a local file is read at once, in bytes.
const READ_BYTES: usize = 256 * 1024;
/// How much of a file is read at first to find its schema, in bytes. When that is not all, the file is read whole.
const HEADER_BYTES: u64 = 256 * 1024;

/// How long the marker is with which every block of a file ends, in bytes.
const MARKER_BYTES: usize = 16;

/// The format of Avro files.
#[derive(Debug)]
pub(super) struct AvroFormat {
    pub(super) adapter: LakeAdapterFactory,
}

impl RowFormat for AvroFormat {
    fn name(&self) -> &'static str {
        "avro"
    }

    fn open(&self, file: OpenFile) -> BoxFuture<'static, Result<Batches>> {
        // Columns of Avro files have names, and are found by them alone.
        let mut adapter = self.adapter;
        adapter.rules.by_index = false;
        async move {
            // A file on the disk is read as it is decoded. What comes over the network is fetched first: the reader
            // does not wait.
            file.scanned.add(usize::try_from(file.file.size).unwrap_or(usize::MAX));
            let store = Pinned::over(Arc::clone(&file.store), file.file.clone());
            let found = store.get_opts(&file.file.location, GetOptions::default()).await?;
            match found.payload {
                GetResultPayload::File(local, _) => decode(&file, adapter, BufReader::with_capacity(READ_BYTES, local)),
                GetResultPayload::Stream(chunks) => {
                    let chunks: Vec<bytes::Bytes> = chunks.try_collect().await?;
                    decode(&file, adapter, Cursor::new(bytes::Bytes::from(chunks.concat())))
                }
            }
        }
        .boxed()
    }
}

/// The batches of a file, which is opened once for its schema and once for its rows.
fn decode<R: BufRead + Seek + Send + 'static>(
    file: &OpenFile,
    rules: LakeAdapterFactory,
    mut bytes: R,
) -> Result<Batches> {
    let opened = open(&mut bytes, None, file.batch_rows)?;
    let (written, sync) = (opened.schema(), opened.avro_header().sync());
    drop(opened);
    check_end(&mut bytes, sync)?;
    bytes.rewind()?;
    let wanted = project(&file.schema, &file.columns);
    // Only what is wanted is decoded; of a file of which nothing is, one column, to count its rows.
    let mut places = Vec::new();
    for field in wanted.fields() {
        if let Ok(Some(place)) = find_column(field.name(), written.fields().iter())
            && !places.contains(&place)
        {
            places.push(place);
        }
    }
    // Columns of which several differ only in case are left to the adapter, which says so.
    let ambiguous = wanted.fields().iter().any(|field| find_column(field.name(), written.fields().iter()).is_err());
    if ambiguous {
        places = (0..written.fields().len()).collect();
    }
    if places.is_empty() {
        places.push(0);
    }
    let reader = open(bytes, Some(places), file.batch_rows)?;
    let adapter = Adapter::new(&wanted, &reader.schema(), rules)?;
    let batches = stream::iter(reader).map(move |batch| adapter.adapt(batch.map_err(|error| fault(&error))?));
    Ok(batches.boxed())
}

/// Checks that the file ends as one does, with its marker: the reader takes the end of the bytes for the end of the
/// rows.
fn check_end<R: Read + Seek>(bytes: &mut R, sync: [u8; MARKER_BYTES]) -> Result<()> {
    let mut end = [0; MARKER_BYTES];
    let length = i64::try_from(MARKER_BYTES).unwrap_or_default();
    bytes.seek(SeekFrom::End(-length))?;
    bytes.read_exact(&mut end)?;
    if end == sync { Ok(()) } else { Err(Fault::new("the file is cut short").into()) }
}

fn open<R: BufRead>(reader: R, columns: Option<Vec<usize>>, batch_rows: usize) -> Result<Reader<R>, Fault> {
    // Not `with_utf8_view`, which reads NULL as the empty text.
    let mut builder = ReaderBuilder::new().with_batch_size(batch_rows).with_tz(Tz::Utc);
    if let Some(columns) = columns {
        builder = builder.with_projection(columns);
    }
    builder.build(reader).map_err(|error| fault(&error))
}

fn fault(error: &ArrowError) -> Fault {
    Fault::new(error.to_string())
}

/// Reads the schemas of the samples, the newest first, and unites their columns.
pub(super) async fn read_schema(
    store: &Files,
    samples: &[ObjectMeta],
    concurrency: usize,
) -> portolan_connector::Result<FileSchema> {
    let schemas: Vec<SchemaRef> = stream::iter(samples.to_vec())
        .map(|file| async move { file_schema(store, &file).await })
        .buffered(concurrency)
        .try_collect()
        .await?;
    let mut united = FileSchema::default();
    let mut unsupported = Vec::new();
    for schema in &schemas {
        united.unite(columns_of(schema, &mut unsupported));
    }
    // A column that one file cannot give is no column of the table.
    united.columns.retain(|column| unsupported.iter().all(|other| other.name != *column.field.name()));
    united.unsupported = unsupported;
    Ok(united)
}

async fn file_schema(store: &Files, file: &ObjectMeta) -> portolan_connector::Result<SchemaRef> {
    let unreadable = |said: String| {
        ConnectorError::source(format!("cannot read the schema of {}", store.display(&file.location)))
            .said(store.redact(&said))
            .hint("check that the file is a whole Avro file; names that begin with _ or . are passed over")
    };
    let opened = Pinned::over(store.open()?, file.clone());
    let opened = &opened;
    let read = |bytes: u64| async move {
        let options = GetOptions { range: Some((0..bytes).into()), ..GetOptions::default() };
        opened.get_opts(&file.location, options).and_then(|found| found.bytes()).await
    };
    let mut bytes = HEADER_BYTES.min(file.size);
    loop {
        let beginning = read(bytes).await.map_err(|error| store.error("read", &file.location, &error))?;
        match open(Cursor::new(beginning), None, 1) {
            Ok(reader) => return Ok(reader.schema()),
            Err(fault) if bytes >= file.size => {
                return Err(unreadable(fault.to_string()));
            }
            Err(_) => bytes = file.size,
        }
    }
}
