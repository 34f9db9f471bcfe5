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
    Integer(Width),
    /// A whole number as floating point.
    IntegerToReal(Width),
    IntegerToDouble(Width),
    /// A time of day, in units of which a day has so many.
    TimeOfDay(Width, i64),
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
    /// The elements of an array or a map, which are passed over.
    Elements(Box<Action>),
    /// What to do for each branch of the writer's union, or why it cannot be read.
    Union(Vec<Result<Action, String>>),
    /// For each field of the writer's, what to do with it and where it goes, if anywhere; then what is put where no field of
    /// the writer's goes; and how many fields there are.
    Record(Vec<(Action, Option<usize>)>, Vec<(usize, Cell<'static>)>, usize),
    /// What is to be done for the record of this name, which contains itself, to pass it over.
    Again(String),
}

/// How a whole number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Int,
    Long,
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
    let read = only(of_reader, wanted).ok_or("a column is no field of the schema")?;
    let action = fields(of_writer, &read)?;
    Ok(Plan { action, again: recursive.iter().map(|(name, schema)| (name.clone(), passed_over(schema))).collect() })
}

/// The fields that are asked for, in their order, and behind them the others; `None` if one is missing.
pub(super) fn only(fields: &[Field], wanted: &[String]) -> Option<Vec<Field>> {
    let read = wanted.iter().map(|name| fields.iter().find(|field| field.name == *name).cloned());
    let mut read = read.collect::<Option<Vec<Field>>>()?;
    let others = fields.iter().filter(|field| !wanted.contains(&field.name));
    read.extend(others.map(|field| Field { is_read: false, ..field.clone() }));
    Some(read)
}

/// What is to be done for a record. Of the reader's fields those that are read come first.
fn fields(of_writer: &[Field], of_reader: &[Field]) -> Result<Action, String> {
    let width = of_reader.iter().filter(|field| field.is_read).count();
    let mut found = vec![false; width];
    let mut actions = Vec::with_capacity(of_writer.len());
    for field in of_writer {
        let place = place_of(field, of_writer, of_reader);
        let reader = place.and_then(|place| of_reader.get(place)).filter(|reader| reader.is_read);
        let slot = place.and_then(|place| found.get_mut(place)).filter(|found| !**found);
        actions.push(match (reader, slot) {
            (Some(reader), Some(found)) => {
                *found = true;
                let action =
                    resolve(&field.schema, &reader.schema).map_err(|error| format!("field {}: {error}", field.name))?;
                (action, place)
            }
            _ => (passed_over(&field.schema), None),
        });
    }
    let mut defaults = Vec::new();
    for (place, (field, _)) in of_reader.iter().zip(&found).enumerate().filter(|(_, (_, found))| !**found) {
        let Some(value) = &field.default else {
            return Err(format!("field {} was not written and has no default", field.name));
        };
        let cell = default(value, &field.schema).map_err(|error| format!("the default of {}: {error}", field.name))?;
        defaults.push((place, cell));
    }
    Ok(Action::Record(actions, defaults, width))
}

/// The place of the reader's field that a field of the writer's is.
fn place_of(field: &Field, of_writer: &[Field], of_reader: &[Field]) -> Option<usize> {
    let same = of_reader.iter().position(|known| known.name == field.name);
    same.or_else(|| {
        // A name of the writer's own goes before an older name of another field.
        let is_alias = |known: &Field| {
            known.aliases.contains(&field.name) && !of_writer.iter().any(|field| field.name == known.name)
        };
        // Which of several it is does not depend on those that are asked for.
        let aliases = of_reader.iter().enumerate().filter(|(_, known)| is_alias(known));
        aliases.min_by_key(|(_, known)| &known.name).map(|(place, _)| place)
    })
}

