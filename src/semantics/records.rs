//! Rows that are compared, such as `(a, b) = (1, 2)`, as comparisons of their parts: DataFusion makes structs of them, of which NULL is
//! one value beside others. In SQL a part that is NULL makes the answer unknown where it decides (SQL:2016, 8.2; PostgreSQL's manual,
//! 9.24.5).

use std::collections::HashSet;
use std::sync::LazyLock;

use datafusion::functions::all_default_functions;
use datafusion::logical_expr::Volatility;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned, UnaryOperator, Value, Visit,
};

use super::refuse::Refusal;
use crate::syntax::{self, Flow, ON, Reader, STOP};

/// The most rows in a list that a row is looked for in: each is a comparison of its own.
const ROWS_MAX: usize = 10_000;

/// The functions that may give another value each time that they are called.
static VOLATILE: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let volatile =
        all_default_functions().into_iter().filter(|function| function.signature().volatility == Volatility::Volatile);
    volatile
        .flat_map(|function| {
            let names: Vec<String> = std::iter::once(function.name())
                .chain(function.aliases().iter().map(String::as_str))
                .map(str::to_lowercase)
                .collect();
            names
        })
        .collect()
});

/// The comparison of rows as comparisons of their parts. `None` where no rows are compared, an error where that cannot be written.
pub(super) fn by_parts(expr: &Expr) -> Result<Option<Expr>, Refusal> {
    match expr {
        Expr::BinaryOp { left, op, right } => match (row(left), row(right)) {
            (Some(left), Some(right)) if is_comparison(op) => compared(&left, op, &right, expr).map(Some),
            _ => Ok(None),
        },
        Expr::IsDistinctFrom(left, right) => distinct(left, right, false, expr),
        Expr::IsNotDistinctFrom(left, right) => distinct(left, right, true, expr),
        Expr::InList { expr: wanted, list, negated } => {
            let (Some(wanted), Some(rows)) = (row(wanted), list.iter().map(row).collect::<Option<Vec<_>>>()) else {
                return Ok(None);
            };
            if rows.len() > ROWS_MAX {
                return Err(Refusal::new(format!("a list of more than {ROWS_MAX} rows"), expr.span())
                    .instead("join with VALUES"));
            }
            if rows.len() > 1 {
                wanted.iter().try_for_each(|part| repeatable(part))?;
            }
            let (op, joined) = match negated {
                false => (BinaryOperator::Eq, BinaryOperator::Or),
                true => (BinaryOperator::NotEq, BinaryOperator::And),
            };
            let found = rows.iter().map(|row| compared(&wanted, &op, row, expr));
            Ok(Some(all(found.collect::<Result<_, _>>()?, &joined)))
        }
        Expr::Between { expr: value, negated, low, high } => {
            let (Some(value), Some(low), Some(high)) = (row(value), row(low), row(high)) else { return Ok(None) };
            value.iter().try_for_each(|part| repeatable(part))?;
            let within = vec![
                compared(&value, &BinaryOperator::GtEq, &low, expr)?,
                compared(&value, &BinaryOperator::LtEq, &high, expr)?,
            ];
            let within = all(within, &BinaryOperator::And);
            Ok(Some(match negated {
                false => within,
                true => nested(Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(within) }),
            }))
        }
        Expr::IsNull(value) => Ok(row(value).map(|parts| of_nulls(&parts, true))),
        Expr::IsNotNull(value) => Ok(row(value).map(|parts| of_nulls(&parts, false))),
        _ => Ok(None),
    }
}

/// The parts of a row: `(a, b)`, `row(a, b)`.
fn row(expr: &Expr) -> Option<Vec<&Expr>> {
    match expr {
        Expr::Nested(inner) => row(inner),
        Expr::Tuple(parts) => Some(parts.iter().collect()),
        Expr::Function(call) if call.over.is_none() && call.name.to_string().eq_ignore_ascii_case("row") => {
            let FunctionArguments::List(list) = &call.args else { return None };
            let parts = list.args.iter().map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(part)) => Some(part),
                _ => None,
            });
            parts.collect()
        }
        _ => None,
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

fn compared(left: &[&Expr], op: &BinaryOperator, right: &[&Expr], at: &Expr) -> Result<Expr, Refusal> {
    same_length(left, right, at)?;
    let pairs = || left.iter().zip(right);
    Ok(match op {
        BinaryOperator::Eq => all(pairs().map(|(l, r)| binary(l, op, r)).collect(), &BinaryOperator::And),
        BinaryOperator::NotEq => all(pairs().map(|(l, r)| binary(l, op, r)).collect(), &BinaryOperator::Or),
        _ => {
            // The first parts that differ decide; those before the last are looked at twice.
            let before_last = left.len().saturating_sub(1);
            pairs().take(before_last).try_for_each(|(l, r)| repeatable(l).and_then(|()| repeatable(r)))?;
            let strict = match op {
                BinaryOperator::LtEq => BinaryOperator::Lt,
                BinaryOperator::GtEq => BinaryOperator::Gt,
                other => other.clone(),
            };
            let mut later: Option<Expr> = None;
            for (l, r) in pairs().rev() {
                later = Some(match later {
                    None => binary(l, op, r),
                    Some(later) => {
                        let equal = all(vec![binary(l, &BinaryOperator::Eq, r), later], &BinaryOperator::And);
                        all(vec![binary(l, &strict, r), equal], &BinaryOperator::Or)
                    }
                });
            }
            later.unwrap_or_else(|| Expr::value(Value::Null))
        }
    })
}

