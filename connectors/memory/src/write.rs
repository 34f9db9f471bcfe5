//! Making tables and adding rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use async_trait::async_trait;
use portolan_connector::{
    Begun, ConnectorError, ConnectorTable, InsertMode, NewTable, Result, TableName, TableWriter, WritableCatalog,
    WriteContext, WriteToken,
};

use crate::chunk::{CHUNK_ROWS, Chunk};
use crate::connector::MemoryConnector;
use crate::store::{Store, Target};

#[async_trait]
impl WritableCatalog for MemoryConnector {
    async fn create_schema(&self, schema: &str) -> Result<bool> {
        Ok(self.store.create_schema(schema))
    }

    async fn drop_schema(&self, schema: &str, cascade: bool) -> Result<bool> {
        self.store.drop_schema(schema, cascade).map_err(|error| error.in_catalog(&self.catalog))
    }

    async fn create_table(&self, table: NewTable, context: WriteContext) -> Result<Begun> {
        let name = table.name.clone();
        let columns = Arc::clone(&table.columns);
        let all = (0..columns.fields().len()).collect();
        let begin = || match self.store.committed(context.token.as_ref())? {
            Some(rows) => Ok(Begun::Already(rows)),
            None if self.store.is_made(&table)? => Ok(Begun::Already(0)),
            None => Ok(self.writer(Target::New(table), name.clone(), columns, all, context.token)),
        };
        begin().map_err(|error: ConnectorError| error.in_table(&name))
    }

    async fn insert(
        &self,
        table: &Arc<dyn ConnectorTable>,
        columns: &[usize],
        mode: InsertMode,
        context: WriteContext,
    ) -> Result<Begun> {
        let name = table.name();
        let begin = || {
            mode.only_append()?;
            if let Some(rows) = self.store.committed(context.token.as_ref())? {
                return Ok(Begun::Already(rows));
            }
            let now = self.store.now();
            let data = now
                .table(&name.schema, &name.table)
                .filter(|data| data.columns == table.schema())
                .ok_or_else(|| ConnectorError::user("the table was dropped or replaced").hint("try again"))?;
            let target = Target::Existing { name: name.clone(), id: data.id };
            Ok(self.writer(target, name.clone(), Arc::clone(&data.columns), columns.to_vec(), context.token))
        };
        begin().map_err(|error: ConnectorError| error.in_table(name))
    }

    async fn drop_table(&self, table: &TableName) -> Result<bool> {
        Ok(self.store.drop_table(table))
    }
}

impl MemoryConnector {
    fn writer(
        &self,
        target: Target,
        name: TableName,
        schema: SchemaRef,
        columns: Vec<usize>,
        token: Option<WriteToken>,
    ) -> Begun {
        Begun::Writer(Box::new(Writer {
            store: Arc::clone(&self.store),
            target,
            name,
            coalescer: BatchCoalescer::new(Arc::clone(&schema), CHUNK_ROWS),
            schema,
            columns,
            chunks: Vec::new(),
            token,
        }))
    }
}

/// The rows of one statement until they are committed.
struct Writer {
    store: Arc<Store>,
    target: Target,
    name: TableName,
    /// All columns of the table.
    schema: SchemaRef,
    /// Those that batches have.
    columns: Vec<usize>,
    /// Copies rows into chunks of one size, so that a small part of a large batch does not keep all of it.
    coalescer: BatchCoalescer,
    chunks: Vec<Arc<Chunk>>,
    token: Option<WriteToken>,
}

impl Writer {
    /// The batch with all columns of the table: those that the statement does not name are NULL.
    fn widened(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let columns = self.schema.fields().iter().enumerate().map(|(index, field)| {
            let given = self.columns.iter().position(|column| *column == index);
            let column: ArrayRef = match given.and_then(|at| batch.columns().get(at)) {
                Some(column) => Arc::clone(column),
                None => new_null_array(field.data_type(), rows),
            };
            if !field.is_nullable() && column.logical_null_count() > 0 {
                let why = format!("column {} may not be NULL", field.name());
                return Err(ConnectorError::user(why));
            }
            Ok(column)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(|error| wrong(&error))
    }

    fn take_whole_chunks(&mut self) -> Result<()> {
        while let Some(rows) = self.coalescer.next_completed_batch() {
            self.chunks.push(Arc::new(Chunk::new(rows, &self.store.budget)?));
        }
        Ok(())
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let widened = self.widened(batch)?;
        self.coalescer.push_batch(widened).map_err(|error| wrong(&error))?;
        self.take_whole_chunks()
    }

    fn finish(&mut self) -> Result<u64> {
        self.coalescer.finish_buffered_batch().map_err(|error| wrong(&error))?;
        self.take_whole_chunks()?;
        self.store.commit(&self.target, std::mem::take(&mut self.chunks), self.token.take())
    }
}

fn wrong(error: &ArrowError) -> ConnectorError {
    ConnectorError::internal("cannot keep the rows").said(error)
}

#[async_trait]
impl TableWriter for Writer {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.push(&batch).map_err(|error| error.in_table(&self.name))
    }

    async fn commit(mut self: Box<Self>) -> Result<u64> {
        self.finish().map_err(|error| error.in_table(&self.name))
    }
}
