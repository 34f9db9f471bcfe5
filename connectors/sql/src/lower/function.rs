//! Functions of the values of one row.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;
use portolan_connector::{Operation, Reason};

use super::operand::bare;
use super::{Lowering, refuse};
use crate::{RemoteExpr, RemoteFunction, Typed};

/// Functions whose value is a truth value.
const PREDICATES: &[&str] = &["starts_with", "ends_with", "contains", "array_has", "array_has_all", "array_has_any"];

impl Lowering<'_> {
    /// Whether a function stands where a condition does.
    pub(super) fn is_condition(call: &ScalarFunction) -> bool {
        PREDICATES.contains(&call.name())
    }

    pub(super) fn function(&mut self, call: &ScalarFunction, depth: usize) -> Result<Typed, Reason> {
        match (call.name(), call.args.as_slice()) {
            ("date_part" | "date_trunc", _) => self.date_function(call, depth),
            ("abs" | "ceil" | "floor" | "round" | "trunc", _) => self.number_function(call, depth),
            ("array_has" | "array_has_all" | "array_has_any", [array, values]) => {
                self.array_test(call.name(), array, values, depth)
            }
            ("coalesce", values) if !values.is_empty() => {
                let (value, parts) = self.choice(Operation::Coalesce, values, depth)?;
                Ok(self.of_one_collation(Typed { expr: RemoteExpr::Coalesce(parts), ..value }))
            }
            ("nullif", [_, _]) => {
                let (value, parts) = self.choice(Operation::NullIf, &call.args, depth)?;
                let [first, second] = <[RemoteExpr; 2]>::try_from(self.byte_ordered(parts, &value))
                    .map_err(|_| refuse::no_rule_for_function("nullif"))?;
                Ok(Typed { expr: RemoteExpr::NullIf(Box::new(first), Box::new(second)), ..value })
            }
            (name @ ("greatest" | "least"), values) if !values.is_empty() => {
                let greatest = name == "greatest";
                let operation = if greatest { Operation::Greatest } else { Operation::Least };
                let (value, parts) = self.choice(operation, values, depth)?;
                let values = self.byte_ordered(parts, &value);
                Ok(Typed { expr: RemoteExpr::Extreme { greatest, values }, ..value })
            }
            ("concat", parts) if !parts.is_empty() => self.concatenation(parts.iter().collect(), true, depth),
            _ => self.text_function(call, depth),
        }
    }

    /// Values of one type of which one is taken: a value of that type, and the values.
    fn choice(&mut self, operation: Operation, of: &[Expr], depth: usize) -> Result<(Typed, Vec<RemoteExpr>), Reason> {
        let of: Vec<&Expr> = of.iter().collect();
        let (values, column) = self.alike(&of, depth)?;
        self.exact_rule(operation, Some(column.domain))?;
        let fallible = values.iter().any(|value| value.fallible);
        let value = Typed::new(RemoteExpr::Constant(None), column).or_fails(fallible);
        Ok((value, values.into_iter().map(|value| value.expr).collect()))
    }

    /// Texts under the collation by which the source compares them as the engine does; other values as they are.
    fn byte_ordered(&self, values: Vec<RemoteExpr>, like: &Typed) -> Vec<RemoteExpr> {
        let collated = |value| self.of_one_collation(Typed { expr: value, ..like.clone() }).expr;
        values.into_iter().map(collated).collect()
    }

    /// A function of one value that gives a value of a type.
    pub(super) fn call(
        &mut self,
        function: RemoteFunction,
        operation: Operation,
        argument: Typed,
        result: &DataType,
    ) -> Result<Typed, Reason> {
        self.exact_rule(operation, Some(argument.column.domain))?;
        let column = self.computed(&format!("{operation} of {}", argument.column.name), result)?;
        let fallible = argument.fallible;
        let expr = RemoteExpr::Function { function, argument: Box::new(argument.expr) };
        Ok(Typed::new(expr, column).or_fails(fallible))
    }
}

/// A whole number that is a literal.
pub(super) fn whole_number(expr: &Expr) -> Option<i64> {
    match bare(expr) {
        Expr::Literal(ScalarValue::Int64(value), _) => *value,
        Expr::Literal(ScalarValue::Int32(value), _) => value.map(i64::from),
        _ => None,
    }
}
