//! The values that clients bind to a statement's parameters: rows, by position.

use std::io::Cursor;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow_flight::FlightData;
use bytes::Bytes;
use datafusion::common::ScalarValue;
use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::Status;

use super::encode::wire_schema;
use super::received;
use crate::planner::Parameter;

/// The most rows that are bound at once.
const ROWS_MAX: usize = 10_000;

/// The most bytes of values that the handle of a statement holds. It travels with each call.
const HANDLE_BYTES_MAX: usize = 1 << 20;

/// The parameters as clients are told of them.
pub(super) fn schema(parameters: &[Parameter]) -> Schema {
    let fields = parameters.iter().map(|parameter| Field::new(&parameter.name, parameter.data_type.clone(), true));
    wire_schema(&Schema::new(fields.collect::<Vec<_>>())).as_ref().clone()
}

/// What a client binds; `None` when it sends no columns at all.
pub(super) async fn receive(
    stream: BoxStream<'static, Result<FlightData, Status>>,
) -> Result<Option<Vec<RecordBatch>>, Status> {
    let mut decoded = received::rows(stream);
    let mut batches = Vec::new();
    let mut rows = 0;
    while let Some(batch) = decoded.next().await {
        let batch = batch.map_err(|error| received::unreadable("parameters", error))?;
        rows += batch.num_rows();
        if rows > ROWS_MAX {
            return Err(Status::resource_exhausted(format!("at most {ROWS_MAX} rows of parameters are bound at once")));
        }
        batches.push(batch);
    }
    match decoded.schema() {
        Some(schema) if !schema.fields().is_empty() => {
            if batches.is_empty() {
                batches.push(RecordBatch::new_empty(schema.clone()));
            }
            Ok(Some(batches))
        }
        _ => Ok(None),
    }
}

/// The values as the handle of a statement holds them.
pub(super) fn to_bytes(batches: &[RecordBatch]) -> Result<Bytes, Status> {
    let Some(first) = batches.first() else { return Ok(Bytes::new()) };
    let written = StreamWriter::try_new(Vec::new(), &first.schema()).and_then(|mut writer| {
        batches.iter().try_for_each(|batch| writer.write(batch))?;
        writer.into_inner()
    });
    let bytes = written.map_err(|error| cannot_read(&error))?;
    if bytes.len() > HANDLE_BYTES_MAX {
        return Err(Status::resource_exhausted(format!(
            "the parameters have {} bytes, and a prepared statement holds at most {HANDLE_BYTES_MAX}",
            bytes.len()
        )));
    }
    Ok(bytes.into())
}

/// The values that the handle of a statement holds.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Vec<RecordBatch>, Status> {
    StreamReader::try_new(Cursor::new(bytes), None)
        .and_then(Iterator::collect)
        .map_err(|error: ArrowError| cannot_read(&error))
}

/// The values row by row.
pub(super) fn rows(batches: &[RecordBatch]) -> Result<Vec<Vec<ScalarValue>>, Status> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| value(column.as_ref(), row));
            rows.push(values.collect::<Result<_, _>>()?);
        }
    }
    Ok(rows)
}

/// One value. Some clients send dictionaries, and some send each value in a union of all types.
fn value(column: &dyn Array, row: usize) -> Result<ScalarValue, Status> {
    let mut value = ScalarValue::try_from_array(column, row).map_err(|error| cannot_read(&error))?;
    loop {
        value = match value {
            ScalarValue::Dictionary(_, inner) | ScalarValue::RunEndEncoded(_, _, inner) => *inner,
            ScalarValue::Union(Some((_, inner)), _, _) => *inner,
            ScalarValue::Union(None, _, _) => ScalarValue::Null,
            other => return Ok(other),
        };
    }
}

fn cannot_read(error: &dyn std::fmt::Display) -> Status {
    Status::invalid_argument(format!("the parameters cannot be decoded: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Int64Array, StringArray, UnionArray};
    use arrow::buffer::ScalarBuffer;
    use arrow::datatypes::{DataType, Int32Type, UnionFields};

    use super::*;

    #[test]
    fn values_come_back_row_by_row_whatever_they_were_packed_in() {
        let union = UnionArray::try_new(
            UnionFields::try_new(
                [0, 1],
                [Field::new("text", DataType::Utf8, true), Field::new("number", DataType::Int64, true)],
            )
            .unwrap(),
            ScalarBuffer::from(vec![1_i8, 0]),
            Some(ScalarBuffer::from(vec![0_i32, 0])),
            vec![Arc::new(StringArray::from(vec!["u"])), Arc::new(Int64Array::from(vec![7]))],
        )
        .unwrap();
        let batch = RecordBatch::try_from_iter([
            ("", Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef),
            ("x", Arc::new(DictionaryArray::<Int32Type>::from_iter(["a", "b"])) as ArrayRef),
            ("x", Arc::new(union) as ArrayRef),
        ])
        .unwrap();
        let expected = vec![
            vec![ScalarValue::Int64(Some(1)), ScalarValue::from("a"), ScalarValue::Int64(Some(7))],
            vec![ScalarValue::Int64(None), ScalarValue::from("b"), ScalarValue::from("u")],
        ];
        assert_eq!(rows(std::slice::from_ref(&batch)).unwrap(), expected);
        assert_eq!(rows(&from_bytes(&to_bytes(&[batch]).unwrap()).unwrap()).unwrap(), expected);
        assert!(from_bytes(b"nonsense").is_err());
    }
}
