//! The catalog `system` behind the same traits as every source, so that whatever lists, describes or explains tables knows
//! them too.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use portolan_connector::{
    Capabilities, Column, Connector, ConnectorError, ConnectorTable, Domain, Estimate, Fold, PlanContext, QueryContext,
    ReadContext, Reason, Result, Scan, ScanRequest, Snapshot, SourcePlan, Split, TableEntry, TableKind, TableName,
    Verdict,
};
use serde::{Deserialize, Serialize};

use super::tables::{SystemTable, system_tables};
use super::{SYSTEM_CATALOG, gathered};
use crate::catalog::Catalog;
use crate::query::Queries;

/// The domain of all columns: no rule names it, so that the engine does everything.
const SYSTEM: Domain = Domain("system");

/// The engine as a source.
#[derive(Debug)]
pub(crate) struct SystemConnector {
    queries: Arc<Queries>,
    catalogs: Vec<Catalog>,
    capabilities: Capabilities,
}

impl SystemConnector {
    /// The engine with these catalogs beside its own.
    pub(crate) fn new(queries: Arc<Queries>, catalogs: Vec<Catalog>) -> Self {
        Self { queries, catalogs, capabilities: Capabilities::default() }
    }
}

/// The query that asks.
#[derive(Debug)]
struct Asking(String);

impl Snapshot for Asking {
    fn describe(&self) -> Option<String> {
        None
    }
}

/// What a split reads: a table whole, for a query whose user may see only some of its rows.
#[derive(Debug, Serialize, Deserialize)]
struct Read {
    schema: String,
    table: String,
    columns: Vec<usize>,
    query_id: String,
}

#[async_trait]
impl Connector for SystemConnector {
    fn kind(&self) -> &'static str {
        SYSTEM_CATALOG
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        let gathered = gathered::connectors(&self.catalogs);
        let names =
            gathered.iter().map(|factory| factory.name()).chain(system_tables().iter().map(|table| table.schema));
        let mut schemas: Vec<String> = names.map(str::to_owned).collect();
        schemas.sort();
        schemas.dedup();
        Ok(schemas)
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableEntry>> {
        let own = system_tables().iter().filter(|table| table.schema == schema).map(|table| table.name);
        let gathered = gathered::connectors(&self.catalogs).into_iter().filter(|factory| factory.name() == schema);
        let gathered = gathered.flat_map(|factory| factory.system_tables()).map(|spec| spec.name);
        Ok(own.chain(gathered).map(|name| TableEntry { name: name.to_owned(), kind: TableKind::View }).collect())
    }

    async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn ConnectorTable>>> {
        if let Some(own) = find(schema, table) {
            return Ok(Some(Arc::new(Table::new(own))));
        }
        let gathered = gathered::find(&self.catalogs, schema, table, SYSTEM).await?;
        Ok(gathered.map(|table| Arc::new(table) as Arc<dyn ConnectorTable>))
    }

    async fn begin(&self, query: &QueryContext) -> Result<Arc<dyn Snapshot>> {
        Ok(Arc::new(Asking(query.query_id.clone())))
    }

    fn read(&self, split: &Split, context: ReadContext) -> Result<SendableRecordBatchStream> {
        let wrong =
            |said: String| ConnectorError::internal("cannot make the rows").said(said).in_catalog(SYSTEM_CATALOG);
        let read: Read = serde_json::from_value(split.payload.clone()).map_err(|error| wrong(error.to_string()))?;
        let table = find(&read.schema, &read.table).ok_or_else(|| wrong("the table is gone".to_owned()))?;
        let asking = self.queries.find(&read.query_id);
        let seen = asking.map(|query| self.queries.visible_to(query.principal())).unwrap_or_default();
        let (arrays, rows) = table.arrays(&seen, &read.columns);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let whole = RecordBatch::try_new_with_options(Arc::clone(&context.schema), arrays, &options)
            .map_err(|error| wrong(error.to_string()))?;
        let parts = (0..rows).step_by(context.batch_rows.max(1));
        let parts: Vec<_> = parts.map(|start| Ok(whole.slice(start, context.batch_rows.min(rows - start)))).collect();
        Ok(Box::pin(RecordBatchStreamAdapter::new(context.schema, futures::stream::iter(parts))))
    }
}

fn find(schema: &str, table: &str) -> Option<&'static SystemTable> {
    system_tables().iter().find(|known| known.schema == schema && known.name == table)
}

#[derive(Debug)]
struct Table {
    name: TableName,
    columns: Vec<Column>,
}

impl Table {
    fn new(table: &'static SystemTable) -> Self {
        let columns = table.columns.iter().map(|column| column.column(SYSTEM));
        Self { name: TableName::new(SYSTEM_CATALOG, table.schema, table.name), columns: columns.collect() }
    }
}

#[async_trait]
impl ConnectorTable for Table {
    fn name(&self) -> &TableName {
        &self.name
    }

    fn kind(&self) -> TableKind {
        TableKind::View
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn judge(&self, _conjunct: &Expr) -> Verdict {
        Verdict::refused("system tables are made whole by the engine itself")
    }

    fn fold(&self, _request: &ScanRequest, _operator: &Fold) -> Result<ScanRequest, Reason> {
        Err(Reason::from("system tables are made whole by the engine itself"))
    }

    async fn plan(&self, request: &ScanRequest, context: &PlanContext<'_>) -> Result<SourcePlan> {
        let wrong = |said: String| ConnectorError::internal("cannot plan the scan").said(said).in_table(&self.name);
        let asking =
            context.snapshot.downcast_ref::<Asking>().ok_or_else(|| wrong("the snapshot is another's".to_owned()))?;
        let fields = request.projection.iter().filter_map(|index| self.columns.get(*index));
        let schema = Arc::new(Schema::new(fields.map(|column| Arc::clone(&column.field)).collect::<Vec<FieldRef>>()));
        let read = Read {
            schema: self.name.schema.clone(),
            table: self.name.table.clone(),
            columns: request.projection.clone(),
            query_id: asking.0.clone(),
        };
        let payload = serde_json::to_value(read).map_err(|error| wrong(error.to_string()))?;
        let split = Split { payload, label: self.name.to_string(), rows: None };
        Ok(SourcePlan {
            requests: Vec::new(),
            filterable: Vec::new(),
            pauses: true,
            schema,
            scan: Scan::Splits(vec![split]),
            request: None,
            remote_filters: Vec::new(),
            units: Vec::new(),
            estimate: Estimate::default(),
        })
    }
}
