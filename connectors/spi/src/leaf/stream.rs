//! The stream of one partition: its splits, one after the other.

use std::collections::VecDeque;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, TaskContext};
use futures::stream::{self, BoxStream, Peekable};
use futures::{Stream, StreamExt};

use super::metrics::LeafMetrics;
use crate::{Connector, ReadContext, Split, canonical_floats};

/// The rows of a split, of which the first batch may have been looked at.
type SplitRows = Peekable<BoxStream<'static, Result<RecordBatch>>>;

/// Reads splits in order. None is open before the first poll, and only one until its first batch has been taken: who wants few
/// rows asks for no more. From then on those behind it are open as well that [`Connector::splits_ahead`] says.
pub(super) struct SplitStream {
    connector: Arc<dyn Connector>,
    splits: VecDeque<Split>,
    /// The split whose rows are taken, and those behind it.
    open: VecDeque<SplitRows>,
    has_rows: bool,
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
        Self { connector, splits, open: VecDeque::new(), has_rows: false, context, metrics, _query: query }
    }

    /// Opens the next split, if there is one. An error is told when its rows are taken.
    fn open(&mut self) -> Option<&mut SplitRows> {
        let split = self.splits.pop_front()?;
        let rows = match self.connector.read(&split, self.context.clone()) {
            Ok(rows) => rows.boxed(),
            Err(error) => stream::once(ready(Err(DataFusionError::from(error)))).boxed(),
        };
        self.open.push_back(rows.peekable());
        self.open.back_mut()
    }

    /// Opens and starts what is to be read ahead.
    fn open_ahead(&mut self, cx: &mut Context<'_>) {
        while self.has_rows && !self.splits.is_empty() && self.open.len() <= self.connector.splits_ahead() {
            if let Some(rows) = self.open() {
                // Work starts with the first poll. What came is kept until its turn.
                let _ = Pin::new(rows).poll_peek(cx);
            }
        }
    }

    fn poll_splits(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        loop {
            if self.open.is_empty() && self.open().is_none() {
                return Poll::Ready(None);
            }
            self.open_ahead(cx);
            let Some(rows) = self.open.front_mut() else { return Poll::Ready(None) };
            match futures::ready!(rows.poll_next_unpin(cx)) {
                None => {
                    self.open.pop_front();
                    self.metrics.splits_done.add(1);
                }
                Some(Err(error)) => {
                    // After an error nothing more comes: a partial result must not look whole.
                    self.open.clear();
                    self.splits.clear();
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(batch)) => {
                    self.has_rows = true;
                    return Poll::Ready(Some(Ok(canonical_floats(batch))));
                }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use async_trait::async_trait;
    use datafusion::execution::SendableRecordBatchStream;
    use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

    use super::*;
    use crate::{Capabilities, ConnectorError, ConnectorTable, QueryContext, Snapshot, TableEntry};

    /// A source whose splits are numbers and have three batches of a row, which is that number.
    #[derive(Debug, Default)]
    struct Source {
        ahead: usize,
        /// The split that cannot be read, and the one whose second batch is an error.
        refused: Option<i64>,
        failing: Option<i64>,
        capabilities: Capabilities,
        /// How many splits were polled.
        started: Arc<AtomicUsize>,
    }

    #[async_trait]
    impl Connector for Source {
        fn kind(&self) -> &'static str {
            "source"
        }

        fn capabilities(&self) -> &Capabilities {
            &self.capabilities
        }

        async fn list_schemas(&self) -> crate::Result<Vec<String>> {
            Ok(Vec::new())
        }

        async fn list_tables(&self, _schema: &str) -> crate::Result<Vec<TableEntry>> {
            Ok(Vec::new())
        }

        async fn table(&self, _schema: &str, _table: &str) -> crate::Result<Option<Arc<dyn ConnectorTable>>> {
            Ok(None)
        }

        async fn begin(&self, _query: &QueryContext) -> crate::Result<Arc<dyn Snapshot>> {
            Err(ConnectorError::internal("no query begins"))
        }

        fn splits_ahead(&self) -> usize {
            self.ahead
        }

        fn read(&self, split: &Split, context: ReadContext) -> crate::Result<SendableRecordBatchStream> {
            let number = split.payload.as_i64().unwrap();
            if self.refused == Some(number) {
                return Err(ConnectorError::source(format!("split {number} is refused")));
            }
            let (schema, started) = (Arc::clone(&context.schema), Arc::clone(&self.started));
            let is_failing = self.failing == Some(number);
            let batches = stream::iter(0..3).map(move |batch| {
                if batch == 0 {
                    started.fetch_add(1, Ordering::Relaxed);
                }
                if is_failing && batch == 1 {
                    return Err(DataFusionError::from(ConnectorError::source(format!("split {number} has failed"))));
                }
                let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(vec![number]))]);
                Ok(rows.unwrap())
            });
            Ok(Box::pin(RecordBatchStreamAdapter::new(context.schema, batches)))
        }
    }

    /// The rows of splits 0, 1 and so on.
    fn rows(source: Source, splits: i64) -> SplitStream {
        let splits = (0..splits).map(|number| Split { payload: number.into(), label: number.to_string(), rows: None });
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let metrics = LeafMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        SplitStream::new(Arc::new(source), splits.collect(), schema, metrics, Arc::new(TaskContext::default()))
    }

    async fn next(rows: &mut SplitStream) -> Option<std::result::Result<i64, String>> {
        let batch = rows.next().await?;
        Some(batch.map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0)).map_err(|error| error.to_string()))
    }

    /// How many splits have started after each batch, and the batches.
    async fn taken(source: Source, splits: i64) -> (Vec<usize>, Vec<i64>) {
        let started = Arc::clone(&source.started);
        let (mut rows, mut counts, mut numbers) = (rows(source, splits), vec![started.load(Ordering::Relaxed)], vec![]);
        while let Some(number) = next(&mut rows).await {
            numbers.push(number.unwrap());
            counts.push(started.load(Ordering::Relaxed));
        }
        assert_eq!(rows.metrics.splits_done.value(), usize::try_from(splits).unwrap());
        (counts, numbers)
    }

    #[tokio::test]
    async fn one_is_open_where_none_is_read_ahead() {
        let (started, numbers) = taken(Source::default(), 3).await;
        assert_eq!(numbers, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
        assert_eq!(started, [0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
    }

    #[tokio::test]
    async fn others_start_once_rows_were_taken_and_come_in_order() {
        let (started, numbers) = taken(Source { ahead: 1, ..Source::default() }, 4).await;
        assert_eq!(numbers, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
        assert_eq!(started, [0, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4]);
        let (started, numbers) = taken(Source { ahead: 2, ..Source::default() }, 4).await;
        assert_eq!(numbers, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
        assert_eq!(started, [0, 1, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4]);
        assert_eq!(taken(Source { ahead: 1, ..Source::default() }, 0).await, (vec![0], vec![]));
    }

    #[tokio::test]
    async fn an_error_comes_where_its_rows_would_and_ends_all() {
        let refused = Source { ahead: 1, refused: Some(1), ..Source::default() };
        let failing = Source { ahead: 2, failing: Some(1), ..Source::default() };
        for (source, before, said) in
            [(refused, &[0, 0, 0][..], "split 1 is refused"), (failing, &[0, 0, 0, 1], "split 1 has failed")]
        {
            let mut rows = rows(source, 3);
            for number in before {
                assert_eq!(next(&mut rows).await, Some(Ok(*number)));
            }
            let error = next(&mut rows).await.unwrap().unwrap_err();
            assert!(error.contains(said), "{error}");
            assert_eq!(next(&mut rows).await, None);
        }
    }
}
