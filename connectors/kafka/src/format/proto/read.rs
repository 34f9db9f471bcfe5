//! Values from Protobuf's wire format (Protocol Buffers documentation, "Encoding").

use std::borrow::Cow;

use super::MAX_DEPTH;
use super::plan::{FieldPlan, MessagePlan, Scalar, Shape};
use crate::cell::Cell;
use crate::room::{Room, last_of_all};

/// How values are told apart without knowing their types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Varint,
    Bits64,
    Sized,
    Begin,
    End,
    Bits32,
}

/// What is left of a message.
struct Input<'m, 'r> {
    bytes: &'m [u8],
    at: usize,
    room: &'r Room,
}

/// Adds a cell for each field of the plan.
pub(super) fn message<'m>(bytes: &'m [u8], plan: &MessagePlan, cells: &mut Vec<Cell<'m>>) -> Result<(), String> {
    let mut found: Vec<Cell<'m>> = plan.defaults.clone();
    merge(Input { bytes, at: 0, room: &Room::new() }, plan, &mut found)?;
    // Once for all, since a message within may be written in any number of pieces.
    last_of_all(&mut found);
    cells.append(&mut found);
    Ok(())
}

/// The place of a message in its schema, and what follows. A single 0 stands for the first message.
pub(super) fn place(bytes: &[u8]) -> Result<(Vec<usize>, &[u8]), String> {
    let room = Room::new();
    let mut input = Input { bytes, at: 0, room: &room };
    let number = |input: &mut Input<'_, '_>| -> Result<usize, String> {
        let number = zigzag(input.varint()?);
        usize::try_from(number).map_err(|_| format!("the place of the message in its schema has {number}"))
    };
    let count = number(&mut input)?;
    if count > MAX_DEPTH {
        return Err(format!("the place of the message in its schema has {count} numbers"));
    }
    let mut place = Vec::with_capacity(count.max(1));
    for _ in 0..count {
        place.push(number(&mut input)?);
    }
    if place.is_empty() {
        place.push(0);
    }
    Ok((place, bytes.get(input.at..).unwrap_or_default()))
}

/// Reads the fields of a message over those that were read before.
fn merge<'m>(mut input: Input<'m, '_>, plan: &MessagePlan, cells: &mut [Cell<'m>]) -> Result<(), String> {
    while input.at < input.bytes.len() {
        let (number, wire) = input.tag()?;
        match (plan.fields.get(&number), plan.siblings.get(&number)) {
            (Some(field), _) => field_of(&mut input, wire, field, cells)?,
            (None, Some(sibling)) => {
                input.skip(number, wire, 0)?;
                if wire == sibling.wire {
                    clear(&sibling.others, cells);
                }
            }
            (None, None) => input.skip(number, wire, 0)?,
        }
    }
    Ok(())
}

/// Of the fields of a oneof the last that is written counts.
fn clear(others: &[usize], cells: &mut [Cell<'_>]) {
    for other in others {
        if let Some(other) = cells.get_mut(*other) {
            *other = Cell::Null;
        }
    }
}

/// Reads one field. One that was written as another type is passed over as what is not known.
fn field_of<'m>(
    input: &mut Input<'m, '_>,
    wire: Wire,
    field: &FieldPlan,
    cells: &mut [Cell<'m>],
) -> Result<(), String> {
    let Some(cell) = cells.get_mut(field.place) else { return Err("a field has no place".to_owned()) };
    match &field.shape {
        Shape::Single(scalar) if wire == scalar.wire() => {
            let before = std::mem::replace(cell, Cell::Null);
            *cell = value(input, scalar, before)?;
            clear(&field.others, cells);
        }
        Shape::Repeated(scalar) if wire == scalar.wire() => {
            let Cell::List(list) = cell else { return Err("a list has no place".to_owned()) };
            input.room.take(1)?;
            list.push(value(input, scalar, Cell::Null)?);
        }
        Shape::Repeated(scalar) if wire == Wire::Sized => {
            let Cell::List(list) = cell else { return Err("a list has no place".to_owned()) };
            let mut packed = input.within()?;
            while packed.at < packed.bytes.len() {
                packed.room.take(1)?;
                list.push(value(&mut packed, scalar, Cell::Null)?);
            }
        }
        Shape::Map(key, of, missing) if wire == Wire::Sized => {
            let Cell::Entries(entries) = cell else { return Err("a map has no place".to_owned()) };
            input.room.take(1)?;
            entries.push(entry(input.within()?, key, of, missing)?);
        }
        Shape::Single(_) | Shape::Repeated(_) | Shape::Map(..) => input.skip(0, wire, 0)?,
    }
    Ok(())
}

/// An entry of a map: a message of a key and a value.
fn entry<'m>(
    mut input: Input<'m, '_>,
    key_as: &Scalar,
    value_as: &Scalar,
    missing: &Cell<'static>,
) -> Result<(Cow<'m, str>, Cell<'m>), String> {
    let (mut key, mut found) = (None, None);
    while input.at < input.bytes.len() {
        match input.tag()? {
            (1, wire) if wire == key_as.wire() => key = Some(value(&mut input, key_as, Cell::Null)?),
            (2, wire) if wire == value_as.wire() => {
                found = Some(value(&mut input, value_as, found.take().unwrap_or(Cell::Null))?);
            }
            (number, wire) => input.skip(number, wire, 0)?,
        }
    }
    let key = match (key, key_as) {
        (Some(Cell::Text(text)), _) => text,
        (Some(Cell::Boolean(value)), _) => Cow::Owned(value.to_string()),
        (Some(Cell::Integer(number)), _) => Cow::Owned(number.to_string()),
        (Some(Cell::Decimal(number)), _) => Cow::Owned(number.to_string()),
        (None, Scalar::Text) => Cow::Borrowed(""),
        (None, Scalar::Bool) => Cow::Borrowed("false"),
        (None, _) => Cow::Borrowed("0"),
        (Some(_), _) => return Err("the key of a map is neither text nor a number".to_owned()),
    };
    let found = match (found, value_as) {
        (Some(found), _) => found,
        (None, Scalar::Message(plan)) => {
            input.room.take(plan.defaults.len())?;
            Cell::Fields(plan.defaults.clone())
        }
        (None, _) => missing.clone(),
    };
    Ok((key, found))
}

