//! From the bytes of a text file to batches of rows.

use arrow::array::RecordBatch;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::Count;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::ObjectMeta;
use portolan_connector::ConnectorError;

use super::fault::Fault;
use super::input::Input;
use super::{Codec, fault_of};
use crate::store::{Files, Store};

/// The longest record, in bytes: what is longer is most likely a quote that is never closed.
pub(crate) const LONGEST_RECORD_BYTES: usize = 64 * 1024 * 1024;
/// How much of a file is looked at to infer its columns, in bytes.
const SAMPLE_BYTES: usize = 1024 * 1024;

/// Reads the records of one file.
pub(crate) trait RecordDecoder: Send {
    /// Takes bytes, and returns how many it has taken: fewer than there are when the batch is full.
    fn feed(&mut self, bytes: &[u8]) -> Result<usize, Fault>;

    /// The file has ended.
    fn finish(&mut self) -> Result<(), Fault>;

    /// How many rows the batch has.
    fn rows(&self) -> usize;

    /// The batch, and none is left.
    fn take(&mut self) -> Result<RecordBatch>;
}

struct Reading {
    input: Input,
    decoder: Box<dyn RecordDecoder>,
    rest: bytes::Bytes,
    batch_rows: usize,
    ended: bool,
}

/// The batches of a file, of at most `batch_rows` rows.
pub(crate) fn batches(
    input: Input,
    decoder: Box<dyn RecordDecoder>,
    batch_rows: usize,
) -> BoxStream<'static, Result<RecordBatch>> {
    let reading = Reading { input, decoder, rest: bytes::Bytes::new(), batch_rows, ended: false };
    stream::try_unfold(reading, |mut reading| async move { Ok(reading.next().await?.map(|batch| (batch, reading))) })
        .boxed()
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while !self.ended && self.decoder.rows() < self.batch_rows {
            if self.rest.is_empty() {
                match self.input.next().await? {
                    Some(bytes) => self.rest = bytes,
                    None => {
                        self.ended = true;
                        self.decoder.finish()?;
                        break;
                    }
                }
            }
            let taken = self.decoder.feed(&self.rest)?;
            let _ = self.rest.split_to(taken.min(self.rest.len()));
        }
        if self.decoder.rows() == 0 { Ok(None) } else { self.decoder.take().map(Some) }
    }
}

/// The beginning of a file.
pub(crate) struct Sample {
    pub(crate) bytes: Vec<u8>,
    /// Whether it is all of the file.
    pub(crate) whole: bool,
    /// How many bytes of the file this took.
    pub(crate) consumed: u64,
}

/// Reads the beginning of a file.
pub(crate) async fn sample(
    store: &Files,
    file: &ObjectMeta,
    codec: Option<Codec>,
) -> portolan_connector::Result<Sample> {
    let read = async {
        let consumed = Count::new();
        let mut input = Input::open(&store.open()?, file, codec, consumed.clone()).await?;
        let mut bytes = Vec::new();
        let mut whole = false;
        while bytes.len() < SAMPLE_BYTES {
            match input.next().await? {
                Some(more) => bytes.extend_from_slice(&more),
                None => {
                    whole = true;
                    break;
                }
            }
        }
        Ok::<_, datafusion::error::DataFusionError>(Sample { bytes, whole, consumed: consumed.value() as u64 })
    };
    read.await.map_err(|error| match fault_of(&error) {
        Some(fault) => sample_error(store, file, fault),
        None => ConnectorError::source(format!("cannot read {}", store.display(&file.location)))
            .said(store.redact(&error.strip_backtrace())),
    })
}

/// The error of a file whose columns cannot be inferred.
pub(crate) fn sample_error(store: &Store, file: &ObjectMeta, fault: &Fault) -> ConnectorError {
    let error = ConnectorError::source(format!("cannot infer the columns of {}", store.display(&file.location)));
    let hint = fault.hint.as_deref().unwrap_or(
        "check `format` and its options in the table's section of the catalog file, or declare the columns there",
    );
    error.said(store.redact(&fault.to_string())).hint(hint)
}
