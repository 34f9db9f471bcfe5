//! Columns found as a person typed them: `custkey` finds `"CustKey"` where that is the only one it can mean.

use std::collections::{BTreeSet, HashMap, HashSet};

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, Select, SelectItem, Statement, TableAlias, TableFactor};

use super::hidden::normalized;
use crate::syntax::{self, Flow, ON, Reader, Rewriter};

/// Quotes each unquoted column name that no table has in lower case and exactly one has in another case.
pub(super) fn find_columns<'a>(statement: &mut Statement, columns: impl IntoIterator<Item = &'a str>) {
    let mut exact: HashSet<&str> = HashSet::new();
    let mut folded: HashMap<String, BTreeSet<&str>> = HashMap::new();
    for column in columns {
        exact.insert(column);
        folded.entry(column.to_lowercase()).or_default().insert(column);
    }
    let meant: HashMap<String, String> = folded
        .into_iter()
        .filter(|(lower, _)| !exact.contains(lower.as_str()))
        .filter_map(|(lower, names)| match (names.len(), names.first()) {
            (1, Some(only)) => Some((lower, (*only).to_owned())),
            _ => None,
        })
        .collect();
    if meant.is_empty() {
        return;
    }
    let defined = names_defined_by(statement);
    syntax::rewrite(statement, &mut Respell { meant, defined });
}

struct Respell {
    meant: HashMap<String, String>,
    /// Names that the statement itself gives to columns; those it means itself.
    defined: HashSet<String>,
}

impl Respell {
    fn respell(&self, ident: &mut Ident) {
        if ident.quote_style.is_some() {
            return;
        }
        let lower = ident.value.to_lowercase();
        if let Some(name) = self.meant.get(&lower)
            && !self.defined.contains(&lower)
        {
            ident.value.clone_from(name);
            ident.quote_style = Some('"');
        }
    }
}

impl Rewriter for Respell {
    fn expr(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Identifier(ident) => self.respell(ident),
            Expr::CompoundIdentifier(idents) => {
                if let Some(last) = idents.last_mut() {
                    self.respell(last);
                }
            }
            _ => {}
        }
    }
}

fn names_defined_by(statement: &Statement) -> HashSet<String> {
    struct Aliases(HashSet<String>);
    impl Aliases {
        fn table(&mut self, alias: Option<&TableAlias>) {
            let columns = alias.into_iter().flat_map(|alias| &alias.columns);
            self.0.extend(columns.map(|column| normalized(&column.name)));
        }
    }
    impl Reader for Aliases {
        fn select(&mut self, select: &Select) -> Flow {
            for item in &select.projection {
                if let SelectItem::ExprWithAlias { alias, .. } = item {
                    self.0.insert(normalized(alias));
                }
            }
            ON
        }
        fn query(&mut self, query: &Query) -> Flow {
            for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
                self.table(Some(&cte.alias));
            }
            ON
        }
        fn table_factor(&mut self, factor: &TableFactor) -> Flow {
            if let TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } = factor {
                self.table(alias.as_ref());
            }
            ON
        }
    }
    let mut aliases = Aliases(HashSet::new());
    syntax::read(statement, &mut aliases);
    aliases.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn respelled(sql: &str, columns: &[&str]) -> String {
        let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
        find_columns(&mut statement, columns.iter().copied());
        statement.to_string()
    }

    #[test]
    fn a_name_is_respelled_only_where_it_can_mean_one_column() {
        assert_eq!(respelled("SELECT t.custkey FROM t", &["CustKey"]), "SELECT t.\"CustKey\" FROM t");
        assert_eq!(respelled("SELECT custkey FROM t", &["CustKey", "custkey"]), "SELECT custkey FROM t");
        assert_eq!(respelled("SELECT custkey FROM t", &["CustKey", "CUSTKEY"]), "SELECT custkey FROM t");
        assert_eq!(respelled("SELECT \"custkey\" FROM t", &["CustKey"]), "SELECT \"custkey\" FROM t");
        assert_eq!(
            respelled("SELECT a AS custkey FROM t ORDER BY custkey", &["CustKey", "a"]),
            "SELECT a AS custkey FROM t ORDER BY custkey"
        );
    }
}
