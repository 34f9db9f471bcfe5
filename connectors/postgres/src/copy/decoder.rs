//! From pieces of a `COPY` stream to batches.

use std::fmt;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use super::column::{Column, ValueError};
use crate::types::Wire;

/// What the stream begins with.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, and the length of the header's extension.
const HEADER: usize = SIGNATURE.len() + 8;

/// When a batch is full: with the row that reaches either.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Rows of a batch, at least one.
    pub(crate) rows: usize,
    /// Bytes of a batch, as the server sends them.
    pub(crate) bytes: usize,
}

/// What is wrong with the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// A value, in the column with this index.
    Value { column: usize, error: ValueError },
    /// The stream itself.
    Stream(String),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { column, error } => write!(f, "column {column}: {error}"),
            Self::Stream(what) => f.write_str(what),
        }
    }
}

/// Where in the stream the decoder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Header,
    /// Between two rows.
    Row,
    /// Before the value of this column.
    Field(usize),
    /// After the trailer.
    End,
}

/// Decodes one stream. Pieces may end anywhere, within a value too.
#[derive(Debug)]
pub(crate) struct CopyDecoder {
    schema: SchemaRef,
    columns: Vec<Column>,
    limits: Limits,
    position: Position,
    rows: usize,
    bytes: usize,
    /// What of earlier pieces was too short to be decoded.
    carry: Vec<u8>,
}

impl CopyDecoder {
    /// A decoder of rows with these columns. The schema has the same columns.
    pub(crate) fn new<'a>(schema: SchemaRef, wires: impl IntoIterator<Item = &'a Wire>, limits: Limits) -> Self {
        Self {
            schema,
            columns: wires.into_iter().map(Column::new).collect(),
            limits,
            position: Position::Header,
            rows: 0,
            bytes: 0,
            carry: Vec::new(),
        }
    }

    /// Whether a batch has to be taken before more can be decoded.
    pub(crate) fn is_full(&self) -> bool {
        let within_row = matches!(self.position, Position::Field(_));
        !within_row && (self.rows >= self.limits.rows || self.bytes >= self.limits.bytes)
    }

    /// Decodes a piece. Call it again with an empty piece after [`CopyDecoder::take`] as long as it left the decoder
    /// full.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<(), DecodeError> {
        if self.carry.is_empty() {
            let used = self.decode(piece)?;
            self.carry.extend_from_slice(piece.get(used..).unwrap_or_default());
        } else {
            let mut carry = std::mem::take(&mut self.carry);
            carry.extend_from_slice(piece);
            let used = self.decode(&carry)?;
            carry.drain(..used.min(carry.len()));
            self.carry = carry;
        }
        Ok(())
    }

    /// Ends the stream: everything has to be complete.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.position == Position::End && self.carry.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Stream("the rows end without a trailer".to_owned()))
        }
    }

    /// The rows so far; `None` when there are none.
    pub(crate) fn take(&mut self) -> Result<Option<RecordBatch>, DecodeError> {
        if self.rows == 0 {
            return Ok(None);
        }
        let finish = |(column, values): (usize, &mut Column)| {
            values.finish().map_err(|error| DecodeError::Value { column, error })
        };
        let arrays = self.columns.iter_mut().enumerate().map(finish).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map(Some)
            .map_err(|error| DecodeError::Stream(error.to_string()))
    }

    /// Decodes as much as is there, up to a full batch. Returns how many bytes that was.
    fn decode(&mut self, bytes: &[u8]) -> Result<usize, DecodeError> {
        let mut rest = bytes;
        if self.position == Position::Header {
            match header(rest)? {
                Some(after) => rest = after,
                None => return Ok(0),
            }
            self.position = Position::Row;
        }
        while !self.is_full() {
            let before = rest.len();
            let first = match self.position {
                Position::Field(column) => column,
                Position::Row => {
                    let Some((count, after)) = rest.split_first_chunk::<2>() else { break };
                    rest = after;
                    match i16::from_be_bytes(*count) {
                        -1 => {
                            self.position = Position::End;
                            continue;
                        }
                        count if usize::try_from(count).is_ok_and(|count| count == self.columns.len()) => 0,
                        count => return Err(self.wrong_count(count)),
                    }
                }
                Position::End if rest.is_empty() => break,
                Position::End | Position::Header => {
                    return Err(DecodeError::Stream(format!("{} bytes after the last row", rest.len())));
                }
            };
            let complete = self.decode_fields(first, &mut rest)?;
            self.bytes += before - rest.len();
            if !complete {
                break;
            }
            self.position = Position::Row;
            self.rows += 1;
        }
        Ok(bytes.len() - rest.len())
    }

    /// Decodes the fields of a row from one on. False when the bytes end before the row; the position then says where.
    #[inline]
    fn decode_fields(&mut self, first: usize, rest: &mut &[u8]) -> Result<bool, DecodeError> {
        for (index, column) in self.columns.iter_mut().enumerate().skip(first) {
            let value = split_value(rest).map_err(|error| DecodeError::Value { column: index, error })?;
            let Some((value, after)) = value else {
                self.position = Position::Field(index);
                return Ok(false);
            };
            match value {
                Some(value) => column.push(value).map_err(|error| DecodeError::Value { column: index, error })?,
                None => column.push_null(),
            }
            *rest = after;
        }
        Ok(true)
    }

    #[cold]
    fn wrong_count(&self, count: i16) -> DecodeError {
        DecodeError::Stream(format!("a row of {count} columns, where {} were asked for", self.columns.len()))
    }
}

