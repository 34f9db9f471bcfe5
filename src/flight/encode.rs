//! Batches as Flight messages: in types that every client reads, in messages of bounded size, one at a time as the
//! client reads them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    BinaryType, BinaryViewType, DataType, Field, FieldRef, Schema, SchemaRef, StringViewType, Utf8Type,
};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::{IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use tonic::Status;

use super::errors::internal;
use super::message::{Message, MessageEncoder};
use super::size::split;
use super::texts::gathered;

/// The most bytes of rows in one message, unless a single row has more. With headers and padding, which grow with the
/// number of columns, a message stays under 2 MiB.
const MESSAGE_ROWS_BYTES_MAX: usize = 1536 << 10;

/// The schema that the rows of a result have on the wire. What `GetFlightInfo` announces and what the stream declares
/// both come from here.
pub(super) fn wire_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(wire_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// A schema as the specification wraps it: an encapsulated IPC message.
pub(super) fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &IpcWriteOptions::default())
        .try_into()
        .map_err(|error: ArrowError| internal("cannot encode the schema", error))?;
    Ok(bytes)
}

/// The messages of a result: its schema, then its rows. Polls `rows` only when the client has read what was there.
///
/// `schema` is the result of [`wire_schema`] for these rows.
pub(super) fn messages(
    schema: SchemaRef,
    compression: Option<CompressionType>,
    rows: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
) -> Result<BoxStream<'static, Result<Message, Status>>, Status> {
    let started = MessageEncoder::start(&schema, compression);
    let (mut encoder, first) = started.map_err(|error| internal("cannot encode the schema", error))?;
    let rows = rows
        // Before the conversion, which may copy, and after it, which may change the size.
        .flat_map(parts)
        .map(move |batch| batch.and_then(|batch| convert(&batch, &schema)))
        .flat_map(parts)
        .flat_map(move |batch| {
            let messages = batch.and_then(|batch| match batch.num_rows() {
                0 => Ok(Vec::new()),
                _ => encoder.messages(&batch).map_err(|error| internal("cannot encode the rows", error)),
            });
            let messages: Vec<Result<Message, Status>> = match messages {
                Ok(messages) => messages.into_iter().map(Ok).collect(),
                Err(status) => vec![Err(status)],
            };
            stream::iter(messages)
        });
    Ok(stream::iter([Ok(first)]).chain(rows).boxed())
}

fn parts(batch: Result<RecordBatch, Status>) -> impl Stream<Item = Result<RecordBatch, Status>> {
    let parts = match batch {
        Ok(batch) => split(batch, MESSAGE_ROWS_BYTES_MAX).into_iter().map(Ok).collect(),
        Err(status) => vec![Err(status)],
    };
    stream::iter(parts)
}

/// A batch in the wire's types. Whatever its own schema says, it leaves with the announced one.
fn convert(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Status> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| match (column.data_type(), field.data_type()) {
            (from, to) if from == to => Ok(Arc::clone(column)),
            (DataType::Utf8View, DataType::Utf8) => gathered::<StringViewType, Utf8Type>(column.as_string_view()),
            (DataType::BinaryView, DataType::Binary) => gathered::<BinaryViewType, BinaryType>(column.as_binary_view()),
            (_, to) => cast_with_options(column, to, &options),
        })
        .collect::<Result<Vec<ArrayRef>, ArrowError>>();
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    columns
        .and_then(|columns| RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows))
        .map_err(|error| internal("cannot send rows of this type", error))
}

fn wire_field(field: &FieldRef) -> FieldRef {
    let wire = wire_type(field.data_type());
    match wire == *field.data_type() {
        true => Arc::clone(field),
        false => Arc::new(Field::clone(field).with_data_type(wire)),
    }
}

