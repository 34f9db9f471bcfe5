//! Text with a delimiter between values: CSV, and what Hive calls TEXTFILE.
//!
//! The engine's own CSV reader knows no NULL marker, reads escapes within quotes alone and cuts decimals off, so values
//! are split (`split`) and read (`decode`) here.

mod decode;
mod nested;
mod split;

use datafusion::error::Result;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use portolan_connector::ConnectorError;

use super::fault::Fault;
use super::infer::{Inferred, unite_member};
use super::input::Input;
use super::records::{Sample, batches, sample, sample_error};
use super::source::{Batches, OpenFile, RowFormat};
use super::{Codec, inferred_columns};
use crate::schema::{FileColumn, FileSchema};
use crate::store::Files;

use decode::{CsvDecoder, text_of};
pub(crate) use nested::{LEVELS, Separators};
use split::Splitter;

/// How many rows of a file are looked at to infer its columns.
const SAMPLE_ROWS: u64 = 10_000;
/// The byte that separates values where Hive is told nothing else.
const HIVE_DELIMITER: u8 = 1;

/// What `header` of the catalog file may be.
pub(crate) const HEADERS: &[&str] = &["names", "skip", "none"];
/// What `row_length` of the catalog file may be.
pub(crate) const ROW_LENGTHS: &[&str] = &["exact", "any"];

/// What the first line of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// The names of the columns, by which they are found.
    Names,
    /// Passed over.
    Skip,
    /// Values like any other line.
    None,
}

impl Header {
    /// The one of that name in [`HEADERS`].
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "names" => Self::Names,
            "skip" => Self::Skip,
            "none" => Self::None,
            _ => return None,
        })
    }
}

/// What a row with more or fewer values than columns is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowLength {
    /// An error.
    Exact,
    /// As in Hive: values that are missing are NULL, and those beyond the columns are passed over.
    Any,
}

impl RowLength {
    /// The one of that name in [`ROW_LENGTHS`].
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "exact" => Self::Exact,
            "any" => Self::Any,
            _ => return None,
        })
    }
}

/// How values are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CsvFormat {
    pub(crate) delimiter: u8,
    /// Between two of these a value may hold anything; two in a row stand for one.
    pub(crate) quote: Option<u8>,
    /// The byte after this one is taken as it is.
    pub(crate) escape: Option<u8>,
    pub(crate) header: Header,
    /// The value without quotes that is NULL, as it is written.
    pub(crate) null_marker: String,
    pub(crate) row_length: RowLength,
    /// As Hive's OpenCSVSerde reads it: each line is a row of texts, and what that class reads in a way of its own is an error.
    pub(crate) open_csv: bool,
    /// Between the items of lists, maps and structs; `None` where a value holds none of these.
    pub(crate) separators: Option<Separators>,
    /// `None` goes by the extension of each file.
    pub(crate) compression: Option<Codec>,
}

impl Default for CsvFormat {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            header: Header::Names,
            null_marker: String::new(),
            row_length: RowLength::Exact,
            open_csv: false,
            separators: None,
            compression: None,
        }
    }
}

impl CsvFormat {
    /// What Hive reads and writes as TEXTFILE when it is told nothing else.
    pub(crate) fn hive_text() -> Self {
        Self {
            delimiter: HIVE_DELIMITER,
            quote: None,
            escape: None,
            header: Header::None,
            null_marker: "\\N".to_owned(),
            row_length: RowLength::Any,
            open_csv: false,
            separators: Some(Separators::default()),
            compression: None,
        }
    }

    /// What Hive's OpenCSVSerde reads when it is told nothing else. It knows no NULL.
    pub(crate) fn open_csv() -> Self {
        Self {
            quote: Some(b'"'),
            escape: Some(b'\\'),
            delimiter: b',',
            // No value without quotes holds the end of a line.
            null_marker: "\n".to_owned(),
            open_csv: true,
            separators: None,
            ..Self::hive_text()
        }
    }

