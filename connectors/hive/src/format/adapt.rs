//! From the columns of files that carry a schema of their own to those of the table.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::physical_expr_adapter::BatchAdapterFactory;
use portolan_connector::UnsupportedColumn;

use super::fault::Fault;
use crate::adapter::LakeAdapterFactory;
use crate::schema::{FileColumn, engine_type};
use crate::types::sql_name;

/// Makes batches of the table's columns from those of the file.
pub(super) struct Adapter {
    inner: datafusion::physical_expr_adapter::BatchAdapter,
    wanted: SchemaRef,
}

impl Adapter {
    pub(super) fn new(wanted: &SchemaRef, file: &SchemaRef, rules: LakeAdapterFactory) -> Result<Self> {
        let factory = BatchAdapterFactory::new(Arc::clone(wanted)).with_adapter_factory(Arc::new(rules));
        Ok(Self { inner: factory.make_adapter(file)?, wanted: Arc::clone(wanted) })
    }

    pub(super) fn adapt(&self, batch: RecordBatch) -> Result<RecordBatch> {
        if self.wanted.fields().is_empty() {
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            return Ok(RecordBatch::try_new_with_options(Arc::clone(&self.wanted), Vec::new(), &options)?);
        }
        // A value that does not fit the table's type is a fault of the file, as is one that cannot be decoded.
        let adapted = self.inner.adapt_batch(&batch).map_err(|error| Fault::new(error.strip_backtrace()))?;
        let options = RecordBatchOptions::new().with_row_count(Some(adapted.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.wanted), adapted.columns().to_vec(), &options)?)
    }
}

/// The columns of a file, with the types that the engine reads them as. Those that it cannot read are set apart.
pub(super) fn columns_of(schema: &Schema, unsupported: &mut Vec<UnsupportedColumn>) -> Vec<FileColumn> {
    let mut columns = Vec::new();
    for field in schema.fields() {
        let data_type = engine_type(field.data_type());
        let source_type = sql_name(&data_type);
        match unreadable(field.data_type()) {
            None => {
                let field = Arc::new(Field::new(field.name(), data_type, true));
                columns.push(FileColumn { field, source_type });
            }
            Some(_) if unsupported.iter().any(|known| known.name == *field.name()) => {}
            Some(reason) => {
                unsupported.push(UnsupportedColumn {
                    name: field.name().clone(),
                    source_type,
                    reason: reason.to_owned(),
                });
            }
        }
    }
    columns
}

/// What of a type the engine does not compute with.
fn unreadable(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Union(_, _) => Some("its values may be of several types other than null"),
        DataType::List(item) | DataType::Map(item, _) => unreadable(item.data_type()),
        DataType::Struct(fields) => fields.iter().find_map(|field| unreadable(field.data_type())),
        _ => None,
    }
}
