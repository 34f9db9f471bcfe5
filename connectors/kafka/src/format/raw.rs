//! Values at fixed places of a message's bytes. Numbers are big-endian: whole numbers in two's complement of 1, 2, 4 or 8
//! bytes, floating point as IEEE 754 has it. Text is UTF-8. A boolean is a whole number that is not 0.

use std::borrow::Cow;

use crate::cell::Cell;
use crate::layout::{MessageColumn, Place};
use crate::types::ValueType;

/// Reads values at fixed places.
#[derive(Debug)]
pub(crate) struct RawReader {
    columns: Vec<(String, ValueType, usize, Option<usize>)>,
}

impl RawReader {
    /// A reader of these columns.
    pub(super) fn new(columns: &[MessageColumn]) -> Self {
        let columns = columns.iter().map(|column| {
            let (start, end) = match column.place {
                Place::Bytes(start, end) => (start, end),
                _ => (0, None),
            };
            (column.name.clone(), column.value_type.clone(), start, end)
        });
        Self { columns: columns.collect() }
    }

    pub(super) fn read<'m>(&mut self, bytes: &'m [u8], cells: &mut Vec<Cell<'m>>) -> Result<(), String> {
        for (name, value_type, start, end) in &self.columns {
            let Some(found) = bytes.get(*start..end.unwrap_or(bytes.len())) else {
                let end = end.map_or_else(|| "the end".to_owned(), |end| end.to_string());
                return Err(format!("column {name}: it has {} bytes, and none from {start} to {end}", bytes.len()));
            };
            cells.push(value(found, value_type).map_err(|error| format!("column {name}: {error}"))?);
        }
        Ok(())
    }
}

fn value<'m>(bytes: &'m [u8], value_type: &ValueType) -> Result<Cell<'m>, String> {
    let unfit = || format!("{} bytes are no {value_type}", bytes.len());
    match value_type {
        ValueType::Varbinary => Ok(Cell::Bytes(Cow::Borrowed(bytes))),
        ValueType::Varchar => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cell::Text(Cow::Borrowed(text))),
            Err(error) => Err(format!("it is not UTF-8 from byte {} on", error.valid_up_to())),
        },
        ValueType::Boolean => whole(bytes).map(|number| Cell::Boolean(number != 0)).ok_or_else(unfit),
        ValueType::Real => bytes.try_into().map(|bytes| Cell::Real(f32::from_be_bytes(bytes))).map_err(|_| unfit()),
        ValueType::Double => bytes.try_into().map(|bytes| Cell::Double(f64::from_be_bytes(bytes))).map_err(|_| unfit()),
        ValueType::TinyInt | ValueType::SmallInt | ValueType::Integer | ValueType::BigInt => {
            let number = whole(bytes).ok_or_else(unfit)?;
            let fits = match value_type {
                ValueType::TinyInt => i8::try_from(number).is_ok(),
                ValueType::SmallInt => i16::try_from(number).is_ok(),
                ValueType::Integer => i32::try_from(number).is_ok(),
                _ => true,
            };
            if fits { Ok(Cell::Integer(number)) } else { Err(format!("{number} is too large for {value_type}")) }
        }
        _ => Err(unfit()),
    }
}

fn whole(bytes: &[u8]) -> Option<i64> {
    Some(match bytes.len() {
        1 => i8::from_be_bytes(bytes.try_into().ok()?).into(),
        2 => i16::from_be_bytes(bytes.try_into().ok()?).into(),
        4 => i32::from_be_bytes(bytes.try_into().ok()?).into(),
        8 => i64::from_be_bytes(bytes.try_into().ok()?),
        _ => return None,
    })
}

/// Whether a column of this type can be read of so many bytes; of any number where the end is open.
pub(crate) fn is_readable(value_type: &ValueType, bytes: Option<usize>) -> bool {
    match value_type {
        ValueType::Varbinary | ValueType::Varchar => true,
        ValueType::Boolean | ValueType::TinyInt | ValueType::SmallInt | ValueType::Integer | ValueType::BigInt => {
            bytes.is_none_or(|bytes| matches!(bytes, 1 | 2 | 4 | 8))
        }
        ValueType::Real => bytes.is_none_or(|bytes| bytes == 4),
        ValueType::Double => bytes.is_none_or(|bytes| bytes == 8),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_bytes() {
        let of = |bytes: &'static [u8], name: &str| value(bytes, &name.parse().unwrap());
        assert_eq!(of(&[0xff, 0xfe], "int"), Ok(Cell::Integer(-2)));
        assert_eq!(of(&[0, 0, 0, 0, 0, 0, 1, 0], "bigint"), Ok(Cell::Integer(256)));
        assert_eq!(of(&[0x3f, 0x80, 0, 0], "real"), Ok(Cell::Real(1.0)));
        assert_eq!(of(&[0x40, 0, 0, 0, 0, 0, 0, 0], "double"), Ok(Cell::Double(2.0)));
        assert_eq!(of(&[2], "boolean"), Ok(Cell::Boolean(true)));
        assert_eq!(of("é".as_bytes(), "varchar"), Ok(Cell::Text("é".into())));
        assert_eq!(of(&[], "varbinary"), Ok(Cell::Bytes(Cow::Borrowed(&[]))));
        for (bytes, name, part) in [
            (&[1_u8, 2, 3][..], "int", "3 bytes are no integer"),
            (&[1, 0], "tinyint", "256 is too large for tinyint"),
            (&[1], "double", "1 bytes are no double"),
            (&[0xff], "varchar", "not UTF-8"),
        ] {
            assert!(of(bytes, name).unwrap_err().contains(part), "{bytes:?}");
        }
    }
}
