//! Which rows of a Parquet file a part of a scan reads. The engine cuts files by bytes, and a row group belongs to the part in
//! which it begins: of a file with one row group all parts but one have nothing to do. Where the footer is known, a part has
//! the rows that lie in its bytes instead, if each row group were as dense as it is on the whole.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::CachedParquetMetaData;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::physical_plan::metrics::Count;
use object_store::ObjectMeta;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use crate::footers::is_known;

/// Row groups are cut of files of which one has more than this part of the rows: parts of other files are even enough.
const LARGE_ROW_GROUP: usize = 8;

/// The metric that counts row groups of which another part of the scan reads the beginning: each counts as read there.
pub(crate) const CONTINUED: &str = "row_groups_continued";

/// How the files of one scan are cut. Each is cut in one way for all parts of the scan, whenever they begin.
#[derive(Debug)]
pub(crate) struct Portions {
    footers: Arc<FileMetadataCache>,
    /// The footers of files that are cut by rows; `None` of those that are cut by bytes.
    cut: Mutex<HashMap<Path, Option<Arc<ParquetMetaData>>>>,
}

impl Portions {
    pub(crate) fn new(footers: Arc<FileMetadataCache>) -> Self {
        Self { footers, cut: Mutex::default() }
    }

    /// The part of a file as it is read. Counts row groups of which it has the end and not the beginning.
    pub(crate) fn narrow(&self, mut file: PartitionedFile, continued: &Count) -> PartitionedFile {
        let Some(bytes) = file.range.as_ref().map(|range| unsigned(range.start)..unsigned(range.end)) else {
            return file;
        };
        if file.extensions.get::<ParquetAccessPlan>().is_some() {
            return file;
        }
        let footer = {
            let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
            let footer = cut.entry(file.object_meta.location.clone());
            footer.or_insert_with(|| self.footer(&file.object_meta)).clone()
        };
        let Some(footer) = footer else { return file };
        let size = file.object_meta.size;
        let parts: Vec<Range<usize>> = footer.row_groups().iter().map(|group| rows(group, &bytes, size)).collect();
        continued.add(parts.iter().filter(|rows| rows.start > 0 && !rows.is_empty()).count());
        file.range = None;
        let access = footer.row_groups().iter().zip(parts).map(|(group, rows)| access(rows, count(group)));
        file.with_extension(ParquetAccessPlan::new(access.collect()))
    }

    /// The footer of a file that is to be cut by rows. Without the places of pages each part would read whole row groups.
    fn footer(&self, file: &ObjectMeta) -> Option<Arc<ParquetMetaData>> {
        let footer = self.known_footer(file)?;
        let counts = || footer.row_groups().iter().map(count);
        let (all, most) = (counts().sum::<usize>(), counts().max().unwrap_or_default());
        (footer.offset_index().is_some() && most * LARGE_ROW_GROUP > all).then_some(footer)
    }

    /// The footer of a file that was read before.
    pub(crate) fn known_footer(&self, file: &ObjectMeta) -> Option<Arc<ParquetMetaData>> {
        if !is_known(&self.footers, file) {
            return None;
        }
        let known = self.footers.get(&file.location)?;
        let footer = known.file_metadata.as_any().downcast_ref::<CachedParquetMetaData>()?;
        Some(Arc::clone(footer.parquet_metadata()))
    }
}

fn unsigned(place: i64) -> u64 {
    u64::try_from(place).unwrap_or_default()
}

fn count(group: &RowGroupMetaData) -> usize {
    usize::try_from(group.num_rows()).unwrap_or_default()
}

/// The rows of a row group that lie in these bytes of the file. Of parts that meet at a byte each row is in one. What a footer
/// says of bytes beyond the file's end is not believed.
fn rows(group: &RowGroupMetaData, bytes: &Range<u64>, size: u64) -> Range<usize> {
    let columns = || group.columns().iter().map(|column| column.byte_range());
    let start = columns().map(|(start, _)| start).min().unwrap_or_default();
    let end = columns().map(|(start, length)| start.saturating_add(length)).max().unwrap_or_default().min(size);
    let count = count(group);
    let row_at = |byte: u64| match byte {
        byte if byte <= start => 0,
        byte if byte >= end => count,
        // Less than the count, which fits.
        byte => usize::try_from(count as u128 * u128::from(byte - start) / u128::from(end - start)).unwrap_or(count),
    };
    row_at(bytes.start)..row_at(bytes.end)
}

/// These rows of a row group with so many.
fn access(rows: Range<usize>, count: usize) -> RowGroupAccess {
    if rows.is_empty() {
        return RowGroupAccess::Skip;
    }
    if rows == (0..count) {
        return RowGroupAccess::Scan;
    }
    RowGroupAccess::Selection(RowSelection::from(vec![
        RowSelector::skip(rows.start),
        RowSelector::select(rows.end - rows.start),
        RowSelector::skip(count - rows.end),
    ]))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    /// A file with row groups of so many rows.
    fn footer(groups: &[i64]) -> (Arc<ParquetMetaData>, u64) {
        let column = |rows: i64| Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row * 7919))) as ArrayRef;
        let batch = |rows: i64| RecordBatch::try_from_iter([("n", column(rows)), ("m", column(rows))]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch(0).schema(), None).unwrap();
        for rows in groups {
            writer.write(&batch(*rows)).unwrap();
            writer.flush().unwrap();
        }
        let file = Bytes::from(writer.into_inner().unwrap());
        let size = file.len() as u64;
        (Arc::clone(ParquetRecordBatchReaderBuilder::try_new(file).unwrap().metadata()), size)
    }

    #[test]
    fn each_row_is_in_one_part() {
        let counts = [10_000, 1, 30_000];
        let (footer, size) = footer(&counts);
        for parts in [1, 2, 3, 7, 1000] {
            let edges: Vec<u64> = (0..=parts).map(|part| size * part / parts).collect();
            for (group, expected) in footer.row_groups().iter().zip(counts) {
                let ranges: Vec<Range<usize>> =
                    edges.windows(2).map(|edge| rows(group, &(edge[0]..edge[1]), size)).collect();
                assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end as i64), (0, expected));
                assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start), "{ranges:?}");
            }
        }
        let halves = [0..size / 2, size / 2..size]
            .map(|bytes| footer.row_groups().iter().map(|group| rows(group, &bytes, size).len()).sum::<usize>());
        assert!(halves.iter().all(|rows| rows.abs_diff(20_000) < 500), "{halves:?}");
    }

    #[test]
    fn selections_have_all_rows_of_their_group() {
        assert_eq!(access(0..0, 5), RowGroupAccess::Skip);
        assert_eq!(access(0..5, 5), RowGroupAccess::Scan);
        let RowGroupAccess::Selection(selection) = access(2..4, 5) else { panic!("a part") };
        assert_eq!((selection.row_count(), selection.skipped_row_count()), (2, 3));
    }
}
