//! What is to be done with each field of a message, settled once for all messages.

use std::borrow::Cow;
use std::collections::HashMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, Value};

use super::MAX_DEPTH;
use super::columns::{TIMESTAMP, in_order, wrapped};
use super::read::Wire;
use crate::cell::Cell;

/// How a message is read.
#[derive(Clone, Debug)]
pub(super) struct MessagePlan {
    /// By the number of the field.
    pub(super) fields: HashMap<u32, FieldPlan>,
    /// Fields that nobody asks for, in a oneof with some that are: what was read of those before is no longer there.
    pub(super) siblings: HashMap<u32, Sibling>,
    /// What there is where nothing is written, by place.
    pub(super) defaults: Vec<Cell<'static>>,
}

/// How a field is read.
#[derive(Clone, Debug)]
pub(super) struct FieldPlan {
    /// Where its value goes.
    pub(super) place: usize,
    pub(super) shape: Shape,
    /// The places of the others of its oneof, of which the last that is written counts.
    pub(super) others: Vec<usize>,
}

/// A field that is passed over.
#[derive(Clone, Debug)]
pub(super) struct Sibling {
    /// How it is written, if it is that.
    pub(super) wire: Wire,
    /// The places of the others of its oneof.
    pub(super) others: Vec<usize>,
}

/// How often a field may be written.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// Once; the last time counts, and messages are put together.
    Single(Scalar),
    /// Any number of times, or packed.
    Repeated(Scalar),
    /// An entry each time: its key, its value, and the value where none is written.
    Map(Scalar, Scalar, Cell<'static>),
}

/// How one value is written.
#[derive(Clone, Debug)]
pub(super) enum Scalar {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
    Text,
    Bytes,
    /// The names by their numbers.
    Enum(HashMap<i32, String>),
    Message(Box<MessagePlan>),
    /// Seconds and nanoseconds since 1970.
    Timestamp,
    /// The only field of a message, and its value where none is written.
    Wrapped(Box<Scalar>, Cell<'static>),
}

impl MessagePlan {
    /// A plan for fields of these names, whose values come in their order.
    pub(super) fn new(message: &MessageDescriptor, wanted: &[&str]) -> Result<Self, String> {
        let fields = wanted.iter().map(|name| {
            message.get_field_by_name(name).ok_or_else(|| format!("{} has no field {name}", message.full_name()))
        });
        Self::of(&fields.collect::<Result<Vec<_>, _>>()?, 0)
    }

    fn of(fields: &[FieldDescriptor], depth: usize) -> Result<Self, String> {
        if depth > MAX_DEPTH {
            return Err(format!("a message nests deeper than {MAX_DEPTH} levels"));
        }
        let defaults = Vec::with_capacity(fields.len());
        let mut plan = Self { fields: HashMap::new(), siblings: HashMap::new(), defaults };
        for (place, field) in fields.iter().enumerate() {
            let (shape, default) = shape(field, depth)?;
            let oneof = field.containing_oneof();
            let others = fields.iter().enumerate().filter(|(other, _)| *other != place);
            let others = others.filter(|(_, other)| oneof.is_some() && other.containing_oneof() == oneof);
            let others = others.map(|(other, _)| other).collect();
            let siblings = oneof.iter().flat_map(|oneof| oneof.fields().collect::<Vec<_>>());
            for sibling in siblings.filter(|sibling| !fields.contains(sibling)) {
                let unread = || Sibling { wire: wire(&sibling), others: Vec::new() };
                plan.siblings.entry(sibling.number()).or_insert_with(unread).others.push(place);
            }
            plan.fields.insert(field.number(), FieldPlan { place, shape, others });
            plan.defaults.push(default);
        }
        Ok(plan)
    }
}

/// How a field is read, and what it is where it is not written.
fn shape(field: &FieldDescriptor, depth: usize) -> Result<(Shape, Cell<'static>), String> {
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { return Err("a map is no message".to_owned()) };
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let value_as = scalar(&value, depth)?;
        // A value that is not written is one of which nothing is.
        let missing = match &value_as {
            Scalar::Timestamp => Cell::Integer(0),
            Scalar::Wrapped(_, missing) => missing.clone(),
            Scalar::Message(_) => Cell::Null,
            _ => default(&value.default_value(), &value),
        };
        return Ok((Shape::Map(scalar(&key, depth)?, value_as, missing), Cell::Entries(Vec::new())));
    }
    let read = scalar(field, depth)?;
    if field.is_list() {
        return Ok((Shape::Repeated(read), Cell::List(Vec::new())));
    }
    let declares_default = field.field_descriptor_proto().default_value.is_some();
    let missing = match field.supports_presence() && !declares_default {
        true => Cell::Null,
        false => default(&field.default_value(), field),
    };
    Ok((Shape::Single(read), missing))
}

