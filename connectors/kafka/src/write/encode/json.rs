//! One JSON object for each message, with a field for each column of the statement.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::times::{Written, written};
use super::{decimal_text, float_text};
use crate::cell::{Cell, shown};
use crate::layout::MessageColumn;
use crate::temporal::Temporal;
use crate::types::ValueType;

/// Writes JSON objects.
#[derive(Debug)]
pub(in crate::write) struct JsonWriter {
    columns: Vec<MessageColumn>,
}

impl JsonWriter {
    /// A writer of objects with these fields.
    pub(super) fn new(given: &[MessageColumn]) -> Self {
        Self { columns: given.to_vec() }
    }

    pub(super) fn write(&self, cells: &[Cell<'_>], out: &mut Vec<u8>) -> Result<(), String> {
        out.push(b'{');
        for (index, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            text(&column.name, out)?;
            out.push(b':');
            value(cell, &column.value_type, &column.temporal, out)
                .map_err(|error| format!("column {}: {error}", column.name))?;
        }
        out.push(b'}');
        Ok(())
    }
}

/// A JSON string.
fn text(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    serde_json::to_writer(out, text).map_err(|error| error.to_string())
}

fn value(cell: &Cell<'_>, value_type: &ValueType, temporal: &Temporal, out: &mut Vec<u8>) -> Result<(), String> {
    match (cell, value_type) {
        (Cell::Null, _) => out.extend_from_slice(b"null"),
        (Cell::Boolean(value), _) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        (Cell::Integer(units), ValueType::Date | ValueType::Time { .. } | ValueType::Timestamp { .. }) => {
            match written(*units, value_type, temporal)? {
                Written::Text(time) => text(&time, out)?,
                Written::Number(number) => out.extend_from_slice(number.as_bytes()),
            }
        }
        (Cell::Integer(number), _) => out.extend_from_slice(number.to_string().as_bytes()),
        (Cell::Decimal(units), ValueType::Decimal { scale, .. }) => {
            out.extend_from_slice(decimal_text(*units, *scale).as_bytes());
        }
        (Cell::Real(number), _) => {
            out.extend_from_slice(float_text(number.is_finite(), format!("{number:?}"))?.as_bytes());
        }
        (Cell::Double(number), _) => {
            out.extend_from_slice(float_text(number.is_finite(), format!("{number:?}"))?.as_bytes());
        }
        (Cell::Text(json), ValueType::Json) => {
            serde_json::from_str::<&RawValue>(json).map_err(|error| format!("{} is no JSON: {error}", shown(json)))?;
            out.extend_from_slice(json.trim().as_bytes());
        }
        (Cell::Text(value), _) => text(value, out)?,
        (Cell::List(cells), ValueType::Array(item)) => {
            out.push(b'[');
            for (index, cell) in cells.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                value(cell, item, temporal.of_elements(), out)
                    .map_err(|error| format!("element {}: {error}", index + 1))?;
            }
            out.push(b']');
        }
        (Cell::Entries(entries), ValueType::Map(of)) => {
            let mut names = HashSet::with_capacity(entries.len());
            if let Some((twice, _)) = entries.iter().find(|(name, _)| !names.insert(name)) {
                return Err(format!("entry {twice} is there twice, and a JSON object has it once"));
            }
            let temporal = temporal.of_elements();
            let fields = entries.iter().map(|(name, cell)| (name.as_ref(), cell, of.as_ref(), temporal));
            object(fields, "entry", out)?;
        }
        (Cell::Fields(cells), ValueType::Row(fields)) => {
            let fields = fields
                .iter()
                .zip(cells)
                .enumerate()
                .map(|(place, ((name, field), cell))| (name.as_str(), cell, field, temporal.of_field(place)));
            object(fields, "field", out)?;
        }
        _ => return Err(format!("it cannot be written as {value_type}")),
    }
    Ok(())
}

fn object<'a>(
    fields: impl Iterator<Item = (&'a str, &'a Cell<'a>, &'a ValueType, &'a Temporal)>,
    what: &str,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    out.push(b'{');
    for (index, (name, cell, value_type, temporal)) in fields.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text(name, out)?;
        out.push(b':');
        value(cell, value_type, temporal, out).map_err(|error| format!("{what} {name}: {error}"))?;
    }
    out.push(b'}');
    Ok(())
}
