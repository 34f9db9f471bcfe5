//! From lines to batches.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use memchr::memchr;
use serde::Deserializer as _;
use serde_json::value::RawValue;

use super::object::{Entries, Items, Lookup, Slot, located, read_object};
use crate::format::fault::{Fault, shown};
use crate::format::nested::{MapColumn, StructColumn};
use crate::format::project;
use crate::format::records::{LONGEST_RECORD_BYTES, RecordDecoder};
use crate::format::values::{ColumnBuilder, Misfit};
use crate::types::sql_name;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line without the mark that a file may begin with.
pub(super) fn without_mark(line: &[u8], number: u64) -> &[u8] {
    if number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line }
}

/// Reads the lines of one file.
pub(super) struct JsonDecoder {
    /// What is known of a line whose end has not come.
    partial: Vec<u8>,
    /// The number of the next line, from 1.
    line: u64,
    rows: Rows,
}

struct Rows {
    lookup: Lookup,
    /// For each column of the table, which of those that are read it is.
    slot_of: Vec<Option<usize>>,
    builders: Vec<ColumnBuilder>,
    shapes: Vec<Shape>,
    schema: SchemaRef,
    rows: usize,
    batch_rows: usize,
    null_on_mismatch: bool,
}

/// How the members of nested objects are found.
enum Shape {
    Plain,
    List(Box<Shape>),
    Map(Box<Shape>),
    Struct { lookup: Lookup, slot_of: Vec<Option<usize>>, members: Vec<Shape> },
}

impl Shape {
    fn of(builder: &ColumnBuilder) -> Self {
        match builder {
            ColumnBuilder::List(list) => Self::List(Box::new(Self::of(&list.items))),
            ColumnBuilder::Map(map) => Self::Map(Box::new(Self::of(&map.values))),
            ColumnBuilder::Struct(object) => Self::Struct {
                lookup: Lookup::new(object.fields.iter()),
                slot_of: (0..object.fields.len()).map(Some).collect(),
                members: object.columns.iter().map(Self::of).collect(),
            },
            _ => Self::Plain,
        }
    }
}

impl JsonDecoder {
    pub(super) fn new(
        table: &SchemaRef,
        columns: &[usize],
        batch_rows: usize,
        null_on_mismatch: bool,
    ) -> Result<Self, Fault> {
        let schema = project(table, columns);
        let builders = schema
            .fields()
            .iter()
            .map(|field| {
                ColumnBuilder::new(field.data_type(), batch_rows).ok_or_else(|| {
                    Fault::new(format!("values of type {} are not read from JSON", sql_name(field.data_type())))
                        .column(field.name())
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let slot_of =
            (0..table.fields().len()).map(|place| columns.iter().position(|column| *column == place)).collect();
        let rows = Rows {
            lookup: Lookup::new(table.fields().iter()),
            slot_of,
            shapes: builders.iter().map(Shape::of).collect(),
            builders,
            schema,
            rows: 0,
            batch_rows,
            null_on_mismatch,
        };
        Ok(Self { partial: Vec::new(), line: 1, rows })
    }
}

impl RecordDecoder for JsonDecoder {
    fn feed(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut at = 0;
        while let Some(length) = memchr(b'\n', bytes.get(at..).unwrap_or_default()) {
            let line = bytes.get(at..at + length).unwrap_or_default();
            at += length + 1;
            if self.partial.is_empty() {
                self.rows.take(line, self.line)?;
            } else {
                self.partial.extend_from_slice(line);
                self.rows.take(&self.partial, self.line)?;
                self.partial.clear();
            }
            self.line += 1;
            if self.rows.rows >= self.rows.batch_rows {
                return Ok(at);
            }
        }
        self.partial.extend_from_slice(bytes.get(at..).unwrap_or_default());
        if self.partial.len() > LONGEST_RECORD_BYTES {
            let longest = LONGEST_RECORD_BYTES / (1024 * 1024);
            return Err(Fault::new(format!("the line is longer than {longest} MB"))
                .at(self.line)
                .hint("each line of a JSON file holds one object"));
        }
        Ok(bytes.len())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.rows.take(&std::mem::take(&mut self.partial), self.line)
    }

    fn rows(&self) -> usize {
        self.rows.rows
    }

    fn take(&mut self) -> Result<RecordBatch> {
        let columns = self.rows.builders.iter_mut().map(ColumnBuilder::finish).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows.rows)));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.rows.schema), columns, &options)?)
    }
}

