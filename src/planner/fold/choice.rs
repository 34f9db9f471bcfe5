//! Who computes an operator that a source would take: the source, or the engine over what it fetches.

use std::time::Duration;

use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};
use portolan_connector::{Costs, FoldCost, Unfolded};

use super::cost::{ENGINE, FETCHING_MUST_SAVE, narrowed, operator, transfer};
use super::{Folding, Source, refusal};
use crate::planner::estimate::{Estimated, estimate};

/// Below this, in microseconds, nothing is gained by fetching: estimates are not as good as that.
const FETCHING_MUST_SAVE_MICROS: f64 = 50_000.0;

/// What is expected of a part of the plan that a source computes.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) rows: Estimated,
    folding: Folding,
    costs: Costs,
    /// Microseconds that the source takes for what is folded.
    at_source: f64,
    /// The last operator, if its source computes it and if the engine does: microseconds until the engine has its rows.
    compared: Option<(f64, f64)>,
    /// The same rows computed by the engine, where this is expected to be faster.
    pub(super) fetched: Option<Fetched>,
}

/// A part of the plan in which the engine computes the last operator.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) plan: LogicalPlan,
    /// Microseconds until the engine has its rows.
    micros: f64,
}

impl Expected {
    /// What is expected of a scan; `None` where its source knows nothing of the table.
    pub(super) fn of_scan(scan: &LogicalPlan, costs: Costs, folding: Folding) -> Option<Self> {
        let rows = estimate(scan)?;
        Some(Self { rows, folding, costs, at_source: 0.0, compared: None, fetched: None })
    }

    /// The same under another name, which `over` gives to a plan.
    pub(super) fn renamed(
        mut self,
        schema: &DFSchema,
        over: impl Fn(LogicalPlan) -> Result<LogicalPlan>,
    ) -> Result<Self> {
        self.rows = self.rows.named(schema);
        if let Some(fetched) = &mut self.fetched {
            fetched.plan = over(fetched.plan.clone())?;
        }
        Ok(self)
    }

    /// Microseconds until the engine has the rows, by the faster way.
    fn micros(&self) -> f64 {
        self.narrowed_micros(1.0)
    }

    /// The same where its source sends only a share of the rows.
    fn narrowed_micros(&self, share: f64) -> f64 {
        match &self.fetched {
            Some(fetched) => fetched.micros,
            None => self.at_source + transfer(&self.costs, &self.rows) * share,
        }
    }

    /// Whether the engine computes the last operator, and microseconds until it has done so or the source has.
    pub(super) fn here(&self) -> (bool, f64) {
        match &self.fetched {
            Some(fetched) => (true, fetched.micros),
            None => (false, self.at_source),
        }
    }

    /// What EXPLAIN tells of the choice.
    pub(super) fn cost(&self) -> Option<FoldCost> {
        let (source, engine) = self.compared?;
        Some(FoldCost { source: duration(source), engine: duration(engine) })
    }
}

/// An operator that is to be weighed.
pub(super) struct Weighed<'a> {
    pub(super) name: &'static str,
    /// What it computes, for EXPLAIN.
    pub(super) of: Vec<&'a Expr>,
    pub(super) inputs: &'a [&'a Source],
}

/// What is expected of an operator over parts of one source. `over` makes the operator over given inputs.
pub(super) fn weigh(
    weighed: &Weighed<'_>,
    over: impl Fn(Vec<LogicalPlan>) -> Result<LogicalPlan>,
) -> Result<Option<Expected>> {
    let Some(inputs) = weighed.inputs.iter().map(|source| source.expected.as_ref()).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let Some((costs, folding)) = inputs.first().map(|first| (first.costs, first.folding)) else { return Ok(None) };
    let plan = over(weighed.inputs.iter().map(|source| source.plan(None)).collect())?;
    let Some(rows) = estimate(&plan) else { return Ok(None) };
    let estimates: Vec<&Estimated> = inputs.iter().map(|input| &input.rows).collect();
    let at_source =
        inputs.iter().map(|input| input.at_source).sum::<f64>() + operator(&costs, &plan, &estimates, &rows);
    let sent = at_source + transfer(&costs, &rows);
    let here = fetching(&inputs, &plan, &rows) + operator(&ENGINE, &plan, &estimates, &rows);
    let by_cost = folding == Folding::Cost;
    let faster = match &plan {
        _ if !by_cost => false,
        // As many rows are sent either way.
        LogicalPlan::Projection(_) => here < sent,
        _ => here + FETCHING_MUST_SAVE_MICROS < sent && here < FETCHING_MUST_SAVE * sent,
    };
    let fetched = match faster {
        true => {
            let unfolded = || reason(weighed, here, sent);
            let plan = over(weighed.inputs.iter().map(|source| source.input(Some(unfolded()))).collect())?;
            Some(Fetched { plan, micros: here })
        }
        false => None,
    };
    Ok(Some(Expected { rows, folding, costs, at_source, compared: by_cost.then_some((sent, here)), fetched }))
}

/// Microseconds until the engine has the inputs of an operator. What a join finds on one side narrows the other.
fn fetching(inputs: &[&Expected], plan: &LogicalPlan, result: &Estimated) -> f64 {
    match (plan, inputs) {
        (LogicalPlan::Join(join), [left, right]) if !join.on.is_empty() => {
            left.narrowed_micros(narrowed(&left.rows, &right.rows, result))
                + right.narrowed_micros(narrowed(&right.rows, &left.rows, result))
        }
        _ => inputs.iter().map(|input| input.micros()).sum(),
    }
}

fn reason(weighed: &Weighed<'_>, here: f64, sent: f64) -> Unfolded {
    let reason =
        format!("expected to be faster here: {}, at the source {}", seconds(duration(here)), seconds(duration(sent)));
    Unfolded { by_choice: true, ..refusal(weighed.name, weighed.of.iter().copied(), reason.into()) }
}

/// A duration as the chart has it.
fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn duration(micros: f64) -> Duration {
    Duration::try_from_secs_f64(micros / 1e6).unwrap_or(Duration::MAX)
}
