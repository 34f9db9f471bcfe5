//! The metadata calls: what catalogs, schemas and tables there are, and what the server is.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{GetDbSchemasBuilder, GetTablesBuilder, SqlInfoData, XdbcTypeInfoData};
use arrow_flight::sql::{
    Command, CommandGetCatalogs, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandGetXdbcTypeInfo,
};
use futures::{StreamExt, TryStreamExt, stream};
use portolan_connector::{Column, ConnectorTable, TableEntry, TableKind};
use tonic::Status;

use super::encode::wire_schema;
use super::errors::{internal, status};
use super::pattern::matches;
use super::{keys, sql_info, type_info};
use crate::catalog::{Catalog, INFORMATION_SCHEMA};
use crate::error::Result;
use crate::session::type_name;
use crate::{Engine, Error};

/// Catalogs that are asked at the same time.
const CATALOGS_AT_ONCE: usize = 8;

/// Tables whose columns are fetched at the same time.
const TABLES_AT_ONCE: usize = 8;

/// What never changes while the server runs.
pub(super) struct Facts {
    infos: SqlInfoData,
    types: XdbcTypeInfoData,
}

impl Facts {
    pub(super) fn of(engine: &Engine) -> Result<Self> {
        let failed = |error: FlightError| Error::internal(format!("cannot describe the server: {error}"));
        Ok(Self { infos: sql_info::infos(engine).map_err(failed)?, types: type_info::types().map_err(failed)? })
    }
}

/// A metadata call.
#[derive(Clone, Debug)]
pub(super) enum Listing {
    Catalogs,
    Schemas(CommandGetDbSchemas),
    Tables(CommandGetTables),
    TableTypes,
    SqlInfo(CommandGetSqlInfo),
    TypeInfo(CommandGetXdbcTypeInfo),
    PrimaryKeys,
    ForeignKeys,
}

impl Listing {
    /// The metadata call that a command is, if it is one.
    pub(super) fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::CommandGetCatalogs(_) => Self::Catalogs,
            Command::CommandGetDbSchemas(request) => Self::Schemas(request.clone()),
            Command::CommandGetTables(request) => Self::Tables(request.clone()),
            Command::CommandGetTableTypes(_) => Self::TableTypes,
            Command::CommandGetSqlInfo(request) => Self::SqlInfo(request.clone()),
            Command::CommandGetXdbcTypeInfo(request) => Self::TypeInfo(*request),
            Command::CommandGetPrimaryKeys(_) => Self::PrimaryKeys,
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => Self::ForeignKeys,
            _ => return None,
        })
    }

    /// The columns of the answer, as the specification demands them.
    pub(super) fn schema(&self, facts: &Facts) -> SchemaRef {
        let schema = match self {
            Self::Catalogs => CommandGetCatalogs {}.into_builder().schema(),
            Self::Schemas(_) => any_schema().schema(),
            Self::Tables(request) => any_table(request.include_schema).schema(),
            Self::TableTypes => CommandGetTableTypes {}.into_builder().schema(),
            Self::SqlInfo(_) => facts.infos.schema(),
            Self::TypeInfo(_) => facts.types.schema(),
            Self::PrimaryKeys => keys::primary_keys(),
            Self::ForeignKeys => keys::foreign_keys(),
        };
        wire_schema(&schema)
    }

    /// The answer.
    pub(super) async fn rows(&self, engine: &Engine, facts: &Facts) -> Result<RecordBatch, Status> {
        let built = match self {
            Self::Catalogs => catalogs(engine),
            Self::Schemas(request) => schemas(engine, request).await?,
            Self::Tables(request) => tables(engine, request).await?,
            Self::TableTypes => table_types(),
            Self::SqlInfo(request) => facts.infos.record_batch(request.info.iter().copied()),
            Self::TypeInfo(request) => facts.types.record_batch(request.data_type),
            Self::PrimaryKeys | Self::ForeignKeys => Ok(RecordBatch::new_empty(self.schema(facts))),
        };
        built.map_err(|error| internal("cannot build the answer", error))
    }
}

/// The builders filter by comparing every row; here rows are filtered before they are made.
fn any_schema() -> GetDbSchemasBuilder {
    GetDbSchemasBuilder::new(None::<String>, None::<String>)
}

fn any_table(include_schema: bool) -> GetTablesBuilder {
    GetTablesBuilder::new(None::<String>, None::<String>, None::<String>, Vec::<String>::new(), include_schema)
}

type Built = Result<RecordBatch, FlightError>;

fn catalogs(engine: &Engine) -> Built {
    let mut builder = CommandGetCatalogs {}.into_builder();
    for catalog in engine.catalogs().iter() {
        builder.append(&catalog.name);
    }
    builder.build()
}

fn table_types() -> Built {
    let mut builder = CommandGetTableTypes {}.into_builder();
    for kind in [TableKind::Table, TableKind::View] {
        builder.append(kind_name(kind));
    }
    builder.build()
}

/// The standard's word for a kind of table.
fn kind_name(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Table => "BASE TABLE",
        TableKind::View => "VIEW",
    }
}

/// Asks the catalogs. One that was asked for by name answers with its error; in a listing of all, one that is broken
/// or cannot be reached does not hide the others.
async fn ask<T, F>(engine: &Engine, name: Option<&str>, list: impl Fn(Catalog) -> F) -> Result<Vec<T>, Status>
where
    F: Future<Output = Result<Vec<T>>>,
{
    let catalogs = engine.catalogs();
    let asked: Vec<Catalog> =
        catalogs.iter().filter(|catalog| name.is_none_or(|name| catalog.name == name)).cloned().collect();
    let answers: Vec<(String, Result<Vec<T>>)> = stream::iter(asked)
        .map(|catalog| {
            let name = catalog.name.clone();
            let list = list(catalog);
            async move { (name, list.await) }
        })
        .buffered(CATALOGS_AT_ONCE)
        .collect()
        .await;
    let mut all = Vec::new();
    for (catalog, answer) in answers {
        match answer {
            Ok(items) => all.extend(items),
            Err(error) if name.is_some() => return Err(status(&error, "")),
            Err(error) => tracing::warn!(catalog, %error, "left out of a listing"),
        }
    }
    Ok(all)
}

