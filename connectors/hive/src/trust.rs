//! Statistics that a reader must not take at their word.
//!
//! The engine's reader takes a missing null count for zero, and the old fields `min` and `max` for bounds in the
//! order of today. Both are wrong for some writers, and a wrong bound loses rows. So footers are corrected between
//! the file and the reader:
//!
//! * A null count that is missing becomes 1: "some, but not all", which prunes nothing. In a row group of one value
//!   even that would be a claim, so its statistics are dropped.
//! * Old bounds are dropped where the order that they were written in (signed bytes) is not the column's.
//! * Bounds of INT96 are dropped: the format gives them no order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::{SortOrder, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::{Statistics, ValueStatistics};

use crate::footers::FootersOf;
use crate::store::{Locality, Pinned, Tail};

/// Makes readers that correct the footers which the engine's readers read, each of a file as it was listed.
#[derive(Debug)]
pub(crate) struct TrustedReaderFactory {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) footers: Arc<FileMetadataCache>,
    pub(crate) tails: Tails,
    pub(crate) locality: Locality,
}

/// How many files' ends a scan keeps, each of half a megabyte at most.
const TAILS_MAX: usize = 32;

/// The ends of the files that a scan opened last: the engine opens a file more than once where it looks at statistics.
#[derive(Debug, Default)]
pub(crate) struct Tails {
    last: Mutex<VecDeque<(Path, Tail)>>,
}

impl Tails {
    fn of(&self, file: &Path) -> Tail {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, tail)) = last.iter().find(|(path, _)| path == file) {
            return Arc::clone(tail);
        }
        if last.len() >= TAILS_MAX {
            last.pop_front();
        }
        let tail = Tail::default();
        last.push_back((file.clone(), Arc::clone(&tail)));
        tail
    }
}

impl ParquetFileReaderFactory for TrustedReaderFactory {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        footer_bytes: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let tail = self.tails.of(&file.object_meta.location);
        let gap = self.locality.gap(&file.object_meta.location);
        let store = Pinned::sharing(Arc::clone(&self.store), file.object_meta.clone(), tail, gap);
        let footers = FootersOf::of(Arc::clone(&self.footers), file.object_meta.clone());
        let readers = CachedParquetFileReaderFactory::new(store, footers);
        Ok(Box::new(TrustedReader { inner: readers.create_reader(partition, file, footer_bytes, metrics)? }))
    }
}

struct TrustedReader {
    inner: Box<dyn AsyncFileReader + Send>,
}

impl AsyncFileReader for TrustedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.inner.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        self.inner.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move { correct(self.inner.get_metadata(options).await?) }.boxed()
    }
}

/// What has to be done about the statistics of a column chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Correction {
    None,
    AssumeNulls,
    Drop,
}

fn correction(column: &ColumnChunkMetaData) -> Correction {
    let Some(statistics) = column.statistics() else {
        return Correction::None;
    };
    let description = column.column_descr();
    let ordered_otherwise = statistics.is_min_max_deprecated() && description.sort_order() != SortOrder::SIGNED;
    if ordered_otherwise || description.physical_type() == Type::INT96 {
        return Correction::Drop;
    }
    if statistics.null_count_opt().is_some() || description.max_def_level() == 0 {
        return Correction::None;
    }
    if column.num_values() > 1 { Correction::AssumeNulls } else { Correction::Drop }
}

