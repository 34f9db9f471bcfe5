//! PostgreSQL's dialect.
//!
//! Sources of the rules: PostgreSQL's documentation, chapters "Lexical Structure" and "Data Types"; the ranges of
//! dates and times are those of `datatype/timestamp.h`.

mod function;
mod inet;
mod literal;
#[cfg(test)]
mod tests;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use portolan_connector::Reason;

use crate::calendar::{Day, MICROS_PER_DAY, time_text};
use crate::{Dialect, RemoteColumn, RemoteFunction, RemoteLiteral, RemoteValue};

pub use inet::inet_text;

/// Lists of so many values are sent as one array.
const ARRAY_VALUES_MIN: usize = 32;

/// Longer lists are sent as a relation: PostgreSQL's planner looks at each value of an array that a column is compared with, and
/// thinks worse of an index the more there are.
const ARRAY_VALUES_MAX: usize = 2_000;

/// Bytes of a name that PostgreSQL keeps (`NAMEDATALEN` less one).
const NAME_BYTES_MAX: usize = 63;

/// PostgreSQL, version 12 or later.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostgresDialect;

impl Dialect for PostgresDialect {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn check_identifier(&self, name: &str) -> Result<(), Reason> {
        if name.is_empty() {
            return Err("PostgreSQL has no empty names".into());
        }
        if name.contains('\0') {
            return Err("a name with a NUL character cannot exist in PostgreSQL".into());
        }
        Ok(())
    }

    fn quote_identifier(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn literal(&self, value: &ScalarValue, column: &RemoteColumn) -> Result<RemoteLiteral, Reason> {
        literal::literal(value, column)
    }

    fn like_pattern(&self, pattern: &ScalarValue) -> Result<RemoteLiteral, Reason> {
        literal::like_pattern(pattern)
    }

    /// Every literal is a quoted text with a cast: then a minus sign, an exponent or a word such as `infinity` is
    /// read by the type's own input function and never by the expression parser.
    fn write_literal(&self, literal: &RemoteLiteral) -> String {
        match &literal.value {
            RemoteValue::Boolean(value) => self.write_constant(Some(*value)),
            value => match value_text(value) {
                Some(text) => format!("{}::{}", quote(&text), literal.type_name),
                None => format!("NULL::{}", literal.type_name),
            },
        }
    }

    /// A long list is one array, which PostgreSQL parses once and not value by value.
    fn write_in(&self, operand: &str, values: &[RemoteLiteral], negated: bool) -> String {
        if let Some(array) = array(values) {
            if values.len() > ARRAY_VALUES_MAX {
                return format!("{operand} {}IN (SELECT unnest({array}))", if negated { "NOT " } else { "" });
            }
            let (test, quantifier) = if negated { ("<>", "ALL") } else { ("=", "ANY") };
            return format!("{operand} {test} {quantifier} ({array})");
        }
        let values: Vec<_> = values.iter().map(|value| self.write_literal(value)).collect();
        format!("{operand} {}IN ({})", if negated { "NOT " } else { "" }, values.join(", "))
    }

    fn write_text(&self, text: &str) -> String {
        quote(text)
    }

    fn write_constant(&self, value: Option<bool>) -> String {
        match value {
            Some(true) => "TRUE".to_owned(),
            Some(false) => "FALSE".to_owned(),
            None => "NULL::boolean".to_owned(),
        }
    }

    fn is_text(&self, column: &RemoteColumn) -> bool {
        literal::is_text(column)
    }

    fn byte_order_collation(&self) -> Option<&str> {
        Some("C")
    }

    fn cast(&self, expression: &str, type_name: &str) -> String {
        format!("{expression}::{type_name}")
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        Some(match data_type {
            DataType::Boolean => "boolean".to_owned(),
            DataType::Int16 => "int2".to_owned(),
            DataType::Int32 => "int4".to_owned(),
            DataType::Int64 => "int8".to_owned(),
            DataType::Float32 => "float4".to_owned(),
            DataType::Float64 => "float8".to_owned(),
            DataType::Decimal128(precision, scale) => format!("numeric({precision},{scale})"),
            _ => return None,
        })
    }

    fn write_function(&self, function: &RemoteFunction, argument: &str) -> String {
        function::write(function, argument, self)
    }

    /// Operators that an index over the elements answers.
    fn write_array_has(&self, operand: &str, values: &[RemoteLiteral], element_type: &str, all: bool) -> String {
        let values: Vec<_> = values.iter().map(|value| self.write_literal(value)).collect();
        format!("{operand} {} ARRAY[{}]::{element_type}[]", if all { "@>" } else { "&&" }, values.join(", "))
    }

    /// `/` rounds to a number of digits that depends on its operands; `div` gives the whole part of the quotient.
    fn write_quotient(&self, dividend: &str, divisor: &str, places: u8) -> String {
        format!("(div({dividend} * 1e{places}::numeric, {divisor}) * 1e-{places}::numeric)")
    }

    fn keeps_name(&self, name: &str) -> bool {
        name.len() <= NAME_BYTES_MAX && self.check_identifier(name).is_ok()
    }

    /// `SELECT FROM t` is allowed, and returns rows without columns.
    fn empty_select_list(&self) -> &'static str {
        ""
    }
}

