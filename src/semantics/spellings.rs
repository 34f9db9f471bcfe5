//! Other ways to write what DataFusion only knows in one: `FETCH FIRST n ROWS ONLY`, `LIKE ... ESCAPE`, `mod`, `sign`,
//! `localtimestamp`, rows (`rows`, `records`) and windows that have names (`windows`); and `AT TIME ZONE` and `-INTERVAL '...'`, of which
//! it knows another thing.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, LimitClause, ObjectName, ObjectNamePart, Query, Select, Statement, TableFactor, TimezoneInfo, UnaryOperator,
    Value, ValueWithSpan, WindowType,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::windows::Windows;
use super::{alike, arrays, exact, functions_of_from, grouping, records, recursion, rows, shadows, zones};
use crate::syntax::{self, Rewriter, call};

/// The escape character of LIKE where none is given, as in PostgreSQL.
const ESCAPE: char = '\\';

/// Writes a statement as DataFusion knows it. To be called on every statement before it is planned, after its columns have
/// their names.
pub fn respell(statement: &mut Statement) {
    shadows::tell_apart(statement);
    functions_of_from::name_columns(statement);
    alike::tell_apart(statement);
    syntax::rewrite(statement, &mut Spellings::default());
}

#[derive(Default)]
struct Spellings {
    windows: Windows,
}

impl Rewriter for Spellings {
    /// `FETCH FIRST n ROWS ONLY` is `LIMIT n` (SQL:2008, 7.13), and without a number `LIMIT 1`.
    fn query(&mut self, query: &mut Query) {
        self.windows.enter_query(query);
        recursion::keep_casts(query);
        grouping::qualify_keys(query);
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
        self.windows.enter(select);
        rows::respell_rows_in(select);
        grouping::respell_groups(select);
        select.selection.iter_mut().for_each(arrays::respell_at_top);
    }

    fn after_query(&mut self, _query: &mut Query) {
        self.windows.leave();
    }

    fn after_select(&mut self, _select: &mut Select) {
        self.windows.leave();
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
            // DataFusion puts the sign before the text, where it is that of its first part.
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: operand } if matches!(**operand, Expr::Interval(_)) => {
                let interval = std::mem::replace(&mut **operand, Expr::value(Value::Null));
                **operand = Expr::Nested(Box::new(interval));
            }
            Expr::AnyOp { .. } => {
                if let Some(respelled) = arrays::respelled(expr) {
                    *expr = respelled;
                }
            }
            // As wide as an integer that is written out, and never out of range.
            Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr: operand } => {
                let operand = std::mem::replace(&mut **operand, Expr::value(Value::Null));
                let minus_one = Expr::UnaryOp {
                    op: UnaryOperator::Minus,
                    expr: Box::new(Expr::value(Value::Number("1".to_owned(), false))),
                };
                let right = Box::new(Expr::Nested(Box::new(operand)));
                let complement = Expr::BinaryOp { left: Box::new(minus_one), op: BinaryOperator::Minus, right };
                *expr = Expr::Nested(Box::new(complement));
            }
            Expr::Cast { .. } | Expr::TypedString(_) => {
                if let Some(respelled) = exact::respelled(expr) {
                    *expr = respelled;
                }
            }
            Expr::Function(function) => {
                if let Some(over) = &mut function.over
                    && let Ok(window) = self.windows.written_out(over)
                {
                    *over = WindowType::WindowSpec(window);
                }
                if let Some(respelled) = respelled(function) {
                    *expr = respelled;
                }
            }
            _ => {
                if let Ok(Some(parts)) = records::by_parts(expr) {
                    *expr = parts;
                }
            }
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

