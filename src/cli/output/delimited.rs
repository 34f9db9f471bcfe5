//! CSV and TSV.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::value::write_text;
use super::{Look, OutputError, ResultWriter};
use crate::error::Result;

/// What sets one kind of delimited text apart from another.
#[derive(Debug)]
struct Style {
    separator: char,
    null: &'static str,
    /// Adds a value to a line, quoted or escaped as it has to be.
    field: fn(&str, &mut String),
}

const CSV: Style = Style { separator: ',', null: "", field: csv_field };
const TSV: Style = Style { separator: '\t', null: "\\N", field: tsv_field };

/// One line for the names of the columns, and one for each row.
#[derive(Debug)]
pub(super) struct DelimitedWriter {
    style: Style,
    names: Vec<String>,
    /// What stands for NULL.
    null: String,
    /// Whether the line of names is written, or is not wanted.
    started: bool,
}

impl DelimitedWriter {
    /// CSV by RFC 4180, lines ended by a line feed. NULL is nothing, the empty text is `""`.
    pub(super) fn csv(schema: &Schema, look: &Look) -> Self {
        Self::new(CSV, schema, look)
    }

    /// Values between tabs, as PostgreSQL's `COPY` writes text: NULL is `\N`, and a backslash, tab, line feed or carriage
    /// return within a value is a backslash and a letter.
    pub(super) fn tsv(schema: &Schema, look: &Look) -> Self {
        Self::new(TSV, schema, look)
    }

    fn new(style: Style, schema: &Schema, look: &Look) -> Self {
        let names = schema.fields().iter().map(|field| field.name().clone()).collect();
        let null = look.null.clone().unwrap_or_else(|| style.null.to_owned());
        Self { style, names, null, started: look.tuples_only }
    }

    fn start(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        let mut line = String::new();
        for (index, name) in self.names.iter().enumerate() {
            self.separate(index, &mut line);
            (self.style.field)(name, &mut line);
        }
        line.push('\n');
        Ok(out.write_all(line.as_bytes())?)
    }

    fn separate(&self, index: usize, line: &mut String) {
        if index > 0 {
            line.push(self.style.separator);
        }
    }
}

impl ResultWriter for DelimitedWriter {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), OutputError> {
        self.start(out)?;
        let mut line = String::new();
        let mut value = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            for (index, column) in batch.columns().iter().enumerate() {
                self.separate(index, &mut line);
                value.clear();
                if write_text(column.as_ref(), row, &mut value)? {
                    (self.style.field)(&value, &mut line);
                } else {
                    line.push_str(&self.null);
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
