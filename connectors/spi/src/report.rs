//! What EXPLAIN tells about one scan. The leaf of the plan carries it, so it describes the plan that runs.

use std::time::Duration;

use datafusion::logical_expr::Expr;

use crate::{Reason, TableName, Verdict};

/// One conjunct that touches the scan.
#[derive(Clone, Debug)]
pub struct FilterReport {
    /// The conjunct as the engine has it.
    pub expression: Expr,
    /// What the table said of it.
    pub verdict: Verdict,
    /// What the source was sent for it, in the source's language.
    pub remote: Option<String>,
}

/// An operator that stays with the engine, above a scan that could have taken it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfolded {
    /// `aggregate`, `join`, `projection`.
    pub operator: &'static str,
    /// What it computes, as the engine has it.
    pub detail: String,
    /// Why the source was not given it.
    pub reason: Reason,
    /// Whether the source would have taken it, and the engine is expected to be faster.
    pub by_choice: bool,
}

/// Of how many units of a source how many are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Units {
    /// `partitions`, `files`, `offsets`, `splits`.
    pub kind: &'static str,
    /// How many there are. `None` where counting all would cost what pruning saves.
    pub total: Option<u64>,
    /// How many are read.
    pub kept: u64,
}

/// What the planner expects a scan to return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Rows.
    pub rows: Option<u64>,
    /// Bytes that the source sends.
    pub bytes: Option<u64>,
    /// How long the source works until it has sent them, where it says so.
    pub works: Option<Duration>,
}

/// How many requests of one kind a source is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestCount {
    /// `LIST`, `GET`, `HEAD`, `PUT`, `DELETE`, `COPY`.
    pub kind: &'static str,
    /// How many.
    pub count: u64,
    /// How many bytes they carry, in either direction.
    pub bytes: u64,
}

/// What a source charges.
#[derive(Clone, Debug, PartialEq)]
pub struct Charge {
    /// How much.
    pub amount: f64,
    /// Of what, such as `USD`.
    pub currency: String,
}

/// What an operator and all below it are expected to take until the engine has its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldCost {
    /// If the source computes the operator.
    pub source: Duration,
    /// If the engine does, over what it fetches.
    pub engine: Duration,
}

/// The whole report of a scan.
#[derive(Clone, Debug)]
pub struct SourceReport {
    /// The kind of source: `postgres`.
    pub connector: &'static str,
    /// The tables that the scan covers: one, or those that are joined in the source.
    pub tables: Vec<TableName>,
    /// Every conjunct that touches the scan.
    pub filters: Vec<FilterReport>,
    /// Operators that the source took over: `projection`, `filter`, `limit`, `topn`, `aggregate`, `join`.
    pub folded: Vec<&'static str>,
    /// The operator above, where the source was not given it.
    pub unfolded: Vec<Unfolded>,
    /// The native request: SQL text, or a description of the files or offsets read.
    pub request: Option<String>,
    /// The columns that are read, by name.
    pub columns: Vec<String>,
    /// How many columns the table has, hidden ones aside.
    pub columns_total: usize,
    /// The frozen position.
    pub snapshot: Option<String>,
    /// What pruning kept.
    pub units: Vec<Units>,
    /// What the planner expects.
    pub estimate: Estimate,
    /// What the choice to give the source the last operator was made by.
    pub cost: Option<FoldCost>,
    /// The requests that the scan is expected to send when it runs, where they are counted.
    pub requests: Vec<RequestCount>,
}
