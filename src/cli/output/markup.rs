//! Tables as Markdown and as HTML.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::value::{is_number, write_text};
use super::{Look, OutputError, ResultWriter};
use crate::error::Result;

/// What sets one markup apart from the other.
#[derive(Debug)]
struct Style {
    /// Before the header, with the rule below it, and behind the last row.
    head: fn(&[Column], bool) -> String,
    row: fn(&[Column], &[String]) -> String,
    foot: &'static str,
    escape: fn(&str) -> String,
}

const MARKDOWN: Style = Style { head: markdown_head, row: markdown_row, foot: "", escape: markdown_text };
const HTML: Style = Style { head: html_head, row: html_row, foot: "</table>\n", escape: html_text };

/// A column's name, ready to be written, and where its values stand.
#[derive(Debug)]
struct Column {
    name: String,
    right: bool,
}

/// Writes a table, a row at a time.
#[derive(Debug)]
pub(super) struct MarkupWriter {
    style: Style,
    columns: Vec<Column>,
    /// What stands for NULL, ready to be written.
    null: String,
    tuples_only: bool,
    started: bool,
}

impl MarkupWriter {
    /// A table of GitHub's Markdown.
    pub(super) fn markdown(schema: &Schema, look: &Look) -> Self {
        Self::new(MARKDOWN, schema, look)
    }

    /// An HTML table.
    pub(super) fn html(schema: &Schema, look: &Look) -> Self {
        Self::new(HTML, schema, look)
    }

    fn new(style: Style, schema: &Schema, look: &Look) -> Self {
        let column = |field: &arrow::datatypes::FieldRef| Column {
            name: (style.escape)(field.name()),
            right: is_number(field.data_type()),
        };
        let columns = schema.fields().iter().map(column).collect();
        let null = (style.escape)(look.null.as_deref().unwrap_or_default());
        Self { columns, null, tuples_only: look.tuples_only, started: false, style }
    }

    fn start(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        Ok(out.write_all((self.style.head)(&self.columns, self.tuples_only).as_bytes())?)
    }
}

impl ResultWriter for MarkupWriter {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), OutputError> {
        self.start(out)?;
        let mut value = String::new();
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(batch.num_columns());
            for column in batch.columns() {
                value.clear();
                cells.push(match write_text(column.as_ref(), row, &mut value)? {
                    true => (self.style.escape)(&value),
                    false => self.null.clone(),
                });
            }
            out.write_all((self.style.row)(&self.columns, &cells).as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        self.start(out)?;
        Ok(out.write_all(self.style.foot.as_bytes())?)
    }
}

fn markdown_head(columns: &[Column], tuples_only: bool) -> String {
    if tuples_only {
        return String::new();
    }
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let rules: Vec<&str> = columns.iter().map(|column| if column.right { "---:" } else { "---" }).collect();
    format!("{}|{}|\n", markdown_row(columns, &names), rules.join("|"))
}

fn markdown_row(_columns: &[Column], cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// A text that is one cell: what would end it, or begin something else, is escaped.
fn markdown_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' => out.extend(['\\', character]),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\n' => out.push_str("<br>"),
            '\r' => {}
            other => out.push(other),
        }
    }
    out
}

fn html_head(columns: &[Column], tuples_only: bool) -> String {
    let mut text = "<table>\n".to_owned();
    if !tuples_only {
        text.push_str("<tr>");
        for column in columns {
            text.push_str(&format!("<th>{}</th>", column.name));
        }
        text.push_str("</tr>\n");
    }
    text
}

fn html_row(columns: &[Column], cells: &[String]) -> String {
    let mut text = "<tr>".to_owned();
    for (column, cell) in columns.iter().zip(cells) {
        let align = if column.right { " align=\"right\"" } else { "" };
        text.push_str(&format!("<td{align}>{cell}</td>"));
    }
    text.push_str("</tr>\n");
    text
}

fn html_text(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    text.replace('\n', "<br>")
}
