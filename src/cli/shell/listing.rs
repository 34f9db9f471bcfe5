//! What is there: catalogs, schemas, tables and functions, for `\l`, `\dn`, `\dt` and `\df`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use futures::{StreamExt, stream};

use super::pattern::{self, Part, quoted};
use crate::catalog::{INFORMATION_SCHEMA, SYSTEM_CATALOG};
use crate::cli::client::{Client, Failure, Standing, ask};

/// Questions that are under way at the same time, in each catalog and over catalogs.
const QUESTIONS_AT_ONCE: usize = 8;

/// Rows of a listing, and what could not be listed.
#[derive(Debug)]
pub(crate) struct Listing {
    names: &'static [&'static str],
    rows: Vec<Vec<String>>,
    /// Catalogs that did not answer.
    pub(crate) failures: Vec<Failure>,
}

impl Listing {
    /// Rows that are whole.
    pub(super) fn of(names: &'static [&'static str], rows: Vec<Vec<String>>) -> Self {
        Self { names, rows, failures: Vec::new() }
    }

    /// The rows as one batch of text columns.
    pub(crate) fn batch(&self) -> Result<RecordBatch, Failure> {
        let fields: Vec<Field> = self.names.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect();
        let column = |index: usize| {
            let values: StringArray = self.rows.iter().map(|row| row.get(index)).collect();
            Arc::new(values) as ArrayRef
        };
        let columns = (0..self.names.len()).map(column).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|error| Failure::new(format!("cannot list: {error}")))
    }
}

/// Where a listing looks, and for which names. A part that is missing means all.
#[derive(Debug, Default)]
struct Scope {
    catalogs: Vec<String>,
    schema: Option<Part>,
    table: Option<Part>,
}

impl Scope {
    /// `catalog.schema.table` with wildcards. A name in front that is a catalog's is that catalog; other names are
    /// looked up from where the session stands, or in all configured catalogs if it stands nowhere.
    fn of(all: Vec<String>, standing: Standing, pattern: Option<&str>) -> Self {
        let schema_here = standing.schema.as_deref().map(Part::exactly);
        let nowhere = || all.iter().filter(|name| *name != SYSTEM_CATALOG).cloned().collect();
        let here = standing.catalog.map_or_else(nowhere, |current| vec![current]);
        let parts = pattern.map(pattern::parts).unwrap_or_default();
        if let Some(catalog) = parts.first().and_then(Part::name).and_then(|name| find(&all, name)) {
            let mut rest = parts.into_iter().skip(1);
            return Self { catalogs: vec![catalog], schema: rest.next(), table: rest.next() };
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => Self { catalogs: here, schema: schema_here, table: None },
            (Some(table), None, _) => Self { catalogs: here, schema: schema_here, table: Some(table) },
            (Some(schema), Some(table), None) => Self { catalogs: here, schema: Some(schema), table: Some(table) },
            (Some(catalog), schema, table) => {
                Self { catalogs: all.into_iter().filter(|name| catalog.matches(name)).collect(), schema, table }
            }
        }
    }

    fn wants_schema(&self, name: &str) -> bool {
        match &self.schema {
            Some(part) => part.matches(name) && (name != INFORMATION_SCHEMA || part.name().is_some()),
            None => name != INFORMATION_SCHEMA,
        }
    }
}

/// A name as it is spelled in a list: exactly, or else but for its case.
pub(crate) fn find(names: &[String], wanted: &str) -> Option<String> {
    let same = names.iter().find(|name| *name == wanted);
    same.or_else(|| names.iter().find(|name| name.eq_ignore_ascii_case(wanted))).cloned()
}

