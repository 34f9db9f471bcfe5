//! Rows that take turns with the other tasks of their thread.

use std::task::Poll;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};

/// The same rows, with a pause after each batch in which other tasks run: above all the one that waits for the batch.
/// The runtime keeps it for the thread that woke it, where it would wait until a source that is always ready, such as a
/// local file, has filled all that may be ahead.
pub(super) fn in_turns(mut rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let mut pauses = false;
    let rows = stream::poll_fn(move |context| {
        if std::mem::take(&mut pauses) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = rows.poll_next_unpin(context);
        pauses = matches!(next, Poll::Ready(Some(Ok(_))));
        next
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn each_batch_comes_and_between_them_others_run() {
        let batch = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let rows = stream::iter([Ok(batch.clone()), Ok(batch.clone())]);
        let mut rows = in_turns(Box::pin(RecordBatchStreamAdapter::new(batch.schema(), rows)));
        assert!(poll!(rows.next()).is_ready());
        assert!(poll!(rows.next()).is_pending());
        assert!(poll!(rows.next()).is_ready());
        // It wakes itself: waiting for the end comes to an end.
        assert!(rows.next().await.is_none());
    }
}
