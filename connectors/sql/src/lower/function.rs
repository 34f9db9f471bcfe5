//! Functions of the values of one row.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;
use portolan_connector::{Operation, Reason};

use super::operand::{bare, is_string};
use super::{Lowering, refuse};
use crate::{DatePart, RemoteExpr, RemoteFunction, Typed};

impl Lowering<'_> {
    pub(super) fn function(&mut self, call: &ScalarFunction, depth: usize) -> Result<Typed, Reason> {
        match (call.name(), call.args.as_slice()) {
            ("date_part", [part, value]) => {
                let part = date_part(part)?;
                self.call(RemoteFunction::DatePart(part), Operation::DatePart, value, &DataType::Int32, depth)
            }
            ("substr", [text, from]) => self.substring(text, from, None, depth),
            ("substr", [text, from, length]) => self.substring(text, from, Some(length), depth),
            ("character_length", [text]) => {
                self.call(RemoteFunction::CharacterLength, Operation::CharacterLength, text, &DataType::Int32, depth)
            }
            ("coalesce", values) if !values.is_empty() => {
                let values: Vec<&Expr> = values.iter().collect();
                let (values, column) = self.alike(&values, depth)?;
                self.exact_rule(Operation::Coalesce, Some(column.domain))?;
                let fallible = values.iter().any(|value| value.fallible);
                let expr = RemoteExpr::Coalesce(values.into_iter().map(|value| value.expr).collect());
                Ok(self.of_one_collation(Typed::new(expr, column).or_fails(fallible)))
            }
            (name, _) => Err(refuse::no_rule_for_function(name)),
        }
    }

    /// PostgreSQL and the engine count characters from 1 and leave out what lies before the first. A position or a
    /// length that is no literal may be negative, which they take for different things.
    fn substring(&mut self, text: &Expr, from: &Expr, length: Option<&Expr>, depth: usize) -> Result<Typed, Reason> {
        let from = whole_number(from).filter(|from| *from >= 1);
        let from = from.ok_or("no rule for a substring that does not begin at a literal position from 1 on")?;
        let length = match length {
            None => None,
            Some(length) => {
                let length = whole_number(length).filter(|length| *length >= 0);
                Some(length.ok_or("no rule for a substring whose length is no literal from 0 on")?)
            }
        };
        self.call(RemoteFunction::Substring(from, length), Operation::Substring, text, &DataType::Utf8, depth)
    }

    fn call(
        &mut self,
        function: RemoteFunction,
        operation: Operation,
        argument: &Expr,
        result: &DataType,
        depth: usize,
    ) -> Result<Typed, Reason> {
        let argument = self.value(argument, depth + 1)?;
        self.exact_rule(operation, Some(argument.column.domain))?;
        let column = self.computed(&format!("{operation} of {}", argument.column.name), result)?;
        let fallible = argument.fallible;
        let expr = RemoteExpr::Function { function, argument: Box::new(argument.expr) };
        Ok(Typed::new(expr, column).or_fails(fallible))
    }
}

fn date_part(part: &Expr) -> Result<DatePart, Reason> {
    let Expr::Literal(part, _) = bare(part) else {
        return Err("no rule for a part of a date that is no literal".into());
    };
    let part = if is_string(&part.data_type()) { part.try_as_str().flatten() } else { None };
    match part.map(str::to_lowercase).as_deref() {
        Some("year") => Ok(DatePart::Year),
        Some("quarter") => Ok(DatePart::Quarter),
        Some("month") => Ok(DatePart::Month),
        Some("day") => Ok(DatePart::Day),
        _ => Err("no rule for this part of a date".into()),
    }
}

fn whole_number(expr: &Expr) -> Option<i64> {
    match bare(expr) {
        Expr::Literal(ScalarValue::Int64(value), _) => *value,
        Expr::Literal(ScalarValue::Int32(value), _) => value.map(i64::from),
        _ => None,
    }
}
