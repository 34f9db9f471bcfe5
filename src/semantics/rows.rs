//! `(a, b) IN (SELECT c, d ...)`, of which DataFusion knows the one with one column: in WHERE it is whether there is such a row.
//! Where NULL makes a comparison unknown instead of false, the row is not kept either; so the condition may stand below AND
//! and OR, and is left as it is below NOT and in other places.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Query, Select, TableFactor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::syntax::{self, Rewriter};

/// Writes such conditions of a SELECT in another way.
pub(super) fn respell_rows_in(select: &mut Select) {
    if let Some(condition) = &mut select.selection {
        respell(condition);
    }
}

fn respell(condition: &mut Expr) {
    match condition {
        Expr::Nested(inner) => respell(inner),
        // A chain of them is as deep as it is long; the parser has bounded it.
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            respell(left);
            respell(right);
        }
        Expr::InSubquery { expr, subquery, negated: false } => {
            if let Expr::Tuple(values) = expr.as_ref()
                && let Some(exists) = there_is(values, subquery)
            {
                *condition = exists;
            }
        }
        _ => {}
    }
}

/// Whether the subquery has a row of these values; `None` if that cannot be written.
fn there_is(values: &[Expr], subquery: &Query) -> Option<Expr> {
    let column = |at: usize| format!("\"row_in.{at}\"");
    let columns: Vec<String> = (0..values.len()).map(column).collect();
    let equal: Vec<String> = columns.iter().map(|column| format!("row_in.{column} = NULL")).collect();
    let sql =
        format!("EXISTS (SELECT 1 FROM (SELECT 1) AS row_in ({}) WHERE {})", columns.join(", "), equal.join(" AND "));
    let mut exists = Parser::new(&GenericDialect {}).try_with_sql(&sql).ok()?.parse_expr().ok()?;
    syntax::rewrite(&mut exists, &mut Fill { values: values.iter(), subquery: Some(subquery) });
    Some(exists)
}

/// Puts the values and the subquery into their places.
struct Fill<'a> {
    values: std::slice::Iter<'a, Expr>,
    subquery: Option<&'a Query>,
}

impl Rewriter for Fill<'_> {
    fn select(&mut self, select: &mut Select) {
        let Some(condition) = &mut select.selection else { return };
        self.fill(condition);
        let factor = select.from.first_mut().map(|tables| &mut tables.relation);
        if let (Some(TableFactor::Derived { subquery, .. }), Some(given)) = (factor, self.subquery.take()) {
            **subquery = given.clone();
        }
    }
}

impl Fill<'_> {
    /// From left to right.
    fn fill(&mut self, condition: &mut Expr) {
        match condition {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.fill(left);
                self.fill(right);
            }
            Expr::BinaryOp { right, .. } => {
                if let Some(value) = self.values.next() {
                    **right = Expr::Nested(Box::new(value.clone()));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement;

    use super::*;

    #[test]
    fn rows_are_looked_for_where_null_is_false() {
        struct Selects;
        impl Rewriter for Selects {
            fn select(&mut self, select: &mut Select) {
                respell_rows_in(select);
            }
        }
        for (condition, expected) in [
            (
                "c AND (a, b + 1) IN (SELECT x, y FROM u)",
                "c AND EXISTS (SELECT 1 FROM (SELECT x, y FROM u) AS row_in (\"row_in.0\", \"row_in.1\") \
                 WHERE row_in.\"row_in.0\" = (a) AND row_in.\"row_in.1\" = (b + 1))",
            ),
            ("NOT (a, b) IN (SELECT x, y FROM u)", "NOT (a, b) IN (SELECT x, y FROM u)"),
            ("(a, b) NOT IN (SELECT x, y FROM u)", "(a, b) NOT IN (SELECT x, y FROM u)"),
            ("a IN (SELECT x FROM u)", "a IN (SELECT x FROM u)"),
        ] {
            let sql = format!("SELECT 1 FROM t WHERE {condition}");
            let mut statement: Statement = Parser::parse_sql(&GenericDialect {}, &sql).unwrap().remove(0);
            syntax::rewrite(&mut statement, &mut Selects);
            assert_eq!(statement.to_string(), format!("SELECT 1 FROM t WHERE {expected}"));
        }
    }
}
