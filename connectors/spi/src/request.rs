//! What the engine asks of a table, and what the table answers.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

use crate::{Estimate, RequestCount, Units, Verdict};

/// A conjunct that the table said it handles.
#[derive(Clone, Debug)]
pub struct PushedFilter {
    /// The conjunct. Its columns are named as the table names them, whatever alias qualifies them.
    pub expression: Expr,
    /// The same with the operators that a person wrote where the engine calls functions of its own, which check for
    /// overflow: to translate, never to evaluate. This is what was judged.
    pub written: Expr,
    /// [`Verdict::Exact`] or [`Verdict::Pruning`], never a refusal.
    pub verdict: Verdict,
}

impl PushedFilter {
    /// A conjunct that is evaluated as it is written.
    pub fn new(expression: Expr, verdict: Verdict) -> Self {
        Self { written: expression.clone(), expression, verdict }
    }
}

/// Everything that one scan asks. Typed, never text that is edited: a source renders it once, at the end.
#[derive(Clone, Debug, Default)]
pub struct ScanRequest {
    /// Indexes into the table's columns, hidden ones included, in output order. Empty for `count(*)`: then batches
    /// have no columns and their row count is what matters.
    pub projection: Vec<usize>,
    /// AND-ed together.
    pub filters: Vec<PushedFilter>,
    /// At most this many rows, set by an accepted [`Fold::Limit`].
    pub limit: Option<usize>,
}

/// A plan operator that a source may take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Return at most this many rows, any ones. The engine keeps its own limit above.
    Limit(usize),
}

/// A part of a scan that one task reads. Plain data: it can be written down and read in another process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// What [`crate::Connector::read`] needs; only the connector looks inside. Never credentials.
    pub payload: serde_json::Value,
    /// How errors and logs call the split: `partition 3, offsets 100..4711`.
    pub label: String,
    /// Expected rows, to balance splits over partitions.
    pub rows: Option<u64>,
}

/// How a planned scan produces rows.
#[derive(Clone, Debug)]
pub enum Scan {
    /// Parts that [`crate::Connector::read`] reads.
    Splits(Vec<Split>),
    /// One part that [`crate::Connector::read`] reads without coming to an end: rows of a table that is followed. What the
    /// source sends is handed on within a fraction of a second, however few rows that are.
    Endless(Split),
    /// A leaf of the engine's own, for sources that it reads natively (Parquet files).
    Native(Arc<dyn ExecutionPlan>),
}

/// A planned scan.
#[derive(Clone, Debug)]
pub struct SourcePlan {
    /// The projected columns, in the order of [`ScanRequest::projection`].
    pub schema: SchemaRef,
    /// The rows.
    pub scan: Scan,
    /// The native request as EXPLAIN prints it.
    pub request: Option<String>,
    /// For each pushed filter, in order, what the source was sent for it.
    pub remote_filters: Vec<Option<String>>,
    /// What pruning kept.
    pub units: Vec<Units>,
    /// Expected rows and bytes after the pushed filters.
    pub estimate: Estimate,
    /// The requests that the scan is expected to send when it runs, where they are counted.
    pub requests: Vec<RequestCount>,
    /// The columns, by their place, whose values leave out rows at the source when a join knows its keys: those on which
    /// [`crate::Connector::narrow`] filters, and where the scan is native those that have one value in a whole file.
    pub filterable: Vec<usize>,
    /// Whether a stream of the rows that nobody reads for a while holds nothing that others wait for. One that holds a
    /// connection does.
    pub pauses: bool,
}
