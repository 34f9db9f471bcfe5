//! `clean_staging`: what dead writes have left, and commits that nobody has finished.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::ObjectMeta;
use object_store::path::Path;
use portolan_connector::{ConnectorError, Result};

use super::log::{Entries, Log};
use super::publish::{delete, publish_or_abandon, trim};
use super::record::{Change, began_ms};
use super::registry::Registry;
use crate::connector::HiveConnector;
use crate::factory::DEFAULT_SCHEMA;
use crate::listing::list_uncounted;
use crate::procedures::{SCHEMA_NAME, TABLE_NAME, counted};
use crate::table::human_bytes;

/// How old staged files are that no write is taken to need any more: longer than a statement runs.
pub(crate) const STAGED_KEPT: Duration = Duration::from_secs(24 * 3600);

/// How long it is remembered what a write with a token wrote.
const TOKENS_KEPT: TimeDelta = TimeDelta::days(30);

/// The tables that are cleaned: all, those of a schema, or one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    schema: Option<&'a str>,
    table: Option<&'a str>,
}

impl<'a> Scope<'a> {
    /// Names as the catalog lists them. An error for a table without its schema.
    pub(crate) fn new(schema: Option<&'a str>, table: Option<&'a str>) -> Result<Self> {
        match (schema, table) {
            (None, Some(_)) => Err(ConnectorError::user(format!(
                "{TABLE_NAME} without {SCHEMA_NAME}: the schema of the table that is cleaned is missing"
            ))),
            _ => Ok(Self { schema, table }),
        }
    }

    pub(super) fn has_schema(&self, schema: &str) -> bool {
        self.schema.is_none_or(|name| name == schema)
    }