/// What follows the header; `None` when it is not complete yet.
fn header(bytes: &[u8]) -> Result<Option<&[u8]>, DecodeError> {
    let Some((fixed, rest)) = bytes.split_at_checked(HEADER) else { return Ok(None) };
    let Some(fields) = fixed.strip_prefix(SIGNATURE) else {
        return Err(DecodeError::Stream("the rows do not begin as binary COPY does".to_owned()));
    };
    // Bits 16 to 31 are changes that a reader has to know. None is known.
    let Some((flags, extension)) = split_i32(fields) else { return Ok(None) };
    let extension = split_i32(extension).and_then(|(length, _)| usize::try_from(length).ok());
    match extension {
        Some(length) if flags & 0xffff_0000_u32.cast_signed() == 0 => Ok(rest.get(length..)),
        _ => Err(DecodeError::Stream(format!("a header of binary COPY with flags {flags:#x}"))),
    }
}

/// The leading number and what follows it.
#[inline]
pub(super) fn split_i32(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((i32::from_be_bytes(*number), rest))
}

/// A value that may be NULL, and what follows it.
type Value<'a> = (Option<&'a [u8]>, &'a [u8]);

/// The leading value with its length, and what follows it; `None` when it is not complete.
#[inline]
pub(super) fn split_value(bytes: &[u8]) -> Result<Option<Value<'_>>, ValueError> {
    let Some((length, rest)) = split_i32(bytes) else { return Ok(None) };
    match usize::try_from(length) {
        Ok(length) => Ok(rest.split_at_checked(length).map(|(value, rest)| (Some(value), rest))),
        Err(_) if length == -1 => Ok(Some((None, rest))),
        Err(_) => Err(ValueError::new(format!("a value of {length} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{DataType, Field, Int32Type, Schema};
    use proptest::prelude::*;

    use super::*;

    const NO_LIMITS: Limits = Limits { rows: usize::MAX, bytes: usize::MAX };

    fn decoder(limits: Limits) -> CopyDecoder {
        let schema = Schema::new(vec![
            Field::new("i", DataType::Int32, true),
            Field::new("t", DataType::Utf8, true),
            Field::new("l", Wire::List(Box::new(Wire::Int4)).data_type(), true),
        ]);
        CopyDecoder::new(Arc::new(schema), &[Wire::Int4, Wire::Text, Wire::List(Box::new(Wire::Int4))], limits)
    }

    fn field(stream: &mut Vec<u8>, value: Option<&[u8]>) {
        stream.extend(value.map_or(-1, |value| i32::try_from(value.len()).unwrap()).to_be_bytes());
        stream.extend(value.unwrap_or_default());
    }

    type Row = (Option<i32>, Option<String>, Option<Vec<Option<i32>>>);

    fn array(elements: &[Option<i32>]) -> Vec<u8> {
        let mut value = Vec::new();
        let dimensions = i32::from(!elements.is_empty());
        for number in [dimensions, 0, 23] {
            value.extend(number.to_be_bytes());
        }
        if !elements.is_empty() {
            value.extend(i32::try_from(elements.len()).unwrap().to_be_bytes());
            value.extend(1_i32.to_be_bytes());
        }
        for element in elements {
            field(&mut value, element.map(i32::to_be_bytes).as_ref().map(<[u8; 4]>::as_slice));
        }
        value
    }

    fn stream(rows: &[Row]) -> Vec<u8> {
        let mut stream = SIGNATURE.to_vec();
        stream.extend([0; 8]);
        for (integer, text, list) in rows {
            stream.extend(3_i16.to_be_bytes());
            field(&mut stream, integer.map(i32::to_be_bytes).as_ref().map(<[u8; 4]>::as_slice));
            field(&mut stream, text.as_ref().map(String::as_bytes));
            field(&mut stream, list.as_ref().map(|list| array(list)).as_deref());
        }
        stream.extend((-1_i16).to_be_bytes());
        stream
    }

    fn rows(batch: &RecordBatch) -> Vec<Row> {
        let integers = batch.column(0).as_primitive::<Int32Type>();
        let texts = batch.column(1).as_string::<i32>();
        let lists = batch.column(2).as_list::<i32>();
        (0..batch.num_rows())
            .map(|row| {
                let list = lists.is_valid(row).then(|| lists.value(row));
                (
                    integers.is_valid(row).then(|| integers.value(row)),
                    texts.is_valid(row).then(|| texts.value(row).to_owned()),
                    list.map(|list| list.as_primitive::<Int32Type>().iter().collect()),
                )
            })
            .collect()
    }

    /// Feeds pieces of the given lengths, over and over, and takes batches as they fill.
    fn decode(stream: &[u8], lengths: &[usize], limits: Limits) -> Result<(Vec<Row>, Vec<usize>), DecodeError> {
        let mut decoder = decoder(limits);
        let (mut all, mut batches) = (Vec::new(), Vec::new());
        let mut take = |decoder: &mut CopyDecoder| -> Result<(), DecodeError> {
            if let Some(batch) = decoder.take()? {
                all.extend(rows(&batch));
                batches.push(batch.num_rows());
            }
            Ok(())
        };
        let mut rest = stream;
        for length in lengths.iter().cycle() {
            let (piece, after) = rest.split_at((*length).min(rest.len()));
            rest = after;
            decoder.feed(piece)?;
            while decoder.is_full() {
                take(&mut decoder)?;
                decoder.feed(&[])?;
            }
            if rest.is_empty() {
                break;
            }
        }
        take(&mut decoder)?;
        decoder.end()?;
        Ok((all, batches))
    }

    fn any_row() -> impl Strategy<Value = Row> {
        (
            any::<Option<i32>>(),
            proptest::option::of(".{0,12}"),
            proptest::option::of(proptest::collection::vec(any::<Option<i32>>(), 0..4)),
        )
    }

    proptest! {
        #[test]
        fn pieces_may_end_anywhere(
            expected in proptest::collection::vec(any_row(), 0..20),
            lengths in proptest::collection::vec(1_usize..40, 1..6),
            batch in 1_usize..8,
        ) {
            let (found, batches) = decode(&stream(&expected), &lengths, Limits { rows: batch, bytes: usize::MAX }).unwrap();
            prop_assert_eq!(found, expected);
            prop_assert!(batches.iter().rev().skip(1).all(|rows| *rows == batch));
            prop_assert!(batches.iter().all(|rows| *rows <= batch));
        }

        #[test]
        fn garbage_is_an_error_and_never_a_panic(
            expected in proptest::collection::vec(any_row(), 1..6),
            at in any::<proptest::sample::Index>(),
            garbage in proptest::collection::vec(any::<u8>(), 1..16),
            length in 1_usize..64,
        ) {
            let mut stream = stream(&expected);
            let at = at.index(stream.len());
            let end = (at + garbage.len()).min(stream.len());
            stream.splice(at..end, garbage);
            let _ = decode(&stream, &[length], NO_LIMITS);
        }

        #[test]
        fn a_stream_that_stops_is_an_error(
            expected in proptest::collection::vec(any_row(), 1..6),
            at in any::<proptest::sample::Index>(),
        ) {
            let stream = stream(&expected);
            prop_assert!(decode(&stream[..at.index(stream.len())], &[7], NO_LIMITS).is_err());
        }
    }

    #[test]
    fn bytes_end_a_batch_too() {
        let row: Row = (Some(1), Some("x".repeat(100)), None);
        let (found, batches) =
            decode(&stream(&vec![row.clone(); 10]), &[64], Limits { rows: 100, bytes: 250 }).unwrap();
        assert_eq!(found.len(), 10);
        assert_eq!(batches, [3, 3, 3, 1]);
    }

    #[test]
    fn an_array_of_two_dimensions_names_them() {
        let mut value = Vec::new();
        for number in [2_i32, 0, 23, 1, 1, 1, 1, 4, 7] {
            value.extend(number.to_be_bytes());
        }
        let mut stream = SIGNATURE.to_vec();
        stream.extend([0; 8]);
        stream.extend(3_i16.to_be_bytes());
        field(&mut stream, None);
        field(&mut stream, None);
        field(&mut stream, Some(&value));
        let error = decode(&stream, &[1000], NO_LIMITS).unwrap_err();
        assert!(
            matches!(&error, DecodeError::Value { column: 2, error } if error.to_string().contains("2 dimensions")),
            "{error}"
        );
    }

    #[test]
    fn a_declared_number_of_dimensions_is_read() {
        let wire = Wire::List(Box::new(Wire::List(Box::new(Wire::Int4))));
        let schema = Arc::new(Schema::new(vec![Field::new("l", wire.data_type(), true)]));
        let decode = |value: &[u8]| {
            let mut decoder = CopyDecoder::new(Arc::clone(&schema), [&wire], NO_LIMITS);
            let mut stream = SIGNATURE.to_vec();
            stream.extend([0; 8]);
            stream.extend(1_i16.to_be_bytes());
            field(&mut stream, Some(value));
            decoder.feed(&stream)?;
            decoder.take().map(Option::unwrap)
        };
        let numbers = |numbers: &[i32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
        // {{1,2},{NULL,4},{5,6}}
        let mut value = numbers(&[2, 1, 23, 3, 1, 2, 1, 4, 1, 4, 2, -1]);
        value.extend(numbers(&[4, 4, 4, 5, 4, 6]));
        let batch = decode(&value).unwrap();
        let outer = batch.column(0).as_list::<i32>().value(0);
        let inner: Vec<Vec<Option<i32>>> = outer
            .as_list::<i32>()
            .iter()
            .map(|list| list.unwrap().as_primitive::<Int32Type>().iter().collect())
            .collect();
        assert_eq!(inner, [vec![Some(1), Some(2)], vec![None, Some(4)], vec![Some(5), Some(6)]]);
        assert_eq!(decode(&numbers(&[0, 0, 23])).unwrap().column(0).as_list::<i32>().value_length(0), 0);
        let flat = decode(&numbers(&[1, 0, 23, 1, 1, 4, 7])).unwrap_err().to_string();
        assert!(flat.contains("1 dimensions, where the column declares 2"), "{flat}");
        // More elements than there are bytes.
        assert!(decode(&numbers(&[2, 0, 23, i32::MAX, 1, i32::MAX, 1])).is_err());
    }
}
