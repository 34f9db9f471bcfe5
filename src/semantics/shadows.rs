//! A query of WITH within another that has one of the same name: the inner one is meant there (SQL:2016, 7.17). DataFusion refuses
//! the name, so the inner one gets another.

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Query, Statement, TableAlias, TableFactor, With,
};

use crate::syntax::{self, Flow, ON, Reader, Rewriter, STOP};

/// Gives such queries names of their own.
pub(super) fn tell_apart(statement: &mut Statement) {
    // Most statements have no WITH, and most others have one.
    let mut count = Count::default();
    syntax::read(statement, &mut count);
    if count.withs > 1 {
        syntax::rewrite(statement, &mut Shadows::default());
    }
}

#[derive(Default)]
struct Count {
    withs: usize,
}

impl Reader for Count {
    fn query(&mut self, query: &Query) -> Flow {
        self.withs += usize::from(query.with.is_some());
        ON
    }
}

fn normalized(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The names of the queries around, from the outermost on.
#[derive(Default)]
struct Shadows {
    around: Vec<Vec<String>>,
    given: usize,
}

impl Rewriter for Shadows {
    fn query(&mut self, query: &mut Query) {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        let names: Vec<String> = ctes.map(|cte| normalized(&cte.alias.name)).collect();
        for (place, name) in names.iter().enumerate() {
            if self.around.iter().any(|names| names.contains(name)) {
                self.given += 1;
                rename(query, place, name, &format!("{name} {}", self.given + 1));
            }
        }
        self.around.push(names);
    }

    fn after_query(&mut self, _query: &mut Query) {
        self.around.pop();
    }
}

/// Renames a query of WITH, and what refers to it: those after it, and the query that they belong to. Where that has a further one of this name
/// nothing is changed, and DataFusion refuses the name.
fn rename(query: &mut Query, place: usize, name: &str, to: &str) {
    let mut declared = Declared { name, times: 0 };
    syntax::read(query, &mut declared);
    if declared.times > 1 {
        return;
    }
    let Some(With { recursive, cte_tables, .. }) = query.with.as_mut() else { return };
    let from = if *recursive { place } else { place + 1 };
    let mut renamed = References { name, to };
    for cte in cte_tables.iter_mut().skip(from) {
        syntax::rewrite(&mut cte.query, &mut renamed);
    }
    if let Some(cte) = cte_tables.get_mut(place) {
        cte.alias.name = Ident::with_quote('"', to);
    }
    syntax::rewrite(&mut query.body, &mut renamed);
    syntax::rewrite(&mut query.order_by, &mut renamed);
}

/// How often a query of WITH has a name.
struct Declared<'a> {
    name: &'a str,
    times: usize,
}

impl Reader for Declared<'_> {
    fn query(&mut self, query: &Query) -> Flow {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.times += ctes.filter(|cte| normalized(&cte.alias.name) == self.name).count();
        if self.times > 1 { STOP } else { ON }
    }
}

/// Tables of a name get another; what they are called in their query stays.
struct References<'a> {
    name: &'a str,
    to: &'a str,
}

impl Rewriter for References<'_> {
    fn table_factor(&mut self, factor: &mut TableFactor) {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return };
        let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return };
        if normalized(ident) != self.name {
            return;
        }
        let called = ident.clone();
        *name = ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('"', self.to))]);
        if alias.is_none() {
            *alias = Some(TableAlias { explicit: true, name: called, columns: Vec::new(), at: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn the_inner_one_gets_a_name_of_its_own() {
        for (sql, expected) in [
            (
                "WITH a AS (SELECT 1) SELECT * FROM (WITH A AS (SELECT * FROM a) SELECT * FROM a) AS q, a",
                r#"WITH a AS (SELECT 1) SELECT * FROM (WITH "a 2" AS (SELECT * FROM a) SELECT * FROM "a 2" AS a) AS q, a"#,
            ),
            (
                "SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) AS p, (WITH a AS (SELECT 2) SELECT * FROM a) AS q",
                "SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) AS p, (WITH a AS (SELECT 2) SELECT * FROM a) AS q",
            ),
        ] {
            let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
            tell_apart(&mut statement);
            assert_eq!(statement.to_string(), expected);
        }
    }
}
