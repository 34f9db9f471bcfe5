//! The columns of an Avro schema.

use super::event::row_of;
use super::in_record;
use super::schema::{Logical, Schema};
use crate::format::SchemaColumns;
use crate::layout::MessageColumn;
use crate::registry::Reference;
use crate::types::ValueType;

/// The columns of a schema, or of the rows that its change events tell of. One that is no record has one column.
pub(crate) fn columns(text: &str, references: &[Reference], envelope: bool) -> Result<SchemaColumns, String> {
    let mut found = SchemaColumns::default();
    let schema = in_record(Schema::parse(text, references)?);
    let schema = if envelope { row_of(&schema)?.clone() } else { schema };
    let Schema::Record { fields, .. } = schema else { return Ok(found) };
    for field in fields.iter() {
        match value_type(&field.schema) {
            Ok(value_type) => found.columns.push(MessageColumn::new(&field.name, value_type)),
            Err(reason) => found.unsupported.push((field.name.clone(), field.schema.name().to_owned(), reason)),
        }
    }
    Ok(found)
}

/// The type of a column, or why there is none.
fn value_type(schema: &Schema) -> Result<ValueType, String> {
    Ok(match schema {
        Schema::Null => return Err("it is always null".to_owned()),
        Schema::Within(name) => return Err(format!("its type {name} contains itself")),
        Schema::Boolean => ValueType::Boolean,
        Schema::Int(logical) | Schema::Long(logical) => match logical {
            Logical::Date => ValueType::Date,
            Logical::TimeMillis => ValueType::Time { precision: 3 },
            Logical::TimeMicros => ValueType::Time { precision: 6 },
            Logical::Timestamp { precision, zone } => ValueType::Timestamp { precision: *precision, zone: *zone },
            _ if matches!(schema, Schema::Int(_)) => ValueType::Integer,
            _ => ValueType::BigInt,
        },
        Schema::Float => ValueType::Real,
        Schema::Double => ValueType::Double,
        Schema::Bytes(Logical::Decimal { precision, scale })
        | Schema::Fixed { logical: Logical::Decimal { precision, scale }, .. } => {
            ValueType::Decimal { precision: *precision, scale: *scale }
        }
        Schema::Bytes(_) | Schema::Fixed { .. } => ValueType::Varbinary,
        Schema::String | Schema::Enum { .. } => ValueType::Varchar,
        Schema::Array(item) => ValueType::Array(Box::new(value_type(item)?)),
        Schema::Map(value) => ValueType::Map(Box::new(value_type(value)?)),
        Schema::Union(branches) => match (schema.nullable(), branches.as_slice()) {
            (Some(other), _) | (None, [other]) => value_type(other)?,
            _ => return Err("it is a union of several types".to_owned()),
        },
        Schema::Record { fields, .. } => {
            let mut row = Vec::with_capacity(fields.len());
            for field in fields.iter() {
                let value_type =
                    value_type(&field.schema).map_err(|error| format!("its field {}: {error}", field.name))?;
                row.push((field.name.clone(), value_type));
            }
            ValueType::Row(row)
        }
    })
}
