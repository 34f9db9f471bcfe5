//! How a table's declaration says that its messages are written.

use portolan_connector::Properties;

use crate::columns::is_hidden_name;
use crate::declared_times;
use crate::format::{is_readable_as_bytes, is_readable_as_text};
use crate::layout::{Format, MessageColumn, Part, Place, SchemaSource, WriterSchema};
use crate::registry::Reference;
use crate::types::ValueType;

/// What the section of a part says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DeclaredPart {
    pub(crate) part: Part,
    /// Whether its columns are to be inferred of its messages.
    pub(crate) inferred: bool,
    /// Where its schema comes from, which tells its columns.
    pub(crate) source: Option<SchemaSource>,
}

/// Reads the section of a part.
pub(crate) fn part(section: &Properties, default: Format) -> Result<DeclaredPart, String> {
    let mut columns = Vec::new();
    for (name, value_type) in section.map("columns") {
        if is_hidden_name(name) {
            return Err(format!("`{name}` is the name of a hidden column"));
        }
        let value_type: ValueType = value_type.parse().map_err(|error| format!("column `{name}`: {error}"))?;
        columns.push(MessageColumn::new(name, value_type));
    }
    let format = match section.text("format") {
        Some("text") => Format::Text,
        Some("binary") => Format::Binary,
        Some("json") => Format::Json,
        Some("raw") => Format::Raw,
        // Its schema is put here when it is known.
        Some("avro") => Format::Avro(WriterSchema::Id(0)),
        Some("protobuf") => {
            let message = section.text("message").map(ToOwned::to_owned);
            Format::Protobuf { schema: WriterSchema::Id(0), message, imports: imports(section)? }
        }
        Some("csv") => {
            Format::Csv { delimiter: delimiter(section.text("delimiter").unwrap_or(","))?, fields: columns.len() }
        }
        _ => default,
    };
    let name = format.name();
    match (&format, section.contains("columns")) {
        (Format::Avro(_) | Format::Protobuf { .. }, true) => {
            return Err(format!("the columns of a part of format \"{name}\" are those of its schema"));
        }
        (Format::Binary, true) => return Err("a part of format \"binary\" has no columns".to_owned()),
        (Format::Csv { .. } | Format::Raw, false) => {
            return Err(format!("a part of format \"{name}\" needs `columns`"));
        }
        _ => {}
    }
    for (key, formats) in [
        ("times", &["json", "csv"][..]),
        ("positions", &["raw"]),
        ("delimiter", &["csv"]),
        ("envelope", &["json", "avro"]),
        ("subject", &["avro", "json", "protobuf"]),
        ("version", &["avro", "json", "protobuf"]),
        ("schema", &["avro", "protobuf"]),
        ("message", &["protobuf"]),
        ("imports", &["protobuf"]),
    ] {
        if section.contains(key) && !formats.contains(&name) {
            return Err(format!("`{key}` is for the format {}, not {name}", formats.join(" or ")));
        }
    }
    declared_times::put(section.map("times"), &mut columns)?;
    positions(section, &format, &mut columns)?;
    if matches!(format, Format::Csv { .. }) {
        columns.iter_mut().enumerate().for_each(|(index, column)| column.place = Place::Field(index));
    }
    for column in &columns {
        let MessageColumn { name: column_name, value_type, .. } = column;
        let fits = match &format {
            Format::Text => *value_type == ValueType::Varchar,
            Format::Csv { .. } => is_readable_as_text(value_type),
            Format::Raw => true,
            _ => !contains_bytes(value_type),
        };
        if !fits {
            return Err(format!("column `{column_name}`: {value_type} cannot be read of the format {name}"));
        }
    }
    let source = source(section, &format)?;
    let envelope = section.contains("envelope");
    if envelope && format == Format::Json && (source.is_some() || !section.contains("columns")) {
        return Err("`envelope` needs `columns`, those of the rows that changed".to_owned());
    }
    let inferred = format == Format::Json && !section.contains("columns") && source.is_none();
    Ok(DeclaredPart { part: Part { format, columns, declared: true, envelope, subject: None }, inferred, source })
}

/// The files that a schema of the catalog file imports, by the names under which it does.
fn imports(section: &Properties) -> Result<Vec<Reference>, String> {
    if section.contains("imports") && !section.contains("schema") {
        return Err("`imports` are those of `schema`; a registry tells them itself".to_owned());
    }
    let imports = section.map("imports").iter();
    Ok(imports.map(|(name, text)| Reference { name: name.clone(), text: text.clone() }).collect())
}

/// Where the schema of a part is found.
fn source(section: &Properties, format: &Format) -> Result<Option<SchemaSource>, String> {
    let name = section.text("subject").map(ToOwned::to_owned);
    let version = section.integer("version").and_then(|version| u32::try_from(version).ok());
    let of_subject = name.is_some() || version.is_some();
    match (section.text("schema"), format) {
        (Some(_), _) if of_subject => {
            Err("`schema` is the schema, so that `subject` and `version` say nothing".to_owned())
        }
        (Some(text), _) => Ok(Some(SchemaSource::Text(text.to_owned()))),
        (None, Format::Avro(_) | Format::Protobuf { .. }) => Ok(Some(SchemaSource::Subject { name, version })),
        (None, _) if of_subject && section.contains("columns") => {
            Err("`columns` are those of the schema where `subject` or `version` names one".to_owned())
        }
        (None, _) => Ok(of_subject.then_some(SchemaSource::Subject { name, version })),
    }
}

/// JSON has no bytes.
fn contains_bytes(value_type: &ValueType) -> bool {
    match value_type {
        ValueType::Varbinary => true,
        ValueType::Array(inner) | ValueType::Map(inner) => contains_bytes(inner),
        ValueType::Row(fields) => fields.iter().any(|(_, field)| contains_bytes(field)),
        _ => false,
    }
}

fn delimiter(text: &str) -> Result<char, String> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if !matches!(c, '"' | '\r' | '\n') => Ok(c),
        _ => Err("`delimiter` must be one character, and neither a quote nor a line break".to_owned()),
    }
}

/// Where the bytes of columns are.
fn positions(section: &Properties, format: &Format, columns: &mut [MessageColumn]) -> Result<(), String> {
    for (name, text) in section.map("positions") {
        let Some(column) = columns.iter_mut().find(|column| column.name == *name) else {
            return Err(format!("`positions.{name}`: there is no such column among `columns`"));
        };
        let place = text.split_once(':').and_then(|(start, end)| {
            let start: usize = start.parse().ok()?;
            let end: Option<usize> = if end.is_empty() { None } else { Some(end.parse().ok()?) };
            end.is_none_or(|end| start < end).then_some((start, end))
        });
        let Some((start, end)) = place else {
            return Err(format!(
                "`positions.{name}`: write the first byte and the one after the last, such as 0:8 or 8:"
            ));
        };
        if !is_readable_as_bytes(&column.value_type, end.map(|end| end - start)) {
            return Err(format!("`positions.{name}`: {} cannot be read of these bytes", column.value_type));
        }
        column.place = Place::Bytes(start, end);
    }
    match columns.iter().find(|column| *format == Format::Raw && column.place == Place::Named) {
        Some(column) => Err(format!("`positions` does not say where column `{}` is", column.name)),
        None => Ok(()),
    }
}
