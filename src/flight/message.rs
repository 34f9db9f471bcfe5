//! Rows as Flight messages that are written once: from the arrays' own buffers into the connection's.
//!
//! `FlightData` holds a message's body in one piece. To put it together, and then to write it, copies every row twice.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::root_as_message;
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder};
use arrow_flight::FlightData;
use bytes::BufMut;
use prost::Message as _;

/// The key of the field `data_body`, number 1000, as protobuf writes it.
const BODY_KEY: [u8; 2] = [0xC2, 0x3E];

/// What stands before a message's header in Arrow's streaming format: a mark, and the header's length.
const PREFIX_BYTES: usize = 8;

/// A `FlightData` message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// All but the body.
    head: FlightData,
    body: Vec<Buffer>,
}

impl Message {
    fn body_len(&self) -> usize {
        self.body.iter().map(Buffer::len).sum()
    }

    /// How many bytes the message has on the wire.
    pub(super) fn encoded_len(&self) -> usize {
        let body = match self.body_len() {
            0 => 0,
            len => BODY_KEY.len() + prost::length_delimiter_len(len) + len,
        };
        self.head.encoded_len() + body
    }

    /// Writes the message as protobuf has it.
    pub(super) fn write(&self, out: &mut impl BufMut) -> Result<(), prost::EncodeError> {
        self.head.encode(out)?;
        let len = self.body_len();
        if len > 0 {
            out.put_slice(&BODY_KEY);
            prost::encode_length_delimiter(len, out)?;
            self.body.iter().for_each(|buffer| out.put_slice(buffer));
        }
        Ok(())
    }
}

/// Makes messages of one result.
pub(super) struct MessageEncoder {
    encoder: StreamEncoder,
}

impl MessageEncoder {
    /// The encoder, and the message of the schema, which comes first.
    pub(super) fn start(schema: &Schema, compression: Option<CompressionType>) -> Result<(Self, Message), ArrowError> {
        let options = IpcWriteOptions::default().try_with_compression(compression)?;
        let mut encoder = Self { encoder: StreamEncoder::try_new_with_options(schema, options)? };
        // The encoder gives the schema with the first batch.
        let first = encoder.messages(&RecordBatch::new_empty(schema.clone().into()))?;
        let schema = first.into_iter().next();
        let schema = schema.ok_or_else(|| ArrowError::IpcError("the encoder gives no schema".to_owned()))?;
        Ok((encoder, schema))
    }

    /// The messages of a batch: its rows, after dictionaries that they need.
    pub(super) fn messages(&mut self, batch: &RecordBatch) -> Result<Vec<Message>, ArrowError> {
        let pieces = self.encoder.encode(batch)?.into_iter().filter(|piece| !piece.is_empty());
        let mut stream = Pieces(pieces.collect());
        let mut messages = Vec::new();
        while !stream.0.is_empty() {
            messages.push(stream.message()?);
        }
        Ok(messages)
    }
}

/// Arrow's streaming format, in pieces.
struct Pieces(VecDeque<Buffer>);

impl Pieces {
    /// The message that comes next.
    fn message(&mut self) -> Result<Message, ArrowError> {
        let prefix = self.take_bytes(PREFIX_BYTES);
        let length = prefix.last_chunk().map(|bytes| u32::from_le_bytes(*bytes)).unwrap_or_default();
        let header = self.take_bytes(length as usize);
        let body = root_as_message(&header).map(|message| message.bodyLength());
        let body = body.map_err(|error| ArrowError::IpcError(error.to_string()))?;
        let body = usize::try_from(body).map_err(|error| ArrowError::IpcError(error.to_string()))?;
        let head = FlightData { data_header: header.into(), ..FlightData::default() };
        Ok(Message { head, body: self.take(body) })
    }

    fn take_bytes(&mut self, bytes: usize) -> Vec<u8> {
        self.take(bytes).iter().flat_map(|piece| piece.as_slice()).copied().collect()
    }

    /// So many bytes, or all that is left.
    fn take(&mut self, mut bytes: usize) -> Vec<Buffer> {
        let mut taken = Vec::new();
        while bytes > 0
            && let Some(piece) = self.0.pop_front()
        {
            let wanted = piece.len().min(bytes);
            if wanted < piece.len() {
                self.0.push_front(piece.slice(wanted));
            }
            taken.push(piece.slice_with_length(0, wanted));
            bytes -= wanted;
        }
        taken
    }
}

#[cfg(test)]
impl Message {
    /// The message as a client sees it.
    pub(super) fn received(&self) -> FlightData {
        let mut bytes = Vec::new();
        self.write(&mut bytes).unwrap();
        assert_eq!(bytes.len(), self.encoded_len());
        FlightData::decode(bytes.as_slice()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, StringArray};
    use arrow::datatypes::Int32Type;
    use arrow_flight::decode::FlightRecordBatchStream;
    use futures::{TryStreamExt, stream};

    use super::*;

    /// Sends batches, and reads what arrives.
    async fn sent(batches: &[RecordBatch]) -> Vec<RecordBatch> {
        let (mut encoder, schema) = MessageEncoder::start(&batches[0].schema(), None).unwrap();
        let mut messages = vec![schema.received()];
        for batch in batches {
            messages.extend(encoder.messages(batch).unwrap().iter().map(Message::received));
        }
        let messages = stream::iter(messages.into_iter().map(Ok));
        FlightRecordBatchStream::new_from_flight_data(messages).try_collect().await.unwrap()
    }

    #[tokio::test]
    async fn what_is_written_can_be_read() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..1000).map(|n| (n % 7 > 0).then_some(n))));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..1000).map(|n| "x".repeat(n % 30))));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
        let batches = [batch.clone(), batch.slice(3, 500), batch.slice(0, 0)];
        assert_eq!(sent(&batches).await, batches);
    }

    #[tokio::test]
    async fn dictionaries_go_before_their_rows() {
        let batch = |words: [&str; 2]| {
            let words = Arc::new(StringArray::from_iter_values(words));
            let keys = Int32Array::from(vec![Some(0), None, Some(1)]);
            let column: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, words));
            RecordBatch::try_from_iter([("word", column)]).unwrap()
        };
        let batches = [batch(["a", "b"]), batch(["c", "d"])];
        let (mut encoder, _) = MessageEncoder::start(&batches[0].schema(), None).unwrap();
        assert_eq!(encoder.messages(&batches[0]).unwrap().len(), 2);
        assert_eq!(sent(&batches).await, batches);
    }
}
