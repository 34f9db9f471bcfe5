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
use super::publish::{publish, unfinished};
use super::record::Token;
use super::target::Target;
use super::view::View;
use super::writer::Writer;
use crate::connector::HiveConnector;
use crate::listing::list;

#[async_trait]
impl WritableCatalog for HiveConnector {
    fn table_properties(&self) -> &'static [PropertySpec] {
        TABLE_PROPERTIES
    }

    async fn create_schema(&self, schema: &str) -> Result<bool> {
        self.make_schema_directory(schema).await.map_err(|error| error.in_catalog(&self.catalog))
    }

    async fn drop_schema(&self, schema: &str, cascade: bool) -> Result<bool> {
        self.remove_schema_directory(schema, cascade).await.map_err(|error| error.in_catalog(&self.catalog))
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
        self.drop_directory(table).await.map_err(|error| error.in_table(table))
    }
}

impl HiveConnector {
    async fn begin_table(&self, table: &NewTable, context: &WriteContext) -> Result<Begun> {
        if Options::of(table)?.external_location.is_some() {
            return Err(ConnectorError::user(
                "external_location is for catalogs with a metastore: here a table's directory follows from its name",
            ));
        }
        let log = Log::new(&self.store, &self.new_directory(&table.name).await?);
        let target = Target::new_table(table, log.clone(), None)?;
        let token = context.token.as_ref().map(Token::of);
        if let Some(rows) = self.settled(&log, token.as_ref()).await? {
            return Ok(Begun::Already(rows));
        }
        let mut view = View::read(&log).await?;
        if view.is_dropped {
            // What is left of the table that was here would become part of the new one.
            publish(&log, None).await?;
            view = View::read(&log).await?;
        }
        let listing = Arc::new(list(&self.store, &log.root).await?);
        match (view.is_made || view.apply(&log.root, &listing).is_table(), table.on_existing) {
            (true, OnExisting::Fail) => return Err(ConnectorError::exists("the table exists already")),
            (true, OnExisting::Skip) => return Ok(Begun::Already(0)),
            (false, _) if !listing.is_empty() => {
                return Err(ConnectorError::user(format!(
                    "the directory {} holds something else than a table",
                    self.store.display(&log.root)
                )));
            }
            _ => {}
        }
        let writer = Writer::new(target, Goal::New(table.on_existing), token, view.last())?;
        Ok(Begun::Writer(Box::new(writer)))
    }

    async fn begin_rows(
        &self,
        table: &dyn ConnectorTable,
        columns: &[usize],
        mode: InsertMode,
        context: &WriteContext,
    ) -> Result<Begun> {
        let gone = || ConnectorError::user("the table is there no longer").hint("try again");
        let columns: Vec<String> = columns
            .iter()
            .filter_map(|index| table.columns().get(*index))
            .map(|column| column.name().to_owned())
            .collect();
        let opened = self.open_table(table.name()).await?.ok_or_else(gone)?;
        let written = opened.written();
        let log = Log::new(&self.store, written.root);
        let target = Target::existing(&written, log.clone(), &columns, None)?;
        let token = context.token.as_ref().map(Token::of);
        if let Some(rows) = self.settled(&log, token.as_ref()).await? {
            return Ok(Begun::Already(rows));
        }
        let seen = log.list().await?.last();
        Ok(Begun::Writer(Box::new(Writer::new(target, Goal::Rows(mode), token, seen)?)))
    }

    /// The rows of the write that was committed with the token before, whose files are brought into their places.
    async fn settled(&self, log: &Log, token: Option<&Token>) -> Result<Option<u64>> {
        let Some(token) = token else { return Ok(None) };
        let rows = token.committed(log).await?;
        if rows.is_some()
            && let Err(error) = publish(log, None).await
        {
            unfinished(log, &error);
        }
        Ok(rows)
    }
}