/// The type in which every client reads a value. Views, list views, run ends and short decimals are younger than many
/// clients; dictionaries are unpacked.
fn wire_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => wire_type(values),
        DataType::RunEndEncoded(_, values) => wire_type(values.data_type()),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            DataType::List(wire_field(item))
        }
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(wire_field(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(wire_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(wire_field(entries), *sorted),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow::array::{
        BinaryViewArray, Decimal64Array, DictionaryArray, Int32Array, Int64Array, LargeListArray, ListArray, RunArray,
        StringArray, StringViewArray, StructArray,
    };
    use arrow::datatypes::{Int32Type, Int64Type};
    use arrow_flight::FlightData;
    use arrow_flight::decode::FlightRecordBatchStream;
    use futures::TryStreamExt;
    use prost::Message as _;

    use super::*;

    async fn sent(batch: RecordBatch) -> (SchemaRef, Vec<FlightData>) {
        let schema = wire_schema(&batch.schema());
        let rows = stream::iter([Ok(batch)]);
        (Arc::clone(&schema), written(messages(schema, None, rows).unwrap()).await)
    }

    /// The messages as a client sees them.
    async fn written(messages: BoxStream<'static, Result<Message, Status>>) -> Vec<FlightData> {
        messages.map_ok(|message| message.received()).try_collect().await.unwrap()
    }

    async fn received(messages: Vec<FlightData>) -> Vec<RecordBatch> {
        FlightRecordBatchStream::new_from_flight_data(stream::iter(messages.into_iter().map(Ok)))
            .try_collect()
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn every_type_arrives_as_announced() {
        let words = || StringViewArray::from(vec![Some("a"), None, Some("a text longer than twelve bytes")]);
        let keys = Int32Array::from(vec![Some(0), None, Some(1)]);
        let nested = StructArray::from(vec![(
            Arc::new(Field::new("word", DataType::Utf8View, true)),
            Arc::new(words()) as ArrayRef,
        )]);
        let list = ListArray::new(
            Arc::new(Field::new("item", DataType::Utf8View, true)),
            arrow::buffer::OffsetBuffer::from_lengths([1, 0, 2]),
            Arc::new(words()),
            None,
        );
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("text", Arc::new(words()) as ArrayRef, true),
            ("bytes", Arc::new(BinaryViewArray::from_iter([Some(b"x"), None, Some(b"y")])) as ArrayRef, true),
            (
                "code",
                Arc::new(DictionaryArray::new(keys, Arc::new(StringArray::from(vec!["p", "q"])))) as ArrayRef,
                true,
            ),
            ("row", Arc::new(nested) as ArrayRef, true),
            ("list", Arc::new(list) as ArrayRef, false),
            (
                "large",
                Arc::new(LargeListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)]), None, None]))
                    as ArrayRef,
                true,
            ),
            ("runs", Arc::new(RunArray::<Int32Type>::from_iter([Some("r"), Some("r"), None])) as ArrayRef, true),
            (
                "money",
                Arc::new(Decimal64Array::from(vec![Some(123), None, Some(-5)]).with_precision_and_scale(9, 2).unwrap())
                    as ArrayRef,
                true,
            ),
            ("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef, false),
        ])
        .unwrap();
        let (schema, messages) = sent(batch).await;
        let batches = received(messages).await;
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].schema(), schema);
        let types: Vec<String> =
            schema.fields().iter().map(|field| format!("{} {}", field.data_type(), field.is_nullable())).collect();
        assert_eq!(
            types,
            [
                "Utf8 true",
                "Binary true",
                "Utf8 true",
                "Struct(\"word\": Utf8)",
                "List(Utf8) false",
                "List(Int64) true",
                "Utf8 true",
                "Decimal128(9, 2) true",
                "Int64 false",
            ]
            .map(|text| if text.starts_with("Struct") { format!("{text} true") } else { text.to_owned() })
        );
        let printed = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
        let third = printed.lines().nth(5).unwrap();
        for part in ["a text longer than twelve bytes", "79", "q", "-0.05", "3"] {
            assert!(third.contains(part), "{part} in {third}");
        }
    }

    #[tokio::test]
    async fn messages_stay_under_two_mebibytes() {
        // 8192 rows of 1 KiB in 20 columns, and one row that alone is nearly as large as a message.
        let text = |row: usize| if row == 4000 { "y".repeat(1 << 20) } else { format!("{row:0>1000}") };
        let wide: Vec<(String, ArrayRef)> = (0..20)
            .map(|column| match column {
                0 => ("text".to_owned(), Arc::new(StringViewArray::from_iter_values((0..8192).map(text))) as ArrayRef),
                other => (format!("n{other}"), Arc::new(Int64Array::from_iter_values(0..8192)) as ArrayRef),
            })
            .collect();
        let batch = RecordBatch::try_from_iter(wide).unwrap();
        let (schema, messages) = sent(batch.clone()).await;
        assert!(messages.len() > 5);
        for message in &messages {
            assert!(message.encoded_len() < 2 << 20, "{} bytes", message.encoded_len());
        }
        let joined = arrow::compute::concat_batches(&schema, &received(messages).await).unwrap();
        assert_eq!(joined, convert(&batch, &schema).unwrap());
    }

    #[tokio::test]
    async fn rows_are_asked_for_one_batch_at_a_time() {
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
        let schema = wire_schema(&batch.schema());
        let endless = stream::repeat_with(move || {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(batch.clone())
        });
        let mut messages = messages(schema, None, endless).unwrap();
        for expected in [0, 1, 2, 3] {
            messages.try_next().await.unwrap().unwrap();
            assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), expected);
        }
    }

    #[tokio::test]
    async fn an_empty_result_has_a_schema_and_metadata_stays() {
        let field = Field::new("n", DataType::Utf8View, false).with_metadata(HashMap::from([("k".into(), "v".into())]));
        let schema = wire_schema(&Schema::new(vec![field]));
        assert_eq!(schema.field(0).metadata().get("k").map(String::as_str), Some("v"));
        let messages = written(messages(Arc::clone(&schema), None, stream::empty()).unwrap()).await;
        let mut decoded = FlightRecordBatchStream::new_from_flight_data(stream::iter(messages.into_iter().map(Ok)));
        assert!(decoded.next().await.is_none());
        assert_eq!(decoded.schema(), Some(&schema));
    }

    #[tokio::test]
    async fn compressed_rows_are_smaller_and_the_same() {
        let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..5000).map(|row| format!("text {}", row % 3))));
        let batch = RecordBatch::try_from_iter([("text", text)]).unwrap();
        let schema = wire_schema(&batch.schema());
        let bytes = |messages: &[FlightData]| messages.iter().map(|message| message.data_body.len()).sum::<usize>();
        let mut sizes = Vec::new();
        for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            let rows = stream::iter([Ok(batch.clone())]);
            let sent = messages(Arc::clone(&schema), compression, rows).unwrap();
            let sent = written(sent).await;
            sizes.push(bytes(&sent));
            assert_eq!(received(sent).await, std::slice::from_ref(&batch));
        }
        assert!(sizes[1] * 2 < sizes[0] && sizes[2] * 2 < sizes[0], "{sizes:?}");
    }

    #[tokio::test]
    async fn a_status_in_the_middle_comes_through_as_it_was() {
        let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
        let schema = wire_schema(&batch.schema());
        let rows = stream::iter([Ok(batch), Err(Status::unavailable("gone"))]);
        let results: Vec<_> = messages(schema, None, rows).unwrap().collect().await;
        let status = results.last().unwrap().as_ref().unwrap_err();
        assert_eq!((status.code(), status.message()), (tonic::Code::Unavailable, "gone"));
    }
}
