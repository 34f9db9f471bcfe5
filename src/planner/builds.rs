//! What is expected of the first inputs of hash joins, whose keys the second inputs may be told.
//!
//! The physical plan has statistics too, but they know neither what sources leave out nor what a condition leaves of
//! groups. The joins of the logical plan and those of the physical one come in the same order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Join, LogicalPlan};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::estimate::estimate;
use super::fold::whole;

/// How many values each key of a hash join has in its first input.
#[derive(Clone, Debug, Default)]
pub(super) struct Builds {
    /// By the id of the filter that the join makes of its keys.
    pub(super) by_filter: HashMap<u64, Vec<u64>>,
    /// The ids of all such filters: others, of a minimum or of the first rows, are known only at the end.
    pub(super) filters: HashSet<u64>,
    /// For all hash joins, in the order in which a walk from the top meets them; `None` where it is not known.
    pub(super) in_order: Vec<Option<Vec<u64>>>,
}

/// What is expected of the hash joins of a plan; nothing of those whose sources know nothing, or where the joins of the
/// physical plan are not those of the logical one.
pub(super) fn builds(logical: &LogicalPlan, physical: &Arc<dyn ExecutionPlan>) -> Result<Builds> {
    let (mut joins, mut operators) = (Vec::new(), Vec::new());
    collect(logical, &mut joins);
    physical.apply(|node| {
        if is_join(node) {
            operators.push(Arc::clone(node));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let filters = operators.iter().filter_map(|operator| filter_id(operator.downcast_ref::<HashJoinExec>()?)).collect();
    let unknown = Builds { filters, ..Builds::default() };
    if joins.len() != operators.len() {
        return Ok(unknown);
    }
    let mut builds = unknown.clone();
    for (join, operator) in joins.iter().zip(&operators) {
        let Some(operator) = operator.downcast_ref::<HashJoinExec>() else { continue };
        if !is_of(operator, join) {
            return Ok(unknown);
        }
        let values = estimate(&join.left)
            .map(|left| join.on.iter().map(|(key, _)| whole(left.distinct(key))).collect::<Vec<u64>>());
        if let (Some(id), Some(values)) = (filter_id(operator), &values) {
            builds.by_filter.insert(id, values.clone());
        }
        builds.in_order.push(values);
    }
    Ok(builds)
}

/// The id of the filter that a join makes of its keys, if it makes one.
fn filter_id(join: &HashJoinExec) -> Option<u64> {
    join.dynamic_expressions_produced().first().and_then(|filter| filter.expression_id())
}

/// The joins of a plan, and then those of the subqueries in its expressions: so they are in the physical plan.
fn collect(plan: &LogicalPlan, joins: &mut Vec<Join>) {
    let mut subqueries = Vec::new();
    // The closures never fail, so neither do the walks.
    let _ = plan.apply(|node| {
        if let LogicalPlan::Join(join) = node {
            joins.push(join.clone());
        }
        let _ = node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarSubquery(subquery) = expr {
                    subqueries.push(Arc::clone(&subquery.subquery));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        });
        Ok(TreeNodeRecursion::Continue)
    });
    for subquery in subqueries {
        collect(&subquery, joins);
    }
}

fn is_join(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<HashJoinExec>()
        || plan.is::<NestedLoopJoinExec>()
        || plan.is::<CrossJoinExec>()
        || plan.is::<SortMergeJoinExec>()
}

/// Whether an operator runs a join: it has its keys, on the same sides.
fn is_of(operator: &HashJoinExec, join: &Join) -> bool {
    let same = |physical: &Arc<dyn PhysicalExpr>, logical: &Expr| match (physical.downcast_ref::<Column>(), logical) {
        (Some(physical), Expr::Column(logical)) => physical.name() == logical.name,
        (None, Expr::Column(_)) => false,
        // What is computed may be a column by then.
        (_, _) => true,
    };
    operator.on().len() == join.on.len()
        && operator
            .on()
            .iter()
            .zip(&join.on)
            .all(|(physical, logical)| same(&physical.0, &logical.0) && same(&physical.1, &logical.1))
}
