//! A value that a source computes, with its type; and what a translator has to know of the source.

use std::fmt;

use arrow::datatypes::DataType;
use datafusion::common::Column;
use portolan_connector::Capabilities;

use crate::{Dialect, RemoteColumn, RemoteExpr, SourceId};

/// A value that a source computes. In the source it has exactly the type that its column names.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    /// How it is computed.
    pub expr: RemoteExpr,
    /// Its type, as if it were a column. Its name is what messages call it.
    pub column: RemoteColumn,
    /// How many digits a decimal has at most, and how many of them behind the point, where that is less than its type
    /// has room for.
    pub digits: Option<(u8, u8)>,
    /// Whether computing it may fail, so that it must not be computed for rows that the engine would not compute it for.
    pub fallible: bool,
    /// Whether it is a column that has no NULL, as far as the engine knows.
    pub never_null: bool,
}

impl Typed {
    /// A column of a relation.
    pub fn column(source: SourceId, column: RemoteColumn) -> Self {
        Self::new(RemoteExpr::column(source, &column.name), column)
    }

    /// What never fails.
    pub fn new(expr: RemoteExpr, column: RemoteColumn) -> Self {
        Self { expr, column, digits: None, fallible: false, never_null: false }
    }

    /// The same, which may fail.
    #[must_use]
    pub fn or_fails(mut self, fallible: bool) -> Self {
        self.fallible |= fallible;
        self
    }

    /// Whether it is a column of a relation, perhaps converted.
    pub(crate) fn is_stored(&self) -> bool {
        match &self.expr {
            RemoteExpr::Column { .. } => true,
            RemoteExpr::Cast { operand, .. } => matches!(**operand, RemoteExpr::Column { .. }),
            _ => false,
        }
    }

    /// What is equal where this value is, and needs no conversion. PostgreSQL's `=` of `character(n)` leaves blanks at
    /// the end out of account (manual, section 8.3), as the conversion to text does.
    pub(crate) fn compared(&self) -> &RemoteExpr {
        match (&self.expr, &self.column.padded) {
            (RemoteExpr::Cast { operand, .. }, Some(_)) if self.is_stored() => operand,
            (expr, _) => expr,
        }
    }

    /// The digits of a decimal: all, and those behind the point.
    pub(crate) fn decimal_digits(&self) -> Option<(u8, u8)> {
        match (self.digits, &self.column.arrow_type) {
            (Some(digits), _) => Some(digits),
            (None, DataType::Decimal128(precision, scale)) => Some((*precision, u8::try_from(*scale).ok()?)),
            _ => None,
        }
    }
}

/// The columns that an expression may name.
pub trait Scope {
    /// What a column of the engine's is in the source.
    fn resolve(&self, column: &Column) -> Option<Typed>;
}

/// Names that mean columns of one relation, whatever alias qualifies them.
impl<F: Fn(&str) -> Option<RemoteColumn>> Scope for F {
    fn resolve(&self, column: &Column) -> Option<Typed> {
        self(&column.name).map(|column| Typed::column(SourceId::ALONE, column))
    }
}

/// What a translator has to know of a source.
#[derive(Clone, Copy)]
pub struct Vocabulary<'a> {
    /// The declared rules.
    pub capabilities: &'a Capabilities,
    /// How the source writes things.
    pub dialect: &'a dyn Dialect,
    /// The source's own type for what it computes of an Arrow type; `None` where it has none.
    pub computed: fn(&DataType) -> Option<RemoteColumn>,
}

impl fmt::Debug for Vocabulary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocabulary").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}
