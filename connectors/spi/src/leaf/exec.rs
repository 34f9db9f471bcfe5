//! [`SourceExec`]: a physical leaf over splits or over a native plan, which carries its own report.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::expressions::{CastExpr, Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties, apply_expression_roots,
};
use futures::{TryStreamExt, stream};

use super::keys::{JoinKeys, KeyFilter, Narrowed};
use super::limits::{Got, ScanLimits, limited};
use super::metrics::LeafMetrics;
use super::stream::SplitStream;
use super::turns::in_turns;
use crate::{
    Connector, ConnectorError, Connectors, Scan, SourcePlan, SourceReport, Split, canonical_floats, schema_has_floats,
};

/// What the leaf reads.
#[derive(Clone, Debug)]
enum Input {
    /// Splits, already dealt out to partitions.
    Splits(Vec<Vec<Split>>),
    /// A leaf of the engine's own. It is not a child: the optimizer sees one leaf, and what it asks of the leaf is
    /// passed on by hand.
    Native(Arc<dyn ExecutionPlan>),
}

/// A filter that is known only while the query runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicFilter {
    /// Tells it from others; the operator that makes it has the same.
    pub id: u64,
    /// The column of the scan that each of its keys is, maybe in another type; `None` for a key that is computed.
    pub keys: Vec<Option<String>>,
}

/// The leaf operator for every source.
#[derive(Clone, Debug)]
pub struct SourceExec {
    catalog: String,
    input: Input,
    report: Arc<SourceReport>,
    statistics: Arc<Statistics>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// The columns as they were planned. The optimizer may take some away from a native input.
    planned: SchemaRef,
    /// The columns, by their place in `planned`, on which the source filters when a join knows its keys.
    filterable: Vec<usize>,
    pauses: bool,
    at_once: bool,
    keys: JoinKeys,
    limits: ScanLimits,
    got: Arc<Got>,
    /// Whether filters that appear during physical planning may reach a native input.
    pushdown: bool,
}

impl SourceExec {
    /// Makes the leaf of a planned scan. Splits are dealt out over at most `target_partitions` partitions so that
    /// each gets about as many rows. `pushdown` is false when the session switched all pushdown off.
    pub fn new(
        catalog: impl Into<String>,
        plan: SourcePlan,
        report: SourceReport,
        statistics: Statistics,
        target_partitions: usize,
        pushdown: bool,
    ) -> Self {
        let planned = Arc::clone(&plan.schema);
        let (input, properties) = match plan.scan {
            Scan::Splits(splits) => {
                let partitions = deal(splits, target_partitions);
                let properties = PlanProperties::new(
                    EquivalenceProperties::new(plan.schema),
                    Partitioning::UnknownPartitioning(partitions.len()),
                    EmissionType::Incremental,
                    Boundedness::Bounded,
                );
                (Input::Splits(partitions), Arc::new(properties))
            }
            Scan::Endless(split) => {
                let properties = PlanProperties::new(
                    EquivalenceProperties::new(plan.schema),
                    Partitioning::UnknownPartitioning(1),
                    EmissionType::Incremental,
                    Boundedness::Unbounded { requires_infinite_memory: false },
                );
                (Input::Splits(vec![vec![split]]), Arc::new(properties))
            }
            Scan::Native(native) => {
                let properties = Arc::clone(native.properties());
                (Input::Native(native), properties)
            }
        };
        Self {
            catalog: catalog.into(),
            input,
            report: Arc::new(report),
            statistics: Arc::new(statistics),
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
            planned,
            filterable: if pushdown { plan.filterable } else { Vec::new() },
            pauses: plan.pauses,
            at_once: false,
            keys: JoinKeys::default(),
            limits: ScanLimits::default(),
            got: Arc::default(),
            pushdown,
        }
    }

    /// The same leaf, which waits so long for the joins of these filters to know their keys.
    pub fn awaiting(&self, joins: &[u64], patience: Duration) -> Self {
        let mut awaited = Vec::new();
        for filter in &self.keys.filters {
            // The closure never fails.
            let _ = filter.apply(|part| {
                awaited.extend(part.expression_id().filter(|id| joins.contains(id)));
                Ok(TreeNodeRecursion::Continue)
            });
        }
        Self { keys: JoinKeys { awaited, patience, ..self.keys.clone() }, ..self.clone() }
    }

