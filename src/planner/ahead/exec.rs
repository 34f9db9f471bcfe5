//! [`AheadExec`]: rows that are read before somebody asks for them.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::{EmptyRecordBatchStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::oneshot;

use crate::planner::one_input::{no_expressions, ordered_as_input, over_one_input};

/// Its input's rows. Reading starts when the operator does, in a task of its own, and goes on until it has read so many
/// bytes or until somebody asks for rows; from then on it is as if there was no operator.
#[derive(Clone, Debug)]
pub(crate) struct AheadExec {
    input: Arc<dyn ExecutionPlan>,
    /// What each partition keeps at most, in bytes.
    capacity: usize,
    /// Whether an input that nobody reads holds nothing that others wait for. Where it does, such as a connection, what
    /// was read is dropped when there is more than `capacity`, and read again when it is asked for: two inputs that wait
    /// for one another would wait for ever.
    pauses: bool,
}

impl AheadExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, capacity: usize, pauses: bool) -> Self {
        Self { input, capacity, pauses }
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, ..self.clone() }
    }

    /// The same, keeping no more than so many bytes in each partition.
    pub(super) fn at_most(&self, capacity: usize) -> Self {
        Self { capacity: self.capacity.min(capacity), ..self.clone() }
    }
}

impl DisplayAs for AheadExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AheadExec: capacity={}", self.capacity)
    }
}

impl ExecutionPlan for AheadExec {
    over_one_input!("AheadExec", Arc::clone);
    ordered_as_input!();
    no_expressions!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let memory = MemoryConsumer::new(format!("rows read ahead [{partition}]")).register(context.memory_pool());
        let ahead = Ahead::of(self.input.execute(partition, Arc::clone(&context))?, self.capacity, memory);
        let (ask, asked) = oneshot::channel();
        let reading = SpawnedTask::spawn(ahead.read(asked, self.pauses));
        let again = Arc::clone(&self.input);
        let rows = stream::once(async move {
            // A task that does not hear it has ended.
            let _ = ask.send(());
            let read = reading.join_unwind().await.map_err(|error| DataFusionError::External(Box::new(error)))?;
            match read {
                Some(ahead) => Ok::<_, DataFusionError>(ahead.rows().left_stream()),
                None => Ok(again.execute(partition, context)?.right_stream()),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows.try_flatten())))
    }
}

/// What was read of a stream.
struct Ahead {
    /// Batches with what each added to the memory, in bytes.
    batches: Vec<(RecordBatch, usize)>,
    /// What follows them.
    rest: SendableRecordBatchStream,
    capacity: usize,
    memory: MemoryReservation,
}

impl Ahead {
    fn of(rest: SendableRecordBatchStream, capacity: usize, memory: MemoryReservation) -> Self {
        Self { batches: Vec::new(), rest, capacity, memory }
    }

    /// Reads until it is asked for or has as much as it may keep. `None` is what remains of a stream that does not pause
    /// and has more than that.
    async fn read(mut self, mut asked: oneshot::Receiver<()>, pauses: bool) -> Option<Self> {
        let mut counter = RecordBatchMemoryCounter::new();
        loop {
            let batch = tokio::select! {
                biased;
                _ = &mut asked => return Some(self),
                batch = self.rest.next() => batch,
            };
            let batch = match batch {
                Some(Ok(batch)) => batch,
                Some(Err(error)) => {
                    let schema = self.rest.schema();
                    self.rest = Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter([Err(error)])));
                    return Some(self);
                }
                None => {
                    self.rest = Box::pin(EmptyRecordBatchStream::new(self.rest.schema()));
                    return Some(self);
                }
            };
            let bytes = counter.count_batch(&batch);
            let kept = self.memory.try_grow(bytes).is_ok();
            self.batches.push((batch, if kept { bytes } else { 0 }));
            if !kept || self.memory.size() >= self.capacity {
                return pauses.then_some(self);
            }
        }
    }

    /// What was read, and then the rest.
    fn rows(self) -> impl Stream<Item = Result<RecordBatch>> + Send {
        let Self { batches, rest, memory, .. } = self;
        let batches = stream::iter(batches).map(move |(batch, bytes)| {
            memory.shrink(bytes);
            Ok(batch)
        });
        batches.chain(rest)
    }
}
