//! Queries of rows without end: what they may compute, and that nobody holds their rows back.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::table::FederatedTable;
use crate::error::{Error, Result};

/// What can be done where a query needs all rows.
const HINT: &str = "rows that are followed can be filtered, computed with and counted off by LIMIT; leave FOLLOW out to ask for \
                    what is there now";

/// Whether a query reads rows without end. An error where it waits for the last of them.
pub(super) fn check(plan: &LogicalPlan) -> Result<bool> {
    if let LogicalPlan::TableScan(scan) = plan {
        return Ok(source_as_provider(&scan.source).is_ok_and(|provider| {
            provider.downcast_ref::<FederatedTable>().is_some_and(|table| table.table().is_endless())
        }));
    }
    let subqueries = subqueries(plan)?;
    for subquery in &subqueries {
        if check(subquery)? {
            return Err(refusal("a subquery"));
        }
    }
    let mut is_endless = false;
    for input in plan.inputs() {
        is_endless |= check(input)?;
    }
    if !is_endless {
        return Ok(false);
    }
    if !subqueries.is_empty() {
        return Err(Error::unsupported("subqueries beside rows that are followed are not supported").hint(HINT));
    }
    match plan {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::Explain(_) => Ok(true),
        LogicalPlan::Join(_) => Err(Error::unsupported(
            "rows that are followed cannot be joined: a join gathers rows before it hands them on",
        )
        .hint(HINT)),
        LogicalPlan::Aggregate(_) => Err(refusal("an aggregate")),
        LogicalPlan::Distinct(_) => Err(refusal("DISTINCT")),
        LogicalPlan::Sort(_) => Err(refusal("ORDER BY")),
        LogicalPlan::Window(_) => Err(refusal("a window function")),
        LogicalPlan::RecursiveQuery(_) => Err(refusal("a recursive query")),
        other => Err(refusal(&other.display().to_string())),
    }
}

fn refusal(operator: &str) -> Error {
    Error::unsupported(format!("{operator} needs all rows, and rows that are followed have no end")).hint(HINT)
}

/// The subqueries in the expressions of an operator.
fn subqueries(plan: &LogicalPlan) -> DataFusionResult<Vec<Arc<LogicalPlan>>> {
    let mut found = Vec::new();
    plan.apply_expressions(|expr| {
        expr.apply(|part| {
            match part {
                Expr::ScalarSubquery(subquery) => found.push(Arc::clone(&subquery.subquery)),
                Expr::Exists(exists) => found.push(Arc::clone(&exists.subquery.subquery)),
                Expr::InSubquery(member) => found.push(Arc::clone(&member.subquery.subquery)),
                Expr::SetComparison(comparison) => found.push(Arc::clone(&comparison.subquery.subquery)),
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// Whether a plan's rows have no end.
pub(crate) fn never_ends(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.children().as_slice() {
        [] => plan.boundedness().is_unbounded(),
        _ if plan.fetch().is_some() => false,
        inputs => inputs.iter().any(|input| never_ends(input)),
    }
}

/// The plan whose filters hand on each row of a query without end as it comes, instead of gathering a batch of them.
pub(super) fn at_once(plan: Arc<dyn ExecutionPlan>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let rewritten = plan.transform_up(|node| {
        let Some(filter) = node.downcast_ref::<FilterExec>().filter(|filter| is_endless(filter.input())) else {
            return Ok(Transformed::no(node));
        };
        // Whatever is larger than a batch is handed on as it is.
        let filter = FilterExecBuilder::from(filter).with_batch_size(1).build()?;
        Ok(Transformed::yes(Arc::new(filter) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(rewritten.data)
}

/// Whether a leaf has no end, with or without a limit above it.
fn is_endless(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.children().as_slice() {
        [] => plan.boundedness().is_unbounded(),
        inputs => inputs.iter().any(|input| is_endless(input)),
    }
}
