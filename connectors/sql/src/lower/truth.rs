//! NULL tests, and boolean columns as predicates.

use arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;
use portolan_connector::{Operation, Reason};

use super::{Lowered, Lowering, Strength, refuse};
use crate::{RemoteExpr, TruthValue};

impl Lowering<'_> {
    /// `column IS [NOT] NULL`
    pub(super) fn null_test(&self, operand: &Expr, operation: Operation) -> Result<Lowered, Reason> {
        let column = self.column(operand)?;
        let strength = self.rule(operation, column.domain)?;
        let name = column.name;
        let expr = if operation == Operation::IsNull { RemoteExpr::IsNull(name) } else { RemoteExpr::IsNotNull(name) };
        Ok(Lowered { expr, strength })
    }

    /// A boolean column standing alone.
    pub(super) fn bare_column(&self, expr: &Expr) -> Result<Lowered, Reason> {
        let (name, strength) = self.boolean(expr)?;
        Ok(Lowered { expr: RemoteExpr::Column(name), strength })
    }

    /// `column IS [NOT] TRUE | FALSE | UNKNOWN`
    pub(super) fn truth_test(&self, expr: &Expr) -> Result<Lowered, Reason> {
        let (operand, value, negated) = match expr {
            Expr::IsTrue(operand) => (operand, TruthValue::True, false),
            Expr::IsNotTrue(operand) => (operand, TruthValue::True, true),
            Expr::IsFalse(operand) => (operand, TruthValue::False, false),
            Expr::IsNotFalse(operand) => (operand, TruthValue::False, true),
            Expr::IsUnknown(operand) => (operand, TruthValue::Unknown, false),
            Expr::IsNotUnknown(operand) => (operand, TruthValue::Unknown, true),
            other => return Err(refuse::expression(other)),
        };
        let (column, strength) = self.boolean(operand)?;
        Ok(Lowered { expr: RemoteExpr::Truth { column, value, negated }, strength })
    }

    /// A boolean column's name, and the strength of its rule.
    fn boolean(&self, operand: &Expr) -> Result<(String, Strength), Reason> {
        let column = self.column(operand)?;
        if column.arrow_type != DataType::Boolean {
            return Err(Reason::new(format!("the column {} is not boolean", column.name)));
        }
        let strength = self.rule(Operation::Truth, column.domain)?;
        Ok((column.name, strength))
    }
}