impl Rows {
    /// Takes a line, which is passed over when it is empty.
    fn take(&mut self, line: &[u8], number: u64) -> Result<(), Fault> {
        let line = without_mark(line, number);
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let mut slots = vec![Slot::default(); self.builders.len()];
        read_object(line, &self.lookup, &self.slot_of, &mut slots).map_err(|error| located(&error, number))?;
        for (place, ((slot, builder), shape)) in slots.iter().zip(&mut self.builders).zip(&self.shapes).enumerate() {
            append(builder, shape, slot.value, self.null_on_mismatch).map_err(|misfit| {
                let name = self.schema.fields().get(place).map_or("", |field| field.name());
                Fault::new(misfit.0).at(number).column(name).hint(
                    "declare a type that all values have in the table's section of the catalog file; varchar takes any",
                )
            })?;
        }
        self.rows += 1;
        Ok(())
    }
}

/// Adds a value, by the type of its column. A member that an object lacks is NULL, and `lenient`, a value that does not fit.
fn append(builder: &mut ColumnBuilder, shape: &Shape, value: Option<&RawValue>, lenient: bool) -> Result<(), Misfit> {
    let Some(text) = value.map(RawValue::get).filter(|text| *text != "null") else {
        builder.append_null();
        return Ok(());
    };
    match (text.as_bytes().first(), builder, shape) {
        (Some(b'['), ColumnBuilder::List(list), Shape::List(shape)) => {
            let mut items = Ok(());
            let mut deserializer = serde_json::Deserializer::from_str(text);
            let read = deserializer.deserialize_seq(Items(|item: &RawValue| {
                if items.is_ok() {
                    items = append(&mut list.items, shape, Some(item), lenient);
                    list.count();
                }
                Ok(())
            }));
            read.map_err(|error| Misfit(error.to_string()))?;
            items?;
            list.end()
        }
        (Some(b'{'), ColumnBuilder::Struct(object), Shape::Struct { lookup, slot_of, members }) => {
            append_object(object, (lookup, slot_of), members, text, lenient)
        }
        (Some(b'{'), ColumnBuilder::Map(map), Shape::Map(shape)) => append_map(map, shape, text, lenient),
        // A text keeps what is not text as the file has it.
        (Some(b'"'), builder, _) => builder.append_text_or_null(&unquoted(text)?, lenient),
        (_, builder @ (ColumnBuilder::Text(_) | ColumnBuilder::InnerText(_)), _) => builder.append_text(text),
        (Some(b'[' | b'{'), builder, _) if lenient => {
            builder.append_null();
            Ok(())
        }
        (Some(b'[' | b'{'), builder, _) => Err(Misfit(format!("`{}` is no {}", shown(text), builder.kind()))),
        (_, builder, _) => builder.append_text_or_null(text, lenient),
    }
}

fn append_object(
    object: &mut StructColumn,
    (lookup, slot_of): (&Lookup, &[Option<usize>]),
    members: &[Shape],
    text: &str,
    lenient: bool,
) -> Result<(), Misfit> {
    let mut slots = vec![Slot::default(); members.len()];
    read_object(text.as_bytes(), lookup, slot_of, &mut slots).map_err(|error| {
        let text = error.to_string();
        Misfit(text.split(" at line ").next().unwrap_or(&text).to_owned())
    })?;
    for (((slot, builder), shape), field) in slots.iter().zip(&mut object.columns).zip(members).zip(&object.fields) {
        append(builder, shape, slot.value, lenient)
            .map_err(|misfit| Misfit(format!("{}: {}", field.name(), misfit.0)))?;
    }
    object.end();
    Ok(())
}

/// A key that is there twice is an error, as it is in an object of columns.
fn append_map(map: &mut MapColumn, shape: &Shape, text: &str, lenient: bool) -> Result<(), Misfit> {
    let mut seen = HashSet::new();
    let mut entries = Ok(());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_map(Entries(|key: String, value: &RawValue| {
        if entries.is_ok() {
            entries = map.keys.append_text(&key).and_then(|()| append(&mut map.values, shape, Some(value), lenient));
            map.count();
        }
        if seen.insert(key) { Ok(()) } else { Err("the map has a key twice".to_owned()) }
    }));
    entries?;
    read.map_err(|error| {
        let text = error.to_string();
        Misfit(text.split(" at line ").next().unwrap_or(&text).to_owned())
    })?;
    map.end()
}

/// The text of a string of JSON.
fn unquoted(json: &str) -> Result<Cow<'_, str>, Misfit> {
    let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(json).map(Cow::Owned).map_err(|error| {
        let text = error.to_string();
        Misfit(format!("{} in `{}`", text.split(" at line ").next().unwrap_or(&text), shown(json)))
    })
}
