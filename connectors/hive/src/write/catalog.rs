//! A lake that statements can change.

use std::sync::Arc;

use async_trait::async_trait;
use portolan_connector::{
    Begun, ConnectorError, ConnectorTable, InsertMode, NewTable, OnExisting, PropertySpec, Result, RowOrder, TableName,
    WritableCatalog, WriteContext,
};

use super::commit::Goal;
use super::log::Log;
use super::options::{Options, TABLE_PROPERTIES};
use super::publish::{Committed, finish, publish, publish_or_abandon};
use super::record::Token;
use super::registry::Registry;
use super::target::Target;
use super::view::{View, busy};
use super::writer::Writer;
use crate::connector::HiveConnector;
use crate::listing::list_uncounted;
use crate::table::HiveTable;

#[async_trait]
impl WritableCatalog for HiveConnector {
    fn table_properties(&self) -> &'static [PropertySpec] {
        TABLE_PROPERTIES
    }

    async fn create_schema(&self, schema: &str) -> Result<bool> {
        let made = match &self.metastore {
            Some(metastore) => self.make_database(&metastore.client, schema).await,
            None => self.make_schema_directory(schema).await,
        };
        made.map_err(|error| error.in_catalog(&self.catalog))
    }

    async fn drop_schema(&self, schema: &str, cascade: bool) -> Result<bool> {
        let dropped = match &self.metastore {
            Some(metastore) => self.remove_database(&metastore.client, schema, cascade).await,
            None => self.remove_schema_directory(schema, cascade).await,
        };
        dropped.map_err(|error| error.in_catalog(&self.catalog))
    }

    fn order_of_new(&self, table: &NewTable) -> Result<RowOrder> {
        let options = Options::of(table)?;
        if options.sorted_by.is_empty() {
            return Ok(Vec::new());
        }
        let names = options.partitioned_by.iter().chain(&options.sorted_by);
        Ok(names.filter_map(|name| table.columns.index_of(name).ok()).collect())
    }

    async fn create_table(&self, table: NewTable, context: WriteContext) -> Result<Begun> {
        let name = table.name.clone();
        self.begin_table(&table, &context).await.map_err(|error| error.in_table(&name))
    }

    async fn insert(
        &self,
        table: &Arc<dyn ConnectorTable>,
        columns: &[usize],
        mode: InsertMode,
        context: WriteContext,
    ) -> Result<Begun> {
        let begun = self.begin_rows(table.as_ref(), columns, mode, &context).await;
        begun.map_err(|error| error.in_table(table.name()))
    }

    async fn drop_table(&self, table: &TableName) -> Result<bool> {
        let dropped = match &self.metastore {
            Some(metastore) => self.drop_registered(&metastore.client, table).await,
            None => self.drop_directory(table).await,
        };
        dropped.map_err(|error| error.in_table(table))
    }
}

impl HiveConnector {
    async fn begin_table(&self, table: &NewTable, context: &WriteContext) -> Result<Begun> {
        let (log, registry) = match self.registry_of_new(table).await? {
            Some((log, registry)) => (log, Some(registry)),
            None if Options::of(table)?.external_location.is_some() => {
                return Err(ConnectorError::user("external_location is for catalogs with a metastore")
                    .hint("leave it out: the directory of a table follows from its name"));
            }
            None => (Log::new(&self.store, &self.new_directory(&table.name).await?), None),
        };
        let target = Target::new_table(table, log.clone(), registry)?;
        let registry = target.registry.as_ref();
        let token = context.token.as_ref().map(Token::of);
        if let Some(rows) = settled(&log, registry, token.as_ref(), Committed::Table(None)).await? {
            return Ok(Begun::Already(rows));
        }
        if !log.list().await?.pending().is_empty() {
            // What is left of a table that was dropped would become part of the new one, and one that was made may not be
            // registered yet.
            publish_or_abandon(&log, registry).await?;
        }
        let view = View::read(&log, None).await?;
        if view.is_dropping {
            return Err(busy(&log));
        }
        let listing = Arc::new(list_uncounted(&self.store, &log.root).await?);
        let is_there = match registry {
            Some(registry) => registry.exists().await?,
            None => view.is_made || view.apply(&log.root, &listing).is_table(),
        };
        match (is_there, table.on_existing) {
            (true, OnExisting::Fail) => return Err(ConnectorError::exists("the table exists already")),
            (true, OnExisting::Skip) => return Ok(Begun::Already(0)),
            (false, _) if !listing.is_empty() => {
                let directory = self.store.display(&log.root);
                return Err(ConnectorError::user(format!("the table's directory {directory} is not empty"))
                    .hint("remove what is in it, or give the table another name"));
            }
            _ => {}
        }
        let writer = Writer::new(target, Goal::New(table.on_existing), token, view.last())?;
        Ok(Begun::Writer(Box::new(writer)))
    }

    /// Brings writes to their end of which one has put another table into the place of the one that the metastore describes.
    /// False where there is none: rows of other writes need not be waited for.
    async fn finish_definition(&self, opened: &HiveTable) -> Result<bool> {
        let written = opened.written();
        let Some(known) = written.metastore.filter(|known| known.has_log()) else { return Ok(false) };
        let log = Log::of_metastore(&self.store, written.root);
        let view = View::read(&log.clone().registered_by(known.made_by()), None).await?;
        if view.hides_another {
            publish(&log, self.registry_of(written.name, Some(known)).as_ref()).await?;
        }
        Ok(view.hides_another)
    }

    async fn begin_rows(
        &self,
        table: &dyn ConnectorTable,
        columns: &[usize],
        mode: InsertMode,
        context: &WriteContext,
    ) -> Result<Begun> {
        let columns: Vec<String> = columns
            .iter()
            .filter_map(|index| table.columns().get(*index))
            .map(|column| column.name().to_owned())
            .collect();
        let gone = || ConnectorError::user("the table is there no longer").hint("try again");
        let mut opened = self.open_table(table.name()).await?.ok_or_else(gone)?;
        if self.finish_definition(&opened).await? {
            opened = self.open_table(table.name()).await?.ok_or_else(gone)?;
        }
        let written = opened.written();
        let log = match &self.metastore {
            Some(_) => Log::of_metastore(&self.store, written.root),
            None => Log::new(&self.store, written.root),
        };
        let registry = self.registry_of(written.name, written.metastore);
        let target = Target::existing(&written, log.clone(), &columns, registry)?;
        let token = context.token.as_ref().map(Token::of);
        if let Some(rows) = settled(&log, target.registry.as_ref(), token.as_ref(), Committed::Rows).await? {
            return Ok(Begun::Already(rows));
        }
        let seen = log.list().await?.last();
        Ok(Begun::Writer(Box::new(Writer::new(target, Goal::Rows(mode), token, seen)?)))
    }
}

/// The rows of the write that was committed with the token before, whose files are brought into their places.
async fn settled(
    log: &Log,
    registry: Option<&Registry>,
    token: Option<&Token>,
    committed: Committed<'_>,
) -> Result<Option<u64>> {
    let Some(token) = token else { return Ok(None) };
    let rows = token.committed(log).await?;
    if rows.is_some() {
        finish(log, registry, committed).await?;
    }
    Ok(rows)
}
