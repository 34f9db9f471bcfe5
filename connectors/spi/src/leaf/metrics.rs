//! What is measured while a source is read.

use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, Time};

/// Counters that a connector's reader feeds.
#[derive(Clone, Debug)]
pub struct SourceMetrics {
    /// Bytes that the source sent, as they crossed the wire or came off the disk.
    pub bytes_received: Count,
    /// Time spent waiting for the source.
    pub time_waiting: Time,
    /// Rows that were left out because they cannot be read, where the catalog says so.
    pub rows_skipped: Count,
    /// Places of rows, such as offsets, that the source had when the query began and not any more, where the catalog says
    /// that they may be left out.
    pub rows_lost: Count,
}

impl SourceMetrics {
    /// The name under which bytes are found in the leaf's metrics.
    pub const BYTES_RECEIVED: &'static str = "bytes_received";
    /// The name under which waiting is found in the leaf's metrics.
    pub const TIME_WAITING: &'static str = "time_waiting";
    /// The name under which rows that were left out are found in the leaf's metrics.
    pub const ROWS_SKIPPED: &'static str = "rows_skipped";
    /// The name under which places that the source has no more are found in the leaf's metrics.
    pub const ROWS_LOST: &'static str = "rows_lost";
    /// The name under which splits that were read to their end are found in the leaf's metrics.
    pub const SPLITS_DONE: &'static str = "splits_done";

    /// Registers the counters of one partition.
    pub fn new(set: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            bytes_received: MetricBuilder::new(set).counter(Self::BYTES_RECEIVED, partition),
            time_waiting: MetricBuilder::new(set).subset_time(Self::TIME_WAITING, partition),
            rows_skipped: MetricBuilder::new(set).counter(Self::ROWS_SKIPPED, partition),
            rows_lost: MetricBuilder::new(set).counter(Self::ROWS_LOST, partition),
        }
    }

    /// Counters that nobody reads, for tests and for reads outside a query.
    pub fn unregistered() -> Self {
        Self {
            bytes_received: Count::new(),
            time_waiting: Time::new(),
            rows_skipped: Count::new(),
            rows_lost: Count::new(),
        }
    }
}

/// The counters that the leaf itself feeds for one partition.
#[derive(Debug)]
pub(crate) struct LeafMetrics {
    pub(crate) baseline: BaselineMetrics,
    pub(crate) source: SourceMetrics,
    pub(crate) splits_done: Count,
}

impl LeafMetrics {
    pub(crate) fn new(set: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            baseline: BaselineMetrics::new(set, partition),
            source: SourceMetrics::new(set, partition),
            splits_done: MetricBuilder::new(set).counter(SourceMetrics::SPLITS_DONE, partition),
        }
    }
}
