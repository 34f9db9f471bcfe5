//! Row groups as parts of files that a query names (`$row_group`): each is read by itself, with its own value.

use arrow::datatypes::FieldRef;
use datafusion::catalog::Session;
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use futures::stream::{self, StreamExt, TryStreamExt};
use portolan_connector::{ConnectorError, Result};

use crate::prune::{ConstantFilter, Pruner};
use crate::rules::any_column;
use crate::scan::ScanFile;
use crate::schema::read_footer;
use crate::store::Files;

/// The row groups of the files that the filters keep, and how many there are of all. `at` is the place of `$row_group` among
/// the constants, whose columns these are.
pub(crate) async fn row_groups(
    found: Vec<ScanFile>,
    at: usize,
    columns: Vec<FieldRef>,
    filters: &[ConstantFilter],
    session: &dyn Session,
    files: &Files,
    concurrency: usize,
) -> Result<(Vec<ScanFile>, u64)> {
    let name = columns.get(at).map(|column| column.name().clone()).unwrap_or_default();
    let of_row_groups = filters.iter().filter(|filter| any_column(&filter.expression, |column| column == name));
    let pruner = Pruner::new(columns, of_row_groups, session)?;
    let mut footers = stream::iter(found)
        .map(|file| async move {
            let footer = read_footer(files, &file.meta).await?;
            Ok::<_, ConnectorError>((file, footer.num_row_groups()))
        })
        .buffered(concurrency);
    let (mut kept, mut total) = (Vec::new(), 0);
    while let Some((file, count)) = footers.try_next().await? {
        total += count as u64;
        let parts: Vec<ScanFile> = (0..count).map(|index| part(&file, at, index, count)).collect();
        let rows: Vec<&[ScalarValue]> = parts.iter().map(|part| part.constants.as_slice()).collect();
        let keep = pruner.keep(&rows)?;
        kept.extend(parts.into_iter().zip(keep).filter_map(|(part, keep)| keep.then_some(part)));
    }
    Ok((kept, total))
}

/// One row group of a file.
fn part(file: &ScanFile, at: usize, index: usize, count: usize) -> ScanFile {
    let mut part = ScanFile { row_group: Some((index, count)), bytes: file.meta.size / count as u64, ..file.clone() };
    if let Some(value) = part.constants.get_mut(at) {
        *value = ScalarValue::Int64(i64::try_from(index).ok());
    }
    part
}

/// The file as the engine reads it: only its row group, where it has one.
pub(crate) fn only(file: PartitionedFile, row_group: Option<(usize, usize)>) -> PartitionedFile {
    let Some((index, count)) = row_group else { return file };
    let mut plan = ParquetAccessPlan::new_none(count);
    plan.scan(index);
    file.with_extension(plan)
}
