//! Schemas and tables made and dropped where a metastore says which there are.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use portolan_connector::{ConnectorError, NewTable, Result, TableKind, TableName};

use super::clean::Scope;
use super::define::drop_files;
use super::log::Log;
use super::options::Options;
use super::registry::Registry;
use crate::connector::HiveConnector;
use crate::listing::list_uncounted;
use crate::metastore::{Client, Made, MetastoreTable, Remembered, is_plain};
use crate::table::HiveTable;

/// Tables that are looked at at the same time.
const TABLES_AT_ONCE: usize = 8;

impl HiveConnector {
    fn client(&self) -> Option<(&Arc<Client>, &Arc<Remembered>)> {
        self.metastore.as_ref().map(|metastore| (&metastore.client, &metastore.remembered))
    }

    /// What the metastore of the catalog, if there is one, is told of a table that is there.
    pub(super) fn registry_of(&self, name: &TableName, table: Option<&MetastoreTable>) -> Option<Registry> {
        let (table, (client, remembered)) = (table?, self.client()?);
        Some(Registry {
            client: Arc::clone(client),
            remembered: Arc::clone(remembered),
            schema: name.schema.clone(),
            table: name.table.clone(),
            location: table.location.clone(),
            external: table.is_external,
            made_by: table.made_by().map(str::to_owned),
        })
    }

    /// What the metastore is told of a new table, and where it is to be; `None` without a metastore.
    pub(super) async fn registry_of_new(&self, table: &NewTable) -> Result<Option<(Log, Registry)>> {
        let Some((client, remembered)) = self.client() else { return Ok(None) };
        let name = &table.name;
        check_name(&name.table)?;
        let external = Options::of(table)?.external_location;
        let location = match &external {
            Some(location) => location.trim_end_matches('/').to_owned(),
            None => match client.database_location(&name.schema).await? {
                Some(schema) => format!("{}/{}", schema.trim_end_matches('/'), name.table),
                None => return Err(ConnectorError::user(format!("there is no schema {}", name.schema))),
            },
        };
        // A table that is there keeps its place.
        let (location, external) =
            match self.open_table(name).await?.as_ref().and_then(|known| known.written().metastore) {
                Some(known) => (known.location.clone(), known.is_external),
                None => (location, external.is_some()),
            };
        let log = Log::of_metastore(&self.store, &self.store.resolve(&location)?);
        let registry = Registry {
            client: Arc::clone(client),
            remembered: Arc::clone(remembered),
            schema: name.schema.clone(),
            table: name.table.clone(),
            location,
            external,
            made_by: None,
        };
        Ok(Some((log, registry)))
    }

    pub(super) async fn make_database(&self, client: &Client, schema: &str) -> Result<bool> {
        check_name(schema)?;
        Ok(client.create_database(schema).await? == Made::Yes)
    }

    pub(super) async fn remove_database(&self, client: &Client, schema: &str, cascade: bool) -> Result<bool> {
        if !is_plain(schema) || client.database_location(schema).await?.is_none() {
            return Ok(false);
        }
        let tables = self.tables(schema).await?;
        if let (Some(first), false) = (tables.first(), cascade) {
            let message = format!("the schema {schema} has tables, such as {}", first.name);
            return Err(ConnectorError::user(message).hint("DROP SCHEMA ... CASCADE drops them as well"));
        }
        for entry in tables {
            if entry.kind == TableKind::View {
                let message = format!("the schema {schema} has the view {}, which is not dropped here", entry.name);
                return Err(ConnectorError::user(message).hint("drop it with Hive or Spark"));
            }
            self.drop_registered(client, &TableName::new(&self.catalog, schema, &entry.name)).await?;
        }
        client.drop_database(schema).await
    }

    /// Drops a table: from the metastore, and with its files where they are the metastore's own.
    pub(super) async fn drop_registered(&self, client: &Client, name: &TableName) -> Result<bool> {
        let Some(table) = self.open_table(name).await? else { return Ok(false) };
        let written = table.written();
        let Some(registry) = self.registry_of(name, written.metastore) else { return Ok(false) };
        if registry.external {
            return client.drop_table(&name.schema, &name.table).await;
        }
        let log = Log::of_metastore(&self.store, written.root);
        if !registry.forget_table().await? {
            return Ok(false);
        }
        drop_files(&log, Some(&registry)).await?;
        Ok(true)
    }

    /// The logs of these tables of the metastore, and of those in the directories of its databases that it does not know.
    pub(super) async fn registered_logs(&self, scope: Scope<'_>) -> Result<Vec<(Log, Option<Registry>)>> {
        let Some((client, remembered)) = self.client() else { return Ok(Vec::new()) };
        let mut logs = Vec::new();
        for schema in self.list_databases().await? {
            if !scope.has_schema(&schema) {
                continue;
            }
            let entries = self.tables(&schema).await?;
            let names: Vec<TableName> = entries
                .iter()
                .filter(|entry| entry.kind == TableKind::Table)
                .map(|entry| TableName::new(&self.catalog, &schema, &entry.name))
                .collect();
            let wanted = names.iter().filter(|name| scope.has(&schema, &name.table));
            let opened: Vec<Option<(Log, Registry)>> =
                stream::iter(wanted.map(|name| self.log_of(name)).collect::<Vec<_>>())
                    .buffered(TABLES_AT_ONCE)
                    .try_collect()
                    .await?;
            logs.extend(opened.into_iter().flatten().map(|(log, registry)| (log, Some(registry))));
            let Some(location) = client.database_location(&schema).await? else { continue };
            // A database may be in a store that is not read.
            let Ok(directory) = self.store.resolve(&location) else { continue };
            for directory in list_uncounted(&self.store, &directory).await?.directories {
                let Some(table) = directory.filename().map(str::to_owned) else { continue };
                if !scope.has(&schema, &table)
                    || names.iter().any(|name| name.table == table)
                    || !list_uncounted(&self.store, &directory).await?.has_log
                {
                    continue;
                }
                let log = Log::of_metastore(&self.store, &directory);
                let registry = Registry {
                    client: Arc::clone(client),
                    remembered: Arc::clone(remembered),
                    schema: schema.clone(),
                    location: format!("{}/{table}", location.trim_end_matches('/')),
                    table,
                    external: false,
                    made_by: None,
                };
                logs.push((log, Some(registry)));
            }
        }
        Ok(logs)
    }

    /// The log of a table that has one. A table that is not read has none.
    async fn log_of(&self, name: &TableName) -> Result<Option<(Log, Registry)>> {
        let Ok(Some(table)) = self.open_table(name).await else { return Ok(None) };
        Ok(self.log_of_opened(&table))
    }

    fn log_of_opened(&self, table: &HiveTable) -> Option<(Log, Registry)> {
        let written = table.written();
        let known = written.metastore.filter(|known| known.has_log())?;
        Some((Log::of_metastore(&self.store, written.root), self.registry_of(written.name, Some(known))?))
    }

    async fn list_databases(&self) -> Result<Vec<String>> {
        match &self.metastore {
            Some(metastore) => metastore.schemas().await,
            None => Ok(Vec::new()),
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match !name.is_empty() && name.chars().all(is_word) {
        true => Ok(()),
        false => Err(ConnectorError::user(format!(
            "the metastore takes names of lower-case letters, digits and _, and not \"{name}\""
        ))),
    }
}