/// The first column of a statement's rows.
pub(crate) async fn first_column(client: &dyn Client, sql: &str) -> Result<Vec<String>, Failure> {
    let rows = ask(client, sql).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

/// The names of all catalogs.
pub(crate) async fn catalog_names(client: &dyn Client) -> Result<Vec<String>, Failure> {
    first_column(client, "SHOW CATALOGS").await
}

/// The names of a catalog's schemas.
pub(crate) async fn schema_names(client: &dyn Client, catalog: &str) -> Result<Vec<String>, Failure> {
    first_column(client, &format!("SHOW SCHEMAS FROM {}", quoted(catalog))).await
}

/// The catalogs, with the state of each as far as it is known without asking it.
pub(crate) async fn catalogs(client: &dyn Client, pattern: Option<&str>) -> Result<Listing, Failure> {
    named(client, "SHOW CATALOGS", &["catalog", "connector", "state"], pattern).await
}

/// The engine's functions.
pub(crate) async fn functions(client: &dyn Client, pattern: Option<&str>) -> Result<Listing, Failure> {
    named(client, "SHOW FUNCTIONS", &["function", "kind"], pattern).await
}

/// The rows of a SHOW statement whose first column is meant.
async fn named(
    client: &dyn Client,
    sql: &str,
    names: &'static [&'static str],
    pattern: Option<&str>,
) -> Result<Listing, Failure> {
    let part = pattern.and_then(|pattern| pattern::parts(pattern).into_iter().next());
    let rows = ask(client, sql).await?;
    let rows = rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect());
    let wanted =
        |row: &Vec<String>| part.as_ref().is_none_or(|part| row.first().is_some_and(|name| part.matches(name)));
    Ok(Listing::of(names, rows.filter(wanted).collect()))
}

/// The schemas of the catalogs that are meant.
pub(crate) async fn schemas(
    client: &dyn Client,
    standing: Standing,
    pattern: Option<&str>,
) -> Result<Listing, Failure> {
    let mut scope = Scope::of(catalog_names(client).await?, standing, pattern);
    // The last part names schemas here, not tables.
    scope.schema = match (scope.table.take(), pattern) {
        (Some(table), _) => Some(table),
        (None, None) => None,
        (None, Some(_)) => scope.schema,
    };
    let scope = &scope;
    let lists = stream::iter(&scope.catalogs).map(|catalog| async move {
        let schemas = schema_names(client, catalog).await?.into_iter().filter(|schema| scope.wants_schema(schema));
        Ok(schemas.map(|schema| vec![catalog.clone(), schema]).collect())
    });
    Ok(gather(&["catalog", "schema"], lists.buffered(QUESTIONS_AT_ONCE).collect().await))
}

/// The tables that are meant.
pub(crate) async fn tables(
    client: &dyn Client,
    standing: Standing,
    pattern: Option<&str>,
    views_only: bool,
) -> Result<Listing, Failure> {
    let scope = Scope::of(catalog_names(client).await?, standing, pattern);
    let lists = stream::iter(&scope.catalogs).map(|catalog| tables_of(client, catalog, &scope, views_only));
    Ok(gather(&["catalog", "schema", "table", "type"], lists.buffered(QUESTIONS_AT_ONCE).collect().await))
}

async fn tables_of(
    client: &dyn Client,
    catalog: &str,
    scope: &Scope,
    views_only: bool,
) -> Result<Vec<Vec<String>>, Failure> {
    let schemas = schema_names(client, catalog).await?.into_iter().filter(|schema| scope.wants_schema(schema));
    let lists: Vec<Result<_, Failure>> = stream::iter(schemas)
        .map(|schema| async move {
            let sql = format!("SHOW TABLES FROM {}.{}", quoted(catalog), quoted(&schema));
            ask(client, &sql).await
        })
        .buffered(QUESTIONS_AT_ONCE)
        .collect()
        .await;
    let mut rows = Vec::new();
    for list in lists {
        for row in list? {
            let row: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
            if let [schema, table, kind] = row.as_slice()
                && scope.table.as_ref().is_none_or(|part| part.matches(table))
                && (kind == "view" || !views_only)
            {
                rows.push(vec![catalog.to_owned(), schema.clone(), table.clone(), kind.clone()]);
            }
        }
    }
    Ok(rows)
}

fn gather(names: &'static [&'static str], found: Vec<Result<Vec<Vec<String>>, Failure>>) -> Listing {
    let mut listing = Listing::of(names, Vec::new());
    for rows in found {
        match rows {
            Ok(rows) => listing.rows.extend(rows),
            Err(failure) => listing.failures.push(failure),
        }
    }
    listing
}