    /// Checks that every byte means one thing.
    pub(crate) fn check_bytes(&self) -> portolan_connector::Result<()> {
        let special = [("delimiter", Some(self.delimiter)), ("quote", self.quote), ("escape", self.escape)];
        for (index, (name, byte)) in special.iter().enumerate() {
            if matches!(byte, Some(b'\n' | b'\r')) {
                return Err(ConnectorError::user(format!("`{name}` cannot be the end of a line")));
            }
            let mut before = special.iter().take(index).filter(|(_, other)| byte.is_some() && other == byte);
            // A quote that escapes itself is the rule anyway.
            if let Some((other, _)) = before.next().filter(|(other, _)| (*other, *name) != ("quote", "escape")) {
                return Err(ConnectorError::user(format!("`{name}` and `{other}` are the same character")));
            }
        }
        Ok(())
    }

    /// Checks that the columns of files can be told: without names they are found by their place, so none may be
    /// hidden by a partition column.
    pub(crate) fn check(&self, declared: &[FileColumn], partitions: &[&str]) -> portolan_connector::Result<()> {
        if self.header == Header::Names {
            return Ok(());
        }
        let hidden =
            declared.iter().find(|column| partitions.iter().any(|name| name.eq_ignore_ascii_case(column.field.name())));
        hidden.map_or(Ok(()), |column| {
            Err(ConnectorError::user(format!(
                "the column `{}` is a partition column and cannot be a column of the files as well",
                column.field.name()
            ))
            .hint("columns of files without a header of names are found by their place: declare it under another name"))
        })
    }

    /// How Hive's CREATE TABLE says it.
    pub(crate) fn hive_clause(&self) -> String {
        let written = |byte: u8| match byte {
            b'\t' => "\\t".to_owned(),
            b'\\' => "\\\\".to_owned(),
            b'\'' => "\\'".to_owned(),
            byte if byte.is_ascii_graphic() || byte == b' ' => char::from(byte).to_string(),
            byte => format!("\\u{byte:04x}"),
        };
        let escape = |byte: u8| format!(" ESCAPED BY '{}'", written(byte));
        let row = match self.quote {
            None => format!(
                "ROW FORMAT DELIMITED FIELDS TERMINATED BY '{}'{}",
                written(self.delimiter),
                self.escape.map(escape).unwrap_or_default()
            ),
            Some(quote) => format!(
                "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'\nWITH SERDEPROPERTIES ('separatorChar' = '{}', 'quoteChar' = '{}')",
                written(self.delimiter),
                written(quote)
            ),
        };
        format!("{row}\nSTORED AS TEXTFILE")
    }
}

impl RowFormat for CsvFormat {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn open(&self, file: OpenFile) -> BoxFuture<'static, Result<Batches>> {
        let format = self.clone();
        async move {
            let input = Input::open(&file.store, &file.file, format.compression, file.scanned).await?;
            let batch_rows = file.batch_rows;
            let decoder = CsvDecoder::new(&format, &file.schema, &file.columns, batch_rows, file.null_on_mismatch)?;
            Ok(batches(input, Box::new(decoder), batch_rows))
        }
        .boxed()
    }
}

