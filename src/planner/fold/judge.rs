//! What was folded by cost against all that could be, as the sources' own planners see both.
//!
//! The engine's costs know nothing of a source's indexes and processors. Where they speak for fetching, the source is asked what it
//! expects of its part in either plan, which takes it no longer than planning them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, TableScan};
use portolan_connector::{Costs, Expense, FoldCost, PlanContext, Relation};

use super::cost::{ENGINE, narrowed, operator, transfer};
use super::{FederatedTable, FoldedScan, Folding, fold};
use crate::planner::estimate::{Estimated, estimate};
use crate::query::QueryScope;

/// Folding everything must promise this much where the engine's own costs speak against it: sources' planners err as well, mostly
/// by less than two.
const FOLDING_MUST_SAVE: f64 = 0.5;

/// The plan with everything folded that sources take and that they are to be given.
pub(in crate::planner) async fn fold_judged(
    plan: LogicalPlan,
    folding: Folding,
    state: &SessionState,
) -> Result<LogicalPlan> {
    if folding != Folding::Cost {
        return fold(plan, folding);
    }
    let chosen = fold(plan.clone(), folding)?;
    if !keeps_back(&chosen)? {
        return Ok(chosen);
    }
    let mut whole = fold(plan, Folding::Always)?;
    let (Some(fetched), Some(folded)) = (micros(&chosen, state).await?, micros(&whole, state).await?) else {
        return Ok(chosen);
    };
    tracing::debug!(fetched, folded, "microseconds expected with and without fetching by choice");
    if folded >= fetched * FOLDING_MUST_SAVE {
        return Ok(chosen);
    }
    if let LogicalPlan::Extension(extension) = &mut whole
        && let Some(scan) = extension.node.as_any().downcast_ref::<FoldedScan>()
    {
        let [source, engine] = [folded, fetched].map(|micros| Duration::from_micros(super::physical::whole(micros)));
        extension.node = Arc::new(scan.costing(FoldCost { source, engine }));
    }
    Ok(whole)
}

/// Whether a source would have taken more.
fn keeps_back(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|part| {
        found = match part {
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source)?;
                let table = provider.downcast_ref::<FederatedTable>();
                table.and_then(FederatedTable::unfolded).is_some_and(|unfolded| unfolded.by_choice)
            }
            part => folded_scan(part).is_some_and(|scan| scan.unfolded.iter().any(|unfolded| unfolded.by_choice)),
        };
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn folded_scan(part: &LogicalPlan) -> Option<&FoldedScan> {
    match part {
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
        _ => None,
    }
}

/// What a source does for a plan.
struct Leaf {
    expense: Expense,
    costs: Costs,
}

impl Leaf {
    /// Microseconds until so many of its rows are at the engine.
    fn micros(&self, rows: &Estimated, share: f64) -> f64 {
        // The engine decodes as many streams at once as it has processors.
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let streams = self.expense.connections.clamp(1, processors);
        (self.expense.micros + transfer(&self.costs, rows) * share) / streams as f64
    }
}

/// Microseconds until the engine has the rows of a plan; `None` where nobody can tell.
async fn micros(plan: &LogicalPlan, state: &SessionState) -> Result<Option<f64>> {
    let mut parts = Vec::new();
    plan.apply(|part| {
        if matches!(part, LogicalPlan::TableScan(_)) || folded_scan(part).is_some() {
            parts.push(part.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut leaves = Vec::with_capacity(parts.len());
    for part in &parts {
        match leaf(part, state).await? {
            Some(leaf) => leaves.push(leaf),
            None => return Ok(None),
        }
    }
    Ok(total(plan, &mut leaves.into_iter()).map(|part| part.micros))
}

async fn leaf(part: &LogicalPlan, state: &SessionState) -> Result<Option<Leaf>> {
    let relation = match (part, folded_scan(part)) {
        (_, Some(scan)) => scan.tables.first().map(|table| (table.catalog.clone(), Arc::clone(&scan.relation))),
        (LogicalPlan::TableScan(scan), None) => scanned(scan)?,
        _ => None,
    };
    let Some((catalog, relation)) = relation else {
        // It computes nothing: both plans read the same.
        return Ok(Some(Leaf { expense: Expense { micros: 0.0, connections: 1 }, costs: Costs::default() }));
    };
    let scope = QueryScope::of(state.config())?;
    let connector = scope.connector(&catalog)?;
    let snapshot = scope.snapshot(&catalog, connector.as_ref()).await?;
    let context = PlanContext { session: state, snapshot };
    let expense = relation.expense(&context).await?;
    Ok(expense.map(|expense| Leaf { expense, costs: relation.costs() }))
}

/// The catalog of a scan, and the scan as a relation; `None` where its source does nothing but scan.
fn scanned(scan: &TableScan) -> Result<Option<(String, Arc<dyn Relation>)>> {
    let provider = source_as_provider(&scan.source)?;
    let Some(table) = provider.downcast_ref::<FederatedTable>() else { return Ok(None) };
    let relation = table.relation(scan.projection.as_deref(), &scan.filters, scan.fetch)?;
    Ok(relation.map(|(_, relation)| (table.table().name().catalog.clone(), relation)))
}

/// What is expected of a part of a plan.
struct Part {
    rows: Estimated,
    /// Microseconds until the engine has its rows.
    micros: f64,
    /// The source that computes the part, if one does.
    leaf: Option<Leaf>,
}

/// The parts of a plan put together. What a join finds on one side narrows what a source sends for the other.
fn total(plan: &LogicalPlan, leaves: &mut dyn Iterator<Item = Leaf>) -> Option<Part> {
    let rows = estimate(plan)?;
    if matches!(plan, LogicalPlan::TableScan(_)) || folded_scan(plan).is_some() {
        let leaf = leaves.next()?;
        return Some(Part { micros: leaf.micros(&rows, 1.0), rows, leaf: Some(leaf) });
    }
    let inputs = plan.inputs().into_iter().map(|input| total(input, leaves)).collect::<Option<Vec<_>>>()?;
    let fetched: f64 = match (plan, inputs.as_slice()) {
        (LogicalPlan::Join(join), [left, right]) if !join.on.is_empty() => {
            narrowed_micros(left, right, &rows) + narrowed_micros(right, left, &rows)
        }
        (_, inputs) => inputs.iter().map(|input| input.micros).sum(),
    };
    let estimates: Vec<&Estimated> = inputs.iter().map(|input| &input.rows).collect();
    let micros = fetched + operator(&ENGINE, plan, &estimates, &rows);
    // Another name changes nothing.
    let leaf = match plan {
        LogicalPlan::SubqueryAlias(_) => inputs.into_iter().next()?.leaf,
        _ => None,
    };
    Some(Part { rows, micros, leaf })
}

/// Microseconds until the engine has the rows of one side of a join that the other side's keys leave.
fn narrowed_micros(side: &Part, other: &Part, result: &Estimated) -> f64 {
    match &side.leaf {
        Some(leaf) => leaf.micros(&side.rows, narrowed(&side.rows, &other.rows, result)),
        None => side.micros,
    }
}
