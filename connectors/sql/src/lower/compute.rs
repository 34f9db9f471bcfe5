//! Values that are computed: literals standing alone, arithmetic, conversions, CASE.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{Expr, Operator};
use portolan_connector::{Operation, Reason};

use super::compare::check_same_type;
use super::division::Divisor;
use super::operand::{Side, bare, same_values};
use super::{Lowering, Strength, check_depth, refuse};
use crate::{ArithmeticOp, RemoteColumn, RemoteExpr, Typed};

impl Lowering<'_> {
    /// What is neither a column nor a text in another representation.
    pub(super) fn compute(&mut self, expr: &Expr, depth: usize) -> Result<Typed, Reason> {
        check_depth(depth)?;
        self.count_node()?;
        match bare(expr) {
            Expr::Literal(value, _) => self.lone_literal(value),
            Expr::BinaryExpr(binary) => match operator(binary.op) {
                Some(op) => {
                    let left = self.value(&binary.left, depth + 1)?;
                    let right = self.value(&binary.right, depth + 1)?;
                    self.arithmetic(left, op, right)
                }
                None if matches!(binary.op, Operator::Divide | Operator::Modulo) => {
                    let left = self.value(&binary.left, depth + 1)?;
                    let right = self.value(&binary.right, depth + 1)?;
                    let divisor = Divisor::of(&binary.right);
                    match (binary.op, left.column.arrow_type.is_integer()) {
                        (Operator::Modulo, _) => self.remainder(left, right, divisor),
                        (_, true) => self.whole_quotient(left, right, divisor),
                        (_, false) => self.quotient(left, right),
                    }
                }
                None if binary.op == Operator::StringConcat => {
                    self.concatenation(vec![&binary.left, &binary.right], false, depth)
                }
                None if is_predicate(binary.op) => self.condition(expr, depth),
                None => Err(refuse::operator(binary.op)),
            },
            Expr::Negative(operand) => {
                let operand = self.value(operand, depth + 1)?;
                let zero = ScalarValue::new_zero(&operand.column.arrow_type);
                let zero = zero.map_err(|_| refuse::operator(Operator::Minus))?;
                let zero = self.lone_literal(&zero)?;
                if operand.column.arrow_type.is_decimal() {
                    // A number of no more digits, whatever a difference may have.
                    self.exact_rule(Operation::Subtract, Some(operand.column.domain))?;
                    let (left, right) = (Box::new(zero.expr), Box::new(operand.expr));
                    let expr = RemoteExpr::Arithmetic { op: ArithmeticOp::Subtract, left, right };
                    return Ok(Typed { expr, ..operand });
                }
                self.arithmetic(zero, ArithmeticOp::Subtract, operand)
            }
            Expr::Cast(cast) => {
                let operand = self.value(&cast.expr, depth + 1)?;
                self.conversion(operand, cast.field.data_type())
            }
            Expr::Case(case) => self.case(case, depth),
            Expr::ScalarFunction(function) => self.function(function, depth),
            Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::InList(_)
            | Expr::Between(_)
            | Expr::Like(_) => self.condition(expr, depth),
            other => Err(refuse::expression(other)),
        }
    }

    /// A column of the source's own type for what it computes.
    pub(super) fn computed(&self, name: &str, data_type: &DataType) -> Result<RemoteColumn, Reason> {
        let column = (self.vocabulary.computed)(data_type);
        let column = column.ok_or_else(|| {
            Reason::new(format!("{} computes nothing of the type {data_type}", self.vocabulary.dialect.name()))
        })?;
        Ok(RemoteColumn { name: name.to_owned(), ..column })
    }

    /// A literal that is compared with nothing, in the type that it has.
    pub(super) fn lone_literal(&mut self, value: &ScalarValue) -> Result<Typed, Reason> {
        if matches!(value, ScalarValue::Null) {
            return Err("a NULL without a type has no rule here".into());
        }
        let column = self.computed(&value.to_string(), &value.data_type())?;
        let expr = match value {
            ScalarValue::Boolean(value) => RemoteExpr::Constant(*value),
            value => RemoteExpr::Literal(self.literal(value, &column)?),
        };
        let digits = decimal_digits(value);
        Ok(Typed { digits, ..Typed::new(expr, column) })
    }

    /// A condition as a value.
    fn condition(&mut self, expr: &Expr, depth: usize) -> Result<Typed, Reason> {
        let lowered = self.predicate(expr, depth + 1)?;
        if lowered.strength != Strength::Exact {
            return Err("a condition that only prunes is no value".into());
        }
        let column = self.computed("condition", &DataType::Boolean)?;
        Ok(Typed::new(lowered.expr, column).or_fails(lowered.fallible))
    }

    /// Integers of one type, which the source checks for overflow as the engine does; decimals of any two.
    fn arithmetic(&mut self, left: Typed, op: ArithmeticOp, right: Typed) -> Result<Typed, Reason> {
        let (operation, operator) = match op {
            ArithmeticOp::Add => (Operation::Add, Operator::Plus),
            ArithmeticOp::Subtract => (Operation::Subtract, Operator::Minus),
            ArithmeticOp::Multiply => (Operation::Multiply, Operator::Multiply),
            ArithmeticOp::Divide => return Err(refuse::operator(Operator::Divide)),
            ArithmeticOp::Remainder => return Err(refuse::operator(Operator::Modulo)),
        };
        self.exact_rule(operation, Some(left.column.domain))?;
        let (one, other) = (&left.column.arrow_type, &right.column.arrow_type);
        let result = BinaryTypeCoercer::new(one, &operator, other).get_result_type();
        let result = result.map_err(|_| refuse::operator(operator))?;
        let name = format!("{} {} {}", left.column.name, op.symbol(), right.column.name);
        let column = self.computed(&name, &result)?;
        let fallible = left.fallible || right.fallible;
        let expr = |left: Typed, right: Typed| RemoteExpr::Arithmetic {
            op,
            left: Box::new(left.expr),
            right: Box::new(right.expr),
        };
        if one.is_integer() {
            check_same_type(&left.column, &right.column)?;
            return Ok(Typed::new(expr(left, right), column).or_fails(true));
        }
        let digits = left.decimal_digits().zip(right.decimal_digits());
        let ((p1, s1), (p2, s2)) =
            digits.filter(|_| left.column.domain == right.column.domain).ok_or_else(|| refuse::operator(operator))?;
        let digits = match op {
            ArithmeticOp::Multiply => (p1.saturating_add(p2), s1.saturating_add(s2)),
            _ => {
                let scale = s1.max(s2);
                (p1.saturating_sub(s1).max(p2.saturating_sub(s2)).saturating_add(scale).saturating_add(1), scale)
            }
        };
        let expr = expr(left, right);
        if digits.0 <= DECIMAL128_MAX_PRECISION {
            return Ok(Typed { digits: Some(digits), ..Typed::new(expr, column).or_fails(fallible) });
        }
        // The source has room for more digits than the engine, for which they are an overflow.
        let expr = RemoteExpr::Cast { operand: Box::new(expr), type_name: self.exact_type(&result)? };
        Ok(Typed::new(expr, column).or_fails(true))
    }

    /// The source's type that has room for just what the engine's has room for.
    pub(super) fn exact_type(&self, data_type: &DataType) -> Result<String, Reason> {
        let dialect = self.vocabulary.dialect;
        dialect
            .type_name(data_type)
            .ok_or_else(|| Reason::new(format!("{} has no type that is just {data_type}", dialect.name())))
    }

    /// A conversion that gives the same number everywhere.
    fn conversion(&mut self, operand: Typed, to: &DataType) -> Result<Typed, Reason> {
        let from = operand.column.arrow_type.clone();
        if same_values(&from, to) {
            return Ok(operand);
        }
        self.exact_rule(Operation::Cast, Some(operand.column.domain))?;
        let column = self.computed(&operand.column.name, to)?;
        // Room for all digits, before the point and behind it.
        let widens = match (&from, to) {
            (DataType::Int16, DataType::Int32 | DataType::Int64 | DataType::Float64)
            | (DataType::Int32, DataType::Int64 | DataType::Float64)
            | (DataType::Float32, DataType::Float64) => true,
            // To the nearest double, there and here.
            (DataType::Int64, DataType::Float64) => true,
            (DataType::Boolean | DataType::Int16 | DataType::Int32 | DataType::Int64, DataType::Utf8) => true,
            // Of dates that nanoseconds do not reach the engine makes an error, and the source a timestamp.
            (DataType::Date32, DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, None)) => true,
            (DataType::Int16 | DataType::Int32 | DataType::Int64, DataType::Decimal128(precision, scale)) => {
                let digits = match from {
                    DataType::Int16 => 5,
                    DataType::Int32 => 10,
                    _ => 19,
                };
                i16::from(*precision) - i16::from(*scale) >= digits
            }
            (DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2)) => {
                let (whole, room) = (i16::from(*p1) - i16::from(*s1), i16::from(*p2) - i16::from(*s2));
                if s2 < s1 {
                    return Err(Reason::new(format!("no rule for rounding {from} to {to}")));
                }
                room >= whole
            }
            _ => return Err(Reason::new(format!("no rule for a cast from {from} to {to}"))),
        };
        let digits = match (&from, widens) {
            (_, false) => None,
            (DataType::Int16, true) => Some((5, 0)),
            (DataType::Int32, true) => Some((10, 0)),
            (DataType::Int64, true) => Some((19, 0)),
            _ => operand.decimal_digits(),
        };
        let digits = digits.filter(|_| to.is_decimal());
        let fallible = operand.fallible || !widens;
        let expr = match (from.is_decimal(), widens) {
            // The same number.
            (true, true) => operand.expr,
            _ => RemoteExpr::Cast {
                operand: Box::new(operand.expr),
                type_name: if widens { self.plain_type(&column)? } else { self.exact_type(to)? },
            },
        };
        Ok(Typed { digits, ..Typed::new(expr, column).or_fails(fallible) })
    }

    fn plain_type(&self, column: &RemoteColumn) -> Result<String, Reason> {
        match &column.cast {
            Some(name) => Ok(name.clone()),
            None => self.exact_type(&column.arrow_type),
        }
    }

    /// CASE with conditions. One that compares an operand is written with conditions by the planner.
    fn case(&mut self, case: &Case, depth: usize) -> Result<Typed, Reason> {
        if case.expr.is_some() {
            return Err("no rule for a CASE that compares an operand".into());
        }
        let mut conditions = Vec::new();
        let mut fallible = false;
        for (condition, _) in &case.when_then_expr {
            let condition = self.predicate(condition, depth + 1)?;
            if condition.strength != Strength::Exact {
                return Err("a condition that only prunes cannot choose".into());
            }
            fallible |= condition.fallible;
            conditions.push(condition.expr);
        }
        let values = case.when_then_expr.iter().map(|(_, value)| value.as_ref());
        let values: Vec<&Expr> = values.chain(case.else_expr.as_deref()).collect();
        let (mut values, column) = self.alike(&values, depth)?;
        self.exact_rule(Operation::Case, Some(column.domain))?;
        fallible |= values.iter().any(|value| value.fallible);
        let otherwise = match case.else_expr.is_some() {
            true => values.pop().map(|value| Box::new(value.expr)),
            false => None,
        };
        let branches = conditions.into_iter().zip(values.into_iter().map(|value| value.expr)).collect();
        Ok(self.of_one_collation(Typed::new(RemoteExpr::Case { branches, otherwise }, column).or_fails(fallible)))
    }

    /// Values of one type, of which some may be literals; and a column of that type.
    pub(super) fn alike(&mut self, values: &[&Expr], depth: usize) -> Result<(Vec<Typed>, RemoteColumn), Reason> {
        let mut found = Vec::with_capacity(values.len());
        for value in values {
            found.push(self.side(value, depth)?);
        }
        let of_value = found.iter().find_map(|side| match side {
            Side::Value(value) => Some(value.column.clone()),
            Side::Literal(_) => None,
        });
        let column = match of_value {
            Some(column) => column,
            None => {
                let literal = found.iter().find_map(|side| match side {
                    Side::Literal(value) if !value.is_null() => Some(value.data_type()),
                    _ => None,
                });
                self.computed("value", &literal.ok_or("values that are all NULL have no rule")?)?
            }
        };
        let mut alike = Vec::with_capacity(found.len());
        for side in found {
            alike.push(match side {
                Side::Value(value) => {
                    check_same_type(&column, &value.column)?;
                    *value
                }
                Side::Literal(ScalarValue::Boolean(value)) => Typed::new(RemoteExpr::Constant(*value), column.clone()),
                Side::Literal(value) => {
                    let literal = self.literal(value, &column)?;
                    Typed::new(RemoteExpr::Literal(literal), column.clone())
                }
            });
        }
        Ok((alike, column))
    }
}

fn operator(op: Operator) -> Option<ArithmeticOp> {
    match op {
        Operator::Plus => Some(ArithmeticOp::Add),
        Operator::Minus => Some(ArithmeticOp::Subtract),
        Operator::Multiply => Some(ArithmeticOp::Multiply),
        _ => None,
    }
}

fn is_predicate(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::And
            | Operator::Or
            | Operator::IsNotDistinctFrom
            | Operator::IsDistinctFrom
    )
}

/// The digits that a decimal literal has.
fn decimal_digits(value: &ScalarValue) -> Option<(u8, u8)> {
    let ScalarValue::Decimal128(Some(value), _, scale) = value else { return None };
    let scale = u8::try_from(*scale).ok()?;
    let digits = value.unsigned_abs().checked_ilog10().map_or(1, |digits| digits + 1);
    Some((u8::try_from(digits).ok()?.max(scale), scale))
}
