//! The system tables behind the same traits as every source, so that whatever lists, describes or explains tables knows
//! them too.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, FieldRef, Schema};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::Expr;
use portolan_connector::{
    Capabilities, Column, Connector, ConnectorError, ConnectorTable, Domain, Estimate, Fold, PlanContext, QueryContext,
    ReadContext, Reason, Result, Scan, ScanRequest, Snapshot, SourcePlan, Split, TableEntry, TableKind, TableName,
    Verdict,
};

use super::SYSTEM_CATALOG;
use super::tables::{SystemTable, system_tables};
use crate::query::{Queries, Query};

/// The domain of all columns: no rule names it, so that the engine does everything.
const SYSTEM: Domain = Domain("system");

/// The engine as a source.
#[derive(Debug)]
pub(crate) struct SystemConnector {
    queries: Arc<Queries>,
    capabilities: Capabilities,
}

impl SystemConnector {
    pub(crate) fn new(queries: Arc<Queries>) -> Self {
        Self { queries, capabilities: Capabilities::default() }
    }
}

/// The queries that the asking user may see, as they were found first.
#[derive(Debug)]
struct Seen(Vec<Arc<Query>>);

impl Snapshot for Seen {
    fn describe(&self) -> Option<String> {
        None
    }
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
        let mut schemas: Vec<String> = system_tables().iter().map(|table| table.schema.to_owned()).collect();
        schemas.sort();
        schemas.dedup();
        Ok(schemas)
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableEntry>> {
        let here = system_tables().iter().filter(|table| table.schema == schema);
        Ok(here.map(|table| TableEntry { name: table.name.to_owned(), kind: TableKind::View }).collect())
    }

    async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn ConnectorTable>>> {
        let found = system_tables().iter().find(|known| known.schema == schema && known.name == table);
        Ok(found.map(|table| Arc::new(Table::new(table)) as Arc<dyn ConnectorTable>))
    }

    /// Which queries there are to see is settled here: it depends on who asks. Planning that is no query sees none.
    async fn begin(&self, query: &QueryContext) -> Result<Arc<dyn Snapshot>> {
        let asking = self.queries.find(&query.query_id);
        Ok(Arc::new(Seen(asking.map(|query| self.queries.visible_to(query.principal())).unwrap_or_default())))
    }

    fn read(&self, _split: &Split, _context: ReadContext) -> Result<SendableRecordBatchStream> {
        Err(ConnectorError::internal("system tables have no splits").in_catalog(SYSTEM_CATALOG))
    }
}

#[derive(Debug)]
struct Table {
    name: TableName,
    table: &'static SystemTable,
    columns: Vec<Column>,
}

impl Table {
    fn new(table: &'static SystemTable) -> Self {
        let columns = table.columns.iter().map(|column| {
            let field = Field::new(column.name, column.kind.data_type(), true);
            let mut shown = Column::new(Arc::new(field), column.kind.sql(), SYSTEM);
            shown.comment = Some(column.help.to_owned());
            shown
        });
        Self { name: TableName::new(SYSTEM_CATALOG, table.schema, table.name), table, columns: columns.collect() }
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
        let wrong = |said: String| ConnectorError::internal("cannot make the rows").said(said).in_table(&self.name);
        let seen =
            context.snapshot.downcast_ref::<Seen>().ok_or_else(|| wrong("the snapshot is another's".to_owned()))?;
        let (arrays, rows) = self.table.arrays(&seen.0, &request.projection);
        let fields = request.projection.iter().filter_map(|index| self.columns.get(*index));
        let schema = Arc::new(Schema::new(fields.map(|column| Arc::clone(&column.field)).collect::<Vec<FieldRef>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)
            .map_err(|error| wrong(error.to_string()))?;
        let native = MemorySourceConfig::try_new_exec(&[vec![batch]], Arc::clone(&schema), None)
            .map_err(|error| wrong(error.to_string()))?;
        Ok(SourcePlan {
            schema,
            scan: Scan::Native(native),
            request: None,
            remote_filters: Vec::new(),
            units: Vec::new(),
            estimate: Estimate { rows: Some(rows as u64), bytes: None },
        })
    }
}
