//! The formats that messages are written in, behind one seam: bytes in, one value for each column out.

mod avro;
mod csv;
mod envelope;
mod framing;
mod json;
mod json_schema;
mod proto;
mod raw;
mod text;

use std::sync::Arc;

use crate::cell::Cell;
use crate::layout::{Format, MessageColumn, Part, WriterSchema};
use crate::registry::{RegistryError, Schemas};

use self::avro::AvroReader;
pub(crate) use self::avro::AvroWriter;
pub(crate) use self::avro::columns as avro_columns;
use self::csv::CsvReader;
use self::json::JsonReader;
pub(crate) use self::json::plain;
pub(crate) use self::json_schema::columns as json_schema_columns;
use self::proto::ProtoReader;
pub(crate) use self::proto::columns as proto_columns;
use self::raw::RawReader;
pub(crate) use self::raw::is_readable as is_readable_as_bytes;
pub(crate) use self::text::is_readable as is_readable_as_text;

/// What a schema comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SchemaColumns {
    pub(crate) columns: Vec<MessageColumn>,
    /// Fields that cannot be columns: name, type as the schema calls it, and why.
    pub(crate) unsupported: Vec<(String, String, String)>,
}

/// Why a part of a message cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The message is bad; what is wrong with it.
    Message(String),
    /// The message may be good: its schema cannot be had.
    Registry(RegistryError),
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl From<RegistryError> for Fault {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

/// A value that was found in a part.
pub(crate) enum Found<'c, 'm> {
    /// The text of a value of this column, as JSON writes it, in which nothing is to be replaced. It is no object and no array.
    Json(&'c MessageColumn, &'m str),
    /// The value.
    Cell(Cell<'m>),
}

/// Takes parts of messages apart, one after the other.
#[derive(Debug)]
pub(crate) enum PartReader {
    Json(JsonReader),
    /// Behind the id of its schema.
    JsonSchema(JsonReader),
    Avro(Box<AvroReader>),
    Protobuf(Box<ProtoReader>),
    Csv(CsvReader),
    Raw(RawReader),
    Text {
        columns: usize,
    },
    Binary,
}

impl PartReader {
    /// A reader for the columns of a part. `rest` are all columns of the part; it asks for more behind the values of the columns:
    /// the JSON object of the fields that are none of these, or the whole row before a change. `schemas` are those of the
    /// registry.
    pub(crate) fn new(
        part: &Part,
        rest: Option<&[MessageColumn]>,
        schemas: Option<&Arc<dyn Schemas>>,
    ) -> Result<Self, Fault> {
        let columns = &part.columns;
        Ok(match &part.format {
            Format::Json => Self::Json(JsonReader::new(columns, rest, part.envelope)),
            Format::JsonSchema => Self::JsonSchema(JsonReader::new(columns, rest, false)),
            Format::Avro(WriterSchema::Text(text)) => {
                let reader = AvroReader::of_text(columns, text)?;
                Self::Avro(Box::new(if part.envelope { reader.of_events(rest)? } else { reader }))
            }
            Format::Avro(WriterSchema::Id(id)) => {
                let schemas = schemas.ok_or_else(|| "the catalog has no schema registry".to_owned())?;
                let reader = AvroReader::of_registry(columns, *id, schemas)?;
                Self::Avro(Box::new(if part.envelope { reader.of_events(rest)? } else { reader }))
            }
            Format::Protobuf { schema, message, imports } => {
                let message = message.as_deref();
                Self::Protobuf(Box::new(match schema {
                    WriterSchema::Text(text) => ProtoReader::of_text(columns, text, imports, message)?,
                    WriterSchema::Id(id) => {
                        let schemas = schemas.ok_or_else(|| "the catalog has no schema registry".to_owned())?;
                        ProtoReader::of_registry(columns, *id, message, schemas)?
                    }
                }))
            }
            Format::Csv { delimiter, fields } => Self::Csv(CsvReader::new(columns, *delimiter, *fields)),
            Format::Raw => Self::Raw(RawReader::new(columns)),
            Format::Text => Self::Text { columns: columns.len() },
            Format::Binary => Self::Binary,
        })
    }

    /// Whether [`PartReader::visit`] may find all that is wanted of a part.
    pub(crate) fn is_simple(&self) -> bool {
        match self {
            Self::Json(reader) | Self::JsonSchema(reader) => reader.is_simple(),
            Self::Avro(reader) => reader.is_simple(),
            _ => false,
        }
    }

    /// Hands the values of the simplest of parts to `visit`, with the places of their columns: JSON objects without others in them,
    /// and Avro records. What is not visited is NULL; the last value of a column counts. `None` where `visit` says so, and where the
    /// part is something else; some values may have been visited then.
    #[inline]
    pub(crate) fn visit<'m>(
        &mut self,
        bytes: &'m [u8],
        mut visit: impl FnMut(usize, Found<'_, 'm>) -> Option<()>,
    ) -> Option<()> {
        let (reader, bytes) = match self {
            Self::Json(reader) => (reader, bytes),
            Self::JsonSchema(reader) => (reader, framing::schema_id(bytes).ok()?.1),
            Self::Avro(reader) => return reader.visit(bytes, |place, cell| visit(place, Found::Cell(cell))),
            _ => return None,
        };
        let text = std::str::from_utf8(bytes).ok()?;
        reader.visit_flat(text, |place, column, text| visit(place, Found::Json(column, text)))
    }

    /// Reads a part of a message; adds a value for each column to `cells`. The fault says what is wrong with the part, to
    /// follow the message's place; what was added to `cells` means nothing then.
    pub(crate) fn read<'m>(&mut self, bytes: &'m [u8], cells: &mut Vec<Cell<'m>>) -> Result<(), Fault> {
        match self {
            Self::Json(reader) => reader.read(bytes, cells)?,
            Self::JsonSchema(reader) => reader.read(framing::schema_id(bytes)?.1, cells)?,
            Self::Avro(reader) => reader.read(bytes, cells)?,
            Self::Protobuf(reader) => reader.read(bytes, cells)?,
            Self::Csv(reader) => reader.read(bytes, cells)?,
            Self::Raw(reader) => reader.read(bytes, cells)?,
            Self::Text { columns } => {
                let text = text::utf8(bytes)?;
                cells.extend(std::iter::repeat_n(Cell::Text(text.into()), *columns));
            }
            Self::Binary => {}
        }
        Ok(())
    }
}
