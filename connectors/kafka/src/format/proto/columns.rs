//! The columns of a Protobuf message.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::MAX_DEPTH;
use super::schema::Compiled;
use crate::format::SchemaColumns;
use crate::layout::MessageColumn;
use crate::registry::Reference;
use crate::types::ValueType;

/// The most fields of a message, with those of the messages within it: a small schema can come to any number.
const MAX_FIELDS: usize = 10_000;

/// The columns of a message of a schema, in the order of the file.
pub(crate) fn columns(text: &str, references: &[Reference], message: Option<&str>) -> Result<SchemaColumns, String> {
    let message = Compiled::new(text, references)?.message(message)?;
    let mut found = SchemaColumns::default();
    let mut left = MAX_FIELDS;
    for field in in_order(&message) {
        match value_type(&field, 0, &mut left) {
            Ok(value_type) => found.columns.push(MessageColumn::new(field.name(), value_type)),
            Err(reason) => found.unsupported.push((field.name().to_owned(), kind_name(&field.kind()), reason)),
        }
    }
    Ok(found)
}

/// The fields as the file has them.
pub(super) fn in_order(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let fields = message.descriptor_proto().field.iter();
    fields.filter_map(|field| message.get_field_by_name(field.name())).collect()
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(kind) => kind.full_name().to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// The type of a column, or why there is none.
fn value_type(field: &FieldDescriptor, depth: usize, left: &mut usize) -> Result<ValueType, String> {
    *left = left.checked_sub(1).ok_or_else(|| format!("the message has more than {MAX_FIELDS} fields"))?;
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { return Err("it is no map".to_owned()) };
        return Ok(ValueType::Map(Box::new(of_kind(&entry.map_entry_value_field(), depth, left)?)));
    }
    let single = of_kind(field, depth, left)?;
    Ok(if field.is_list() { ValueType::Array(Box::new(single)) } else { single })
}

fn of_kind(field: &FieldDescriptor, depth: usize, left: &mut usize) -> Result<ValueType, String> {
    if field.is_group() {
        return Err("it is a group".to_owned());
    }
    Ok(match field.kind() {
        Kind::Bool => ValueType::Boolean,
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => ValueType::Integer,
        Kind::Uint32 | Kind::Fixed32 | Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => ValueType::BigInt,
        Kind::Uint64 | Kind::Fixed64 => ValueType::Decimal { precision: 20, scale: 0 },
        Kind::Float => ValueType::Real,
        Kind::Double => ValueType::Double,
        Kind::String | Kind::Enum(_) => ValueType::Varchar,
        Kind::Bytes => ValueType::Varbinary,
        Kind::Message(message) => of_message(&message, depth, left)?,
    })
}

fn of_message(message: &MessageDescriptor, depth: usize, left: &mut usize) -> Result<ValueType, String> {
    if message.full_name() == TIMESTAMP {
        return Ok(ValueType::Timestamp { precision: 9, zone: true });
    }
    if let Some(value) = wrapped(message) {
        return of_kind(&value, depth, left);
    }
    // A type within itself has no end.
    if depth >= MAX_DEPTH {
        return Err("it contains itself, or nests too deep".to_owned());
    }
    let mut row = Vec::new();
    for field in in_order(message) {
        let value_type =
            value_type(&field, depth + 1, left).map_err(|error| format!("its field {}: {error}", field.name()))?;
        row.push((field.name().to_owned(), value_type));
    }
    if row.is_empty() {
        return Err("it has no fields".to_owned());
    }
    Ok(ValueType::Row(row))
}

/// An instant.
pub(super) const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// The value of a message that stands for a value that may be missing.
pub(super) fn wrapped(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    let name = message.full_name().strip_prefix("google.protobuf.")?.strip_suffix("Value")?;
    let known = ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"];
    if known.contains(&name) { message.get_field(1) } else { None }
}
