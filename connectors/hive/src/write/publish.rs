//! From a commit to files in their places. Every step may be done again, by whoever finds it undone: the writer itself, the
//! next one, or `clean_staging`.
//!
//! The order is such that a reader who knows nothing of the log sees new files before old ones are gone, and a partition in
//! a metastore only once its files are there.

use chrono::{TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};
use portolan_connector::{ConnectorError, ErrorClass, Result};

use super::at_once;
use super::log::{Entries, LOG, Log, Stamp};
use super::record::{Added, Change, Record};
use super::registry::Registry;
use super::token::Outcome;
use super::view::records;
use crate::store::child;

/// Requests for files of one write that are made at the same time.
const FILES_AT_ONCE: usize = 16;

/// How many writes to a table that was dropped are removed at a time.
const ABANDONED_MAX: usize = 1000;

/// How long the record of a write is kept that is done: longer than a reader takes from the first directory that it lists
/// to the last, so that it learns of each write between them.
const RECORDS_KEPT: TimeDelta = TimeDelta::hours(1);

/// Brings the files of all committed writes into their places, in the order of the writes. Returns how many writes there were.
pub(super) async fn publish(log: &Log, registry: Option<&Registry>) -> Result<u64> {
    let entries = log.list().await?;
    let mut count = 0;
    for number in entries.pending() {
        let Some(record) = log.read(number).await? else { continue };
        Publication { log, registry, number, record: &record }.run().await?;
        count += 1;
        if record.change == Change::Drop {
            return Ok(count);
        }
    }
    trim(log, &entries).await?;
    Ok(count)
}

/// The same. Rows that were committed to a table that was dropped are removed on the way.
pub(super) async fn publish_or_abandon(log: &Log, registry: Option<&Registry>) -> Result<u64> {
    let mut abandoned = 0;
    loop {
        match publish(log, registry).await {
            // What told of the rows is gone with them, so each time there is less to do.
            Err(error) if error.class() == ErrorClass::User && abandoned < ABANDONED_MAX => abandoned += 1,
            published => return published,
        }
    }
}

struct Publication<'a> {
    log: &'a Log,
    registry: Option<&'a Registry>,
    number: u64,
    record: &'a Record,
}

impl Publication<'_> {
    async fn run(&self) -> Result<()> {
        let (log, record) = (self.log, self.record);
        if record.change == Change::Drop {
            return self.drop_table().await;
        }
        if let Some(registry) = self.registry {
            if record.change == Change::Rows && !registry.exists().await? {
                self.abandon().await?;
                return Err(registry.gone());
            }
            registry.define(record).await?;
            if !record.replaced_partitions.is_empty() && !self.is_done().await? {
                registry.forget_partitions(record).await?;
            }
        } else if let Some(definition) = &record.definition {
            log.replace(&log.definition_path()?, definition).await?;
        }
        at_once(FILES_AT_ONCE, record.added.iter().map(|added| self.bring(added)).collect()).await?;
        if let Some(registry) = self.registry {
            registry.add_partitions(record).await?;
        }
        delete(log, record.removed.iter().map(|path| log.table_path(path)).collect::<Result<_>>()?).await?;
        if let Some(registry) = self.registry {
            registry.count(record, self.number).await?;
        }
        if let Some(token) = &record.token {
            let outcome = Outcome { statement: token.statement.clone(), rows: record.rows };
            log.replace(&log.token_path(&token.token)?, &outcome).await?;
        }
        // Nothing may be left to copy once later writes may remove the files from their places.
        self.unstage().await?;
        match log.create(&log.done_path(self.number)?, &record.write).await? {
            true => Ok(()),
            false => self.take_back().await,
        }
    }

    /// Copies a file into its place. The copy is one request to the store, and a link on a local disk.
    async fn bring(&self, added: &Added) -> Result<()> {
        let (log, store) = (self.log, self.log.store.open()?);
        let staged = log.staged_path(&self.record.write, added.number)?;
        let place = self.place(added)?;
        match store.copy(&staged, &place).await {
            Ok(()) => Ok(()),
            // Somebody else has done all of this before.
            Err(Error::NotFound { .. }) => match store.head(&place).await {
                Ok(_) => Ok(()),
                Err(Error::NotFound { .. }) if self.is_done().await? => Ok(()),
                Err(error) => Err(log.store.error("bring a committed file to", &place, &error)),
            },
            Err(error) => Err(log.store.error("bring a committed file to", &place, &error)),
        }
    }

    fn place(&self, added: &Added) -> Result<Path> {
        child(&self.log.table_path(&added.directory)?, &self.record.file_name(added.number))
    }

    async fn is_done(&self) -> Result<bool> {
        let entries = self.log.list().await?;
        Ok(entries.writes.get(&self.number).is_none_or(|entry| entry.done))
    }

    /// Another process was faster, and later writes may have removed files of which a copy was still under way here.
    async fn take_back(&self) -> Result<()> {
        let entries = self.log.list().await?;
        let Some(later) = records(self.log, &entries.after(self.number)).await? else { return Ok(()) };
        let ours: Vec<Path> = self.record.added.iter().map(|added| self.place(added)).collect::<Result<_>>()?;
        for record in later {
            let removed: Vec<Path> =
                record.removed.iter().map(|path| self.log.table_path(path)).collect::<Result<_>>()?;
            delete(self.log, removed.into_iter().filter(|path| ours.contains(path)).collect()).await?;
        }
        Ok(())
    }

    /// Removes the staged files.
    async fn unstage(&self) -> Result<()> {
        let record = self.record;
        let staged = record.added.iter().map(|added| self.log.staged_path(&record.write, added.number));
        delete(self.log, staged.collect::<Result<_>>()?).await?;
        let directory = self.log.staged_directory(&record.write)?;
        self.log.store.remove_empty_up_to(&directory, &self.log.directory()?).await;
        if record.clears() {
            self.log.store.remove_empty_directories(&self.log.root).await;
        } else if !record.removed.is_empty() {
            self.log.tidy().await;
        }
        Ok(())
    }

    /// Removes rows that were committed to a table when the metastore had it no longer.
    async fn abandon(&self) -> Result<()> {
        let (log, record) = (self.log, self.record);
        let places = record.added.iter().map(|added| self.place(added)).collect::<Result<_>>()?;
        delete(log, places).await?;
        self.unstage().await?;
        delete(log, vec![log.commit_path(self.number)?]).await?;
        log.store.remove_empty_directories(&log.root).await;
        Ok(())
    }

    /// Removes the table. The record stays, and in a lake of directories as the last that the log holds: a write that began
    /// before it finds its number taken, and not a directory in which it would be the first. With a metastore such a write
    /// is told that the table is gone, and others want the directory empty.
    async fn drop_table(&self) -> Result<()> {
        let log = self.log;
        // The metastore forgot the table before the record was made. What it has now is another one in the same place.
        if let Some(registry) = self.registry
            && registry.exists().await?
        {
            return log.create(&log.done_path(self.number)?, &self.record.write).await.map(drop);
        }
        let record = log.commit_path(self.number)?;
        let all: Vec<Path> = list_all(log, &log.root).await?.into_iter().filter(|path| *path != record).collect();
        let (of_log, files): (Vec<Path>, Vec<Path>) =
            all.into_iter().partition(|path| path.prefix_matches(&child(&log.root, LOG).unwrap_or_default()));
        delete(log, files).await?;
        delete(log, of_log).await?;
        match log.in_metastore {
            true => delete(log, vec![record]).await?,
            false => log.create(&log.done_path(self.number)?, &self.record.write).await.map(drop)?,
        }
        log.store.remove_empty_directories(&log.root).await;
        Ok(())
    }
}

