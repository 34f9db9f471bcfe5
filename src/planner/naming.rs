//! Names for the columns that a statement leaves without one: the expression as it was written, as in DuckDB. DataFusion
//! would name them after its own form of the expression, `count(Int64(1))` for `count(*)`.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    Distinct, ExcludeSelectItem, Expr, Ident, OrderBy, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement, TableFactor, TableWithJoins, WildcardAdditionalOptions,
};

use super::hidden::normalized;
use super::session_values::is_session_value;
use crate::syntax::{self, Rewriter};

/// Names every unnamed column of every SELECT. What is selected twice, or named as another, gets a number the second time,
/// since the columns of a relation have different names. To be called before literals and names in the statement are changed.
pub(super) fn name_columns(statement: &mut Statement) {
    struct Selects;
    impl Rewriter for Selects {
        fn query(&mut self, query: &mut Query) {
            if let SetExpr::Select(select) = query.body.as_mut() {
                name(select);
                if let (Some(Distinct::Distinct), Some(order)) = (&select.distinct, &mut query.order_by) {
                    order_by_name(&select.projection, order);
                }
            }
        }
        fn select(&mut self, select: &mut Select) {
            name(select);
        }
    }
    syntax::rewrite(statement, &mut Selects);
}

/// Replaces what SELECT DISTINCT is ordered by with the name of the item that computes the same: DataFusion looks for
/// it among the columns only.
fn order_by_name(items: &[SelectItem], order: &mut OrderBy) {
    let OrderByKind::Expressions(keys) = &mut order.kind else { return };
    for key in keys {
        let text = written(&key.expr);
        let same = items.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if !is_column(&key.expr) && written(expr) == text => Some(alias),
            _ => None,
        });
        if let Some(alias) = same {
            key.expr = Expr::Identifier(alias.clone());
        }
    }
}

fn name(select: &mut Select) {
    let mut seen: Vec<Vec<String>> = Vec::new();
    // Names that the statement gives are not taken by ours.
    let mut taken: HashSet<String> = select.projection.iter().filter_map(given_name).collect();
    let mut given: HashSet<String> = HashSet::new();
    for item in &mut select.projection {
        if let SelectItem::ExprWithAlias { alias, .. } = item
            && !given.insert(normalized(alias))
        {
            *alias = Ident::with_quote('"', unique(normalized(alias), false, &taken));
            taken.insert(alias.value.clone());
        }
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let parts = identity(expr);
        let first = !seen.iter().any(|other| other.ends_with(&parts) || parts.ends_with(other));
        seen.push(parts);
        if first && is_column(expr) {
            continue;
        }
        let text = last_part(expr).unwrap_or_else(|| written(expr));
        let alias = unique(text, first, &taken);
        taken.insert(alias.clone());
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', alias) };
    }
}

/// Gives a number to what `*` selects already: `SELECT *, a` is `SELECT *, a AS a_1`. To be called once `*` leaves out hidden columns.
pub(super) fn tell_from_wildcards(statement: &mut Statement) {
    struct Selects;
    impl Rewriter for Selects {
        fn query(&mut self, query: &mut Query) {
            if let SetExpr::Select(select) = query.body.as_mut() {
                number_repeated(select);
            }
        }
        fn select(&mut self, select: &mut Select) {
            number_repeated(select);
        }
    }
    syntax::rewrite(statement, &mut Selects);
}

fn number_repeated(select: &mut Select) {
    let mut left_out: Option<HashSet<String>> = None;
    let mut qualified: Vec<(String, HashSet<String>)> = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::Wildcard(options) => left_out = Some(names_left_out(options)),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                qualified.push((name.to_string(), names_left_out(options)));
            }
            _ => {}
        }
    }
    if left_out.is_none() && qualified.is_empty() {
        return;
    }
    let here: HashSet<String> = select.from.iter().flat_map(names_of_tables).collect();
    let mut taken: HashSet<String> = select.projection.iter().filter_map(given_name).collect();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if !is_column(expr) {
            continue;
        }
        let Some(name) = last_part(expr) else { continue };
        let table = match bare(expr) {
            Expr::CompoundIdentifier(idents) => match idents.as_slice() {
                [table, _] => Some(table),
                _ => continue,
            },
            _ => None,
        };
        let of_all = left_out.as_ref().is_some_and(|left_out| !left_out.contains(&name))
            && table.is_none_or(|table| here.contains(&normalized(table)));
        let of_table = table.is_some_and(|table| {
            qualified.iter().any(|(star, left_out)| *star == table.to_string() && !left_out.contains(&name))
        });
        if of_all || of_table {
            let alias = unique(name, false, &taken);
            taken.insert(alias.clone());
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', alias) };
        }
    }
}

/// The names of columns that a wildcard does not give as they are.
fn names_left_out(options: &WildcardAdditionalOptions) -> HashSet<String> {
    let except = options.opt_except.iter();
    let except = except.flat_map(|except| std::iter::once(&except.first_element).chain(&except.additional_elements));
    let exclude = options.opt_exclude.iter().flat_map(|exclude| match exclude {
        ExcludeSelectItem::Single(name) => std::slice::from_ref(name),
        ExcludeSelectItem::Multiple(names) => names,
    });
    let exclude = exclude.filter_map(|name| name.0.last()?.as_ident());
    except.chain(exclude).map(normalized).collect()
}

