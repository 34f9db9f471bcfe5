//! The frozen position of a lake: what its directories held when the query first listed them, and which partitions a
//! metastore knew when the query first asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use object_store::path::Path;
use portolan_connector::{ConnectorError, RequestCount, Result, Snapshot};
use tokio::sync::OnceCell;

use crate::listing::{Listed, Listing, list};
use crate::metastore::{PartitionSource, Partitions};
use crate::store::{Files, Store};
use crate::write::{Log, View};

type Slot<T> = Arc<OnceCell<Arc<T>>>;

/// The directories that a query has listed. Each is listed once: two scans of a table see the same files, and a file
/// that appears later belongs to the next query. Where the catalog file allows it, a listing may be one that an earlier
/// query made.
#[derive(Debug)]
pub(crate) struct HiveSnapshot {
    files: Files,
    seen: AtomicU64,
    listings: Mutex<HashMap<Path, Slot<Listed>>>,
    /// What was listed to open the query's tables.
    known: Mutex<HashMap<Path, Arc<Listed>>>,
    /// By schema and table.
    partitions: Mutex<HashMap<(String, String), Slot<Partitions>>>,
    /// What the logs of tables say, by the table's directory.
    views: Mutex<HashMap<Path, Seen>>,
    /// Whether nothing of what earlier queries have listed is believed.
    fresh: bool,
    moments: Mutex<Moments>,
}

/// What a query sees of a table's log.
#[derive(Debug, Default)]
struct Seen {
    view: Slot<View>,
    /// Whether a scan reads what it says, so that the query goes on to see it.
    is_taken: bool,
}

impl Seen {
    fn is(&self, view: &Arc<View>) -> bool {
        self.view.get().is_some_and(|known| Arc::ptr_eq(known, view))
    }
}

/// When a query's listings were made.
#[derive(Debug)]
struct Moments {
    /// When the query first opened a table. What is older was listed by another.
    began: DateTime<Utc>,
    /// How many listings and lists of partitions are older, and when the oldest of them was made.
    remembered: u64,
    oldest: Option<DateTime<Utc>>,
}

