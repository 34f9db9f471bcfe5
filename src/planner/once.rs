//! Parts of a query that occur several times, such as a WITH query that is used twice, and are computed once.
//!
//! DataFusion puts the text of a WITH query in each place where its name is. What its places have in common after
//! optimization is found here again: groups of the same rows, by the same keys.

mod exec;
mod node;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, displayable};

use super::estimate::estimate;
pub(crate) use exec::OnceExec;
pub(super) use node::{Once, OncePlanner};

/// Results expected to be larger are computed each time: they are kept in memory until the query ends. In bytes.
const KEPT_MAX_BYTES: f64 = 64.0 * 1024.0 * 1024.0;

/// The plan in which groups that occur several times are computed once.
pub(super) fn once(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut repeated = repeated(&plan)?;
    repeated.retain(|part, times| *times > 1 && is_same_each_time(part) && is_small(part));
    if repeated.is_empty() {
        return Ok(plan);
    }
    let ids: HashMap<LogicalPlan, usize> = repeated.into_keys().enumerate().map(|(id, part)| (part, id)).collect();
    let shared = plan.transform_down_with_subqueries(|node| {
        let Some(id) = ids.get(&node) else { return Ok(Transformed::no(node)) };
        Ok(Transformed::new(Once::plan(*id, node), true, TreeNodeRecursion::Jump))
    })?;
    Ok(shared.data)
}

/// The plan in which only parts share their rows that are still the same after the optimizer has seen them.
pub(super) fn only_equal(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let mut texts: HashMap<usize, Vec<(String, usize)>> = HashMap::new();
    plan.apply(|node| {
        if let Some(once) = node.downcast_ref::<OnceExec>() {
            let text = displayable(once.input().as_ref()).indent(true).to_string();
            let partitions = once.input().output_partitioning().partition_count();
            texts.entry(once.part()).or_default().push((text, partitions));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if texts.is_empty() {
        return Ok(plan);
    }
    let settled = plan.transform_up(|node| {
        let Some(once) = node.downcast_ref::<OnceExec>() else { return Ok(Transformed::no(node)) };
        match texts.get(&once.part()).map(Vec::as_slice) {
            Some([first, others @ ..]) if !others.is_empty() && others.iter().all(|text| text == first) => {
                Ok(Transformed::no(node))
            }
            _ => Ok(Transformed::yes(Arc::clone(once.input()))),
        }
    })?;
    Ok(settled.data)
}

/// The parts of a plan that may be shared, each with how often it occurs.
fn repeated(plan: &LogicalPlan) -> Result<HashMap<LogicalPlan, usize>> {
    let (mut found, mut subqueries) = (HashMap::new(), HashSet::new());
    // The parts of a recursive query have other rows each time.
    let runs_again = count(plan, &mut found, &mut subqueries)?;
    Ok(if runs_again { HashMap::new() } else { found })
}

/// Counts the groups of a plan and of the subqueries in its expressions. A subquery that occurs again is not computed again:
/// the physical planner knows it. Returns whether there is a recursive query.
fn count(
    plan: &LogicalPlan,
    found: &mut HashMap<LogicalPlan, usize>,
    subqueries: &mut HashSet<LogicalPlan>,
) -> Result<bool> {
    let (mut runs_again, mut below) = (false, Vec::new());
    plan.apply(|node| {
        runs_again |= matches!(node, LogicalPlan::RecursiveQuery(_));
        if matches!(node, LogicalPlan::Aggregate(_)) {
            *found.entry(node.clone()).or_default() += 1;
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarSubquery(subquery) = expr
                    && subqueries.insert(subquery.subquery.as_ref().clone())
                {
                    below.push(Arc::clone(&subquery.subquery));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    for subquery in below {
        runs_again |= count(&subquery, found, subqueries)?;
    }
    Ok(runs_again)
}

/// Whether a part has the same rows wherever it is: it calls no `random()`, and depends on no row around it.
fn is_same_each_time(plan: &LogicalPlan) -> bool {
    let varies = |expr: &Expr| expr.is_volatile_node() || matches!(expr, Expr::OuterReferenceColumn(..));
    let found = plan.exists(|node| {
        let mut found = false;
        node.apply_expressions(|expr| {
            found |= expr.exists(|part| Ok(varies(part)))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    });
    matches!(found, Ok(false))
}

/// Whether the rows of a part are known to be few enough to keep. Of a computed key nobody knows how many values it has.
/// Tables of which nothing is known have no estimate: so functions are never shared, which look alike whatever their
/// arguments are.
fn is_small(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Aggregate(aggregate) = plan else { return false };
    let Some(input) = estimate(&aggregate.input) else { return false };
    let known = |key: &Expr| match key {
        Expr::Column(column) => input.values(column).is_some_and(|values| values.distinct.is_some()),
        _ => false,
    };
    aggregate.group_expr.iter().all(known)
        && estimate(plan).is_some_and(|result| result.rows * result.width() <= KEPT_MAX_BYTES)
}
