//! What a catalog remembers of its directories and of its metastore from one query to the next, for as long as its file says
//! (`listing_ttl_seconds`) and within a number of bytes (`listing_cache_mb`).

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::path::Path;
use portolan_connector::{Properties, TableName};

use crate::listing::Listed;
use crate::metastore::Partitions;
use crate::write::LogState;

/// How long it is remembered that a table has a log, and what that said. Each query looks whether it still says so.
const LOGS_KEPT: Duration = Duration::from_secs(24 * 3600);
const LOGS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How many bytes an entry takes besides what it holds: its place in the maps.
const ENTRY_BYTES: usize = 128;

/// The schema and the name of a table.
type TableKey = (String, String);

/// What a catalog remembers. Empty for ever where nothing may be remembered.
#[derive(Debug)]
pub(crate) struct Caches {
    listings: Timed<Path, Arc<Listed>>,
    partitions: Timed<TableKey, Arc<Partitions>>,
    /// What the logs of tables said before the listings below their directories were made.
    logs: Timed<Path, Arc<LogState>>,
    /// How often something was forgotten on purpose. What was asked for before that may no longer be remembered after.
    forgotten: AtomicU64,
}

/// A moment before a question is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked(u64);

impl Caches {
    /// Reads what may be remembered.
    pub(crate) fn new(properties: &Properties) -> Self {
        let number = |name: &str| properties.integer(name).and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
        let ttl = Duration::from_secs(number("listing_ttl_seconds"));
        let bytes = usize::try_from(number("listing_cache_mb")).unwrap_or(0).saturating_mul(1024 * 1024);
        Self {
            listings: Timed::new(ttl, bytes),
            partitions: Timed::new(ttl, bytes),
            logs: Timed::new(LOGS_KEPT, LOGS_BYTES_MAX),
            forgotten: AtomicU64::new(0),
        }
    }

    /// Called before the store or the metastore is asked for something that is to be remembered.
    pub(crate) fn ask(&self) -> Asked {
        Asked(self.forgotten.load(Ordering::Acquire))
    }

    pub(crate) fn listing(&self, directory: &Path) -> Option<Arc<Listed>> {
        self.listings.get(directory)
    }

    pub(crate) fn keep_listing(&self, asked: Asked, directory: &Path, listed: &Arc<Listed>) {
        let bytes = directory.as_ref().len() + listed.listing.bytes();
        self.listings.keep(directory.clone(), Arc::clone(listed), bytes, || self.is_current(asked));
    }

    /// The partitions that the metastore has of a table.
    pub(crate) fn partitions(&self, schema: &str, table: &str) -> Option<Arc<Partitions>> {
        self.partitions.get(&(schema.to_owned(), table.to_owned()))
    }

    pub(crate) fn keep_partitions(&self, asked: Asked, schema: &str, table: &str, partitions: &Arc<Partitions>) {
        let key = (schema.to_owned(), table.to_owned());
        self.partitions.keep(key, Arc::clone(partitions), partitions.bytes(), || self.is_current(asked));
    }

    /// What the log of the table in a directory said, if it had one. What is remembered of the directories below it was
    /// listed after that.
    pub(crate) fn log(&self, root: &Path) -> Option<Arc<LogState>> {
        self.logs.get(root)
    }

    /// Called once the listings below the directory are forgotten.
    pub(crate) fn keep_log(&self, root: &Path, state: LogState) {
        let bytes = root.as_ref().len() + state.bytes();
        self.logs.keep(root.clone(), Arc::new(state), bytes, || true);
    }

    /// Forgets what is known of a table whose files or partitions have changed: its partitions, and all listings at and
    /// below its directory. Questions that were asked before are not remembered when their answers come.
    pub(crate) fn forget_table(&self, name: &TableName, directory: &Path) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.partitions.retain(|(schema, table)| *schema != name.schema || *table != name.table);
        self.listings.retain(|listed| !listed.prefix_matches(directory));
    }

    /// Forgets all listings at and below a directory that has changed.
    pub(crate) fn forget_below(&self, directory: &Path) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.listings.retain(|listed| !listed.prefix_matches(directory));
    }

    /// Forgets one listing that turned out to be out of date.
    pub(crate) fn forget_directory(&self, directory: &Path) {
        self.listings.retain(|listed| listed != directory);
    }

    /// Forgets all. Returns how many directories and how many tables of the metastore were known.
    pub(crate) fn forget(&self) -> (usize, usize) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.logs.retain(|_| false);
        (self.listings.retain(|_| false), self.partitions.retain(|_| false))
    }

    fn is_current(&self, asked: Asked) -> bool {
        self.forgotten.load(Ordering::Acquire) == asked.0
    }
}

