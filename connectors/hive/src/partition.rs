//! Partition columns: which there are, and of which types.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;
use portolan_connector::{ConnectorError, Result};

use crate::factory::{DeclaredColumn, Settings};
use crate::listing::{Listing, PartitionDirectory};
use crate::snapshot::HiveSnapshot;
use crate::store::Store;
use crate::types::{infer_type, parse_value, sql_name};
use crate::write::{Definition, Log, View};

/// How many empty directories are passed over on the way to a file from which the columns are taken.
const EMPTY_DIRECTORIES: usize = 16;

/// One partition column.
#[derive(Clone, Debug)]
pub(crate) struct PartitionColumn {
    /// As the directories spell it.
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    /// Whether the catalog file gives the type.
    pub(crate) declared: bool,
    /// How many values the listed directories have.
    pub(crate) distinct: u64,
}

impl PartitionColumn {
    /// Partition columns are nullable: a directory may stand for NULL.
    pub(crate) fn field(&self) -> FieldRef {
        Arc::new(Field::new(&self.name, self.data_type.clone(), true))
    }

    /// The value of a directory of this column.
    pub(crate) fn value(&self, directory: &PartitionDirectory, store: &Store) -> Result<ScalarValue> {
        let value = match &directory.value {
            None => ScalarValue::try_new_null(&self.data_type).ok(),
            Some(text) => parse_value(text, &self.data_type),
        };
        value.ok_or_else(|| {
            let kind = sql_name(&self.data_type);
            let known = if self.declared { "declared" } else { "inferred from other directories" };
            ConnectorError::source(format!(
                "the directory {} is not of type {kind}, which was {known} for the partition column `{}`",
                store.display(&directory.path),
                self.name
            ))
            .hint(format!(
                "declare a type that all directories have, in the table's section of the catalog file: partition_columns = {{ {} = \"varchar\" }}",
                self.name
            ))
        })
    }

    /// Checks that a directory belongs to this column.
    pub(crate) fn check_key(&self, directory: &PartitionDirectory, store: &Store) -> Result<()> {
        if directory.key.eq_ignore_ascii_case(&self.name) {
            return Ok(());
        }
        Err(ConnectorError::source(format!(
            "the directory {} is a partition by `{}` among partitions by `{}`",
            store.display(&directory.path),
            directory.key,
            self.name
        ))
        .hint("directories of one level must be partitions by the same column"))
    }
}

/// How a table is laid out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    /// From the outermost directory inwards.
    pub(crate) columns: Vec<PartitionColumn>,
    /// Files from which the columns are taken, the newest first; none when the table has no file.
    pub(crate) samples: Vec<ObjectMeta>,
    /// About how many bytes all files have, as far as the listed directories tell.
    pub(crate) bytes: u64,
    /// What the table is, where its log says so.
    pub(crate) definition: Option<Definition>,
}

/// The directories of a table, with what its log says laid over them.
#[derive(Clone, Copy)]
pub(crate) struct Lists<'a> {
    pub(crate) snapshot: &'a HiveSnapshot,
    pub(crate) view: &'a View,
}

impl Lists<'_> {
    pub(crate) async fn list(&self, directory: &Path) -> Result<Arc<Listing>> {
        let listing = self.snapshot.list(directory).await?;
        Ok(self.view.apply(directory, &listing))
    }
}

/// Finds out how the table in a directory is laid out. `None` when it is no table.
///
/// The outermost directories are listed all at once. At each further level up to `sampled_directories` directories
/// are listed, spread evenly over those that were found: a type inferred from fewer than all is checked by every
/// scan, which fails on a directory that does not fit. `opening` keeps what was listed.
pub(crate) async fn discover(
    opening: &HiveSnapshot,
    directory: &Path,
    declared: &[DeclaredColumn],
    settings: &Settings,
) -> Result<Option<Layout>> {
    let store: &Store = opening.files();
    let view = opening.view(&Log::new(opening.files().store(), directory), None).await?;
    let listings = Lists { snapshot: opening, view: &view };
    let top = listings.list(directory).await?;
    if view.is_dropped || !(top.is_table() || view.is_made) {
        return Ok(None);
    }
    let definition = view.definition.clone();
    let defined = definition.as_ref().map(Definition::partition_columns).transpose()?.unwrap_or_default();
    // The first of a name counts: the catalog file's.
    let known: Vec<DeclaredColumn> = declared.iter().cloned().chain(defined).collect();
    let mut columns: Vec<PartitionColumn> = Vec::new();
    let mut level = vec![Arc::clone(&top)];
    // How many directories there are for each one that was listed.
    let mut scale = 1.0;
    loop {
        let directories: Vec<&PartitionDirectory> = level.iter().flat_map(|listing| &listing.partitions).collect();
        let Some(first) = directories.first() else { break };
        if columns.iter().any(|column| column.name.eq_ignore_ascii_case(&first.key)) {
            return Err(ConnectorError::source(format!(
                "the directory {} repeats the partition column `{}`",
                store.display(&first.path),
                first.key
            )));
        }
        columns.push(column(&first.key, &directories, &known));
        let found = directories.len();
        level = next_level(&listings, &directories, settings).await?;
        scale *= found as f64 / level.len().max(1) as f64;
    }
    if let (true, Some(definition)) = (columns.is_empty(), &definition) {
        // A table without rows has no directories.
        columns = definition.partition_columns()?.iter().map(|defined| column(&defined.name, &[], &known)).collect();
    }
    let listed: u64 = level.iter().flat_map(|listing| &listing.files).map(|file| file.size).sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, not negative")]
    let bytes = (listed as f64 * scale) as u64;
    if let Some(unused) = declared.iter().find(|d| !columns.iter().any(|c| c.name.eq_ignore_ascii_case(&d.name))) {
        return Err(ConnectorError::user(format!(
            "partition_columns names `{}`, but {} has no directory {}=*",
            unused.name,
            store.display(directory),
            unused.name
        )));
    }
    let samples = samples(&listings, &top, settings).await?;
    Ok(Some(Layout { columns, samples, bytes, definition }))
}

