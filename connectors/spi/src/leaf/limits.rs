//! How much one scan may get from its source.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_plan::metrics::Count;
use futures::{Stream, StreamExt};

use crate::ConnectorError;

/// The most of something, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanLimit {
    /// The number.
    pub max: u64,
    /// Who set it, for messages: `max_rows_from_source of catalog pg`.
    pub set_by: Arc<str>,
}

/// What one scan may get from its source, over all of its partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanLimits {
    /// Rows.
    pub rows: Option<ScanLimit>,
    /// Bytes that the source sends. Sources that the engine reads natively are not counted.
    pub bytes: Option<ScanLimit>,
}

/// What a scan has got so far, in all partitions.
#[derive(Debug, Default)]
pub(super) struct Got {
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl ScanLimits {
    fn check(&self, got: &Got, rows: u64, bytes: u64, of: &str) -> Result<()> {
        let rows = got.rows.fetch_add(rows, Ordering::Relaxed).saturating_add(rows);
        let bytes = got.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        for (limit, got, unit) in [(&self.rows, rows, "rows"), (&self.bytes, bytes, "bytes")] {
            if let Some(limit) = limit
                && got > limit.max
            {
                let ScanLimit { max, set_by } = limit;
                let error =
                    ConnectorError::resource_exhausted(format!("{of} sent more than {max} {unit}: that is {set_by}"));
                let hint = "ask for fewer rows, or have the limit changed: by SET SESSION where the session set it, in the catalog file \
                            where the catalog did";
                return Err(DataFusionError::from(error.hint(hint)));
            }
        }
        Ok(())
    }
}

/// The rows of one partition, which end with an error where the scan has got more than it may. `bytes` counts what the
/// source sent to this partition; `of` is what messages call the scan.
pub(super) fn limited(
    rows: SendableRecordBatchStream,
    limits: &ScanLimits,
    got: &Arc<Got>,
    bytes: Option<Count>,
    of: impl Fn() -> String,
) -> SendableRecordBatchStream {
    if limits.rows.is_none() && limits.bytes.is_none() {
        return rows;
    }
    let (limits, got) = (limits.clone(), Arc::clone(got));
    Box::pin(Limited { rows, limits, got, received: bytes, of: of(), own: (0, 0), ended: false })
}

/// See [`limited`].
struct Limited {
    rows: SendableRecordBatchStream,
    limits: ScanLimits,
    got: Arc<Got>,
    received: Option<Count>,
    of: String,
    /// The rows and bytes that came here.
    own: (u64, u64),
    /// Nothing more comes: all was read, or an error was.
    ended: bool,
}

impl Limited {
    fn note(&mut self, batch: &RecordBatch) -> Result<()> {
        let received = self.received.as_ref().map_or(0, |bytes| bytes.value() as u64);
        let (rows, bytes) = (batch.num_rows() as u64, received.saturating_sub(self.own.1));
        self.own = (self.own.0 + rows, self.own.1 + bytes);
        self.limits.check(&self.got, rows, bytes, &self.of)
    }
}

impl Stream for Limited {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let batch = match ready!(self.rows.poll_next_unpin(context)) {
            Some(Ok(batch)) => Some(self.note(&batch).map(|()| batch)),
            other => other,
        };
        self.ended = !matches!(batch, Some(Ok(_)));
        Poll::Ready(batch)
    }
}

impl RecordBatchStream for Limited {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

impl Drop for Limited {
    /// Who stops half-way may begin again, and gets the same rows another time.
    fn drop(&mut self) {
        if !self.ended {
            self.got.rows.fetch_sub(self.own.0, Ordering::Relaxed);
            self.got.bytes.fetch_sub(self.own.1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::execution::SendableRecordBatchStream;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::{StreamExt, stream};

    use super::*;

    /// Three batches of ten rows.
    fn rows() -> SendableRecordBatchStream {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        Box::pin(RecordBatchStreamAdapter::new(batch.schema(), stream::iter(vec![batch; 3]).map(Ok)))
    }

    #[tokio::test]
    async fn rows_that_are_read_again_count_once() {
        let limit = ScanLimit { max: 60, set_by: "max_rows_from_source of the session".into() };
        let (limits, got) = (ScanLimits { rows: Some(limit), bytes: None }, Arc::default());
        let partition = || limited(rows(), &limits, &got, None, || "pg.public.sale".to_owned());
        let mut given_up = partition();
        assert!(given_up.next().await.unwrap().is_ok());
        drop(given_up);
        // Two partitions to their end are all that is allowed, and stay counted when they are gone.
        for _ in 0..2 {
            assert_eq!(partition().filter(|batch| std::future::ready(batch.is_ok())).count().await, 3);
        }
        let mut third = partition();
        let error = third.next().await.unwrap().unwrap_err().to_string();
        assert!(error.contains("pg.public.sale sent more than 60 rows"), "{error}");
        assert!(third.next().await.is_none());
    }
}