    /// The same leaf, which waits for no join: it knows of their keys what is known when it is read.
    pub fn at_once(&self) -> Self {
        Self { keys: JoinKeys { patience: Duration::ZERO, ..self.keys.clone() }, at_once: true, ..self.clone() }
    }

    /// Whether it is read before the joins above it know their keys.
    pub fn is_at_once(&self) -> bool {
        self.at_once
    }

    /// Whether a stream of its rows that nobody reads holds nothing that others wait for.
    pub fn pauses(&self) -> bool {
        self.pauses
    }

    /// Whether the source filters on a column when a join knows its keys: whole files or splits are left out.
    pub fn filters_on(&self, column: &str) -> bool {
        self.planned.index_of(column).is_ok_and(|at| self.filterable.contains(&at))
    }

    /// How many values a column is expected to have in all rows of the table; how many rows the scan has where that is
    /// not known.
    pub fn distinct(&self, column: &str) -> Option<u64> {
        let at = self.planned.index_of(column).ok();
        let known = at.and_then(|at| self.statistics.column_statistics.get(at)).map(|column| &column.distinct_count);
        let count = known.and_then(Precision::get_value).or(self.statistics.num_rows.get_value());
        count.and_then(|count| u64::try_from(*count).ok())
    }

    /// The filters that joins, top-Ns and minima above have pushed down, which are known only at run time.
    pub fn dynamic_filters(&self) -> Vec<DynamicFilter> {
        let mut found: Vec<DynamicFilter> = Vec::new();
        // The closures never fail, so neither do the walks.
        let _ = self.apply_expressions(&mut |root| {
            let _ = root.apply(|expr| {
                let Some(id) = expr.expression_id().filter(|_| expr.is::<DynamicFilterPhysicalExpr>()) else {
                    return Ok(TreeNodeRecursion::Continue);
                };
                if !found.iter().any(|known| known.id == id) {
                    found.push(DynamicFilter { id, keys: expr.children().into_iter().map(column_name).collect() });
                }
                Ok(TreeNodeRecursion::Jump)
            });
            Ok(TreeNodeRecursion::Continue)
        });
        found
    }

    /// The same leaf, which ends when it gets more than it may.
    pub fn limited(&self, limits: ScanLimits) -> Self {
        Self { limits, ..self.clone() }
    }

    /// Whether the source waits for a join to know its keys.
    pub fn awaits_keys(&self) -> bool {
        !self.keys.awaited.is_empty()
    }

    /// The catalog that is read.
    pub fn catalog(&self) -> &str {
        &self.catalog
    }

    /// What EXPLAIN tells about the scan.
    pub fn report(&self) -> &SourceReport {
        &self.report
    }

    /// The engine's own leaf, where the source is read natively.
    pub fn native(&self) -> Option<&Arc<dyn ExecutionPlan>> {
        match &self.input {
            Input::Native(native) => Some(native),
            Input::Splits(_) => None,
        }
    }

    /// The splits of each partition; none where the source is read natively.
    pub fn splits(&self) -> &[Vec<Split>] {
        match &self.input {
            Input::Splits(partitions) => partitions,
            Input::Native(_) => &[],
        }
    }

    /// The statistics of a native input, with what the table knows of columns of which the input knows nothing.
    fn with_columns(&self, statistics: &Statistics) -> Statistics {
        let mut statistics = statistics.clone();
        let schema = self.schema();
        for (field, column) in schema.fields().iter().zip(&mut statistics.column_statistics) {
            let at = self.planned.index_of(field.name()).ok();
            if let Some(known) = at.and_then(|at| self.statistics.column_statistics.get(at))
                && *column == ColumnStatistics::new_unknown()
            {
                column.clone_from(known);
            }
        }
        statistics
    }

    /// The rows of a partition, within the limits. `received` counts the bytes that its source sends.
    fn guarded(&self, rows: SendableRecordBatchStream, received: Option<Count>) -> SendableRecordBatchStream {
        let tables = || self.report.tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        limited(rows, &self.limits, &self.got, received, tables)
    }

