//! How the messages of a table are taken apart. Plain data: it travels with splits.

use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use crate::registry::Reference;
use crate::temporal::Temporal;
use crate::types::ValueType;

/// How keys and values become columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) key: Part,
    pub(crate) value: Part,
    pub(crate) on_error: OnError,
}

/// How one part of a message, its key or its value, becomes columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) format: Format,
    /// In the order in which the table has them.
    pub(crate) columns: Vec<MessageColumn>,
    /// Whether somebody said how the part is written, or columns were found in it. A part of which nothing is known is no
    /// reason to leave a message out, whatever is in it.
    pub(crate) declared: bool,
    /// Whether the columns are those of the row that a change event of Debezium tells of.
    #[serde(default)]
    pub(crate) envelope: bool,
    /// The subject and the version of the registry that tell the columns, if they do.
    #[serde(default)]
    pub(crate) subject: Option<(String, u32)>,
}

impl Part {
    /// A part of which nobody said how it is written.
    pub(crate) fn undeclared(format: Format) -> Self {
        Self { format, columns: Vec::new(), declared: false, envelope: false, subject: None }
    }

    /// The same with only those columns that `keep` keeps.
    pub(crate) fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let columns = self.columns.iter().filter(|column| keep(&column.name)).cloned().collect();
        Self { columns, ..self.clone() }
    }
}

/// How bytes are to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// As UTF-8 text, whole.
    Text,
    /// As they are.
    Binary,
    /// As one JSON object.
    Json,
    /// By fixed places.
    Raw,
    /// As one JSON object behind the id of its schema.
    JsonSchema,
    /// As one Avro value.
    Avro(WriterSchema),
    /// As one Protobuf message: that of a name, or the first one of its schema.
    Protobuf {
        schema: WriterSchema,
        message: Option<String>,
        /// The files that a schema of the catalog file imports.
        imports: Vec<Reference>,
    },
    /// As one line of values with a delimiter between them.
    Csv {
        delimiter: char,
        /// How many values a line has.
        fields: usize,
    },
}

/// The schema by which Avro and Protobuf values are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WriterSchema {
    /// The registry has it under this id, and messages have the ids of those by which they were written.
    Id(u32),
    /// This one, by which all messages were written.
    Text(String),
}

/// Where the schema of a part comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SchemaSource {
    /// A subject of the registry, and its version; the newest one if none is said.
    Subject { name: Option<String>, version: Option<u32> },
    /// The catalog file.
    Text(String),
}

impl Format {
    /// As the catalog file writes it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Json => "json",
            Self::Raw => "raw",
            Self::JsonSchema => "json",
            Self::Avro(_) => "avro",
            Self::Protobuf { .. } => "protobuf",
            Self::Csv { .. } => "csv",
        }
    }

    /// How the undecoded bytes are shown.
    pub(crate) fn shown(&self) -> ByteFormat {
        match self {
            Self::Text | Self::Json | Self::Csv { .. } => ByteFormat::Text,
            Self::Binary | Self::Raw | Self::JsonSchema | Self::Avro(_) | Self::Protobuf { .. } => ByteFormat::Binary,
        }
    }
}

/// A column that is made from a part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageColumn {
    /// The column's name, and the field's in formats that name fields.
    pub(crate) name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) value_type: ValueType,
    /// How times are written, in formats that write texts.
    #[serde(default)]
    pub(crate) temporal: Temporal,
    /// Where it is found.
    #[serde(default)]
    pub(crate) place: Place,
    /// Whether nobody declared it: then, its type may not cost a number its digits.
    #[serde(default)]
    pub(crate) inferred: bool,
}

impl MessageColumn {
    /// A column that is found by its name.
    pub(crate) fn new(name: impl Into<String>, value_type: ValueType) -> Self {
        Self { name: name.into(), value_type, temporal: Temporal::Iso, place: Place::Named, inferred: false }
    }
}

/// Where the value of a column is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// In the field of the column's name, or in the whole.
    #[default]
    Named,
    /// In the field of this number, from 0.
    Field(usize),
    /// In the bytes from the first number up to the second, which is not included, or to the end.
    Bytes(usize, Option<usize>),
}

/// What a message does that does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnError {
    /// Fails the query.
    Fail,
    /// Gives a row whose columns of the part are NULL.
    Null,
    /// Is left out, and counted.
    Skip,
}

impl OnError {
    /// As the catalog file writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Null => "null",
            Self::Skip => "skip",
        }
    }
}

/// How bytes are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
