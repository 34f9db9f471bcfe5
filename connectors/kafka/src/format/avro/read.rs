//! Values from Avro's binary encoding (Avro specification 1.12, "Binary Encoding").

use std::borrow::Cow;
use std::collections::HashMap;

use super::resolve::{Action, Plan, Width};
use crate::cell::Cell;
use crate::room::{MAX_VALUES, last_of_each};

/// How deep values may be within values, unions counted. A step takes some kilobytes of the stack, of which threads have two
/// megabytes.
const MAX_DEPTH: usize = 300;

/// The cells of a record, which must be all of the bytes.
pub(super) fn record<'m>(bytes: &'m [u8], plan: &Plan, cells: &mut Vec<Cell<'m>>) -> Result<(), String> {
    let mut input = Input { bytes, at: 0, room: MAX_VALUES, depth: 0, again: &plan.again };
    let Action::Record(fields, defaults, width) = &plan.action else {
        return Err("it is no record".to_owned());
    };
    input.fields(fields, defaults, *width, cells)?;
    let left = bytes.len() - input.at;
    if left > 0 {
        return Err(format!("{left} bytes follow the record"));
    }
    Ok(())
}

/// Hands the cells of a record, which must be all of the bytes, to `visit` with the places of their columns, each of which has one
/// cell at most: what is not visited is NULL. `None` where `visit` says so, and where the bytes are no such record.
#[inline]
pub(super) fn visit_record<'m>(
    bytes: &'m [u8],
    plan: &Plan,
    mut visit: impl FnMut(usize, Cell<'m>) -> Option<()>,
) -> Option<()> {
    let mut input = Input { bytes, at: 0, room: MAX_VALUES, depth: 0, again: &plan.again };
    let Action::Record(fields, defaults, width) = &plan.action else { return None };
    input.values(*width).ok()?;
    for (action, place) in fields {
        let cell = value(&mut input, action).ok()?;
        if let Some(place) = place {
            visit(*place, cell)?;
        }
    }
    for (place, cell) in defaults {
        visit(*place, cell.clone())?;
    }
    (input.at == bytes.len()).then_some(())
}

/// What is left of a message.
struct Input<'m, 'p> {
    bytes: &'m [u8],
    at: usize,
    /// How many values it may still have.
    room: usize,
    /// How many values it is within.
    depth: usize,
    /// What is to be done for records that contain themselves.
    again: &'p HashMap<String, Action>,
}

