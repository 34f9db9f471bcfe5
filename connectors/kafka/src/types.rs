//! The types that a value column may be declared with.

use std::fmt;
use std::str::FromStr;

use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

/// The zone of `timestamp with time zone` columns: instants are kept in UTC.
const UTC: &str = "+00:00";

/// The most digits of a decimal.
const MAX_PRECISION: u8 = 38;

/// The types that a declaration may name, for error messages.
const KNOWN: &str = "boolean, tinyint, smallint, integer, bigint, real, double, decimal(p,s), varchar, json, date, \
                     timestamp, timestamp with time zone";

/// The type of a value column, named as in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum ValueType {
    /// `true` or `false`.
    Boolean,
    /// Whole numbers of 8 bits.
    TinyInt,
    /// Whole numbers of 16 bits.
    SmallInt,
    /// Whole numbers of 32 bits.
    Integer,
    /// Whole numbers of 64 bits.
    BigInt,
    /// Binary floating point of 32 bits.
    Real,
    /// Binary floating point of 64 bits.
    Double,
    /// Exact numbers.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: u8,
    },
    /// Text. A JSON string gives its text, any other value its JSON as written.
    Varchar,
    /// The JSON of the value as written, a string with its quotes.
    Json,
    /// A day.
    Date,
    /// A point in time.
    Timestamp {
        /// Digits of a second's fraction: 0, 3, 6 or 9.
        precision: u8,
        /// Whether it is an instant; otherwise it is a date and time of day without a zone.
        zone: bool,
    },
}

impl ValueType {
    /// The Arrow type.
    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Integer => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Real => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale.cast_signed()),
            Self::Varchar | Self::Json => DataType::Utf8,
            Self::Date => DataType::Date32,
            Self::Timestamp { precision, zone } => {
                let unit = match precision {
                    0 => TimeUnit::Second,
                    3 => TimeUnit::Millisecond,
                    9 => TimeUnit::Nanosecond,
                    _ => TimeUnit::Microsecond,
                };
                DataType::Timestamp(unit, zone.then(|| UTC.into()))
            }
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Integer => f.write_str("integer"),
            Self::BigInt => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Double => f.write_str("double"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Varchar => f.write_str("varchar"),
            Self::Json => f.write_str("json"),
            Self::Date => f.write_str("date"),
            Self::Timestamp { precision, zone } => {
                f.write_str("timestamp")?;
                if *precision != 6 {
                    write!(f, "({precision})")?;
                }
                f.write_str(if *zone { " with time zone" } else { "" })
            }
        }
    }
}

impl From<ValueType> for String {
    fn from(value_type: ValueType) -> Self {
        value_type.to_string()
    }
}

impl TryFrom<String> for ValueType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Reads a type's SQL name, case-insensitively. The error says what is wrong and what may be written.
impl FromStr for ValueType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, arguments) = split_arguments(text)?;
        let value_type = match (name.as_str(), arguments.as_slice()) {
            ("boolean" | "bool", []) => Self::Boolean,
            ("tinyint", []) => Self::TinyInt,
            ("smallint" | "int2", []) => Self::SmallInt,
            ("integer" | "int" | "int4", []) => Self::Integer,
            ("bigint" | "int8", []) => Self::BigInt,
            ("real" | "float4", []) => Self::Real,
            ("double" | "double precision" | "float8", []) => Self::Double,
            ("float", _) => {
                return Err(format!("`{text}` means 32 bits to some and 64 to others: write real or double"));
            }
            ("decimal" | "numeric", []) => {
                return Err(format!("`{text}` needs a precision and a scale, such as decimal(12,2)"));
            }
            ("decimal" | "numeric", [precision]) => decimal(text, *precision, 0)?,
            ("decimal" | "numeric", [precision, scale]) => decimal(text, *precision, *scale)?,
            ("varchar" | "text" | "string", []) => Self::Varchar,
            ("json", []) => Self::Json,
            ("date", []) => Self::Date,
            ("timestamp" | "timestamp without time zone", arguments) => timestamp(text, arguments, false)?,
            ("timestamp with time zone" | "timestamptz", arguments) => timestamp(text, arguments, true)?,
            (name, _) if name.starts_with(['[', '<']) || is_nested(name) => {
                return Err(format!("`{text}` is nested: declare the column as json to get its JSON text"));
            }
            _ => return Err(format!("`{text}` is not a type of a value column; known are {KNOWN}")),
        };
        Ok(value_type)
    }
}

