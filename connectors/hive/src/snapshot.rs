//! The frozen position of a lake: what its directories held when the query first listed them, and which partitions a
//! metastore knew when the query first asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use object_store::path::Path;
use portolan_connector::{Result, Snapshot};
use tokio::sync::OnceCell;

use crate::listing::{Listing, list};
use crate::metastore::{PartitionSource, Partitions};
use crate::store::Store;
use crate::write::{Log, View};

type Slot<T> = Arc<OnceCell<Arc<T>>>;

/// The directories that a query has listed. Each is listed once: two scans of a table see the same files, and a file
/// that appears later belongs to the next query.
#[derive(Debug)]
pub(crate) struct HiveSnapshot {
    began: DateTime<Utc>,
    files: AtomicU64,
    listings: Mutex<HashMap<Path, Slot<Listing>>>,
    /// By schema and table.
    partitions: Mutex<HashMap<(String, String), Slot<Partitions>>>,
    /// What the logs of tables say, by the table's directory.
    views: Mutex<HashMap<Path, Slot<View>>>,
}

impl HiveSnapshot {
    pub(crate) fn new() -> Self {
        Self {
            began: Utc::now(),
            files: AtomicU64::new(0),
            listings: Mutex::default(),
            partitions: Mutex::default(),
            views: Mutex::default(),
        }
    }

    /// What a directory held when the query first asked.
    pub(crate) async fn list(&self, store: &Store, directory: &Path) -> Result<Arc<Listing>> {
        let slot = {
            let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(listings.entry(directory.clone()).or_default())
        };
        let listing = slot
            .get_or_try_init(|| async {
                let listing = list(store, directory).await?;
                self.files.fetch_add(listing.files.len() as u64, Ordering::Relaxed);
                Ok::<_, portolan_connector::ConnectorError>(Arc::new(listing))
            })
            .await?;
        Ok(Arc::clone(listing))
    }

    /// What the log of the table in a directory says: of one whose directory shows a log, or that is said to have one.
    pub(crate) async fn view(&self, log: &Log, said: Option<bool>) -> Result<Arc<View>> {
        let root = log.root();
        let slot = {
            let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(views.entry(root.clone()).or_default())
        };
        let view = slot.get_or_try_init(|| async {
            let has_log = match said {
                Some(said) => said,
                None => self.list(log.store(), root).await?.has_log,
            };
            let view = if has_log { View::read(log).await? } else { View::none() };
            Ok::<_, portolan_connector::ConnectorError>(Arc::new(view))
        });
        Ok(Arc::clone(view.await?))
    }

    /// Forgets what is known of the table in a directory, so that it is listed again.
    pub(crate) fn forget(&self, root: &Path, source: Option<&PartitionSource>) {
        self.views.lock().unwrap_or_else(PoisonError::into_inner).remove(root);
        self.listings.lock().unwrap_or_else(PoisonError::into_inner).retain(|path, _| !path.prefix_matches(root));
        if let Some(source) = source {
            let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
            partitions.remove(&(source.schema.clone(), source.table.clone()));
        }
    }

    /// The partitions of a table that a metastore knew when the query first asked.
    pub(crate) async fn partitions(&self, source: &PartitionSource) -> Result<Arc<Partitions>> {
        let slot = {
            let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(partitions.entry((source.schema.clone(), source.table.clone())).or_default())
        };
        let known = slot.get_or_try_init(|| async { source.names().await.map(Arc::new) }).await?;
        Ok(Arc::clone(known))
    }
}

impl Snapshot for HiveSnapshot {
    fn describe(&self) -> Option<String> {
        let files = self.files.load(Ordering::Relaxed);
        let plural = if files == 1 { "" } else { "s" };
        let began = self.began.to_rfc3339_opts(SecondsFormat::Secs, true);
        Some(format!("listed {began} · {files} file{plural}"))
    }
}