/// All files below a directory.
pub(super) async fn list_all(log: &Log, directory: &Path) -> Result<Vec<Path>> {
    let listed = log.store.open()?.list(Some(directory)).map_ok(|meta| meta.location).try_collect().await;
    listed.map_err(|error| log.store.error("list", directory, &error))
}

/// Removes files, of which some may be gone already.
pub(super) async fn delete(log: &Log, paths: Vec<Path>) -> Result<()> {
    at_once(FILES_AT_ONCE, paths.into_iter().map(|path| delete_one(log, path)).collect()).await.map(drop)
}

async fn delete_one(log: &Log, path: Path) -> Result<()> {
    match log.store.open()?.delete(&path).await {
        Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(log.store.error("remove", &path, &error)),
    }
}

/// Removes the records of writes that were done long ago. The last one stays: it says which number comes next.
pub(super) async fn trim(log: &Log, entries: &Entries) -> Result<()> {
    let last = entries.last();
    let oldest = Utc::now() - RECORDS_KEPT;
    let is_old = |made: &Option<Stamp>| made.as_ref().is_none_or(|made| made.at() < oldest);
    let old: Vec<u64> = entries
        .writes
        .iter()
        .filter(|(number, entry)| **number != last && entry.done && is_old(&entry.made))
        .map(|(number, _)| *number)
        .collect();
    // The record before its end: what is left of it is then no write that is to be done.
    for path in [Log::commit_path, Log::done_path] {
        delete(log, old.iter().map(|number| path(log, *number)).collect::<Result<_>>()?).await?;
    }
    Ok(())
}

/// What was committed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Committed<'a> {
    Rows,
    /// A table, by this write where that is known.
    Table(Option<&'a str>),
}

/// Brings a committed write to its end. Where that fails its readers see it all the same, and others go on with it; only a
/// table that the metastore does not have yet is seen by nobody, which is an error.
pub(super) async fn finish(log: &Log, registry: Option<&Registry>, committed: Committed<'_>) -> Result<()> {
    let Err(error) = publish(log, registry).await else { return Ok(()) };
    if error.class() == ErrorClass::User {
        return Err(error);
    }
    let is_seen = match (registry, committed) {
        (None, _) => true,
        (Some(registry), Committed::Rows) => registry.exists().await.unwrap_or(false),
        (Some(registry), Committed::Table(Some(write))) => registry.is_made_by(write).await.unwrap_or(false),
        (Some(_), Committed::Table(None)) => false,
    };
    if !is_seen {
        return Err(error.hint(
            "the rows are committed, and the metastore does not know the table yet: run the statement again under the same write_token, or call clean_staging",
        ));
    }
    unfinished(log, &error);
    Ok(())
}

/// The error of a write that was committed and whose files could not be brought into their places.
fn unfinished(log: &Log, error: &ConnectorError) {
    tracing::warn!(
        table = log.store.display(&log.root),
        %error,
        "a write is committed and its files are not all in their places yet: the next write, or clean_staging, goes on with it"
    );
}
