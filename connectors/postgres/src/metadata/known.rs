//! What is known of tables, so that it need not be asked again.
//!
//! Nothing of it is believed before PostgreSQL has said that the table has not changed since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portolan_connector::TableStatistics;

use super::{Relation, Seen, Version};

/// Tables of one catalog that are remembered.
const TABLES_MAX: usize = 1000;

/// Columns of all these tables together.
const COLUMNS_MAX: usize = 50_000;

/// How long statistics are taken for the newest. They only guide the planner.
const STATISTICS_AGE_MAX: Duration = Duration::from_secs(60);

/// A table as it was described.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) relation: Relation,
    pub(crate) version: Version,
    /// Whether the database stores UTF-8.
    pub(crate) utf8: bool,
    /// What the system catalogs said when they were last asked.
    seen: Mutex<Seen>,
    statistics: Mutex<Option<Known>>,
}

/// Statistics, and what they were computed for.
#[derive(Debug)]
struct Known {
    at: Instant,
    tuples: f64,
    pages: u32,
    statistics: Option<TableStatistics>,
}

impl Described {
    pub(crate) fn new(relation: Relation, version: Version, utf8: bool, seen: Seen) -> Self {
        Self { relation, version, utf8, seen: Mutex::new(seen), statistics: Mutex::default() }
    }

    /// What the system catalogs said when they were last asked.
    pub(crate) fn last_seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what they say now.
    pub(crate) fn saw(&self, seen: &Seen) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone_from(seen);
    }

    /// Statistics that are not too old, if nobody has counted the rows since.
    pub(crate) fn statistics(&self, seen: &Seen) -> Option<Option<TableStatistics>> {
        let known = self.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |known: &&Known| {
            let same = known.pages == seen.pages && known.tuples.total_cmp(&seen.tuples).is_eq();
            same && known.at.elapsed() < STATISTICS_AGE_MAX
        };
        known.as_ref().filter(fresh).map(|known| known.statistics.clone())
    }

    /// Remembers statistics that were just read.
    pub(crate) fn remember(&self, seen: &Seen, statistics: Option<TableStatistics>) {
        let known = Known { at: Instant::now(), tuples: seen.tuples, pages: seen.pages, statistics };
        *self.statistics.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }
}

/// Descriptions of tables by schema and name. When there are too many, those that were not asked for the longest go.
#[derive(Debug, Default)]
pub(crate) struct KnownTables(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    by_name: HashMap<(String, String), Entry>,
    columns: usize,
    /// Counts the questions.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    described: Arc<Described>,
    asked: u64,
}

impl KnownTables {
    /// What was known of a table when it was last described.
    pub(crate) fn get(&self, schema: &str, table: &str) -> Option<Arc<Described>> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.clock += 1;
        let clock = tables.clock;
        let entry = tables.by_name.get_mut(&(schema.to_owned(), table.to_owned()))?;
        entry.asked = clock;
        Some(Arc::clone(&entry.described))
    }

    /// Remembers a description.
    pub(crate) fn put(&self, schema: &str, table: &str, described: Arc<Described>) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.clock += 1;
        let asked = tables.clock;
        tables.columns += described.relation.attributes.len();
        let old = tables.by_name.insert((schema.to_owned(), table.to_owned()), Entry { described, asked });
        tables.forgotten(old);
        while tables.by_name.len() > TABLES_MAX || tables.columns > COLUMNS_MAX {
            let oldest = tables.by_name.iter().min_by_key(|(_, entry)| entry.asked).map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { break };
            let old = tables.by_name.remove(&oldest);
            tables.forgotten(old);
        }
    }

    /// There is no such table any more.
    pub(crate) fn forget(&self, schema: &str, table: &str) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = tables.by_name.remove(&(schema.to_owned(), table.to_owned()));
        tables.forgotten(old);
    }
}

impl Tables {
    fn forgotten(&mut self, entry: Option<Entry>) {
        let columns = entry.map_or(0, |entry| entry.described.relation.attributes.len());
        self.columns = self.columns.saturating_sub(columns);
    }
}
