//! How one kind of SQL source writes things.

use std::fmt::Debug;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use portolan_connector::Reason;

use crate::{AggregateFunction, RemoteColumn, RemoteFunction, RemoteLiteral};

/// What differs between SQL sources in writing down a [`crate::RemoteQuery`].
///
/// What a source may be *asked* is not decided here but by the connector's rules.
pub trait Dialect: Debug + Send + Sync {
    /// The source's name in reasons, such as `PostgreSQL`.
    fn name(&self) -> &'static str;

    /// Whether the source can have such a name at all.
    fn check_identifier(&self, name: &str) -> Result<(), Reason>;

    /// The name, quoted, so that the source takes it literally. Only for names that
    /// [`Dialect::check_identifier`] accepts.
    fn quote_identifier(&self, name: &str) -> String;

    /// The engine's value as a value of the source, for comparison with the column. The value has the column's
    /// Arrow type, another representation of it, or is NULL. Refuses what the source cannot represent exactly.
    fn literal(&self, value: &ScalarValue, column: &RemoteColumn) -> Result<RemoteLiteral, Reason>;

    /// A pattern for `LIKE`, of the source's text type. The value is a text or NULL.
    fn like_pattern(&self, pattern: &ScalarValue) -> Result<RemoteLiteral, Reason>;

    /// Prints a literal with its type.
    fn write_literal(&self, literal: &RemoteLiteral) -> String;

    /// Prints the membership of an operand in a list of literals of one type.
    fn write_in(&self, operand: &str, values: &[RemoteLiteral], negated: bool) -> String {
        let values: Vec<_> = values.iter().map(|value| self.write_literal(value)).collect();
        format!("{operand} {}IN ({})", if negated { "NOT " } else { "" }, values.join(", "))
    }

    /// Prints an untyped text: the operand of `ESCAPE`.
    fn write_text(&self, text: &str) -> String;

    /// Prints a predicate that is always true, always false or always NULL.
    fn write_constant(&self, value: Option<bool>) -> String;

    /// Whether the source itself holds the column as text, so that `LIKE` and collations apply. A column that is
    /// text only in the engine (an enumeration, a UUID) is not.
    fn is_text(&self, column: &RemoteColumn) -> bool;

    /// The collation under which the source orders texts by their bytes, as the engine does; `None` where it always
    /// does.
    fn byte_order_collation(&self) -> Option<&str>;

    /// Prints an operand under a collation.
    fn collate(&self, operand: &str, collation: &str) -> String {
        format!("{operand} COLLATE {}", self.quote_identifier(collation))
    }

    /// Prints the conversion of an expression to a type.
    fn cast(&self, expression: &str, type_name: &str) -> String {
        format!("CAST({expression} AS {type_name})")
    }

    /// The type that has room for just the values of an Arrow type; `None` where there is none.
    fn type_name(&self, data_type: &DataType) -> Option<String>;

    /// Prints a call of a function.
    fn write_function(&self, function: &RemoteFunction, argument: &str) -> String;

    /// Prints whether an array has all of some values, or one of them.
    fn write_array_has(&self, operand: &str, values: &[RemoteLiteral], element_type: &str, all: bool) -> String;

    /// Prints a quotient of exact numbers, cut off behind so many digits after the point. The dividend is an operand.
    fn write_quotient(&self, dividend: &str, divisor: &str, places: u8) -> String;

    /// The name of a function over the rows of a group.
    fn aggregate_name(&self, function: AggregateFunction) -> &'static str {
        match function {
            AggregateFunction::Count => "count",
            AggregateFunction::Sum => "sum",
            AggregateFunction::Min => "min",
            AggregateFunction::Max => "max",
            AggregateFunction::BoolAnd => "bool_and",
            AggregateFunction::BoolOr => "bool_or",
        }
    }

    /// Whether the source tells a column of a result by all of this name, and not only by its beginning.
    fn keeps_name(&self, name: &str) -> bool;

    /// What stands between `SELECT` and `FROM` when only the number of rows matters.
    fn empty_select_list(&self) -> &'static str {
        "1"
    }

    /// The clause, at the end of the query, that bounds the number of rows.
    fn limit(&self, rows: usize) -> String {
        format!("LIMIT {rows}")
    }
}
