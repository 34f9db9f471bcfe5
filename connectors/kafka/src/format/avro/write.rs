//! Values in Avro's binary encoding (Avro specification 1.12, "Binary Encoding").

use super::in_record;
use super::resolve::default;
use super::schema::{Logical, Schema};
use crate::cell::Cell;
use crate::format::framing;
use crate::registry::Reference;

/// Writes records of one schema.
#[derive(Debug)]
pub(crate) struct AvroWriter {
    /// The schema's id in the registry, which is written before each record.
    id: Option<u32>,
    fields: Vec<(String, Schema, Source)>,
}

/// Where the value of a field comes from.
#[derive(Debug)]
enum Source {
    /// The cell of this place.
    Given(usize),
    /// It is always the same.
    Default(Cell<'static>),
}

impl AvroWriter {
    /// A writer of records of this schema, whose fields of these names get values; the others have their default, or NULL.
    pub(crate) fn new(text: &str, references: &[Reference], id: Option<u32>, names: &[&str]) -> Result<Self, String> {
        let Schema::Record { fields, .. } = in_record(Schema::parse(text, references)?) else {
            return Err("the schema is no record".to_owned());
        };
        let fields = fields.iter().map(|field| {
            let source = match (names.iter().position(|name| *name == field.name), &field.default) {
                (Some(place), _) => Source::Given(place),
                (None, Some(value)) => Source::Default(default(value, &field.schema)?),
                (None, None) if field.schema.takes_null() => Source::Default(Cell::Null),
                (None, None) => return Err(format!("field {} has no default and gets no value", field.name)),
            };
            Ok((field.name.clone(), field.schema.clone(), source))
        });
        Ok(Self { id, fields: fields.collect::<Result<_, String>>()? })
    }

    /// Writes a record behind `out`.
    pub(crate) fn write(&self, cells: &[Cell<'_>], out: &mut Vec<u8>) -> Result<(), String> {
        if let Some(id) = self.id {
            framing::begin(id, out);
        }
        for (name, schema, source) in &self.fields {
            let cell = match source {
                Source::Given(place) => cells.get(*place).unwrap_or(&Cell::Null),
                Source::Default(cell) => cell,
            };
            value(cell, schema, out).map_err(|error| format!("field {name}: {error}"))?;
        }
        Ok(())
    }
}

/// A whole number of variable length, zigzag encoded.
fn long(number: i64, out: &mut Vec<u8>) {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    loop {
        let bits = u8::try_from(left & 0x7f).unwrap_or_default();
        left >>= 7;
        if left == 0 {
            out.push(bits);
            return;
        }
        out.push(bits | 0x80);
    }
}

fn length(length: usize, out: &mut Vec<u8>) {
    long(i64::try_from(length).unwrap_or(i64::MAX), out);
}

fn sized(bytes: &[u8], out: &mut Vec<u8>) {
    length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn value(cell: &Cell<'_>, schema: &Schema, out: &mut Vec<u8>) -> Result<(), String> {
    match (schema, cell) {
        (Schema::Union(branches), _) => return union(cell, branches, out),
        (Schema::Null, Cell::Null) => {}
        (_, Cell::Null) => return Err("it may not be NULL".to_owned()),
        (Schema::Boolean, Cell::Boolean(value)) => out.push(u8::from(*value)),
        (Schema::Int(_), Cell::Integer(number)) => match i32::try_from(*number) {
            Ok(number) => long(number.into(), out),
            Err(_) => return Err(format!("{number} is too large for int")),
        },
        (Schema::Long(_), Cell::Integer(number)) => long(*number, out),
        (Schema::Float, Cell::Real(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (Schema::Double, Cell::Double(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (Schema::String, Cell::Text(text)) => sized(text.as_bytes(), out),
        (Schema::Bytes(_), Cell::Bytes(bytes)) => sized(bytes, out),
        (Schema::Bytes(Logical::Decimal { .. }), Cell::Decimal(number)) => sized(shortest(&number.to_be_bytes()), out),
        (Schema::Fixed { size, .. }, Cell::Bytes(bytes)) if bytes.len() == *size => out.extend_from_slice(bytes),
        (Schema::Fixed { size, .. }, Cell::Bytes(bytes)) => {
            return Err(format!("it has {} bytes and not {size}", bytes.len()));
        }
        (Schema::Fixed { size, logical: Logical::Decimal { .. }, .. }, Cell::Decimal(number)) => {
            let bytes = number.to_be_bytes();
            let bytes = shortest(&bytes);
            let sign = if *number < 0 { 0xff } else { 0 };
            let Some(padding) = size.checked_sub(bytes.len()) else {
                return Err(format!("the number takes {} bytes and not {size}", bytes.len()));
            };
            out.extend(std::iter::repeat_n(sign, padding));
            out.extend_from_slice(bytes);
        }
        (Schema::Enum { name, symbols, .. }, Cell::Text(text)) => {
            match symbols.iter().position(|symbol| symbol == text.as_ref()) {
                Some(index) => length(index, out),
                None => return Err(format!("{text} is no symbol of {name}")),
            }
        }
        (Schema::Array(item), Cell::List(cells)) => {
            block(cells.len(), out);
            for (index, cell) in cells.iter().enumerate() {
                value(cell, item, out).map_err(|error| format!("element {}: {error}", index + 1))?;
            }
            long(0, out);
        }
        (Schema::Map(item), Cell::Entries(entries)) => {
            block(entries.len(), out);
            for (name, cell) in entries {
                sized(name.as_bytes(), out);
                value(cell, item, out).map_err(|error| format!("entry {name}: {error}"))?;
            }
            long(0, out);
        }
        (Schema::Record { fields, .. }, Cell::Fields(cells)) if fields.len() == cells.len() => {
            for (field, cell) in fields.iter().zip(cells) {
                value(cell, &field.schema, out).map_err(|error| format!("field {}: {error}", field.name))?;
            }
        }
        _ => return Err(format!("it is no {}", schema.name())),
    }
    Ok(())
}

/// The number of the first branch that takes the value, and the value.
fn union(cell: &Cell<'_>, branches: &[Schema], out: &mut Vec<u8>) -> Result<(), String> {
    let start = out.len();
    let mut refused = "it may not be NULL".to_owned();
    for (index, branch) in branches.iter().enumerate() {
        // What no branch but null takes is not told as no null.
        if *branch == Schema::Null && *cell != Cell::Null {
            continue;
        }
        length(index, out);
        match value(cell, branch, out) {
            Ok(()) => return Ok(()),
            Err(error) => refused = error,
        }
        out.truncate(start);
    }
    Err(refused)
}

/// What stands before the elements of an array or a map: all are in one block, and a block of none is the end.
fn block(count: usize, out: &mut Vec<u8>) {
    if count > 0 {
        length(count, out);
    }
}

/// A big-endian number in two's complement without bytes that only repeat its sign.
fn shortest(bytes: &[u8]) -> &[u8] {
    let mut bytes = bytes;
    while let [first @ (0 | 0xff), rest @ ..] = bytes
        && rest.first().is_some_and(|next| (next ^ first) & 0x80 == 0)
    {
        bytes = rest;
    }
    bytes
}