/// `mod(a, b)` is `a % b`, `div(a, b)` how often b is in a, `sign` DataFusion's `signum`, and `localtimestamp` the time at UTC: sessions have no other zone.
/// `regr_r2` of a constant y is 1 where it has a slope, and base64 has its padding (RFC 4648).
fn respelled(function: &Function) -> Option<Expr> {
    if matches!(function.args, FunctionArguments::None)
        && function.name.to_string().eq_ignore_ascii_case("localtimestamp")
    {
        let data_type = DataType::Timestamp(None, TimezoneInfo::None);
        let expr = Box::new(call("now", []));
        return Some(Expr::Cast { kind: CastKind::Cast, expr, data_type, array: false, format: None });
    }
    match function.name.to_string().to_lowercase().as_str() {
        "regr_r2" => return of_constants(function),
        "variance" => return Some(renamed(function, "var_samp")),
        _ => {}
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
        ("encode", [value, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(format)))]) if matches!(&format.value, Value::SingleQuotedString(name) if name.eq_ignore_ascii_case("base64")) =>
        {
            let padded = Value::SingleQuotedString("base64pad".to_owned()).with_span(format.span);
            let padded = FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(padded)));
            let mut list = list.clone();
            list.args = vec![value.clone(), padded];
            Some(Expr::Function(Function { args: FunctionArguments::List(list), ..function.clone() }))
        }
        (
            "div",
            [
                FunctionArg::Unnamed(FunctionArgExpr::Expr(dividend)),
                FunctionArg::Unnamed(FunctionArgExpr::Expr(divisor)),
            ],
        ) => {
            let [dividend, divisor] =
                [dividend, divisor].map(|operand| Box::new(Expr::Nested(Box::new(operand.clone()))));
            let operation = |left, op, right| Box::new(Expr::Nested(Box::new(Expr::BinaryOp { left, op, right })));
            let rest = operation(dividend.clone(), BinaryOperator::Modulo, divisor.clone());
            let whole = operation(dividend, BinaryOperator::Minus, rest);
            Some(*operation(whole, BinaryOperator::Divide, divisor))
        }
        // All that matches is the first group of the pattern in parentheses.
        (
            "regexp_substr",
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(text)), FunctionArg::Unnamed(FunctionArgExpr::Expr(pattern))],
        ) => {
            let parenthesis = |text: &str| Expr::value(Value::SingleQuotedString(text.to_owned()));
            let beside = |left, right| Expr::BinaryOp {
                left: Box::new(left),
                op: BinaryOperator::StringConcat,
                right: Box::new(right),
            };
            let pattern = match pattern {
                Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(pattern), .. }) => {
                    parenthesis(&format!("({pattern})"))
                }
                other => beside(beside(parenthesis("("), Expr::Nested(Box::new(other.clone()))), parenthesis(")")),
            };
            let first = Expr::value(Value::Number("1".to_owned(), false));
            Some(call("array_element", [call("regexp_match", [text.clone(), pattern]), first]))
        }
        ("sign", [_]) => Some(renamed(function, "signum")),
        ("ceiling", [_]) => Some(renamed(function, "ceil")),
        // DataFusion's takes the first match only.
        ("array_replace", [_, _, _]) => Some(renamed(function, "array_replace_all")),
        // An array without elements has no dimensions. What is in quotes is not written again.
        ("array_length", [_, _]) if ident.quote_style.is_none() => {
            let name = ObjectName(vec![ObjectNamePart::Identifier(Ident { quote_style: Some('"'), ..ident.clone() })]);
            let length = Expr::Function(Function { name, ..function.clone() });
            let zero = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(Expr::value(Value::Number("0".to_owned(), false))),
                data_type: DataType::BigIntUnsigned(None),
                array: false,
                format: None,
            };
            Some(call("nullif", [length, zero]))
        }
        _ => None,
    }
}

/// The function by another name.
fn renamed(function: &Function, name: &str) -> Expr {
    let span = match function.name.0.last() {
        Some(ObjectNamePart::Identifier(ident)) => ident.span,
        _ => Span::empty(),
    };
    let name = ObjectName(vec![ObjectNamePart::Identifier(Ident::with_span(span, name))]);
    Expr::Function(Function { name, ..function.clone() })
}

