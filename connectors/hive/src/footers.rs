//! Footers that are remembered, each for the very file that it was read from.
//!
//! The engine takes a footer for a file's own where the size and the time of modification agree. Stores give times by the
//! second, so that a file may be written anew under both; its entity tag tells.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::{HashMap, TableReference};
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::execution::cache::{Cache, CacheEntryInfo};
use object_store::ObjectMeta;
use object_store::path::Path;

/// The footers of a catalog, as the reader of one file sees them.
#[derive(Clone, Debug)]
pub(crate) struct FootersOf {
    all: Arc<FileMetadataCache>,
    file: ObjectMeta,
}

impl FootersOf {
    /// The footers for a reader of a file, as it was listed.
    pub(crate) fn of(all: Arc<FileMetadataCache>, file: ObjectMeta) -> Arc<FileMetadataCache> {
        Arc::new(Self { all, file })
    }
}

/// Whether the footer of a file is remembered.
pub(crate) fn is_known(all: &Arc<FileMetadataCache>, file: &ObjectMeta) -> bool {
    all.get(&file.location).is_some_and(|known| {
        known.is_valid_for(file) && known.meta.e_tag == file.e_tag && known.meta.version == file.version
    })
}

impl Cache<Path, CachedFileMetadataEntry> for FootersOf {
    fn get(&self, key: &Path) -> Option<CachedFileMetadataEntry> {
        self.all.get(key).filter(|known| known.meta.e_tag == self.file.e_tag && known.meta.version == self.file.version)
    }

    fn put(&self, key: &Path, value: CachedFileMetadataEntry) -> Option<CachedFileMetadataEntry> {
        self.all.put(key, value)
    }

    fn remove(&self, key: &Path) -> Option<CachedFileMetadataEntry> {
        self.all.remove(key)
    }

    fn contains_key(&self, key: &Path) -> bool {
        self.get(key).is_some()
    }

    fn len(&self) -> usize {
        self.all.len()
    }

    fn clear(&self) {
        self.all.clear();
    }

    fn name(&self) -> String {
        self.all.name()
    }

    fn cache_limit(&self) -> usize {
        self.all.cache_limit()
    }

    fn update_cache_limit(&self, limit: usize) {
        self.all.update_cache_limit(limit);
    }

    fn cache_ttl(&self) -> Option<Duration> {
        self.all.cache_ttl()
    }

    fn update_cache_ttl(&self, ttl: Option<Duration>) {
        self.all.update_cache_ttl(ttl);
    }

    fn drop_table_entries(&self, table: &TableReference) -> Result<()> {
        self.all.drop_table_entries(table)
    }

    fn list_entries(&self) -> HashMap<Path, CacheEntryInfo<CachedFileMetadataEntry>> {
        self.all.list_entries()
    }
}
