//! Expressions of one SELECT that differ in nothing but casts: `sum(a), sum(CAST(a AS double))`, `GROUP BY at, CAST(at AS date)`.
//! DataFusion names an aggregate and a group after its expression without the casts, and refuses two of one name. The casts of
//! such a SELECT become arguments of a function that gives them back, which is named after all of them.

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Query, Select, SelectItem, SetExpr,
    Statement, Value,
};

use super::casts;
use crate::syntax::{self, Flow, ON, Reader, Rewriter, call};

/// Tells such expressions apart. To be called once columns have their names.
pub(super) fn tell_apart(statement: &mut Statement) {
    struct Selects;
    impl Rewriter for Selects {
        fn query(&mut self, query: &mut Query) {
            if let SetExpr::Select(select) = query.body.as_ref()
                && has_alike(select)
            {
                let mut casts = Casts { is_kept: false };
                syntax::rewrite(&mut query.body, &mut casts);
                syntax::rewrite(&mut query.order_by, &mut casts);
            }
        }
        fn select(&mut self, select: &mut Select) {
            if has_alike(select) {
                syntax::rewrite(select, &mut Casts { is_kept: false });
            }
        }
    }
    syntax::rewrite(statement, &mut Selects);
}

/// Whether two calls or groups are the same but for casts.
fn has_alike(select: &Select) -> bool {
    let mut found = Alike::default();
    if let GroupByExpr::Expressions(groups, _) = &select.group_by
        && !groups.is_empty()
    {
        // Groups may be named by the place or the name of an item.
        let items = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        items.chain(groups).for_each(|expr| found.note(expr));
    }
    syntax::read(select, &mut found);
    found.alike
}

/// Calls and groups by their text without casts, with the text of the first of them.
#[derive(Default)]
struct Alike {
    seen: HashMap<String, String>,
    alike: bool,
}

impl Alike {
    fn note(&mut self, expr: &Expr) {
        let text = expr.to_string().to_lowercase();
        let mut bare = expr.clone();
        syntax::rewrite(&mut bare, &mut WithoutCasts);
        let first = self.seen.entry(bare.to_string().to_lowercase()).or_insert_with(|| text.clone());
        self.alike |= *first != text;
    }
}

impl Reader for Alike {
    fn expr(&mut self, expr: &Expr) -> Flow {
        if let Expr::Function(_) = expr {
            self.note(expr);
        }
        ON
    }
}

/// Takes casts and parentheses off.
struct WithoutCasts;

impl Rewriter for WithoutCasts {
    fn expr(&mut self, expr: &mut Expr) {
        while let Expr::Cast { expr: inner, .. } | Expr::Nested(inner) = expr {
            *expr = std::mem::replace(&mut **inner, Expr::value(Value::Null));
        }
    }
}

/// Makes casts arguments.
struct Casts {
    /// Whether the next expression is an argument already.
    is_kept: bool,
}

impl Rewriter for Casts {
    fn expr(&mut self, expr: &mut Expr) {
        let is_kept = std::mem::take(&mut self.is_kept);
        match expr {
            Expr::Cast { expr: inner, .. } if !is_kept && !matches!(**inner, Expr::Value(_)) => {
                let cast = std::mem::replace(expr, Expr::value(Value::Null));
                *expr = call(casts::KEPT_NAME, [cast]);
                self.is_kept = true;
            }
            Expr::Function(function) => self.is_kept = keeps(function),
            _ => {}
        }
    }
}

fn keeps(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    function.name.to_string() == casts::KEPT_NAME
        && matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Cast { .. }))])
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn casts_are_kept_where_they_are_the_only_difference() {
        for (sql, expected) in [
            ("SELECT sum(CAST(a AS INT)), sum(a) FROM t", "SELECT sum(cast_result(CAST(a AS INT))), sum(a) FROM t"),
            ("SELECT sum(CAST(a AS INT)), sum(b) FROM t", "SELECT sum(CAST(a AS INT)), sum(b) FROM t"),
            (
                "SELECT a::DATE, A, CAST('1' AS INT) FROM t GROUP BY 1, 2 ORDER BY a::DATE",
                "SELECT cast_result(a::DATE), A, CAST('1' AS INT) FROM t GROUP BY 1, 2 ORDER BY cast_result(a::DATE)",
            ),
            ("SELECT a::DATE, a FROM t", "SELECT a::DATE, a FROM t"),
            (
                "SELECT 1 UNION SELECT max(((a))::INT::BIGINT) - max(a) FROM t",
                "SELECT 1 UNION SELECT max(cast_result(cast_result(((a))::INT)::BIGINT)) - max(a) FROM t",
            ),
            (
                "SELECT max(a), max(a::INT), (SELECT max(b::INT) - max(b) FROM u) FROM t",
                "SELECT max(a), max(cast_result(a::INT)), (SELECT max(cast_result(b::INT)) - max(b) FROM u) FROM t",
            ),
        ] {
            let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
            tell_apart(&mut statement);
            assert_eq!(statement.to_string(), expected);
        }
    }
}
