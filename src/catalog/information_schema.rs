//! `information_schema` of a catalog: schemata, tables, views and columns, made when a query names them.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use futures::{StreamExt, TryStreamExt};
use portolan_connector::{ConnectorTable, ErrorClass, TableKind};

use super::Catalog;
use crate::error::{Error, Result};

/// The schema that every catalog has.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

/// Tables whose columns are fetched from the source at the same time.
const TABLES_AT_ONCE: usize = 8;

/// The tables of the schema.
const TABLES: [&str; 4] = ["columns", "schemata", "tables", "views"];

/// One of the schema's tables, filled from the catalog now.
pub(super) async fn table(catalog: &Catalog, name: &str) -> Result<Arc<dyn TableProvider>> {
    match name {
        "schemata" => schemata(catalog).await,
        "tables" => tables(catalog, false).await,
        "views" => tables(catalog, true).await,
        "columns" => columns(catalog).await,
        _ => Err(Error::not_found(format!("table \"{}.{INFORMATION_SCHEMA}.{name}\" does not exist", catalog.name))
            .hint(format!("tables here are {}", TABLES.join(", ")))),
    }
}

async fn schemata(catalog: &Catalog) -> Result<Arc<dyn TableProvider>> {
    let mut rows = Rows::new(&["catalog_name", "schema_name"], &[]);
    for schema in all_schemas(catalog).await? {
        rows.push(&[Some(&catalog.name), Some(&schema)], &[]);
    }
    rows.finish()
}

async fn tables(catalog: &Catalog, views_only: bool) -> Result<Arc<dyn TableProvider>> {
    let mut rows = Rows::new(&["table_catalog", "table_schema", "table_name", "table_type"], &[]);
    for (schema, name, kind) in all_tables(catalog).await? {
        if views_only && kind != TableKind::View {
            continue;
        }
        rows.push(&[Some(&catalog.name), Some(&schema), Some(&name), Some(type_name(kind))], &[]);
    }
    if !views_only {
        for name in TABLES {
            rows.push(&[Some(&catalog.name), Some(INFORMATION_SCHEMA), Some(name), Some("VIEW")], &[]);
        }
    }
    rows.finish()
}

/// The standard's word for a kind of table.
pub(crate) fn type_name(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Table => "BASE TABLE",
        TableKind::View => "VIEW",
    }
}

async fn columns(catalog: &Catalog) -> Result<Arc<dyn TableProvider>> {
    let mut rows = Rows::new(
        &[
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "data_type",
            "is_nullable",
            "source_type",
            "comment",
        ],
        &["ordinal_position"],
    );
    let connector = catalog.connector()?;
    let found: Vec<Option<Arc<dyn ConnectorTable>>> = futures::stream::iter(all_tables(catalog).await?)
        .map(|(schema, name, _)| async move {
            match connector.table(&schema, &name).await {
                // Queries cannot name the columns of a table that the connector refuses to read.
                Err(error) if error.class() == ErrorClass::User => {
                    tracing::debug!(%error, "left out of information_schema.columns");
                    Ok(None)
                }
                outcome => outcome,
            }
        })
        .buffered(TABLES_AT_ONCE)
        .try_collect()
        .await?;
    for table in found.into_iter().flatten() {
        for (position, column) in (1..).zip(table.columns().iter().filter(|column| column.hidden.is_none())) {
            rows.push(
                &[
                    Some(&catalog.name),
                    Some(&table.name().schema),
                    Some(&table.name().table),
                    Some(column.name()),
                    Some(&crate::session::type_name(column.field.data_type())),
                    Some(if column.field.is_nullable() { "YES" } else { "NO" }),
                    Some(&column.source_type),
                    column.comment.as_deref(),
                ],
                &[position],
            );
        }
    }
    rows.finish()
}

async fn all_schemas(catalog: &Catalog) -> Result<Vec<String>> {
    let mut schemas = catalog.connector()?.list_schemas().await?;
    schemas.push(INFORMATION_SCHEMA.to_owned());
    Ok(schemas)
}

async fn all_tables(catalog: &Catalog) -> Result<Vec<(String, String, TableKind)>> {
    let connector = catalog.connector()?;
    let mut tables = Vec::new();
    for schema in connector.list_schemas().await? {
        for entry in connector.list_tables(&schema).await? {
            tables.push((schema.clone(), entry.name, entry.kind));
        }
    }
    Ok(tables)
}

/// Rows of text columns followed by whole-number columns.
struct Rows {
    texts: Vec<(String, StringBuilder)>,
    numbers: Vec<(String, Int64Builder)>,
}

impl Rows {
    fn new(texts: &[&str], numbers: &[&str]) -> Self {
        Self {
            texts: texts.iter().map(|name| ((*name).to_owned(), StringBuilder::new())).collect(),
            numbers: numbers.iter().map(|name| ((*name).to_owned(), Int64Builder::new())).collect(),
        }
    }

    fn push(&mut self, texts: &[Option<&str>], numbers: &[i64]) {
        for ((_, builder), text) in self.texts.iter_mut().zip(texts) {
            builder.append_option(*text);
        }
        for ((_, builder), number) in self.numbers.iter_mut().zip(numbers) {
            builder.append_value(*number);
        }
    }

    fn finish(self) -> Result<Arc<dyn TableProvider>> {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (name, mut builder) in self.texts {
            fields.push(Field::new(name, DataType::Utf8, true));
            arrays.push(Arc::new(builder.finish()));
        }
        for (name, mut builder) in self.numbers {
            fields.push(Field::new(name, DataType::Int64, false));
            arrays.push(Arc::new(builder.finish()));
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
            .map_err(|error| Error::internal(format!("cannot build {INFORMATION_SCHEMA}: {error}")))?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}
