//! What is there: catalogs, schemas and tables, for `\l`, `\dn` and `\dt`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use futures::StreamExt;
use futures::stream;
use portolan_connector::TableKind;

use super::pattern::{self, Part};
use crate::catalog::{Catalog, Resolver};
use crate::error::{Error, Result};

/// Requests for lists that are under way at the same time, in each catalog.
const LISTS_AT_ONCE: usize = 8;

/// Catalogs that are asked at the same time.
const CATALOGS_AT_ONCE: usize = 8;

/// Rows of a listing, and what could not be listed.
#[derive(Debug)]
pub(crate) struct Listing {
    names: &'static [&'static str],
    rows: Vec<Vec<String>>,
    /// Catalogs that did not answer.
    pub(crate) errors: Vec<Error>,
}

impl Listing {
    /// The rows as one batch of text columns.
    pub(crate) fn batch(&self) -> Result<RecordBatch> {
        let fields: Vec<Field> = self.names.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect();
        let column = |index: usize| {
            let values: StringArray = self.rows.iter().map(|row| row.get(index)).collect();
            Arc::new(values) as ArrayRef
        };
        let columns = (0..self.names.len()).map(column).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|error| Error::internal(format!("cannot list: {error}")))
    }
}

/// Where a listing looks, and for which names. A part that is missing means all.
#[derive(Debug)]
struct Scope<'a> {
    catalogs: Vec<&'a Catalog>,
    schema: Option<Part>,
    table: Option<Part>,
}

impl<'a> Scope<'a> {
    /// `catalog.schema.table` with wildcards. A name in front that is a catalog's is that catalog; other names are
    /// looked up from where the session stands, or in all catalogs if it stands nowhere.
    fn of(resolver: &'a Resolver, pattern: Option<&str>) -> Self {
        let here = |resolver: &'a Resolver| match &resolver.current_catalog {
            Some(current) => resolver.catalogs.find(current).into_iter().collect(),
            None => resolver.catalogs.iter().collect(),
        };
        let current_schema = || resolver.current_schema.as_deref().map(Part::exactly);
        let parts = pattern.map(pattern::parts).unwrap_or_default();
        if let Some(catalog) = parts.first().and_then(Part::name).and_then(|name| resolver.catalogs.find(name)) {
            let mut rest = parts.into_iter().skip(1);
            return Self { catalogs: vec![catalog], schema: rest.next(), table: rest.next() };
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => Self { catalogs: here(resolver), schema: current_schema(), table: None },
            (Some(table), None, _) => Self { catalogs: here(resolver), schema: current_schema(), table: Some(table) },
            (Some(schema), Some(table), None) => {
                Self { catalogs: here(resolver), schema: Some(schema), table: Some(table) }
            }
            (Some(catalog), schema, table) => {
                let catalogs = resolver.catalogs.iter().filter(|candidate| catalog.matches(&candidate.name)).collect();
                Self { catalogs, schema, table }
            }
        }
    }
}

/// The catalogs, with the state of each as far as it is known without asking it.
pub(crate) fn catalogs(resolver: &Resolver, pattern: Option<&str>) -> Listing {
    let part = pattern.and_then(|pattern| pattern::parts(pattern).into_iter().next());
    let rows = resolver
        .catalogs
        .iter()
        .filter(|catalog| part.as_ref().is_none_or(|part| part.matches(&catalog.name)))
        .map(|catalog| {
            let state = match catalog.connector() {
                Ok(_) => "ok".to_owned(),
                Err(error) => error.message().text.clone(),
            };
            vec![catalog.name.clone(), catalog.connector_name.clone(), state]
        })
        .collect();
    Listing { names: &["catalog", "connector", "state"], rows, errors: Vec::new() }
}

/// The schemas of the catalogs that are meant.
pub(crate) async fn schemas(resolver: &Resolver, pattern: Option<&str>) -> Listing {
    let mut scope = Scope::of(resolver, pattern);
    // The last part names schemas here, not tables.
    scope.schema = match (scope.table.take(), pattern) {
        (Some(table), _) => Some(table),
        (None, None) => None,
        (None, Some(_)) => scope.schema,
    };
    let scope = &scope;
    let found = stream::iter(scope.catalogs.iter().copied())
        .map(|catalog| async move {
            let schemas = catalog.connector()?.list_schemas().await?;
            let wanted = schemas.into_iter().filter(|schema| wanted(scope.schema.as_ref(), schema));
            Ok(wanted.map(|schema| vec![catalog.name.clone(), schema]).collect())
        })
        .buffered(CATALOGS_AT_ONCE)
        .collect::<Vec<Result<Vec<Vec<String>>>>>()
        .await;
    gather(&["catalog", "schema"], found)
}

/// The tables that are meant.
pub(crate) async fn tables(resolver: &Resolver, pattern: Option<&str>, views_only: bool) -> Listing {
    let scope = Scope::of(resolver, pattern);
    let scope = &scope;
    let found = stream::iter(scope.catalogs.iter().copied())
        .map(|catalog| tables_of(catalog, scope, views_only))
        .buffered(CATALOGS_AT_ONCE)
        .collect::<Vec<Result<Vec<Vec<String>>>>>()
        .await;
    gather(&["catalog", "schema", "table", "type"], found)
}

async fn tables_of(catalog: &Catalog, scope: &Scope<'_>, views_only: bool) -> Result<Vec<Vec<String>>> {
    let connector = catalog.connector()?;
    let schemas = connector.list_schemas().await?;
    let lists = stream::iter(schemas.into_iter().filter(|schema| wanted(scope.schema.as_ref(), schema)))
        .map(|schema| async move {
            let tables = connector.list_tables(&schema).await?;
            Ok::<_, Error>((schema, tables))
        })
        .buffered(LISTS_AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let mut rows = Vec::new();
    for list in lists {
        let (schema, tables) = list?;
        for entry in tables {
            let is_view = entry.kind == TableKind::View;
            if wanted(scope.table.as_ref(), &entry.name) && (is_view || !views_only) {
                let kind = if is_view { "view" } else { "table" };
                rows.push(vec![catalog.name.clone(), schema.clone(), entry.name, kind.to_owned()]);
            }
        }
    }
    Ok(rows)
}

fn wanted(part: Option<&Part>, name: &str) -> bool {
    part.is_none_or(|part| part.matches(name))
}

fn gather(names: &'static [&'static str], found: Vec<Result<Vec<Vec<String>>>>) -> Listing {
    let mut listing = Listing { names, rows: Vec::new(), errors: Vec::new() };
    for rows in found {
        match rows {
            Ok(rows) => listing.rows.extend(rows),
            Err(error) => listing.errors.push(error),
        }
    }
    listing
}