impl<'m> Input<'m, '_> {
    /// Makes room for values.
    fn values(&mut self, count: usize) -> Result<(), String> {
        let left = self.room.checked_sub(count);
        self.room = left.ok_or_else(|| format!("it has more than {MAX_VALUES} values"))?;
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'m [u8], String> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| {
            format!("it ends after {} bytes, where {count} more are needed from byte {} on", self.bytes.len(), self.at)
        })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| "the wrong number of bytes".to_owned())
    }

    /// A whole number of variable length, zigzag encoded.
    #[inline]
    fn long(&mut self) -> Result<i64, String> {
        // Most take one byte: lengths of texts, branches of unions.
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(i64::from(byte >> 1) ^ -i64::from(byte & 1))
            }
            _ => self.longer(),
        }
    }

    fn longer(&mut self) -> Result<i64, String> {
        let (mut number, mut shift) = (0_u64, 0_u32);
        loop {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(format!("the number before byte {} has more than 64 bits", self.at));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
            shift += 7;
            if shift > 63 {
                return Err(format!("the number before byte {} has more than 64 bits", self.at));
            }
        }
    }

    /// A whole number as it was written.
    #[inline]
    fn whole(&mut self, width: Width) -> Result<i64, String> {
        let number = self.long()?;
        match width {
            Width::Int if i32::try_from(number).is_err() => {
                Err(format!("the int before byte {} is {number}, which has more than 32 bits", self.at))
            }
            _ => Ok(number),
        }
    }

    fn length(&mut self) -> Result<usize, String> {
        let length = self.long()?;
        usize::try_from(length).map_err(|_| format!("the length before byte {} is {length}", self.at))
    }

    fn sized(&mut self) -> Result<&'m [u8], String> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<&'m str, String> {
        let bytes = self.sized()?;
        std::str::from_utf8(bytes).map_err(|_| format!("the text before byte {} is not UTF-8", self.at))
    }

    fn boolean(&mut self) -> Result<bool, String> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(format!("the boolean before byte {} is {other}", self.at)),
        }
    }

    /// How many elements the next block of an array or a map has.
    fn block(&mut self) -> Result<usize, String> {
        let count = self.long()?;
        if count < 0 {
            // The size of the block in bytes, for readers that pass over it.
            self.long()?;
        }
        usize::try_from(count.unsigned_abs()).map_err(|_| format!("the count before byte {} is too large", self.at))
    }

    /// Calls for each element of an array or a map.
    fn blocks(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        loop {
            let count = self.block()?;
            if count == 0 {
                return Ok(());
            }
            self.values(count)?;
            for _ in 0..count {
                element(self)?;
            }
        }
    }

    /// Adds the fields of a record to `cells`, as many as the width says.
    fn fields(
        &mut self,
        fields: &[(Action, Option<usize>)],
        defaults: &[(usize, Cell<'static>)],
        width: usize,
        cells: &mut Vec<Cell<'m>>,
    ) -> Result<(), String> {
        self.values(width)?;
        let first = cells.len();
        cells.resize_with(first + width, || Cell::Null);
        for (place, cell) in defaults {
            if let Some(slot) = cells.get_mut(first + place) {
                *slot = cell.clone();
            }
        }
        for (action, place) in fields {
            let cell = value(self, action)?;
            if let Some(slot) = place.and_then(|place| cells.get_mut(first + place)) {
                *slot = cell;
            }
        }
        Ok(())
    }
}

#[inline]
fn value<'m>(input: &mut Input<'m, '_>, action: &Action) -> Result<Cell<'m>, String> {
    // What most fields are is read here: the rest takes a large frame of the stack.
    Ok(match action {
        Action::Integer(width) => Cell::Integer(input.whole(*width)?),
        Action::Double => Cell::Double(f64::from_le_bytes(input.array()?)),
        Action::Text => Cell::Text(Cow::Borrowed(input.text()?)),
        Action::Boolean => Cell::Boolean(input.boolean()?),
        _ => return rarer(input, action),
    })
}

fn rarer<'m>(input: &mut Input<'m, '_>, action: &Action) -> Result<Cell<'m>, String> {
    input.depth += 1;
    if input.depth > MAX_DEPTH {
        return Err(format!("its values are more than {MAX_DEPTH} levels deep"));
    }
    let read = read_value(input, action);
    input.depth -= 1;
    read
}

fn read_value<'m>(input: &mut Input<'m, '_>, action: &Action) -> Result<Cell<'m>, String> {
    Ok(match action {
        Action::Null => Cell::Null,
        Action::Boolean => Cell::Boolean(input.boolean()?),
        Action::Integer(width) => Cell::Integer(input.whole(*width)?),
        #[allow(clippy::cast_precision_loss, reason = "the specification promotes so")]
        Action::IntegerToReal(width) => Cell::Real(input.whole(*width)? as f32),
        #[allow(clippy::cast_precision_loss, reason = "the specification promotes so")]
        Action::IntegerToDouble(width) => Cell::Double(input.whole(*width)? as f64),
        Action::TimeOfDay(width, day) => {
            let units = input.whole(*width)?;
            if !(0..*day).contains(&units) {
                return Err(format!("the time before byte {} is {units}, which is outside of a day", input.at));
            }
            Cell::Integer(units)
        }
        Action::Real => Cell::Real(f32::from_le_bytes(input.array()?)),
        Action::RealToDouble => Cell::Double(f32::from_le_bytes(input.array()?).into()),
        Action::Double => Cell::Double(f64::from_le_bytes(input.array()?)),
        Action::Bytes => Cell::Bytes(Cow::Borrowed(input.sized()?)),
        Action::Text => Cell::Text(Cow::Borrowed(input.text()?)),
        Action::Fixed(size) => Cell::Bytes(Cow::Borrowed(input.take(*size)?)),
        Action::Decimal(precision) => Cell::Decimal(decimal(input.sized()?, *precision)?),
        Action::FixedDecimal(size, precision) => Cell::Decimal(decimal(input.take(*size)?, *precision)?),
        Action::Enum(symbols) => {
            let index = input.length()?;
            match symbols.get(index) {
                Some(symbol) => Cell::Text(Cow::Owned(symbol.clone()?)),
                None => return Err(format!("symbol {index} of {} was written", symbols.len())),
            }
        }
        Action::Array(item) => {
            let mut cells = Vec::new();
            input.blocks(|input| {
                cells.push(value(input, item)?);
                Ok(())
            })?;
            Cell::List(cells)
        }
        Action::Map(item) => {
            let mut entries = Vec::<(Cow<'m, str>, Cell<'m>)>::new();
            input.blocks(|input| {
                let key = input.text()?;
                let cell = value(input, item)?;
                entries.push((Cow::Borrowed(key), cell));
                Ok(())
            })?;
            last_of_each(&mut entries);
            Cell::Entries(entries)
        }
        Action::Elements(element) => {
            input.blocks(|input| value(input, element).map(drop))?;
            Cell::Null
        }
        Action::Union(branches) => {
            let index = input.length()?;
            match branches.get(index) {
                Some(Ok(action)) => value(input, action)?,
                Some(Err(error)) => return Err(error.clone()),
                None => return Err(format!("branch {index} of a union of {} was written", branches.len())),
            }
        }
        Action::Record(fields, defaults, width) => {
            let mut cells = Vec::new();
            input.fields(fields, defaults, *width, &mut cells)?;
            Cell::Fields(cells)
        }
        Action::Again(name) => {
            let again = input.again;
            let action = again.get(name).ok_or_else(|| format!("the schema has no record {name}"))?;
            value(input, action)?
        }
    })
}

/// A big-endian number in two's complement, of at most so many digits.
pub(super) fn decimal(bytes: &[u8], precision: u8) -> Result<i128, String> {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let sign = if negative { 0xff } else { 0 };
    let too_large = || format!("a decimal of {} bytes is too large for {precision} digits", bytes.len());
    // Leading bytes may be no more than the sign.
    let (extra, digits) = bytes.split_at_checked(bytes.len().saturating_sub(16)).ok_or_else(too_large)?;
    if extra.iter().any(|byte| *byte != sign) {
        return Err(too_large());
    }
    let mut number = [sign; 16];
    for (slot, byte) in number.iter_mut().rev().zip(digits.iter().rev()) {
        *slot = *byte;
    }
    let number = i128::from_be_bytes(number);
    // The sign of what was cut off must be the sign of what is left.
    if (number < 0) != negative {
        return Err(too_large());
    }
    match 10_u128.checked_pow(precision.into()) {
        Some(limit) if number.unsigned_abs() < limit => Ok(number),
        _ => Err(too_large()),
    }
}
