//! What a query may take from its sources: what is expected to be too much is refused before it starts, and each scan
//! knows what it may get.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::ExecutionPlan;
use portolan_connector::{ScanLimit, SourceExec};

use crate::catalog::SourceLimits;
use crate::error::{Error, Result};

/// The plan whose scans end when they get more than they may; an error where more is expected. `limits` has what holds for
/// a catalog.
pub(crate) fn guard(
    plan: Arc<dyn ExecutionPlan>,
    limits: impl Fn(&str) -> SourceLimits,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut scans: Vec<(SourceLimits, u64)> = Vec::new();
    let mut refused = None;
    plan.apply(|node| {
        if let Some(leaf) = node.downcast_ref::<SourceExec>() {
            let limits = limits(leaf.catalog());
            refused = refused.take().or_else(|| refusal(leaf, &limits));
            scans.push((limits, leaf.report().estimate.bytes.unwrap_or_default()));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if let Some(refused) = refused.or_else(|| too_much_together(&scans)) {
        return Err(refused);
    }
    if scans.iter().all(|(limits, _)| limits.scan == Default::default()) {
        return Ok(plan);
    }
    let guarded = plan.transform_up(|node| match node.downcast_ref::<SourceExec>() {
        Some(leaf) => {
            let leaf = leaf.limited(limits(leaf.catalog()).scan);
            Ok(Transformed::yes(Arc::new(leaf) as Arc<dyn ExecutionPlan>))
        }
        None => Ok(Transformed::no(node)),
    })?;
    Ok(guarded.data)
}

/// Why a scan does not start. What the keys of a join will narrow is not judged by what is expected without them.
fn refusal(leaf: &SourceExec, limits: &SourceLimits) -> Option<Error> {
    if leaf.awaits_keys() {
        return None;
    }
    let estimate = leaf.report().estimate;
    let tables: Vec<String> = leaf.report().tables.iter().map(ToString::to_string).collect();
    let over = |limit: &Option<ScanLimit>, expected: Option<u64>, unit: &str| {
        let (limit, expected) = (limit.as_ref()?, expected?);
        (expected > limit.max).then(|| {
            Error::resource_exhausted(format!(
                "{} would send about {expected} {unit}: {} allows {}",
                tables.join(", "),
                limit.set_by,
                limit.max
            ))
            .hint("ask for less: EXPLAIN shows what each source is asked for, and what keeps it from computing more itself")
        })
    };
    over(&limits.scan.rows, estimate.rows, "rows").or_else(|| over(&limits.scan.bytes, estimate.bytes, "bytes"))
}

fn too_much_together(scans: &[(SourceLimits, u64)]) -> Option<Error> {
    let expected: u64 = scans.iter().map(|(_, bytes)| *bytes).fold(0, u64::saturating_add);
    let tightest = scans.iter().filter_map(|(limits, _)| limits.scan_bytes.as_ref()).min_by_key(|limit| limit.max)?;
    (expected > tightest.max).then(|| {
        Error::resource_exhausted(format!(
            "the query would read about {expected} bytes: {} allows {}",
            tightest.set_by, tightest.max
        ))
        .hint("ask for less: EXPLAIN shows what is read of each table")
    })
}
