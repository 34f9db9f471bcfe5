//! What stands on either side of an operator.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use portolan_connector::Reason;

use super::{Lowering, refuse};
use crate::RemoteColumn;

/// One side of a comparison.
pub(super) enum Side<'e> {
    Column(RemoteColumn),
    Literal(&'e ScalarValue),
}

impl Lowering<'_> {
    /// A column or a literal, whatever transparent wrapping it has.
    pub(super) fn side<'e>(&self, expr: &'e Expr) -> Result<Side<'e>, Reason> {
        match unwrapped(expr) {
            Expr::Literal(value, _) => Ok(Side::Literal(value)),
            _ => self.column(expr).map(Side::Column),
        }
    }

    /// A column, whatever transparent wrapping it has.
    pub(super) fn column(&self, expr: &Expr) -> Result<RemoteColumn, Reason> {
        let Expr::Column(column) = unwrapped(expr) else {
            return Err(refuse::expression(expr));
        };
        let name = &column.name;
        self.dialect.check_identifier(name)?;
        let column = (self.columns)(name).ok_or_else(|| Reason::new(format!("the source has no column {name}")))?;
        // A cast to a text changes nothing only when the column is a text already.
        if matches!(bare(expr), Expr::Cast(_) | Expr::TryCast(_)) && !is_string(&column.arrow_type) {
            return Err(refuse::expression(bare(expr)));
        }
        Ok(column)
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
fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Alias(alias) = expr {
        expr = &alias.expr;
    }
    expr
}

/// The column or literal under aliases and under casts to a representation of text. Whether the operand of the cast
/// was a text to begin with is for the caller to check, who knows its type.
fn unwrapped(expr: &Expr) -> &Expr {
    let mut expr = bare(expr);
    loop {
        let (inner, target) = match expr {
            Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
            Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
            other => return other,
        };
        let inner = bare(inner);
        let transparent = match inner {
            Expr::Literal(value, _) => is_string(&value.data_type()),
            Expr::Column(_) | Expr::Cast(_) | Expr::TryCast(_) => true,
            _ => false,
        };
        if !is_string(target) || !transparent {
            return expr;
        }
        expr = inner;
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
