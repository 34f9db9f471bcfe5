//! CSV and TSV.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::value::write_text;
use super::{OutputError, ResultWriter};
use crate::error::Result;

/// CSV by RFC 4180 with a header, lines ended by a line feed. NULL is nothing, the empty text is `""`.
#[derive(Debug)]
pub(super) struct CsvWriter {
    names: Vec<String>,
    started: bool,
}

impl CsvWriter {
    pub(super) fn new(schema: &Schema) -> Self {
        Self { names: names(schema), started: false }
    }

    fn start(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        if !std::mem::replace(&mut self.started, true) {
            let mut line = String::new();
            for (index, name) in self.names.iter().enumerate() {
                separate(index, ',', &mut line);
                csv_field(name, &mut line);
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

impl ResultWriter for CsvWriter {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), OutputError> {
        self.start(out)?;
        let mut line = String::new();
        let mut field = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            for (index, column) in batch.columns().iter().enumerate() {
                separate(index, ',', &mut line);
                field.clear();
                if write_text(column.as_ref(), row, &mut field)? {
                    csv_field(&field, &mut line);
                }
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        self.start(out)
    }
}

fn csv_field(text: &str, line: &mut String) {
    let quoted =
        text.is_empty() || text.contains([',', '"', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ');
    if !quoted {
        line.push_str(text);
        return;
    }
    line.push('"');
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            line.push_str("\"\"");
        }
        line.push_str(part);
    }
    line.push('"');
}

/// Values between tabs, with a header, as PostgreSQL's `COPY` writes text: NULL is `\N`, and a backslash, tab, line
/// feed or carriage return within a value is a backslash and a letter.
#[derive(Debug)]
pub(super) struct TsvWriter {
    names: Vec<String>,
    started: bool,
}

impl TsvWriter {
    pub(super) fn new(schema: &Schema) -> Self {
        Self { names: names(schema), started: false }
    }

    fn start(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        if !std::mem::replace(&mut self.started, true) {
            let mut line = String::new();
            for (index, name) in self.names.iter().enumerate() {
                separate(index, '\t', &mut line);
                tsv_field(name, &mut line);
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

impl ResultWriter for TsvWriter {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), OutputError> {
        self.start(out)?;
        let mut line = String::new();
        let mut field = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            for (index, column) in batch.columns().iter().enumerate() {
                separate(index, '\t', &mut line);
                field.clear();
                if write_text(column.as_ref(), row, &mut field)? {
                    tsv_field(&field, &mut line);
                } else {
                    line.push_str("\\N");
                }
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        self.start(out)
    }
}

fn tsv_field(text: &str, line: &mut String) {
    for character in text.chars() {
        match character {
            '\\' => line.push_str("\\\\"),
            '\t' => line.push_str("\\t"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            other => line.push(other),
        }
    }
}

fn names(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

fn separate(index: usize, separator: char, line: &mut String) {
    if index > 0 {
        line.push(separator);
    }
}
