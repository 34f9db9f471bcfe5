//! Notes on each scan which conjuncts its source refused.
//!
//! DataFusion hands a scan only the filters that were accepted; the others stay in a filter above it. This pass reads
//! the optimized plan, the one that is turned into the physical plan that runs, and tells each scan what stands
//! above it, so that the leaf can show every conjunct that touches it with the reason why the engine keeps it.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan, TableScanBuilder};
use portolan_connector::{Reason, Verdict};

use super::FederatedTable;

/// The plan with every refusal noted on the scan that refused.
pub(super) fn note_refusals(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::Filter(mut filter) => {
            let conjuncts: Vec<Expr> = split_conjunction(&filter.predicate).into_iter().cloned().collect();
            match note(filter.input.as_ref(), conjuncts)? {
                Some(input) => {
                    filter.input = Arc::new(input);
                    Ok(Transformed::yes(LogicalPlan::Filter(filter)))
                }
                None => Ok(Transformed::no(LogicalPlan::Filter(filter))),
            }
        }
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
}

/// Follows a filter's input down to a scan, through nodes that only rename or compute, and notes the refusals there.
fn note(plan: &LogicalPlan, conjuncts: Vec<Expr>) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::TableScan(scan) => note_on_scan(scan, conjuncts),
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(input) = note(alias.input.as_ref(), conjuncts)? else { return Ok(None) };
            let mut alias = alias.clone();
            alias.input = Arc::new(input);
            Ok(Some(LogicalPlan::SubqueryAlias(alias)))
        }
        LogicalPlan::Projection(projection) => {
            let by_name: HashMap<String, Expr> =
                projection.expr.iter().map(|expr| (expr.schema_name().to_string(), expr.clone().unalias())).collect();
            let conjuncts = conjuncts.into_iter().map(|conjunct| inline(conjunct, &by_name)).collect::<Result<_>>()?;
            let Some(input) = note(projection.input.as_ref(), conjuncts)? else { return Ok(None) };
            let mut projection = projection.clone();
            projection.input = Arc::new(input);
            Ok(Some(LogicalPlan::Projection(projection)))
        }
        _ => Ok(None),
    }
}

/// A conjunct with the columns of a projection replaced by what they stand for.
fn inline(conjunct: Expr, by_name: &HashMap<String, Expr>) -> Result<Expr> {
    conjunct
        .transform(|part| match &part {
            Expr::Column(column) => {
                let found = by_name.get(&column.flat_name()).or_else(|| by_name.get(&column.name));
                Ok(found.map_or_else(|| Transformed::no(part.clone()), |expr| Transformed::yes(expr.clone())))
            }
            _ => Ok(Transformed::no(part)),
        })
        .map(|transformed| transformed.data)
}

fn note_on_scan(scan: &TableScan, conjuncts: Vec<Expr>) -> Result<Option<LogicalPlan>> {
    let provider = source_as_provider(&scan.source)?;
    let Some(table) = provider.downcast_ref::<FederatedTable>() else { return Ok(None) };
    let refused: Vec<(Expr, Reason)> = conjuncts
        .into_iter()
        .filter_map(|conjunct| match table.judge(&conjunct) {
            Verdict::Refused(reason) => Some((conjunct, reason)),
            Verdict::Exact | Verdict::Pruning => None,
        })
        .collect();
    if refused.is_empty() {
        return Ok(None);
    }
    let mut scan = scan.clone();
    scan.source = provider_as_source(Arc::new(table.with_refused(refused)));
    Ok(Some(LogicalPlan::TableScan(TableScanBuilder::from(scan).build()?)))
}
