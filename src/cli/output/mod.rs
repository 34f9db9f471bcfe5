//! Results as people and programs want them.
//!
//! A writer gets the batches of one answer one after another and holds on to no more of them than it has to: the
//! aligned table holds the first rows to learn its widths, Parquet a row group, the others a row.

mod columnar;
mod delimited;
mod expanded;
mod indirect;
mod json;
mod lines;
mod markup;
mod nothing;
mod screen;
mod table;
mod time;
mod unaligned;
mod value;

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

pub(crate) use screen::{screen_width, truncated};
pub(crate) use value::write_text;

use crate::error::{Error, Result};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns aligned for a person
    #[default]
    #[value(alias = "aligned")]
    Table,
    /// Values with a separator between them
    Unaligned,
    /// A line for each value
    #[value(alias = "vertical")]
    Expanded,
    /// Comma-separated values with a header (RFC 4180); NULL is nothing, the empty text is ""
    Csv,
    /// Tab-separated values with a header; NULL is \N
    Tsv,
    /// One JSON array of objects
    Json,
    /// A JSON object on each line
    #[value(alias = "jsonl")]
    Ndjson,
    /// A Markdown table
    #[value(alias = "md")]
    Markdown,
    /// An HTML table
    Html,
    /// The Arrow IPC streaming format
    Arrow,
    /// A Parquet file
    Parquet,
    /// Nothing: the query runs and its rows are thrown away
    Null,
}

impl Format {
    /// The format's name, as people write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Unaligned => "unaligned",
            Self::Expanded => "expanded",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
            Self::Null => "null",
        }
    }

    /// Whether the format is bytes rather than text.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
    }

    /// Whether the format is for a person rather than for a program.
    pub(crate) fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Expanded | Self::Unaligned)
    }
}

/// Whether a table shows each row as a list of its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expanded {
    /// Always.
    On,
    /// Never.
    #[default]
    Off,
    /// Where the columns do not fit side by side on the screen.
    Auto,
}

/// How the lines between columns and around a table are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Border {
    /// Not at all.
    None,
    /// Between columns.
    #[default]
    Inner,
    /// Also around the table.
    Outer,
}

/// How a result looks.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Rows as lists of values.
    pub(crate) expanded: Expanded,
    /// Columns of characters that the screen has, when there is one.
    pub(crate) width: Option<usize>,
    /// Whether NULL is dimmed, which tells it from the text `NULL`.
    pub(crate) colour: bool,
    /// What stands for NULL, where the format leaves that open; `None` is the format's own way.
    pub(crate) null: Option<String>,
    /// The lines of a table.
    pub(crate) border: Border,
    /// Rows without header and footer.
    pub(crate) tuples_only: bool,
    /// Whether the number of rows stands below a table.
    pub(crate) footer: bool,
    /// What is between the values of unaligned output.
    pub(crate) separator: String,
    /// Whether the answer is lines of text to print as they are: a plan, a definition.
    pub(crate) plain_lines: bool,
    /// Whether each row is shown as soon as it is there, since nobody knows when the next one comes.
    pub(crate) at_once: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            expanded: Expanded::Off,
            width: None,
            colour: false,
            null: None,
            border: Border::Inner,
            tuples_only: false,
            footer: true,
            separator: "|".to_owned(),
            plain_lines: false,
            at_once: false,
        }
    }
}

/// `(3 rows)`.
fn row_count(rows: u64) -> String {
    let plural = if rows == 1 { "" } else { "s" };
    format!("({rows} row{plural})")
}

/// What went wrong while a result was written.
#[derive(Debug)]
pub(crate) enum OutputError {
    /// The output does not take it.
    Io(io::Error),
    /// The result cannot be written in this format.
    Result(Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for OutputError {
    fn from(error: Error) -> Self {
        Self::Result(error)
    }
}

/// Writes one answer.
pub(crate) trait ResultWriter {
    /// Writes rows.
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), OutputError>;

    /// Ends a whole answer.
    fn finish(&mut self, out: &mut dyn Write) -> Result<(), OutputError>;

    /// Ends an answer whose query failed so that nobody takes it for a whole one.
    fn abort(&mut self, _out: &mut dyn Write) -> Result<(), OutputError> {
        Ok(())
    }
}

/// A writer of answers with this schema.
pub(crate) fn writer(format: Format, schema: &SchemaRef, look: Look) -> Result<Box<dyn ResultWriter>> {
    Ok(match format {
        Format::Table | Format::Expanded | Format::Unaligned if look.plain_lines => Box::new(lines::LinesWriter),
        Format::Expanded => Box::new(table::TableWriter::new(schema, Look { expanded: Expanded::On, ..look })),
        Format::Unaligned => Box::new(unaligned::UnalignedWriter::new(schema, look)),
        Format::Table => Box::new(table::TableWriter::new(schema, look)),
        Format::Csv => Box::new(delimited::DelimitedWriter::csv(schema, &look)),
        Format::Tsv => Box::new(delimited::DelimitedWriter::tsv(schema, &look)),
        Format::Json => Box::new(json::JsonWriter::array(schema)),
        Format::Ndjson => Box::new(json::JsonWriter::lines(schema)),
        Format::Markdown => Box::new(markup::MarkupWriter::markdown(schema, &look)),
        Format::Html => Box::new(markup::MarkupWriter::html(schema, &look)),
        Format::Null => Box::new(nothing::NullWriter),
        Format::Arrow => Box::new(columnar::ArrowStreamWriter::new(schema)?),
        Format::Parquet => Box::new(columnar::ParquetWriter::new(schema)?),
    })
}

#[cfg(test)]
mod tests;
