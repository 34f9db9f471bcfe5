//! What a table holds that a write is committed to: the directories of the partitions that the write touches, and their
//! files.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::ScalarValue;
use object_store::path::Path;
use portolan_connector::{ConnectorError, Result};

use super::at_once;
use super::split::Partition;
use super::target::Target;
use super::view::View;
use crate::listing::Listing;
use crate::metastore::PartitionSource;
use crate::partition::Lists;
use crate::snapshot::HiveSnapshot;

/// Directories that are listed at the same time.
const LISTS_AT_ONCE: usize = 32;

/// A table as it is at one moment.
pub(super) struct Existing<'a> {
    pub(super) target: &'a Target,
    pub(super) view: &'a View,
    pub(super) snapshot: &'a HiveSnapshot,
}

/// The directories and files of one partition: several directories can mean the same value, as `month=1` and `month=01` do.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) directories: Vec<Path>,
    pub(super) files: Vec<Path>,
}

impl Existing<'_> {
    async fn list(&self, directory: &Path) -> Result<Arc<Listing>> {
        let lists = Lists { snapshot: self.snapshot, view: self.view };
        lists.list(directory).await
    }

    /// What each of these partitions holds, by its place among them.
    pub(super) async fn held(&self, partitions: &[Partition]) -> Result<HashMap<usize, Held>> {
        let root = &self.target.log.root;
        if self.target.partitions.is_empty() {
            let mut held = Held { directories: vec![root.clone()], files: Vec::new() };
            held.files.extend(self.list(root).await?.files.iter().map(|file| file.location.clone()));
            return Ok(HashMap::from([(0, held)]));
        }
        let wanted: HashMap<&[ScalarValue], usize> =
            partitions.iter().enumerate().map(|(at, partition)| (partition.values.as_slice(), at)).collect();
        let mut level: Vec<(Path, Vec<ScalarValue>)> = vec![(root.clone(), Vec::new())];
        for (depth, column) in self.target.partitions.iter().enumerate() {
            let prefixes: HashSet<&[ScalarValue]> =
                partitions.iter().filter_map(|partition| partition.values.get(..=depth)).collect();
            let listings = self.listings(level).await?;
            level = Vec::new();
            for (outer, listing) in listings {
                for directory in &listing.partitions {
                    column.check_key(directory, &self.target.log.store)?;
                    let mut values = outer.clone();
                    values.push(column.value(directory, &self.target.log.store)?);
                    if prefixes.contains(values.as_slice()) {
                        level.push((directory.path.clone(), values));
                    }
                }
            }
        }
        let paths: Vec<Path> = level.iter().map(|(path, _)| path.clone()).collect();
        let mut found: HashMap<usize, Held> = HashMap::new();
        for (path, (values, listing)) in paths.into_iter().zip(self.listings(level).await?) {
            let Some(at) = wanted.get(values.as_slice()) else { continue };
            let held = found.entry(*at).or_default();
            held.directories.push(path);
            held.files.extend(listing.files.iter().map(|file| file.location.clone()));
        }
        Ok(found)
    }

    /// The same for a table whose partitions a metastore knows.
    pub(super) async fn held_in_metastore(
        &self,
        source: &PartitionSource,
        partitions: &[Partition],
    ) -> Result<HashMap<usize, Held>> {
        let store = &self.target.log.store;
        let known = source.names().await?;
        let wanted: HashMap<&[ScalarValue], usize> =
            partitions.iter().enumerate().map(|(at, partition)| (partition.values.as_slice(), at)).collect();
        let touched: Vec<(usize, usize)> = known
            .names
            .iter()
            .enumerate()
            .filter_map(|(place, named)| Some((*wanted.get(named.values.as_slice())?, place)))
            .collect();
        let places: Vec<usize> = touched.iter().map(|(_, place)| *place).collect();
        let located = source.locate(&known, &places, store).await?;
        let mut found: HashMap<usize, Held> = HashMap::new();
        for ((at, place), located) in touched.into_iter().zip(located) {
            let name = known.names.get(place).map(|named| named.name.as_str()).unwrap_or_default();
            if !relative(self.target, &located.path)?.eq_ignore_ascii_case(name) {
                return Err(ConnectorError::user(format!(
                    "the partition {name} is in {}, and only partitions whose directories are called like them are written",
                    store.display(&located.path)
                )));
            }
            found.entry(at).or_default().directories.push(located.path.clone());
        }
        // Partitions of committed writes that the metastore does not know yet.
        for (at, partition) in partitions.iter().enumerate() {
            let directory = self.target.log.table_path(&partition.directory)?;
            let held = found.entry(at).or_default();
            if held.directories.is_empty() {
                held.directories.push(directory);
            }
        }
        for held in found.values_mut() {
            for directory in &held.directories {
                held.files.extend(self.list(directory).await?.files.iter().map(|file| file.location.clone()));
            }
        }
        Ok(found)
    }

    async fn listings(
        &self,
        directories: Vec<(Path, Vec<ScalarValue>)>,
    ) -> Result<Vec<(Vec<ScalarValue>, Arc<Listing>)>> {
        let listed = at_once(LISTS_AT_ONCE, directories.iter().map(|(path, _)| self.list(path)).collect()).await?;
        Ok(directories.into_iter().map(|(_, values)| values).zip(listed).collect())
    }
}

/// A path of the table relative to its directory.
pub(super) fn relative(target: &Target, path: &Path) -> Result<String> {
    let root = &target.log.root;
    let parts = path.prefix_match(root).ok_or_else(|| {
        ConnectorError::user(format!("{} is not in the table's directory", target.log.store.display(path)))
            .hint("partitions elsewhere are read, and not written")
            .in_table(&target.name)
    })?;
    Ok(parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"))
}
