//! How long the steps of planning take. `--log portolan::planner=debug` tells them.

use std::sync::Arc;
use std::time::Instant;

use datafusion::common::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::{PhysicalOptimizerContext, PhysicalOptimizerRule};
use datafusion::physical_plan::ExecutionPlan;

/// Tells after each step how long it took.
#[derive(Debug)]
pub(super) struct Stopwatch {
    since: Instant,
}

impl Stopwatch {
    /// Starts the first step.
    pub(super) fn start() -> Self {
        Self { since: Instant::now() }
    }

    /// Ends a step, and starts the next one.
    pub(super) fn lap(&mut self, step: &str) {
        let now = Instant::now();
        let micros = u64::try_from(now.duration_since(self.since).as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(step, micros, "planned");
        self.since = now;
    }
}

/// A rule that tells how long it took.
#[derive(Debug)]
pub(super) struct Timed(pub(super) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for Timed {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let mut watch = Stopwatch::start();
        let plan = self.0.optimize(plan, config)?;
        watch.lap(self.0.name());
        Ok(plan)
    }

    fn optimize_with_context(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: &dyn PhysicalOptimizerContext,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut watch = Stopwatch::start();
        let plan = self.0.optimize_with_context(plan, context)?;
        watch.lap(self.0.name());
        Ok(plan)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}
