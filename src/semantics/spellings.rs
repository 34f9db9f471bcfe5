//! Other ways to write what DataFusion only knows in one: `FETCH FIRST n ROWS ONLY`, `LIKE ... ESCAPE`, `mod`, `sign`,
//! `localtimestamp` and rows in subqueries (`rows`); and `AT TIME ZONE`, of which it knows another thing.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    LimitClause, ObjectName, ObjectNamePart, Query, Select, Statement, TableFactor, TimezoneInfo, Value, ValueWithSpan,
};

use super::{alike, rows, zones};
use crate::syntax::{self, Rewriter, call};

/// The escape character of LIKE where none is given, as in PostgreSQL.
const ESCAPE: char = '\\';

/// Writes a statement as DataFusion knows it. To be called on every statement before it is planned, after its columns have
/// their names.
pub fn respell(statement: &mut Statement) {
    alike::tell_apart(statement);
    syntax::rewrite(statement, &mut Spellings);
}

struct Spellings;

impl Rewriter for Spellings {
    /// `FETCH FIRST n ROWS ONLY` is `LIMIT n` (SQL:2008, 7.13), and without a number `LIMIT 1`.
    fn query(&mut self, query: &mut Query) {
        let Some(fetch) = query.fetch.take_if(|fetch| !fetch.with_ties && !fetch.percent) else { return };
        let count = fetch.quantity.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, .. }) => *limit = Some(count),
            clause => {
                *clause = Some(LimitClause::LimitOffset { limit: Some(count), offset: None, limit_by: Vec::new() });
            }
        }
    }

    fn select(&mut self, select: &mut Select) {
        rows::respell_rows_in(select);
    }

    /// `generate_series` and `range` of timestamps only take nanoseconds.
    fn table_factor(&mut self, factor: &mut TableFactor) {
        let TableFactor::Table { name, args: Some(arguments), .. } = factor else { return };
        if !matches!(name.to_string().to_lowercase().as_str(), "generate_series" | "range") {
            return;
        }
        for argument in &mut arguments.args {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::TypedString(typed))) = argument
                && let DataType::Timestamp(digits @ None, _) = &mut typed.data_type
            {
                *digits = Some(9);
            }
        }
    }

    fn expr(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                if let Some(respelled) = escape_char.as_ref().and_then(|escape| with_backslashes(pattern, escape)) {
                    **pattern = respelled;
                    *escape_char = None;
                }
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                let arguments =
                    [timestamp, time_zone].map(|part| std::mem::replace(part, Box::new(Expr::value(Value::Null))));
                *expr = call(zones::NAME, arguments.map(|argument| *argument));
            }
            Expr::Function(function) => {
                if let Some(respelled) = respelled(function) {
                    *expr = respelled;
                }
            }
            _ => {}
        }
    }
}

/// A literal pattern with another escape character, or with none (`ESCAPE ''`), as one whose escape character is the
/// backslash. `None` where pattern or character are no such literals, or the pattern ends within an escape.
pub(super) fn with_backslashes(pattern: &Expr, escape: &ValueWithSpan) -> Option<Expr> {
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), span }) = pattern else { return None };
    let Value::SingleQuotedString(escape) = &escape.value else { return None };
    let mut characters = escape.chars();
    let (escape, None) = (characters.next(), characters.next()) else { return None };
    let mut respelled = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let literal = if Some(character) == escape { Some(rest.next()?) } else { None };
        match (literal, character) {
            (Some(literal @ ('%' | '_' | ESCAPE)), _) | (None, literal @ ESCAPE) => respelled.extend([ESCAPE, literal]),
            (Some(literal), _) => respelled.push(literal),
            (None, character) => respelled.push(character),
        }
    }
    Some(Expr::Value(Value::SingleQuotedString(respelled).with_span(*span)))
}

/// `mod(a, b)` is `a % b`, `sign` DataFusion's `signum`, and `localtimestamp` the time at UTC: sessions have no other zone.
fn respelled(function: &Function) -> Option<Expr> {
    if matches!(function.args, FunctionArguments::None)
        && function.name.to_string().eq_ignore_ascii_case("localtimestamp")
    {
        let data_type = DataType::Timestamp(None, TimezoneInfo::None);
        let expr = Box::new(call("now", []));
        return Some(Expr::Cast { kind: CastKind::Cast, expr, data_type, array: false, format: None });
    }
    let Function { name, args: FunctionArguments::List(list), over: None, filter: None, .. } = function else {
        return None;
    };
    let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
    match (ident.value.to_lowercase().as_str(), list.args.as_slice()) {
        (
            "mod",
            [
                FunctionArg::Unnamed(FunctionArgExpr::Expr(dividend)),
                FunctionArg::Unnamed(FunctionArgExpr::Expr(divisor)),
            ],
        ) => {
            let nested = |operand: &Expr| Box::new(Expr::Nested(Box::new(operand.clone())));
            let (left, right) = (nested(dividend), nested(divisor));
            Some(Expr::Nested(Box::new(Expr::BinaryOp { left, op: BinaryOperator::Modulo, right })))
        }
        ("sign", [_]) => {
            let name = ObjectName(vec![ObjectNamePart::Identifier(Ident::with_span(ident.span, "signum"))]);
            Some(Expr::Function(Function { name, ..function.clone() }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn what_has_several_spellings_gets_one() {
        for (sql, expected) in [
            ("SELECT a FROM t FETCH FIRST 3 ROWS ONLY", "SELECT a FROM t LIMIT 3"),
            ("SELECT a FROM t OFFSET 2 ROWS FETCH NEXT ROW ONLY", "SELECT a FROM t LIMIT 1 OFFSET 2 ROWS"),
            ("SELECT (SELECT a FROM t FETCH FIRST 1 ROW ONLY)", "SELECT (SELECT a FROM t LIMIT 1)"),
            ("SELECT a LIKE '50#%_' ESCAPE '#'", r"SELECT a LIKE '50\%_'"),
            (r"SELECT a NOT ILIKE 'a\b##c#d' ESCAPE '#'", r"SELECT a NOT ILIKE 'a\\b#cd'"),
            (r"SELECT a LIKE 'a\%' ESCAPE ''", r"SELECT a LIKE 'a\\%'"),
            ("SELECT a LIKE 'a#' ESCAPE '#'", "SELECT a LIKE 'a#' ESCAPE '#'"),
            ("SELECT * FROM range(TIMESTAMP '2024-01-01', 5)", "SELECT * FROM range(TIMESTAMP(9) '2024-01-01', 5)"),
            ("SELECT (a AT TIME ZONE 'UTC') AT TIME ZONE b", "SELECT at_time_zone((at_time_zone(a, 'UTC')), b)"),
            ("SELECT a LIKE b ESCAPE '#'", "SELECT a LIKE b ESCAPE '#'"),
            ("SELECT localtimestamp, \"localtimestamp\"", "SELECT CAST(now() AS TIMESTAMP), \"localtimestamp\""),
            ("SELECT mod(a + 1, b), sign(a)", "SELECT ((a + 1) % (b)), signum(a)"),
        ] {
            let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
            respell(&mut statement);
            assert_eq!(statement.to_string(), expected);
        }
    }
}
