//! Schemas and tables made and dropped where a catalog is a tree of directories.
//!
//! A schema is a directory. Object stores have none, so a small file stands for one that has no tables.

use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{Error, PutMode, PutOptions, PutPayload};
use portolan_connector::{ConnectorError, Result, TableName};

use super::at_once;
use super::clean::forget_dropped;
use super::log::{LOG, Log, SCHEMA};
use super::publish::{delete, publish_or_abandon};
use super::record::{Change, Record, VERSION, new_write};
use super::registry::Registry;
use crate::connector::{HiveConnector, plain_child};
use crate::factory::{DEFAULT_SCHEMA, LayoutKind};
use crate::listing::list_uncounted;
use crate::store::child;

/// How often the record of a drop is tried where others write to the table.
const ATTEMPTS_MAX: usize = 100;

/// Tables that are dropped at the same time.
const DROPS_AT_ONCE: usize = 4;

impl HiveConnector {
    /// The directory of a schema; refused where the layout has no place for one.
    fn schema_directory(&self, schema: &str) -> Result<Path> {
        if self.settings.layout == LayoutKind::Tables {
            return Err(ConnectorError::user("location holds tables and no schemas, as layout = \"tables\" says")
                .hint(format!("make tables in the schema {DEFAULT_SCHEMA}"))
                .in_catalog(&self.catalog));
        }
        plain_child(self.store.root(), schema).ok_or_else(|| {
            ConnectorError::user(format!("a schema of the lake cannot be called \"{schema}\""))
                .hint("its name is that of a directory: not empty, without / and =, and not beginning with _ or .")
                .in_catalog(&self.catalog)
        })
    }

    pub(super) async fn make_schema_directory(&self, schema: &str) -> Result<bool> {
        let directory = self.schema_directory(schema)?;
        let listing = list_uncounted(&self.store, &directory).await?;
        if !listing.is_empty() || listing.has_log {
            return Ok(false);
        }
        let mark = child(&directory, &format!("{LOG}/{SCHEMA}"))?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.open()?.put_opts(&mark, PutPayload::from_static(b"{}"), options).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.store.error("make", &directory, &error)),
        }
    }

    pub(super) async fn remove_schema_directory(&self, schema: &str, cascade: bool) -> Result<bool> {
        let directory = self.schema_directory(schema)?;
        let listing = list_uncounted(&self.store, &directory).await?;
        if listing.is_empty() && !listing.has_log {
            self.store.remove_empty_directories(&directory).await;
            return Ok(false);
        }
        if listing.is_table() {
            return Err(ConnectorError::user(format!("{schema} is a table of the schema {DEFAULT_SCHEMA}")));
        }
        let mut tables = Vec::new();
        for entry in self.tables(schema).await? {
            tables.push(TableName::new(&self.catalog, schema, &entry.name));
        }
        if let (Some(first), false) = (tables.first(), cascade) {
            let message = format!("the schema {schema} has tables, such as {}", first.table);
            return Err(ConnectorError::user(message).hint("DROP SCHEMA ... CASCADE drops them as well"));
        }
        at_once(DROPS_AT_ONCE, tables.iter().map(|table| self.drop_directory(table)).collect()).await?;
        let left = list_uncounted(&self.store, &directory).await?;
        if let Some(other) = left.files.first().map(|file| &file.location) {
            let message = format!("the schema's directory holds {}, which is of no table", self.store.display(other));
            return Err(ConnectorError::user(message).hint("remove it, or move it elsewhere"));
        }
        for dropped in &left.directories {
            forget_dropped(&Log::new(&self.store, dropped), DateTime::<Utc>::MAX_UTC).await?;
        }
        let log = Log::new(&self.store, &directory);
        delete(&log, vec![child(&directory, &format!("{LOG}/{SCHEMA}"))?]).await?;
        self.store.remove_empty_directories(&directory).await;
        Ok(true)
    }

    /// The directory of a table that is to be made.
    pub(super) async fn new_directory(&self, name: &TableName) -> Result<Path> {
        if self.settings.table(&name.schema, &name.table).is_some_and(|settings| settings.location.is_some()) {
            return Err(in_catalog_file());
        }
        let wrong = || {
            ConnectorError::user(format!("a table of the lake cannot be called \"{}\"", name.table))
                .hint("its name is that of a directory: not empty, without / and =, and not beginning with _ or .")
        };
        let root = self.store.root();
        let schema = match self.settings.layout {
            LayoutKind::Tables if name.schema == DEFAULT_SCHEMA => root.clone(),
            LayoutKind::Tables => {
                return Err(ConnectorError::user(format!("there is only the schema {DEFAULT_SCHEMA}")));
            }
            LayoutKind::Auto if name.schema == DEFAULT_SCHEMA => {
                // Tables of this schema lie in a directory of its name, or in the catalog's own.
                let directory = child(root, DEFAULT_SCHEMA)?;
                let listing = list_uncounted(&self.store, &directory).await?;
                if listing.is_empty() && !listing.has_log { root.clone() } else { directory }
            }
            LayoutKind::Schemas | LayoutKind::Auto => self.schema_directory(&name.schema)?,
        };
        plain_child(&schema, &name.table).ok_or_else(wrong)
    }

    /// Drops a table with all its files. False where there is none.
    pub(super) async fn drop_directory(&self, name: &TableName) -> Result<bool> {
        if self.settings.table(&name.schema, &name.table).is_some_and(|settings| settings.location.is_some()) {
            return Err(in_catalog_file().in_table(name));
        }
        let Some(table) = self.open_table(name).await? else { return Ok(false) };
        drop_files(&Log::new(&self.store, table.written().root), None).await?;
        Ok(true)
    }
}

/// Removes a table with all its files, from one record on.
pub(super) async fn drop_files(log: &Log, registry: Option<&Registry>) -> Result<()> {
    for _ in 0..ATTEMPTS_MAX {
        let entries = log.list().await?;
        let record = Record {
            version: VERSION,
            write: new_write(),
            at_ms: Utc::now().timestamp_millis(),
            rows: 0,
            token: None,
            change: Change::Drop,
            definition: None,
            registration: None,
            added: Vec::new(),
            removed: Vec::new(),
            replaced_partitions: Vec::new(),
            summaries: Vec::new(),
        };
        if log.create(&log.commit_path(entries.last() + 1)?, &record).await? {
            return publish_or_abandon(log, registry).await.map(drop);
        }
    }
    Err(super::busy(log))
}

fn in_catalog_file() -> ConnectorError {
    ConnectorError::user("the catalog file says where the table is")
        .hint("make and drop its files by hand, and take its section out of the catalog file")
}
