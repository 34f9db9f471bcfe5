//! Statements that write, as the engine makes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use portolan_connector::{
    ArgumentValue, Arguments, Begun, Connector, ConnectorError, InsertMode, NewTable, OnExisting, QueryContext,
    TableName, TableValue, WriteContext, WriteToken,
};

/// A catalog's setting that lets statements write.
pub(crate) const WRITABLE: &str = "access = 'read_write'\n";

/// Rows of these columns.
pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn context(token: Option<&str>) -> WriteContext {
    let token = token.map(|token| WriteToken { token: token.to_owned(), statement: "a statement".to_owned() });
    WriteContext { query: QueryContext { query_id: "test".to_owned() }, token }
}

/// A statement that makes a table.
#[derive(Clone)]
pub(crate) struct Create<'a> {
    pub(crate) schema: &'a str,
    pub(crate) table: &'a str,
    pub(crate) on_existing: OnExisting,
    pub(crate) partitioned_by: &'a [&'a str],
    pub(crate) sorted_by: &'a [&'a str],
    pub(crate) external_location: Option<String>,
    pub(crate) token: Option<&'a str>,
}

impl Default for Create<'_> {
    fn default() -> Self {
        Self {
            schema: "s",
            table: "t",
            on_existing: OnExisting::Fail,
            partitioned_by: &[],
            sorted_by: &[],
            external_location: None,
            token: None,
        }
    }
}

impl Create<'_> {
    pub(crate) async fn run(&self, connector: &dyn Connector, rows: &RecordBatch) -> Result<u64, ConnectorError> {
        let list = |names: &[&str]| TableValue::List(names.iter().map(|name| (*name).to_owned()).collect());
        let mut properties =
            BTreeMap::from([("partitioned_by", list(self.partitioned_by)), ("sorted_by", list(self.sorted_by))]);
        if let Some(location) = &self.external_location {
            properties.insert("external_location", TableValue::Text(location.clone()));
        }
        let table = NewTable {
            name: TableName::new("lake", self.schema, self.table),
            columns: rows.schema(),
            on_existing: self.on_existing,
            properties,
        };
        fill(connector.writable().unwrap().create_table(table, context(self.token)).await?, rows).await
    }
}

/// Puts rows into a table, column by column of the same name.
pub(crate) async fn insert(
    connector: &Arc<dyn Connector>,
    (schema, table): (&str, &str),
    rows: &RecordBatch,
    mode: InsertMode,
    token: Option<&str>,
) -> Result<u64, ConnectorError> {
    let table = connector.table(schema, table).await?.unwrap_or_else(|| panic!("no table {table}"));
    let columns: Vec<usize> =
        rows.schema().fields().iter().map(|field| table.column(field.name()).unwrap().0).collect();
    let types = table.schema();
    let arrays = columns
        .iter()
        .zip(rows.columns())
        .map(|(index, array)| arrow::compute::cast(array, types.field(*index).data_type()).unwrap());
    let fields: Vec<_> = columns.iter().map(|index| types.field(*index).clone()).collect();
    let rows = RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), arrays.collect()).unwrap();
    fill(connector.writable().unwrap().insert(&table, &columns, mode, context(token)).await?, &rows).await
}

async fn fill(begun: Begun, rows: &RecordBatch) -> Result<u64, ConnectorError> {
    match begun {
        Begun::Already(rows) => Ok(rows),
        Begun::Writer(mut writer) => {
            writer.write(rows.clone()).await?;
            writer.commit().await
        }
    }
}

/// Calls `clean_staging` for files of any age, of a schema or of all. Returns what it says. Tests share a metastore: there it has to be
/// their own schema, because to the others' statements that are under way such files belong.
pub(crate) async fn clean(connector: &Arc<dyn Connector>, schema: Option<&str>) -> String {
    let mut arguments = Arguments::default();
    if let Some(schema) = schema {
        arguments.insert("schema_name", ArgumentValue::Text(schema.to_owned()));
    }
    arguments.insert("older_than", ArgumentValue::Duration(std::time::Duration::ZERO));
    connector.call("clean_staging", &arguments).await.unwrap()
}

/// The files and directories in a table's directory for staged files.
pub(crate) fn staged(table: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(table.join("_portolan/staged")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
