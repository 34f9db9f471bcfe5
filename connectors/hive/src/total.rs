//! Which expressions have a value for every row, so that evaluating them early cannot turn into an error.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, Volatility};
use portolan_connector::Reason;

/// Functions of the engine that have a value, maybe NULL, for all arguments of their types.
const TOTAL_FUNCTIONS: &[&str] = &[
    "btrim",
    "bit_length",
    "character_length",
    "coalesce",
    "concat",
    "contains",
    "date_part",
    "ends_with",
    "lower",
    "ltrim",
    "nullif",
    "octet_length",
    "reverse",
    "rtrim",
    "starts_with",
    "strpos",
    "upper",
];

/// Why the expression cannot be evaluated once for many rows, or ahead of the others: it holds a subquery, a
/// parameter, or a function that does not always answer the same.
pub(crate) fn is_deterministic(expr: &Expr) -> Result<(), Reason> {
    let mut reason = None;
    // The closure never fails.
    let _ = expr.apply(|expr| {
        reason = match expr {
            Expr::ScalarFunction(function) if function.func.signature().volatility != Volatility::Immutable => {
                Some(Reason::new(format!("the function {} does not always return the same", function.name())))
            }
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
                Some("it holds a subquery".into())
            }
            Expr::OuterReferenceColumn(_, _) => Some("it refers to an outer query".into()),
            Expr::Placeholder(_) | Expr::ScalarVariable(_, _) => Some("it holds a parameter without a value".into()),
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) | Expr::Unnest(_) => {
                Some("it is not about single rows".into())
            }
            _ => None,
        };
        Ok(if reason.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    reason.map_or(Ok(()), Err)
}

/// Whether the expression has a value, maybe NULL, whatever values its columns have. Errs towards no.
pub(crate) fn is_total(expr: &Expr, schema: &DFSchema) -> bool {
    let total = |expr: &Expr| is_total(expr, schema);
    match expr {
        Expr::Column(_) | Expr::Literal(_, _) => true,
        Expr::Alias(alias) => total(&alias.expr),
        Expr::Not(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsNotUnknown(inner) => total(inner),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            total(left)
                && total(right)
                && match op {
                    Operator::And | Operator::Or => true,
                    Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
                    | Operator::IsDistinctFrom
                    | Operator::IsNotDistinctFrom => comparable(left, right, schema),
                    Operator::StringConcat => is_text(left, schema) && is_text(right, schema),
                    _ => false,
                }
        }
        Expr::Between(between) => {
            [&between.low, &between.high]
                .into_iter()
                .all(|bound| total(bound) && comparable(&between.expr, bound, schema))
                && total(&between.expr)
        }
        Expr::InList(list) => {
            total(&list.expr) && list.list.iter().all(|item| total(item) && comparable(&list.expr, item, schema))
        }
        Expr::Like(like) => {
            total(&like.expr) && is_text(&like.expr, schema) && like.escape_char.is_none() && is_pattern(&like.pattern)
        }
        Expr::Case(case) => {
            case.expr.iter().all(|expr| total(expr))
                && case.when_then_expr.iter().all(|(when, then)| {
                    total(when) && total(then) && case.expr.as_ref().is_none_or(|expr| comparable(expr, when, schema))
                })
                && case.else_expr.iter().all(|expr| total(expr))
        }
        Expr::Cast(cast) => {
            total(&cast.expr)
                && cast.expr.get_type(schema).is_ok_and(|from| cast_never_fails(&from, cast.field.data_type()))
        }
        // A value that cannot be cast is NULL.
        Expr::TryCast(cast) => total(&cast.expr),
        Expr::ScalarFunction(function) => TOTAL_FUNCTIONS.contains(&function.name()) && function.args.iter().all(total),
        _ => false,
    }
}

/// Whether the engine compares the two without a cast that may fail.
fn comparable(left: &Expr, right: &Expr, schema: &DFSchema) -> bool {
    let (Ok(left), Ok(right)) = (left.get_type(schema), right.get_type(schema)) else {
        return false;
    };
    left == right
        || left.is_null()
        || right.is_null()
        || (left.is_string() && right.is_string())
        || (left.is_signed_integer() && right.is_signed_integer())
}

fn is_text(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|data_type| data_type.is_string())
}

/// A pattern that every version of LIKE reads alike: a literal that does not end with the escape character.
fn is_pattern(pattern: &Expr) -> bool {
    match pattern {
        Expr::Literal(value, _) => value.try_as_str().flatten().is_some_and(|text| !text.ends_with('\\')),
        Expr::Cast(cast) => is_pattern(&cast.expr),
        _ => false,
    }
}

fn cast_never_fails(from: &DataType, to: &DataType) -> bool {
    from == to
        || (from.is_string() && to.is_string())
        || (from.is_signed_integer()
            && (to.is_string()
                || matches!(to, DataType::Float64)
                || (to.is_signed_integer() && to.primitive_width() >= from.primitive_width())))
        || (matches!(from, DataType::Boolean | DataType::Date32) && to.is_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::{ExprSchemable, col, lit};
    use datafusion::prelude::{lower, random, substr};

    fn schema() -> DFSchema {
        DFSchema::try_from(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("s", DataType::Utf8View, true),
            Field::new("d", DataType::Date32, true),
        ]))
        .unwrap()
    }

    #[test]
    fn what_always_has_a_value() {
        let schema = schema();
        for expr in [
            col("n").gt(lit(5_i64)),
            col("n").eq(lit(5_i32)),
            col("n").in_list(vec![lit(1_i64), lit(2_i64)], true),
            col("s").like(lit("a%")).or(col("n").is_null()),
            lower(col("s")).eq(lit("a")),
            col("n").cast_to(&DataType::Utf8View, &schema).unwrap().eq(lit("1")),
            datafusion::logical_expr::try_cast(col("s"), DataType::Int64).eq(lit(1_i64)),
        ] {
            assert!(is_total(&expr, &schema), "{expr}");
        }
    }

    #[test]
    fn what_may_fail() {
        let schema = schema();
        for expr in [
            (col("n") + lit(1_i64)).gt(lit(5_i64)),
            (lit(1_i64) / col("n")).gt(lit(5_i64)),
            col("s").cast_to(&DataType::Int64, &schema).unwrap().eq(lit(1_i64)),
            col("s").eq(lit(5_i64)),
            col("d").eq(lit("2026-10-01")),
            col("s").like(lit("a\\")),
            substr(col("s"), col("n")).eq(lit("a")),
            Expr::Negative(Box::new(col("n"))).eq(lit(1_i64)),
        ] {
            assert!(!is_total(&expr, &schema), "{expr}");
        }
    }

    #[test]
    fn what_answers_differently_each_time() {
        assert!(is_deterministic(&random().gt(lit(0.5))).is_err());
        assert!(is_deterministic(&lower(col("s")).eq(lit("a"))).is_ok());
    }
}
