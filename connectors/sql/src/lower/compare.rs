//! Comparisons, BETWEEN and IN.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, Expr, Operator};
use portolan_connector::{Operation, Reason};

use super::limits::MAX_IN_VALUES;
use super::operand::Side;
use super::{Lowered, Lowering, refuse};
use crate::{CompareOp, Operand, RemoteColumn, RemoteExpr};

impl Lowering<'_> {
    pub(super) fn comparison(&mut self, left: &Expr, op: Operator, right: &Expr) -> Result<Lowered, Reason> {
        let op = compare_op(op).ok_or_else(|| refuse::operator(op))?;
        match (self.side(left)?, self.side(right)?) {
            (Side::Column(column), Side::Literal(value)) => self.with_literal(&column, op, value),
            (Side::Literal(value), Side::Column(column)) => self.with_literal(&column, op.flipped(), value),
            (Side::Column(left), Side::Column(right)) => self.with_column(&left, op, &right),
            (Side::Literal(_), Side::Literal(_)) => Err("a comparison without a column has no rule".into()),
        }
    }

    fn with_literal(&mut self, column: &RemoteColumn, op: CompareOp, value: &ScalarValue) -> Result<Lowered, Reason> {
        let strength = self.rule(operation(op), column.domain)?;
        let literal = self.literal(value, column)?;
        let expr = RemoteExpr::Compare {
            op,
            left: Operand::Column(column.name.clone()),
            right: Operand::Literal(literal),
            collation: if op.is_ordering() { self.collation(column) } else { None },
        };
        Ok(Lowered { expr, strength })
    }

    /// Two columns compare the same in the source only when they are of one type there and here.
    fn with_column(&self, left: &RemoteColumn, op: CompareOp, right: &RemoteColumn) -> Result<Lowered, Reason> {
        let strength = self.rule(operation(op), left.domain)?;
        if left.domain != right.domain
            || left.arrow_type != right.arrow_type
            || left.cast != right.cast
            || left.labels != right.labels
        {
            return Err(Reason::new(format!("the columns {} and {} are of different types", left.name, right.name)));
        }
        let expr = RemoteExpr::Compare {
            op,
            left: Operand::Column(left.name.clone()),
            right: Operand::Column(right.name.clone()),
            // Two texts may have two collations, and then the source does not know which one is meant, not even for
            // equality.
            collation: self.collation(left),
        };
        Ok(Lowered { expr, strength })
    }

    pub(super) fn between(&mut self, between: &Between) -> Result<Lowered, Reason> {
        let column = self.column(&between.expr)?;
        let strength = self.rule_maybe_negated(Operation::Between, column.domain, between.negated)?;
        let low = self.literal(self.literal_side(&between.low)?, &column)?;
        let high = self.literal(self.literal_side(&between.high)?, &column)?;
        let collation = self.collation(&column);
        let expr = RemoteExpr::Between { column: column.name, low, high, negated: between.negated, collation };
        Ok(Lowered { expr, strength })
    }

    pub(super) fn in_list(&mut self, list: &InList) -> Result<Lowered, Reason> {
        let column = self.column(&list.expr)?;
        let strength = self.rule_maybe_negated(Operation::In, column.domain, list.negated)?;
        if list.list.is_empty() {
            return Err("an empty IN list has no rule".into());
        }
        if list.list.len() > MAX_IN_VALUES {
            return Err(Reason::new(format!("the IN list has more than {MAX_IN_VALUES} values")));
        }
        let mut values = Vec::with_capacity(list.list.len());
        for value in &list.list {
            let value = self.literal_side(value)?;
            check_zero(value)?;
            values.push(self.literal(value, &column)?);
        }
        Ok(Lowered { expr: RemoteExpr::In { column: column.name, values, negated: list.negated }, strength })
    }

    /// The collation under which the source compares the column's values as the engine does.
    fn collation(&self, column: &RemoteColumn) -> Option<String> {
        if !self.dialect.is_text(column) {
            return None;
        }
        self.dialect.byte_order_collation().map(str::to_owned)
    }
}

/// The engine compares with `=` as SQL does, but looks the values of an IN list up by their bits: to it, no row that
/// holds 0 is `IN (-0)`.
fn check_zero(value: &ScalarValue) -> Result<(), Reason> {
    let negative_zero = match value {
        ScalarValue::Float32(Some(value)) => *value == 0.0 && value.is_sign_negative(),
        ScalarValue::Float64(Some(value)) => *value == 0.0 && value.is_sign_negative(),
        _ => false,
    };
    if negative_zero { Err("the engine does not find 0 in an IN list with -0".into()) } else { Ok(()) }
}

fn compare_op(op: Operator) -> Option<CompareOp> {
    Some(match op {
        Operator::Eq => CompareOp::Eq,
        Operator::NotEq => CompareOp::NotEq,
        Operator::Lt => CompareOp::Lt,
        Operator::LtEq => CompareOp::LtEq,
        Operator::Gt => CompareOp::Gt,
        Operator::GtEq => CompareOp::GtEq,
        _ => return None,
    })
}

fn operation(op: CompareOp) -> Operation {
    match op {
        CompareOp::Eq => Operation::Eq,
        CompareOp::NotEq => Operation::NotEq,
        CompareOp::Lt => Operation::Lt,
        CompareOp::LtEq => Operation::LtEq,
        CompareOp::Gt => Operation::Gt,
        CompareOp::GtEq => Operation::GtEq,
    }
}
