//! Writing, compared with what psql sees.

mod concurrent;
mod failing;
mod rows;
mod tables;
mod values;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use portolan_connector::{
    Begun, Connector, InsertMode, NewTable, OnExisting, QueryContext, TableName, TableWriter, WriteContext, WriteToken,
};

use crate::harness::{Database, table};

/// A connector that may write.
pub(crate) fn writable(database: &Database) -> Arc<dyn Connector> {
    database.connector_with("access = 'read_write'")
}

/// What belongs to a write, under a token or without.
pub(crate) fn context(token: Option<(&str, &str)>) -> WriteContext {
    let token = token.map(|(token, statement)| WriteToken { token: token.to_owned(), statement: statement.to_owned() });
    WriteContext { query: QueryContext { query_id: "test".to_owned() }, token }
}

/// A batch of columns by name.
pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// One column of values of one type.
pub(crate) fn column(values: &[ScalarValue]) -> ArrayRef {
    ScalarValue::iter_to_array(values.iter().cloned()).unwrap()
}

/// Begins to add rows to columns of a table by name.
pub(crate) async fn begin_insert(
    connector: &Arc<dyn Connector>,
    name: &str,
    columns: &[&str],
    context: WriteContext,
) -> Result<Begun, String> {
    let of = table(connector, "public", name).await;
    let indexes: Vec<usize> = columns.iter().map(|column| of.column(column).unwrap().0).collect();
    let writable = connector.writable().unwrap();
    writable.insert(&of, &indexes, InsertMode::Append, context).await.map_err(|error| error.to_string())
}

/// The writer of a write that is new.
pub(crate) fn writer(begun: Begun) -> Box<dyn TableWriter> {
    match begun {
        Begun::Writer(writer) => writer,
        Begun::Already(rows) => panic!("the write is said to have written {rows} rows"),
    }
}

/// Adds the rows of a batch to the columns of its names.
pub(crate) async fn insert(connector: &Arc<dyn Connector>, name: &str, rows: RecordBatch) -> Result<u64, String> {
    let schema = rows.schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut writer = writer(begin_insert(connector, name, &columns, context(None)).await?);
    writer.write(rows).await.map_err(|error| error.to_string())?;
    writer.commit().await.map_err(|error| error.to_string())
}

/// Makes a table of rows.
pub(crate) async fn create(
    connector: &Arc<dyn Connector>,
    name: &str,
    rows: RecordBatch,
    on_existing: OnExisting,
) -> Result<u64, String> {
    let mut writer = match begin_create(connector, name, rows.schema(), on_existing, context(None)).await? {
        Begun::Writer(writer) => writer,
        Begun::Already(rows) => return Ok(rows),
    };
    writer.write(rows).await.map_err(|error| error.to_string())?;
    writer.commit().await.map_err(|error| error.to_string())
}

/// Begins to make a table.
pub(crate) async fn begin_create(
    connector: &Arc<dyn Connector>,
    name: &str,
    columns: SchemaRef,
    on_existing: OnExisting,
    context: WriteContext,
) -> Result<Begun, String> {
    let new =
        NewTable { name: TableName::new("pg", "public", name), columns, on_existing, properties: Default::default() };
    connector.writable().unwrap().create_table(new, context).await.map_err(|error| error.to_string())
}

/// An error says all of these.
pub(crate) fn has(error: &str, mentions: &[&str]) {
    for mention in mentions {
        assert!(error.contains(mention), "{mention} is not in: {error}");
    }
}
