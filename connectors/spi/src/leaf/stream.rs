//! The stream of one partition: its splits, one after the other.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use futures::{Stream, StreamExt};

use super::metrics::LeafMetrics;
use crate::{Connector, ReadContext, Split, canonical_floats};

/// Reads splits in order. Only one is open at a time, and none before the first poll.
pub(super) struct SplitStream {
    connector: Arc<dyn Connector>,
    splits: VecDeque<Split>,
    current: Option<SendableRecordBatchStream>,
    context: ReadContext,
    metrics: LeafMetrics,
    /// The query's frozen positions live in its configuration: whoever still reads keeps them.
    _query: Arc<TaskContext>,
}

impl SplitStream {
    pub(super) fn new(
        connector: Arc<dyn Connector>,
        splits: VecDeque<Split>,
        schema: SchemaRef,
        metrics: LeafMetrics,
        query: Arc<TaskContext>,
    ) -> Self {
        let batch_rows = query.session_config().batch_size();
        let context = ReadContext { schema, batch_rows, metrics: metrics.source.clone() };
        Self { connector, splits, current: None, context, metrics, _query: query }
    }

    fn poll_splits(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        loop {
            let stream = match &mut self.current {
                Some(stream) => stream,
                None => match self.splits.pop_front() {
                    None => return Poll::Ready(None),
                    Some(split) => match self.connector.read(&split, self.context.clone()) {
                        Ok(stream) => self.current.insert(stream),
                        Err(error) => {
                            self.splits.clear();
                            return Poll::Ready(Some(Err(DataFusionError::from(error))));
                        }
                    },
                },
            };
            match futures::ready!(stream.poll_next_unpin(cx)) {
                None => {
                    self.current = None;
                    self.metrics.splits_done.add(1);
                }
                Some(Err(error)) => {
                    // After an error nothing more comes: a partial result must not look whole.
                    self.current = None;
                    self.splits.clear();
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(batch)) => return Poll::Ready(Some(Ok(canonical_floats(batch)))),
            }
        }
    }
}

impl Stream for SplitStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let poll = self.poll_splits(cx);
        self.metrics.baseline.record_poll(poll)
    }
}

impl RecordBatchStream for SplitStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.context.schema)
    }
}
