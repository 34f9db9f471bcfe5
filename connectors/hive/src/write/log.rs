//! The log of a table: one record for each write, in the table's directory `_portolan`, which other readers pass over.
//!
//! ```text
//! _portolan/table.json                    what the table is, where we made it
//! _portolan/000000000007.commit           the 7th write: its record, created only where there is none
//! _portolan/000000000007.done             its files are in their places
//! _portolan/tokens/<digest>.json          what a write with a token wrote
//! _portolan/staged/<write>/<number>       files of writes that are under way
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use portolan_connector::{ConnectorError, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::definition::Definition;
use super::record::{Change, Record, VERSION};
use crate::store::{Store, child};

/// The directory of the log in a table's.
pub(crate) const LOG: &str = "_portolan";
pub(super) const STAGED: &str = "staged";
const TOKENS: &str = "tokens";
const DEFINITION: &str = "table.json";
/// The file that stands for a schema, in its directory's `_portolan`.
pub(super) const SCHEMA: &str = "schema.json";
const COMMIT: &str = ".commit";
const DONE: &str = ".done";

/// The largest file of a log that is read. A record of a million files is a third of it.
const LOG_FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The log of the table in a directory.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(super) store: Arc<Store>,
    pub(super) root: Path,
    /// Whether a metastore says which tables there are.
    pub(super) in_metastore: bool,
    /// For readers of a table of a metastore: the write that made the table that the metastore describes, where it was one of
    /// ours. What is committed and not registered yet is not seen.
    registered: Option<Option<String>>,
}

/// What is in a log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    pub(super) writes: BTreeMap<u64, Entry>,
    /// The file that says what the table is.
    pub(super) definition: Option<Stamp>,
    pub(super) has_staged: bool,
    /// Whether the directory is that of a schema.
    pub(super) is_schema: bool,
}

/// By which a file is known to be the one that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    at: DateTime<Utc>,
    size: u64,
    tag: Option<String>,
}

/// One write in a log.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// The record; `None` where only its end is known.
    pub(super) made: Option<Stamp>,
    pub(super) done: bool,
}

impl Stamp {
    fn of(file: &ObjectMeta) -> Self {
        Self { at: file.last_modified, size: file.size, tag: file.e_tag.clone() }
    }

    /// When the file was made, by the clock of the store.
    pub(super) fn at(&self) -> DateTime<Utc> {
        self.at
    }
}

impl Entries {
    /// The number of the last write; 0 before the first.
    pub(super) fn last(&self) -> u64 {
        self.writes.last_key_value().map_or(0, |(number, _)| *number)
    }

    pub(super) fn last_record(&self) -> Option<Stamp> {
        self.writes.last_key_value().and_then(|(_, entry)| entry.made.clone())
    }

    /// Writes whose files are not in their places yet, in order.
    pub(super) fn pending(&self) -> Vec<u64> {
        self.writes.iter().filter(|(_, entry)| entry.made.is_some() && !entry.done).map(|(number, _)| *number).collect()
    }

    /// Those after this one, in order.
    pub(super) fn after(&self, number: u64) -> Vec<u64> {
        self.writes.iter().filter(|(other, entry)| **other > number && entry.made.is_some()).map(|(n, _)| *n).collect()
    }
}

impl Log {
    pub(crate) fn new(store: &Arc<Store>, root: &Path) -> Self {
        Self { store: Arc::clone(store), root: root.clone(), in_metastore: false, registered: None }
    }

    /// The log of a table that a metastore knows, or is to know.
    pub(crate) fn of_metastore(store: &Arc<Store>, root: &Path) -> Self {
        Self { in_metastore: true, ..Self::new(store, root) }
    }

    /// The same for who reads the table that the metastore describes, which this write made.
    pub(crate) fn registered_by(self, made_by: Option<&str>) -> Self {
        Self { registered: Some(made_by.map(str::to_owned)), ..self }
    }

    /// Whether a committed write makes a table that the metastore does not know yet, and readers go by the one it knows.
    pub(super) fn hides(&self, record: &Record) -> bool {
        let defines = matches!(record.change, Change::Create | Change::Replace);
        defines && self.registered.as_ref().is_some_and(|made_by| made_by.as_ref() != Some(&record.write))
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The table's directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn directory(&self) -> Result<Path> {
        child(&self.root, LOG)
    }

    fn file(&self, name: &str) -> Result<Path> {
        child(&self.root, &format!("{LOG}/{name}"))
    }

    pub(super) fn commit_path(&self, number: u64) -> Result<Path> {
        self.file(&format!("{number:012}{COMMIT}"))
    }

    pub(super) fn done_path(&self, number: u64) -> Result<Path> {
        self.file(&format!("{number:012}{DONE}"))
    }

    pub(super) fn definition_path(&self) -> Result<Path> {
        self.file(DEFINITION)
    }

    pub(super) fn token_path(&self, digest: &str) -> Result<Path> {
        self.file(&format!("{TOKENS}/{digest}.json"))
    }

    pub(super) fn tokens_directory(&self) -> Result<Path> {
        self.file(TOKENS)
    }

