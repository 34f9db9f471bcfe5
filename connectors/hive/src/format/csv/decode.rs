//! From records to batches.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;

use super::nested::Items;
use super::split::{Record, Splitter};
use super::{CsvFormat, Header, RowLength, Separators};
use crate::adapter::find_column;
use crate::format::fault::Fault;
use crate::format::project;
use crate::format::records::RecordDecoder;
use crate::format::values::ColumnBuilder;
use crate::types::sql_name;

/// One column that is read.
struct Target {
    name: String,
    /// The place of its values in a record; `None` where the file does not have the column.
    place: Option<usize>,
    builder: ColumnBuilder,
}

/// Reads the records of one file.
pub(super) struct CsvDecoder {
    splitter: Splitter,
    rows: Rows,
}

struct Rows {
    header: Header,
    row_length: RowLength,
    /// Whether the first record was seen.
    begun: bool,
    /// All columns that files of the table may have.
    table: SchemaRef,
    /// How many values a record should have.
    width: usize,
    targets: Vec<Target>,
    schema: SchemaRef,
    rows: usize,
    batch_rows: usize,
    null_on_mismatch: bool,
    null_marker: String,
    separators: Option<Separators>,
}

impl CsvDecoder {
    pub(super) fn new(
        format: &CsvFormat,
        table: &SchemaRef,
        columns: &[usize],
        batch_rows: usize,
        null_on_mismatch: bool,
    ) -> Result<Self, Fault> {
        let schema = project(table, columns);
        let targets = columns
            .iter()
            .zip(schema.fields())
            .map(|(place, field)| {
                let builder = ColumnBuilder::new(field.data_type(), batch_rows).ok_or_else(|| {
                    Fault::new(format!("values of type {} are not read from text", sql_name(field.data_type())))
                        .column(field.name())
                })?;
                Ok(Target { name: field.name().clone(), place: Some(*place), builder })
            })
            .collect::<Result<_, Fault>>()?;
        let rows = Rows {
            header: format.header,
            row_length: format.row_length,
            begun: false,
            table: Arc::clone(table),
            width: table.fields().len(),
            targets,
            schema,
            rows: 0,
            batch_rows,
            null_on_mismatch,
            null_marker: format.null_marker.clone(),
            separators: format.separators,
        };
        Ok(Self { splitter: Splitter::new(format), rows })
    }
}

impl RecordDecoder for CsvDecoder {
    fn feed(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.splitter.split(bytes, &mut |record| self.rows.take(&record))
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.splitter.finish(&mut |record| self.rows.take(&record))
    }

    fn rows(&self) -> usize {
        self.rows.rows
    }

    fn take(&mut self) -> Result<RecordBatch> {
        let columns = self.rows.targets.iter_mut().map(|target| target.builder.finish()).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows.rows)));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.rows.schema), columns, &options)?)
    }
}

impl Rows {
    /// Takes a record, and returns whether there is room for another.
    fn take(&mut self, record: &Record<'_>) -> Result<bool, Fault> {
        if !std::mem::replace(&mut self.begun, true) && self.header != Header::None {
            if self.header == Header::Names {
                self.find_columns(record)?;
            }
            return Ok(true);
        }
        if self.row_length == RowLength::Exact {
            if is_blank(record, self.width) {
                return Ok(true);
            }
            check_length(record, self.width)?;
        }
        let items = Items { null_marker: &self.null_marker, null_on_mismatch: self.null_on_mismatch };
        let separators = self.separators.as_ref().map(|known| known.0.as_slice()).unwrap_or_default();
        for target in &mut self.targets {
            let Some(value) = target.place.and_then(|place| record.value(place)) else {
                target.builder.append_null();
                continue;
            };
            let read = text_of(value).and_then(|text| {
                items.append(&mut target.builder, text, separators).map_err(|misfit| {
                    Fault::new(misfit.0).hint(
                        "declare a type that all values have, or what stands for NULL (`null_marker`), in the table's section of the catalog file",
                    )
                })
            });
            read.map_err(|fault| fault.at(record.line).column(&target.name))?;
        }
        self.rows += 1;
        Ok(self.rows < self.batch_rows)
    }

    /// Finds the columns by the names in the header.
    fn find_columns(&mut self, record: &Record<'_>) -> Result<(), Fault> {
        let names = names_of(record)?;
        let fields: Vec<_> = names
            .iter()
            .map(|name| Arc::new(arrow::datatypes::Field::new(name, arrow::datatypes::DataType::Utf8View, true)))
            .collect();
        let place_of = |name: &str, table: &Schema| -> Result<Option<usize>, Fault> {
            let place = find_column(name, fields.iter()).map_err(|()| {
                Fault::new("the header has it several times, differing only in case").at(record.line).column(name)
            })?;
            // Not if it is exactly another column of the table.
            Ok(place
                .filter(|place| names.get(*place).is_some_and(|found| found == name || table.index_of(found).is_err())))
        };
        let mut any = false;
        for field in self.table.fields() {
            any |= place_of(field.name(), &self.table)?.is_some();
        }
        if !any {
            return Err(Fault::new("the header has none of the table's columns").at(record.line).hint(
                "where the first line holds no names, set header = \"none\" or \"skip\" in the table's section of the catalog file",
            ));
        }
        for target in &mut self.targets {
            target.place = place_of(&target.name, &self.table)?;
        }
        self.width = names.len();
        Ok(())
    }
}

/// The names in a header.
pub(super) fn names_of(record: &Record<'_>) -> Result<Vec<String>, Fault> {
    let mut names: Vec<String> = Vec::with_capacity(record.len());
    for place in 0..record.len() {
        let name = text_of(record.bytes(place).unwrap_or_default()).map_err(|fault| fault.at(record.line))?.trim();
        let problem = if name.is_empty() {
            Some(format!("the header has no name for column {}", place + 1))
        } else if names.iter().any(|known| known.to_lowercase() == name.to_lowercase()) {
            Some(format!("the header has `{name}` twice, whatever its case"))
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(Fault::new(problem)
                .at(record.line)
                .hint("set header = \"skip\" and declare the columns in the table's section of the catalog file"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Whether a record is an empty line, which is passed over unless it may be the value of the only column.
pub(super) fn is_blank(record: &Record<'_>, width: usize) -> bool {
    width != 1 && record.is_empty_line()
}

pub(super) fn check_length(record: &Record<'_>, width: usize) -> Result<(), Fault> {
    let found = record.len();
    if found == width {
        return Ok(());
    }
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    Err(Fault::new(format!(
        "the row has {found} value{}, and there are {width} column{}",
        plural(found),
        plural(width)
    ))
    .at(record.line)
    .hint("check `delimiter` and `quote`, or set row_length = \"any\" in the table's section of the catalog file"))
}

/// The text that a value's bytes are.
pub(super) fn text_of(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| {
        Fault::new(format!("`{}` is no UTF-8", crate::format::fault::shown(&String::from_utf8_lossy(bytes)))).hint(
            "check `compression` and `format` in the table's section of the catalog file; other encodings are not read",
        )
    })
}
