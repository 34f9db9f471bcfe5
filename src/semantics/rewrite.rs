//! How the analyzer rules of this module walk through a plan.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Rewrites the nodes of a plan and of its subqueries, the lower ones first. From the first node on that changes, all tell their
/// columns anew: the types of those below may be others.
pub(super) fn map_nodes(
    plan: LogicalPlan,
    mut rewrite: impl FnMut(LogicalPlan) -> Result<Transformed<LogicalPlan>>,
) -> Result<LogicalPlan> {
    let mut changed = false;
    let rewritten = plan.transform_up_with_subqueries(|plan| {
        let node = rewrite(plan)?;
        changed |= node.transformed;
        match changed {
            true => Ok(Transformed::yes(node.data.recompute_schema()?)),
            false => Ok(node),
        }
    })?;
    Ok(rewritten.data)
}

/// Rewrites every expression of one node that is more than a column. `rewrite` gets a whole expression and the columns it may
/// refer to. Output columns keep their names; their types are as they were, until the node tells its columns anew.
pub(super) fn map_expressions(
    plan: LogicalPlan,
    mut rewrite: impl FnMut(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    if !has_expression(&plan, |expr| !matches!(expr, Expr::Column(_)))? {
        return Ok(Transformed::no(plan));
    }
    let schema = input_schema(&plan)?;
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        if matches!(expr, Expr::Column(_)) {
            return Ok(Transformed::no(expr));
        }
        let name = names.save(&expr);
        Ok(rewrite(expr, &schema)?.update_data(|expr| name.restore(expr)))
    })
}

/// Whether a node has such an expression.
pub(super) fn has_expression(plan: &LogicalPlan, is_such: impl Fn(&Expr) -> bool) -> Result<bool> {
    let mut found = false;
    plan.apply_expressions(|expr| {
        found = found || is_such(expr);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Whether a plan has subqueries, in its expressions or as inputs of its joins.
pub(crate) fn has_subqueries(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Subquery(_)) || has_expression(node, holds_subquery)?))
}

/// Whether a subquery stands anywhere in an expression.
pub(super) fn holds_subquery(expr: &Expr) -> bool {
    let is_subquery = |expr: &Expr| {
        Ok(matches!(expr, Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::ScalarSubquery(_)))
    };
    expr.exists(is_subquery).unwrap_or(true)
}

/// The columns that expressions of the node may refer to.
fn input_schema(plan: &LogicalPlan) -> Result<DFSchema> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = plan {
        schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
    }
    Ok(schema)
}