/// What a sample of directories holds. The first and the last one decide whether there is another level at all, so
/// that the directories of the innermost level need not be listed.
async fn next_level(
    listings: &Lists<'_>,
    directories: &[&PartitionDirectory],
    settings: &Settings,
) -> Result<Vec<Arc<Listing>>> {
    let list = |count: usize| {
        stream::iter(spread(directories, count).map(|directory| directory.path.clone()).collect::<Vec<_>>())
            .map(|path| async move { listings.list(&path).await })
            .buffered(settings.list_concurrency)
            .try_collect::<Vec<_>>()
    };
    let ends = list(2).await?;
    let innermost = ends.iter().all(|listing| listing.partitions.is_empty())
        && ends.iter().any(|listing| !listing.files.is_empty());
    if innermost { Ok(ends) } else { list(settings.sampled_directories).await }
}

fn column(key: &str, directories: &[&PartitionDirectory], declared: &[DeclaredColumn]) -> PartitionColumn {
    let values: HashSet<Option<&str>> = directories.iter().map(|directory| directory.value.as_deref()).collect();
    let distinct = values.len() as u64;
    match declared.iter().find(|column| column.name.eq_ignore_ascii_case(key)) {
        Some(column) => {
            PartitionColumn { name: column.name.clone(), data_type: column.data_type.clone(), declared: true, distinct }
        }
        None => {
            let values = directories.iter().filter_map(|directory| directory.value.as_deref());
            PartitionColumn { name: key.to_owned(), data_type: infer_type(values), declared: false, distinct }
        }
    }
}

/// At most `count` items, evenly spread, the first and the last among them.
fn spread<T>(items: &[T], count: usize) -> impl Iterator<Item = &T> {
    let taken = items.len().min(count);
    let last = items.len().saturating_sub(1);
    (0..taken).filter_map(move |index| {
        let position = if taken > 1 { index * last / (taken - 1) } else { last };
        items.get(position)
    })
}

/// Files of partitions spread over the table, the newest first.
async fn samples(listings: &Lists<'_>, top: &Listing, settings: &Settings) -> Result<Vec<ObjectMeta>> {
    let mut files = Vec::new();
    if top.partitions.is_empty() {
        let mut by_age = top.files.clone();
        by_age.sort_by(|a, b| (a.last_modified, &a.location).cmp(&(b.last_modified, &b.location)));
        files.extend(spread(&by_age, settings.schema_files).cloned());
    } else {
        let starts: Vec<Path> =
            spread(&top.partitions, settings.schema_files).map(|directory| directory.path.clone()).collect();
        let found: Vec<Option<ObjectMeta>> = stream::iter(starts)
            .map(|start| async move { newest_file(listings, top, &start).await })
            .buffered(settings.list_concurrency)
            .try_collect()
            .await?;
        files.extend(found.into_iter().flatten());
    }
    files.sort_by(|a, b| (b.last_modified, &b.location).cmp(&(a.last_modified, &a.location)));
    files.dedup_by(|a, b| a.location == b.location);
    Ok(files)
}

/// The newest file at or below a partition, going down the last directories. When that way leads to an empty
/// directory, the partitions before it are tried.
async fn newest_file(listings: &Lists<'_>, top: &Listing, start: &Path) -> Result<Option<ObjectMeta>> {
    let mut waiting: Vec<Path> =
        top.partitions.iter().map(|directory| directory.path.clone()).take_while(|path| path <= start).collect();
    let mut tried = 0;
    while let Some(directory) = waiting.pop() {
        let listing = listings.list(&directory).await?;
        if let Some(newest) = listing.files.iter().max_by_key(|file| file.last_modified) {
            return Ok(Some(newest.clone()));
        }
        if listing.partitions.is_empty() {
            tried += 1;
            if tried > EMPTY_DIRECTORIES {
                return Ok(None);
            }
        }
        waiting.extend(listing.partitions.iter().map(|directory| directory.path.clone()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_both_ends() {
        let items: Vec<u32> = (0..10).collect();
        let taken = |count| spread(&items, count).copied().collect::<Vec<_>>();
        assert_eq!(taken(1), [9], "the last is the newest");
        assert_eq!(taken(2), [0, 9]);
        assert_eq!(taken(4), [0, 3, 6, 9]);
        assert_eq!(taken(100), items);
        assert_eq!(spread(&[] as &[u32], 3).count(), 0);
    }
}