/// Infers the columns from the beginnings of the samples.
pub(super) async fn read_schema(
    format: &CsvFormat,
    store: &Files,
    samples: &[ObjectMeta],
    concurrency: usize,
) -> portolan_connector::Result<FileSchema> {
    let samples: Vec<(ObjectMeta, Sample)> = stream::iter(samples.to_vec())
        .map(|file| async move {
            let sample = sample(store, &file, format.compression).await?;
            Ok::<_, ConnectorError>((file, sample))
        })
        .buffered(concurrency)
        .try_collect()
        .await?;
    let mut schema = FileSchema::default();
    let mut columns = Vec::new();
    for (file, sample) in &samples {
        let found = infer(format, sample).map_err(|fault| sample_error(store, file, &fault))?;
        for (name, inferred) in found.columns {
            unite_member(&mut columns, name, inferred);
        }
        schema.rows += found.rows;
        // What was read beyond the last row that was looked at is not counted, as far as that can be told.
        let share = if sample.bytes.is_empty() { 1.0 } else { found.bytes as f64 / sample.bytes.len() as f64 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, not negative")]
        let bytes = (sample.consumed as f64 * share) as u64;
        schema.file_bytes += bytes;
    }
    schema.columns = inferred_columns(columns);
    Ok(schema)
}

/// What a sample says.
struct Found {
    columns: Vec<(String, Inferred)>,
    rows: u64,
    bytes: usize,
}

fn infer(format: &CsvFormat, sample: &Sample) -> Result<Found, Fault> {
    let mut splitter = Splitter::new(format);
    let mut header: Option<Vec<String>> = None;
    let mut columns: Vec<Inferred> = Vec::new();
    let mut rows = 0;
    let mut first = true;
    let mut record = |record: split::Record<'_>| {
        if std::mem::take(&mut first) && format.header != Header::None {
            if format.header == Header::Names {
                let names: Vec<String> = decode::names_of(&record)?;
                columns.resize(names.len(), Inferred::Unknown);
                header = Some(names);
            }
            return Ok(true);
        }
        if rows == 0 && record.is_empty_line() && format.row_length == RowLength::Exact {
            return Ok(true);
        }
        let fixed = header.is_some() || (format.row_length == RowLength::Exact && rows > 0);
        if fixed && decode::is_blank(&record, columns.len()) && format.row_length == RowLength::Exact {
            return Ok(true);
        }
        if fixed && format.row_length == RowLength::Exact {
            decode::check_length(&record, columns.len())?;
        }
        if !fixed && record.len() > columns.len() {
            columns.resize(record.len(), Inferred::Unknown);
        }
        for (place, column) in columns.iter_mut().enumerate() {
            if let Some(value) = record.value(place) {
                let text = text_of(value).map_err(|fault| fault.at(record.line))?;
                // Quotes say that a value is text where it would be something else, but writers put them around all.
                column.unite(Inferred::of_text(text));
            }
        }
        rows += 1;
        Ok(rows < SAMPLE_ROWS)
    };
    let taken = splitter.split(&sample.bytes, &mut record)?;
    if sample.whole && taken == sample.bytes.len() {
        splitter.finish(&mut record)?;
    }
    let bytes = if rows < SAMPLE_ROWS { sample.bytes.len() } else { taken };
    let names = header.unwrap_or_else(|| (1..=columns.len()).map(|place| format!("column_{place}")).collect());
    if names.is_empty() {
        return Err(Fault::new("it has no line to take them from"));
    }
    Ok(Found { columns: names.into_iter().zip(columns).collect(), rows, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(format: &CsvFormat, text: &str) -> Result<Vec<(String, String)>, Fault> {
        let sample = Sample { bytes: text.as_bytes().to_vec(), whole: true, consumed: text.len() as u64 };
        let found = infer(format, &sample)?;
        Ok(found.columns.into_iter().map(|(name, inferred)| (name, inferred.data_type().to_string())).collect())
    }

    #[test]
    fn columns_by_the_header_and_by_place() {
        let found = columns(&CsvFormat::default(), "id,price,who\n1,1.5,a\n2,,\n").unwrap();
        let expected = [("id", "Int64"), ("price", "Float64"), ("who", "Utf8View")];
        assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));

        let found = columns(&CsvFormat::hive_text(), "1\u{1}x\n\\N\u{1}y\u{1}2026-10-01").unwrap();
        let expected = [("column_1", "Int64"), ("column_2", "Utf8View"), ("column_3", "Date32")];
        assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    }

    #[test]
    fn what_cannot_be_inferred() {
        let error = columns(&CsvFormat::default(), "a,b\n1,2\n3\n").unwrap_err();
        assert_eq!(error.to_string(), "line 3, the row has 1 value, and there are 2 columns");
        for header in ["a,a", "a,A "] {
            let error = columns(&CsvFormat::default(), &format!("{header}\n1,2\n")).unwrap_err();
            assert!(error.problem.contains("twice, whatever its case"), "{error}");
        }
    }

    #[test]
    fn bytes_that_mean_two_things() {
        let same = CsvFormat { delimiter: b'"', ..CsvFormat::default() };
        assert!(same.check_bytes().unwrap_err().to_string().contains("`quote` and `delimiter` are the same"));
        let doubled = CsvFormat { escape: Some(b'"'), ..CsvFormat::default() };
        assert!(doubled.check_bytes().is_ok());
        assert!(CsvFormat { delimiter: b'\n', ..CsvFormat::default() }.check_bytes().is_err());
    }
}
