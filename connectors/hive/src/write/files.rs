//! The Parquet files of one write, until they are closed: one for each partition that rows come for, as far as memory
//! allows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use object_store::ObjectStoreExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use portolan_connector::{ConnectorError, Result};

use super::columns::Counts;
use super::log::Log;
use super::target::Target;

/// The size at which a file is closed and another one begun. Large enough that opening a file is a small part of reading it,
/// small enough that several threads share a table.
const FILE_BYTES: usize = 128 * 1024 * 1024;

/// The size of a row group, before compression: what a reader skips, and a writer holds in memory.
const ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;
const ROW_GROUP_ROWS: usize = 1_048_576;

/// What is sent to the store at a time. S3 takes no parts below 5 MiB.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// The most files that are open at the same time. Each holds a part that is not sent yet.
const OPEN_FILES_MAX: usize = 64;

/// The most memory of rows that are in no row group yet, in all open files together.
const OPEN_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The least memory that is worth a row group of its own.
const FLUSHED_BYTES_MIN: usize = 1024 * 1024;

/// A file that is closed.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) partition: usize,
    pub(super) number: u32,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) raw_bytes: u64,
}

/// The files of a write.
pub(super) struct Files {
    log: Log,
    write: String,
    schema: SchemaRef,
    properties: WriterProperties,
    /// By partition.
    open: HashMap<usize, OpenFile>,
    pub(super) finished: Vec<Finished>,
    next: u32,
    /// Where a metastore is to be told of the columns.
    pub(super) counts: Option<Counts>,
}

struct OpenFile {
    writer: AsyncArrowWriter<BufWriter>,
    number: u32,
    path: Path,
    raw_bytes: u64,
    /// When it was last written to, as a number that grows.
    used: u64,
}

