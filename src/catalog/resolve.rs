//! From a name in a statement to a table of a source.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use portolan_connector::{Connector, ConnectorTable, TableEntry, TableName, properties};

use super::{Catalog, CatalogSet, INFORMATION_SCHEMA, information_schema};
use crate::error::{Error, Result, some_of};

/// What a name in a statement stands for.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// A table of a source.
    Source(Arc<dyn ConnectorTable>),
    /// A table that the engine makes itself.
    Own(Arc<dyn TableProvider>),
}

/// Finds tables by the names that a person writes, from where the session stands.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// The catalogs.
    pub catalogs: Arc<CatalogSet>,
    /// The session's current catalog.
    pub current_catalog: Option<String>,
    /// The session's current schema.
    pub current_schema: Option<String>,
}

impl Resolver {
    /// The table that a reference names. Missing parts come from the session's current catalog and schema.
    pub async fn resolve(&self, reference: &TableReference) -> Result<Resolved> {
        let (catalog, schema, table) = self.complete(reference)?;
        let catalog = self.catalogs.get(&catalog)?;
        if schema.eq_ignore_ascii_case(INFORMATION_SCHEMA) {
            return information_schema::table(catalog, &table.to_lowercase()).await.map(Resolved::Own);
        }
        self.table(catalog, &schema, &table).await.map(Resolved::Source)
    }

    /// The table that a reference names as it was when it was last asked for, where its connector remembers it under this very
    /// name; and its connector, which knows whether it has changed since.
    pub fn remembered(&self, reference: &TableReference) -> Option<(Arc<dyn Connector>, Arc<dyn ConnectorTable>)> {
        let (catalog, schema, table) = self.complete(reference).ok()?;
        if schema.eq_ignore_ascii_case(INFORMATION_SCHEMA) {
            return None;
        }
        let connector = self.catalogs.get(&catalog).ok()?.connector().ok()?;
        Some((Arc::clone(connector), connector.remembered(&schema, &table)?))
    }

    /// The table that a reference names, as it was: `FOR VERSION AS OF 'version'`.
    pub async fn resolve_at(&self, reference: &TableReference, version: &str) -> Result<Arc<dyn ConnectorTable>> {
        let (connector, schema, name) = self.connected(reference, "has no versions").await?;
        existing(connector.table_at(&schema, &name.table, version).await?, &name)
    }

    /// What the version that a table has now is called: `SHOW CUT FOR table`.
    pub async fn version_of(&self, reference: &TableReference) -> Result<String> {
        let (connector, schema, name) = self.connected(reference, "has no versions").await?;
        existing(connector.version_of(&schema, &name.table).await?, &name)
    }

    /// The rows that are added to the table that a reference names: `FOLLOW`.
    pub async fn resolve_following(
        &self,
        reference: &TableReference,
        since: Option<&str>,
    ) -> Result<Arc<dyn ConnectorTable>> {
        let (connector, schema, name) = self.connected(reference, "cannot be followed").await?;
        existing(connector.table_following(&schema, &name.table, since).await?, &name)
    }

    /// The connector of a table, its schema and its name as the source spells them. What the engine makes itself is refused.
    async fn connected(
        &self,
        reference: &TableReference,
        refusal: &str,
    ) -> Result<(Arc<dyn Connector>, String, TableName)> {
        // The table as it is has the name as the source spells it, and tells what is wrong with a name that it has not.
        let Resolved::Source(now) = self.resolve(reference).await? else {
            return Err(Error::user(format!("{reference} {refusal}")));
        };
        let (catalog, schema, _) = self.complete(reference)?;
        let catalog = self.catalogs.get(&catalog)?;
        let connector = Arc::clone(catalog.connector()?);
        // Some schemas are found and not listed.
        let schema = match schema == now.name().schema {
            true => schema,
            false => self.schema(catalog, &schema).await?,
        };
        Ok((connector, schema, now.name().clone()))
    }

    /// A catalog by its written name, or the current one.
    pub fn catalog(&self, name: Option<&str>) -> Result<&Catalog> {
        match name.or(self.current_catalog.as_deref()) {
            Some(name) => self.catalogs.get(name),
            None => Err(self.nothing_current(Error::user("no catalog is chosen"))),
        }
    }

