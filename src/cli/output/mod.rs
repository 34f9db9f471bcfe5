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
mod screen;
mod table;
mod time;
mod value;

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns aligned for a person
    #[default]
    Table,
    /// Comma-separated values with a header (RFC 4180); NULL is nothing, the empty text is ""
    Csv,
    /// Tab-separated values with a header; NULL is \N
    Tsv,
    /// One JSON array of objects
    Json,
    /// A JSON object on each line
    Ndjson,
    /// The Arrow IPC streaming format
    Arrow,
    /// A Parquet file
    Parquet,
}

impl Format {
    /// The format's name, as people write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// Whether the format is bytes rather than text.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
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

/// How the table format looks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Rows as lists of values.
    pub(crate) expanded: Expanded,
    /// Columns of characters that the screen has, when there is one.
    pub(crate) width: Option<usize>,
    /// Whether NULL is dimmed, which tells it from the text `NULL`.
    pub(crate) colour: bool,
    /// Whether NULL is left blank: in lists of what is there it says nothing.
    pub(crate) blank_null: bool,
    /// Whether the answer is lines of text to print as they are: a plan, a definition.
    pub(crate) plain_lines: bool,
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
        Format::Table if look.plain_lines => Box::new(lines::LinesWriter),
        Format::Table => Box::new(table::TableWriter::new(schema, look)),
        Format::Csv => Box::new(delimited::DelimitedWriter::csv(schema)),
        Format::Tsv => Box::new(delimited::DelimitedWriter::tsv(schema)),
        Format::Json => Box::new(json::JsonWriter::array(schema)),
        Format::Ndjson => Box::new(json::JsonWriter::lines(schema)),
        Format::Arrow => Box::new(columnar::ArrowStreamWriter::new(schema)?),
        Format::Parquet => Box::new(columnar::ParquetWriter::new(schema)?),
    })
}

#[cfg(test)]
mod tests;
