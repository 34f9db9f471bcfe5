//! SHOW statements.

use datafusion::common::TableReference;
use portolan_connector::{Column, ConnectorTable, TableKind};

use super::answer::TextRows;
use super::settings::setting_specs;
use super::types::type_name;
use super::{Answer, Session, Statement, describe, stats};
use crate::catalog::{Catalog, INFORMATION_SCHEMA, Resolved};
use crate::error::{Error, Result};

/// Answers a SHOW or DESCRIBE statement.
pub(super) async fn answer(session: &Session, statement: Statement) -> Result<Answer> {
    match statement {
        Statement::ShowCatalogs { like } => catalogs(session, like.as_deref()),
        Statement::ShowSchemas { catalog, like } => schemas(session, catalog.as_deref(), like.as_deref()).await,
        Statement::ShowTables { place, like } => tables(session, &place, like.as_deref()).await,
        Statement::ShowColumns { table, like } => columns(session, &table, like.as_deref()).await,
        Statement::DescribeTable(table) => describe::table(&session.resolver().resolve(&table).await?),
        Statement::ShowCreateTable(table) => create_table(session, &table).await,
        Statement::ShowStats(table) => stats::answer(session, &table).await,
        Statement::ShowCut(table) => {
            let mut rows = TextRows::new(&["cut"]);
            rows.push([Some(session.resolver().version_of(&table).await?)]);
            rows.answer()
        }
        Statement::ShowCapabilities { catalog, like } => capabilities(session, catalog.as_deref(), like.as_deref()),
        Statement::ShowFunctions { like } => functions(session, like.as_deref()),
        Statement::ShowProcedures { catalog, like } => {
            session.procedures(catalog.as_deref(), |name| matches(name, like.as_deref()))
        }
        Statement::ShowSession { like } => settings(session, like.as_deref()),
        Statement::ShowSetting(name) => {
            let mut rows = TextRows::new(&["value"]);
            rows.push([Some(session.settings().get(&name)?.to_owned())]);
            rows.answer()
        }
        _ => Err(Error::internal("not a SHOW statement")),
    }
}

fn catalogs(session: &Session, like: Option<&str>) -> Result<Answer> {
    let mut rows = TextRows::new(&["catalog", "connector", "state"]);
    for catalog in session.engine().catalogs().iter().filter(|catalog| matches(&catalog.name, like)) {
        rows.push([Some(catalog.name.clone()), Some(catalog.connector_name.clone()), Some(catalog.state())]);
    }
    rows.answer()
}

async fn schemas(session: &Session, catalog: Option<&str>, like: Option<&str>) -> Result<Answer> {
    let resolver = session.resolver();
    let mut schemas = resolver.catalog(catalog)?.connector()?.list_schemas().await?;
    schemas.push(INFORMATION_SCHEMA.to_owned());
    schemas.sort();
    schemas.dedup();
    let mut rows = TextRows::new(&["schema"]);
    for schema in schemas.into_iter().filter(|schema| matches(schema, like)) {
        rows.push([Some(schema)]);
    }
    rows.answer()
}

/// Tables of a schema, of all schemas of a catalog, or of where the session stands.
async fn tables(session: &Session, place: &[String], like: Option<&str>) -> Result<Answer> {
    let resolver = session.resolver();
    let (catalog, schema): (&Catalog, Option<&str>) = match place {
        [catalog, schema] => (resolver.catalog(Some(catalog))?, Some(schema)),
        // One name is a schema of the current catalog if it has it, else a catalog.
        [name] => match resolver.current_catalog.as_deref() {
            Some(current) => {
                let catalog = resolver.catalog(Some(current))?;
                match (resolver.schema(catalog, name).await, resolver.catalogs.find(name)) {
                    (Ok(_), _) => (catalog, Some(name)),
                    (Err(_), Some(other)) => (other, None),
                    (Err(error), None) => return Err(error),
                }
            }
            None => (resolver.catalog(Some(name))?, None),
        },
        _ => (resolver.catalog(None)?, resolver.current_schema.as_deref()),
    };
    let connector = catalog.connector()?;
    let schemas = match schema {
        Some(schema) => vec![resolver.schema(catalog, schema).await?],
        None => connector.list_schemas().await?,
    };
    let mut rows = TextRows::new(&["schema", "table", "type"]);
    for schema in schemas {
        for entry in connector.list_tables(&schema).await? {
            if matches(&entry.name, like) {
                let kind = match entry.kind {
                    TableKind::Table => "table",
                    TableKind::View => "view",
                };
                rows.push([Some(schema.clone()), Some(entry.name), Some(kind.to_owned())]);
            }
        }
    }
    rows.answer()
}

