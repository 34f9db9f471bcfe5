//! [`KeyCollectorExec`]: the first input of a join, whose keys are noted on the way.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, internal_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};

use super::set::{Collected, Keys};

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
}

impl DisplayAs for KeyCollectorExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyCollectorExec: {}", self.key)
    }
}

impl ExecutionPlan for KeyCollectorExec {
    fn name(&self) -> &'static str {
        "KeyCollectorExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        f(&self.key)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self { input, ..self.as_ref().clone() })),
            _ => internal_err!("keys are collected of one input"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let schema = rows.schema();
        let (key, keys) = (Arc::clone(&self.key), Arc::clone(&self.keys));
        // A stream that ends early, or with an error, tells nothing.
        let collected = stream::unfold((rows, Some(Collected::default())), move |(mut rows, mut collected)| {
            let (key, keys) = (Arc::clone(&key), Arc::clone(&keys));
            async move {
                let batch = rows.next().await;
                match (&batch, &mut collected) {
                    (Some(Ok(batch)), Some(known)) => {
                        match key.evaluate(batch).and_then(|values| values.into_array(batch.num_rows())) {
                            Ok(values) => known.add(&values),
                            // The join evaluates it again, and says so.
                            Err(_) => collected = None,
                        }
                    }
                    (Some(Err(_)), _) => collected = None,
                    (None, _) => {
                        if let Some(known) = collected.take() {
                            keys.add(known);
                        }
                    }
                    (Some(Ok(_)), None) => {}
                }
                batch.map(|batch| (batch, (rows, collected)))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, collected)))
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        inputs.first().map(Arc::clone).ok_or_else(|| internal_datafusion_err!("keys are collected of one input"))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }
}
