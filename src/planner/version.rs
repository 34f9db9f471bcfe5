//! Tables as they were, `FOR VERSION AS OF 'version'`, and as they become: `FOLLOW`.
//!
//! Such a table gets a name that nothing else has, before anybody looks at the statement's tables, so that one statement
//! can read several versions of one table.

use datafusion::common::TableReference;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Statement, TableAlias, TableFactor, TableVersion, Value,
};

use super::plan::reference_of;
use crate::error::Position;
use crate::syntax::{self, Rewriter};

/// What stands behind the name of a table that is followed.
pub(crate) const FOLLOW: &str = "FOLLOW";

/// Which of its versions a statement reads of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One that the source calls so.
    At(String),
    /// All rows that are added, from now or from a place that the source calls so.
    Following(Option<String>),
}

/// A version of a table that a statement reads.
#[derive(Clone, Debug)]
pub(super) struct VersionedTable {
    /// The table.
    pub(super) table: TableReference,
    /// Which version of it.
    pub(super) wanted: Wanted,
    /// What the statement calls it now.
    pub(super) reference: TableReference,
    /// Where it stands.
    pub(super) position: Option<Position>,
}

/// Takes the versions out of a statement.
pub(super) fn take(statement: &mut Statement) -> Vec<VersionedTable> {
    let mut versions = Versions { found: Vec::new() };
    syntax::rewrite(statement, &mut versions);
    versions.found
}

struct Versions {
    found: Vec<VersionedTable>,
}

impl Rewriter for Versions {
    fn table_factor(&mut self, factor: &mut TableFactor) {
        let TableFactor::Table { name, alias, version, args: None, .. } = factor else { return };
        // Other kinds of versions are refused with the rest of the syntax that nobody reads.
        let Some(wanted) = version.as_ref().and_then(wanted) else { return };
        let Some(last) = name.0.last().and_then(|part| part.as_ident()).cloned() else { return };
        let start = name.0.first().and_then(|part| part.as_ident()).map(|ident| ident.span.start);
        let position =
            start.filter(|start| start.line > 0).map(|start| Position { line: start.line, column: start.column });
        let table = reference_of(name);
        let mut parts: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
        parts.pop();
        parts.push(Ident::with_quote('"', format!("{} version {}", last.value, self.found.len() + 1)));
        let renamed = ObjectName::from(parts);
        self.found.push(VersionedTable { table, wanted, reference: reference_of(&renamed), position });
        // Columns are qualified by the name that was written.
        if alias.is_none() {
            *alias = Some(TableAlias { explicit: true, name: last, columns: Vec::new(), at: None });
        }
        (*name, *version) = (renamed, None);
    }
}

fn wanted(version: &TableVersion) -> Option<Wanted> {
    let text = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    match version {
        TableVersion::VersionAsOf(version) => text(version).map(Wanted::At),
        TableVersion::Function(Expr::Identifier(word)) if word.value == FOLLOW => Some(Wanted::Following(None)),
        TableVersion::Function(Expr::Prefixed { prefix, value }) if prefix.value == FOLLOW => {
            text(value).map(|place| Wanted::Following(Some(place)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::DatabricksDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn each_version_has_a_name_of_its_own() {
        let mut statement =
            Parser::parse_sql(&DatabricksDialect {}, "SELECT * FROM k.d.t JOIN t AS u ON true").unwrap().remove(0);
        struct Put;
        impl Rewriter for Put {
            fn table_factor(&mut self, factor: &mut TableFactor) {
                if let TableFactor::Table { version, .. } = factor {
                    *version = Some(TableVersion::VersionAsOf(Expr::value(Value::SingleQuotedString("x".into()))));
                }
            }
        }
        syntax::rewrite(&mut statement, &mut Put);
        let found = take(&mut statement);
        assert_eq!(statement.to_string(), "SELECT * FROM k.d.\"t version 1\" AS t JOIN \"t version 2\" AS u ON true");
        assert_eq!(found[0].table, TableReference::full("k", "d", "t"));
        assert_eq!(found[1].reference, TableReference::bare("t version 2"));
        assert_eq!(found[1].wanted, Wanted::At("x".to_owned()));
    }
}
