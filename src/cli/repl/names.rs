//! Names of schemas, tables and columns for completion, fetched beside the typing and kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::cli::client::{Client, Failure, SharedClient, ask};
use crate::cli::shell::listing::{catalog_names, first_column, schema_names};
use crate::cli::shell::pattern::quoted;

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
    Catalogs,
    /// The engine's functions.
    Functions,
    /// The session's settings.
    Settings,
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
    client: SharedClient,
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
    pub(super) fn new(client: SharedClient) -> Self {
        Self { client, runtime: Handle::current(), shared: Arc::default() }
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
        let (client, shared) = (Arc::clone(&self.client), Arc::clone(&self.shared));
        self.runtime.spawn(async move {
            let fetched = tokio::time::timeout(FETCH_MAX, fetch(client.as_ref(), &list)).await;
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

async fn fetch(client: &dyn Client, list: &List) -> Result<Vec<String>, Failure> {
    match list {
        List::Catalogs => catalog_names(client).await,
        List::Functions => first_column(client, "SHOW FUNCTIONS").await,
        List::Settings => first_column(client, "SHOW SESSION").await,
        List::Schemas { catalog } => schema_names(client, catalog).await,
        List::Tables { catalog, schema } => {
            let sql = format!("SHOW TABLES FROM {}.{}", quoted(catalog), quoted(schema));
            let rows = ask(client, &sql).await?;
            Ok(rows.into_iter().filter_map(|row| row.into_iter().nth(1).flatten()).collect())
        }
        List::Columns { catalog, schema, table } => {
            let sql = format!("DESCRIBE {}.{}.{}", quoted(catalog), quoted(schema), quoted(table));
            let rows = ask(client, &sql).await?;
            // A column that cannot be read has no type.
            let readable = rows.into_iter().filter(|row| row.get(1).is_some_and(Option::is_some));
            Ok(readable.filter_map(|row| row.into_iter().next().flatten()).collect())
        }
    }
}