    /// The same leaf over a native input that the optimizer changed.
    fn with_native(&self, native: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let properties = Arc::clone(native.properties());
        Arc::new(Self { input: Input::Native(native), properties, ..self.clone() })
    }
}

/// Deals splits out, each to the partition that has the fewest rows so far. At least one partition, maybe empty.
fn deal(splits: Vec<Split>, target_partitions: usize) -> Vec<Vec<Split>> {
    let count = splits.len().min(target_partitions).max(1);
    let mut partitions: Vec<(u64, Vec<Split>)> = vec![(0, Vec::new()); count];
    for split in splits {
        if let Some((rows, partition)) = partitions.iter_mut().min_by_key(|(rows, partition)| (*rows, partition.len()))
        {
            *rows += split.rows.unwrap_or(1);
            partition.push(split);
        }
    }
    partitions.into_iter().map(|(_, partition)| partition).collect()
}

impl DisplayAs for SourceExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables: Vec<String> = self.report.tables.iter().map(ToString::to_string).collect();
        write!(f, "SourceExec: {} ({})", tables.join(", "), self.report.connector)
    }
}

impl ExecutionPlan for SourceExec {
    fn name(&self) -> &'static str {
        "SourceExec"
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
        _options: datafusion::physical_plan::ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        match &self.input {
            Input::Native(native) => native.apply_expressions(f),
            Input::Splits(_) => apply_expression_roots(&self.keys.filters, f),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let partitions = match &self.input {
            Input::Native(native) => {
                let rows = canonical(native.execute(partition, context)?);
                return Ok(in_turns(self.guarded(rows, None)));
            }
            Input::Splits(partitions) => partitions,
        };
        let connector = context
            .session_config()
            .get_extension::<Connectors>()
            .and_then(|connectors| connectors.get(&self.catalog).cloned())
            .ok_or_else(|| {
                DataFusionError::from(
                    ConnectorError::internal("the catalog is not known where the query runs").in_catalog(&self.catalog),
                )
            })?;
        let splits: VecDeque<Split> = partitions.get(partition).cloned().unwrap_or_default().into();
        let metrics = LeafMetrics::new(&self.metrics, partition);
        let received = Some(metrics.source.bytes_received.clone());
        if self.keys.is_empty() {
            let rows = SplitStream::new(connector, splits, self.schema(), metrics, context);
            return Ok(in_turns(self.guarded(Box::pin(rows), received)));
        }
        let (keys, schema) = (self.keys.clone(), self.schema());
        let stream = stream::once(async move {
            let filters = keys.settle(&schema).await;
            let splits = narrowed(connector.as_ref(), splits, filters)?;
            Ok::<_, DataFusionError>(SplitStream::new(connector, splits, schema, metrics, context))
        });
        let rows = Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream.try_flatten()));
        Ok(in_turns(self.guarded(rows, received)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        match &self.input {
            Input::Native(native) => native.metrics(),
            Input::Splits(_) => Some(self.metrics.clone_inner()),
        }
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        if let Input::Native(native) = &self.input {
            let statistics = native.statistics_from_inputs(inputs, args)?;
            return Ok(if args.partition().is_none() { Arc::new(self.with_columns(&statistics)) } else { statistics });
        }
        match args.partition() {
            // How rows spread over partitions is not known well enough to say.
            Some(_) => Ok(Arc::new(unknown_statistics(self))),
            None => Ok(Arc::clone(&self.statistics)),
        }
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        config: &ConfigOptions,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        match &self.input {
            Input::Native(native) => {
                Ok(native.repartitioned(target_partitions, config)?.map(|native| self.with_native(native)))
            }
            Input::Splits(_) => Ok(None),
        }
    }

    fn supports_limit_pushdown(&self) -> bool {
        self.native().is_some_and(|native| native.supports_limit_pushdown())
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        if !self.pushdown {
            return None;
        }
        self.native()?.with_fetch(limit).map(|native| self.with_native(native))
    }

    fn fetch(&self) -> Option<usize> {
        self.native()?.fetch()
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        match &self.input {
            Input::Native(native) if self.pushdown => {
                Ok(native.try_swapping_with_projection(projection)?.map(|native| self.with_native(native)))
            }
            Input::Native(_) | Input::Splits(_) => Ok(None),
        }
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        match &self.input {
            Input::Native(native) if self.pushdown => {
                let answer = native.handle_child_pushdown_result(phase, result, config)?;
                Ok(FilterPushdownPropagation {
                    filters: answer.filters,
                    updated_node: answer.updated_node.map(|native| self.with_native(native)),
                })
            }
            // The join checks again whatever the source leaves out.
            Input::Splits(_) if self.pushdown && phase == FilterPushdownPhase::Post => {
                let useful = |filter: &Arc<dyn PhysicalExpr>| {
                    collect_columns(filter).iter().any(|column| self.filterable.contains(&column.index()))
                };
                let filters: Vec<_> = result.parent_filters.iter().map(|parent| Arc::clone(&parent.filter)).collect();
                let filters: Vec<_> = filters.into_iter().filter(useful).collect();
                let answer = FilterPushdownPropagation::all_unsupported(result);
                if filters.is_empty() {
                    return Ok(answer);
                }
                let keys = JoinKeys { filters, ..JoinKeys::default() };
                Ok(answer.with_updated_node(Arc::new(Self { keys, ..self.clone() })))
            }
            Input::Native(_) | Input::Splits(_) => Ok(FilterPushdownPropagation::all_unsupported(result)),
        }
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        match &self.input {
            Input::Native(native) => {
                let afresh = Self { got: Arc::default(), ..self.as_ref().clone() };
                Ok(afresh.with_native(Arc::clone(native).reset_state()?))
            }
            Input::Splits(_) => Ok(Arc::new(Self {
                metrics: ExecutionPlanMetricsSet::new(),
                got: Arc::default(),
                keys: self.keys.afresh(),
                ..self.as_ref().clone()
            })),
        }
    }
}

