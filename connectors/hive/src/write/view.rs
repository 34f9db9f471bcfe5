//! A table as its log says it is: what readers see from the moment of a commit on, whatever of it is in its place yet.
//!
//! Records whose files are not all in their places are laid over what the directories hold: files that a record adds are
//! there, files that it removes are not. A file that is added is named by its place; until it is there it is read from
//! where it was staged ([`crate::store`]).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::DateTime;
use object_store::ObjectMeta;
use object_store::path::Path;
use portolan_connector::{ConnectorError, Result};

use super::at_once;
use super::definition::Definition;
use super::log::{Entries, Log, Stamp};
use super::record::{Change, Record, parse_file_name};
use crate::listing::{Listing, PartitionDirectory};
use crate::names::parse_partition;
use crate::scan::ScanFile;

/// Records that are read at the same time.
const RECORDS_AT_ONCE: usize = 16;

/// How often a log is read again that changes while it is read.
const ATTEMPTS_MAX: usize = 10;

/// A table's log at one moment, laid over its directories.
#[derive(Debug, Default)]
pub(crate) struct View {
    log: Option<Log>,
    /// The last write that is seen.
    last: u64,
    /// What the table is, where its log says so.
    pub(crate) definition: Option<Definition>,
    /// Whether the log says that there is a table.
    pub(crate) is_made: bool,
    /// Whether the log says that the table is gone, whatever is left of it.
    pub(crate) is_dropped: bool,
    /// Whether the table is about to be removed with all that is in its directory.
    pub(super) is_dropping: bool,
    /// Whether nothing of what the directories hold is the table's.
    cleared: bool,
    /// By directory.
    added: HashMap<Path, BTreeMap<Path, ObjectMeta>>,
    removed: HashSet<Path>,
    /// Directories that hold, or lead to, added files, by the directory that they are in.
    inner: HashMap<Path, BTreeSet<Path>>,
    /// Of a log whose files are all in their places.
    state: Option<LogState>,
    /// Whether the directory is that of a schema.
    pub(crate) is_schema: bool,
    /// Whether a table was committed in the place of this one that the metastore does not know yet.
    pub(crate) hides_another: bool,
}

/// A log at a moment when all files were in their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogState {
    last: u64,
    /// The record of the last write, as it was listed.
    record: Option<Stamp>,
    definition: Option<(Stamp, Definition)>,
}

impl LogState {
    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.definition.as_ref().map_or(0, |(_, definition)| definition.bytes())
    }
}

/// How a view stands to what has happened since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// What was listed is what the view says.
    Yes,
    /// A write was committed meanwhile that removed files, or the table has a log after all: what was listed may be neither
    /// before nor after a write.
    Changed,
}

impl View {
    /// A table without a log.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Reads the log of a table. What is remembered of it is not read again, as far as it is still so.
    pub(crate) async fn read(log: &Log, remembered: Option<&LogState>) -> Result<Self> {
        for _ in 0..ATTEMPTS_MAX {
            let entries = log.list().await?;
            let Some(records) = records(log, &entries.pending()).await? else { continue };
            return Self::of(log, &entries, &records, remembered).await;
        }
        Err(busy(log))
    }

    async fn of(log: &Log, entries: &Entries, records: &[Record], remembered: Option<&LogState>) -> Result<Self> {
        let is_settled = records.is_empty();
        let hidden = records.iter().position(|record| log.hides(record));
        let before = hidden.and_then(|at| entries.pending().get(at).map(|number| number.saturating_sub(1)));
        let records = hidden.and_then(|at| records.get(..at)).unwrap_or(records);
        let mut view = Self {
            log: Some(log.clone()),
            last: before.unwrap_or(entries.last()),
            is_schema: entries.is_schema,
            hides_another: before.is_some(),
            ..Self::default()
        };
        view.is_made = entries.definition.is_some();
        if let Some(stamp) = &entries.definition
            && records.iter().all(|record| record.definition.is_none())
        {
            let known = remembered.and_then(|state| state.definition.as_ref());
            view.definition = match known.filter(|(known, _)| known == stamp) {
                Some((_, definition)) => Some(definition.clone()),
                None => log.definition().await?,
            };
        }
        for record in records {
            view.lay(log, record)?;
        }
        if is_settled {
            let definition = entries.definition.clone().zip(view.definition.clone());
            view.state = Some(LogState { last: entries.last(), record: entries.last_record(), definition });
        }
        Ok(view)
    }

    /// What is remembered of the log; `None` while files are not in their places.
    pub(crate) fn remembered(&self) -> Option<&LogState> {
        self.state.as_ref()
    }

    fn lay(&mut self, log: &Log, record: &Record) -> Result<()> {
        self.is_dropping |= record.change == Change::Drop;
        if record.change == Change::Drop && log.in_metastore {
            // The table is there as long as the metastore has it, and so are its files.
            return Ok(());
        }
        if record.clears() {
            self.cleared = true;
            self.added.clear();
            self.removed.clear();
            self.inner.clear();
        }
        match record.change {
            Change::Create | Change::Replace => (self.is_made, self.is_dropped) = (true, false),
            Change::Drop => (self.is_made, self.is_dropped, self.definition) = (false, true, None),
            Change::Rows => {}
        }
        if let Some(definition) = &record.definition {
            self.definition = Some(definition.clone());
        }
        for removed in &record.removed {
            let path = log.table_path(removed)?;
            if let Some((directory, _)) = split(&path)
                && let Some(files) = self.added.get_mut(&directory)
            {
                files.remove(&path);
            }
            self.removed.insert(path);
        }
        let modified = DateTime::from_timestamp_millis(record.at_ms).unwrap_or_default();
        for added in &record.added {
            let directory = log.table_path(&added.directory)?;
            let location = crate::store::child(&directory, &record.file_name(added.number))?;
            let meta = ObjectMeta { location, last_modified: modified, size: added.bytes, e_tag: None, version: None };
            self.added.entry(directory.clone()).or_default().insert(meta.location.clone(), meta);
            self.lead_to(&log.root, directory);
        }
        Ok(())
    }

