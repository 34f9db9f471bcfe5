//! `hstore` as a map from text to text.
//!
//! Source: PostgreSQL's `hstore_io.c`, `hstore_send`.

use std::sync::Arc;

use arrow::array::{ArrayRef, MapArray, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef};

use super::column::ValueError;
use super::decoder::{split_i32, split_value};
use super::nulls::Nulls;
use super::text::{Texts, end};
use crate::types::Wire;

/// Maps under construction. The server sends each key once.
#[derive(Debug)]
pub(super) struct Maps {
    offsets: Vec<i32>,
    nulls: Nulls,
    keys: Texts,
    values: Texts,
    count: usize,
}

impl Maps {
    pub(super) fn new() -> Self {
        Self { offsets: vec![0], nulls: Nulls::default(), keys: Texts::utf8(), values: Texts::utf8(), count: 0 }
    }

    pub(super) fn push(&mut self, value: &[u8]) -> Result<(), ValueError> {
        let short = || ValueError::new("an hstore that ends too early");
        let (pairs, mut rest) = split_i32(value).ok_or_else(short)?;
        for _ in 0..pairs {
            let (key, after) = split_value(rest)?.ok_or_else(short)?;
            let (value, after) = split_value(after)?.ok_or_else(short)?;
            self.keys.push(key.ok_or_else(|| ValueError::new("an hstore with a NULL for a key"))?)?;
            match value {
                Some(value) => self.values.push(value)?,
                None => self.values.push_null(),
            }
            self.count += 1;
            rest = after;
        }
        if !rest.is_empty() {
            return Err(ValueError::new("an hstore that ends too late"));
        }
        self.offsets.push(end(self.count)?);
        self.nulls.value();
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        self.nulls.null(self.offsets.len() - 1);
        self.offsets.push(self.offsets.last().copied().unwrap_or_default());
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ValueError> {
        let failed = |error: arrow::error::ArrowError| ValueError::new(error.to_string());
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])));
        self.count = 0;
        let (keys, values) = (self.keys.finish()?, self.values.finish()?);
        let entries = entries()?;
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(ValueError::new("an hstore, whose entries have no keys"));
        };
        let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(failed)?;
        let maps = MapArray::try_new(Arc::clone(&entries), offsets, pairs, self.nulls.finish(), false);
        maps.map(|maps| Arc::new(maps) as ArrayRef).map_err(failed)
    }
}

/// What the engine calls the pairs.
fn entries() -> Result<FieldRef, ValueError> {
    match Wire::Hstore.data_type() {
        DataType::Map(entries, _) => Ok(entries),
        other => Err(ValueError::new(format!("an hstore, which is no {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;

    fn field(value: &mut Vec<u8>, text: Option<&str>) {
        value.extend(text.map_or(-1, |text| i32::try_from(text.len()).unwrap()).to_be_bytes());
        value.extend(text.unwrap_or_default().as_bytes());
    }

    fn wire(pairs: &[(&str, Option<&str>)]) -> Vec<u8> {
        let mut value = i32::try_from(pairs.len()).unwrap().to_be_bytes().to_vec();
        for (key, text) in pairs {
            field(&mut value, Some(key));
            field(&mut value, *text);
        }
        value
    }

    #[test]
    fn pairs_keep_their_maps() {
        let mut maps = Maps::new();
        maps.push(&wire(&[("a", Some("1")), ("b", None)])).unwrap();
        maps.push_null();
        maps.push(&wire(&[])).unwrap();
        let array = maps.finish().unwrap();
        let array = array.as_map();
        assert_eq!((array.len(), array.is_null(1), array.value_length(0), array.value_length(2)), (3, true, 2, 0));
        assert_eq!(array.keys().as_string::<i32>().value(1), "b");
        assert!(array.values().is_null(1));
        assert!(maps.finish().unwrap().is_empty());
    }

    #[test]
    fn malformed_values_are_errors() {
        let whole = wire(&[("a", Some("1"))]);
        for value in
            [&whole[..whole.len() - 1], &[whole.as_slice(), &[0]].concat(), &[0, 0], &[0, 0, 0, 1, 255, 255, 255, 255]]
        {
            assert!(Maps::new().push(value).is_err(), "{value:?}");
        }
    }
}
