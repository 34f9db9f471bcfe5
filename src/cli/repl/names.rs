//! Names of schemas, tables and columns for completion, fetched beside the typing and kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use datafusion::common::TableReference;
use tokio::runtime::Handle;

use crate::catalog::Resolved;
use crate::error::Result;
use crate::session::Session;

/// How long fetched names are taken for true.
const FRESH_FOR: Duration = Duration::from_secs(30);

/// How long a source that did not answer is left alone.
const QUIET_FOR: Duration = Duration::from_secs(5);

/// How long a source may take, although nobody waits so long: a late answer serves the next key press.
const FETCH_MAX: Duration = Duration::from_secs(10);

/// Lists that are kept.
const LISTS_MAX: usize = 1_000;

/// Names that are kept of one list.
const NAMES_MAX: usize = 10_000;

/// A list of names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum List {
    Schemas {
        catalog: String,
    },
    Tables {
        catalog: String,
        schema: String,
    },
    /// Visible columns, then hidden ones.
    Columns {
        catalog: String,
        schema: String,
        table: String,
    },
}

#[derive(Debug)]
struct Entry {
    names: Arc<Vec<String>>,
    /// When the names are to be fetched again.
    stale: Instant,
    fetching: bool,
}

/// The names that are known.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) session: Arc<Session>,
    runtime: Handle,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lists: Mutex<HashMap<List, Entry>>,
    fetched: Condvar,
}

impl Shared {
    fn lists(&self) -> MutexGuard<'_, HashMap<List, Entry>> {
        // A poisoned lock means that another thread panicked; the lists themselves are still whole.
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Names {
    /// Names as a session sees them. Must be called in a runtime.
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session, runtime: Handle::current(), shared: Arc::default() }
    }

    /// The names of a list. Waits for the source until the deadline, then gives what was known before.
    pub(super) fn get(&self, list: List, deadline: Instant) -> Arc<Vec<String>> {
        let mut lists = self.shared.lists();
        let now = Instant::now();
        if lists.len() >= LISTS_MAX && !lists.contains_key(&list) {
            lists.retain(|_, entry| entry.fetching || entry.stale > now);
        }
        let entry =
            lists.entry(list.clone()).or_insert_with(|| Entry { names: Arc::default(), stale: now, fetching: false });
        if entry.stale > now {
            return Arc::clone(&entry.names);
        }
        if !entry.fetching {
            entry.fetching = true;
            self.fetch(list.clone());
        }
        let wait = deadline.saturating_duration_since(now);
        let fetching = |lists: &mut HashMap<List, Entry>| lists.get(&list).is_some_and(|entry| entry.fetching);
        let waited = self.shared.fetched.wait_timeout_while(lists, wait, fetching);
        let (lists, _) = waited.unwrap_or_else(PoisonError::into_inner);
        lists.get(&list).map(|entry| Arc::clone(&entry.names)).unwrap_or_default()
    }

    fn fetch(&self, list: List) {
        let (session, shared) = (Arc::clone(&self.session), Arc::clone(&self.shared));
        self.runtime.spawn(async move {
            let fetched = tokio::time::timeout(FETCH_MAX, fetch(&session, &list)).await;
            let mut lists = shared.lists();
            if let Some(entry) = lists.get_mut(&list) {
                entry.fetching = false;
                entry.stale = Instant::now() + QUIET_FOR;
                if let Ok(Ok(mut names)) = fetched {
                    names.truncate(NAMES_MAX);
                    entry.names = Arc::new(names);
                    entry.stale = Instant::now() + FRESH_FOR;
                }
            }
            drop(lists);
            shared.fetched.notify_all();
        });
    }
}

async fn fetch(session: &Session, list: &List) -> Result<Vec<String>> {
    let resolver = session.resolver();
    match list {
        List::Schemas { catalog } => Ok(resolver.catalog(Some(catalog))?.connector()?.list_schemas().await?),
        List::Tables { catalog, schema } => {
            let catalog = resolver.catalog(Some(catalog))?;
            let schema = resolver.schema(catalog, schema).await?;
            let entries = catalog.connector()?.list_tables(&schema).await?;
            Ok(entries.into_iter().map(|entry| entry.name).collect())
        }
        List::Columns { catalog, schema, table } => {
            let reference = TableReference::full(catalog.as_str(), schema.as_str(), table.as_str());
            Ok(match resolver.resolve(&reference).await? {
                Resolved::Source(table) => table.columns().iter().map(|column| column.name().to_owned()).collect(),
                Resolved::Own(table) => table.schema().fields().iter().map(|field| field.name().clone()).collect(),
            })
        }
    }
}
