//! Reasons for expressions outside of the vocabulary.

use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, Operator};
use portolan_connector::{Operation, Reason};

use super::Lowering;

impl Lowering<'_> {
    /// A function that is no predicate, but a regular expression may have a reason of its own.
    pub(super) fn no_predicate(&mut self, function: &ScalarFunction) -> Reason {
        let name = function.name();
        if name.starts_with("regexp_")
            && let Some(Ok(value)) = function.args.first().map(|argument| self.value(argument, 0))
            && let Err(reason) = self.rule(Operation::Regex, value.column.domain)
        {
            return reason;
        }
        no_rule_for_function(name)
    }
}

/// Why an expression cannot be an operand or a predicate.
pub(super) fn expression(expr: &Expr) -> Reason {
    match expr {
        Expr::Alias(alias) => expression(&alias.expr),
        Expr::Cast(_) | Expr::TryCast(_) => Reason::new(format!("{expr} has no rule")),
        Expr::ScalarFunction(function) => no_rule_for_function(function.name()),
        Expr::HigherOrderFunction(function) => no_rule_for_function(function.name()),
        Expr::BinaryExpr(binary) => operator(binary.op),
        Expr::Negative(_) => Reason::new("no rule for arithmetic (-)"),
        Expr::Case(_) => Reason::new("CASE has no rule"),
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::ScalarSubquery(_) => {
            Reason::new("a subquery has no rule")
        }
        Expr::Placeholder(_) => Reason::new("a parameter without a value has no rule"),
        Expr::OuterReferenceColumn(..) => Reason::new("a column of an outer query has no rule"),
        Expr::Literal(value, _) => Reason::new(format!("a literal of the type {} has no rule here", value.data_type())),
        Expr::Column(column) => Reason::new(format!("the column {} has no rule here", column.name)),
        _ => Reason::new("an expression of this kind has no rule"),
    }
}

/// Why an operator that yields no translation is refused.
pub(super) fn operator(op: Operator) -> Reason {
    match op {
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo => {
            Reason::new(format!("no rule for arithmetic ({op})"))
        }
        op => Reason::new(format!("no rule for {op}")),
    }
}

/// A source evaluates conditions in an order of its own.
pub(super) fn fallible() -> Reason {
    "it may fail for rows that another condition leaves out".into()
}

/// OR and NOT would turn rows that a part lets through too many into rows too few.
pub(super) fn pruning_inside(operation: Operation) -> Reason {
    Reason::new(format!("{operation} needs exact parts, and one of them only prunes"))
}

pub(super) fn no_rule_for_function(name: &str) -> Reason {
    Reason::new(format!("the function {name}() has no rule"))
}