/// The text that the type's input function reads as the value; `None` for NULL.
fn value_text(value: &RemoteValue) -> Option<String> {
    Some(match value {
        RemoteValue::Null => return None,
        RemoteValue::Boolean(value) => value.to_string(),
        RemoteValue::Integer(value) => value.to_string(),
        RemoteValue::Float32(value) => float_text(f64::from(*value), &format!("{value:?}")),
        RemoteValue::Float64(value) => float_text(*value, &format!("{value:?}")),
        RemoteValue::Decimal(digits) => digits.clone(),
        RemoteValue::Text(text) => text.clone(),
        RemoteValue::Bytes(bytes) => format!("\\x{}", hex(bytes)),
        RemoteValue::Uuid(bytes) => uuid_text(bytes),
        RemoteValue::Date(days) => {
            let (day, before_christ) = Day::from_epoch(i64::from(*days)).text();
            format!("{day}{}", era(before_christ))
        }
        RemoteValue::Time(micros) => time_text(*micros),
        RemoteValue::Timestamp(micros) => timestamp_text(*micros, ""),
        RemoteValue::Instant(micros) => timestamp_text(*micros, "+00"),
    })
}

/// Values as one array literal; `None` where there are few, or where they are not all of one type.
fn array(values: &[RemoteLiteral]) -> Option<String> {
    let first = values.first().filter(|_| values.len() >= ARRAY_VALUES_MIN)?;
    let mut text = String::from("{");
    for (at, value) in values.iter().enumerate() {
        if value.type_name != first.type_name {
            return None;
        }
        if at > 0 {
            text.push(',');
        }
        match value_text(&value.value) {
            None => text.push_str("NULL"),
            // In quotes a backslash takes the meaning of the next character away, and nothing else has any.
            Some(element) => {
                text.push('"');
                text.push_str(&element.replace('\\', "\\\\").replace('"', "\\\""));
                text.push('"');
            }
        }
    }
    text.push('}');
    Some(format!("{}::{}[]", quote(&text), first.type_name))
}

/// A text as a string constant that means the same whatever `standard_conforming_strings` says: with a backslash
/// in it, it takes the `E''` form, in which a backslash is doubled under either setting.
fn quote(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// The words that `float4in` and `float8in` know; `shortest` is the shortest text that reads back to the same number.
fn float_text(value: f64, shortest: &str) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        shortest.to_owned()
    }
}

/// In the ISO form, which PostgreSQL reads the same under every `DateStyle`. The era comes last.
fn timestamp_text(micros: i64, zone: &str) -> String {
    let (day, before_christ) = Day::from_epoch(micros.div_euclid(MICROS_PER_DAY)).text();
    format!("{day} {}{zone}{}", time_text(micros.rem_euclid(MICROS_PER_DAY)), era(before_christ))
}

fn era(before_christ: bool) -> &'static str {
    if before_christ { " BC" } else { "" }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn uuid_text(bytes: &[u8; 16]) -> String {
    let digits = hex(bytes);
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| digits.get(range).unwrap_or_default().to_owned());
    groups.join("-")
}
