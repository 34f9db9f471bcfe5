//! From messages to record batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::build::ColumnBuilder;
use crate::cell::{Cell, read};
use crate::columns::{HEADERS, KEY, MESSAGE, MESSAGE_TIMESTAMP, PARTITION_ID, PARTITION_OFFSET};
use crate::log::Record;
use crate::object::ObjectReader;
use crate::types::ValueType;

/// Bytes of text and bytes after which a batch is closed, however few rows it has.
const MAX_BATCH_BYTES: usize = 8 << 20;

/// A field of the value that is a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ValueColumn {
    /// The field's name, and the column's.
    pub(crate) name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) value_type: ValueType,
}

/// What a message does that does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnError {
    /// Fails the query.
    Fail,
    /// Gives a row whose value columns are NULL.
    Null,
}

impl OnError {
    /// As the catalog file writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Null => "null",
        }
    }
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Poison {
    /// What is wrong, to follow the message's partition and offset.
    pub(crate) message: String,
    /// What to do, unless the message is to be left out.
    pub(crate) hint: &'static str,
}

/// What to do about a value that does not decode.
const VALUE_HINT: &str = "declare another type for the column or set on_error = \"null\"";
/// What to do about a key that is no text.
const KEY_HINT: &str = "declare key = { format = \"binary\" }";
/// What to do about a value that is no text.
const MESSAGE_HINT: &str = "declare value = { format = \"binary\" }";

impl Poison {
    fn value(message: String) -> Self {
        Self { message, hint: VALUE_HINT }
    }
}

/// How bytes are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ByteFormat {
    /// As UTF-8 text.
    Text,
    /// As they are.
    Binary,
}

impl ByteFormat {
    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Binary => DataType::Binary,
        }
    }

    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Text => "varchar",
            Self::Binary => "varbinary",
        }
    }
}

/// Where a column of the output comes from.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Partition,
    Offset,
    Timestamp,
    Key,
    Message,
    Headers,
    /// A value column, by its place among those that are decoded.
    Value(usize),
}

/// Collects messages into batches. A message adds exactly one row, or nothing and an error.
#[derive(Debug)]
pub(crate) struct BatchDecoder {
    schema: SchemaRef,
    partition: i32,
    on_error: OnError,
    outputs: Vec<(Origin, ColumnBuilder)>,
    /// Value columns that a message is checked against. With [`OnError::Null`] these are all of the table's, so that
    /// a row does not depend on which of them a query asks for; otherwise those that it asks for.
    values: Vec<ValueColumn>,
    objects: ObjectReader,
    /// Whether the query asks for any value column; otherwise messages are not decoded.
    decodes: bool,
    rows: usize,
    max_rows: usize,
    bytes: usize,
}

impl BatchDecoder {
    /// A decoder for the columns of `schema`, which are `values` and hidden columns by name.
    pub(crate) fn new(
        schema: SchemaRef,
        partition: i32,
        values: &[ValueColumn],
        on_error: OnError,
        max_rows: usize,
    ) -> Result<Self, String> {
        let is_asked = |value: &&ValueColumn| schema.fields().iter().any(|field| *field.name() == value.name);
        let values: Vec<ValueColumn> = match on_error {
            OnError::Fail => values.iter().filter(is_asked).cloned().collect(),
            OnError::Null => values.to_vec(),
        };
        let mut outputs = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let origin = match field.name().as_str() {
                PARTITION_ID => Origin::Partition,
                PARTITION_OFFSET => Origin::Offset,
                MESSAGE_TIMESTAMP => Origin::Timestamp,
                KEY => Origin::Key,
                MESSAGE => Origin::Message,
                HEADERS => Origin::Headers,
                name => {
                    let place = values.iter().position(|value| value.name == name);
                    Origin::Value(place.ok_or_else(|| format!("there is no column {name}"))?)
                }
            };
            outputs.push((origin, ColumnBuilder::new(field.data_type())?));
        }
        let decodes = outputs.iter().any(|(origin, _)| matches!(origin, Origin::Value(_)));
        let objects = ObjectReader::new(values.iter().map(|value| value.name.as_str()));
        Ok(Self { schema, partition, on_error, outputs, values, objects, decodes, rows: 0, max_rows, bytes: 0 })
    }

    /// Adds a message, or says what is wrong with it.
    pub(crate) fn push(&mut self, record: &Record<'_>) -> Result<(), Poison> {
        let null = self.on_error == OnError::Null;
        let mut cells = Vec::new();
        if self.decodes {
            cells = match self.cells(record.value) {
                Ok(cells) => cells,
                Err(_) if null => vec![Cell::Null; self.values.len()],
                Err(message) => return Err(Poison::value(message)),
            };
        }
        // Check everything before anything is added, so that a failing message adds to no column.
        if !null {
            for (origin, builder) in &self.outputs {
                let (bytes, what, hint) = match origin {
                    Origin::Key => (record.key, "its key", KEY_HINT),
                    Origin::Message => (record.value, "it", MESSAGE_HINT),
                    _ => continue,
                };
                if builder.wants_text() && bytes.is_some_and(|bytes| std::str::from_utf8(bytes).is_err()) {
                    return Err(Poison { message: format!("{what} is not UTF-8 text"), hint });
                }
            }
        }
        for (origin, builder) in &mut self.outputs {
            let added = match origin {
                Origin::Partition => builder.push_cell(&Cell::Integer(self.partition.into())),
                Origin::Offset => builder.push_cell(&Cell::Integer(record.offset)),
                Origin::Timestamp => builder.push_cell(&record.timestamp.map_or(Cell::Null, Cell::Integer)),
                Origin::Key => builder.push_bytes(record.key),
                Origin::Message => builder.push_bytes(record.value),
                Origin::Headers => builder.push_headers(record.headers),
                Origin::Value(place) => builder.push_cell(cells.get(*place).unwrap_or(&Cell::Null)),
            };
            self.bytes += added.map_err(Poison::value)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// The values of a message's columns; all NULL for a tombstone.
    fn cells<'m>(&mut self, value: Option<&'m [u8]>) -> Result<Vec<Cell<'m>>, String> {
        let Some(value) = value else {
            return Ok(vec![Cell::Null; self.values.len()]);
        };
        let mut texts = Vec::new();
        self.objects.read(value, &mut texts)?;
        self.values
            .iter()
            .zip(texts)
            .map(|(column, text)| match text {
                None => Ok(Cell::Null),
                Some(text) => read(text, column.value_type).map_err(|error| format!("field {}: {error}", column.name)),
            })
            .collect()
    }

    /// Rows since the last batch.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the batch should be closed.
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= self.max_rows || self.bytes >= MAX_BATCH_BYTES
    }

    /// Closes the batch.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, String> {
        let arrays =
            self.outputs.iter_mut().map(|(_, builder)| builder.finish()).collect::<Result<Vec<ArrayRef>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(|error| error.to_string())
    }
}