async fn columns(session: &Session, table: &TableReference, like: Option<&str>) -> Result<Answer> {
    let mut rows = TextRows::new(&["column", "type"]);
    let mut push = |name: &str, kind: String| {
        if matches(name, like) {
            rows.push([Some(name.to_owned()), Some(kind)]);
        }
    };
    match session.resolver().resolve(table).await? {
        Resolved::Source(table) => {
            for column in visible(table.as_ref()) {
                push(column.name(), type_name(column.field.data_type()));
            }
        }
        Resolved::Own(provider) => {
            for field in provider.schema().fields() {
                push(field.name(), type_name(field.data_type()));
            }
        }
    }
    rows.answer()
}

fn visible(table: &dyn ConnectorTable) -> impl Iterator<Item = &Column> {
    table.columns().iter().filter(|column| column.hidden.is_none())
}

/// The source's own definition where it has one, else the columns as a CREATE TABLE would declare them.
async fn create_table(session: &Session, name: &TableReference) -> Result<Answer> {
    let Resolved::Source(table) = session.resolver().resolve(name).await? else {
        return Err(Error::user(format!("{name} is made by the engine and has no definition")));
    };
    let text = table.definition().unwrap_or_else(|| {
        let columns: Vec<String> = visible(table.as_ref())
            .map(|column| {
                let not_null = if column.field.is_nullable() { "" } else { " NOT NULL" };
                format!(
                    "  \"{}\" {}{not_null}",
                    column.name().replace('"', "\"\""),
                    type_name(column.field.data_type())
                )
            })
            .collect();
        let kind = match table.kind() {
            TableKind::Table => "TABLE",
            TableKind::View => "VIEW",
        };
        format!("CREATE {kind} {} (\n{}\n)", table.name(), columns.join(",\n"))
    });
    let mut rows = TextRows::new(&["definition"]);
    rows.push([Some(text)]);
    rows.answer()
}

fn capabilities(session: &Session, catalog: Option<&str>, like: Option<&str>) -> Result<Answer> {
    let resolver = session.resolver();
    let catalog = resolver.catalog(catalog)?;
    let mut rows = TextRows::new(&["operation", "operands", "verdict", "condition", "reason"]);
    for rule in catalog.connector()?.capabilities().rules() {
        let operands = rule.domain.map(|domain| domain.to_string());
        if like.is_some() && !matches(operands.as_deref().unwrap_or_default(), like) {
            continue;
        }
        rows.push([
            Some(rule.operation.to_string()),
            operands,
            Some(rule.verdict.label().to_owned()),
            rule.condition.map(str::to_owned),
            rule.verdict.reason().map(ToString::to_string),
        ]);
    }
    rows.answer()
}

fn functions(session: &Session, like: Option<&str>) -> Result<Answer> {
    let state = session.engine().base_state();
    let mut names: Vec<(String, &str)> = Vec::new();
    names.extend(state.scalar_functions().keys().map(|name| (name.clone(), "scalar")));
    names.extend(state.aggregate_functions().keys().map(|name| (name.clone(), "aggregate")));
    names.extend(state.window_functions().keys().map(|name| (name.clone(), "window")));
    names.extend(state.table_functions().keys().map(|name| (name.clone(), "table")));
    names.sort();
    let mut rows = TextRows::new(&["function", "kind"]);
    for (name, kind) in names.into_iter().filter(|(name, _)| matches(name, like)) {
        rows.push([Some(name), Some(kind.to_owned())]);
    }
    rows.answer()
}

fn settings(session: &Session, like: Option<&str>) -> Result<Answer> {
    let settings = session.settings();
    let mut rows = TextRows::new(&["setting", "value", "default", "meaning"]);
    for spec in setting_specs().iter().filter(|spec| matches(spec.name, like)) {
        rows.push([
            Some(spec.name.to_owned()),
            Some(settings.get(spec.name)?.to_owned()),
            Some(spec.default.unwrap_or_default().to_owned()),
            Some(format!("{}; {}", spec.help, spec.kind.describe())),
        ]);
    }
    rows.answer()
}

/// Whether a name matches a LIKE pattern: `%` for any text, `_` for one character, `\` before either for itself.
pub(crate) fn matches(name: &str, like: Option<&str>) -> bool {
    fn go(name: &[char], pattern: &[char]) -> bool {
        match (pattern, name) {
            ([], name) => name.is_empty(),
            (['%', rest @ ..], name) => (0..=name.len()).any(|skip| go(name.get(skip..).unwrap_or_default(), rest)),
            (['\\', literal, rest @ ..], [first, name @ ..]) => literal == first && go(name, rest),
            (['_', rest @ ..], [_, name @ ..]) => go(name, rest),
            ([literal, rest @ ..], [first, name @ ..]) => literal == first && go(name, rest),
            (_, []) => false,
        }
    }
    let Some(pattern) = like else { return true };
    go(&name.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_patterns() {
        assert!(matches("orders", None));
        assert!(matches("orders", Some("ord%")));
        assert!(matches("orders", Some("_rders")));
        assert!(!matches("orders", Some("order")));
        assert!(matches("a_b", Some("a\\_b")));
        assert!(!matches("axb", Some("a\\_b")));
    }
}
