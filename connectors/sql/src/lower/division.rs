//! Quotients and remainders.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{Expr, Operator};
use portolan_connector::{Operation, Reason};

use super::compare::check_same_type;
use super::operand::bare;
use super::{Lowering, refuse};
use crate::{ArithmeticOp, RemoteExpr, Typed};

impl Lowering<'_> {
    /// A quotient of decimals, cut off where the engine cuts it off.
    pub(super) fn quotient(&mut self, left: Typed, right: Typed) -> Result<Typed, Reason> {
        self.exact_rule(Operation::Divide, Some(left.column.domain))?;
        let (one, other) = (&left.column.arrow_type, &right.column.arrow_type);
        let result = BinaryTypeCoercer::new(one, &Operator::Divide, other).get_result_type();
        let result = result.map_err(|_| refuse::operator(Operator::Divide))?;
        let DataType::Decimal128(_, scale) = result else { return Err(refuse::operator(Operator::Divide)) };
        let places = u8::try_from(scale).map_err(|_| refuse::operator(Operator::Divide))?;
        if left.column.domain != right.column.domain {
            return Err(refuse::operator(Operator::Divide));
        }
        let column = self.computed(&format!("{} / {}", left.column.name, right.column.name), &result)?;
        let quotient = RemoteExpr::Quotient { dividend: Box::new(left.expr), divisor: Box::new(right.expr), places };
        let expr = RemoteExpr::Cast { operand: Box::new(quotient), type_name: self.exact_type(&result)? };
        // The divisor may be 0.
        Ok(Typed::new(expr, column).or_fails(true))
    }

    /// A quotient of integers of one type, cut off toward zero.
    pub(super) fn whole_quotient(&mut self, left: Typed, right: Typed, divisor: Divisor) -> Result<Typed, Reason> {
        self.exact_rule(Operation::Divide, Some(left.column.domain))?;
        check_same_type(&left.column, &right.column)?;
        let column =
            self.computed(&format!("{} / {}", left.column.name, right.column.name), &left.column.arrow_type)?;
        let fallible = left.fallible || right.fallible || divisor != Divisor::Safe;
        let (left, right) = (Box::new(left.expr), Box::new(right.expr));
        Ok(Typed::new(RemoteExpr::Arithmetic { op: ArithmeticOp::Divide, left, right }, column).or_fails(fallible))
    }

    /// A remainder with the sign of the dividend. By -1 the smallest integer has none for the engine, and 0 for
    /// PostgreSQL.
    pub(super) fn remainder(&mut self, left: Typed, right: Typed, divisor: Divisor) -> Result<Typed, Reason> {
        self.exact_rule(Operation::Modulo, Some(left.column.domain))?;
        if divisor != Divisor::Safe {
            return Err("no rule for a remainder by what is no literal, or by 0 or -1".into());
        }
        let (one, other) = (&left.column.arrow_type, &right.column.arrow_type);
        let result = BinaryTypeCoercer::new(one, &Operator::Modulo, other).get_result_type();
        let result = result.map_err(|_| refuse::operator(Operator::Modulo))?;
        if one.is_integer() {
            check_same_type(&left.column, &right.column)?;
        } else if left.column.domain != right.column.domain || !fits_aligned(one, other) {
            return Err(refuse::operator(Operator::Modulo));
        }
        let column = self.computed(&format!("{} % {}", left.column.name, right.column.name), &result)?;
        let fallible = left.fallible || right.fallible;
        let (left, right) = (Box::new(left.expr), Box::new(right.expr));
        Ok(Typed::new(RemoteExpr::Arithmetic { op: ArithmeticOp::Remainder, left, right }, column).or_fails(fallible))
    }
}

/// Whether the engine can bring two decimals to one scale, whatever their values.
fn fits_aligned(one: &DataType, other: &DataType) -> bool {
    let (DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2)) = (one, other) else { return false };
    let scale = i16::from(*s1.max(s2));
    let fits =
        |precision: u8, s: i8| i16::from(precision) - i16::from(s) + scale <= i16::from(DECIMAL128_MAX_PRECISION);
    fits(*p1, *s1) && fits(*p2, *s2)
}

/// What a number is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Divisor {
    /// A literal by which every number can be divided.
    Safe,
    /// 0, -1, or what is no literal.
    Other,
}

impl Divisor {
    pub(super) fn of(expr: &Expr) -> Self {
        let safe = match bare(expr) {
            Expr::Literal(ScalarValue::Int16(Some(number)), _) => !matches!(number, 0 | -1),
            Expr::Literal(ScalarValue::Int32(Some(number)), _) => !matches!(number, 0 | -1),
            Expr::Literal(ScalarValue::Int64(Some(number)), _) => !matches!(number, 0 | -1),
            // The opposite of every decimal is one.
            Expr::Literal(ScalarValue::Decimal128(Some(unscaled), ..), _) => *unscaled != 0,
            _ => false,
        };
        if safe { Self::Safe } else { Self::Other }
    }
}