/// Values that are believed for some time. When there are too many, those go that came first.
#[derive(Debug)]
struct Timed<K, V> {
    ttl: Duration,
    bytes_max: usize,
    state: Mutex<State<K, V>>,
}

#[derive(Debug)]
struct State<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// The keys in the order in which they came.
    order: BTreeMap<u64, K>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    since: Instant,
    bytes: usize,
    place: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Timed<K, V> {
    fn new(ttl: Duration, bytes_max: usize) -> Self {
        let state = State { entries: HashMap::new(), order: BTreeMap::new(), next: 0, bytes: 0 };
        Self { ttl, bytes_max, state: Mutex::new(state) }
    }

    fn get(&self, key: &K) -> Option<V> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = state.entries.get(key)?;
        if entry.since.elapsed() < self.ttl {
            return Some(entry.value.clone());
        }
        state.remove(key);
        None
    }

    /// Remembers a value, unless it is too large or no longer wanted when its place is there.
    fn keep(&self, key: K, value: V, bytes: usize, is_wanted: impl FnOnce() -> bool) {
        let bytes = bytes.saturating_add(ENTRY_BYTES);
        if self.ttl.is_zero() || bytes > self.bytes_max {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_wanted() {
            return;
        }
        state.remove(&key);
        while state.bytes + bytes > self.bytes_max {
            let Some((_, oldest)) = state.order.first_key_value() else { break };
            let oldest = oldest.clone();
            state.remove(&oldest);
        }
        let place = state.next;
        state.next += 1;
        state.bytes += bytes;
        state.order.insert(place, key.clone());
        state.entries.insert(key, Entry { value, since: Instant::now(), bytes, place });
    }

    /// Forgets what is not to be kept. Returns how many entries that were.
    fn retain(&self, is_kept: impl Fn(&K) -> bool) -> usize {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<K> = state.entries.keys().filter(|key| !is_kept(key)).cloned().collect();
        gone.iter().for_each(|key| state.remove(key));
        gone.len()
    }
}

impl<K: Eq + Hash, V> State<K, V> {
    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.place);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn what_came_first_makes_room() {
        let cache: Timed<u32, u32> = Timed::new(HOUR, 3 * (ENTRY_BYTES + 10));
        for key in 0..4 {
            cache.keep(key, key * 10, 10, || true);
        }
        let known: Vec<Option<u32>> = (0..4).map(|key| cache.get(&key)).collect();
        assert_eq!(known, [None, Some(10), Some(20), Some(30)]);
        cache.keep(9, 90, 10_000, || true);
        assert_eq!(cache.get(&9), None, "it is larger than all that may be kept");
        cache.keep(1, 11, 10, || true);
        cache.keep(5, 50, 10, || true);
        assert_eq!((cache.get(&1), cache.get(&2)), (Some(11), None), "what is kept anew came last");
        assert_eq!(cache.retain(|key| *key == 1), 2);
        assert_eq!(cache.state.lock().unwrap().bytes, ENTRY_BYTES + 10);
    }

    #[test]
    fn nothing_is_believed_longer_than_it_may() {
        let cache: Timed<u32, u32> = Timed::new(Duration::ZERO, 1 << 20);
        cache.keep(1, 10, 10, || true);
        assert_eq!(cache.get(&1), None);
        let cache: Timed<u32, u32> = Timed::new(Duration::from_nanos(1), 1 << 20);
        cache.keep(1, 10, 10, || true);
        assert_eq!(cache.get(&1), None);
        assert_eq!(cache.state.lock().unwrap().bytes, 0);
    }

    #[test]
    fn an_answer_to_a_question_from_before_a_change_is_not_kept() {
        let cache: Timed<u32, u32> = Timed::new(HOUR, 1 << 20);
        cache.keep(1, 10, 10, || false);
        assert_eq!(cache.get(&1), None);
    }
}
