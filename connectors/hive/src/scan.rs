//! Which files a scan reads: the walk from the table's directory through the partitions that its filters keep.

use std::collections::{HashSet, VecDeque};

use arrow::datatypes::FieldRef;
use datafusion::catalog::Session;
use datafusion::common::ScalarValue;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;
use portolan_connector::{ConnectorError, Result, TableName};

use crate::factory::{Settings, Subdirectories};
use crate::hidden::{Hidden, partition_name};
use crate::listing::Listing;
use crate::metastore::{Named, PartitionSource, Partitions};
use crate::partition::{Lists, PartitionColumn};
use crate::prune::{ConstantFilter, Pruner};
use crate::rules::any_column;
use crate::snapshot::HiveSnapshot;
use crate::store::Store;
use crate::write::View;

/// A file to read, with the values of the partition columns and then of the hidden columns.
#[derive(Clone, Debug)]
pub(crate) struct ScanFile {
    /// The place of its directory among those of [`Found`].
    pub(crate) directory: usize,
    pub(crate) meta: ObjectMeta,
    /// The one row group that is read, of how many; all of them where it is not said.
    pub(crate) row_group: Option<(usize, usize)>,
    /// How many bytes of the file that is.
    pub(crate) bytes: u64,
    pub(crate) constants: Vec<ScalarValue>,
}

/// What the walk found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) files: Vec<ScanFile>,
    /// The directories that hold the files: the partitions kept, or the table's directory.
    pub(crate) directories: Vec<Path>,
    /// The values of the partition columns of each of the directories.
    pub(crate) values: Vec<Vec<ScalarValue>>,
    /// All partitions of the table, where they were all listed.
    pub(crate) partitions_total: Option<u64>,
    /// All files of the directories that were listed.
    pub(crate) files_listed: u64,
    /// How many row groups the kept files have, where the query names them one by one.
    pub(crate) row_groups_total: Option<u64>,
    /// How many rows the partitions kept have, where a metastore has counted those of each.
    pub(crate) rows: Option<u64>,
}

/// A directory and the values of its partition columns.
struct Partition {
    path: Path,
    values: Vec<ScalarValue>,
    /// As a metastore calls it; `None` where its path says it.
    name: Option<String>,
}

/// The walk of one scan.
pub(crate) struct Walk<'a> {
    pub(crate) store: &'a Store,
    pub(crate) settings: &'a Settings,
    pub(crate) subdirectories: Subdirectories,
    pub(crate) table: &'a TableName,
    pub(crate) directory: &'a Path,
    pub(crate) columns: &'a [PartitionColumn],
    pub(crate) hidden: &'a [Hidden],
    pub(crate) filters: &'a [ConstantFilter],
    pub(crate) snapshot: &'a HiveSnapshot,
    /// What the table's log says.
    pub(crate) view: &'a View,
    pub(crate) session: &'a dyn Session,
    /// Whether a directory that does not exist is an error, which a listing cannot tell from an empty one.
    pub(crate) check_absent: bool,
}

