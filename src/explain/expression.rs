//! A logical expression as a person would write it: no types, no qualifiers, no casts that only the engine needs.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, BinaryExpr, InList, Like};
use datafusion::logical_expr::{Expr, Operator};

use crate::semantics;

/// The expression as SQL for EXPLAIN.
pub(super) fn sql(expr: &Expr) -> String {
    written(&semantics::as_written(expr.clone()))
}

fn written(expr: &Expr) -> String {
    match expr {
        Expr::Column(column) => name(&column.name),
        Expr::Literal(value, _) => literal(value),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            format!("{} {op} {}", operand(left, *op), operand(right, *op))
        }
        Expr::Not(inner) => format!("NOT {}", grouped(inner)),
        Expr::Negative(inner) => format!("-{}", grouped(inner)),
        Expr::IsNull(inner) => format!("{} IS NULL", grouped(inner)),
        Expr::IsNotNull(inner) => format!("{} IS NOT NULL", grouped(inner)),
        Expr::IsTrue(inner) => format!("{} IS TRUE", grouped(inner)),
        Expr::IsFalse(inner) => format!("{} IS FALSE", grouped(inner)),
        Expr::IsNotTrue(inner) => format!("{} IS NOT TRUE", grouped(inner)),
        Expr::IsNotFalse(inner) => format!("{} IS NOT FALSE", grouped(inner)),
        Expr::Between(Between { expr, negated, low, high }) => {
            let not = if *negated { "NOT " } else { "" };
            format!("{} {not}BETWEEN {} AND {}", grouped(expr), grouped(low), grouped(high))
        }
        Expr::Like(Like { negated, expr, pattern, case_insensitive, .. }) => {
            let not = if *negated { "NOT " } else { "" };
            let like = if *case_insensitive { "ILIKE" } else { "LIKE" };
            format!("{} {not}{like} {}", grouped(expr), written(pattern))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let not = if *negated { "NOT " } else { "" };
            format!("{} {not}IN ({})", grouped(expr), members(list))
        }
        Expr::ScalarFunction(call) => {
            let arguments: Vec<String> = call.args.iter().map(written).collect();
            format!("{}({})", call.name(), arguments.join(", "))
        }
        Expr::Alias(alias) => written(&alias.expr),
        other => other.human_display().to_string(),
    }
}

/// Members of a list that EXPLAIN shows before it counts the rest.
const MEMBERS_SHOWN: usize = 10;

fn members(list: &[Expr]) -> String {
    let shown: Vec<String> = list.iter().take(MEMBERS_SHOWN).map(written).collect();
    match list.len().checked_sub(MEMBERS_SHOWN) {
        Some(more) if more > 0 => format!("{}, ... {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

fn name(column: &str) -> String {
    let plain = column.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit());
    if plain { column.to_owned() } else { format!("\"{}\"", column.replace('"', "\"\"")) }
}

/// An operand, in parentheses where it binds less tightly than the operator around it.
fn operand(expr: &Expr, around: Operator) -> String {
    match expr {
        Expr::BinaryExpr(inner) if inner.op.precedence() < around.precedence() => format!("({})", written(expr)),
        _ => written(expr),
    }
}

fn grouped(expr: &Expr) -> String {
    match expr {
        Expr::BinaryExpr(_) | Expr::Between(_) | Expr::Like(_) | Expr::InList(_) | Expr::Not(_) => {
            format!("({})", written(expr))
        }
        _ => written(expr),
    }
}

fn literal(value: &ScalarValue) -> String {
    if value.is_null() {
        return "NULL".to_owned();
    }
    match value {
        ScalarValue::Boolean(_)
        | ScalarValue::Int8(_)
        | ScalarValue::Int16(_)
        | ScalarValue::Int32(_)
        | ScalarValue::Int64(_)
        | ScalarValue::UInt8(_)
        | ScalarValue::UInt16(_)
        | ScalarValue::UInt32(_)
        | ScalarValue::UInt64(_)
        | ScalarValue::Float32(_)
        | ScalarValue::Float64(_) => value.to_string(),
        ScalarValue::Decimal128(..)
        | ScalarValue::Decimal256(..)
        | ScalarValue::Date32(_)
        | ScalarValue::Date64(_)
        | ScalarValue::Time32Second(_)
        | ScalarValue::Time32Millisecond(_)
        | ScalarValue::Time64Microsecond(_)
        | ScalarValue::Time64Nanosecond(_)
        | ScalarValue::TimestampSecond(..)
        | ScalarValue::TimestampMillisecond(..)
        | ScalarValue::TimestampMicrosecond(..)
        | ScalarValue::TimestampNanosecond(..) => formatted(value),
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        other => other.to_string(),
    }
}

/// A value as Arrow formats it; quoted unless it is a number.
fn formatted(value: &ScalarValue) -> String {
    use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
    let text = value.to_array().ok().and_then(|array| {
        let formatter = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default()).ok()?;
        formatter.value(0).try_to_string().ok()
    });
    match (text, value) {
        (Some(text), ScalarValue::Decimal128(..) | ScalarValue::Decimal256(..)) => text,
        (Some(text), _) => format!("'{}'", text.replace('T', " ")),
        (None, _) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit};

    #[test]
    fn reads_as_a_person_writes() {
        for (expr, expected) in [
            (col("o.order_date").gt_eq(lit(ScalarValue::Date32(Some(20_727)))), "order_date >= '2026-10-01'"),
            (col("a").eq(lit(1)).or(col("b").is_null()), "a = 1 OR b IS NULL"),
            (col("a").eq(lit(1)).or(col("b").eq(lit(2))).and(col("c").gt(lit(3))), "(a = 1 OR b = 2) AND c > 3"),
            (col("\"CustKey\"").eq(lit("it's")), "\"CustKey\" = 'it''s'"),
            (col("x").in_list(vec![lit(1), lit(2)], true), "x NOT IN (1, 2)"),
            (lit(ScalarValue::Decimal128(Some(1050), 10, 2)).lt(col("x")), "10.50 < x"),
            (col("x").like(lit("A%")), "x LIKE 'A%'"),
        ] {
            assert_eq!(sql(&expr), expected);
        }
    }
}
