//! What is known of a filter's rows.
//!
//! DataFusion tells from `g = 'a'` that `g` is constant, and leaves out sorts by it; a window function above relies on that when
//! it runs. Of [`AllOf`](super::AllOf) it can tell nothing.

use std::fmt;
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use crate::planner::one_input::{no_expressions, over_one_input};

/// Its input's rows, of which it is known what was known of another operator's that has the same rows.
#[derive(Debug)]
pub(crate) struct KnownExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl KnownExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, properties: Arc<PlanProperties>) -> Self {
        Self { input, properties }
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self::new(input, Arc::clone(&self.properties))
    }
}

impl DisplayAs for KnownExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownExec")
    }
}

impl ExecutionPlan for KnownExec {
    over_one_input!("KnownExec", Arc::clone);
    no_expressions!();

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}