/// The value of a field; `before` is what was read of it before.
fn value<'m>(input: &mut Input<'m, '_>, scalar: &Scalar, before: Cell<'m>) -> Result<Cell<'m>, String> {
    Ok(match scalar {
        Scalar::Bool => Cell::Boolean(input.varint()? != 0),
        // Numbers that are too long are cut, as the documentation says.
        Scalar::Int32 => Cell::Integer(low(input.varint()?).cast_signed().into()),
        Scalar::Uint32 => Cell::Integer(low(input.varint()?).into()),
        Scalar::Sint32 => {
            let bits = low(input.varint()?);
            Cell::Integer(((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed()).into())
        }
        Scalar::Int64 => Cell::Integer(input.varint()?.cast_signed()),
        Scalar::Uint64 => Cell::Decimal(input.varint()?.into()),
        Scalar::Sint64 => Cell::Integer(zigzag(input.varint()?)),
        Scalar::Fixed32 => Cell::Integer(u32::from_le_bytes(input.array()?).into()),
        Scalar::Sfixed32 => Cell::Integer(i32::from_le_bytes(input.array()?).into()),
        Scalar::Fixed64 => Cell::Decimal(u64::from_le_bytes(input.array()?).into()),
        Scalar::Sfixed64 => Cell::Integer(i64::from_le_bytes(input.array()?)),
        Scalar::Float => Cell::Real(f32::from_le_bytes(input.array()?)),
        Scalar::Double => Cell::Double(f64::from_le_bytes(input.array()?)),
        Scalar::Text => {
            let bytes = input.sized()?;
            let text = std::str::from_utf8(bytes);
            Cell::Text(Cow::Borrowed(text.map_err(|_| format!("the text before byte {} is not UTF-8", input.at))?))
        }
        Scalar::Bytes => Cell::Bytes(Cow::Borrowed(input.sized()?)),
        Scalar::Enum(names) => {
            let number = low(input.varint()?).cast_signed();
            Cell::Text(Cow::Owned(names.get(&number).cloned().unwrap_or_else(|| number.to_string())))
        }
        Scalar::Message(plan) => {
            let mut cells = match before {
                Cell::Fields(cells) => cells,
                _ => {
                    input.room.take(plan.defaults.len())?;
                    plan.defaults.clone()
                }
            };
            merge(input.within()?, plan, &mut cells)?;
            Cell::Fields(cells)
        }
        Scalar::Timestamp => timestamp(input.within()?, &before)?,
        Scalar::Wrapped(of, missing) => {
            let mut inner = input.within()?;
            let mut found = if before == Cell::Null { missing.clone() } else { before };
            while inner.at < inner.bytes.len() {
                match inner.tag()? {
                    (1, wire) if wire == of.wire() => found = value(&mut inner, of, Cell::Null)?,
                    (number, wire) => inner.skip(number, wire, 0)?,
                }
            }
            found
        }
    })
}

