//! What stands on either side of an operator.

use arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::Expr;
use portolan_connector::Reason;

use super::{Lowering, refuse};
use crate::Typed;

/// One side of a comparison.
pub(super) enum Side<'e> {
    Value(Box<Typed>),
    Literal(&'e ScalarValue),
}

impl Lowering<'_> {
    /// A value or a literal, whatever transparent wrapping it has.
    pub(super) fn side<'e>(&mut self, expr: &'e Expr, depth: usize) -> Result<Side<'e>, Reason> {
        match unwrapped(expr) {
            Expr::Literal(value, _) => Ok(Side::Literal(value)),
            _ => self.value(expr, depth + 1).map(|value| Side::Value(Box::new(value))),
        }
    }

    /// What is computed of columns, whatever transparent wrapping it has.
    pub(super) fn value(&mut self, expr: &Expr, depth: usize) -> Result<Typed, Reason> {
        match unwrapped(expr) {
            Expr::Column(column) => {
                let value = self.column(column)?;
                // A cast to a text changes nothing only when the column is a text already.
                let is_cast = matches!(bare(expr), Expr::Cast(_) | Expr::TryCast(_));
                match is_cast && !is_string(&value.column.arrow_type) {
                    true => self.compute(expr, depth),
                    false => Ok(value),
                }
            }
            computed => self.compute(computed, depth),
        }
    }

    fn column(&self, column: &Column) -> Result<Typed, Reason> {
        let name = &column.name;
        self.vocabulary.dialect.check_identifier(name)?;
        self.scope.resolve(column).ok_or_else(|| Reason::new(format!("the source has no column {name}")))
    }

    /// A literal.
    pub(super) fn literal_side<'e>(&self, expr: &'e Expr) -> Result<&'e ScalarValue, Reason> {
        match unwrapped(expr) {
            Expr::Literal(value, _) => Ok(value),
            Expr::Column(column) => Err(Reason::new(format!("the column {} stands where a literal must", column.name))),
            _ => Err(refuse::expression(expr)),
        }
    }
}

/// The expression without aliases.
pub(super) fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Alias(alias) = expr {
        expr = &alias.expr;
    }
    expr
}

/// The column or literal under aliases and under casts to a representation of text; anything else without its aliases.
/// Whether the column was a text to begin with is for the caller to check, who knows its type.
fn unwrapped(expr: &Expr) -> &Expr {
    let start = bare(expr);
    let mut expr = start;
    loop {
        let (inner, target) = match expr {
            Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
            Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
            Expr::Column(_) => return expr,
            Expr::Literal(value, _) if is_string(&value.data_type()) => return expr,
            _ => return start,
        };
        if !is_string(target) {
            return start;
        }
        expr = bare(inner);
    }
}

/// Whether a type represents text. A dictionary of texts does.
pub(super) fn is_string(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_string(values),
        _ => false,
    }
}

/// Whether a type represents a byte string of any length.
fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// Whether values of both types are the same values in another representation at most.
pub(super) fn same_values(one: &DataType, other: &DataType) -> bool {
    match (one, other) {
        (DataType::Dictionary(_, one), other) => same_values(one, other),
        (one, DataType::Dictionary(_, other)) => same_values(one, other),
        (one, other) => one == other || (is_string(one) && is_string(other)) || (is_bytes(one) && is_bytes(other)),
    }
}
