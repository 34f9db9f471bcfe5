//! A plan for tests that counts how often it is run and how far it is read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};

/// Batches of 1,000 numbers each; the last may be an error instead.
#[derive(Debug)]
pub(super) struct Numbers {
    batches: usize,
    fails: bool,
    pub(super) begun: AtomicUsize,
    pub(super) read: Arc<AtomicUsize>,
    properties: Arc<PlanProperties>,
}

const ROWS: usize = 1000;

impl Numbers {
    pub(super) fn new(batches: usize, fails: bool) -> Arc<Self> {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let (begun, read) = (AtomicUsize::new(0), Arc::default());
        Arc::new(Self { batches, fails, begun, read, properties: Arc::new(properties) })
    }

    /// Waits until so many batches were read.
    pub(super) async fn read_so_many(&self, batches: usize) {
        let read = async {
            while self.read.load(Ordering::SeqCst) < batches {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), read).await.expect("rows are read before they are asked for");
    }
}

impl DisplayAs for Numbers {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Numbers")
    }
}

impl ExecutionPlan for Numbers {
    fn name(&self) -> &'static str {
        "Numbers"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let (schema, batches, fails, read) = (self.schema(), self.batches, self.fails, Arc::clone(&self.read));
        let rows = stream::iter(0..batches).map(move |batch| {
            read.fetch_add(1, Ordering::SeqCst);
            if fails && batch + 1 == batches {
                return Err(DataFusionError::Execution("the source is gone".into()));
            }
            let from = (batch * ROWS) as i64;
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + ROWS as i64));
            Ok(RecordBatch::try_from_iter([("n", numbers)])?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// The numbers of batches.
pub(super) fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// The numbers of so many batches.
pub(super) fn all(batches: usize) -> Vec<i64> {
    (0..(batches * ROWS) as i64).collect()
}

/// Memory for so many bytes.
pub(super) fn context(bytes: usize) -> Arc<TaskContext> {
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(bytes))).build().unwrap();
    Arc::new(TaskContext::default().with_runtime(Arc::new(runtime)))
}
