//! [`WholeExec`]: operators of the engine's over messages, as one leaf.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, reset_plan_states};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;
use portolan_connector::{PlanContext, SourceExec, SourceMetrics, SourcePlan, SourceReport, TableName};

use crate::factory::KIND;
use crate::latest::Newest;

/// What is made of the rows of the operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// All of them.
    All,
    /// Those that are the newest of their keys, where the rows are sorted by that.
    Newest,
}

/// A leaf for those who look at it from above: nothing is put between its parts, and no filter and no limit is pushed into them.
#[derive(Debug)]
pub(crate) struct WholeExec {
    parts: Arc<dyn ExecutionPlan>,
    keep: Keep,
    /// How many of the columns are given on.
    width: usize,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl WholeExec {
    /// The first `width` columns of the rows that are kept.
    pub(crate) fn new(parts: Arc<dyn ExecutionPlan>, keep: Keep, width: usize) -> Self {
        let fields: Vec<_> = parts.schema().fields().iter().take(width).cloned().collect();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(Schema::new(fields))),
            Partitioning::UnknownPartitioning(parts.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { parts, keep, width, properties: Arc::new(properties), metrics }
    }
}

impl DisplayAs for WholeExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WholeExec: {:?}", self.keep)
    }
}

impl ExecutionPlan for WholeExec {
    fn name(&self) -> &'static str {
        "WholeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
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

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let (schema, width): (SchemaRef, usize) = (self.schema(), self.width);
        let mut newest = match self.keep {
            Keep::All => None,
            Keep::Newest => Some(Newest::new(&self.parts.schema())?),
        };
        let given = Arc::clone(&schema);
        let rows = self.parts.execute(partition, context)?.map(move |batch| {
            let (batch, timer) = (batch?, metrics.elapsed_compute().timer());
            let kept = match &mut newest {
                Some(newest) => newest.of(&batch)?,
                None => batch,
            };
            let rows = kept.project(&(0..width).collect::<Vec<_>>())?.with_schema(Arc::clone(&given))?;
            drop(timer);
            Ok(rows.record_output(&metrics))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    /// What the scan below counted of its source, and the rows of this leaf.
    fn metrics(&self) -> Option<MetricsSet> {
        let mut all = self.metrics.clone_inner();
        let of_source = [
            SourceMetrics::BYTES_RECEIVED,
            SourceMetrics::TIME_WAITING,
            SourceMetrics::ROWS_SKIPPED,
            SourceMetrics::ROWS_LOST,
            SourceMetrics::SPLITS_DONE,
        ];
        let found = source(&self.parts).and_then(|leaf| leaf.metrics());
        for metric in found.iter().flat_map(MetricsSet::iter) {
            if of_source.contains(&metric.value().name()) {
                all.push(Arc::clone(metric));
            }
        }
        Some(all)
    }

    /// What a filter leaves out below could be what decides which rows are kept.
    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::all_unsupported(result))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(reset_plan_states(Arc::clone(&self.parts))?, self.keep, self.width)))
    }
}

/// A scan of messages below such operators. What is told of it is told of the table above, and so are the keys of joins: they are
/// those of that table's rows.
pub(crate) fn leaf(table: &TableName, messages: SourcePlan, context: &PlanContext<'_>) -> SourceExec {
    let report = SourceReport {
        requests: Vec::new(),
        connector: KIND,
        tables: vec![table.clone()],
        filters: Vec::new(),
        folded: Vec::new(),
        unfolded: Vec::new(),
        cost: None,
        request: messages.request.clone(),
        columns: Vec::new(),
        columns_total: 0,
        snapshot: None,
        units: messages.units.clone(),
        estimate: messages.estimate,
    };
    let targets = context.session.config().target_partitions().max(1);
    let statistics = Statistics::new_unknown(&messages.schema);
    SourceExec::new(table.catalog.clone(), messages, report, statistics, targets, false)
}

/// What reads the messages.
fn source(plan: &Arc<dyn ExecutionPlan>) -> Option<&Arc<dyn ExecutionPlan>> {
    if plan.is::<SourceExec>() { Some(plan) } else { plan.children().into_iter().find_map(source) }
}