/// The footer with its statistics corrected; the same one where there is nothing to correct.
fn correct(footer: Arc<ParquetMetaData>) -> parquet::errors::Result<Arc<ParquetMetaData>> {
    let mut columns = footer.row_groups().iter().flat_map(|group| group.columns());
    if columns.all(|column| correction(column) == Correction::None) {
        return Ok(footer);
    }
    let mut builder = footer.as_ref().clone().into_builder();
    let groups = builder
        .take_row_groups()
        .into_iter()
        .map(|group| {
            let mut group = group.into_builder();
            let columns = group.take_columns().into_iter().map(correct_column).collect::<Result<Vec<_>, _>>()?;
            group.set_column_metadata(columns).build()
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(builder.set_row_groups(groups).build()))
}

fn correct_column(column: ColumnChunkMetaData) -> parquet::errors::Result<ColumnChunkMetaData> {
    match (correction(&column), column.statistics().cloned()) {
        (Correction::None, _) | (_, None) => Ok(column),
        (Correction::Drop, _) => column.into_builder().clear_statistics().build(),
        (Correction::AssumeNulls, Some(statistics)) => {
            column.into_builder().set_statistics(assume_nulls(statistics)).build()
        }
    }
}

fn assume_nulls(statistics: Statistics) -> Statistics {
    let deprecated = statistics.is_min_max_deprecated();
    macro_rules! with_one_null {
        ($values:expr) => {
            ValueStatistics::new(
                $values.min_opt().cloned(),
                $values.max_opt().cloned(),
                $values.distinct_count(),
                Some(1),
                deprecated,
            )
            .with_min_is_exact($values.min_is_exact())
            .with_max_is_exact($values.max_is_exact())
        };
    }
    match statistics {
        Statistics::Boolean(values) => Statistics::Boolean(with_one_null!(values)),
        Statistics::Int32(values) => Statistics::Int32(with_one_null!(values)),
        Statistics::Int64(values) => Statistics::Int64(with_one_null!(values)),
        Statistics::Int96(values) => Statistics::Int96(with_one_null!(values)),
        Statistics::Float(values) => Statistics::Float(with_one_null!(values)),
        Statistics::Double(values) => Statistics::Double(with_one_null!(values)),
        Statistics::ByteArray(values) => Statistics::ByteArray(with_one_null!(values)),
        Statistics::FixedLenByteArray(values) => Statistics::FixedLenByteArray(with_one_null!(values)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::basic::{LogicalType, Repetition};
    use parquet::data_type::ByteArray;
    use parquet::file::metadata::{FileMetaData, RowGroupMetaData};
    use parquet::schema::types::{SchemaDescriptor, Type as SchemaType};

    fn footer(
        physical: Type,
        logical: Option<LogicalType>,
        values: i64,
        statistics: Statistics,
    ) -> Arc<ParquetMetaData> {
        let column = SchemaType::primitive_type_builder("c", physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
            .unwrap();
        let root = SchemaType::group_type_builder("schema").with_fields(vec![Arc::new(column)]).build().unwrap();
        let schema = Arc::new(SchemaDescriptor::new(Arc::new(root)));
        let chunk = ColumnChunkMetaData::builder(schema.column(0))
            .set_num_values(values)
            .set_statistics(statistics)
            .build()
            .unwrap();
        let group = RowGroupMetaData::builder(Arc::clone(&schema))
            .set_num_rows(values)
            .set_column_metadata(vec![chunk])
            .build()
            .unwrap();
        Arc::new(ParquetMetaData::new(FileMetaData::new(1, values, None, None, schema, None), vec![group]))
    }

    fn statistics(footer: &ParquetMetaData) -> Option<&Statistics> {
        footer.row_group(0).column(0).statistics()
    }

    #[test]
    fn good_statistics_stay() {
        let before = footer(Type::INT32, None, 5, Statistics::int32(Some(1), Some(9), None, Some(0), false));
        let after = correct(Arc::clone(&before)).unwrap();
        assert!(Arc::ptr_eq(&before, &after));
    }

    #[test]
    fn a_missing_null_count_is_not_zero() {
        let unknown = || Statistics::int32(Some(1), Some(9), None, None, false);
        let after = correct(footer(Type::INT32, None, 5, unknown())).unwrap();
        assert_eq!(statistics(&after), Some(&Statistics::int32(Some(1), Some(9), None, Some(1), false)));
        let after = correct(footer(Type::INT32, None, 1, unknown())).unwrap();
        assert_eq!(statistics(&after), None);
    }

    #[test]
    fn old_bounds_count_only_in_their_own_order() {
        let text = |low: &str, high: &str| {
            Statistics::byte_array(Some(ByteArray::from(low)), Some(ByteArray::from(high)), None, Some(0), true)
        };
        let after = correct(footer(Type::BYTE_ARRAY, Some(LogicalType::String), 5, text("é", "z"))).unwrap();
        assert_eq!(statistics(&after), None);
        let numbers = Statistics::int32(Some(-1), Some(9), None, Some(0), true);
        let after = correct(footer(Type::INT32, None, 5, numbers.clone())).unwrap();
        assert_eq!(statistics(&after), Some(&numbers));
    }
}