fn column_name(key: &Arc<dyn PhysicalExpr>) -> Option<String> {
    let cast = key.downcast_ref::<CastExpr>().map(CastExpr::expr);
    cast.unwrap_or(key).downcast_ref::<Column>().map(|column| column.name().to_owned())
}

/// The splits without what has no partner in a join, as far as the source can leave it out.
fn narrowed(connector: &dyn Connector, splits: VecDeque<Split>, filters: &[KeyFilter]) -> Result<VecDeque<Split>> {
    if filters.contains(&KeyFilter::Nothing) {
        return Ok(VecDeque::new());
    }
    if filters.is_empty() {
        return Ok(splits);
    }
    let mut narrowed = VecDeque::with_capacity(splits.len());
    for split in splits {
        match connector.narrow(&split, filters)? {
            Narrowed::Unchanged => narrowed.push_back(split),
            Narrowed::To(split) => narrowed.push_back(split),
            Narrowed::Nothing => {}
        }
    }
    Ok(narrowed)
}

/// The stream with the engine's one zero and one NaN.
fn canonical(stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = stream.schema();
    if !schema_has_floats(&schema) {
        return stream;
    }
    Box::pin(RecordBatchStreamAdapter::new(schema, stream.map_ok(canonical_floats)))
}

fn unknown_statistics(leaf: &SourceExec) -> Statistics {
    Statistics {
        num_rows: Precision::Absent,
        total_byte_size: Precision::Absent,
        column_statistics: leaf.schema().fields().iter().map(|_| ColumnStatistics::new_unknown()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(rows: u64) -> Split {
        Split { payload: serde_json::Value::Null, label: rows.to_string(), rows: Some(rows) }
    }

    fn labels(partitions: &[Vec<Split>]) -> Vec<Vec<&str>> {
        partitions.iter().map(|partition| partition.iter().map(|split| split.label.as_str()).collect()).collect()
    }

    #[test]
    fn splits_are_dealt_by_rows() {
        let partitions = deal(vec![split(100), split(10), split(20), split(5)], 2);
        assert_eq!(labels(&partitions), [vec!["100"], vec!["10", "20", "5"]]);
    }

    #[test]
    fn a_scan_without_splits_still_has_one_partition() {
        assert_eq!(deal(Vec::new(), 4).len(), 1);
        assert_eq!(deal(vec![split(1)], 4).len(), 1);
    }
}
