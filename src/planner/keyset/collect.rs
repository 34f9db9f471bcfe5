//! [`KeyCollectorExec`]: the first input of a join, whose keys are noted on the way.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr};
use futures::{StreamExt, future, stream};

use super::set::Keys;
use crate::planner::one_input::{ordered_as_input, over_one_input};

/// Its input's rows. The values of `key` in all of them become a set when the last row was read.
#[derive(Clone, Debug)]
pub(crate) struct KeyCollectorExec {
    input: Arc<dyn ExecutionPlan>,
    key: Arc<dyn PhysicalExpr>,
    keys: Keys,
}

impl KeyCollectorExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, key: Arc<dyn PhysicalExpr>, keys: Keys) -> Self {
        Self { input, key, keys }
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, ..self.clone() }
    }
}

impl DisplayAs for KeyCollectorExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyCollectorExec: {}", self.key)
    }
}

impl ExecutionPlan for KeyCollectorExec {
    over_one_input!("KeyCollectorExec", Arc::clone);
    ordered_as_input!();

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        f(&self.key)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let memory = MemoryConsumer::new(format!("keys of a join [{partition}]")).register(context.memory_pool());
        let rows = self.input.execute(partition, context)?;
        let schema = rows.schema();
        let (key, keys) = (Arc::clone(&self.key), Arc::clone(&self.keys));
        let mut collected = Some(self.keys.collect(memory));
        let ends = stream::once(async { None });
        // A stream that ends early, or with an error, tells nothing.
        let collected = rows.map(Some).chain(ends).filter_map(move |batch| {
            match (&batch, &mut collected) {
                (Some(Ok(batch)), Some(known)) => {
                    match key.evaluate(batch).and_then(|values| values.into_array(batch.num_rows())) {
                        Ok(values) => known.add(&values),
                        // The join evaluates it again, and says so.
                        Err(_) => known.spoil(),
                    }
                }
                (Some(Err(_)), _) => collected = None,
                (None, known) => {
                    if let Some(known) = known.take() {
                        keys.add(partition, known);
                    }
                }
                (Some(Ok(_)), None) => {}
            }
            future::ready(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, collected)))
    }
}