fn is_nested(name: &str) -> bool {
    ["array", "list", "map", "row", "struct"].iter().any(|nested| name.starts_with(nested))
}

/// Splits `timestamp(3) with time zone` into `timestamp with time zone` and `[3]`.
fn split_arguments(text: &str) -> Result<(String, Vec<u8>), String> {
    let lower = text.to_ascii_lowercase();
    let (name, arguments) = match lower.split_once('(') {
        None => (lower, Vec::new()),
        Some((before, rest)) => {
            let (inside, after) = rest.split_once(')').ok_or_else(|| format!("`{text}` has no closing parenthesis"))?;
            if is_nested(before.trim()) {
                return Ok((before.trim().to_owned(), Vec::new()));
            }
            let arguments = inside
                .split(',')
                .map(|argument| argument.trim().parse().map_err(|_| format!("`{text}` has a wrong number in it")))
                .collect::<Result<_, _>>()?;
            (format!("{before} {after}"), arguments)
        }
    };
    Ok((name.split_whitespace().collect::<Vec<_>>().join(" "), arguments))
}

fn decimal(text: &str, precision: u8, scale: u8) -> Result<ValueType, String> {
    if precision == 0 || precision > MAX_PRECISION || scale > precision {
        return Err(format!("`{text}`: the precision must be from 1 to {MAX_PRECISION} and the scale at most that"));
    }
    Ok(ValueType::Decimal { precision, scale })
}

fn timestamp(text: &str, arguments: &[u8], zone: bool) -> Result<ValueType, String> {
    match arguments {
        [] => Ok(ValueType::Timestamp { precision: 6, zone }),
        [precision @ (0 | 3 | 6 | 9)] => Ok(ValueType::Timestamp { precision: *precision, zone }),
        _ => Err(format!("`{text}`: the precision must be 0, 3, 6 or 9")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_sql_writes_them() {
        for (text, name) in [
            ("BIGINT", "bigint"),
            ("int", "integer"),
            ("Double  Precision", "double"),
            ("numeric(12, 2)", "decimal(12,2)"),
            ("decimal(38)", "decimal(38,0)"),
            ("text", "varchar"),
            ("timestamp", "timestamp"),
            ("timestamp(6)", "timestamp"),
            ("TIMESTAMP(3) WITH TIME ZONE", "timestamp(3) with time zone"),
            ("timestamptz", "timestamp with time zone"),
        ] {
            let parsed: ValueType = text.parse().unwrap();
            assert_eq!(parsed.to_string(), name);
            assert_eq!(name.parse::<ValueType>().unwrap(), parsed, "{name} must read back");
        }
    }

    #[test]
    fn what_is_not_supported_says_what_to_write_instead() {
        for (text, part) in [
            ("float", "real or double"),
            ("decimal", "decimal(12,2)"),
            ("decimal(39,2)", "from 1 to 38"),
            ("decimal(2,3)", "at most that"),
            ("decimal(x)", "wrong number"),
            ("decimal(2", "closing parenthesis"),
            ("timestamp(2)", "0, 3, 6 or 9"),
            ("array(bigint)", "declare the column as json"),
            ("struct<a bigint>", "declare the column as json"),
            ("varbinary", "known are boolean"),
        ] {
            let message = text.parse::<ValueType>().unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