    /// The directory of the staged files of all writes.
    pub(super) fn all_staged(&self) -> Result<Path> {
        self.file(STAGED)
    }

    /// The directory of the files of a write until they are in their places.
    pub(super) fn staged_directory(&self, write: &str) -> Result<Path> {
        self.file(&format!("{STAGED}/{write}"))
    }

    pub(super) fn staged_path(&self, write: &str, number: u32) -> Result<Path> {
        self.file(&format!("{STAGED}/{write}/{number:05}"))
    }

    /// A file of the table.
    pub(super) fn table_path(&self, relative: &str) -> Result<Path> {
        child(&self.root, relative)
    }

    /// Lists the log.
    pub(super) async fn list(&self) -> Result<Entries> {
        let directory = self.directory()?;
        let listed = self.store.open()?.list_with_delimiter(Some(&directory)).await;
        let listed = listed.map_err(|error| self.store.error("list", &directory, &error))?;
        let mut entries = Entries::default();
        for object in listed.objects {
            let Some(name) = object.location.filename() else { continue };
            if name == DEFINITION {
                entries.definition = Some(Stamp::of(&object));
            } else if name == SCHEMA {
                entries.is_schema = true;
            } else if let Some(number) = name.strip_suffix(COMMIT).and_then(|number| number.parse().ok()) {
                entries.writes.entry(number).or_default().made = Some(Stamp::of(&object));
            } else if let Some(number) = name.strip_suffix(DONE).and_then(|number| number.parse().ok()) {
                entries.writes.entry(number).or_default().done = true;
            }
        }
        entries.has_staged = listed.common_prefixes.iter().any(|path| path.filename() == Some(STAGED));
        Ok(entries)
    }

    /// A record; `None` where it is there no longer.
    pub(super) async fn read(&self, number: u64) -> Result<Option<Record>> {
        let path = self.commit_path(number)?;
        let record: Option<Record> = self.get(&path).await?;
        if let Some(record) = &record
            && record.version > VERSION
        {
            return Err(ConnectorError::source(format!(
                "{} was written by a later version",
                self.store.display(&path)
            ))
            .hint("use that version for this table"));
        }
        Ok(record)
    }

    /// Removes local directories that hold nothing any more. A metastore's partitions may be empty and have to be there.
    pub(super) async fn tidy(&self) {
        match (self.in_metastore, self.directory()) {
            (true, Ok(directory)) => self.store.remove_empty_directories(&directory).await,
            _ => self.store.remove_empty_directories(&self.root).await,
        }
    }

    /// What the table is, where we made it.
    pub(super) async fn definition(&self) -> Result<Option<Definition>> {
        self.get(&self.definition_path()?).await
    }

    /// A file of the log; `None` where there is none.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        let failed = |error: &object_store::Error| self.store.error("read", path, error);
        let found = match self.store.open()?.get(path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        if found.meta.size > LOG_FILE_BYTES_MAX {
            return Err(ConnectorError::source(format!("{} has {} bytes", self.store.display(path), found.meta.size)));
        }
        let bytes = found.bytes().await.map_err(|error| failed(&error))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            ConnectorError::source(format!("cannot understand {}", self.store.display(path))).said(error)
        })
    }

    /// Makes a file that is not there yet. False where it is.
    pub(super) async fn create<T: Serialize>(&self, path: &Path, content: &T) -> Result<bool> {
        match self.put(path, self.encoded(path, content)?, PutMode::Create).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            // Some stores tell with this that another request for the same name was under way.
            Err(object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.store.error("write", path, &error)),
        }
    }

    /// Makes or replaces a file.
    pub(super) async fn replace<T: Serialize>(&self, path: &Path, content: &T) -> Result<()> {
        let put = self.put(path, self.encoded(path, content)?, PutMode::Overwrite).await;
        put.map_err(|error| self.store.error("write", path, &error))
    }

    /// The bytes of a file of the log: no more than can be read again.
    fn encoded<T: Serialize>(&self, path: &Path, content: &T) -> Result<Vec<u8>> {
        let name = || self.store.display(path);
        let bytes = serde_json::to_vec(content)
            .map_err(|error| ConnectorError::internal(format!("cannot encode {}", name())).said(error))?;
        match bytes.len() as u64 > LOG_FILE_BYTES_MAX {
            true => Err(ConnectorError::resource_exhausted(format!(
                "{} would have {} bytes, and {LOG_FILE_BYTES_MAX} are read",
                name(),
                bytes.len()
            ))
            .hint("write to, or remove, fewer files with each statement")),
            false => Ok(bytes),
        }
    }

    async fn put(&self, path: &Path, bytes: Vec<u8>, mode: PutMode) -> object_store::Result<()> {
        let generic =
            |source: Box<dyn std::error::Error + Send + Sync>| object_store::Error::Generic { store: "lake", source };
        let store = self.store.open().map_err(|error| generic(Box::new(error)))?;
        let options = PutOptions { mode, ..PutOptions::default() };
        store.put_opts(path, PutPayload::from(bytes), options).await.map(drop)
    }
}
