//! JSON: an array of objects, or an object on each line.
//!
//! Numbers are written with all their digits, also where a double would lose some; `NaN` and the infinities, which
//! JSON does not have, are strings. Dates, times, intervals and bytes are strings as in the other formats.

use std::collections::HashSet;
use std::io::Write;

use arrow::array::{Array, AsArray, MapArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};

use super::indirect::resolve;
use super::value::{self, unprintable};
use super::{OutputError, ResultWriter};
use crate::error::Result;

/// Writes objects: one array of them, or one on each line.
#[derive(Debug)]
pub(super) struct JsonWriter {
    /// `"name":` for each column.
    keys: Vec<String>,
    lines: bool,
    rows: u64,
    text: String,
}

impl JsonWriter {
    /// A writer of an array of objects.
    pub(super) fn array(schema: &Schema) -> Self {
        Self::new(schema, false)
    }

    /// A writer of an object on each line.
    pub(super) fn lines(schema: &Schema) -> Self {
        Self::new(schema, true)
    }

    fn new(schema: &Schema, lines: bool) -> Self {
        let keys = unique(schema.fields().iter().map(|field| field.name().as_str()))
            .into_iter()
            .map(|name| {
                let mut key = String::new();
                write_string(&name, &mut key);
                key.push(':');
                key
            })
            .collect();
        Self { keys, lines, rows: 0, text: String::new() }
    }
}

impl ResultWriter for JsonWriter {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), OutputError> {
        for row in 0..batch.num_rows() {
            self.text.clear();
            if !self.lines {
                self.text.push_str(if self.rows == 0 { "[\n" } else { ",\n" });
            }
            self.text.push('{');
            for (index, (key, column)) in self.keys.iter().zip(batch.columns()).enumerate() {
                if index > 0 {
                    self.text.push(',');
                }
                self.text.push_str(key);
                write_value(column.as_ref(), row, &mut self.text)?;
            }
            self.text.push('}');
            if self.lines {
                self.text.push('\n');
            }
            out.write_all(self.text.as_bytes())?;
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        match (self.lines, self.rows) {
            (true, _) => {}
            (false, 0) => out.write_all(b"[]\n")?,
            (false, _) => out.write_all(b"\n]\n")?,
        }
        Ok(())
    }
}

/// Names of which none comes twice: an object keeps only one value for a name. The second `id` becomes `id_2`.
fn unique<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let written: HashSet<&str> = names.clone().collect();
    let mut taken: HashSet<String> = HashSet::new();
    names
        .map(|name| {
            let mut candidate = name.to_owned();
            let mut number = 1;
            while taken.contains(&candidate) || (number > 1 && written.contains(candidate.as_str())) {
                number += 1;
                candidate = format!("{name}_{number}");
            }
            taken.insert(candidate.clone());
            candidate
        })
        .collect()
}

/// Appends the value at `row` as JSON.
fn write_value(array: &dyn Array, row: usize, out: &mut String) -> Result<()> {
    match resolve(array, row)? {
        Some((array, row)) => write_present(array, row, out),
        None => {
            out.push_str("null");
            Ok(())
        }
    }
}

/// Appends a value that is not NULL and whose array holds its values itself.
pub(super) fn write_present(array: &dyn Array, row: usize, out: &mut String) -> Result<()> {
    match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            write_string(value::string(array, row)?, out);
            Ok(())
        }
        DataType::Boolean => value::write_present(array, row, out),
        data_type if data_type.is_numeric() => {
            let start = out.len();
            value::write_present(array, row, out)?;
            if out.get(start..).is_some_and(|number| number.ends_with(['N', 'y'])) {
                out.insert(start, '"');
                out.push('"');
            }
            Ok(())
        }
        DataType::List(_) => elements(&array.as_list_opt::<i32>().ok_or_else(|| unprintable(array))?.value(row), out),
        DataType::LargeList(_) => {
            elements(&array.as_list_opt::<i64>().ok_or_else(|| unprintable(array))?.value(row), out)
        }
        DataType::ListView(_) => {
            elements(&array.as_list_view_opt::<i32>().ok_or_else(|| unprintable(array))?.value(row), out)
        }
        DataType::LargeListView(_) => {
            elements(&array.as_list_view_opt::<i64>().ok_or_else(|| unprintable(array))?.value(row), out)
        }
        DataType::FixedSizeList(..) => {
            elements(&array.as_fixed_size_list_opt().ok_or_else(|| unprintable(array))?.value(row), out)
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct_opt().ok_or_else(|| unprintable(array))?.columns();
            let names = unique(fields.iter().map(|field| field.name().as_str()));
            object(names.iter().zip(columns), row, out)
        }
        DataType::Map(..) => entries(array.as_map_opt().ok_or_else(|| unprintable(array))?, row, out),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Duration(_)
        | DataType::Interval(_) => {
            let mut text = String::new();
            value::write_present(array, row, &mut text)?;
            write_string(&text, out);
            Ok(())
        }
        _ => Err(unprintable(array)),
    }
}

fn elements(values: &dyn Array, out: &mut String) -> Result<()> {
    out.push('[');
    for row in 0..values.len() {
        if row > 0 {
            out.push(',');
        }
        write_value(values, row, out)?;
    }
    out.push(']');
    Ok(())
}

fn object<'a>(
    members: impl Iterator<Item = (&'a String, &'a arrow::array::ArrayRef)>,
    row: usize,
    out: &mut String,
) -> Result<()> {
    out.push('{');
    for (index, (name, column)) in members.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        write_value(column.as_ref(), row, out)?;
    }
    out.push('}');
    Ok(())
}

/// A map as an object, its keys as text.
fn entries(map: &MapArray, row: usize, out: &mut String) -> Result<()> {
    let offsets = map.value_offsets();
    let bound = |index: usize| offsets.get(index).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
    out.push('{');
    for (index, entry) in (bound(row)..bound(row + 1)).enumerate() {
        if index > 0 {
            out.push(',');
        }
        let mut key = String::new();
        value::write_text(map.keys().as_ref(), entry, &mut key)?;
        write_string(&key, out);
        out.push(':');
        write_value(map.values().as_ref(), entry, out)?;
    }
    out.push('}');
    Ok(())
}

/// A JSON string by RFC 8259, section 7.
fn write_string(text: &str, out: &mut String) {
    use std::fmt::Write;
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_so_that_a_parser_gives_them_back() {
        for text in ["plain", "a \"quote\" and a \\", "line\nbreak\r\t\u{0}\u{1f}\u{7f}", "é 漢 🚢 \u{2028}"] {
            let mut out = String::new();
            write_string(text, &mut out);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn no_name_comes_twice() {
        assert_eq!(unique(["id", "id", "x", "id"].into_iter()), ["id", "id_2", "x", "id_3"]);
        assert_eq!(unique(["id", "id", "id_2"].into_iter()), ["id", "id_3", "id_2"]);
    }
}