/// By which names columns of a part of FROM may be called.
fn names_of_tables(table: &TableWithJoins) -> Vec<String> {
    let factors = std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation));
    let mut names = Vec::new();
    for factor in factors {
        let (alias, name) = match factor {
            TableFactor::Table { alias, name, .. } => (alias, name.0.last().and_then(|part| part.as_ident())),
            TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } => (alias, None),
            TableFactor::NestedJoin { table_with_joins, .. } => {
                names.extend(names_of_tables(table_with_joins));
                continue;
            }
            _ => continue,
        };
        names.extend(alias.as_ref().map(|alias| &alias.name).or(name).map(normalized));
    }
    names
}

/// The name of an item that has one.
fn given_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(normalized(alias)),
        SelectItem::UnnamedExpr(expr) => last_part(expr),
        _ => None,
    }
}

fn is_column(expr: &Expr) -> bool {
    let expr = bare(expr);
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. })
        && !is_session_value(expr)
}

fn last_part(expr: &Expr) -> Option<String> {
    match bare(expr) {
        Expr::Identifier(ident) => Some(normalized(ident)),
        Expr::CompoundIdentifier(idents) => idents.last().map(normalized),
        _ => None,
    }
}

/// What DataFusion tells two items apart by. A column may be named with its table or without.
fn identity(expr: &Expr) -> Vec<String> {
    match bare(expr) {
        Expr::Identifier(ident) => vec![normalized(ident)],
        Expr::CompoundIdentifier(idents) => idents.iter().map(normalized).collect(),
        other => vec![written(other)],
    }
}

/// The expression's text, without parentheses around all of it.
fn written(expr: &Expr) -> String {
    bare(expr).to_string()
}

fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

fn unique(text: String, first: bool, taken: &HashSet<String>) -> String {
    if first && !taken.contains(&text) {
        return text;
    }
    // As many candidates as there are names, and one more, so that one is free.
    let mut candidates = (1..=taken.len() + 1).map(|number| format!("{text}_{number}"));
    candidates.find(|candidate| !taken.contains(candidate)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    #[test]
    fn unnamed_columns_are_named_as_they_are_written() {
        for (sql, expected) in [
            ("SELECT 1", r#"SELECT 1 AS "1""#),
            ("SELECT count(*), t.a, b AS c", r#"SELECT count(*) AS "count(*)", t.a, b AS c"#),
            ("SELECT (a + 1), ((B))", r#"SELECT (a + 1) AS "a + 1", ((B))"#),
            ("SELECT a, (A)", r#"SELECT a, (A) AS "a_1""#),
            ("SELECT 1, 1, 1", r#"SELECT 1 AS "1", 1 AS "1_1", 1 AS "1_2""#),
            ("SELECT a, A, t.b, t.b", r#"SELECT a, A AS "a_1", t.b, t.b AS "b_1""#),
            ("SELECT t.a, a, u.a", r#"SELECT t.a, a AS "a_1", u.a AS "a_2""#),
            ("SELECT t.a, u.a", "SELECT t.a, u.a"),
            ("SELECT 1 AS a, 2 AS A, a", r#"SELECT 1 AS a, 2 AS "a_1", a"#),
            ("SELECT 2 AS \"1\", 1", r#"SELECT 2 AS "1", 1 AS "1_1""#),
            ("SELECT * FROM (SELECT lower(x) FROM t)", r#"SELECT * FROM (SELECT lower(x) AS "lower(x)" FROM t)"#),
            (
                "SELECT DISTINCT a + 1, b * 2 AS c FROM t ORDER BY (a + 1) DESC, b * 2, c",
                r#"SELECT DISTINCT a + 1 AS "a + 1", b * 2 AS c FROM t ORDER BY "a + 1" DESC, c, c"#,
            ),
            ("SELECT $1, *, t.*", r#"SELECT $1 AS "$1", *, t.*"#),
        ] {
            let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
            name_columns(&mut statement);
            assert_eq!(statement.to_string(), expected);
        }
    }

    #[test]
    fn what_a_star_selects_already_gets_a_number() {
        for (sql, expected) in [
            ("SELECT *, a FROM t", r#"SELECT *, a AS "a_1" FROM t"#),
            ("SELECT a, *, t.a, o.a FROM t", r#"SELECT a AS "a_1", *, t.a AS "a_2", o.a FROM t"#),
            ("SELECT * EXCEPT (a), a, b FROM t", r#"SELECT * EXCEPT (a), a, b AS "b_1" FROM t"#),
            ("SELECT t.*, t.a, u.a, b FROM t, u", r#"SELECT t.*, t.a AS "a_1", u.a, b FROM t, u"#),
            ("SELECT *, a + 1 AS b FROM t", "SELECT *, a + 1 AS b FROM t"),
        ] {
            let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
            tell_from_wildcards(&mut statement);
            assert_eq!(statement.to_string(), expected);
        }
    }
}
