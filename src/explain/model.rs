//! The report of a plan. Its JSON form is a contract that tools read; DESIGN section 5 shows it.

use serde::Serialize;

/// The version of the JSON form. A change that a reader could trip over raises it.
pub(super) const VERSION: u32 = 1;

/// A whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of this form.
    pub version: u32,
    /// The query as it was typed.
    pub query: String,
    /// Every scan of a source.
    pub sources: Vec<Source>,
    /// What is sent to the sources of each catalog whose requests are counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Requests>,
    /// The engine's operators; scans are leaves that point into `sources`.
    pub plan: Node,
}

/// One scan of a source.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// Its place in `sources`.
    pub id: usize,
    /// The catalog.
    pub catalog: String,
    /// The kind of source.
    pub connector: String,
    /// Full names of the tables that the scan covers.
    pub tables: Vec<String>,
    /// Every conjunct that touches the scan.
    pub filters: Vec<Filter>,
    /// Operators that the source took over.
    pub folded: Vec<String>,
    /// The operator above, where the source was not given it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unfolded: Vec<Unfolded>,
    /// The native request.
    pub request: Option<String>,
    /// The columns that are read.
    pub columns: Vec<String>,
    /// How many columns the table has.
    pub columns_total: usize,
    /// The frozen position.
    pub snapshot: Option<String>,
    /// What pruning kept.
    pub units: Vec<Unit>,
    /// What the planner expects.
    pub estimate: Estimate,
    /// What the choice to give the source the last operator was made by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// What was measured; null without ANALYZE.
    pub actual: Option<Actual>,
}

/// One conjunct and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Filter {
    /// The conjunct as SQL.
    pub expression: String,
    /// `exact`, `pruning`, `refused` or `dynamic`.
    pub verdict: String,
    /// Why it was refused.
    pub reason: Option<String>,
    /// What the source was sent for it.
    pub remote: Option<String>,
}

/// An operator that stays with the engine.
#[derive(Clone, Debug, Serialize)]
pub struct Unfolded {
    /// `aggregate`, `join`, `projection`, `topn`, `sort`, `filter`, `limit` or `union`.
    pub operator: String,
    /// What it computes, as SQL.
    pub detail: String,
    /// Why the source was not given it.
    pub reason: String,
}

/// Of how many units how many are read.
#[derive(Clone, Debug, Serialize)]
pub struct Unit {
    /// `partitions`, `files`, `row_groups`, `offsets` or `splits`.
    pub kind: String,
    /// How many there are; null when nobody counted.
    pub total: Option<u64>,
    /// How many are read.
    pub kept: u64,
}

/// What the planner expects of a scan.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Estimate {
    /// Rows.
    pub rows: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
}

/// What an operator and all below it are expected to take until the engine has its rows, in seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// If the source computes the operator.
    pub source_seconds: f64,
    /// If the engine does, over what it fetches.
    pub engine_seconds: f64,
}

/// The requests of the whole query to one catalog's source.
#[derive(Clone, Debug, Serialize)]
pub struct Requests {
    /// The catalog.
    pub catalog: String,
    /// What is expected, with what was sent to plan the query.
    pub expected: Vec<RequestKind>,
    /// What that costs, where the catalog file has prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_cost: Option<Charge>,
    /// What was sent; null without ANALYZE.
    pub actual: Option<Vec<RequestKind>>,
    /// What that cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual_cost: Option<Charge>,
}

/// Requests of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestKind {
    /// `LIST`, `GET`, `HEAD`, `PUT`, `DELETE` or `COPY`.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// How many bytes they carry.
    pub bytes: u64,
}

/// What a source charges.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Charge {
    /// How much.
    pub amount: f64,
    /// Of what.
    pub currency: String,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Actual {
    /// Rows that came out.
    pub rows: u64,
    /// Bytes that the source sent; null for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// For a source, time spent waiting for it; for an operator, time spent computing. In seconds, added up over
    /// everything that ran side by side.
    pub seconds: f64,
    /// Rows that the source has and that were left out because they cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<u64>,
    /// Places of rows that the source had when the query began and not any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// Peak memory in bytes, for operators that reserve some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// How often the operator spilled to disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spills: Option<u64>,
}

impl Node {
    /// How far the planner was off: the larger one of expected and actual rows over the smaller, each at least 1. `None`
    /// where one of them is not known.
    pub fn error(&self) -> Option<f64> {
        let (expected, actual) = (self.estimate_rows?, self.actual.as_ref()?.rows);
        let (expected, actual) = (expected.max(1) as f64, actual.max(1) as f64);
        Some((expected / actual).max(actual / expected))
    }
}

/// An operator of the plan.
#[derive(Clone, Debug, Serialize)]
pub struct Node {
    /// Its name; `Source` for a leaf that reads a source.
    pub operator: String,
    /// What it works on.
    pub detail: String,
    /// The source of a leaf.
    pub source: Option<usize>,
    /// How many rows the planner expects; null where it cannot tell.
    pub estimate_rows: Option<u64>,
    /// What was measured; null without ANALYZE.
    pub actual: Option<Actual>,
    /// Its inputs.
    pub children: Vec<Node>,
}