    pub(super) fn has(&self, schema: &str, table: &str) -> bool {
        self.has_schema(schema) && self.table.is_none_or(|name| name == table)
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cleaned {
    tables: usize,
    writes_finished: u64,
    dead_writes: usize,
    files: usize,
    bytes: u64,
    tokens: usize,
}

impl Cleaned {
    fn add(&mut self, other: Self) {
        self.tables += other.tables;
        self.writes_finished += other.writes_finished;
        self.dead_writes += other.dead_writes;
        self.files += other.files;
        self.bytes += other.bytes;
        self.tokens += other.tokens;
    }

    /// A sentence without a final stop.
    pub(crate) fn describe(&self) -> String {
        let finished = counted(usize::try_from(self.writes_finished).unwrap_or(usize::MAX), "committed write");
        let (dead, files) = (counted(self.dead_writes, "dead write"), counted(self.files, "file"));
        let (bytes, tokens) = (human_bytes(self.bytes), counted(self.tokens, "write token"));
        let tables = counted(self.tables, "table");
        format!(
            "finished {finished}, removed {files} ({bytes}) of {dead}, forgot {tokens}, in {tables} that were written here"
        )
    }
}

impl HiveConnector {
    /// Cleans these tables of the catalog. Staged files that are younger than this may belong to a write that is under way.
    pub(crate) async fn clean_staging(&self, scope: Scope<'_>, older_than: Duration) -> Result<Cleaned> {
        let older_than = TimeDelta::from_std(older_than)
            .map_err(|error| ConnectorError::user("the time is too long").said(error).in_catalog(&self.catalog))?;
        let mut cleaned = Cleaned::default();
        for (log, registry) in self.logs(scope).await? {
            cleaned.add(clean(&log, registry.as_ref(), Utc::now() - older_than).await?);
        }
        Ok(cleaned)
    }

    /// The logs of these tables, and of those that were never made.
    async fn logs(&self, scope: Scope<'_>) -> Result<Vec<(Log, Option<Registry>)>> {
        if self.metastore.is_some() {
            return self.registered_logs(scope).await;
        }
        let mut logs = Vec::new();
        let found = |directory: &Path| (Log::new(&self.store, directory), None);
        for directory in list_uncounted(&self.store, self.store.root()).await?.directories {
            let Some(name) = directory.filename() else { continue };
            let is_wanted = scope.has(DEFAULT_SCHEMA, name);
            if !is_wanted && !scope.has_schema(name) {
                continue;
            }
            let listing = list_uncounted(&self.store, &directory).await?;
            if listing.has_log && is_wanted {
                logs.push(found(&directory));
            }
            if listing.is_table() {
                continue;
            }
            let is_in_scope = |table: &Path| table.filename().is_some_and(|table| scope.has(name, table));
            for table in listing.directories.iter().filter(|table| is_in_scope(table)) {
                if list_uncounted(&self.store, table).await?.has_log {
                    logs.push(found(table));
                }
            }
        }
        let declared = self.settings.tables.iter().filter(|settings| scope.has(&settings.schema, &settings.table));
        for location in declared.filter_map(|settings| settings.location.as_deref()) {
            let directory = self.store.resolve(location)?;
            if list_uncounted(&self.store, &directory).await?.has_log {
                logs.push(found(&directory));
            }
        }
        Ok(logs)
    }
}

/// Cleans one table.
async fn clean(log: &Log, registry: Option<&Registry>, before: DateTime<Utc>) -> Result<Cleaned> {
    let writes_finished = publish_or_abandon(log, registry).await?;
    let mut cleaned = Cleaned { tables: 1, writes_finished, ..Cleaned::default() };
    let entries = log.list().await?;
    trim(log, &entries).await?;
    unstage(log, &entries, before, &mut cleaned).await?;
    let old = Utc::now() - TOKENS_KEPT;
    let tokens = files(log, &log.tokens_directory()?).await?;
    let tokens: Vec<Path> =
        tokens.into_iter().filter(|file| file.last_modified < old).map(|file| file.location).collect();
    cleaned.tokens = tokens.len();
    delete(log, tokens).await?;
    forget_dropped(log, before).await?;
    log.tidy().await;
    Ok(cleaned)
}

/// Removes what tells of a table that was dropped, once no write can have begun before that. It is all that is there.
pub(super) async fn forget_dropped(log: &Log, before: DateTime<Utc>) -> Result<()> {
    let entries = log.list().await?;
    let is_old = entries.last_record().is_some_and(|record| record.at() < before);
    if !is_old || entries.definition.is_some() || entries.has_staged || !entries.pending().is_empty() {
        return Ok(());
    }
    let last = entries.last();
    if log.read(last).await?.is_none_or(|record| record.change != Change::Drop) {
        return Ok(());
    }
    for path in [log.commit_path(last)?, log.done_path(last)?] {
        delete(log, vec![path]).await?;
    }
    Ok(())
}

/// Removes the staged files of dead writes.
async fn unstage(log: &Log, entries: &Entries, before: DateTime<Utc>, cleaned: &mut Cleaned) -> Result<()> {
    if !entries.has_staged {
        return Ok(());
    }
    let mut writes: BTreeMap<Path, Vec<ObjectMeta>> = BTreeMap::new();
    for directory in list_uncounted(&log.store, &log.all_staged()?).await?.directories {
        writes.insert(directory.clone(), files(log, &directory).await?);
    }
    for (directory, files) in writes {
        let began = directory.filename().and_then(began_ms).and_then(DateTime::from_timestamp_millis);
        // A write that still goes on has written not long ago, or has just begun.
        let last = files.iter().map(|file| file.last_modified).max().or(began);
        if last.is_none_or(|last| last >= before) {
            continue;
        }
        cleaned.dead_writes += 1;
        cleaned.files += files.len();
        cleaned.bytes += files.iter().map(|file| file.size).sum::<u64>();
        delete(log, files.into_iter().map(|file| file.location).collect()).await?;
        log.store.remove_local_directory(&directory).await;
    }
    Ok(())
}

async fn files(log: &Log, directory: &Path) -> Result<Vec<ObjectMeta>> {
    let listed = log.store.open()?.list(Some(directory)).try_collect().await;
    listed.map_err(|error| log.store.error("list", directory, &error))
}
