//! `IS [NOT] DISTINCT FROM` takes one operand on its right.
//!
//! The parser (sqlparser 0.62) takes all that follows for it: `a IS DISTINCT FROM b AND c` becomes
//! `a IS DISTINCT FROM (b AND c)`. Such chains of conditions are taken apart and put together again by the precedence of
//! the SQL standard: OR binds least, then AND, then NOT, then IS. What is in parentheses is one operand.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Statement, UnaryOperator};

use crate::syntax::{self, Rewriter};

/// Gives the right operands back what belongs to them, and the conditions around them the rest.
pub(super) fn restore(statement: &mut Statement) {
    syntax::rewrite(statement, &mut Restoring);
}

struct Restoring;

impl Rewriter for Restoring {
    fn expr(&mut self, expr: &mut Expr) {
        if swallows(expr) {
            let mut parts = Vec::new();
            take_apart(std::mem::replace(expr, nothing()), &mut parts);
            let mut parts = parts.into_iter().peekable();
            *expr = any_of(&mut parts);
        }
    }
}

/// A part of a chain of conditions, in the order in which they are written.
enum Part {
    Operand(Box<Expr>),
    Not,
    And,
    Or,
    /// `IS [NOT] DISTINCT FROM`, behind its left operand.
    Distinct {
        negated: bool,
    },
}

type Parts = std::iter::Peekable<std::vec::IntoIter<Part>>;

/// Whether somewhere in a chain of conditions a right operand is itself one.
fn swallows(expr: &Expr) -> bool {
    match expr {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => is_condition(right) || swallows(right),
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            swallows(left) || swallows(right)
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => swallows(expr),
        _ => false,
    }
}

fn is_condition(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. })
}

fn take_apart(expr: Expr, into: &mut Vec<Part>) {
    match expr {
        Expr::IsDistinctFrom(left, right) => {
            take_apart(*left, into);
            into.push(Part::Distinct { negated: false });
            take_apart(*right, into);
        }
        Expr::IsNotDistinctFrom(left, right) => {
            take_apart(*left, into);
            into.push(Part::Distinct { negated: true });
            take_apart(*right, into);
        }
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            take_apart(*left, into);
            into.push(if op == BinaryOperator::And { Part::And } else { Part::Or });
            take_apart(*right, into);
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
            into.push(Part::Not);
            take_apart(*expr, into);
        }
        other => into.push(Part::Operand(Box::new(other))),
    }
}

fn any_of(parts: &mut Parts) -> Expr {
    let mut left = all_of(parts);
    while parts.next_if(|part| matches!(part, Part::Or)).is_some() {
        left = binary(left, BinaryOperator::Or, all_of(parts));
    }
    left
}

fn all_of(parts: &mut Parts) -> Expr {
    let mut left = one(parts);
    while parts.next_if(|part| matches!(part, Part::And)).is_some() {
        left = binary(left, BinaryOperator::And, one(parts));
    }
    left
}

fn one(parts: &mut Parts) -> Expr {
    if parts.next_if(|part| matches!(part, Part::Not)).is_some() {
        return Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(one(parts)) };
    }
    let mut left = operand(parts);
    while let Some(Part::Distinct { negated }) = parts.next_if(|part| matches!(part, Part::Distinct { .. })) {
        let (test, right) = (Box::new(left), Box::new(operand(parts)));
        left = match negated {
            false => Expr::IsDistinctFrom(test, right),
            true => Expr::IsNotDistinctFrom(test, right),
        };
    }
    left
}

fn operand(parts: &mut Parts) -> Expr {
    match parts.next() {
        Some(Part::Operand(operand)) => *operand,
        // `a IS DISTINCT FROM NOT b`
        Some(Part::Not) => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(operand(parts)) },
        // A chain begins with an operand, and has one behind each operator.
        _ => nothing(),
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn nothing() -> Expr {
    Expr::Tuple(Vec::new())
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn parsed(sql: &str) -> Statement {
        Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0)
    }

    /// The condition with a parenthesis around every test and every pair.
    fn grouped(expr: &Expr) -> String {
        match expr {
            Expr::IsDistinctFrom(left, right) => format!("({} <> {})", grouped(left), grouped(right)),
            Expr::IsNotDistinctFrom(left, right) => format!("({} = {})", grouped(left), grouped(right)),
            Expr::BinaryOp { left, op, right } => format!("({} {op} {})", grouped(left), grouped(right)),
            Expr::UnaryOp { op, expr } => format!("({op} {})", grouped(expr)),
            Expr::Nested(inner) => format!("[{}]", grouped(inner)),
            other => other.to_string(),
        }
    }

    fn condition(text: &str) -> String {
        struct First(Option<String>);
        impl crate::syntax::Reader for First {
            fn expr(&mut self, expr: &Expr) -> crate::syntax::Flow {
                self.0 = Some(grouped(expr));
                crate::syntax::STOP
            }
        }
        let mut statement = parsed(&format!("SELECT {text}"));
        restore(&mut statement);
        let mut first = First(None);
        crate::syntax::read(&statement, &mut first);
        first.0.unwrap()
    }

    #[test]
    fn conditions_behind_a_test_are_not_its_operand() {
        for (text, expected) in [
            ("a IS DISTINCT FROM b AND c", "((a <> b) AND c)"),
            ("a IS NOT DISTINCT FROM b OR c", "((a = b) OR c)"),
            ("p AND a IS DISTINCT FROM b OR c", "((p AND (a <> b)) OR c)"),
            ("p OR a IS DISTINCT FROM b AND c OR d", "((p OR ((a <> b) AND c)) OR d)"),
            ("NOT a IS DISTINCT FROM b AND c", "((NOT (a <> b)) AND c)"),
            ("a IS DISTINCT FROM b AND c IS NOT DISTINCT FROM d AND e", "(((a <> b) AND (c = d)) AND e)"),
            ("a IS DISTINCT FROM b AND NOT c IS DISTINCT FROM d OR e", "(((a <> b) AND (NOT (c <> d))) OR e)"),
            // Comparisons bind more than IS, and parentheses hold.
            ("a IS DISTINCT FROM b = c AND d", "((a <> (b = c)) AND d)"),
            ("a IS DISTINCT FROM (b AND c)", "(a <> [(b AND c)])"),
            ("(a IS DISTINCT FROM b OR c) AND d", "([((a <> b) OR c)] AND d)"),
            ("a IS DISTINCT FROM b", "(a <> b)"),
        ] {
            assert_eq!(condition(text), expected, "{text}");
        }
    }
}