    fn lead_to(&mut self, root: &Path, mut directory: Path) {
        while directory != *root {
            let Some((outer, _)) = split(&directory) else { return };
            if !self.inner.entry(outer.clone()).or_default().insert(directory) {
                return;
            }
            directory = outer;
        }
    }

    /// Whether the table has a log.
    pub(crate) fn has_log(&self) -> bool {
        self.log.is_some()
    }

    /// What a directory of the table holds.
    pub(crate) fn apply(&self, directory: &Path, listing: &Arc<Listing>) -> Arc<Listing> {
        let (added, inner) = (self.added.get(directory), self.inner.get(directory));
        if !self.cleared && self.removed.is_empty() && added.is_none() && inner.is_none() {
            return Arc::clone(listing);
        }
        let mut seen = if self.cleared { Listing::default() } else { listing.as_ref().clone() };
        seen.files.retain(|file| !self.removed.contains(&file.location));
        let known: HashSet<Path> = seen.files.iter().map(|file| file.location.clone()).collect();
        seen.files.extend(
            added.into_iter().flatten().filter(|(path, _)| !known.contains(path)).map(|(_, meta)| meta.clone()),
        );
        let known: HashSet<Path> = seen.partitions.iter().map(|known| known.path.clone()).collect();
        for path in inner.into_iter().flatten().filter(|path| !known.contains(path)) {
            let Some((key, value)) = path.filename().and_then(parse_partition) else { continue };
            seen.partitions.push(PartitionDirectory { path: path.clone(), key, value });
        }
        seen.files.sort_by(|one, other| one.location.cmp(&other.location));
        seen.partitions.sort_by(|one, other| one.path.cmp(&other.path));
        Arc::new(seen)
    }

    /// The directories of the innermost partitions that files are added to.
    pub(crate) fn added_directories(&self) -> impl Iterator<Item = &Path> {
        self.added.keys()
    }

    /// Checks after listing that no write was committed meanwhile, of which a part may have been seen: files that one has
    /// added since are taken out again.
    pub(crate) async fn settle(&self, table_log: &Log, files: &mut Vec<ScanFile>) -> Result<Settled> {
        let log = match &self.log {
            Some(log) => log,
            // The first write of ours may have been committed since. Its files tell by their names.
            None if files.iter().any(|file| is_ours(&file.meta.location)) => {
                let is_new = table_log.list().await?.last() > 0;
                return Ok(if is_new { Settled::Changed } else { Settled::Yes });
            }
            None => return Ok(Settled::Yes),
        };
        let entries = log.list().await?;
        if entries.last() < self.last {
            return Ok(Settled::Changed);
        }
        if self.hides_another {
            // The metastore tells whether that is seen by now.
            return Ok(Settled::Yes);
        }
        let since = entries.after(self.last);
        let Some(records) = records(log, &since).await? else { return Ok(Settled::Changed) };
        let gap = since.first().is_some_and(|first| *first != self.last + 1);
        if gap || records.iter().any(|record| record.clears() || !record.removed.is_empty()) {
            return Ok(Settled::Changed);
        }
        let later: HashSet<&str> = records.iter().map(|record| record.write.as_str()).collect();
        files.retain(|file| {
            let name = file.meta.location.filename().unwrap_or_default();
            parse_file_name(name).is_none_or(|(write, _)| !later.contains(write))
        });
        Ok(Settled::Yes)
    }

    /// Files that are added by writes whose files are not all in their places.
    pub(super) fn added_files(&self) -> impl Iterator<Item = &Path> {
        self.added.values().flat_map(BTreeMap::keys)
    }

    /// The number of the last write that is seen.
    pub(super) fn last(&self) -> u64 {
        self.last
    }
}

/// Whether a file is one that we wrote.
pub(crate) fn is_ours(path: &Path) -> bool {
    path.filename().and_then(parse_file_name).is_some()
}

/// The records of these numbers, in order; `None` where one of them is there no longer.
pub(super) async fn records(log: &Log, numbers: &[u64]) -> Result<Option<Vec<Record>>> {
    let found = at_once(RECORDS_AT_ONCE, numbers.iter().map(|number| log.read(*number)).collect()).await?;
    Ok(found.into_iter().collect())
}

/// The directory that a path is in, and its last part.
pub(crate) fn split(path: &Path) -> Option<(Path, String)> {
    let text = path.as_ref();
    let (directory, name) = text.rsplit_once('/').unwrap_or(("", text));
    Some((Path::parse(directory).ok()?, name.to_owned()))
}

/// The error of a table that is written faster than it can be read.
pub(crate) fn busy(log: &Log) -> ConnectorError {
    ConnectorError::source(format!("{} is changed while it is read", log.store.display(&log.root)))
        .hint("run the query again")
}
