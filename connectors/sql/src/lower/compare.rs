//! Comparisons, BETWEEN and IN.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, Expr, Operator};
use portolan_connector::{Operation, Reason};

use super::limits::MAX_IN_VALUES;
use super::operand::Side;
use super::{Lowered, Lowering, refuse};
use crate::{CompareOp, RemoteColumn, RemoteExpr, Typed};

impl Lowering<'_> {
    pub(super) fn comparison(
        &mut self,
        left: &Expr,
        op: Operator,
        right: &Expr,
        depth: usize,
    ) -> Result<Lowered, Reason> {
        let op = compare_op(op).ok_or_else(|| refuse::operator(op))?;
        match (self.side(left, depth)?, self.side(right, depth)?) {
            (Side::Value(value), Side::Literal(literal)) => self.with_literal(*value, op, literal),
            (Side::Literal(literal), Side::Value(value)) => self.with_literal(*value, op.flipped(), literal),
            (Side::Value(left), Side::Value(right)) => self.with_value(*left, op, *right),
            (Side::Literal(_), Side::Literal(_)) => Err("a comparison without a column has no rule".into()),
        }
    }

    fn with_literal(&mut self, value: Typed, op: CompareOp, literal: &ScalarValue) -> Result<Lowered, Reason> {
        let strength = self.rule(operation(op), value.column.domain)?;
        let value = match op {
            CompareOp::Eq | CompareOp::NotEq => with_padding(value, [literal]),
            _ => value,
        };
        let literal = self.literal(literal, &value.column)?;
        let expr = RemoteExpr::Compare {
            op,
            collation: if op.is_ordering() { self.collation(&value.column) } else { None },
            left: Box::new(value.expr),
            right: Box::new(RemoteExpr::Literal(literal)),
        };
        Ok(Lowered::new(expr, strength).or_fails(value.fallible))
    }

    /// Two values compare the same in the source only when they are of one type there and here.
    pub(super) fn with_value(&mut self, left: Typed, op: CompareOp, right: Typed) -> Result<Lowered, Reason> {
        let strength = self.rule(operation(op), left.column.domain)?;
        check_same_type(&left.column, &right.column)?;
        if left.column.clamped {
            return Err("values out of the engine's range are one to it and several to the source".into());
        }
        let fallible = left.fallible || right.fallible;
        // Two texts may have two collations, and then the source does not know which one is meant, not even for equality. Where
        // it is one, an index serves.
        let alike = left.is_stored() && right.is_stored() && left.column.collation == right.column.collation;
        let collation = match alike && left.column.collation.is_some() && !op.is_ordering() {
            true => None,
            false => self.collation(&left.column),
        };
        let both_padded = left.column.padded.is_some() && right.column.padded.is_some();
        let (left, right) = match both_padded && left.is_stored() && right.is_stored() && !op.is_ordering() {
            true => (left.compared().clone(), right.compared().clone()),
            false => (left.expr, right.expr),
        };
        let expr = RemoteExpr::Compare { op, collation, left: Box::new(left), right: Box::new(right) };
        Ok(Lowered::new(expr, strength).or_fails(fallible))
    }

    pub(super) fn between(&mut self, between: &Between, depth: usize) -> Result<Lowered, Reason> {
        let value = self.value(&between.expr, depth + 1)?;
        let strength = self.rule_maybe_negated(Operation::Between, value.column.domain, between.negated)?;
        let low = self.literal(self.literal_side(&between.low)?, &value.column)?;
        let high = self.literal(self.literal_side(&between.high)?, &value.column)?;
        let collation = self.collation(&value.column);
        let operand = Box::new(value.expr);
        let expr = RemoteExpr::Between { operand, low, high, negated: between.negated, collation };
        Ok(Lowered::new(expr, strength).or_fails(value.fallible))
    }

    pub(super) fn in_list(&mut self, list: &InList, depth: usize) -> Result<Lowered, Reason> {
        let operand = self.value(&list.expr, depth + 1)?;
        let strength = self.rule_maybe_negated(Operation::In, operand.column.domain, list.negated)?;
        if list.list.is_empty() {
            return Err("an empty IN list has no rule".into());
        }
        if list.list.len() > MAX_IN_VALUES {
            return Err(Reason::new(format!("the IN list has more than {MAX_IN_VALUES} values")));
        }
        let literals = list.list.iter().map(|value| self.literal_side(value)).collect::<Result<Vec<_>, _>>()?;
        let operand = with_padding(operand, literals.iter().copied());
        let mut values = Vec::with_capacity(literals.len());
        for value in literals {
            check_zero(value)?;
            values.push(self.literal(value, &operand.column)?);
        }
        let expr = RemoteExpr::In { operand: Box::new(operand.expr), values, negated: list.negated };
        Ok(Lowered::new(expr, strength).or_fails(operand.fallible))
    }

    /// A value that may be one text or another. Two columns may have two collations, and then the source does not know by
    /// which it should compare what comes of them.
    pub(super) fn of_one_collation(&self, value: Typed) -> Typed {
        match self.collation(&value.column) {
            Some(collation) => {
                Typed { expr: RemoteExpr::Collate { operand: Box::new(value.expr), collation }, ..value }
            }
            None => value,
        }
    }

    /// The collation under which the source compares the column's values as the engine does.
    pub(super) fn collation(&self, column: &RemoteColumn) -> Option<String> {
        if !self.vocabulary.dialect.is_text(column) {
            return None;
        }
        self.vocabulary.dialect.byte_order_collation().map(str::to_owned)
    }
}

/// A value that is to equal some of these literals, as it is stored if it is stored with blanks at its end: PostgreSQL
/// leaves such blanks out of account (manual, section 8.3), and so none of the literals may end in one.
fn with_padding<'a>(value: Typed, literals: impl IntoIterator<Item = &'a ScalarValue>) -> Typed {
    let plain = |literal: &ScalarValue| matches!(literal.try_as_str(), Some(Some(text)) if !text.ends_with(' '));
    match (&value.expr, &value.column.padded) {
        (RemoteExpr::Cast { operand, .. }, Some(type_name))
            if matches!(**operand, RemoteExpr::Column { .. }) && literals.into_iter().all(plain) =>
        {
            let column = RemoteColumn { cast: Some(type_name.clone()), padded: None, ..value.column.clone() };
            Typed { expr: RemoteExpr::clone(operand), column, ..value }
        }
        _ => value,
    }
}

/// Whether two values are of one type, there and here.
pub(crate) fn check_same_type(left: &RemoteColumn, right: &RemoteColumn) -> Result<(), Reason> {
    let same = left.domain == right.domain
        && left.arrow_type == right.arrow_type
        && left.cast == right.cast
        && left.labels == right.labels
        && left.encoding == right.encoding;
    if same {
        return Ok(());
    }
    Err(Reason::new(format!("the columns {} and {} are of different types", left.name, right.name)))
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
        Operator::IsNotDistinctFrom => CompareOp::NotDistinct,
        Operator::IsDistinctFrom => CompareOp::Distinct,
        _ => return None,
    })
}

fn operation(op: CompareOp) -> Operation {
    match op {
        CompareOp::Eq | CompareOp::NotDistinct => Operation::Eq,
        CompareOp::NotEq | CompareOp::Distinct => Operation::NotEq,
        CompareOp::Lt => Operation::Lt,
        CompareOp::LtEq => Operation::LtEq,
        CompareOp::Gt => Operation::Gt,
        CompareOp::GtEq => Operation::GtEq,
    }
}
