//! How far the sources of a plan are read.

use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use portolan_connector::{SourceExec, SourceMetrics, TableName};

/// Whether a source has sent anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// Nothing came yet: it was not asked, or has not answered.
    Waiting,
    /// Rows or bytes came.
    Reading,
    /// All that the query wanted was read.
    Done,
}

impl SourceState {
    /// The state as tables show it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Reading => "reading",
            Self::Done => "done",
        }
    }
}

/// What was read of one source of a query.
#[derive(Clone, Debug)]
pub struct SourceProgress {
    /// The catalog.
    pub catalog: String,
    /// The kind of source.
    pub connector: &'static str,
    /// The tables that the scan covers.
    pub tables: Vec<TableName>,
    /// Whether anything came.
    pub state: SourceState,
    /// Rows that the source gave to the engine.
    pub rows: u64,
    /// Bytes that the source sent, where that is counted.
    pub bytes: Option<u64>,
    /// Rows that were left out because they cannot be read.
    pub skipped: u64,
    /// Nanoseconds that were spent waiting for the source, over all parts that read at the same time.
    pub waiting_nanoseconds: u64,
    /// Splits or files that were read to their end.
    pub splits_done: u64,
    /// Splits or files that the plan reads, where that is known.
    pub splits_total: Option<u64>,
    /// When the first part began to be read.
    pub started_at: Option<SystemTime>,
    /// When the last part that has ended did so.
    pub ended_at: Option<SystemTime>,
}

/// What was read of each source of a plan, in the plan's order.
pub(crate) fn sources(plan: &Arc<dyn ExecutionPlan>) -> Vec<SourceProgress> {
    let mut found = Vec::new();
    // The closure never fails, so neither does the walk.
    let _ = plan.apply(|node| {
        if let Some(leaf) = node.downcast_ref::<SourceExec>() {
            found.push(source(leaf));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

fn source(leaf: &SourceExec) -> SourceProgress {
    let metrics = leaf.metrics().unwrap_or_default();
    let report = leaf.report();
    let rows = rows(&metrics);
    let bytes = bytes(&metrics);
    let parts = leaf.properties().output_partitioning().partition_count();
    let state = match (ended_parts(&metrics) >= parts, rows > 0 || bytes.is_some_and(|bytes| bytes > 0)) {
        (true, _) => SourceState::Done,
        (false, true) => SourceState::Reading,
        (false, false) => SourceState::Waiting,
    };
    let (done, total) = match leaf.native() {
        Some(native) => (count(&metrics, FILES_DONE).unwrap_or_default(), files(native)),
        None => {
            let splits: usize = leaf.splits().iter().map(Vec::len).sum();
            (count(&metrics, SourceMetrics::SPLITS_DONE).unwrap_or_default(), Some(splits as u64))
        }
    };
    SourceProgress {
        catalog: leaf.catalog().to_owned(),
        connector: report.connector,
        tables: report.tables.clone(),
        state,
        rows,
        bytes,
        skipped: count(&metrics, SourceMetrics::ROWS_SKIPPED).unwrap_or_default(),
        waiting_nanoseconds: waiting_nanoseconds(&metrics),
        splits_done: done,
        splits_total: total,
        started_at: times(&metrics, |value| match value {
            MetricValue::StartTimestamp(time) => time.value(),
            _ => None,
        })
        .min(),
        ended_at: times(&metrics, |value| match value {
            MetricValue::EndTimestamp(time) => time.value(),
            _ => None,
        })
        .max(),
    }
}

/// The times of all parts that `read` finds.
fn times(
    metrics: &MetricsSet,
    read: fn(&MetricValue) -> Option<DateTime<Utc>>,
) -> impl Iterator<Item = SystemTime> + '_ {
    metrics.iter().filter_map(move |metric| read(metric.value())).map(SystemTime::from)
}

/// Files of a scan, or the parts of files where those are divided between threads.
fn files(native: &Arc<dyn ExecutionPlan>) -> Option<u64> {
    let scan = native.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()?;
    Some(scan.file_groups.iter().map(|group| group.len() as u64).sum())
}

/// DataFusion's counter of files that a scan has read or skipped.
const FILES_DONE: &str = "files_processed";

/// Rows that a source gave to the engine.
pub(crate) fn rows(metrics: &MetricsSet) -> u64 {
    metrics.output_rows().unwrap_or_default() as u64
}

/// Bytes that a source sent: our own count, or that of DataFusion's file scan.
pub(crate) fn bytes(metrics: &MetricsSet) -> Option<u64> {
    count(metrics, SourceMetrics::BYTES_RECEIVED).or_else(|| count(metrics, "bytes_scanned"))
}

/// Time spent waiting for a source: our own count, or that of DataFusion's file scan.
pub(crate) fn waiting_nanoseconds(metrics: &MetricsSet) -> u64 {
    count(metrics, SourceMetrics::TIME_WAITING)
        .or_else(|| count(metrics, "time_elapsed_scanning_total"))
        .unwrap_or_default()
}

/// The sum of a counter or a timer over all parts.
pub(crate) fn count(metrics: &MetricsSet, name: &str) -> Option<u64> {
    metrics.sum_by_name(name).and_then(|value| u64::try_from(value.as_usize()).ok())
}

/// Parts whose stream has ended.
fn ended_parts(metrics: &MetricsSet) -> usize {
    let is_ended = |value: &MetricValue| matches!(value, MetricValue::EndTimestamp(time) if time.value().is_some());
    metrics.iter().filter(|metric| is_ended(metric.value())).count()
}
