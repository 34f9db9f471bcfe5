//! `system.connector.table`: what each catalog of a connector tells of its source, in one table.
//!
//! A connector declares such tables ([`SystemTableSpec`]); the engine knows nothing of what they hold. The table has the rows
//! of all catalogs of the connector, or the query fails: a catalog that is wrong or does not answer is never left out in silence.
//! The planner makes a view of it (`planner/gathered.rs`), so that a condition on the catalog's name leaves out the others.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::logical_expr::Expr;
use portolan_connector::{
    Column, ConnectorError, ConnectorFactory, ConnectorTable, Domain, Fold, PlanContext, Reason, SYSTEM_SCHEMA,
    ScanRequest, SourcePlan, SystemColumn, SystemKind, SystemTableSpec, TableKind, TableName, Verdict,
};

use super::SYSTEM_CATALOG;
use crate::catalog::{Catalog, registry};
use crate::error::{Error, Result};

/// The first column of all these tables.
pub(super) const CATALOG_NAME: SystemColumn =
    SystemColumn::new("catalog_name", SystemKind::Text, "the catalog of which the row tells");

/// Why no source is given work of such a table: it is given work of the catalogs' tables instead.
const A_VIEW: &str = "it is a view of what each catalog has";

/// A table of all catalogs of a connector.
#[derive(Debug)]
pub(crate) struct Gathered {
    name: TableName,
    columns: Vec<Column>,
    parts: Vec<GatheredPart>,
}

/// The table of one catalog.
#[derive(Debug)]
pub(crate) struct GatheredPart {
    /// Its name.
    pub(crate) name: TableName,
    /// The table, or why it cannot be read. That is an error only where its rows are asked for.
    pub(crate) table: Result<Arc<dyn ConnectorTable>>,
}

impl Gathered {
    /// The rows of these catalogs, each with its name in front.
    async fn of(spec: &SystemTableSpec, connector: &str, catalogs: &[&Catalog], domain: Domain) -> Self {
        let mut parts = Vec::new();
        for catalog in catalogs {
            let name = TableName::new(&catalog.name, SYSTEM_SCHEMA, spec.name);
            let table = table_of(catalog, &name).await;
            parts.push(GatheredPart { name, table });
        }
        let columns = std::iter::once(&CATALOG_NAME).chain(spec.columns).map(|column| column.column(domain));
        Self { name: TableName::new(SYSTEM_CATALOG, connector, spec.name), columns: columns.collect(), parts }
    }

    /// The catalogs' tables, in the order of the catalog file. There is one at least.
    pub(crate) fn parts(&self) -> &[GatheredPart] {
        &self.parts
    }
}

/// Asks nothing of the source: its connector has declared the table.
async fn table_of(catalog: &Catalog, name: &TableName) -> Result<Arc<dyn ConnectorTable>> {
    let found = match catalog.connector() {
        Ok(connector) => connector.table(&name.schema, &name.table).await.map_err(Error::from),
        Err(error) => Err(error),
    };
    let error = match found {
        Ok(Some(table)) => return Ok(table),
        Ok(None) => Error::internal(format!("{name} is declared by its connector and not there")),
        Err(error) => error,
    };
    match error.message().hint {
        Some(_) => Err(error),
        None => {
            let catalog = catalog.name.replace('\'', "''");
            Err(error.hint(format!("WHERE {} <> '{catalog}' reads the other catalogs", CATALOG_NAME.name)))
        }
    }
}

/// The connectors of which there is a catalog and which declare such tables, sorted by name.
pub(super) fn connectors(catalogs: &[Catalog]) -> Vec<&'static dyn ConnectorFactory> {
    let mut found: Vec<&'static dyn ConnectorFactory> = registry::factories()
        .into_iter()
        .filter(|factory| !factory.system_tables().is_empty())
        .filter(|factory| catalogs.iter().any(|catalog| catalog.connector_name == factory.name()))
        .collect();
    found.sort_by_key(|factory| factory.name());
    found
}

/// The table of all catalogs of the connector that is called as the schema is.
pub(super) async fn find(
    catalogs: &[Catalog],
    schema: &str,
    table: &str,
    domain: Domain,
) -> Result<Option<Gathered>, ConnectorError> {
    let Some(factory) = registry::factory(schema) else { return Ok(None) };
    let Some(spec) = factory.system_tables().iter().find(|spec| spec.name == table) else { return Ok(None) };
    let catalogs: Vec<&Catalog> = catalogs.iter().filter(|catalog| catalog.connector_name == schema).collect();
    if catalogs.is_empty() {
        let error =
            format!("table {SYSTEM_CATALOG}.{schema}.{table} does not exist: no catalog has the connector {schema}");
        return Err(ConnectorError::user(error)
            .hint(format!("add a catalog with connector = \"{schema}\" to the catalog file")));
    }
    Ok(Some(Gathered::of(spec, schema, &catalogs, domain).await))
}

