//! Functions that tell of the session: `current_catalog`, `current_schema`, `current_user`, `version`. Their values are
//! known before the query is planned, and take their place in it.

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArguments, ObjectNamePart, Statement, Value,
};

use crate::syntax::{self, Rewriter};

/// What the functions tell.
#[derive(Clone, Debug, Default)]
pub struct SessionValues {
    /// The session's catalog.
    pub catalog: Option<String>,
    /// The session's schema.
    pub schema: Option<String>,
    /// Whose session it is.
    pub user: String,
}

/// A function that tells of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Catalog,
    Schema,
    User,
    Version,
}

impl Told {
    fn of(expr: &Expr) -> Option<Self> {
        match expr {
            // The standard writes them without parentheses.
            Expr::Identifier(ident) if ident.quote_style.is_none() => match ident.value.to_lowercase().as_str() {
                "current_catalog" => Some(Self::Catalog),
                "current_schema" => Some(Self::Schema),
                "current_user" | "session_user" => Some(Self::User),
                _ => None,
            },
            Expr::Function(Function { name, args, over: None, filter: None, .. }) => {
                let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
                let called = match args {
                    FunctionArguments::None => false,
                    FunctionArguments::List(list) if list.args.is_empty() && list.clauses.is_empty() => true,
                    _ => return None,
                };
                match (ident.value.to_lowercase().as_str(), called) {
                    ("current_catalog" | "current_database", _) => Some(Self::Catalog),
                    ("current_schema", _) => Some(Self::Schema),
                    ("current_user" | "session_user", _) | ("user", false) => Some(Self::User),
                    ("version", true) => Some(Self::Version),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Whether an expression that looks like a column is one of these functions.
pub(super) fn is_session_value(expr: &Expr) -> bool {
    Told::of(expr).is_some()
}

/// Puts the values in the places of the functions.
pub(super) fn fill_in(statement: &mut Statement, values: &SessionValues) {
    struct FillIn<'a>(&'a SessionValues);
    impl Rewriter for FillIn<'_> {
        fn expr(&mut self, expr: &mut Expr) {
            let Some(told) = Told::of(expr) else { return };
            let value = match told {
                Told::Catalog => self.0.catalog.clone(),
                Told::Schema => self.0.schema.clone(),
                Told::User => Some(self.0.user.clone()),
                Told::Version => Some(format!("Portolan {}", env!("CARGO_PKG_VERSION"))),
            };
            *expr = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(Expr::value(value.map_or(Value::Null, Value::SingleQuotedString))),
                data_type: DataType::Varchar(None),
                array: false,
                format: None,
            };
        }
    }
    syntax::rewrite(statement, &mut FillIn(values));
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    #[test]
    fn the_functions_become_their_values() {
        let values = SessionValues { catalog: Some("pg".to_owned()), schema: None, user: "o'neil".to_owned() };
        for (sql, expected) in [
            ("SELECT current_catalog", "SELECT CAST('pg' AS VARCHAR)"),
            ("SELECT current_database() AS d", "SELECT CAST('pg' AS VARCHAR) AS d"),
            ("SELECT current_schema, current_schema()", "SELECT CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR)"),
            ("SELECT 1 WHERE current_user = 'x'", "SELECT 1 WHERE CAST('o''neil' AS VARCHAR) = 'x'"),
            ("SELECT \"current_user\", version, user_name", "SELECT \"current_user\", version, user_name"),
        ] {
            let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
            fill_in(&mut statement, &values);
            assert_eq!(statement.to_string(), expected);
        }
    }
}