fn scalar(field: &FieldDescriptor, depth: usize) -> Result<Scalar, String> {
    Ok(match field.kind() {
        Kind::Bool => Scalar::Bool,
        Kind::Int32 => Scalar::Int32,
        Kind::Int64 => Scalar::Int64,
        Kind::Uint32 => Scalar::Uint32,
        Kind::Uint64 => Scalar::Uint64,
        Kind::Sint32 => Scalar::Sint32,
        Kind::Sint64 => Scalar::Sint64,
        Kind::Fixed32 => Scalar::Fixed32,
        Kind::Fixed64 => Scalar::Fixed64,
        Kind::Sfixed32 => Scalar::Sfixed32,
        Kind::Sfixed64 => Scalar::Sfixed64,
        Kind::Float => Scalar::Float,
        Kind::Double => Scalar::Double,
        Kind::String => Scalar::Text,
        Kind::Bytes => Scalar::Bytes,
        Kind::Enum(names) => {
            Scalar::Enum(names.values().map(|value| (value.number(), value.name().to_owned())).collect())
        }
        Kind::Message(message) if message.full_name() == TIMESTAMP => Scalar::Timestamp,
        Kind::Message(message) => match wrapped(&message) {
            Some(value) => {
                let missing = default(&value.default_value(), &value);
                Scalar::Wrapped(Box::new(scalar(&value, depth + 1)?), missing)
            }
            None => Scalar::Message(Box::new(MessagePlan::of(&in_order(&message), depth + 1)?)),
        },
    })
}

/// How a single value of a field is written.
fn wire(field: &FieldDescriptor) -> Wire {
    match field.kind() {
        Kind::Message(_) if field.is_group() => Wire::Begin,
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Wire::Bits64,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Wire::Bits32,
        Kind::String | Kind::Bytes | Kind::Message(_) => Wire::Sized,
        Kind::Bool
        | Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Enum(_) => Wire::Varint,
    }
}

/// A default as a cell.
fn default(value: &Value, field: &FieldDescriptor) -> Cell<'static> {
    match value {
        Value::Bool(value) => Cell::Boolean(*value),
        Value::I32(number) => Cell::Integer((*number).into()),
        Value::I64(number) => Cell::Integer(*number),
        Value::U32(number) => Cell::Integer((*number).into()),
        Value::U64(number) => Cell::Decimal((*number).into()),
        Value::F32(number) => Cell::Real(*number),
        Value::F64(number) => Cell::Double(*number),
        Value::String(text) => Cell::Text(Cow::Owned(text.clone())),
        Value::Bytes(bytes) => Cell::Bytes(Cow::Owned(bytes.to_vec())),
        Value::EnumNumber(number) => match field.kind() {
            Kind::Enum(names) => match names.get_value(*number) {
                Some(value) => Cell::Text(Cow::Owned(value.name().to_owned())),
                None => Cell::Text(Cow::Owned(number.to_string())),
            },
            _ => Cell::Null,
        },
        Value::Message(_) | Value::List(_) | Value::Map(_) => Cell::Null,
    }
}