fn distinct(left: &Expr, right: &Expr, is_same: bool, at: &Expr) -> Result<Option<Expr>, Refusal> {
    let (Some(left), Some(right)) = (row(left), row(right)) else { return Ok(None) };
    same_length(&left, &right, at)?;
    let part = |(l, r): (&&Expr, &&Expr)| {
        let (l, r) = (Box::new((*l).clone()), Box::new((*r).clone()));
        nested(if is_same { Expr::IsNotDistinctFrom(l, r) } else { Expr::IsDistinctFrom(l, r) })
    };
    let op = if is_same { BinaryOperator::And } else { BinaryOperator::Or };
    Ok(Some(all(left.iter().zip(&right).map(part).collect(), &op)))
}

/// Whether all parts are NULL, or none is. A row among them is none, whatever it has in it.
fn of_nulls(parts: &[&Expr], null: bool) -> Expr {
    let test = |part: &&Expr| match (row(part), null) {
        (Some(_), _) => Expr::value(Value::Boolean(!null)),
        (None, true) => nested(Expr::IsNull(Box::new((*part).clone()))),
        (None, false) => nested(Expr::IsNotNull(Box::new((*part).clone()))),
    };
    all(parts.iter().map(test).collect(), &BinaryOperator::And)
}

fn same_length(left: &[&Expr], right: &[&Expr], at: &Expr) -> Result<(), Refusal> {
    match left.len() == right.len() && !left.is_empty() {
        true => Ok(()),
        false => Err(Refusal::new("a comparison of rows with different numbers of parts", at.span())),
    }
}

/// Refuses what may have another value when it is written twice.
fn repeatable(part: &Expr) -> Result<(), Refusal> {
    match is_volatile(part) {
        true => Err(Refusal::new("a comparison of rows with a value that is another each time", part.span())
            .instead("compare the parts one by one, or give the value a name in a subquery")),
        false => Ok(()),
    }
}

/// Whether a function is called whose value may be another each time.
pub(super) fn is_volatile(part: &impl Visit) -> bool {
    struct Find(bool);
    impl Reader for Find {
        fn expr(&mut self, expr: &Expr) -> Flow {
            match expr {
                Expr::Function(call) if VOLATILE.contains(&call.name.to_string().to_lowercase()) => {
                    self.0 = true;
                    STOP
                }
                _ => ON,
            }
        }
    }
    let mut find = Find(false);
    syntax::read(part, &mut find);
    find.0
}

fn binary(left: &Expr, op: &BinaryOperator, right: &Expr) -> Expr {
    let (left, right) = (Box::new(nested(left.clone())), Box::new(nested(right.clone())));
    nested(Expr::BinaryOp { left, op: op.clone(), right })
}

/// All conditions with one operator between them, as deep as the logarithm of their number.
fn all(mut conditions: Vec<Expr>, op: &BinaryOperator) -> Expr {
    while conditions.len() > 1 {
        let mut rest = conditions.into_iter();
        conditions = Vec::new();
        while let Some(left) = rest.next() {
            conditions.push(match rest.next() {
                Some(right) => nested(Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) }),
                None => left,
            });
        }
    }
    conditions.pop().unwrap_or_else(|| Expr::value(Value::Null))
}

fn nested(expr: Expr) -> Expr {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) | Expr::Nested(_) | Expr::Function(_) => {
            expr
        }
        other => Expr::Nested(Box::new(other)),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn parsed(sql: &str) -> Expr {
        Parser::new(&GenericDialect {}).try_with_sql(sql).unwrap().parse_expr().unwrap()
    }

    #[test]
    fn rows_are_compared_by_their_parts() {
        for (sql, expected) in [
            ("(a, b) = (1, 2)", "((a = 1) AND (b = 2))"),
            ("(a, b) <> row(1, c + 1)", "((a <> 1) OR (b <> (c + 1)))"),
            ("(a, b) < (1, 2)", "((a < 1) OR ((a = 1) AND (b < 2)))"),
            ("(a, b, c) >= (1, 2, 3)", "((a > 1) OR ((a = 1) AND ((b > 2) OR ((b = 2) AND (c >= 3)))))"),
            ("(a, b) IN ((1, 2), (3, 4))", "(((a = 1) AND (b = 2)) OR ((a = 3) AND (b = 4)))"),
            ("(a, b) NOT IN ((1, 2), (3, 4))", "(((a <> 1) OR (b <> 2)) AND ((a <> 3) OR (b <> 4)))"),
            ("(a, b) IS DISTINCT FROM (1, NULL)", "((a IS DISTINCT FROM 1) OR (b IS DISTINCT FROM NULL))"),
            ("row(a, b) IS NULL", "((a IS NULL) AND (b IS NULL))"),
            ("(a, row(b, c)) IS NOT NULL", "((a IS NOT NULL) AND true)"),
            ("(random(), b) = (1, 2)", "((random() = 1) AND (b = 2))"),
        ] {
            assert_eq!(
                by_parts(&parsed(sql)).unwrap().map(|expr| expr.to_string()).as_deref(),
                Some(expected),
                "{sql}"
            );
        }
        for sql in ["a = 1", "(a, b) = c", "a IN (1, 2)", "(a, b) IN (c)", "a IS NULL", "a BETWEEN 1 AND 2"] {
            assert_eq!(by_parts(&parsed(sql)), Ok(None), "{sql}");
        }
        for sql in ["(a, b) = (1, 2, 3)", "(random(), b) < (1, 2)", "(a, random()) IN ((1, 2), (3, 4))"] {
            assert!(by_parts(&parsed(sql)).is_err(), "{sql}");
        }
    }
}
