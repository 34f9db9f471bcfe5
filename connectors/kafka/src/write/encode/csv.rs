//! One line of values for each message, as RFC 4180 writes them, without a line break at its end. NULL is an empty value, an
//! empty text is one in quotes.

use super::times::{Written, written};
use super::{decimal_text, float_text};
use crate::cell::Cell;
use crate::layout::{MessageColumn, Place};
use crate::types::ValueType;

/// Writes lines of values.
#[derive(Debug)]
pub(in crate::write) struct CsvWriter {
    /// For each value of a line, the place of its column among those of the statement.
    fields: Vec<Option<usize>>,
    columns: Vec<MessageColumn>,
    delimiter: char,
}

impl CsvWriter {
    /// A writer of lines of so many values, of which those that no column fills are NULL.
    pub(super) fn new(given: &[MessageColumn], delimiter: char, fields: usize) -> Self {
        let place = |field| given.iter().position(|column| column.place == Place::Field(field));
        Self { fields: (0..fields).map(place).collect(), columns: given.to_vec(), delimiter }
    }

    pub(super) fn write(&self, cells: &[Cell<'_>], out: &mut Vec<u8>) -> Result<(), String> {
        let mut line = String::new();
        for (index, place) in self.fields.iter().enumerate() {
            if index > 0 {
                line.push(self.delimiter);
            }
            let found = place.and_then(|place| Some((self.columns.get(place)?, cells.get(place)?)));
            let Some((column, cell)) = found else { continue };
            let value = value(cell, column).map_err(|error| format!("column {}: {error}", column.name))?;
            if let Some(value) = value {
                self.push(&value, &mut line);
            }
        }
        out.extend_from_slice(line.as_bytes());
        Ok(())
    }

    fn push(&self, value: &str, line: &mut String) {
        if !value.is_empty() && !value.contains([self.delimiter, '"', '\r', '\n']) {
            line.push_str(value);
            return;
        }
        line.push('"');
        line.push_str(&value.replace('"', "\"\""));
        line.push('"');
    }
}

/// The text of a value; `None` for NULL.
fn value(cell: &Cell<'_>, column: &MessageColumn) -> Result<Option<String>, String> {
    Ok(Some(match (cell, &column.value_type) {
        (Cell::Null, _) => return Ok(None),
        (Cell::Boolean(value), _) => value.to_string(),
        (
            Cell::Integer(units),
            value_type @ (ValueType::Date | ValueType::Time { .. } | ValueType::Timestamp { .. }),
        ) => match written(*units, value_type, &column.temporal)? {
            Written::Text(text) | Written::Number(text) => text,
        },
        (Cell::Integer(number), _) => number.to_string(),
        (Cell::Decimal(units), ValueType::Decimal { scale, .. }) => decimal_text(*units, *scale),
        (Cell::Real(number), _) => float_text(number.is_finite(), format!("{number:?}"))?,
        (Cell::Double(number), _) => float_text(number.is_finite(), format!("{number:?}"))?,
        (Cell::Text(text), _) => text.clone().into_owned(),
        (_, value_type) => return Err(format!("{value_type} is not written in lines of values")),
    }))
}