    /// A schema of a catalog as the source spells it.
    pub async fn schema(&self, catalog: &Catalog, name: &str) -> Result<String> {
        if name.eq_ignore_ascii_case(INFORMATION_SCHEMA) {
            return Ok(INFORMATION_SCHEMA.to_owned());
        }
        let schemas = catalog.connector()?.list_schemas().await?;
        match find_name(name, &schemas, |schema| schema) {
            Some(schema) => Ok(schema.clone()),
            None => {
                let error = Error::not_found(format!("schema \"{}.{name}\" does not exist", catalog.name));
                Err(suggest(error, name, &schemas.iter().map(String::as_str).collect::<Vec<_>>(), "schemas"))
            }
        }
    }

    fn complete(&self, reference: &TableReference) -> Result<(String, String, String)> {
        let table = reference.table().to_owned();
        let catalog = reference.catalog().or(self.current_catalog.as_deref());
        let schema = reference.schema().or(self.current_schema.as_deref());
        match (catalog, schema) {
            (Some(catalog), Some(schema)) => Ok((catalog.to_owned(), schema.to_owned(), table)),
            _ => Err(self.nothing_current(Error::not_found(format!("table \"{reference}\" does not exist")))),
        }
    }

    fn nothing_current(&self, error: Error) -> Error {
        let names: Vec<&str> = self.catalogs.configured().map(|catalog| catalog.name.as_str()).collect();
        if names.is_empty() {
            return error.hint("no catalog is configured: start with --catalogs FILE");
        }
        error.hint(format!(
            "write catalog.schema.table, or choose with USE catalog.schema; catalogs are {}",
            some_of(&names)
        ))
    }

    async fn table(&self, catalog: &Catalog, schema: &str, table: &str) -> Result<Arc<dyn ConnectorTable>> {
        let connector = catalog.connector()?;
        // As written first: a source that has the exact name need not list anything.
        if let Some(found) = connector.table(schema, table).await? {
            return Ok(found);
        }
        let schema = self.schema(catalog, schema).await?;
        let tables = connector.list_tables(&schema).await?;
        if let Some(entry) = find_name(table, &tables, |entry| &entry.name)
            && let Some(found) = connector.table(&schema, &entry.name).await?
        {
            return Ok(found);
        }
        Err(self.no_table(catalog, connector.as_ref(), &schema, table, &tables).await)
    }

    /// The error for a missing table: the nearest name in the schema, else the schema that has the table.
    async fn no_table(
        &self,
        catalog: &Catalog,
        connector: &dyn Connector,
        schema: &str,
        table: &str,
        tables: &[TableEntry],
    ) -> Error {
        let error = Error::not_found(format!("table \"{}.{schema}.{table}\" does not exist", catalog.name));
        let names: Vec<&str> = tables.iter().map(|entry| entry.name.as_str()).collect();
        if properties::nearest(table, names.iter().copied()).is_none() {
            for other in connector.list_schemas().await.unwrap_or_default() {
                let entries = connector.list_tables(&other).await.unwrap_or_default();
                if other != schema && find_name(table, &entries, |entry| &entry.name).is_some() {
                    return error.hint(format!("did you mean \"{}.{other}.{table}\"?", catalog.name));
                }
            }
        }
        suggest(error, table, &names, "tables here")
    }
}

fn existing<T>(found: Option<T>, name: &TableName) -> Result<T> {
    found.ok_or_else(|| Error::not_found(format!("table \"{name}\" does not exist")))
}

fn suggest(error: Error, name: &str, names: &[&str], what: &str) -> Error {
    match properties::nearest(name, names.iter().copied()) {
        Some(near) => error.hint(format!("did you mean \"{near}\"?")),
        None if names.is_empty() => error,
        None => error.hint(format!("{what} are {}", some_of(names))),
    }
}

/// The item of exactly this name, or the only one whose name differs in case alone.
pub(crate) fn find_name<'a, T>(name: &str, items: &'a [T], key: impl Fn(&T) -> &String) -> Option<&'a T> {
    if let Some(exact) = items.iter().find(|item| key(item) == name) {
        return Some(exact);
    }
    let folded = name.to_lowercase();
    let mut alike = items.iter().filter(|item| key(item).to_lowercase() == folded);
    match (alike.next(), alike.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_as_written_or_where_its_case_is_unique() {
        let names: Vec<String> = ["Orders", "items", "ITEMS"].map(str::to_owned).into();
        let find = |name: &str| find_name(name, &names, |name| name).cloned();
        assert_eq!(find("orders").as_deref(), Some("Orders"));
        assert_eq!(find("items").as_deref(), Some("items"));
        assert_eq!(find("Items"), None);
        assert_eq!(find("nothing"), None);
    }
}
