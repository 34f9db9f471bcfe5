//! What is to be done to read what one schema wrote as another one has it (Avro specification 1.12, "Schema Resolution").

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use super::schema::{Field, Logical, Recursive, Schema};
use crate::cell::Cell;

/// How a value is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    Null,
    Boolean,
    /// A whole number, as it is.
    Integer,
    /// A whole number as floating point.
    IntegerToReal,
    IntegerToDouble,
    Real,
    RealToDouble,
    Double,
    Bytes,
    Text,
    /// So many bytes.
    Fixed(usize),
    /// Bytes of a length before them, as a number of the precision.
    Decimal(u8),
    /// So many bytes, as a number of the precision.
    FixedDecimal(usize, u8),
    /// The texts of the writer's symbols, or why there is none.
    Enum(Vec<Result<String, String>>),
    Array(Box<Action>),
    Map(Box<Action>),
    /// What to do for each branch of the writer's union, or why it cannot be read.
    Union(Vec<Result<Action, String>>),
    /// For each field of the writer's, what to do with it and where it goes, if anywhere; then what is put where no field of
    /// the writer's goes; and how many fields there are.
    Record(Vec<(Action, Option<usize>)>, Vec<(usize, Cell<'static>)>, usize),
    /// What is to be done for the record of this name, which contains itself, to pass it over.
    Again(String),
}

/// What is to be done for messages of a schema.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) action: Action,
    /// For each record that contains itself.
    pub(super) again: HashMap<String, Action>,
}

/// What it takes to read fields of a record. `wanted` are names of fields of `reader`; the cells come in their order.
/// `recursive` are the records of `writer` that contain themselves: they are no columns, and are passed over.
pub(super) fn record(
    writer: &Schema,
    recursive: &Recursive,
    reader: &Schema,
    wanted: &[String],
) -> Result<Plan, String> {
    let Schema::Record { fields: of_reader, .. } = reader else {
        return Err(format!("the schema is {} and not a record", reader.name()));
    };
    let Schema::Record { fields: of_writer, .. } = writer else {
        return Err(format!("it was written as {} and not as a record", writer.name()));
    };
    let wanted = wanted.iter().map(|name| of_reader.iter().find(|field| field.name == *name));
    let wanted: Option<Vec<&Field>> = wanted.collect();
    let action = fields(of_writer, &wanted.ok_or("a column is no field of the schema")?)?;
    let again = recursive.iter().map(|(name, schema)| Ok((name.clone(), resolve(schema, schema)?)));
    Ok(Plan { action, again: again.collect::<Result<_, String>>()? })
}

fn fields(of_writer: &[Field], of_reader: &[&Field]) -> Result<Action, String> {
    let mut found = vec![false; of_reader.len()];
    let mut actions = Vec::with_capacity(of_writer.len());
    for field in of_writer {
        let is_same = |known: &&Field| known.name == field.name;
        let is_alias = |known: &&Field| known.aliases.contains(&field.name);
        let place = of_reader.iter().position(is_same).or_else(|| {
            // A name of the writer's own goes before an older name of another field.
            of_reader
                .iter()
                .position(|known| is_alias(known) && !of_writer.iter().any(|field| field.name == known.name))
        });
        let action = match place.and_then(|place| of_reader.get(place)) {
            Some(reader) => {
                resolve(&field.schema, &reader.schema).map_err(|error| format!("field {}: {error}", field.name))?
            }
            // A value is passed over by reading it as it was written.
            None => resolve(&field.schema, &field.schema)?,
        };
        if let Some(found) = place.and_then(|place| found.get_mut(place)) {
            *found = true;
        }
        actions.push((action, place));
    }
    let mut defaults = Vec::new();
    for (place, (field, _)) in of_reader.iter().zip(&found).enumerate().filter(|(_, (_, found))| !**found) {
        let Some(value) = &field.default else {
            return Err(format!("field {} was not written and has no default", field.name));
        };
        let cell = default(value, &field.schema).map_err(|error| format!("the default of {}: {error}", field.name))?;
        defaults.push((place, cell));
    }
    Ok(Action::Record(actions, defaults, of_reader.len()))
}

