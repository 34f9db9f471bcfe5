//! The frozen position of a source for one query.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Connector, QueryContext, RequestCount, Result};

/// The frozen position of one source: an exported PostgreSQL snapshot, a set of end offsets, a list of files.
///
/// It lives as long as the query, and whatever it holds on the source (a transaction) ends when it is dropped.
pub trait Snapshot: Any + Debug + Send + Sync {
    /// The position as EXPLAIN prints it, such as `00000003-0000001B-1`.
    fn describe(&self) -> Option<String>;

    /// The requests that the query has sent to the source so far, by kind, where they are counted.
    fn requests(&self) -> Vec<RequestCount> {
        Vec::new()
    }
}

impl dyn Snapshot {
    /// The connector's own type of snapshot.
    pub fn downcast_ref<T: Snapshot>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref::<T>()
    }
}

/// A slot per catalog, filled by the first scan that needs it.
type Slot = Arc<tokio::sync::OnceCell<Arc<dyn Snapshot>>>;

/// The snapshots of one query: at most one per catalog, taken when the first scan needs it.
#[derive(Debug, Default)]
pub struct Snapshots {
    by_catalog: Mutex<HashMap<String, Slot>>,
}

impl Snapshots {
    /// The query's snapshot of a catalog; the first call takes it, every later one gets the same.
    pub async fn of(
        &self,
        catalog: &str,
        connector: &dyn Connector,
        query: &QueryContext,
    ) -> Result<Arc<dyn Snapshot>> {
        let slot = {
            // A poisoned lock means that another thread panicked; the map itself is still whole.
            let mut slots = self.by_catalog.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(catalog.to_owned()).or_default())
        };
        slot.get_or_try_init(|| connector.begin(query)).await.cloned()
    }

    /// The snapshots that were taken, by catalog, in the order of their names.
    pub fn taken(&self) -> Vec<(String, Arc<dyn Snapshot>)> {
        let slots = self.by_catalog.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken: Vec<_> =
            slots.iter().filter_map(|(catalog, slot)| Some((catalog.clone(), Arc::clone(slot.get()?)))).collect();
        taken.sort_by(|(one, _), (other, _)| one.cmp(other));
        taken
    }
}
