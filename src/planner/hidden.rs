//! Hidden columns: they exist for a query that names them, and `*` never returns them.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, Expr, Ident, JoinConstraint, JoinOperator, Select, SelectItem, SelectItemQualifiedWildcardKind,
    Statement, TableFactor, TableWithJoins, WildcardAdditionalOptions,
};

use crate::syntax::{self, Flow, ON, Reader, Rewriter};

/// The column names that a statement's expressions contain, as the engine reads them: unquoted ones in lower case.
pub(super) fn named_columns(statement: &Statement) -> HashSet<String> {
    struct Names(HashSet<String>);
    impl Reader for Names {
        fn expr(&mut self, expr: &Expr) -> Flow {
            match expr {
                Expr::Identifier(ident) => {
                    self.0.insert(normalized(ident));
                }
                Expr::CompoundIdentifier(idents) => self.0.extend(idents.last().map(normalized)),
                _ => {}
            }
            ON
        }
    }
    let mut names = Names(HashSet::new());
    syntax::read(statement, &mut names);
    names.0
}

/// An identifier as the engine reads it.
pub(crate) fn normalized(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// Makes each `*` leave out the hidden columns of the tables it covers. `hidden` tells which columns of a table, by
/// its name as written, the query exposes.
pub(super) fn keep_out_of_wildcards(statement: &mut Statement, hidden: &dyn Fn(&TableFactor) -> Vec<String>) {
    struct Wildcards<'a>(&'a dyn Fn(&TableFactor) -> Vec<String>);
    impl Rewriter for Wildcards<'_> {
        fn select(&mut self, select: &mut Select) {
            rewrite(select, self.0);
        }
    }
    syntax::rewrite(statement, &mut Wildcards(hidden));
}

/// A table of a FROM clause: how its columns are qualified, and which of them are hidden.
struct Source {
    qualifier: Option<Ident>,
    hidden: Vec<String>,
}

fn rewrite(select: &mut Select, hidden: &dyn Fn(&TableFactor) -> Vec<String>) {
    let sources: Vec<Source> = select
        .from
        .iter()
        .flat_map(relations)
        .map(|factor| Source { qualifier: qualifier(factor), hidden: hidden(factor) })
        .collect();
    if sources.iter().all(|source| source.hidden.is_empty()) {
        return;
    }
    let mut projection = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::Wildcard(options) => match expand(&sources, &options) {
                Some(items) if !merges_columns(&select.from) => projection.extend(items),
                _ => projection.push(SelectItem::Wildcard(without(options, all_hidden(&sources)))),
            },
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let last = name.0.last().and_then(|part| part.as_ident()).map(normalized);
                let columns = sources
                    .iter()
                    .filter(|source| source.qualifier.as_ref().map(normalized) == last)
                    .flat_map(|source| source.hidden.clone())
                    .collect();
                let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
                projection.push(SelectItem::QualifiedWildcard(kind, without(options, columns)));
            }
            other => projection.push(other),
        }
    }
    select.projection = projection;
}

/// Whether a join shows columns of both sides as one, which `t.*, u.*` would show twice.
fn merges_columns(from: &[TableWithJoins]) -> bool {
    from.iter().flat_map(|table| &table.joins).any(|join| {
        use JoinOperator::{FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
        match &join.join_operator {
            Join(constraint)
            | Inner(constraint)
            | Left(constraint)
            | LeftOuter(constraint)
            | Right(constraint)
            | RightOuter(constraint)
            | FullOuter(constraint) => {
                matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural)
            }
            _ => false,
        }
    })
}

pub(super) fn relations(from: &TableWithJoins) -> impl Iterator<Item = &TableFactor> {
    std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
}

/// What columns of a table are qualified with.
pub(super) fn qualifier(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { name, alias, .. } => match alias {
            Some(alias) => Some(alias.name.clone()),
            None => name.0.last().and_then(|part| part.as_ident()).cloned(),
        },
        TableFactor::Derived { alias, .. } | TableFactor::TableFunction { alias, .. } => {
            alias.as_ref().map(|alias| alias.name.clone())
        }
        _ => None,
    }
}

/// `*` over several tables as one `t.*` each, which may name the same hidden column; `None` when the plain star says
/// more than that.
fn expand(sources: &[Source], options: &WildcardAdditionalOptions) -> Option<Vec<SelectItem>> {
    if sources.len() < 2 || *options != WildcardAdditionalOptions::default() {
        return None;
    }
    sources
        .iter()
        .map(|source| {
            let name = vec![source.qualifier.clone()?].into();
            let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
            Some(SelectItem::QualifiedWildcard(kind, without(options.clone(), source.hidden.clone())))
        })
        .collect()
}

fn all_hidden(sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(|source| source.hidden.clone()).collect()
}

/// The options of a wildcard that also leaves out these columns.
pub(super) fn without(mut options: WildcardAdditionalOptions, columns: Vec<String>) -> WildcardAdditionalOptions {
    let mut idents: Vec<Ident> = Vec::new();
    if let Some(except) = options.opt_except.take() {
        idents.push(except.first_element);
        idents.extend(except.additional_elements);
    }
    for column in columns {
        if !idents.iter().any(|ident| normalized(ident) == column) {
            idents.push(Ident::with_quote('"', column));
        }
    }
    let mut idents = idents.into_iter();
    options.opt_except =
        idents.next().map(|first_element| ExceptSelectItem { first_element, additional_elements: idents.collect() });
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn rewritten(sql: &str) -> String {
        let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
        keep_out_of_wildcards(&mut statement, &|factor| match factor {
            TableFactor::Table { name, .. } if name.to_string() == "t" => vec!["$path".to_owned()],
            _ => Vec::new(),
        });
        statement.to_string()
    }

    #[test]
    fn a_star_leaves_hidden_columns_out() {
        for (sql, expected) in [
            ("SELECT * FROM u", "SELECT * FROM u"),
            ("SELECT *, \"$path\" FROM t", "SELECT * EXCEPT (\"$path\"), \"$path\" FROM t"),
            ("SELECT * FROM t AS a JOIN u ON true", "SELECT a.* EXCEPT (\"$path\"), u.* FROM t AS a JOIN u ON true"),
            ("SELECT a.* FROM t a", "SELECT a.* EXCEPT (\"$path\") FROM t a"),
            ("SELECT x FROM (SELECT * FROM t) q", "SELECT x FROM (SELECT * EXCEPT (\"$path\") FROM t) q"),
            ("SELECT * EXCEPT (b) FROM t", "SELECT * EXCEPT (b, \"$path\") FROM t"),
        ] {
            assert_eq!(rewritten(sql).replace(" AS a ", " a "), expected.replace(" AS a ", " a "), "{sql}");
        }
    }

    #[test]
    fn names_are_read_as_the_engine_reads_them() {
        let statement =
            Parser::parse_sql(&GenericDialect {}, "SELECT A, t.\"B\" FROM t WHERE \"$path\" = 'x'").unwrap();
        let mut names: Vec<String> = named_columns(&statement[0]).into_iter().collect();
        names.sort();
        assert_eq!(names, ["$path", "B", "a"]);
    }
}