impl Walk<'_> {
    fn lists(&self) -> Lists<'_> {
        Lists { snapshot: self.snapshot, view: self.view }
    }

    /// Lists level by level, leaving out at each level what the filters over the columns known so far rule out.
    pub(crate) async fn run(&self) -> Result<Found> {
        let mut level = vec![Partition { path: self.directory.clone(), values: Vec::new(), name: None }];
        let mut total = Some(0);
        for depth in 0..self.columns.len() {
            let known = level.len();
            let (kept, listed) = self.descend(level, depth).await?;
            let innermost = depth + 1 == self.columns.len();
            // Where an outer level leaves something out, the partitions below it are never counted.
            total = match total {
                Some(_) if innermost || kept.len() as u64 == listed => Some(listed),
                _ => None,
            };
            tracing::debug!(table = %self.table, depth, directories = known, listed, kept = kept.len(), "partitions");
            level = kept;
        }
        self.found(level, total, None).await
    }

    /// The same over the partitions that a metastore knows: all filters are evaluated over their names, and only those that
    /// are kept are asked for and listed.
    pub(crate) async fn over(&self, source: &PartitionSource) -> Result<Found> {
        let partitions = self.snapshot.partitions(source, self.view).await?;
        let pruner = self.partition_pruner()?;
        let known: Vec<(usize, &Named)> = partitions.names.iter().enumerate().collect();
        let kept = self.prune(&pruner, known, |(_, named)| &named.values)?;
        let unknown = self.unknown_partitions(source, &partitions)?;
        let total = partitions.names.len() + unknown.len();
        let unknown = self.prune(&pruner, unknown, |partition| &partition.values)?;
        tracing::debug!(table = %self.table, total, kept = kept.len(), "partitions of the metastore");
        if kept.len() > self.settings.max_partitions {
            return Err(self.too_many("partitions", "max_partitions", self.settings.max_partitions));
        }
        let wanted: Vec<usize> = kept.iter().map(|(index, _)| *index).collect();
        let located = source.locate(&partitions, &wanted, self.store).await?;
        let rows = located.iter().map(|partition| partition.rows).sum::<Option<u64>>().filter(|_| !located.is_empty());
        let mut level: Vec<Partition> = kept
            .iter()
            .zip(&located)
            .map(|((_, named), located)| Partition {
                path: located.path.clone(),
                values: named.values.clone(),
                name: Some(named.name.clone()),
            })
            .collect();
        level.extend(unknown);
        self.found(level, Some(total as u64), rows).await
    }

    /// Lists the innermost partitions.
    async fn found(&self, level: Vec<Partition>, total: Option<u64>, rows: Option<u64>) -> Result<Found> {
        let directories = level.iter().map(|partition| partition.path.clone()).collect();
        let values = level.iter().map(|partition| partition.values.clone()).collect();
        let (files, files_listed) = self.files(level).await?;
        Ok(Found { files, directories, values, partitions_total: total, files_listed, row_groups_total: None, rows })
    }

    /// Partitions of committed writes that the metastore does not know yet.
    fn unknown_partitions(&self, source: &PartitionSource, partitions: &Partitions) -> Result<Vec<Partition>> {
        let relative = |path: &Path| -> Option<String> {
            let parts: Vec<String> = path.prefix_match(self.directory)?.map(|part| part.as_ref().to_owned()).collect();
            (!parts.is_empty()).then(|| parts.join("/"))
        };
        let added = self.view.added_directories().filter_map(|path| Some((path, relative(path)?)));
        let mut added = added.peekable();
        if added.peek().is_none() {
            return Ok(Vec::new());
        }
        let names: HashSet<&str> = partitions.names.iter().map(|known| known.name.as_str()).collect();
        let values: HashSet<&[ScalarValue]> = partitions.names.iter().map(|known| known.values.as_slice()).collect();
        added
            .filter(|(_, name)| !names.contains(name.as_str()))
            .map(|(path, name)| {
                let named = source.named(name).map_err(|error| error.in_table(self.table))?;
                Ok(Partition { path: path.clone(), values: named.values, name: Some(named.name) })
            })
            // The metastore may write a value in another way than its directory.
            .filter(|partition| match partition {
                Ok(partition) => !values.contains(partition.values.as_slice()),
                Err(_) => true,
            })
            .collect()
    }

    /// From the partitions of one level to those of the next. Returns those that are kept, and how many there are.
    async fn descend(&self, level: Vec<Partition>, depth: usize) -> Result<(Vec<Partition>, u64)> {
        let Some(column) = self.columns.get(depth) else {
            return Ok((level, 0));
        };
        let pruner = self.pruner(depth + 1, 0)?;
        let mut kept = Vec::new();
        let mut count = 0;
        let mut listings = stream::iter(level)
            .map(|partition| async move {
                let listing = self.lists().list(&partition.path).await?;
                Ok::<_, ConnectorError>((partition, listing))
            })
            .buffered(self.settings.list_concurrency);
        while let Some((partition, listing)) = listings.try_next().await? {
            self.check_inner(&listing, column)?;
            let children = listing
                .partitions
                .iter()
                .map(|directory| {
                    column.check_key(directory, self.store)?;
                    let mut values = partition.values.clone();
                    values.push(column.value(directory, self.store)?);
                    Ok(Partition { path: directory.path.clone(), values, name: None })
                })
                .collect::<Result<Vec<_>>>()
                .map_err(|error| error.in_table(self.table))?;
            count += children.len() as u64;
            kept.extend(self.prune(&pruner, children, |child| &child.values)?);
            if kept.len() > self.settings.max_partitions {
                return Err(self.too_many("partitions", "max_partitions", self.settings.max_partitions));
            }
        }
        Ok((kept, count))
    }

    /// The files of the innermost partitions. Returns those that are kept, and how many there are.
    async fn files(&self, level: Vec<Partition>) -> Result<(Vec<ScanFile>, u64)> {
        let of_files = self.hidden.iter().filter(|column| column.is_of_file()).count();
        let pruner = self.pruner(self.columns.len(), of_files)?;
        let mut kept = Vec::new();
        let mut count = 0;
        let mut directory = 0;
        let mut listings = stream::iter(level)
            .map(|partition| async move {
                let files = self.files_of(&partition).await?;
                Ok::<_, ConnectorError>((partition, files))
            })
            .buffered(self.settings.list_concurrency);
        while let Some((partition, files)) = listings.try_next().await? {
            count += files.len() as u64;
            let scanned = |meta: ObjectMeta| ScanFile {
                directory,
                row_group: None,
                constants: self.constants(&partition, &meta),
                bytes: meta.size,
                meta,
            };
            let files: Vec<ScanFile> = files.into_iter().map(scanned).collect();
            directory += 1;
            kept.extend(self.prune(&pruner, files, |file| &file.constants)?);
            if kept.len() > self.settings.max_files {
                return Err(self.too_many("files", "max_files", self.settings.max_files));
            }
        }
        Ok((kept, count))
    }

    fn constants(&self, partition: &Partition, file: &ObjectMeta) -> Vec<ScalarValue> {
        let name = match &partition.name {
            Some(name) => name.clone(),
            None => partition_name(&file.location, self.directory, self.columns.len()),
        };
        let hidden = self.hidden.iter().map(|column| column.value(file, &name, self.store));
        partition.values.iter().cloned().chain(hidden).collect()
    }

    /// The data files of an innermost partition.
    async fn files_of(&self, partition: &Partition) -> Result<Vec<ObjectMeta>> {
        let mut files = Vec::new();
        let mut waiting = VecDeque::from([partition.path.clone()]);
        while let Some(directory) = waiting.pop_front() {
            let listing = self.lists().list(&directory).await.map_err(|error| error.in_table(self.table))?;
            if let Some(deeper) = listing.partitions.first() {
                let error = ConnectorError::source(format!(
                    "the directory {} is a partition where files are expected",
                    self.store.display(&deeper.path)
                ))
                .hint("all partitions of a table must have the same levels");
                return Err(error.in_table(self.table));
            }
            if let Some(inner) = listing.directories.first() {
                match self.subdirectories {
                    Subdirectories::Error => return Err(self.unexpected_directory(inner)),
                    Subdirectories::Ignore => {}
                    Subdirectories::Read => waiting.extend(listing.directories.iter().cloned()),
                }
            }
            if self.check_absent && listing.is_empty() {
                self.check_present(partition).await?;
            }
            files.extend(listing.files.iter().cloned());
            if files.len() > self.settings.max_files {
                return Err(self.too_many("files", "max_files", self.settings.max_files));
            }
        }
        Ok(files)
    }

    /// Checks that the directory of a partition, or of the table, is there.
    async fn check_present(&self, partition: &Partition) -> Result<()> {
        let Some((directory, said)) = self.store.absent(&partition.path).await else { return Ok(()) };
        let what = match &partition.name {
            Some(name) => format!("the directory {directory} of the partition {name}"),
            None => format!("the table's directory {directory}"),
        };
        let error = ConnectorError::source(format!("cannot read {what}")).said(said).hint(
            "correct the metastore, or set absent_partitions = \"ignore\" in the catalog file to take it for empty",
        );
        Err(error.in_table(self.table))
    }

    /// A level of partitions holds nothing but partitions: a data file there would be in none of them.
    fn check_inner(&self, listing: &Listing, column: &PartitionColumn) -> Result<()> {
        if let Some(file) = listing.files.first() {
            let error = ConnectorError::source(format!(
                "the file {} lies among partitions by `{}`, in none of them",
                self.store.display(&file.location),
                column.name
            ))
            .hint("move it into a partition; names that begin with _ or . are passed over");
            return Err(error.in_table(self.table));
        }
        match listing.directories.first() {
            Some(inner) if self.subdirectories != Subdirectories::Ignore => Err(self.unexpected_directory(inner)),
            _ => Ok(()),
        }
    }

    fn unexpected_directory(&self, directory: &Path) -> ConnectorError {
        ConnectorError::source(format!("the directory {} is no partition", self.store.display(directory)))
            .hint("set subdirectories = \"ignore\" or \"read\" for the table in the catalog file")
            .in_table(self.table)
    }

    /// The filters that have become possible: those over the first `partitions` partition columns that name the last
    /// of them, or those that name a hidden column.
    fn pruner(&self, partitions: usize, hidden: usize) -> Result<Pruner> {
        let known: Vec<FieldRef> = self.columns.iter().take(partitions).map(PartitionColumn::field).collect();
        let latest: Vec<String> = if hidden > 0 {
            self.hidden.iter().take(hidden).map(|column| column.name().to_owned()).collect()
        } else {
            known.last().map(|field| field.name().clone()).into_iter().collect()
        };
        let fields: Vec<FieldRef> =
            known.into_iter().chain(self.hidden.iter().take(hidden).map(|h| h.field())).collect();
        let is_ready = |filter: &&ConstantFilter| {
            any_column(&filter.expression, |name| latest.iter().any(|latest| latest == name))
                && !any_column(&filter.expression, |name| fields.iter().all(|field| field.name() != name))
        };
        Pruner::new(fields.clone(), self.filters.iter().filter(is_ready), self.session)
            .map_err(|error| error.in_table(self.table))
    }

    /// The filters over partition columns alone.
    fn partition_pruner(&self) -> Result<Pruner> {
        let fields: Vec<FieldRef> = self.columns.iter().map(PartitionColumn::field).collect();
        let is_ready = |filter: &&ConstantFilter| {
            !any_column(&filter.expression, |name| fields.iter().all(|field| field.name() != name))
        };
        Pruner::new(fields.clone(), self.filters.iter().filter(is_ready), self.session)
            .map_err(|error| error.in_table(self.table))
    }

    fn prune<T>(&self, pruner: &Pruner, items: Vec<T>, values: impl Fn(&T) -> &Vec<ScalarValue>) -> Result<Vec<T>> {
        if pruner.is_empty() {
            return Ok(items);
        }
        let rows: Vec<&[ScalarValue]> = items.iter().map(|item| values(item).as_slice()).collect();
        let keep = pruner.keep(&rows).map_err(|error| error.in_table(self.table))?;
        Ok(items.into_iter().zip(keep).filter_map(|(item, keep)| keep.then_some(item)).collect())
    }

    fn too_many(&self, units: &str, property: &str, limit: usize) -> ConnectorError {
        let error = ConnectorError::resource_exhausted(format!("the scan would read more than {limit} {units}"));
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let hint = if names.is_empty() {
            format!("raise {property} in the catalog file")
        } else {
            format!("filter on the partition columns ({}), or raise {property} in the catalog file", names.join(", "))
        };
        error.hint(hint).in_table(self.table)
    }
}

/// What the files of a scan have in common, for people: `/lake/orders/order_date=2026-10-*`.
pub(crate) fn common_directory(table: &Path, directories: &[Path], store: &Store) -> String {
    let (Some(first), Some(last)) = (directories.iter().min(), directories.iter().max()) else {
        return store.display(table);
    };
    if first == last {
        return store.display(first);
    }
    if !directories.iter().all(|directory| directory.prefix_matches(table)) {
        return format!("{} and elsewhere", store.display(table));
    }
    // Of a sorted list the first and the last have in common what all have.
    let common: String =
        first.as_ref().chars().zip(last.as_ref().chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    match Path::parse(common.trim_end_matches('/')) {
        Ok(path) if common.ends_with('/') => format!("{}/*", store.display(&path)),
        Ok(path) => format!("{}*", store.display(&path)),
        Err(_) => store.display(table),
    }
}
