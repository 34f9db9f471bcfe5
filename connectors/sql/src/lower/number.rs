//! Functions of numbers.

use arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;
use portolan_connector::{Operation, Reason};

use super::function::whole_number;
use super::{Lowering, refuse};
use crate::{RemoteExpr, RemoteFunction, Typed};

/// Digits behind the point that a number is rounded or cut off to, at most.
const PLACES_MAX: i64 = 38;

impl Lowering<'_> {
    pub(super) fn number_function(&mut self, call: &ScalarFunction, depth: usize) -> Result<Typed, Reason> {
        let (argument, places) = match call.args.as_slice() {
            [argument] => (argument, None),
            [argument, places] if matches!(call.name(), "round" | "trunc") => (argument, Some(literal_places(places)?)),
            _ => return Err(refuse::no_rule_for_function(call.name())),
        };
        let argument = self.value(argument, depth + 1)?;
        match call.name() {
            "abs" => self.absolute(argument),
            "ceil" => self.whole(RemoteFunction::Ceiling, Operation::Ceil, argument),
            "floor" => self.whole(RemoteFunction::Floor, Operation::Floor, argument),
            "round" => self.round(argument, places.unwrap_or_default()),
            _ => self.truncate(argument, places),
        }
    }

    /// Of the smallest integer there is none.
    fn absolute(&mut self, argument: Typed) -> Result<Typed, Reason> {
        let (result, digits) = (argument.column.arrow_type.clone(), argument.digits);
        let value = self.call(RemoteFunction::Absolute, Operation::Abs, argument, &result)?;
        Ok(Typed { digits, ..value }.or_fails(result.is_integer()))
    }

    /// The next whole number, which may have a digit more before the point.
    fn whole(&mut self, function: RemoteFunction, operation: Operation, argument: Typed) -> Result<Typed, Reason> {
        let result = argument.column.arrow_type.clone();
        match &result {
            DataType::Float64 => self.call(function, operation, argument, &result),
            DataType::Decimal128(precision, scale) if *scale > 0 => {
                let room = i16::from(*precision) - i16::from(*scale);
                let digits = argument.decimal_digits();
                let fits = digits.is_some_and(|(all, behind)| i16::from(all) - i16::from(behind) < room);
                let value = self.call(function, operation, argument, &result)?;
                if fits {
                    return Ok(value);
                }
                // The source has room for more digits than the engine, for which they are an overflow.
                let expr = RemoteExpr::Cast { operand: Box::new(value.expr), type_name: self.exact_type(&result)? };
                Ok(Typed { expr, ..value }.or_fails(true))
            }
            other => Err(Reason::new(format!("no rule for {operation} of {other}"))),
        }
    }

    /// Half away from zero. With fewer digits behind the point there is always room for one more before it.
    fn round(&mut self, argument: Typed, places: i32) -> Result<Typed, Reason> {
        self.exact_rule(Operation::Round, Some(argument.column.domain))?;
        let DataType::Decimal128(precision, scale) = argument.column.arrow_type else {
            return Err(Reason::new(format!("no rule for rounding {}", argument.column.arrow_type)));
        };
        let kept = i8::try_from(places).ok().filter(|places| *places >= 0 && scale >= 0);
        let kept = kept.ok_or("no rule for rounding before the point")?.min(scale);
        self.call(RemoteFunction::Round(places), Operation::Round, argument, &DataType::Decimal128(precision, kept))
    }

    fn truncate(&mut self, argument: Typed, places: Option<i32>) -> Result<Typed, Reason> {
        let (result, digits) = (argument.column.arrow_type.clone(), argument.digits);
        match (&result, places) {
            (DataType::Float64, None) | (DataType::Decimal128(..), _) => {
                let value = self.call(RemoteFunction::Truncate(places), Operation::Trunc, argument, &result)?;
                Ok(Typed { digits, ..value })
            }
            (other, _) => Err(Reason::new(format!("no rule for cutting off {other}"))),
        }
    }
}

fn literal_places(expr: &Expr) -> Result<i32, Reason> {
    let places = whole_number(expr).filter(|places| (-PLACES_MAX..=PLACES_MAX).contains(places));
    let places = places.and_then(|places| i32::try_from(places).ok());
    places.ok_or_else(|| {
        Reason::new(format!("no rule for digits that are no literal from -{PLACES_MAX} to {PLACES_MAX}"))
    })
}
