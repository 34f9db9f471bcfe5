//! The column of a function in FROM is called as its alias: `SELECT g FROM generate_series(1, 3) g` (PostgreSQL's manual, 7.2.1.4).
//! DataFusion calls it `value`, and so it is where the statement names such a column.

use datafusion::sql::sqlparser::ast::{Expr, Ident, Statement, TableAlias, TableAliasColumnDef, TableFactor};

use crate::syntax::{self, Flow, ON, Reader, Rewriter};

/// How DataFusion calls the column.
const VALUE: &str = "value";

/// Names the columns of such functions that have an alias without columns.
pub(super) fn name_columns(statement: &mut Statement) {
    let mut found = Found::default();
    syntax::read(statement, &mut found);
    if found.function {
        syntax::rewrite(statement, &mut Names { series: !found.value });
    }
}

#[derive(Default)]
struct Found {
    function: bool,
    value: bool,
}

impl Reader for Found {
    fn table_factor(&mut self, factor: &TableFactor) -> Flow {
        self.function |= is_series(factor) || matches!(factor, TableFactor::UNNEST { .. });
        ON
    }

    fn expr(&mut self, expr: &Expr) -> Flow {
        let last = match expr {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(idents) => idents.last(),
            _ => None,
        };
        self.value |= last.is_some_and(|ident| ident.value.eq_ignore_ascii_case(VALUE));
        ON
    }
}

fn is_series(factor: &TableFactor) -> bool {
    let TableFactor::Table { name, args: Some(_), .. } = factor else { return false };
    matches!(name.to_string().to_lowercase().as_str(), "generate_series" | "range")
}

struct Names {
    series: bool,
}

impl Rewriter for Names {
    fn table_factor(&mut self, factor: &mut TableFactor) {
        let is_named = self.series && is_series(factor);
        match factor {
            TableFactor::Table { alias: Some(alias), .. } if is_named => name_column(alias),
            TableFactor::UNNEST {
                alias: Some(alias), array_exprs, with_offset: false, with_ordinality: false, ..
            } if array_exprs.len() == 1 => {
                name_column(alias);
            }
            _ => {}
        }
    }
}

fn name_column(alias: &mut TableAlias) {
    if alias.columns.is_empty() {
        let name: Ident = alias.name.clone();
        alias.columns.push(TableAliasColumnDef { name, data_type: None });
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn a_column_is_called_as_the_alias() {
        for (sql, expected) in [
            ("SELECT g FROM generate_series(1, 3) AS g", "SELECT g FROM generate_series(1, 3) AS g (g)"),
            ("SELECT g.value FROM generate_series(1, 3) AS g", "SELECT g.value FROM generate_series(1, 3) AS g"),
            ("SELECT x FROM generate_series(1, 3) AS g (x)", "SELECT x FROM generate_series(1, 3) AS g (x)"),
            ("SELECT value FROM generate_series(1, 3)", "SELECT value FROM generate_series(1, 3)"),
            ("SELECT u FROM UNNEST(ARRAY[1, 2]) AS u", "SELECT u FROM UNNEST(ARRAY[1, 2]) AS u (u)"),
        ] {
            let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
            name_columns(&mut statement);
            assert_eq!(statement.to_string(), expected);
        }
    }
}
