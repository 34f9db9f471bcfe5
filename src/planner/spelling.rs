//! Columns found as a person typed them: `custkey` finds `"CustKey"` where that is the only one it can mean.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, SelectItem, Statement, TableAlias, Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::ast::{Query, Select, TableFactor};

use super::hidden::normalized;

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
    let _ = statement.visit(&mut Respell { meant, defined });
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

impl VisitorMut for Respell {
    type Break = ();
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.respell(ident),
            Expr::CompoundIdentifier(idents) => {
                if let Some(last) = idents.last_mut() {
                    self.respell(last);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
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
    impl Visitor for Aliases {
        type Break = ();
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            for item in &select.projection {
                if let SelectItem::ExprWithAlias { alias, .. } = item {
                    self.0.insert(normalized(alias));
                }
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
                self.table(Some(&cte.alias));
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } = factor {
                self.table(alias.as_ref());
            }
            ControlFlow::Continue(())
        }
    }
    let mut aliases = Aliases(HashSet::new());
    let _ = statement.visit(&mut aliases);
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
