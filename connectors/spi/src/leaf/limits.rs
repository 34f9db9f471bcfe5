//! How much one scan may get from its source.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::Count;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

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
    let (limits, got, schema, of) = (limits.clone(), Arc::clone(got), rows.schema(), of());
    let mut seen: u64 = 0;
    let mut failed = false;
    let checked = rows.map(move |batch: Result<RecordBatch>| {
        let batch = batch?;
        let sent = bytes.as_ref().map_or(0, |bytes| bytes.value() as u64);
        limits.check(&got, batch.num_rows() as u64, sent.saturating_sub(seen), &of)?;
        seen = sent;
        Ok(batch)
    });
    // After an error nothing more comes: the source is let go of.
    let ended = checked.take_while(move |batch| {
        let goes_on = !failed;
        failed = batch.is_err();
        futures::future::ready(goes_on)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, ended))
}