#[async_trait]
impl ConnectorTable for Gathered {
    fn name(&self) -> &TableName {
        &self.name
    }

    fn kind(&self) -> TableKind {
        TableKind::View
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn definition(&self) -> Option<String> {
        let columns: Vec<&str> = self.columns.iter().skip(1).map(Column::name).collect();
        let part = |part: &GatheredPart| {
            let catalog = part.name.catalog.replace('\'', "''");
            format!("SELECT '{catalog}' AS {}, {} FROM {}", CATALOG_NAME.name, columns.join(", "), part.name)
        };
        let parts: Vec<String> = self.parts.iter().map(part).collect();
        Some(format!("CREATE VIEW {} AS\n{}", self.name, parts.join("\nUNION ALL\n")))
    }

    fn judge(&self, _conjunct: &Expr) -> Verdict {
        Verdict::refused(A_VIEW)
    }

    fn fold(&self, _request: &ScanRequest, _operator: &Fold) -> Result<ScanRequest, Reason> {
        Err(Reason::from(A_VIEW))
    }

    async fn plan(&self, _request: &ScanRequest, _context: &PlanContext<'_>) -> Result<SourcePlan, ConnectorError> {
        Err(ConnectorError::internal(format!("cannot plan the scan: {A_VIEW}")).in_table(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{CatalogFile, CatalogSet, Environment};

    fn catalogs(text: &str) -> Vec<Catalog> {
        let environment = Environment { directory: std::env::temp_dir() };
        CatalogSet::open(CatalogFile::parse(text, "c.toml", &environment).unwrap()).configured().cloned().collect()
    }

    async fn groups(catalogs: &[Catalog]) -> Result<Option<Gathered>, ConnectorError> {
        find(catalogs, "kafka", "consumer_groups", Domain("system")).await
    }

    #[tokio::test]
    async fn catalogs_of_the_connector_are_gathered_in_the_order_of_the_file() {
        let text = "[b]\nconnector = 'kafka'\nbrokers = 'none:1'\n[mem]\nconnector = 'memory'\n[\"it's\"]\nconnector = 'kafka'\nbrokers = 'none:1'\n";
        let catalogs = catalogs(text);
        assert_eq!(connectors(&catalogs).iter().map(|factory| factory.name()).collect::<Vec<_>>(), ["kafka"]);
        let found = groups(&catalogs).await.unwrap().unwrap();
        assert_eq!(found.columns()[0].name(), "catalog_name");
        let definition = found.definition().unwrap();
        let lines: Vec<&str> = definition.lines().collect();
        assert_eq!(lines[0], "CREATE VIEW system.kafka.consumer_groups AS");
        assert!(lines[1].starts_with("SELECT 'b' AS catalog_name, group_id, ") && lines[2] == "UNION ALL", "{lines:?}");
        assert!(lines[1].ends_with(" FROM b.system.consumer_groups"), "{lines:?}");
        assert!(lines[3].starts_with("SELECT 'it''s' AS ") && lines[3].contains("FROM \"it's\".system."), "{lines:?}");
        assert!(find(&catalogs, "kafka", "nothing", Domain("system")).await.unwrap().is_none());
        assert!(find(&catalogs, "memory", "consumer_groups", Domain("system")).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_columns_are_those_that_the_catalogs_tables_have() {
        let catalogs = catalogs("[k]\nconnector = 'kafka'\nbrokers = 'none:1'\n");
        for factory in connectors(&catalogs) {
            for spec in factory.system_tables() {
                let found = find(&catalogs, factory.name(), spec.name, Domain("system")).await.unwrap().unwrap();
                let part = found.parts()[0].table.clone().unwrap();
                let fields = |columns: &[Column]| columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>();
                assert_eq!(fields(part.columns()), fields(&found.columns()[1..]), "{}", spec.name);
            }
        }
    }

    #[tokio::test]
    async fn a_wrong_catalog_is_there_and_says_what_is_wrong() {
        let catalogs = catalogs("[k]\nconnector = 'kafka'\nbroker = 'none:1'\n");
        let found = groups(&catalogs).await.unwrap().unwrap();
        let error = found.parts()[0].table.clone().unwrap_err().to_string();
        assert!(error.contains("catalog k") && error.contains("Hint: "), "{error}");
    }

    #[tokio::test]
    async fn without_a_catalog_there_is_no_table() {
        let catalogs = catalogs("[mem]\nconnector = 'memory'\n");
        assert!(connectors(&catalogs).is_empty());
        let error = groups(&catalogs).await.unwrap_err().to_string();
        assert!(error.contains("no catalog has the connector kafka"), "{error}");
    }
}
