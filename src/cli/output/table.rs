//! The aligned table, as psql draws it.
//!
//! Widths come from the first rows, which are held back until there are enough of them or no more. What follows
//! keeps these widths and streams; a wider value pushes its line out of the columns but is never cut. Where each row is
//! shown at once, it widens its column for those that follow. A blank line ends the table, so that the next one stands
//! apart.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::screen::{pad, visible, visible_line, widest, width};
use super::value::{is_number, write_text};
use super::{Border, Expanded, Look, OutputError, ResultWriter, expanded, row_count};
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
            Expanded::Auto => self.look.width.is_some_and(|screen| self.width() > screen),
        };
        if !self.expanded && !self.look.tuples_only {
            out.write_all(self.header().as_bytes())?;
        }
        for row in std::mem::take(&mut self.held) {
            self.row(&row, out)?;
        }
        self.held_bytes = 0;
        Ok(())
    }

    /// Columns that a row takes.
    fn width(&self) -> usize {
        // A space on either side of a column, and a bar between two.
        let inner = self.headings.iter().map(|heading| heading.width + 3).sum::<usize>().saturating_sub(1);
        match self.look.border {
            Border::None => inner.saturating_sub(2 * self.headings.len()),
            Border::Inner => inner,
            Border::Outer => inner + 2,
        }
    }

    /// The names, centred, and the rule below them.
    fn header(&self) -> String {
        if self.headings.is_empty() {
            return "--\n".to_owned();
        }
        let names = self.headings.iter().map(|heading| {
            let space = heading.width - width(&heading.name);
            let mut cell = String::new();
            pad(space / 2, &mut cell);
            cell.push_str(&heading.name);
            pad(space.div_ceil(2), &mut cell);
            (cell, ' ')
        });
        let names = self.line(names);
        let rule = self.rule();
        match self.look.border {
            Border::Outer => format!("{rule}{names}{rule}"),
            _ => format!("{names}{rule}"),
        }
    }

    /// A line across the table.
    fn rule(&self) -> String {
        let cells = self.headings.iter().map(|heading| "-".repeat(heading.width));
        match self.look.border {
            Border::None => format!("{}\n", cells.collect::<Vec<_>>().join(" ")),
            Border::Inner => format!("-{}-\n", cells.collect::<Vec<_>>().join("-+-")),
            Border::Outer => format!("+-{}-+\n", cells.collect::<Vec<_>>().join("-+-")),
        }
    }

    /// A line of cells that are as wide as their columns, each with what stands behind it: a space, or a `+`.
    fn line(&self, cells: impl Iterator<Item = (String, char)>) -> String {
        let mut line = String::new();
        let (before, between) = match self.look.border {
            Border::None => ("", ""),
            Border::Inner => (" ", "| "),
            Border::Outer => ("| ", "| "),
        };
        for (index, (cell, mark)) in cells.enumerate() {
            line.push_str(if index == 0 { before } else { between });
            line.push_str(&cell);
            line.push(mark);
        }
        if self.look.border == Border::Outer {
            line.push('|');
        }
        format!("{}\n", line.trim_end())
    }

    fn row(&mut self, row: &[Cell], out: &mut dyn Write) -> Result<(), OutputError> {
        self.rows += 1;
        if self.headings.is_empty() {
            return Ok(());
        }
        if self.look.at_once && !self.expanded {
            for (heading, cell) in self.headings.iter_mut().zip(row) {
                heading.width = heading.width.max(widest(&cell.text));
            }
        }
        let text = match self.expanded {
            true => expanded::record(self.rows, &self.headings, row, self.widest_value, &self.look),
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
            let parts: Vec<(String, char)> = self
                .headings
                .iter()
                .zip(&mut cells)
                .map(|(heading, (cell, lines))| {
                    let part = lines.next().unwrap_or_default();
                    let space = heading.width.saturating_sub(width(part));
                    let mut text = String::new();
                    if heading.right {
                        pad(space, &mut text);
                    }
                    cell.push_line(part, self.look.colour, &mut text);
                    if !heading.right {
                        pad(space, &mut text);
                    }
                    let goes_on = lines.peek().is_some();
                    more |= goes_on;
                    (text, if goes_on { '+' } else { ' ' })
                })
                .collect();
            text.push_str(&self.line(parts.into_iter()));
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
                    false => visible(self.look.null.as_deref().unwrap_or(NULL)),
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
        if self.look.at_once && !self.held.is_empty() {
            self.start(out)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        if !self.started {
            self.start(out)?;
        }
        let mut footer = String::new();
        if self.look.border == Border::Outer && !self.expanded && !self.headings.is_empty() {
            footer.push_str(&self.rule());
        }
        // Records are numbered: only their absence has to be said.
        if self.look.footer && !self.look.tuples_only && !(self.expanded && self.rows > 0) {
            footer.push_str(&row_count(self.rows));
            footer.push('\n');
        }
        footer.push('\n');
        Ok(out.write_all(footer.as_bytes())?)
    }
}
