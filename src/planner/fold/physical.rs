//! From the leaf of the logical plan to the one that runs.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use portolan_connector::{ConnectorError, PlanContext, SourceExec, SourceReport};

use super::node::FoldedScan;
use crate::planner::once::OncePlanner;
use crate::query::QueryScope;

/// DataFusion's physical planner for one query, which knows what sources compute and what is computed once.
pub(in crate::planner) fn physical_planner() -> DefaultPhysicalPlanner {
    DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(FoldedScanPlanner), Arc::new(OncePlanner::default())])
}

struct FoldedScanPlanner;

#[async_trait]
impl ExtensionPlanner for FoldedScanPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        _physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _context: &datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        match node.as_any().downcast_ref::<FoldedScan>() {
            Some(scan) => leaf(scan, session).await.map(Some),
            None => Ok(None),
        }
    }
}

/// An estimate as a number of things.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, not negative")]
pub(in crate::planner) fn whole(estimate: f64) -> u64 {
    estimate.round() as u64
}

async fn leaf(scan: &FoldedScan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
    let table = scan.tables.first().ok_or_else(|| ConnectorError::internal("a scan of no table"))?;
    let scope = QueryScope::of(session.config())?;
    let connector = scope.connector(&table.catalog)?;
    let snapshot = scope.snapshot(&table.catalog, connector.as_ref()).await?;
    let context = PlanContext { session, snapshot: Arc::clone(&snapshot) };
    let plan = scan.relation.plan(&scan.schema, &context).await?;
    let inexact = |value: Option<u64>| {
        value.and_then(|value| usize::try_from(value).ok()).map_or(Precision::Absent, Precision::Inexact)
    };
    let expected = scan.rows.as_ref();
    let rows = plan.estimate.rows.or_else(|| expected.map(|expected| whole(expected.rows)));
    let mut statistics = Statistics {
        num_rows: inexact(rows),
        total_byte_size: inexact(plan.estimate.bytes),
        ..Statistics::new_unknown(&plan.schema)
    };
    let values = expected.into_iter().flat_map(|expected| &expected.columns);
    for (column, values) in statistics.column_statistics.iter_mut().zip(values) {
        column.distinct_count = inexact(values.distinct.map(whole));
    }
    let report = SourceReport {
        requests: plan.requests.clone(),
        connector: connector.kind(),
        tables: scan.tables.clone(),
        filters: scan.filters.clone(),
        folded: scan.folded.clone(),
        unfolded: scan.unfolded.clone(),
        request: plan.request.clone(),
        columns: plan.schema.fields().iter().map(|field| field.name().clone()).collect(),
        columns_total: scan.columns_total,
        snapshot: snapshot.describe(),
        units: plan.units.clone(),
        estimate: plan.estimate,
        cost: scan.cost,
    };
    let partitions = session.config().target_partitions();
    Ok(Arc::new(SourceExec::new(table.catalog.clone(), plan, report, statistics, partitions, true)))
}
