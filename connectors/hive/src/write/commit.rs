//! The commit: one record, made under the next number of the table's log where nobody has made it. Whoever comes second
//! reads what the first has done and tries the number after it, so writes of a table have one order, and each knows what
//! was there before it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use portolan_connector::{ConnectorError, InsertMode, OnExisting, Result};

use super::columns::Counts;
use super::existing::{Existing, Held, relative};
use super::files::Finished;
use super::log::{Entries, Log};
use super::publish::list_all;
use super::record::{Added, Change, Record, Summary, Token, VERSION};
use super::split::Partition;
use super::target::Target;
use super::view::{View, busy, records};
use crate::snapshot::HiveSnapshot;
use crate::write::LOG;

/// How many writes may be committed before one that tries at the same time.
const ATTEMPTS_MAX: usize = 1000;

/// How long a listing of the log is good for: much less than its records are kept.
const LISTING_KEPT: Duration = Duration::from_secs(600);

/// What a write is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Make a table.
    New(OnExisting),
    /// Put rows into one that is there.
    Rows(InsertMode),
}

/// A write whose files are all there.
pub(super) struct Commit<'a> {
    pub(super) target: &'a Target,
    pub(super) goal: Goal,
    pub(super) token: Option<&'a Token>,
    pub(super) write: &'a str,
    /// The last write of the log when this one began.
    pub(super) seen: u64,
    pub(super) partitions: &'a [Partition],
    pub(super) files: &'a [Finished],
    /// What was counted of their columns.
    pub(super) counts: Option<&'a Counts>,
}

/// What came of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The record has this number.
    Committed(u64),
    /// There was nothing to do: the table is there and may be, or another try of the write was faster. It wrote so many rows.
    Already(u64),
}

/// What is known of the writes that were committed since this one began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meanwhile {
    /// They leave the table what it was.
    Read,
    /// Some were so long ago that their records are gone.
    Forgotten,
    /// One of their records went while it was read: look again.
    Unread,
    /// There is nothing left to do.
    Settled(Outcome),
}

fn gone() -> ConnectorError {
    ConnectorError::user("the table was dropped or replaced while rows were written to it").hint("try again")
}