/// `coalesce(regr_r2(y, x), CASE WHEN regr_syy(y, x) = 0 AND regr_sxx(y, x) > 0 THEN 1 END)`. What it is written with has other names,
/// so that it is not written again.
fn of_constants(function: &Function) -> Option<Expr> {
    let ObjectNamePart::Identifier(ident) = function.name.0.last()? else { return None };
    if ident.quote_style.is_some() || function.name.0.len() > 1 {
        return None;
    }
    let named = |name: &str, quote| {
        let name = ObjectName(vec![ObjectNamePart::Identifier(Ident { quote_style: quote, ..Ident::new(name) })]);
        Box::new(Expr::Function(Function { name, ..function.clone() }))
    };
    let number = |digits: &str| Box::new(Expr::value(Value::Number(digits.to_owned(), false)));
    let flat = Expr::BinaryOp { left: named("regr_syy", None), op: BinaryOperator::Eq, right: number("0") };
    let sloped = Expr::BinaryOp { left: named("regr_sxx", None), op: BinaryOperator::Gt, right: number("0") };
    let condition = Expr::BinaryOp { left: Box::new(flat), op: BinaryOperator::And, right: Box::new(sloped) };
    let one = Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result: *number("1") }],
        else_result: None,
    };
    Some(call("coalesce", [*named("regr_r2", Some('"')), one]))
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
            ("SELECT div(a, 2)", "SELECT (((a) - ((a) % (2))) / (2))"),
            (
                "SELECT a::numeric, TRY_CAST(b AS decimal), c::decimal(5, 2)",
                "SELECT decimal_of(a), try_decimal_of(b), c::DECIMAL(5,2)",
            ),
            ("SELECT count(*) FROM t GROUP BY ()", "SELECT count(*) FROM t GROUP BY GROUPING SETS (())"),
            (
                "SELECT 1 FROM t GROUP BY ROLLUP ((a, b), c)",
                "SELECT 1 FROM t GROUP BY GROUPING SETS ((a, b, c), (a, b), ())",
            ),
            (
                "SELECT 1 FROM t GROUP BY CUBE ((a, b), c)",
                "SELECT 1 FROM t GROUP BY GROUPING SETS ((a, b, c), (a, b), (c), ())",
            ),
            ("SELECT -x AS x FROM t ORDER BY -x, x", "SELECT -x AS x FROM t ORDER BY -t.x, x"),
            ("SELECT -y AS x FROM t ORDER BY -x", "SELECT -y AS x FROM t ORDER BY -x"),
            ("SELECT ~a, variance(a) OVER (), ceiling(a)", "SELECT (-1 - (a)), var_samp(a) OVER (), ceil(a)"),
            (
                "SELECT a = ANY(b) FROM t WHERE a = ANY(b) AND NOT (a = ANY(b))",
                "SELECT equals_any(b, a) FROM t WHERE array_has(b, a) AND NOT (equals_any(b, a))",
            ),
            (
                "WITH RECURSIVE r AS (SELECT a::INT FROM t UNION ALL SELECT (a + 1)::INT FROM r) SELECT a::INT FROM r",
                "WITH RECURSIVE r AS (SELECT a::INT FROM t UNION ALL SELECT cast_result((a + 1)::INT) FROM r) SELECT a::INT FROM r",
            ),
            ("SELECT -INTERVAL '1 day 2 hours'", "SELECT -(INTERVAL '1 day 2 hours')"),
            ("SELECT (a, (b, c)) = (1, (2, 3))", "SELECT ((a = 1) AND (((b = 2) AND (c = 3))))"),
            (
                "SELECT sum(a) OVER w2 FROM t WINDOW w1 AS (PARTITION BY b), w2 AS (w1 ORDER BY c) ORDER BY sum(a) OVER (w2 ROWS 1 PRECEDING)",
                "SELECT sum(a) OVER (PARTITION BY b ORDER BY c) FROM t WINDOW w1 AS (PARTITION BY b), w2 AS (w1 ORDER BY c) \
                 ORDER BY sum(a) OVER (PARTITION BY b ORDER BY c ROWS 1 PRECEDING)",
            ),
            (
                "SELECT (SELECT sum(a) OVER w FROM u WINDOW w AS (ORDER BY a)), sum(a) OVER W FROM t WINDOW w AS (ORDER BY b)",
                "SELECT (SELECT sum(a) OVER (ORDER BY a) FROM u WINDOW w AS (ORDER BY a)), sum(a) OVER (ORDER BY b) FROM t WINDOW w AS (ORDER BY b)",
            ),
        ] {
            let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
            respell(&mut statement);
            assert_eq!(statement.to_string(), expected);
        }
    }
}
