//! The aligned table, as psql draws it.
//!
//! Widths come from the first rows, which are held back until there are enough of them or no more. What follows
//! keeps these widths and streams; a wider value pushes its line out of the columns but is never cut. A blank line ends
//! the table, so that the next one stands apart.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::screen::{pad, visible, visible_line, widest, width};
use super::value::{is_number, write_text};
use super::{Expanded, Look, OutputError, ResultWriter, expanded};
use crate::error::Result;

/// Rows that are held back to learn the widths.
const WIDTH_ROWS_MAX: usize = 1_000;

/// Bytes of text that are held back to learn the widths.
const WIDTH_BYTES_MAX: usize = 4 << 20;

/// How NULL is shown.
const NULL: &str = "NULL";

/// One value, ready for the screen.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    null: bool,
}

impl Cell {
    /// Appends one line of the cell, dimmed if it is NULL.
    pub(super) fn push_line(&self, line: &str, colour: bool, out: &mut String) {
        if self.null && colour {
            out.push_str("\u{1b}[2m");
            out.push_str(line);
            out.push_str("\u{1b}[0m");
        } else {
            out.push_str(line);
        }
    }
}

/// A column's header and how its values stand.
#[derive(Debug)]
pub(super) struct Heading {
    pub(super) name: String,
    right: bool,
    width: usize,
}

/// Writes a table.
#[derive(Debug)]
pub(super) struct TableWriter {
    headings: Vec<Heading>,
    look: Look,
    held: Vec<Vec<Cell>>,
    held_bytes: usize,
    /// Whether the widths are settled and the header is written.
    started: bool,
    /// Whether rows are written as lists of values.
    expanded: bool,
    /// Columns that the widest value takes of those that were held back.
    widest_value: usize,
    rows: u64,
}

impl TableWriter {
    pub(super) fn new(schema: &SchemaRef, look: Look) -> Self {
        let headings = schema
            .fields()
            .iter()
            .map(|field| {
                let name = visible_line(field.name());
                Heading { width: width(&name), name, right: is_number(field.data_type()) }
            })
            .collect();
        Self {
            headings,
            look,
            held: Vec::new(),
            held_bytes: 0,
            started: false,
            expanded: false,
            widest_value: 0,
            rows: 0,
        }
    }

    /// Settles the widths and writes the header and the rows held back.
    fn start(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        self.started = true;
        for row in &self.held {
            for (heading, cell) in self.headings.iter_mut().zip(row) {
                let value = widest(&cell.text);
                heading.width = heading.width.max(value);
                self.widest_value = self.widest_value.max(value);
            }
        }
        self.expanded = match self.look.expanded {
            Expanded::On => true,
            Expanded::Off => false,
            // A space on either side of a column, and a bar between two.
            Expanded::Auto => self.look.width.is_some_and(|screen| {
                self.headings.iter().map(|heading| heading.width + 3).sum::<usize>().saturating_sub(1) > screen
            }),
        };
        if !self.expanded {
            out.write_all(self.header().as_bytes())?;
        }
        for row in std::mem::take(&mut self.held) {
            self.row(&row, out)?;
        }
        self.held_bytes = 0;
        Ok(())
    }

    /// The names, centred, and the rule below them.
    fn header(&self) -> String {
        if self.headings.is_empty() {
            return "--\n".to_owned();
        }
        let mut names = String::new();
        let mut rule = String::new();
        for (index, heading) in self.headings.iter().enumerate() {
            if index > 0 {
                names.push('|');
                rule.push('+');
            }
            let space = heading.width - width(&heading.name);
            pad(1 + space / 2, &mut names);
            names.push_str(&heading.name);
            pad(1 + space.div_ceil(2), &mut names);
            rule.extend(std::iter::repeat_n('-', heading.width + 2));
        }
        format!("{}\n{rule}\n", names.trim_end())
    }

    fn row(&mut self, row: &[Cell], out: &mut dyn Write) -> Result<(), OutputError> {
        self.rows += 1;
        if self.headings.is_empty() {
            return Ok(());
        }
        let text = match self.expanded {
            true => expanded::record(self.rows, &self.headings, row, self.widest_value, self.look),
            false => self.aligned(row),
        };
        Ok(out.write_all(text.as_bytes())?)
    }

    /// A row: as many lines as its tallest cell has; a `+` behind a line says that the cell goes on in the next.
    fn aligned(&self, row: &[Cell]) -> String {
        let mut text = String::new();
        let mut cells: Vec<_> = row.iter().map(|cell| (cell, cell.text.split('\n').peekable())).collect();
        loop {
            let mut more = false;
            let mut line = String::new();
            for (index, (heading, (cell, lines))) in self.headings.iter().zip(&mut cells).enumerate() {
                if index > 0 {
                    line.push('|');
                }
                let part = lines.next().unwrap_or_default();
                let space = heading.width.saturating_sub(width(part));
                line.push(' ');
                if heading.right {
                    pad(space, &mut line);
                    cell.push_line(part, self.look.colour, &mut line);
                } else {
                    cell.push_line(part, self.look.colour, &mut line);
                    pad(space, &mut line);
                }
                let goes_on = lines.peek().is_some();
                line.push(if goes_on { '+' } else { ' ' });
                more |= goes_on;
            }
            text.push_str(line.trim_end());
            text.push('\n');
            if !more {
                return text;
            }
        }
    }
}

impl ResultWriter for TableWriter {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), OutputError> {
        let mut buffer = String::new();
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(batch.num_columns());
            for column in batch.columns() {
                buffer.clear();
                let present = write_text(column.as_ref(), row, &mut buffer)?;
                let text = match present {
                    true => visible(&buffer),
                    false if self.look.blank_null => String::new(),
                    false => NULL.to_owned(),
                };
                self.held_bytes += text.len();
                cells.push(Cell { text, null: !present });
            }
            if self.started {
                self.row(&cells, out)?;
                continue;
            }
            self.held.push(cells);
            if self.held.len() >= WIDTH_ROWS_MAX || self.held_bytes >= WIDTH_BYTES_MAX {
                self.start(out)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        if !self.started {
            self.start(out)?;
        }
        let plural = if self.rows == 1 { "" } else { "s" };
        let footer = match (self.expanded, self.rows) {
            // Records are numbered: only their absence has to be said.
            (true, 1..) => "\n".to_owned(),
            (_, rows) => format!("({rows} row{plural})\n\n"),
        };
        Ok(out.write_all(footer.as_bytes())?)
    }
}