impl Commit<'_> {
    fn log(&self) -> &Log {
        &self.target.log
    }

    pub(super) async fn run(mut self) -> Result<Outcome> {
        for _ in 0..ATTEMPTS_MAX {
            let began = Instant::now();
            let entries = self.log().list().await?;
            let known = match self.catch_up(&entries).await? {
                Meanwhile::Settled(outcome) => return Ok(outcome),
                Meanwhile::Unread => continue,
                known => known,
            };
            let snapshot = HiveSnapshot::fresh(Arc::clone(self.log().store()));
            let view = snapshot.view(self.log(), Some(true)).await?;
            if view.last() != entries.last() {
                continue;
            }
            self.check_same(&view, known).await?;
            self.seen = entries.last();
            let record = match self.goal {
                Goal::New(on_existing) => match self.making(on_existing, &view, &snapshot).await? {
                    Some(record) => record,
                    None => return Ok(Outcome::Already(0)),
                },
                Goal::Rows(mode) => self.rows(mode, &view, &snapshot).await?,
            };
            self.check_staged().await?;
            let number = entries.last() + 1;
            if began.elapsed() < LISTING_KEPT && self.make(number, &record).await? {
                // An earlier query may have seen the directory without a log.
                self.log().store().caches().forget_table(&self.target.name, &self.log().root);
                return Ok(Outcome::Committed(number));
            }
        }
        Err(busy(self.log()))
    }

    /// Checks that the files are there: somebody may have taken them for those of a dead write.
    async fn check_staged(&self) -> Result<()> {
        if self.files.is_empty() {
            return Ok(());
        }
        let there = list_all(self.log(), &self.log().staged_directory(self.write)?).await?.len();
        match there < self.files.len() {
            true => Err(ConnectorError::source("files of the statement were removed before it was done")
                .hint("clean_staging with a time that is shorter than a statement runs removes what it needs")),
            false => Ok(()),
        }
    }

    /// Looks at what was committed since this write began.
    async fn catch_up(&self, entries: &Entries) -> Result<Meanwhile> {
        let since = entries.after(self.seen);
        let Some(records) = records(self.log(), &since).await? else { return Ok(Meanwhile::Unread) };
        if let Some(token) = self.token {
            if let Some(rows) = records.iter().find_map(|record| token.in_record(record)) {
                return rows.map(|rows| Meanwhile::Settled(Outcome::Already(rows)));
            }
            if let Some(rows) = token.committed(self.log()).await? {
                return Ok(Meanwhile::Settled(Outcome::Already(rows)));
            }
        }
        let is_other = |record: &Record| match self.goal {
            Goal::Rows(_) => record.change != Change::Rows,
            // The files of a new table are staged where a drop removes them.
            Goal::New(_) => record.change == Change::Drop,
        };
        if entries.last() < self.seen || records.iter().any(is_other) {
            return Err(gone());
        }
        match since.len() as u64 == entries.last() - self.seen {
            true => Ok(Meanwhile::Read),
            false => Ok(Meanwhile::Forgotten),
        }
    }

    /// Checks that the table is the one that the rows were made for, where the records that would tell are from before this
    /// write began, or are kept no longer.
    async fn check_same(&self, view: &View, meanwhile: Meanwhile) -> Result<()> {
        let Goal::Rows(_) = self.goal else { return Ok(()) };
        let is_same = match (&self.target.registry, &self.target.definition) {
            (Some(registry), _) => meanwhile != Meanwhile::Forgotten || registry.is_same().await?,
            (None, Some(definition)) => !view.is_dropped && view.definition.as_ref() == Some(definition),
            // Rows that take the place of all others define a table that was not.
            (None, None) => !view.is_dropped && view.definition.as_ref().is_none_or(|now| self.target.could_be(now)),
        };
        if is_same { Ok(()) } else { Err(gone()) }
    }

    /// Makes the record. False where another write has the number.
    async fn make(&self, number: u64, record: &Record) -> Result<bool> {
        let (log, path) = (self.log(), self.log().commit_path(number)?);
        let made = log.create(&path, record).await;
        if matches!(made, Ok(true)) {
            return Ok(true);
        }
        // The answer to a first try of the request may have been lost: whose record is there tells.
        match (made, log.read(number).await) {
            (_, Ok(Some(known))) => Ok(known.write == record.write),
            (Ok(_), _) => Ok(false),
            (Err(error), Ok(None)) => Err(error),
            (Err(error), Err(_)) => Err(error.hint(
                "it is not known whether the rows were written: run the statement again under the same write_token, or look for its rows",
            )),
        }
    }

    fn record(&self, change: Change, added: Vec<Added>, removed: Vec<String>) -> Record {
        Record {
            version: VERSION,
            write: self.write.to_owned(),
            at_ms: Utc::now().timestamp_millis(),
            rows: self.files.iter().map(|file| file.rows).sum(),
            token: self.token.cloned(),
            change,
            definition: None,
            registration: None,
            added,
            removed,
            replaced_partitions: Vec::new(),
            summaries: Vec::new(),
        }
    }

    /// The record of a table that is made; `None` where there is one and that is well.
    async fn making(&self, on_existing: OnExisting, view: &View, snapshot: &HiveSnapshot) -> Result<Option<Record>> {
        let listing = snapshot.list(&self.log().root).await?;
        let is_there = match &self.target.registry {
            Some(registry) => view.is_made || registry.exists().await?,
            None => !view.is_dropped && (view.is_made || view.apply(&self.log().root, &listing).is_table()),
        };
        let change = match (is_there, on_existing) {
            (true, OnExisting::Fail) => return Err(ConnectorError::exists("the table exists already")),
            (true, OnExisting::Skip) => return Ok(None),
            (true, OnExisting::Replace) => Change::Replace,
            (false, _) => Change::Create,
        };
        let mut removed = Vec::new();
        if change == Change::Replace {
            for path in list_all(self.log(), &self.log().root).await? {
                let path = relative(self.target, &path)?;
                if path.split('/').next() != Some(LOG) {
                    removed.push(path);
                }
            }
            // Files of earlier writes that are not in their places yet would come there.
            removed.extend(view.added_files().map(|path| relative(self.target, path)).collect::<Result<Vec<_>>>()?);
            removed.sort();
            removed.dedup();
        }
        let added = self.added(&HashMap::new())?;
        let summaries = self.summaries(&HashMap::new())?;
        let definition = self.target.definition.clone();
        let registration = self.target.registry.as_ref().map(|registry| registry.registration());
        let replaced_partitions = match (&self.target.registry, change) {
            (Some(registry), Change::Replace) => registry.partition_names().await?,
            _ => Vec::new(),
        };
        let record = self.record(change, added, removed);
        Ok(Some(Record { definition, registration, replaced_partitions, summaries, ..record }))
    }

    /// The record of rows that are put into a table.
    async fn rows(&self, mode: InsertMode, view: &View, snapshot: &HiveSnapshot) -> Result<Record> {
        let existing = Existing { target: self.target, view, snapshot };
        let held = match (mode, &self.target.source) {
            // New files have names of their own, wherever old ones are.
            (InsertMode::Append, None) => HashMap::new(),
            (_, None) => existing.held(self.partitions).await?,
            (_, Some(source)) => existing.held_in_metastore(source, self.partitions).await?,
        };
        let mut removed = Vec::new();
        match mode {
            InsertMode::Append => {}
            InsertMode::Overwrite => {
                for path in held.values().flat_map(|held| &held.files) {
                    removed.push(relative(self.target, path)?);
                }
                removed.sort();
            }
            InsertMode::NewPartitions if self.target.partitions.is_empty() => {}
            InsertMode::NewPartitions => {
                let taken = held.iter().find(|(_, held)| !held.files.is_empty());
                if let Some(partition) = taken.and_then(|(at, _)| self.partitions.get(*at)) {
                    return Err(ConnectorError::user(format!("the partition {} exists already", partition.directory))
                        .hint("RESET SESSION insert_existing_partitions_behavior adds the rows to it"));
                }
            }
        }
        let mut record = self.record(Change::Rows, self.added(&held)?, removed);
        record.summaries = self.summaries(&held)?;
        let overwrites_all = mode == InsertMode::Overwrite && self.target.partitions.is_empty();
        if overwrites_all && self.target.definition.is_none() && self.target.registry.is_none() {
            record.definition = Some(self.target.define()?);
        }
        Ok(record)
    }

    /// The files with their directories: those that are there already, where there are any.
    fn added(&self, held: &HashMap<usize, Held>) -> Result<Vec<Added>> {
        let files = self.files.iter().map(|file| {
            let directory = self.directory(file.partition, held)?;
            let Finished { number, bytes, rows, raw_bytes, .. } = *file;
            Ok(Added { directory, number, bytes, rows, raw_bytes })
        });
        files.collect()
    }

    /// What was counted of the columns of each partition.
    fn summaries(&self, held: &HashMap<usize, Held>) -> Result<Vec<Summary>> {
        let Some(counts) = self.counts else { return Ok(Vec::new()) };
        let of = |partition| Ok(Summary { directory: self.directory(partition, held)?, columns: counts.of(partition) });
        let summaries = (0..self.partitions.len()).map(of).collect::<Result<Vec<_>>>()?;
        Ok(summaries.into_iter().filter(|summary| !summary.columns.is_empty()).collect())
    }

    fn directory(&self, partition: usize, held: &HashMap<usize, Held>) -> Result<String> {
        match held.get(&partition).and_then(|held| held.directories.first()) {
            Some(path) => relative(self.target, path),
            None => Ok(self.partitions.get(partition).map(|known| known.directory.clone()).unwrap_or_default()),
        }
    }
}