async fn schemas(engine: &Engine, request: &CommandGetDbSchemas) -> Result<Built, Status> {
    let pattern = request.db_schema_filter_pattern.as_deref();
    let found = ask(engine, request.catalog.as_deref(), |catalog| async move {
        let mut schemas = catalog.connector()?.list_schemas().await?;
        schemas.push(INFORMATION_SCHEMA.to_owned());
        schemas.sort();
        schemas.dedup();
        schemas.retain(|schema| matches(pattern, schema));
        Ok(schemas.into_iter().map(|schema| (catalog.name.clone(), schema)).collect())
    });
    let mut builder = any_schema();
    for (catalog, schema) in found.await? {
        builder.append(catalog, schema);
    }
    Ok(builder.build())
}

/// A table that a listing found.
struct Found {
    catalog: Catalog,
    schema: String,
    entry: TableEntry,
}

async fn tables(engine: &Engine, request: &CommandGetTables) -> Result<Built, Status> {
    let found = ask(engine, request.catalog.as_deref(), |catalog| tables_of(catalog, request)).await?;
    let mut builder = any_table(request.include_schema);
    let only_one = found.len() == 1;
    let mut described = stream::iter(found)
        .map(|found| async move {
            let columns = match request.include_schema {
                true => columns(&found).await,
                false => Ok(Some(Schema::empty())),
            };
            (found, columns)
        })
        .buffered(TABLES_AT_ONCE);
    while let Some((found, columns)) = described.next().await {
        let columns = match columns {
            Ok(Some(columns)) => columns,
            // Gone since it was listed.
            Ok(None) => continue,
            Err(error) if only_one => return Err(status(&error, "")),
            // Among others, a table that cannot be described is listed without columns.
            Err(error) => {
                let Found { catalog, schema, entry } = &found;
                tracing::warn!(catalog = catalog.name, schema, table = entry.name, %error, "listed without columns");
                Schema::empty()
            }
        };
        let Found { catalog, schema, entry } = found;
        if let Err(error) = builder.append(&catalog.name, schema, &entry.name, kind_name(entry.kind), &columns) {
            return Ok(Err(error));
        }
    }
    Ok(builder.build())
}

async fn tables_of(catalog: Catalog, request: &CommandGetTables) -> Result<Vec<Found>> {
    let connector = Arc::clone(catalog.connector()?);
    let schemas = connector.list_schemas().await?;
    let schemas = schemas.into_iter().filter(|schema| matches(request.db_schema_filter_pattern.as_deref(), schema));
    let listed: Vec<(String, Vec<TableEntry>)> = stream::iter(schemas)
        .map(|schema| {
            let connector = Arc::clone(&connector);
            async move {
                let tables = connector.list_tables(&schema).await?;
                Ok::<_, Error>((schema, tables))
            }
        })
        .buffered(TABLES_AT_ONCE)
        .try_collect()
        .await?;
    let is_asked = |entry: &TableEntry| {
        let kinds = &request.table_types;
        matches(request.table_name_filter_pattern.as_deref(), &entry.name)
            && (kinds.is_empty() || kinds.iter().any(|kind| kind.eq_ignore_ascii_case(kind_name(entry.kind))))
    };
    let mut found = Vec::new();
    for (schema, entries) in listed {
        for entry in entries.into_iter().filter(is_asked) {
            found.push(Found { catalog: catalog.clone(), schema: schema.clone(), entry });
        }
    }
    Ok(found)
}

/// The visible columns of a table as a query returns them, with what the specification lets a column say of itself.
/// `None` when the table is gone.
async fn columns(found: &Found) -> Result<Option<Schema>> {
    let Some(table) = found.catalog.connector()?.table(&found.schema, &found.entry.name).await? else {
        return Ok(None);
    };
    let visible = table.columns().iter().filter(|column| column.hidden.is_none());
    let plain = Schema::new(visible.clone().map(|column| Arc::clone(&column.field)).collect::<Vec<_>>());
    let fields: Vec<Field> = wire_schema(&plain)
        .fields()
        .iter()
        .zip(visible)
        .map(|(field, column)| described(field, table.as_ref(), column))
        .collect();
    Ok(Some(Schema::new(fields)))
}

fn described(field: &Field, table: &dyn ConnectorTable, column: &Column) -> Field {
    let name = table.name();
    let mut metadata: HashMap<String, String> = field.metadata().clone();
    let mut say = |key: &str, value: String| metadata.insert(format!("ARROW:FLIGHT:SQL:{key}"), value);
    say("CATALOG_NAME", name.catalog.clone());
    say("SCHEMA_NAME", name.schema.clone());
    say("TABLE_NAME", name.table.clone());
    say("TYPE_NAME", type_name(column.field.data_type()));
    if let DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) = field.data_type() {
        say("PRECISION", precision.to_string());
        say("SCALE", scale.to_string());
    }
    say("IS_AUTO_INCREMENT", "0".to_owned());
    say("IS_READ_ONLY", "1".to_owned());
    if let Some(comment) = &column.comment {
        say("REMARKS", comment.clone());
    }
    field.clone().with_metadata(metadata)
}
