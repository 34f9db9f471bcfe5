//! [`OnceExec`]: rows that several operators read and one computes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::RecordBatch;
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use crate::planner::one_input::{no_expressions, over_one_input};

/// The rows of a partition, or why there are none.
type Partition = Shared<BoxFuture<'static, Result<Arc<Kept>, Arc<DataFusionError>>>>;

/// Rows in memory.
struct Kept {
    batches: Vec<RecordBatch>,
    /// The memory that they take, until the query ends.
    _memory: MemoryReservation,
}

/// The rows of a part of the plan, for all places where it is.
#[derive(Default)]
pub(super) struct Results {
    /// The operator that computes them: that of the place which is asked first. All of its partitions are computed by it,
    /// for they may rely on one another.
    source: OnceLock<Arc<dyn ExecutionPlan>>,
    partitions: Mutex<BTreeMap<usize, Partition>>,
}

impl fmt::Debug for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Results")
    }
}

impl Results {
    fn partition(&self, at: usize, input: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Result<Partition> {
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = partitions.get(&at) {
            return Ok(known.clone());
        }
        let source = self.source.get_or_init(|| Arc::clone(input));
        let memory = MemoryConsumer::new(format!("rows computed once [{at}]")).register(context.memory_pool());
        let rows = source.execute(at, Arc::clone(context))?;
        let computed = keep(rows, memory).map(|kept| kept.map(Arc::new).map_err(Arc::new)).boxed().shared();
        partitions.insert(at, computed.clone());
        Ok(computed)
    }
}

async fn keep(mut rows: SendableRecordBatchStream, memory: MemoryReservation) -> Result<Kept> {
    let (mut batches, mut counter) = (Vec::new(), RecordBatchMemoryCounter::new());
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        memory.try_grow(counter.count_batch(&batch))?;
        batches.push(batch);
    }
    Ok(Kept { batches, _memory: memory })
}

/// Its input's rows, computed by one of the operators that share the results.
#[derive(Clone, Debug)]
pub(crate) struct OnceExec {
    input: Arc<dyn ExecutionPlan>,
    results: Arc<Results>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl OnceExec {
    /// Says nothing of the order of its rows: a place that relied on it would change its input, and others' not.
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, results: Arc<Results>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            input.output_partitioning().clone(),
            EmissionType::Final,
            input.boundedness(),
        );
        Self { input, results, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self::new(input, Arc::clone(&self.results))
    }

    /// What it reads.
    pub(crate) fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    /// Tells the part of the plan from others: the same number in all of its places.
    pub(crate) fn part(&self) -> usize {
        Arc::as_ptr(&self.results).addr()
    }

    /// Whether the rows were computed by this operator's input.
    pub(crate) fn computed_here(&self) -> bool {
        self.results.source.get().is_some_and(|source| Arc::ptr_eq(source, &self.input))
    }
}

impl DisplayAs for OnceExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnceExec")
    }
}

impl ExecutionPlan for OnceExec {
    over_one_input!("OnceExec", Arc::clone);
    no_expressions!();

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let computed = self.results.partition(partition, &self.input, &context)?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let rows = stream::once(async move {
            let kept = computed.await.map_err(DataFusionError::Shared)?;
            let batches = (0..kept.batches.len()).map(move |at| kept.batches.get(at).cloned());
            let counted = batches.flatten().map(move |batch| Ok(batch.record_output(&metrics)));
            Ok::<_, DataFusionError>(stream::iter(counted))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows.try_flatten())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
