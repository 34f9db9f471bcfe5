//! The connector: tables in memory as a source.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use portolan_connector::{
    Capabilities, Connector, ConnectorError, ConnectorTable, Operation, QueryContext, ReadContext, Result, Rule,
    Snapshot, Split, TableEntry, TableKind, TableName, WritableCatalog,
};

use crate::store::Store;
use crate::table::{FILTERS_STAY, MEMORY, MemoryTable, Read};

/// Tables in this process's memory.
#[derive(Debug)]
pub struct MemoryConnector {
    pub(crate) catalog: String,
    pub(crate) store: Arc<Store>,
    capabilities: Capabilities,
}

impl MemoryConnector {
    /// The name of this kind of connector.
    pub const KIND: &'static str = "memory";

    /// A catalog without tables, which may have so many bytes of rows.
    pub fn new(catalog: impl Into<String>, max_bytes: usize) -> Self {
        let capabilities = Capabilities::new(vec![
            Rule::exact(Operation::Projection, None),
            Rule::exact(Operation::Limit, None),
            Rule::refused(Operation::AnyExpression, Some(MEMORY), FILTERS_STAY),
            Rule::exact(Operation::Insert, None),
            Rule::exact(Operation::Define, None),
        ]);
        Self { catalog: catalog.into(), store: Arc::new(Store::new(max_bytes)), capabilities }
    }

    fn rows(&self, read: &Read, context: &ReadContext) -> Result<Vec<RecordBatch>> {
        let wrong = |said: &str| ConnectorError::internal("cannot read the rows").said(said).in_catalog(&self.catalog);
        let table = self.store.version(read.version).ok_or_else(|| wrong("the snapshot has ended"))?;
        let chunks = table.chunks.get(read.first..read.end).ok_or_else(|| wrong("the split is of another table"))?;
        let mut left = read.limit.unwrap_or(usize::MAX);
        let mut batches = Vec::new();
        for chunk in chunks {
            let mut start = 0;
            while left > 0 && start < chunk.rows.num_rows() {
                let count = (chunk.rows.num_rows() - start).min(context.batch_rows.max(1)).min(left);
                let part = chunk.rows.slice(start, count);
                let columns = read.columns.iter().filter_map(|index| part.columns().get(*index)).cloned().collect();
                let options = RecordBatchOptions::new().with_row_count(Some(count));
                let batch = RecordBatch::try_new_with_options(Arc::clone(&context.schema), columns, &options);
                batches.push(batch.map_err(|error| wrong(&error.to_string()))?);
                start += count;
                left -= count;
            }
        }
        Ok(batches)
    }
}

#[async_trait]
impl Connector for MemoryConnector {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        Ok(self.store.now().schemas().cloned().collect())
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableEntry>> {
        let now = self.store.now();
        Ok(now.tables(schema).map(|name| TableEntry { name: name.clone(), kind: TableKind::Table }).collect())
    }

    async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn ConnectorTable>>> {
        let name = TableName::new(&self.catalog, schema, table);
        let now = self.store.now();
        Ok(now
            .table(schema, table)
            .map(|data| Arc::new(MemoryTable::new(name, Arc::clone(data))) as Arc<dyn ConnectorTable>))
    }

    async fn begin(&self, _query: &QueryContext) -> Result<Arc<dyn Snapshot>> {
        Ok(Arc::new(self.store.now()))
    }

    fn read(&self, split: &Split, context: ReadContext) -> Result<SendableRecordBatchStream> {
        let read: Read = serde_json::from_value(split.payload.clone())
            .map_err(|error| ConnectorError::internal("cannot read the split").said(error).in_catalog(&self.catalog))?;
        // The rows are there: the batches only point at them.
        let batches = self.rows(&read, &context)?;
        let rows = futures::stream::iter(batches.into_iter().map(Ok));
        Ok(Box::pin(RecordBatchStreamAdapter::new(context.schema, rows)))
    }

    fn writable(&self) -> Option<&dyn WritableCatalog> {
        Some(self)
    }
}
