//! One level of a directory tree, sorted into partitions, data files and the rest.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use object_store::ObjectMeta;
use object_store::path::Path;
use portolan_connector::Result;

use crate::format::data_extension;
use crate::names::{is_hidden, parse_partition};
use crate::store::{Files, Store};
use crate::write::LOG;

/// A directory called `key=value`.
#[derive(Clone, Debug)]
pub(crate) struct PartitionDirectory {
    pub(crate) path: Path,
    pub(crate) key: String,
    /// Unescaped; `None` is NULL.
    pub(crate) value: Option<String>,
}

/// What a directory holds. Hidden names and files of 0 bytes, which writers leave as marks, are passed over as Hive
/// passes over them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// Sorted by name.
    pub(crate) partitions: Vec<PartitionDirectory>,
    /// Sorted by name. Their names need no extension: Hive writes `000000_0`.
    pub(crate) files: Vec<ObjectMeta>,
    /// Directories that are no partitions, sorted by name.
    pub(crate) directories: Vec<Path>,
    /// Whether there is a log of our writes.
    pub(crate) has_log: bool,
}

/// What a directory held at a moment.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) at: DateTime<Utc>,
    pub(crate) listing: Arc<Listing>,
}

impl Listing {
    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let of_file = |file: &ObjectMeta| {
            size_of::<ObjectMeta>() + file.location.as_ref().len() + file.e_tag.as_ref().map_or(0, String::len)
        };
        let of_partition = |directory: &PartitionDirectory| {
            let value = directory.value.as_ref().map_or(0, String::len);
            size_of::<PartitionDirectory>() + directory.path.as_ref().len() + directory.key.len() + value
        };
        let of_directory = |path: &Path| size_of::<Path>() + path.as_ref().len();
        size_of::<Self>()
            + self.files.iter().map(of_file).sum::<usize>()
            + self.partitions.iter().map(of_partition).sum::<usize>()
            + self.directories.iter().map(of_directory).sum::<usize>()
    }

    /// Whether there is nothing in the directory.
    pub(crate) fn is_empty(&self) -> bool {
        self.partitions.is_empty() && self.files.is_empty() && self.directories.is_empty()
    }

    /// Whether a directory with this content is a table: it has partitions or files with the extension of a format, or
    /// other files and nothing below them.
    pub(crate) fn is_table(&self) -> bool {
        !self.partitions.is_empty()
            || self.files.iter().any(|file| file.location.filename().is_some_and(data_extension))
            || (!self.files.is_empty() && self.directories.is_empty())
    }
}

/// Lists one directory, not what is below it.
pub(crate) async fn list(store: &Files, directory: &Path) -> Result<Listing> {
    let found = store
        .open()?
        .list_with_delimiter(Some(directory))
        .await
        .map_err(|error| store.error("list", directory, &error))?;
    let mut listing = Listing::default();
    for path in found.common_prefixes {
        let Some(name) = path.filename() else { continue };
        if is_hidden(name) {
            listing.has_log |= name == LOG;
            continue;
        }
        match parse_partition(name) {
            Some((key, value)) => listing.partitions.push(PartitionDirectory { path, key, value }),
            None => listing.directories.push(path),
        }
    }
    listing.files = found.objects.into_iter().filter(is_data).collect();
    listing.partitions.sort_by(|a, b| a.path.cmp(&b.path));
    listing.files.sort_by(|a, b| a.location.cmp(&b.location));
    listing.directories.sort();
    Ok(listing)
}

/// The same for what belongs to no query.
pub(crate) async fn list_uncounted(store: &Arc<Store>, directory: &Path) -> Result<Listing> {
    list(&Files::uncounted(store), directory).await
}

fn is_data(file: &ObjectMeta) -> bool {
    file.size > 0 && file.location.filename().is_some_and(|name| !is_hidden(name))
}
