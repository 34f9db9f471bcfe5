//! One PostgreSQL database, shared by all queries.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use portolan_connector::{
    Capabilities, Connector, ConnectorTable, KeyFilter, Narrowed, QueryContext, ReadContext, Result, Snapshot, Split,
    TableEntry, TableName, WritableCatalog,
};

use crate::config::Config;
use crate::factory::PostgresFactory;
use crate::net::{Pool, Purpose};
use crate::snapshot::PostgresSnapshot;
use crate::split::CopySplit;
use crate::table::{PostgresTable, Shared};
use crate::{error, metadata, narrow, native, read, rules};

/// The connector of one catalog.
#[derive(Debug)]
pub(crate) struct PostgresConnector(Shared);

impl PostgresConnector {
    /// Connects to nothing yet.
    pub(crate) fn new(config: Config) -> Self {
        let config = Arc::new(config);
        let pool = Arc::new(Pool::new(Arc::clone(&config)));
        Self(Shared {
            config,
            pool,
            capabilities: Arc::new(rules::capabilities()),
            known: Arc::default(),
            moments: Arc::default(),
        })
    }

    /// What its tables share with it.
    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }
}

#[async_trait]
impl Connector for PostgresConnector {
    fn kind(&self) -> &'static str {
        PostgresFactory::NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        let session = self.0.pool.get(Purpose::Metadata).await?;
        let schemas = session.read_only(metadata::list_schemas(session.client())).await;
        session
            .release_after(schemas)
            .map_err(|cause| error::statement(&self.0.config, "cannot list the schemas", &cause))
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableEntry>> {
        // No name of PostgreSQL's holds a NUL, and none could be sent.
        if schema.contains('\0') {
            return Ok(Vec::new());
        }
        let session = self.0.pool.get(Purpose::Metadata).await?;
        let tables = session.read_only(metadata::list_tables(session.client(), schema)).await;
        session.release_after(tables).map_err(|cause| {
            error::statement(&self.0.config, &format!("cannot list the tables of schema {schema}"), &cause)
        })
    }

    async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn ConnectorTable>>> {
        if schema.contains('\0') || table.contains('\0') {
            return Ok(None);
        }
        let session = self.0.pool.get(Purpose::Metadata).await?;
        let name = TableName::new(&self.0.config.catalog, schema, table);
        let found = metadata::look_up(&session, &self.0.known, schema, table).await;
        let found = session.release_after(found).map_err(|cause| {
            error::statement(&self.0.config, "cannot read the table's columns", &cause).in_table(&name)
        })?;
        Ok(found.map(|(described, seen)| {
            Arc::new(PostgresTable::new(self.0.clone(), name, described, seen)) as Arc<dyn ConnectorTable>
        }))
    }

    fn remembered(&self, schema: &str, table: &str) -> Option<Arc<dyn ConnectorTable>> {
        let described = self.0.known.get(schema, table)?;
        let (name, seen) = (TableName::new(&self.0.config.catalog, schema, table), described.last_seen());
        Some(Arc::new(PostgresTable::new(self.0.clone(), name, described, seen)))
    }

    async fn unchanged(&self, tables: &[Arc<dyn ConnectorTable>]) -> Result<bool> {
        let known = tables.iter().map(|table| table.downcast_ref::<PostgresTable>()?.seen());
        let Some(known) = known.collect::<Option<Vec<_>>>() else { return Ok(false) };
        let session = self.0.pool.get(Purpose::Metadata).await?;
        let answer = metadata::unchanged(&session, known.into_iter()).await;
        session
            .release_after(answer)
            .map_err(|cause| error::statement(&self.0.config, "cannot see whether tables have changed", &cause))
    }

    async fn native(&self, query: &str) -> Result<Arc<dyn ConnectorTable>> {
        Ok(Arc::new(native::describe(&self.0, query).await?))
    }

    async fn begin(&self, _query: &QueryContext) -> Result<Arc<dyn Snapshot>> {
        let session = self.0.pool.get(Purpose::Snapshot).await?;
        Ok(Arc::new(PostgresSnapshot::export(session, &self.0.moments)))
    }

    fn narrow(&self, split: &Split, filters: &[KeyFilter]) -> Result<Narrowed> {
        let parsed = CopySplit::read(split).map_err(|error| error.in_catalog(&self.0.config.catalog))?;
        narrow::narrow(parsed, filters, &self.0, split.rows)
    }

    fn read(&self, split: &Split, context: ReadContext) -> Result<SendableRecordBatchStream> {
        let split = CopySplit::read(split).map_err(|error| error.in_catalog(&self.0.config.catalog))?;
        Ok(read::read(self.0.clone(), split, context))
    }

    fn writable(&self) -> Option<&dyn WritableCatalog> {
        if self.0.config.is_writable { Some(self) } else { None }
    }

    fn how_to_write(&self) -> Option<&'static str> {
        Some("set access = \"read_write\" in its entry of the catalog file")
    }
}