/// What is to be done for a value that nobody asks for: it is read only as far as to find its end.
fn passed_over(schema: &Schema) -> Action {
    let elements = |action| Action::Elements(Box::new(action));
    let record = |actions: Vec<Action>| {
        Action::Record(actions.into_iter().map(|action| (action, None)).collect(), Vec::new(), 0)
    };
    match schema {
        Schema::Null => Action::Null,
        Schema::Boolean => Action::Fixed(1),
        Schema::Int(_) | Schema::Long(_) | Schema::Enum { .. } => Action::Integer(Width::Long),
        Schema::Float => Action::Real,
        Schema::Double => Action::Double,
        Schema::Bytes(_) | Schema::String => Action::Bytes,
        Schema::Fixed { size, .. } => Action::Fixed(*size),
        Schema::Array(item) => elements(passed_over(item)),
        Schema::Map(value) => elements(record(vec![Action::Bytes, passed_over(value)])),
        Schema::Union(branches) => Action::Union(branches.iter().map(|branch| Ok(passed_over(branch))).collect()),
        Schema::Record { fields, .. } => record(fields.iter().map(|field| passed_over(&field.schema)).collect()),
        Schema::Within(name) => Action::Again(name.clone()),
    }
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
            // What one schema calls a time and the other does not is the same number.
            if of_writer != of_reader && *of_writer != Logical::None && *of_reader != Logical::None {
                return Err("it was written as another unit of time".to_owned());
            }
            Ok(match of_reader {
                Logical::TimeMillis => Action::TimeOfDay(width(writer), 86_400_000),
                Logical::TimeMicros => Action::TimeOfDay(width(writer), 86_400_000_000),
                _ => Action::Integer(width(writer)),
            })
        }
        (Int(_) | Long(_), Float) => Ok(Action::IntegerToReal(width(writer))),
        (Int(_) | Long(_), Double) => Ok(Action::IntegerToDouble(width(writer))),
        (Float, Float) => Ok(Action::Real),
        (Float, Double) => Ok(Action::RealToDouble),
        (Double, Double) => Ok(Action::Double),
        (Bytes(of_writer), Bytes(of_reader)) => {
            Ok(digits(*of_writer, *of_reader)?.map_or(Action::Bytes, Action::Decimal))
        }
        (Bytes(Logical::None), String) | (String, String) => Ok(Action::Text),
        (String, Bytes(Logical::None)) => Ok(Action::Bytes),
        (Fixed { name: one, size, logical: of_writer, .. }, Fixed { name: other, aliases, size: same, logical }) => {
            if size != same || !is_named(one, other, aliases) {
                return differ();
            }
            let digits = digits(*of_writer, *logical)?;
            Ok(digits.map_or(Action::Fixed(*size), |precision| Action::FixedDecimal(*size, precision)))
        }
        (Enum { name: one, symbols, .. }, Enum { name: other, aliases, symbols: known, default }) => {
            if !is_named(one, other, aliases) {
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
        (Record { fields: one, .. }, Record { fields: other, .. }) => fields(one, other),
        _ => differ(),
    }
}

/// How a whole number of a schema is written.
fn width(schema: &Schema) -> Width {
    if matches!(schema, Schema::Int(_)) { Width::Int } else { Width::Long }
}

/// As a number of how many digits bytes are read, if they are one. What one schema calls a decimal and the other does not is the
/// same bytes.
fn digits(of_writer: Logical, of_reader: Logical) -> Result<Option<u8>, String> {
    let scale = |logical| match logical {
        Logical::Decimal { scale, .. } => Some(u64::from(scale)),
        Logical::WideDecimal { scale } => Some(scale),
        _ => None,
    };
    match (scale(of_writer), scale(of_reader), of_reader) {
        (Some(one), Some(other), _) if one != other => {
            Err(format!("it was written as a decimal of scale {one} and cannot be read as one of scale {other}"))
        }
        (_, _, Logical::Decimal { precision, .. }) => Ok(Some(precision)),
        _ => Ok(None),
    }
}

/// Whether a type of the writer's is one of the reader's, which has other names, too.
fn is_named(of_writer: &str, of_reader: &str, aliases: &[String]) -> bool {
    let name = short(of_writer);
    name == short(of_reader) || aliases.iter().any(|alias| name == short(alias))
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
