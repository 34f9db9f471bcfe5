//! Queries in a source's own language: `pg.system.query('SELECT ...')`, as a table stands in FROM or inside `TABLE(...)`.
//!
//! A call becomes a table of a name that nothing else has, before anybody looks at the statement's tables.

use datafusion::common::TableReference;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Statement, TableFactor, Value,
};

use super::hidden::normalized;
use super::plan::reference_of;
use crate::error::{Error, Position, Result};
use crate::syntax::{self, Rewriter};

/// The schema in which the function is found, in every catalog.
const SCHEMA: &str = "system";
/// The function's name, and that of its argument.
const FUNCTION: &str = "query";

/// A query that a statement passes through.
#[derive(Clone, Debug)]
pub(super) struct NativeQuery {
    /// The catalog that it is for.
    pub(super) catalog: String,
    /// What the source is to read.
    pub(super) text: String,
    /// What the statement calls the result now.
    pub(super) reference: TableReference,
    /// Where it stands.
    pub(super) position: Option<Position>,
}

/// Takes the calls out of a statement.
pub(super) fn take(statement: &mut Statement) -> Result<Vec<NativeQuery>> {
    let mut calls = Calls { found: Vec::new(), error: None };
    syntax::rewrite(statement, &mut calls);
    match calls.error {
        Some(error) => Err(error),
        None => Ok(calls.found),
    }
}

struct Calls {
    found: Vec<NativeQuery>,
    error: Option<Error>,
}

impl Rewriter for Calls {
    fn table_factor(&mut self, factor: &mut TableFactor) {
        let call = match factor {
            TableFactor::Table { name, args: Some(args), .. } => Some((name.clone(), args.args.clone())),
            TableFactor::TableFunction { expr: Expr::Function(function), .. } => match &function.args {
                FunctionArguments::List(list) => Some((function.name.clone(), list.args.clone())),
                _ => None,
            },
            _ => None,
        };
        let Some((name, args)) = call else { return };
        let Some(catalog) = catalog_of(&name) else { return };
        let position = position_of(&name);
        let Some(text) = only_text(&args) else {
            let error = Error::user(format!("{catalog}.{SCHEMA}.{FUNCTION} takes one text, written out"))
                .hint(format!("FROM {catalog}.{SCHEMA}.{FUNCTION}('SELECT ...')"));
            self.error.get_or_insert(error.at(position));
            return;
        };
        let table = format!("{FUNCTION} {}", self.found.len() + 1);
        let parts = [catalog.as_str(), SCHEMA, &table].map(|part| Ident::with_quote('"', part));
        let name = ObjectName::from(parts.to_vec());
        self.found.push(NativeQuery { catalog, text, reference: reference_of(&name), position });
        named(factor, name);
    }
}

/// The table factor as a table of this name, under the alias that it has.
fn named(factor: &mut TableFactor, of: ObjectName) {
    match factor {
        TableFactor::Table { name, args, .. } => {
            *name = of;
            *args = None;
        }
        TableFactor::TableFunction { alias, .. } => {
            *factor = TableFactor::Table {
                name: of,
                alias: alias.take(),
                args: None,
                with_hints: Vec::new(),
                version: None,
                with_ordinality: false,
                partitions: Vec::new(),
                json_path: None,
                sample: None,
                index_hints: Vec::new(),
            };
        }
        _ => {}
    }
}

/// The catalog of `catalog.system.query`.
fn catalog_of(name: &ObjectName) -> Option<String> {
    let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(normalized)).collect();
    match <[String; 3]>::try_from(parts?) {
        Ok([catalog, schema, function]) if schema == SCHEMA && function == FUNCTION => Some(catalog),
        _ => None,
    }
}

fn position_of(name: &ObjectName) -> Option<Position> {
    let start = name.0.first()?.as_ident()?.span.start;
    (start.line > 0).then_some(Position { line: start.line, column: start.column })
}

/// The only argument, by its name or without it.
fn only_text(args: &[FunctionArg]) -> Option<String> {
    let value = match args {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] => value,
        [FunctionArg::Named { name, arg: FunctionArgExpr::Expr(Expr::Value(value)), .. }]
            if normalized(name) == FUNCTION =>
        {
            value
        }
        _ => return None,
    };
    match &value.value {
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text.clone()),
        Value::DollarQuotedString(text) => Some(text.value.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn taken(sql: &str) -> (Result<Vec<NativeQuery>>, String) {
        let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
        (take(&mut statement), statement.to_string())
    }

    #[test]
    fn calls_become_tables() {
        for sql in [
            "SELECT * FROM pg.system.query('SELECT ''a''') AS q",
            "SELECT * FROM PG.System.Query('SELECT ''a''') AS q",
            "SELECT * FROM TABLE(pg.system.query('SELECT ''a''')) AS q",
            "SELECT * FROM TABLE(pg.system.query(query => 'SELECT ''a''')) AS q",
        ] {
            let (found, rest) = taken(sql);
            let found = found.unwrap();
            assert_eq!((found[0].catalog.as_str(), found[0].text.as_str()), ("pg", "SELECT 'a'"), "{sql}");
            assert_eq!(found[0].position.map(|position| position.line), Some(1), "{sql}");
            assert_eq!(rest, r#"SELECT * FROM "pg"."system"."query 1" AS q"#, "{sql}");
        }
        let (found, rest) = taken(
            "SELECT * FROM a.system.query('x') AS l, b.system.query('y') AS r WHERE EXISTS (SELECT 1 FROM a.system.query('x'))",
        );
        assert_eq!(found.unwrap().len(), 3);
        assert!(rest.contains(r#""query 3""#), "{rest}");
    }

    #[test]
    fn other_functions_stay() {
        for sql in
            ["SELECT * FROM generate_series(1, 2)", "SELECT * FROM system.query", "SELECT * FROM pg.system.query AS q"]
        {
            let (found, rest) = taken(sql);
            assert!(found.unwrap().is_empty() && rest == sql, "{rest}");
        }
    }

    #[test]
    fn the_argument_is_a_text_that_is_written_out() {
        for args in ["", "1", "'a', 'b'", "'a' || 'b'", "text => 'a'", "?"] {
            let (found, _) = taken(&format!("SELECT * FROM pg.system.query({args})"));
            assert!(found.unwrap_err().to_string().contains("one text"), "{args}");
        }
    }
}
