//! Join order: the inner and semi joins of a plan, in the order that is expected to take the least time and to fetch the
//! least.
//!
//! A tree of joins is taken apart into relations and conditions ([`graph`]) and put together anew ([`search`]). Where the
//! sources do not tell how many rows a relation has, the order stays as the statement has it.

mod graph;
mod search;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Projection};
use datafusion::optimizer::Optimizer;
use datafusion::optimizer::optimize_projections::OptimizeProjections;

use self::graph::{Condition, Graph, Member, Role};
use self::search::search;
use super::estimate::estimate;
use super::fold::{Folding, place};

/// The most relations of which an order is searched. Greedily a hundred are ordered in milliseconds.
const RELATIONS_MAX: usize = 64;

/// The plan with its joins in the order that is expected to be the best one.
pub(super) fn reorder(plan: LogicalPlan, folding: Folding, state: &SessionState) -> Result<LogicalPlan> {
    let reordered = below(plan, folding)?;
    if !reordered.transformed {
        return Ok(reordered.data);
    }
    // Columns are dropped as early as they can be in the new order.
    Optimizer::with_rules(vec![Arc::new(OptimizeProjections::new())]).optimize(reordered.data, state, |_, _| {})
}

fn below(plan: LogicalPlan, folding: Folding) -> Result<Transformed<LogicalPlan>> {
    if !is_part(&plan) {
        return plan
            .map_children(|child| below(child, folding))?
            .transform_data(|plan| plan.map_subqueries(|subquery| below(subquery, folding)));
    }
    let mut parts = Parts::default();
    parts.take(plan.clone(), folding)?;
    match parts.ordered(&plan, folding)? {
        Some(ordered) => Ok(Transformed::yes(ordered)),
        None => plan.map_children(|child| leaves(child, folding)),
    }
}

/// The leaves of a tree of joins that stays as it is.
fn leaves(plan: LogicalPlan, folding: Folding) -> Result<Transformed<LogicalPlan>> {
    match is_part(&plan) || columns_only(&plan).is_some() {
        true => plan.map_children(|child| leaves(child, folding)),
        false => below(plan, folding),
    }
}

/// Whether a plan is a join that may change places with others.
fn is_part(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => {
            matches!(join.join_type, JoinType::Inner | JoinType::LeftSemi | JoinType::LeftAnti)
                && join.null_equality == NullEquality::NullEqualsNothing
                && !join.null_aware
                && join.on.iter().flat_map(|(one, other)| [one, other]).chain(&join.filter).all(may_move)
        }
        _ => false,
    }
}

/// The input of a projection that only leaves out columns, if there is a join under it.
fn columns_only(plan: &LogicalPlan) -> Option<&Arc<LogicalPlan>> {
    match plan {
        LogicalPlan::Projection(Projection { expr, input, .. })
            if expr.iter().all(|expr| matches!(expr, Expr::Column(_)))
                && (is_part(input) || columns_only(input).is_some()) =>
        {
            Some(input)
        }
        _ => None,
    }
}

/// Whether an expression has one value for a row, wherever it is computed.
fn may_move(expr: &Expr) -> bool {
    // The closure never fails.
    let has_subquery =
        expr.exists(|part| Ok(matches!(part, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_))));
    !expr.is_volatile() && !has_subquery.unwrap_or(true)
}

/// What a tree of joins is made of.
#[derive(Default)]
struct Parts {
    members: Vec<(LogicalPlan, Option<Semi>)>,
    conditions: Vec<Condition>,
}

/// How a relation is joined of which only matters whether there is a partner.
struct Semi {
    anti: bool,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
}

impl Parts {
    /// Takes a tree apart.
    fn take(&mut self, plan: LogicalPlan, folding: Folding) -> Result<()> {
        if let Some(input) = columns_only(&plan) {
            return self.take(LogicalPlan::clone(input), folding);
        }
        let LogicalPlan::Join(join) = plan else {
            self.members.push((below(plan, folding)?.data, None));
            return Ok(());
        };
        if !is_part(&LogicalPlan::Join(join.clone())) {
            self.members.push((below(LogicalPlan::Join(join), folding)?.data, None));
            return Ok(());
        }
        let Join { left, right, on, filter, join_type, .. } = join;
        self.take(Arc::unwrap_or_clone(left), folding)?;
        match join_type {
            JoinType::Inner => {
                self.take(Arc::unwrap_or_clone(right), folding)?;
                self.conditions.extend(on.into_iter().map(|(left, right)| Condition::Equal(left, right)));
                let others = filter.into_iter().flat_map(split_conjunction_owned);
                self.conditions.extend(others.map(Condition::Other));
            }
            other => {
                let right = below(Arc::unwrap_or_clone(right), folding)?.data;
                self.members.push((right, Some(Semi { anti: other == JoinType::LeftAnti, on, filter })));
            }
        }
        Ok(())
    }

    /// The tree in the best order, with the columns of `plan`; `None` where nothing is known of a relation, or nothing is
    /// to be ordered.
    fn ordered(self, plan: &LogicalPlan, folding: Folding) -> Result<Option<LogicalPlan>> {
        if self.members.len() < 3 || self.members.len() > RELATIONS_MAX {
            return Ok(None);
        }
        let mut members = Vec::with_capacity(self.members.len());
        for (plan, semi) in self.members {
            let Some(rows) = estimate(&plan) else { return Ok(None) };
            let place = place(&plan, folding)?;
            members.push((Member { plan, rows: Arc::new(rows), place, role: Role::Joined }, semi));
        }
        let Some(graph) = graph_of(members, self.conditions) else { return Ok(None) };
        let Some(tree) = search(&graph, folding) else { return Ok(None) };
        // Names that are clear in one order may not be in another.
        let Ok(joined) = graph.plan(&tree) else { return Ok(None) };
        let columns = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let schema = Arc::clone(plan.schema());
        let projection = Projection::try_new_with_schema(columns, Arc::new(joined), schema);
        Ok(projection.ok().map(LogicalPlan::Projection))
    }
}

/// The graph of relations and conditions; `None` where a condition names a column that is in none of them.
fn graph_of(members: Vec<(Member, Option<Semi>)>, conditions: Vec<Condition>) -> Option<Graph> {
    let (members, semis): (Vec<_>, Vec<_>) = members.into_iter().unzip();
    let joined: Vec<bool> = semis.iter().map(Option::is_none).collect();
    let mut graph = Graph::new(members, &joined);
    for (at, semi) in semis.into_iter().enumerate() {
        let Some(Semi { anti, on, filter }) = semi else { continue };
        let mut of = on.iter().map(|(left, _)| left).collect::<Vec<_>>();
        of.extend(&filter);
        let keys = on.iter().flat_map(|(one, other)| [one, other]);
        if !keys.chain(&filter).all(|expr| graph.cannot_fail(expr)) {
            return None;
        }
        let requires = graph.mentioned(&of, Some(at))?;
        let role = Role::Semi { anti, requires, on, filter };
        graph.members.get_mut(at)?.role = role;
    }
    for condition in conditions {
        graph.add(condition)?;
    }
    Some(graph)
}
