//! [`KeyFilterExec`]: the rows of a scan that joins above may have a partner for.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use futures::{Stream, StreamExt};

use super::set::Keys;
use crate::planner::one_input::{no_expressions, ordered_as_input, over_one_input};

/// A filter is given up that keeps more than three of four rows: it costs more than it saves.
const KEPT_MAX: f64 = 0.75;

/// How many rows are looked at before that is decided.
const TRIED_ROWS: u64 = 64 << 10;

/// The rows of its input whose columns have values that are keys, as far as the keys are known: a join above that knows
/// them leaves out the others.
#[derive(Clone, Debug)]
pub(crate) struct KeyFilterExec {
    input: Arc<dyn ExecutionPlan>,
    /// Columns of the input, each with its keys.
    asked: Vec<(usize, Keys)>,
    metrics: ExecutionPlanMetricsSet,
}

impl KeyFilterExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, asked: Vec<(usize, Keys)>) -> Self {
        Self { input, asked, metrics: ExecutionPlanMetricsSet::new() }
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self::new(input, self.asked.clone())
    }

    /// The columns of which keys are known, by name.
    pub(crate) fn columns(&self) -> Vec<String> {
        let schema = self.input.schema();
        let name = |at: &usize| schema.fields().get(*at).map(|field| field.name().clone());
        self.asked.iter().filter_map(|(at, _)| name(at)).collect()
    }
}

impl DisplayAs for KeyFilterExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFilterExec: {}", self.columns().join(", "))
    }
}

impl ExecutionPlan for KeyFilterExec {
    over_one_input!("KeyFilterExec", |input: &Arc<Statistics>| Arc::new(input.as_ref().clone().to_inexact()));
    ordered_as_input!();
    no_expressions!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let rows = context.session_config().batch_size();
        Ok(Box::pin(KeyFilterStream {
            input: self.input.execute(partition, context)?,
            asked: self
                .asked
                .iter()
                .map(|(at, keys)| Asked { at: *at, keys: Arc::clone(keys), looked: 0, kept: 0 })
                .collect(),
            gathered: BatchCoalescer::new(Arc::clone(&schema), rows).with_biggest_coalesce_batch_size(Some(rows / 2)),
            ready: VecDeque::new(),
            ended: false,
            schema,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// A column whose keys are asked for.
struct Asked {
    at: usize,
    keys: Keys,
    /// Rows that were looked at.
    looked: u64,
    /// Those of them that were kept.
    kept: u64,
}

impl Asked {
    /// Which rows of a batch have a key; `None` where that is not known or not worth it.
    fn members(&mut self, batch: &RecordBatch) -> Option<BooleanBuffer> {
        if self.looked >= TRIED_ROWS && self.kept as f64 > KEPT_MAX * self.looked as f64 {
            return None;
        }
        let members = self.keys.known()?.contains(batch.columns().get(self.at)?)?;
        self.looked += batch.num_rows() as u64;
        self.kept += members.count_set_bits() as u64;
        Some(members)
    }
}

struct KeyFilterStream {
    input: SendableRecordBatchStream,
    asked: Vec<Asked>,
    /// Rows that are kept, until there are enough for a batch.
    gathered: BatchCoalescer,
    ready: VecDeque<RecordBatch>,
    ended: bool,
    schema: SchemaRef,
    metrics: BaselineMetrics,
}

impl KeyFilterStream {
    fn take(&mut self, batch: RecordBatch) -> Result<()> {
        let timer = self.metrics.elapsed_compute().clone();
        let _timer = timer.timer();
        let mut members: Option<BooleanBuffer> = None;
        for asked in &mut self.asked {
            if let Some(more) = asked.members(&batch) {
                members = Some(members.map_or_else(|| more.clone(), |members| &members & &more));
            }
        }
        match members {
            Some(members) => self.gathered.push_batch_with_filter(batch, &BooleanArray::new(members, None))?,
            None => {
                // What was gathered comes first: the order of the rows stays.
                self.gathered.finish_buffered_batch()?;
                self.flush();
                self.ready.push_back(batch);
            }
        }
        self.flush();
        Ok(())
    }

    fn flush(&mut self) {
        while let Some(batch) = self.gathered.next_completed_batch() {
            self.ready.push_back(batch);
        }
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(batch)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(self.input.poll_next_unpin(context)) {
                Some(Ok(batch)) => self.take(batch)?,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.ended = true;
                    self.gathered.finish_buffered_batch()?;
                    self.flush();
                }
            }
        }
    }
}

impl Stream for KeyFilterStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.poll_batch(context);
        self.metrics.record_poll(next)
    }
}

impl RecordBatchStream for KeyFilterStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