impl HiveSnapshot {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            files: Files::new(store, Arc::default()),
            seen: AtomicU64::new(0),
            listings: Mutex::default(),
            known: Mutex::default(),
            partitions: Mutex::default(),
            views: Mutex::default(),
            fresh: false,
            moments: Mutex::new(Moments { began: Utc::now(), remembered: 0, oldest: None }),
        }
    }

    /// One for a write, which must not go by what was there some time ago.
    pub(crate) fn fresh(store: Arc<Store>) -> Self {
        Self { fresh: true, ..Self::new(store) }
    }

    /// The store, whose requests count as the query's.
    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// Takes over what was listed to open a table, with what its log said then, and the requests that it took. Where the
    /// query sees another state of the log, what was listed then is of no use to it.
    pub(crate) fn adopt(&self, opening: &Self) {
        self.files.requests().absorb(opening.files.requests());
        let began = opening.moments.lock().unwrap_or_else(PoisonError::into_inner).began;
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        moments.began = moments.began.min(began);
        drop(moments);
        let logs = opening.views.lock().unwrap_or_else(PoisonError::into_inner);
        // Until the listings are taken over, no other scan may leave this state of the log.
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let mut others = Vec::new();
        for (root, seen) in logs.iter().filter(|(_, seen)| seen.view.initialized()) {
            let mine =
                views.entry(root.clone()).or_insert_with(|| Seen { view: Arc::clone(&seen.view), is_taken: false });
            if !Arc::ptr_eq(&mine.view, &seen.view) {
                others.push(root);
            }
        }
        let listings = opening.listings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (directory, slot) in listings.iter() {
            if let Some(listed) = slot.get()
                && !others.iter().any(|root| directory.prefix_matches(root))
            {
                known.entry(directory.clone()).or_insert_with(|| Arc::clone(listed));
            }
        }
    }

    /// What a directory held when the query first asked.
    pub(crate) async fn list(&self, directory: &Path) -> Result<Arc<Listing>> {
        let slot = {
            let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(listings.entry(directory.clone()).or_default())
        };
        let listed = slot
            .get_or_try_init(|| async {
                let listed = self.listed(directory).await?;
                self.seen.fetch_add(listed.listing.files.len() as u64, Ordering::Relaxed);
                self.note(listed.at);
                Ok::<_, ConnectorError>(listed)
            })
            .await?;
        Ok(Arc::clone(&listed.listing))
    }

    async fn listed(&self, directory: &Path) -> Result<Arc<Listed>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(directory).cloned();
        let caches = self.files.caches();
        if let Some(known) = known.or_else(|| caches.listing(directory).filter(|_| !self.fresh)) {
            return Ok(known);
        }
        let asked = caches.ask();
        let at = Utc::now();
        let listed = Arc::new(Listed { at, listing: Arc::new(list(&self.files, directory).await?) });
        if !self.fresh {
            caches.keep_listing(asked, directory, &listed);
        }
        Ok(listed)
    }

    /// What the log of the table in a directory says: of one whose directory shows a log, or that is said to have one.
    pub(crate) async fn view(&self, log: &Log, said: Option<bool>) -> Result<Arc<View>> {
        let root = log.root();
        let slot = {
            let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&views.entry(root.clone()).or_default().view)
        };
        let view = slot.get_or_try_init(|| async {
            let remembered = self.files.caches().log(root);
            let has_log = match (said, &remembered) {
                (Some(said), _) => said,
                (None, Some(_)) => true,
                (None, None) => self.list(root).await?.has_log,
            };
            if !has_log {
                return Ok::<_, ConnectorError>(Arc::new(View::none()));
            }
            let view = View::read(log, remembered.as_deref()).await?;
            let state = view.remembered();
            if self.fresh || state.is_none() || state != remembered.as_deref() {
                // What is listed from here on has at least the files that the log says are in their places.
                self.unlist(root);
                if let Some(state) = state {
                    self.files.caches().keep_log(root, state.clone());
                }
            }
            Ok(Arc::new(view))
        });
        Ok(Arc::clone(view.await?))
    }

    /// Notes that a scan reads what the view says. False where another scan of the query has left it.
    pub(crate) fn take(&self, root: &Path, view: &Arc<View>) -> bool {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        match views.get_mut(root).filter(|seen| seen.is(view)) {
            Some(seen) => {
                seen.is_taken = true;
                true
            }
            None => false,
        }
    }

    /// Leaves a view that is out of date, with all that was listed under it, so that the table is listed again. False where
    /// another scan of the query has taken it.
    pub(crate) fn leave(&self, root: &Path, view: &Arc<View>, source: Option<&PartitionSource>) -> bool {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = views.get_mut(root).filter(|seen| seen.is(view)) else { return true };
        if seen.is_taken {
            return false;
        }
        // Its place stays, so that what was listed to open the table is not taken over again.
        *seen = Seen::default();
        self.unlist(root);
        if let Some(source) = source {
            let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
            partitions.remove(&(source.schema.clone(), source.table.clone()));
        }
        true
    }

    fn unlist(&self, root: &Path) {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner).retain(|path, _| !path.prefix_matches(root));
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|path, _| !path.prefix_matches(root));
        self.files.caches().forget_below(root);
    }

    /// The partitions of a table that a metastore knew when the query first asked. Those that an earlier query was told are
    /// believed as long as the table's log says what it said then: they may lack what a write has made since.
    pub(crate) async fn partitions(&self, source: &PartitionSource, view: &View) -> Result<Arc<Partitions>> {
        let slot = {
            let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(partitions.entry((source.schema.clone(), source.table.clone())).or_default())
        };
        let known = slot
            .get_or_try_init(|| async {
                let caches = self.files.caches();
                let log = view.remembered();
                // While files of a write are not in their places, its partitions may come at any moment.
                let is_settled = !view.has_log() || log.is_some();
                if let Some(known) = caches.partitions(&source.schema, &source.table)
                    && !self.fresh
                    && is_settled
                    && known.fit(source, log)
                {
                    self.note(known.at);
                    return Ok(known);
                }
                let asked = caches.ask();
                let found = Arc::new(source.names().await?.under(log.cloned()));
                if is_settled {
                    caches.keep_partitions(asked, &source.schema, &source.table, &found);
                }
                Ok::<_, ConnectorError>(found)
            })
            .await?;
        Ok(Arc::clone(known))
    }

    /// Notes when something was listed that the query uses.
    fn note(&self, at: DateTime<Utc>) {
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        if at < moments.began {
            moments.remembered += 1;
            moments.oldest = Some(moments.oldest.map_or(at, |oldest| oldest.min(at)));
        }
    }
}

impl Snapshot for HiveSnapshot {
    fn describe(&self) -> Option<String> {
        let seen = self.seen.load(Ordering::Relaxed);
        let plural = if seen == 1 { "" } else { "s" };
        let moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = moments.oldest.unwrap_or(moments.began);
        let at = oldest.to_rfc3339_opts(SecondsFormat::Secs, true);
        let cached = match moments.remembered {
            0 => String::new(),
            count => {
                let age = (moments.began - oldest).num_seconds().max(0);
                let plural = if count == 1 { "" } else { "s" };
                format!(" · {count} listing{plural} from the cache, up to {age} s old")
            }
        };
        Some(format!("listed {at} · {seen} file{plural}{cached}"))
    }

    fn requests(&self) -> Vec<RequestCount> {
        self.files.requests().counts()
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use portolan_connector::Properties;

    use super::*;

    #[tokio::test]
    async fn a_query_sees_a_table_at_one_moment() {
        let store = Arc::new(Store::over(&Properties::default(), Arc::new(InMemory::new())).unwrap());
        let (root, snapshot) = (Path::from("file/t"), HiveSnapshot::new(Arc::clone(&store)));
        let log = Log::new(&store, &root);
        let first = snapshot.view(&log, Some(false)).await.unwrap();
        // One scan finds it out of date before any has taken it: the others go with that one.
        assert!(snapshot.leave(&root, &first, None));
        assert!(!snapshot.take(&root, &first), "it was left");
        let second = snapshot.view(&log, Some(false)).await.unwrap();
        assert!(snapshot.leave(&root, &first, None), "the other one is already another");
        assert!(Arc::ptr_eq(&second, &snapshot.view(&log, Some(false)).await.unwrap()));
        assert!(snapshot.take(&root, &second) && snapshot.take(&root, &second));
        assert!(!snapshot.leave(&root, &second, None), "a scan reads what it says");
    }
}
