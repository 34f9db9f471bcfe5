//! A logical expression as a person would write it: no types, no qualifiers, no casts that only the engine needs.

use std::collections::HashMap;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, BinaryExpr, Case, Cast, InList, Like, TryCast};
use datafusion::logical_expr::{Expr, Operator};

use crate::semantics;
use crate::session::type_name;

/// The expression as SQL for EXPLAIN.
pub(crate) fn sql(expr: &Expr) -> String {
    sql_with(expr, &HashMap::new())
}

/// The same, with columns that stand for something computed shown as what they stand for.
pub(super) fn sql_with(expr: &Expr, computed: &HashMap<String, String>) -> String {
    Writer { computed }.written(&semantics::as_written(expr.clone()))
}

struct Writer<'a> {
    /// What columns with these names stand for.
    computed: &'a HashMap<String, String>,
}

impl Writer<'_> {
    fn written(&self, expr: &Expr) -> String {
        match expr {
            Expr::Column(column) => match self.computed.get(&column.name) {
                Some(text) => text.clone(),
                None => name(&column.name),
            },
            Expr::Literal(value, _) => literal(value),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let sign = if *op == Operator::NotEq { "<>".to_owned() } else { op.to_string() };
                format!("{} {sign} {}", self.operand(left, *op, false), self.operand(right, *op, true))
            }
            Expr::Not(inner) => format!("NOT {}", self.grouped(inner)),
            Expr::Negative(inner) => format!("-{}", self.grouped(inner)),
            Expr::IsNull(inner) => format!("{} IS NULL", self.grouped(inner)),
            Expr::IsNotNull(inner) => format!("{} IS NOT NULL", self.grouped(inner)),
            Expr::IsTrue(inner) => format!("{} IS TRUE", self.grouped(inner)),
            Expr::IsFalse(inner) => format!("{} IS FALSE", self.grouped(inner)),
            Expr::IsNotTrue(inner) => format!("{} IS NOT TRUE", self.grouped(inner)),
            Expr::IsNotFalse(inner) => format!("{} IS NOT FALSE", self.grouped(inner)),
            Expr::Between(Between { expr, negated, low, high }) => {
                let not = if *negated { "NOT " } else { "" };
                format!("{} {not}BETWEEN {} AND {}", self.grouped(expr), self.grouped(low), self.grouped(high))
            }
            Expr::Like(Like { negated, expr, pattern, case_insensitive, .. }) => {
                let not = if *negated { "NOT " } else { "" };
                let like = if *case_insensitive { "ILIKE" } else { "LIKE" };
                format!("{} {not}{like} {}", self.grouped(expr), self.written(pattern))
            }
            Expr::InList(InList { expr, list, negated }) => {
                let not = if *negated { "NOT " } else { "" };
                format!("{} {not}IN ({})", self.grouped(expr), self.members(list))
            }
            Expr::Cast(Cast { expr, field }) => {
                format!("CAST({} AS {})", self.written(expr), type_name(field.data_type()))
            }
            Expr::TryCast(TryCast { expr, field }) => {
                format!("TRY_CAST({} AS {})", self.written(expr), type_name(field.data_type()))
            }
            Expr::Case(case) => self.case(case),
            Expr::ScalarFunction(call) => {
                let arguments: Vec<String> = call.args.iter().map(|argument| self.written(argument)).collect();
                format!("{}({})", call.name(), arguments.join(", "))
            }
            Expr::Alias(alias) => self.written(&alias.expr),
            other => other.human_display().to_string(),
        }
    }

    fn case(&self, case: &Case) -> String {
        let mut text = String::from("CASE");
        if let Some(operand) = &case.expr {
            text += &format!(" {}", self.written(operand));
        }
        for (when, then) in &case.when_then_expr {
            text += &format!(" WHEN {} THEN {}", self.written(when), self.written(then));
        }
        if let Some(otherwise) = &case.else_expr {
            text += &format!(" ELSE {}", self.written(otherwise));
        }
        text + " END"
    }

    fn members(&self, list: &[Expr]) -> String {
        let shown: Vec<String> = list.iter().take(MEMBERS_SHOWN).map(|member| self.written(member)).collect();
        match list.len().checked_sub(MEMBERS_SHOWN) {
            Some(more) if more > 0 => format!("{}, ... {more} more", shown.join(", ")),
            _ => shown.join(", "),
        }
    }

    /// An operand, in parentheses where it would otherwise be read as part of another: it binds less tightly than the
    /// operator around it or, to the right of it, only as tightly.
    fn operand(&self, expr: &Expr, around: Operator, right: bool) -> String {
        match expr {
            Expr::BinaryExpr(inner)
                if inner.op.precedence() < around.precedence()
                    || (right && inner.op.precedence() == around.precedence() && !is_associative(around)) =>
            {
                format!("({})", self.written(expr))
            }
            _ => self.written(expr),
        }
    }

    fn grouped(&self, expr: &Expr) -> String {
        match expr {
            Expr::BinaryExpr(_) | Expr::Between(_) | Expr::Like(_) | Expr::InList(_) | Expr::Not(_) => {
                format!("({})", self.written(expr))
            }
            _ => self.written(expr),
        }
    }
}

fn is_associative(op: Operator) -> bool {
    matches!(op, Operator::And | Operator::Or)
}

/// Members of a list that EXPLAIN shows before it counts the rest.
const MEMBERS_SHOWN: usize = 10;

fn name(column: &str) -> String {
    let plain = column.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit());
    if plain { column.to_owned() } else { format!("\"{}\"", column.replace('"', "\"\"")) }
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
    use datafusion::arrow::datatypes::DataType;
    use datafusion::logical_expr::{cast, col, lit, when};

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
            (col("x").not_eq(lit("a")), "x <> 'a'"),
            (col("a") - (col("b") - col("c")), "a - (b - c)"),
            ((col("a") - col("b")) - col("c"), "a - b - c"),
            (cast(col("x"), DataType::Int64).gt(lit(1)), "CAST(x AS bigint) > 1"),
            (when(col("a").is_null(), lit(0)).otherwise(col("a")).unwrap(), "CASE WHEN a IS NULL THEN 0 ELSE a END"),
        ] {
            assert_eq!(sql(&expr), expected);
        }
    }
}
