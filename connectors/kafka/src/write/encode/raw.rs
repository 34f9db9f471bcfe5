//! Values at fixed places of a message's bytes, as [`crate::format`] reads them. There is no NULL, and bytes that belong to no
//! column are zero.

use crate::cell::Cell;
use crate::layout::{MessageColumn, Place};
use crate::types::ValueType;

/// Writes values at fixed places.
#[derive(Debug)]
pub(in crate::write) struct RawWriter {
    /// Names, types and places of the columns, by where they begin; the number is the place among those of the statement.
    columns: Vec<(usize, MessageColumn, usize, Option<usize>)>,
}

impl RawWriter {
    /// A writer of all columns of a part, or why there is none.
    pub(super) fn new(all: &[MessageColumn], given: &[MessageColumn]) -> Result<Self, String> {
        let mut columns = Vec::with_capacity(all.len());
        for column in all {
            let Some(place) = given.iter().position(|given| given.name == column.name) else {
                return Err(format!("the format raw has no NULL, and column {} gets no value", column.name));
            };
            let Place::Bytes(start, end) = column.place else {
                return Err(format!("it is not known where column {} is", column.name));
            };
            columns.push((place, column.clone(), start, end));
        }
        columns.sort_by_key(|(_, _, start, _)| *start);
        for pair in columns.windows(2) {
            if let [(_, one, _, end), (_, other, start, _)] = pair
                && end.is_none_or(|end| end > *start)
            {
                return Err(format!("columns {} and {} have bytes in common", one.name, other.name));
            }
        }
        Ok(Self { columns })
    }

    pub(super) fn write(&self, cells: &[Cell<'_>], out: &mut Vec<u8>) -> Result<(), String> {
        let first = out.len();
        for (place, column, start, end) in &self.columns {
            let cell = cells.get(*place).unwrap_or(&Cell::Null);
            out.resize(first + start, 0);
            bytes(cell, &column.value_type, end.map(|end| end - start), out)
                .map_err(|error| format!("column {}: {error}", column.name))?;
        }
        Ok(())
    }
}

/// The bytes of a value, so many of them; as many as it takes where the end is open.
fn bytes(cell: &Cell<'_>, value_type: &ValueType, width: Option<usize>, out: &mut Vec<u8>) -> Result<(), String> {
    match cell {
        Cell::Null => Err("the format raw has no NULL".to_owned()),
        Cell::Text(text) => exactly(text.as_bytes(), width, out),
        Cell::Bytes(bytes) => exactly(bytes, width, out),
        Cell::Real(number) => exactly(&number.to_be_bytes(), width, out),
        Cell::Double(number) => exactly(&number.to_be_bytes(), width, out),
        Cell::Boolean(value) => whole(i64::from(*value), width.unwrap_or(1), out),
        Cell::Integer(number) => {
            let own = match value_type {
                ValueType::TinyInt => 1,
                ValueType::SmallInt => 2,
                ValueType::Integer => 4,
                _ => 8,
            };
            whole(*number, width.unwrap_or(own), out)
        }
        Cell::Decimal(_) | Cell::List(_) | Cell::Entries(_) | Cell::Fields(_) => {
            Err(format!("{value_type} is not written at fixed places"))
        }
    }
}

fn exactly(bytes: &[u8], width: Option<usize>, out: &mut Vec<u8>) -> Result<(), String> {
    match width {
        Some(width) if width != bytes.len() => Err(format!("it has {} bytes and its place {width}", bytes.len())),
        _ => {
            out.extend_from_slice(bytes);
            Ok(())
        }
    }
}

fn whole(number: i64, width: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let wide = || format!("{number} does not fit into {width} bytes");
    match width {
        1 => out.extend_from_slice(&i8::try_from(number).map_err(|_| wide())?.to_be_bytes()),
        2 => out.extend_from_slice(&i16::try_from(number).map_err(|_| wide())?.to_be_bytes()),
        4 => out.extend_from_slice(&i32::try_from(number).map_err(|_| wide())?.to_be_bytes()),
        8 => out.extend_from_slice(&number.to_be_bytes()),
        _ => return Err(wide()),
    }
    Ok(())
}
