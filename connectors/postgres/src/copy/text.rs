//! Types of a variable width.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};

use super::column::ValueError;
use super::nulls::Nulls;

/// Texts, or bytes.
#[derive(Debug)]
pub(super) struct Texts {
    offsets: Vec<i32>,
    values: Vec<u8>,
    nulls: Nulls,
    utf8: bool,
}

impl Texts {
    pub(super) fn utf8() -> Self {
        Self { offsets: vec![0], values: Vec::new(), nulls: Nulls::default(), utf8: true }
    }

    pub(super) fn binary() -> Self {
        Self { utf8: false, ..Self::utf8() }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, value: &[u8]) -> Result<(), ValueError> {
        self.values.extend_from_slice(value);
        self.offsets.push(end(self.values.len())?);
        self.nulls.value();
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        self.nulls.null(self.offsets.len() - 1);
        self.offsets.push(self.offsets.last().copied().unwrap_or_default());
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ValueError> {
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, offsets)));
        let room = self.values.len();
        let values = Buffer::from_vec(std::mem::replace(&mut self.values, Vec::with_capacity(room)));
        let nulls = self.nulls.finish();
        // Whether it is UTF-8 is checked here, for all values at once.
        if self.utf8 {
            let texts = StringArray::try_new(offsets, values, nulls);
            texts.map(|texts| Arc::new(texts) as ArrayRef).map_err(|error| ValueError::new(error.to_string()))
        } else {
            let bytes = BinaryArray::try_new(offsets, values, nulls);
            bytes.map(|bytes| Arc::new(bytes) as ArrayRef).map_err(|error| ValueError::new(error.to_string()))
        }
    }
}

/// A length as Arrow's offset.
#[inline]
pub(super) fn end(length: usize) -> Result<i32, ValueError> {
    i32::try_from(length).map_err(|_| ValueError::new("more than 2 GiB of values in one batch"))
}

/// `char(n)` without its padding, as PostgreSQL's own conversion to `text` has it.
pub(super) fn without_padding(value: &[u8]) -> &[u8] {
    let mut kept = value;
    while let Some((start, [b' ', b' ', b' ', b' ', b' ', b' ', b' ', b' '])) = kept.split_last_chunk::<8>() {
        kept = start;
    }
    while let Some((b' ', start)) = kept.split_last() {
        kept = start;
    }
    kept
}

/// The text of a `jsonb`, which a version byte precedes.
pub(super) fn jsonb(value: &[u8]) -> Result<&[u8], ValueError> {
    match value.split_first() {
        Some((1, text)) => Ok(text),
        Some((version, _)) => Err(ValueError::new(format!("a jsonb of version {version}"))),
        None => Err(ValueError::length("jsonb", 0)),
    }
}

/// A UUID as PostgreSQL prints it.
pub(super) fn uuid(value: &[u8]) -> Result<[u8; 36], ValueError> {
    let bytes: [u8; 16] = value.try_into().map_err(|_| ValueError::length("uuid", value.len()))?;
    let mut text = [b'-'; 36];
    let places = text.iter_mut().enumerate().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23)).map(|(_, place)| place);
    for (place, digit) in places.zip(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15])) {
        *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_blanks_only() {
        assert_eq!(without_padding(b"ab   "), b"ab");
        assert_eq!(without_padding(b"  a \t "), b"  a \t");
        assert_eq!(without_padding(b"   "), b"");
        assert_eq!(without_padding(b""), b"");
        assert_eq!(without_padding(b"ab cd                     "), b"ab cd");
        assert_eq!(without_padding(&[b' '; 40]), b"");
    }

    #[test]
    fn uuids_print_in_groups() {
        let bytes: Vec<u8> = (0..16).map(|i| i * 17).collect();
        assert_eq!(&uuid(&bytes).unwrap(), b"00112233-4455-6677-8899-aabbccddeeff");
        assert!(uuid(&bytes[1..]).is_err());
    }

    #[test]
    fn text_that_is_not_utf8_is_an_error() {
        let mut texts = Texts::utf8();
        texts.push(b"ok").unwrap();
        texts.push(b"\xff").unwrap();
        assert!(texts.finish().is_err());
        // A character must not be whole only because two values lie side by side.
        let mut texts = Texts::utf8();
        texts.push(b"\xc3").unwrap();
        texts.push(b"\xa4").unwrap();
        assert!(texts.finish().is_err());
    }
}
