//! NULL tests, and values that are truth values.

use arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;
use portolan_connector::{Operation, Reason};

use super::{Lowered, Lowering, Strength, refuse};
use crate::{RemoteExpr, TruthValue, Typed};

impl Lowering<'_> {
    /// `value IS [NOT] NULL`
    pub(super) fn null_test(&mut self, operand: &Expr, operation: Operation, depth: usize) -> Result<Lowered, Reason> {
        let value = self.value(operand, depth + 1)?;
        let strength = self.rule(operation, value.column.domain)?;
        let operand = Box::new(value.expr);
        let expr = match operation {
            Operation::IsNull => RemoteExpr::IsNull(operand),
            _ => RemoteExpr::IsNotNull(operand),
        };
        Ok(Lowered::new(expr, strength).or_fails(value.fallible))
    }

    /// A truth value standing alone: a column, or what a CASE gives.
    pub(super) fn truth_value(&mut self, expr: &Expr, depth: usize) -> Result<Lowered, Reason> {
        let (value, strength) = self.boolean(expr, depth)?;
        Ok(Lowered::new(value.expr, strength).or_fails(value.fallible))
    }

    /// `value IS [NOT] TRUE | FALSE | UNKNOWN`
    pub(super) fn truth_test(&mut self, expr: &Expr, depth: usize) -> Result<Lowered, Reason> {
        let (operand, value, negated) = match expr {
            Expr::IsTrue(operand) => (operand, TruthValue::True, false),
            Expr::IsNotTrue(operand) => (operand, TruthValue::True, true),
            Expr::IsFalse(operand) => (operand, TruthValue::False, false),
            Expr::IsNotFalse(operand) => (operand, TruthValue::False, true),
            Expr::IsUnknown(operand) => (operand, TruthValue::Unknown, false),
            Expr::IsNotUnknown(operand) => (operand, TruthValue::Unknown, true),
            other => return Err(refuse::expression(other)),
        };
        let (operand, strength) = self.boolean(operand, depth)?;
        let expr = RemoteExpr::Truth { operand: Box::new(operand.expr), value, negated };
        Ok(Lowered::new(expr, strength).or_fails(operand.fallible))
    }

    /// A truth value, and the strength of the rule for its type.
    fn boolean(&mut self, operand: &Expr, depth: usize) -> Result<(Typed, Strength), Reason> {
        let value = self.value(operand, depth + 1)?;
        if value.column.arrow_type != DataType::Boolean {
            return Err(Reason::new(format!("the column {} is not boolean", value.column.name)));
        }
        let strength = self.rule(Operation::Truth, value.column.domain)?;
        Ok((value, strength))
    }
}
