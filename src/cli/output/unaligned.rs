//! Values with a separator between them and nothing else, as psql's unaligned output.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::value::write_text;
use super::{Expanded, Look, OutputError, ResultWriter};
use crate::error::Result;

/// Writes a line for each row, or for each value. Values are as they are: a separator or a line feed in one is not
/// marked.
#[derive(Debug)]
pub(super) struct UnalignedWriter {
    names: Vec<String>,
    look: Look,
    /// A line for each value.
    expanded: bool,
    started: bool,
    rows: u64,
}

impl UnalignedWriter {
    pub(super) fn new(schema: &Schema, look: Look) -> Self {
        let names = schema.fields().iter().map(|field| field.name().clone()).collect();
        Self { names, expanded: look.expanded == Expanded::On, look, started: false, rows: 0 }
    }

    fn start(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        if !std::mem::replace(&mut self.started, true) && !self.expanded && !self.look.tuples_only {
            writeln!(out, "{}", self.names.join(&self.look.separator))?;
        }
        Ok(())
    }

    fn row(&self, values: &[String], out: &mut dyn Write) -> std::io::Result<()> {
        if !self.expanded {
            return writeln!(out, "{}", values.join(&self.look.separator));
        }
        if self.rows > 1 {
            writeln!(out)?;
        }
        for (name, value) in self.names.iter().zip(values) {
            match self.look.tuples_only {
                true => writeln!(out, "{value}")?,
                false => writeln!(out, "{name}{}{value}", self.look.separator)?,
            }
        }
        Ok(())
    }
}

impl ResultWriter for UnalignedWriter {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), OutputError> {
        self.start(out)?;
        for row in 0..batch.num_rows() {
            self.rows += 1;
            let mut values = Vec::with_capacity(batch.num_columns());
            for column in batch.columns() {
                let mut text = String::new();
                if !write_text(column.as_ref(), row, &mut text)? {
                    text.push_str(self.look.null.as_deref().unwrap_or_default());
                }
                values.push(text);
            }
            self.row(&values, out)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        self.start(out)?;
        if self.look.footer && !self.look.tuples_only && !self.expanded {
            writeln!(out, "{}", super::row_count(self.rows))?;
        }
        Ok(())
    }
}
