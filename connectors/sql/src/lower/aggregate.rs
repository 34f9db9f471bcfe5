//! Functions over the rows of a group.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL128_MAX_SCALE, DataType};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::AggregateFunctionParams;
use portolan_connector::{Operation, Reason};

use super::operand::bare;
use super::{Lowering, Strength};
use crate::{AggregateFunction, ArithmeticOp, RemoteExpr, Typed};

/// The digits that the engine's sum of decimals has more than its argument, where there is room.
const SUM_DIGITS: u8 = 10;

/// The digits behind the point that the engine's average of decimals has more than its argument, where there is room.
const AVERAGE_DIGITS: u8 = 4;

impl Lowering<'_> {
    pub(super) fn aggregate(&mut self, expr: &Expr) -> Result<Typed, Reason> {
        let Expr::AggregateFunction(call) = bare(expr) else {
            return Err("what is no aggregate function has no rule here".into());
        };
        let name = call.func.name();
        let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } = &call.params;
        if !order_by.is_empty() || null_treatment.is_some() {
            return Err(Reason::new(format!("no rule for {name} in an order")));
        }
        let (function, operation) = match name {
            "count" => (AggregateFunction::Count, Operation::Count),
            "sum" => (AggregateFunction::Sum, Operation::Sum),
            "min" => (AggregateFunction::Min, Operation::Min),
            "max" => (AggregateFunction::Max, Operation::Max),
            "avg" => (AggregateFunction::Sum, Operation::Avg),
            "bool_and" => (AggregateFunction::BoolAnd, Operation::BoolAnd),
            "bool_or" => (AggregateFunction::BoolOr, Operation::BoolOr),
            other => return Err(Reason::new(format!("the aggregate function {other}() has no rule"))),
        };
        let [argument] = args.as_slice() else {
            return Err(Reason::new(format!("no rule for {name} of {} arguments", args.len())));
        };
        let filter = match filter {
            None => None,
            Some(filter) => {
                self.exact_rule(Operation::AggregateFilter, None)?;
                let filter = self.predicate(filter, 1)?;
                if filter.strength != Strength::Exact {
                    return Err("a condition that only prunes cannot choose rows".into());
                }
                Some(Box::new(filter.expr))
            }
        };
        // count(1) is how the planner writes count(*).
        if function == AggregateFunction::Count && matches!(bare(argument), Expr::Literal(value, _) if !value.is_null())
        {
            if *distinct {
                return Err("no rule for the number of different literals".into());
            }
            self.exact_rule(Operation::Count, None)?;
            let expr = RemoteExpr::Aggregate { function, argument: None, distinct: false, filter, collation: None };
            return Ok(Typed::new(expr, self.computed("count(*)", &DataType::Int64)?));
        }
        let is_column = matches!(bare(argument), Expr::Column(_));
        let mut argument = self.value(argument, 1)?;
        argument.never_null &= is_column;
        match function {
            AggregateFunction::Count => self.exact_rule(Operation::Count, None)?,
            _ => self.exact_rule(operation, Some(argument.column.domain))?,
        }
        let is_extreme = matches!(function, AggregateFunction::Min | AggregateFunction::Max);
        // The least of all values is the least of the different ones.
        let distinct = *distinct && !is_extreme;
        if distinct {
            self.exact_rule(Operation::GroupBy, Some(argument.column.domain))?;
        }
        if operation == Operation::Avg {
            return self.average(argument, distinct, filter);
        }
        let column = match function {
            AggregateFunction::Count => self.computed("count", &DataType::Int64)?,
            AggregateFunction::Sum => self.computed("sum", &sum_type(&argument.column.arrow_type)?)?,
            AggregateFunction::BoolAnd | AggregateFunction::BoolOr => self.computed(name, &DataType::Boolean)?,
            AggregateFunction::Min | AggregateFunction::Max => argument.column.clone(),
        };
        let collation = if is_extreme { self.collation(&argument.column) } else { None };
        let argument = match function == AggregateFunction::Count && argument.never_null && !distinct {
            true => None,
            false => Some(Box::new(argument.expr)),
        };
        let mut expr = RemoteExpr::Aggregate { function, argument, distinct, filter, collation };
        if function == AggregateFunction::Sum {
            // The source sums in a wider type; what the engine has no room for is an error there as here.
            expr = RemoteExpr::Cast { operand: Box::new(expr), type_name: self.exact_type(&column.arrow_type)? };
        }
        Ok(Typed::new(expr, column))
    }

    /// The sum by the number of values: of decimals cut off where the engine cuts it off; of integers the quotient of the
    /// doubles next to them.
    fn average(&mut self, argument: Typed, distinct: bool, filter: Option<Box<RemoteExpr>>) -> Result<Typed, Reason> {
        let over = |function, argument| {
            Box::new(RemoteExpr::Aggregate { function, argument, distinct, filter: filter.clone(), collation: None })
        };
        let values = Some(Box::new(argument.expr.clone()));
        // The number of rows is counted once for all averages.
        let counted = values.clone().filter(|_| distinct || !argument.never_null);
        let (dividend, divisor) = (over(AggregateFunction::Sum, values), over(AggregateFunction::Count, counted));
        if argument.column.arrow_type.is_integer() && !distinct {
            let column = self.computed("avg", &DataType::Float64)?;
            let double = self.exact_type(&DataType::Float64)?;
            let [left, right] =
                [dividend, divisor].map(|operand| Box::new(RemoteExpr::Cast { operand, type_name: double.clone() }));
            return Ok(Typed::new(RemoteExpr::Arithmetic { op: ArithmeticOp::Divide, left, right }, column));
        }
        let DataType::Decimal128(precision, scale) = argument.column.arrow_type else {
            return Err(Reason::new(format!("no rule for avg of {}", argument.column.arrow_type)));
        };
        let result = DataType::Decimal128(
            DECIMAL128_MAX_PRECISION.min(precision + AVERAGE_DIGITS),
            DECIMAL128_MAX_SCALE.min(scale + AVERAGE_DIGITS.cast_signed()),
        );
        let DataType::Decimal128(_, places) = result else { return Err("avg has another type".into()) };
        let places = u8::try_from(places).map_err(|_| Reason::from("no rule for avg of a negative scale"))?;
        let column = self.computed("avg", &result)?;
        let quotient = RemoteExpr::Quotient { dividend, divisor, places };
        let expr = RemoteExpr::Cast { operand: Box::new(quotient), type_name: self.exact_type(&result)? };
        Ok(Typed::new(expr, column))
    }
}

/// The type of the engine's sum.
fn sum_type(argument: &DataType) -> Result<DataType, Reason> {
    match argument {
        DataType::Int16 | DataType::Int32 | DataType::Int64 => Ok(DataType::Int64),
        DataType::Decimal128(precision, scale) => {
            Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION.min(precision + SUM_DIGITS), *scale))
        }
        other => Err(Reason::new(format!("no rule for sum of {other}"))),
    }
}