fn resolve(writer: &Schema, reader: &Schema) -> Result<Action, String> {
    use Schema::{
        Array, Boolean, Bytes, Double, Enum, Fixed, Float, Int, Long, Map, Null, Record, String, Union, Within,
    };
    let differ = || Err(format!("it was written as {} and cannot be read as {}", writer.name(), reader.name()));
    match (writer, reader) {
        (Union(branches), reader) => Ok(Action::Union(branches.iter().map(|branch| resolve(branch, reader)).collect())),
        (writer, Union(branches)) => {
            // The same type goes before one that it can become.
            let same = branches.iter().find(|branch| branch.name() == writer.name());
            let mut candidates = same.into_iter().chain(branches).map(|branch| resolve(writer, branch));
            candidates.find(Result::is_ok).unwrap_or_else(differ)
        }
        (Null, Null) => Ok(Action::Null),
        (Boolean, Boolean) => Ok(Action::Boolean),
        (Int(of_writer), Int(of_reader)) | (Int(of_writer), Long(of_reader)) | (Long(of_writer), Long(of_reader)) => {
            match (of_writer, of_reader) {
                (one, other) if one == other => Ok(Action::Integer),
                // What one schema calls a time and the other does not is the same number.
                (_, Logical::None) => Ok(Action::Integer),
                (Logical::None, _) => Ok(Action::Integer),
                _ => Err("it was written as another unit of time".to_owned()),
            }
        }
        (Int(_) | Long(_), Float) => Ok(Action::IntegerToReal),
        (Int(_) | Long(_), Double) => Ok(Action::IntegerToDouble),
        (Float, Float) => Ok(Action::Real),
        (Float, Double) => Ok(Action::RealToDouble),
        (Double, Double) => Ok(Action::Double),
        (Bytes(of_writer), Bytes(of_reader)) => match (of_writer, of_reader) {
            (Logical::Decimal { scale: one, .. }, Logical::Decimal { scale: other, .. }) if one != other => {
                Err("it was written as a decimal of another scale".to_owned())
            }
            (_, Logical::Decimal { precision, .. }) => Ok(Action::Decimal(*precision)),
            _ => Ok(Action::Bytes),
        },
        (Bytes(_), String) | (String, String) => Ok(Action::Text),
        (String, Bytes(_)) => Ok(Action::Bytes),
        (Fixed { name: one, size, .. }, Fixed { name: other, size: of_reader, logical }) => {
            if size != of_reader || short(one) != short(other) {
                return differ();
            }
            match logical {
                Logical::Decimal { precision, .. } => Ok(Action::FixedDecimal(*size, *precision)),
                _ => Ok(Action::Fixed(*size)),
            }
        }
        (Enum { name: one, symbols, .. }, Enum { name: other, symbols: known, default }) => {
            if short(one) != short(other) {
                return differ();
            }
            let symbols = symbols.iter().map(|symbol| match (known.contains(symbol), default) {
                (true, _) => Ok(symbol.clone()),
                (false, Some(default)) => Ok(default.clone()),
                (false, None) => Err(format!("{symbol} is no symbol of {other}")),
            });
            Ok(Action::Enum(symbols.collect()))
        }
        (Within(one), Within(other)) if one == other => Ok(Action::Again(one.clone())),
        (Array(one), Array(other)) => Ok(Action::Array(Box::new(resolve(one, other)?))),
        (Map(one), Map(other)) => Ok(Action::Map(Box::new(resolve(one, other)?))),
        (Record { fields: one, .. }, Record { fields: other, .. }) => fields(one, &other.iter().collect::<Vec<_>>()),
        _ => differ(),
    }
}

/// A name without its namespace: the specification compares those.
fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The default of a field. Those of unions are of their first branch.
pub(super) fn default(value: &Value, schema: &Schema) -> Result<Cell<'static>, String> {
    let wrong = || format!("{value} is no {}", schema.name());
    Ok(match (schema, value) {
        // Newer versions of the specification allow any branch.
        (Schema::Union(branches), _) => {
            branches.iter().find_map(|branch| default(value, branch).ok()).ok_or_else(wrong)?
        }
        (Schema::Null, Value::Null) => Cell::Null,
        (Schema::Boolean, Value::Bool(value)) => Cell::Boolean(*value),
        (Schema::Int(_), Value::Number(number)) => {
            Cell::Integer(number.as_i64().filter(|number| i32::try_from(*number).is_ok()).ok_or_else(wrong)?)
        }
        (Schema::Long(_), Value::Number(number)) => Cell::Integer(number.as_i64().ok_or_else(wrong)?),
        #[allow(clippy::cast_possible_truncation, reason = "the nearest value of the type is what is meant")]
        (Schema::Float, Value::Number(number)) => Cell::Real(number.as_f64().ok_or_else(wrong)? as f32),
        (Schema::Double, Value::Number(number)) => Cell::Double(number.as_f64().ok_or_else(wrong)?),
        (Schema::String, Value::String(text)) => Cell::Text(Cow::Owned(text.clone())),
        (Schema::Enum { symbols, .. }, Value::String(text)) if symbols.contains(text) => {
            Cell::Text(Cow::Owned(text.clone()))
        }
        (Schema::Bytes(logical) | Schema::Fixed { logical, .. }, Value::String(text)) => {
            // The code points 0 to 255 stand for bytes.
            let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            let bytes = bytes.ok_or_else(wrong)?;
            match logical {
                Logical::Decimal { precision, .. } => {
                    super::read::decimal(&bytes, *precision).map(Cell::Decimal).map_err(|_| wrong())?
                }
                _ => Cell::Bytes(Cow::Owned(bytes)),
            }
        }
        (Schema::Array(item), Value::Array(values)) => {
            Cell::List(values.iter().map(|value| default(value, item)).collect::<Result<_, _>>()?)
        }
        (Schema::Map(item), Value::Object(values)) => {
            let entries = values.iter().map(|(key, value)| Ok((Cow::Owned(key.clone()), default(value, item)?)));
            Cell::Entries(entries.collect::<Result<_, String>>()?)
        }
        (Schema::Record { fields, .. }, Value::Object(values)) => {
            let cells = fields.iter().map(|field| {
                let value = values.get(&field.name).or(field.default.as_ref()).ok_or_else(wrong)?;
                default(value, &field.schema)
            });
            Cell::Fields(cells.collect::<Result<_, String>>()?)
        }
        _ => return Err(wrong()),
    })
}