impl Files {
    pub(super) fn new(target: &Target, write: &str) -> Self {
        let leaf = |index: &usize| leaf_of(&target.files, *index);
        let sorting: Vec<SortingColumn> = target
            .sorted
            .iter()
            .map_while(leaf)
            .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true })
            .collect();
        let properties = WriterProperties::builder()
            .set_compression(target.compression)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_sorting_columns((!sorting.is_empty()).then_some(sorting))
            .set_created_by(format!("portolan {}", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            log: target.log.clone(),
            write: write.to_owned(),
            schema: Arc::clone(&target.files),
            properties,
            open: HashMap::new(),
            finished: Vec::new(),
            next: 0,
            counts: target.registry.as_ref().map(|_| Counts::new(&target.files)),
        }
    }

    fn failed(&self, path: &Path, error: &dyn std::fmt::Display) -> ConnectorError {
        let store = &self.log.store;
        ConnectorError::source(format!("cannot write {}", store.display(path)))
            .said(store.redact(&error.to_string()))
            .hint("check that the user may write there, and that there is room")
    }

    /// Writes rows of one partition.
    pub(super) async fn write(&mut self, partition: usize, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        if !self.open.contains_key(&partition) {
            self.make_room().await?;
            let opened = self.begin()?;
            self.open.insert(partition, opened);
        }
        if let Some(counts) = &mut self.counts {
            counts.add(partition, rows);
        }
        let used = self.open.values().map(|file| file.used).max().unwrap_or_default() + 1;
        let Some(file) = self.open.get_mut(&partition) else { return Ok(()) };
        file.used = used;
        file.raw_bytes += rows.get_array_memory_size() as u64;
        let written = file.writer.write(rows).await;
        let size = file.writer.bytes_written() + file.writer.in_progress_size();
        let path = file.path.clone();
        written.map_err(|error| self.failed(&path, &error))?;
        if size >= FILE_BYTES {
            self.close(partition).await?;
        }
        self.spare_memory().await
    }

    fn begin(&mut self) -> Result<OpenFile> {
        let number = self.next;
        self.next += 1;
        let path = self.log.staged_path(&self.write, number)?;
        let store = Arc::clone(self.log.store.open()?);
        let sink = BufWriter::with_capacity(store, path.clone(), PART_BYTES).with_max_concurrency(1);
        // Other readers know nothing of Arrow's types, and all that they need is in Parquet's own.
        let options = ArrowWriterOptions::new().with_properties(self.properties.clone()).with_skip_arrow_metadata(true);
        let writer = AsyncArrowWriter::try_new_with_options(sink, Arc::clone(&self.schema), options)
            .map_err(|error| self.failed(&path, &error))?;
        Ok(OpenFile { writer, number, path, raw_bytes: 0, used: 0 })
    }

    /// Closes the file that has not got rows for the longest time, where another one is to be opened and there are many.
    async fn make_room(&mut self) -> Result<()> {
        if self.open.len() < OPEN_FILES_MAX {
            return Ok(());
        }
        match self.open.iter().min_by_key(|(_, file)| file.used).map(|(partition, _)| *partition) {
            Some(oldest) => self.close(oldest).await,
            None => Ok(()),
        }
    }

    /// Ends row groups, the largest ones first, until the rest is in bounds.
    async fn spare_memory(&mut self) -> Result<()> {
        while self.open.values().map(|file| file.writer.memory_size()).sum::<usize>() > OPEN_BYTES_MAX {
            let largest = self.open.values_mut().max_by_key(|file| file.writer.memory_size());
            let Some(file) = largest.filter(|file| file.writer.memory_size() >= FLUSHED_BYTES_MIN) else { break };
            let (path, flushed) = (file.path.clone(), file.writer.flush().await);
            flushed.map_err(|error| self.failed(&path, &error))?;
        }
        Ok(())
    }

    async fn close(&mut self, partition: usize) -> Result<()> {
        let Some(mut file) = self.open.remove(&partition) else { return Ok(()) };
        let footer = file.writer.finish().await.map_err(|error| self.failed(&file.path, &error))?;
        if let Some(counts) = &mut self.counts {
            counts.close(partition, &footer);
        }
        self.finished.push(Finished {
            partition,
            number: file.number,
            bytes: file.writer.bytes_written() as u64,
            rows: u64::try_from(footer.file_metadata().num_rows()).unwrap_or_default(),
            raw_bytes: file.raw_bytes,
        });
        Ok(())
    }

    /// Closes all files.
    pub(super) async fn finish(&mut self) -> Result<()> {
        let mut partitions: Vec<usize> = self.open.keys().copied().collect();
        partitions.sort_unstable();
        for partition in partitions {
            self.close(partition).await?;
        }
        Ok(())
    }

    /// Where the closed files are.
    pub(super) fn staged(&self) -> Result<Vec<Path>> {
        self.finished.iter().map(|file| self.log.staged_path(&self.write, file.number)).collect()
    }

    /// Removes what was written. What cannot be removed is litter that nobody reads.
    pub(super) async fn discard(&mut self) {
        for (_, file) in self.open.drain() {
            // An upload in parts that is not ended is kept by the store for its own time.
            let _ = file.writer.into_inner().abort().await;
        }
        let Ok(store) = self.log.store.open() else { return };
        for number in 0..self.next {
            if let Ok(path) = self.log.staged_path(&self.write, number) {
                let _ = store.delete(&path).await;
            }
        }
        self.log.tidy().await;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next == 0
    }
}

/// The place of a column among the leaves of the file's schema; `None` for a nested one, which has several.
fn leaf_of(schema: &SchemaRef, index: usize) -> Option<i32> {
    let fields = schema.fields();
    let before = fields.iter().take(index).map(|field| leaves(field.data_type())).sum::<usize>();
    let own = fields.get(index).filter(|field| !field.data_type().is_nested())?;
    let _ = own;
    i32::try_from(before).ok()
}

// The depth is that of a type, which its parser bounds.
fn leaves(data_type: &arrow::datatypes::DataType) -> usize {
    use arrow::datatypes::DataType::{List, Map, Struct};
    match data_type {
        List(field) | Map(field, _) => leaves(field.data_type()),
        Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
        _ => 1,
    }
}