/// Nanoseconds since 1970 of a message with seconds and nanoseconds.
fn timestamp<'m>(mut input: Input<'m, '_>, before: &Cell<'m>) -> Result<Cell<'m>, String> {
    const SECOND: i64 = 1_000_000_000;
    let (mut seconds, mut nanos) = match before {
        Cell::Integer(units) => (units.div_euclid(SECOND), units.rem_euclid(SECOND)),
        _ => (0, 0),
    };
    while input.at < input.bytes.len() {
        match input.tag()? {
            (1, Wire::Varint) => seconds = input.varint()?.cast_signed(),
            (2, Wire::Varint) => nanos = low(input.varint()?).cast_signed().into(),
            (number, wire) => input.skip(number, wire, 0)?,
        }
    }
    let units = seconds.checked_mul(SECOND).and_then(|units| units.checked_add(nanos));
    match units {
        Some(units) if (0..SECOND).contains(&nanos) => Ok(Cell::Integer(units)),
        _ => Err(format!("a timestamp of {seconds} seconds and {nanos} nanoseconds is out of range for timestamp(9)")),
    }
}

/// The low 32 bits.
fn low(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default()
}

fn zigzag(bits: u64) -> i64 {
    (bits >> 1).cast_signed() ^ -(bits & 1).cast_signed()
}

impl Scalar {
    /// How its values are written, one at a time.
    fn wire(&self) -> Wire {
        match self {
            Self::Bool
            | Self::Int32
            | Self::Int64
            | Self::Uint32
            | Self::Uint64
            | Self::Sint32
            | Self::Sint64
            | Self::Enum(_) => Wire::Varint,
            Self::Fixed32 | Self::Sfixed32 | Self::Float => Wire::Bits32,
            Self::Fixed64 | Self::Sfixed64 | Self::Double => Wire::Bits64,
            Self::Text | Self::Bytes | Self::Message(_) | Self::Timestamp | Self::Wrapped(..) => Wire::Sized,
        }
    }
}

impl<'m, 'r> Input<'m, 'r> {
    /// A message within this one.
    fn within(&mut self) -> Result<Self, String> {
        let room = self.room;
        Ok(Self { bytes: self.sized()?, at: 0, room })
    }

    fn take(&mut self, count: usize) -> Result<&'m [u8], String> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| {
            format!("a value of {count} bytes begins at byte {} and the message ends at {}", self.at, self.bytes.len())
        })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "the wrong number of bytes".to_owned())
    }

    fn varint(&mut self) -> Result<u64, String> {
        let (mut number, mut shift) = (0_u64, 0_u32);
        loop {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(format!("the number before byte {} has more than 64 bits", self.at));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
            shift += 7;
            if shift > 63 {
                return Err(format!("the number before byte {} has more than 64 bits", self.at));
            }
        }
    }

    fn sized(&mut self) -> Result<&'m [u8], String> {
        let length = self.varint()?;
        let length = usize::try_from(length).map_err(|_| format!("the length before byte {} is {length}", self.at))?;
        self.take(length)
    }

    /// The number of a field, and how its value is written.
    fn tag(&mut self) -> Result<(u32, Wire), String> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint,
            1 => Wire::Bits64,
            2 => Wire::Sized,
            3 => Wire::Begin,
            4 => Wire::End,
            5 => Wire::Bits32,
            other => {
                return Err(format!("the field before byte {} is written as {other}, which is no way to", self.at));
            }
        };
        match u32::try_from(tag >> 3) {
            Ok(number) if number > 0 => Ok((number, wire)),
            _ => Err(format!("the field before byte {} has the number {}", self.at, tag >> 3)),
        }
    }

    /// Passes a value over.
    fn skip(&mut self, number: u32, wire: Wire, depth: usize) -> Result<(), String> {
        match wire {
            Wire::Varint => self.varint().map(drop),
            Wire::Bits64 => self.take(8).map(drop),
            Wire::Bits32 => self.take(4).map(drop),
            Wire::Sized => self.sized().map(drop),
            Wire::End => Err(format!("a group ends before byte {} that has not begun", self.at)),
            Wire::Begin if depth >= MAX_DEPTH => Err(format!("groups nest deeper than {MAX_DEPTH} levels")),
            Wire::Begin => loop {
                match self.tag()? {
                    // The number of a field that was written as another type is not told here; the wire says enough.
                    (end, Wire::End) if number == 0 || end == number => return Ok(()),
                    (inner, wire) => self.skip(inner, wire, depth + 1)?,
                }
            },
        }
    }
}
