//! From batches to the rows of a binary `COPY ... FROM STDIN`.
//!
//! Source of the format: PostgreSQL's documentation, `COPY`, "Binary Format", and the receive functions of its types.

mod cell;
mod fixed;
mod list;
mod numeric;
mod text;

use arrow::array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;

use self::cell::cells;
use crate::types::Wire;

/// What the stream begins with: the signature, no flags, no extension of the header.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What it ends with, where a row would have the number of its columns.
pub(crate) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// The length of a NULL.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// A column that values are written into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: String,
    /// PostgreSQL's name of the type.
    pub(crate) source_type: String,
    /// How values of the column travel. What can be read in this way is written in it.
    pub(crate) wire: Wire,
    /// For an array: PostgreSQL's number of its elements' type. 0 for everything else.
    pub(crate) element: u32,
}

/// Why a value cannot be written: what the engine's column holds, as a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unwritable {
    pub(crate) what: String,
    pub(crate) hint: Option<&'static str>,
}

impl Unwritable {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }
}

/// Whether values of a wire format can be written at all.
pub(crate) fn is_writable(wire: &Wire) -> bool {
    cells(new_empty_array(&wire.data_type()).as_ref(), wire, 0).is_ok()
}

/// Appends the rows of a batch from the one with this index on, until so many bytes are there or there are no more rows.
/// Returns the index of the row behind the last one; an error comes with the index of its column.
pub(crate) fn encode(
    batch: &RecordBatch,
    targets: &[Target],
    from: usize,
    bytes: usize,
    out: &mut Vec<u8>,
) -> Result<usize, (usize, Unwritable)> {
    let count = i16::try_from(targets.len()).map_err(|_| (0, Unwritable::new("too many columns")))?;
    let arrays = batch.columns().iter().map(ArrayRef::as_ref);
    let columns = arrays.zip(targets).enumerate().map(|(at, (array, target))| {
        let cells = cells(array, &target.wire, target.element).map_err(|error| (at, error))?;
        Ok((array.nulls(), cells))
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let mut row = from;
    while row < batch.num_rows() && out.len() < bytes {
        out.extend_from_slice(&count.to_be_bytes());
        for (at, (nulls, cells)) in columns.iter().enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                out.extend_from_slice(&NULL);
            } else {
                with_length(out, |out| cells.put(row, out)).map_err(|error| (at, error))?;
            }
        }
        row += 1;
    }
    Ok(row)
}

/// Appends a value behind its length.
fn with_length(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>) -> Result<(), Unwritable>) -> Result<(), Unwritable> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    put(out)?;
    let length = i32::try_from(out.len() - start - 4)
        .map_err(|_| Unwritable::new("a value of more than 2 GiB, and PostgreSQL's have at most 1 GiB"))?;
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// The values in the type that a column has, where a new table's column has another than the query's.
pub(crate) fn conformed(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, Unwritable> {
    let given = array.data_type();
    if given == wanted {
        return Ok(ArrayRef::clone(array));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |array: &ArrayRef, to: &DataType| {
        cast_with_options(array, to, &strict).map_err(|error| Unwritable::new(error.to_string()))
    };
    let values = cast(array, wanted)?;
    // Times have parts that PostgreSQL's have not. Nothing else loses anything.
    let may_lose = given.is_temporal() || given.is_nested();
    if may_lose && cast(&values, given)?.as_ref() != array.as_ref() {
        return Err(Unwritable::new("a time with parts of a microsecond, which PostgreSQL does not have")
            .hint("write CAST(... AS timestamp(6)), which leaves them out"));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, StringArray, TimestampNanosecondArray};
    use arrow::datatypes::TimeUnit;

    use super::*;

    fn target(name: &str, wire: Wire) -> Target {
        Target { name: name.to_owned(), source_type: "?".to_owned(), wire, element: 0 }
    }

    #[test]
    fn rows_are_counts_lengths_and_values() {
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(""), Some("ab")]));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
        let targets = [target("n", Wire::Int4), target("t", Wire::Text)];
        let mut out = Vec::new();
        assert_eq!(encode(&batch, &targets, 0, usize::MAX, &mut out), Ok(2));
        let expected =
            [&[0, 2, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 0][..], &[0, 2, 255, 255, 255, 255, 0, 0, 0, 2, b'a', b'b'][..]];
        assert_eq!(out, expected.concat());
        // A row at a time.
        let mut out = Vec::new();
        assert_eq!(encode(&batch, &targets, 0, 1, &mut out), Ok(1));
        assert_eq!(out, expected[0]);
    }

    #[test]
    fn an_error_names_its_column() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a\0b"]));
        let batch = RecordBatch::try_from_iter([("t", texts)]).unwrap();
        let (column, error) = encode(&batch, &[target("t", Wire::Text)], 0, 10, &mut Vec::new()).unwrap_err();
        assert_eq!(column, 0);
        assert!(error.what.contains("NUL"), "{}", error.what);
    }

    #[test]
    fn what_postgresql_would_lose_is_not_written() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let whole: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(1_000), None]));
        assert_eq!(conformed(&whole, &micros).unwrap().data_type(), &micros);
        let part: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_001]));
        assert!(conformed(&part, &micros).unwrap_err().what.contains("microsecond"));
    }
}
