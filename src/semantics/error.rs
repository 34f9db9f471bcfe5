//! Errors of arithmetic, written for the person at the terminal.

use std::fmt::Display;

use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

/// A calculation that has no right answer in its type. The statement or its data is wrong, not the engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArithmeticError {
    /// The result does not fit the type: `bigint out of range: 9223372036854775807 + 1`.
    #[error("{type_name} out of range: {calculation}")]
    OutOfRange {
        /// The SQL name of the result type.
        type_name: String,
        /// The calculation with its operands.
        calculation: String,
    },
    /// `/` or `%` with a divisor of zero, on integers or decimals.
    #[error("division by zero")]
    DivisionByZero,
    /// A date plus or minus an interval with hours, minutes or seconds that make no whole day.
    #[error("a date has no hours, minutes or seconds to add to; cast it to timestamp")]
    PartOfADay,
    /// A timestamp plus or minus an interval with parts for which it has no digits.
    #[error("a timestamp({digits}) has no digits for a part of the interval; cast it to timestamp({enough})")]
    FinerInterval {
        /// Digits after the second that there are.
        digits: u8,
        /// Digits that are enough for most intervals.
        enough: u8,
    },
}

impl ArithmeticError {
    /// A result that does not fit `data_type`.
    pub(super) fn out_of_range(data_type: &DataType, calculation: impl Display) -> Self {
        Self::OutOfRange { type_name: sql_name(data_type), calculation: calculation.to_string() }
    }

    /// What an Arrow kernel says, with the type that the result should have had.
    pub(super) fn from_kernel(error: ArrowError, data_type: &DataType) -> DataFusionError {
        match error {
            ArrowError::DivideByZero => Self::DivisionByZero.into(),
            ArrowError::ArithmeticOverflow(message) => {
                let calculation = message.strip_prefix("Overflow happened on: ").unwrap_or(&message);
                Self::out_of_range(data_type, calculation).into()
            }
            other => other.into(),
        }
    }
}

impl From<ArithmeticError> for DataFusionError {
    fn from(error: ArithmeticError) -> Self {
        Self::External(Box::new(error))
    }
}

/// The name that a person would write in a cast.
pub(super) fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 => "smallint".into(),
        DataType::Int32 => "integer".into(),
        DataType::Int64 => "bigint".into(),
        DataType::UInt8 => "tinyint unsigned".into(),
        DataType::UInt16 => "smallint unsigned".into(),
        DataType::UInt32 => "integer unsigned".into(),
        DataType::UInt64 => "bigint unsigned".into(),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => format!("decimal({p}, {s})"),
        DataType::Duration(_) => "duration".into(),
        other => other.to_string(),
    }
}
