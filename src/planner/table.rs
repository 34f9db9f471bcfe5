//! A source's table as DataFusion sees it: where pushdown is negotiated.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ColumnStatistics, DFSchema, Statistics};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown, TableScan, TableType};
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use portolan_connector::{
    ConnectorError, ConnectorTable, FilterReport, Fold, Operation, PlanContext, PushedFilter, Reason, Relation,
    ScanRequest, SourceExec, SourcePlan, SourceReport, TableKind, TableStatistics, Unfolded, Verdict,
};

use crate::query::QueryScope;
use crate::semantics::as_written;

/// Why nothing is pushed when the session says so.
const SWITCHED_OFF: &str = "pushdown is switched off for this session";

/// One source table in one query.
#[derive(Clone, Debug)]
pub struct FederatedTable {
    table: Arc<dyn ConnectorTable>,
    /// The table's columns that the query sees, as indexes into the table's own.
    exposed: Vec<usize>,
    schema: SchemaRef,
    statistics: Option<Arc<TableStatistics>>,
    pushdown: bool,
    /// Conjuncts above the scan that the table refused.
    refused: Vec<(Expr, Reason)>,
    /// The operator above the scan that the source was not given.
    unfolded: Option<Unfolded>,
}

impl FederatedTable {
    /// A table whose visible columns, and those hidden ones that `named` accepts, are seen by the query.
    pub fn new(
        table: Arc<dyn ConnectorTable>,
        statistics: Option<Arc<TableStatistics>>,
        named: impl Fn(&str) -> bool,
        pushdown: bool,
    ) -> Self {
        let exposed: Vec<usize> = table
            .columns()
            .iter()
            .enumerate()
            .filter(|(_, column)| column.hidden.is_none() || named(column.name()))
            .map(|(index, _)| index)
            .collect();
        let fields: Vec<_> = exposed
            .iter()
            .filter_map(|index| table.columns().get(*index))
            .map(|column| Arc::clone(&column.field))
            .collect();
        Self {
            table,
            exposed,
            schema: Arc::new(Schema::new(fields)),
            statistics,
            pushdown,
            refused: Vec::new(),
            unfolded: None,
        }
    }

    /// The source's table.
    pub fn table(&self) -> &Arc<dyn ConnectorTable> {
        &self.table
    }

    /// The same table, knowing which conjuncts above its scan it refused.
    pub(super) fn with_refused(&self, refused: Vec<(Expr, Reason)>) -> Self {
        Self { refused, ..self.clone() }
    }

    /// A scan that knows which operator above it its source was not given.
    pub(super) fn note_unfolded(scan: &TableScan, unfolded: Option<Unfolded>) -> LogicalPlan {
        let mut scan = scan.clone();
        if unfolded.is_some()
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<Self>()
        {
            scan.source = provider_as_source(Arc::new(Self { unfolded, ..table.clone() }));
        }
        LogicalPlan::TableScan(scan)
    }

    /// A scan as a relation over which the source computes more; `None` where it only scans.
    pub(super) fn relation(
        &self,
        projection: Option<&[usize]>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Option<(ScanRequest, Arc<dyn Relation>)>> {
        if !self.pushdown || filters.iter().any(|filter| filter.column_refs().is_empty()) {
            return Ok(None);
        }
        let all: Vec<usize> = (0..self.exposed.len()).collect();
        let request = self.request(projection.unwrap_or(&all), filters, limit)?;
        Ok(self.table.relation(&request).map(|relation| (request, relation)))
    }

    /// The operator above the scan that the source was not given.
    pub(super) fn unfolded(&self) -> Option<&Unfolded> {
        self.unfolded.as_ref()
    }

    /// What a source does of a request, for EXPLAIN: the filters, and the operators.
    pub(super) fn taken(&self, request: &ScanRequest) -> (Vec<FilterReport>, Vec<&'static str>) {
        let report = |filter: &PushedFilter| FilterReport {
            expression: filter.expression.clone(),
            verdict: filter.verdict.clone(),
            remote: None,
        };
        let pushed = request.filters.iter().map(report);
        let refused = self.refused.iter().map(|(expression, reason)| FilterReport {
            expression: expression.clone(),
            verdict: Verdict::Refused(reason.clone()),
            remote: None,
        });
        let filters = pushed.chain(refused).collect();
        let mut folded = Vec::new();
        if self.pushdown && request.projection.len() < self.exposed.len() {
            folded.push("projection");
        }
        if request.filters.iter().any(|filter| filter.verdict == Verdict::Exact) {
            folded.push("filter");
        }
        if request.limit.is_some() {
            folded.push("limit");
        }
        (filters, folded)
    }

    /// What the source knows of the table's size and values.
    pub(super) fn known(&self) -> Option<&TableStatistics> {
        self.statistics.as_deref()
    }

    /// How many columns the table has, without hidden ones.
    pub(super) fn visible_columns(&self) -> usize {
        self.table.columns().iter().filter(|column| column.hidden.is_none()).count()
    }

    /// What the source does with a conjunct. A pure function of the conjunct.
    pub fn judge(&self, conjunct: &Expr) -> Verdict {
        if !self.pushdown {
            return Verdict::refused(SWITCHED_OFF);
        }
        judge(self.table.as_ref(), conjunct)
    }

    /// The request of a scan: what DataFusion asks, as far as the source takes it. A limit is folded only below
    /// filters that are all exact, since any other filter still removes rows above.
    fn request(&self, projection: &[usize], filters: &[Expr], limit: Option<usize>) -> Result<ScanRequest> {
        let projection = projection.iter().filter_map(|index| self.exposed.get(*index)).copied().collect();
        let mut request = ScanRequest { projection, ..ScanRequest::default() };
        for expression in filters {
            let verdict = self.judge(expression);
            if let Verdict::Refused(reason) = &verdict {
                return Err(self.inconsistent(expression, reason));
            }
            let written = as_written(expression.clone());
            request.filters.push(PushedFilter { expression: expression.clone(), written, verdict });
        }
        if let Some(rows) = limit
            && self.pushdown
            && request.filters.iter().all(|filter| filter.verdict == Verdict::Exact)
            && let Ok(folded) = self.table.fold(&request, &Fold::Limit(rows))
        {
            request = folded;
        }
        Ok(request)
    }

    fn inconsistent(&self, expression: &Expr, reason: &Reason) -> datafusion::error::DataFusionError {
        ConnectorError::internal(format!("{expression} was accepted and is now refused: {reason}"))
            .in_table(self.table.name())
            .into()
    }

    fn report(
        &self,
        request: &ScanRequest,
        plan: &SourcePlan,
        connector: &'static str,
        snapshot: Option<String>,
    ) -> SourceReport {
        let (mut filters, folded) = self.taken(request);
        for (filter, remote) in filters.iter_mut().zip(&plan.remote_filters) {
            filter.remote = remote.clone();
        }
        SourceReport {
            requests: plan.requests.clone(),
            connector,
            tables: vec![self.table.name().clone()],
            filters,
            folded,
            unfolded: self.unfolded.iter().cloned().collect(),
            request: plan.request.clone(),
            columns: plan.schema.fields().iter().map(|field| field.name().clone()).collect(),
            columns_total: self.visible_columns(),
            snapshot,
            units: plan.units.clone(),
            estimate: plan.estimate,
            cost: None,
        }
    }

    /// The planner's statistics of a planned scan: estimates, never exact.
    fn scan_statistics(&self, plan: &SourcePlan) -> Statistics {
        let inexact = |value: Option<u64>| {
            value.and_then(|value| usize::try_from(value).ok()).map_or(Precision::Absent, Precision::Inexact)
        };
        let columns = plan.schema.fields().iter().map(|field| {
            let mut statistics = ColumnStatistics::new_unknown();
            if let Some(known) = self.statistics.as_ref().and_then(|table| table.columns.get(field.name())) {
                statistics.distinct_count = inexact(known.distinct);
                statistics.min_value = known.min.clone().map_or(Precision::Absent, Precision::Inexact);
                statistics.max_value = known.max.clone().map_or(Precision::Absent, Precision::Inexact);
            }
            statistics
        });
        Statistics {
            num_rows: inexact(plan.estimate.rows),
            total_byte_size: inexact(plan.estimate.bytes),
            column_statistics: columns.collect(),
        }
    }
}

/// What a table does with a conjunct, whatever the session says.
pub(super) fn judge(table: &dyn ConnectorTable, conjunct: &Expr) -> Verdict {
    match not_for_any_source(conjunct) {
        Some(reason) => Verdict::Refused(reason),
        None => table.judge(&as_written(conjunct.clone())),
    }
}

/// What no source ever gets, whatever its rules.
fn not_for_any_source(conjunct: &Expr) -> Option<Reason> {
    if conjunct.is_volatile() {
        return Some("its value changes from call to call".into());
    }
    let mut reason = None;
    // The closure never fails, so neither does the walk.
    let _ = conjunct.apply(|part| {
        reason = match part {
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => {
                Some("the engine evaluates subqueries".into())
            }
            Expr::OuterReferenceColumn(..) => Some("it refers to an outer query".into()),
            Expr::Placeholder(_) => Some("the value of a parameter is not known yet".into()),
            _ => None,
        };
        Ok(if reason.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    reason
}

#[async_trait]
impl TableProvider for FederatedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        match self.table.kind() {
            TableKind::Table => TableType::Base,
            TableKind::View => TableType::View,
        }
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, datafusion::logical_expr::LogicalPlan>> {
        None
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match self.judge(filter) {
                Verdict::Exact => TableProviderFilterPushDown::Exact,
                Verdict::Pruning => TableProviderFilterPushDown::Inexact,
                Verdict::Refused(_) => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        let known = self.statistics.as_ref()?;
        let rows = known.rows.and_then(|rows| usize::try_from(rows).ok())?;
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Inexact(rows);
        Some(statistics)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.exposed.len()).collect();
        let wanted = projection.map_or(all.as_slice(), Vec::as_slice);
        let scope = QueryScope::of(session.config())?;
        let connector = scope.connector(&self.table.name().catalog)?;
        // Without pushdown the source sends all columns and the engine projects.
        let narrow = self.pushdown && connector.capabilities().allows(Operation::Projection);
        // What was simplified to a constant since it was judged, `x NOT IN (1, NULL)` to NULL, is no business of the source.
        let (filters, constants): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| !filter.column_refs().is_empty());
        let limit = limit.filter(|_| constants.is_empty());
        let request = self.request(if narrow { wanted } else { &all }, &filters, limit)?;

        let name = self.table.name();
        let snapshot = scope.snapshot(&name.catalog, connector.as_ref()).await?;
        let context = PlanContext { session, snapshot: Arc::clone(&snapshot) };
        let plan = self.table.plan(&request, &context).await?;
        let report = self.report(&request, &plan, connector.kind(), snapshot.describe());
        let statistics = self.scan_statistics(&plan);
        let leaf: Arc<dyn ExecutionPlan> = Arc::new(SourceExec::new(
            name.catalog.clone(),
            plan,
            report,
            statistics,
            session.config().target_partitions(),
            self.pushdown,
        ));
        let rows = if narrow { leaf } else { project(leaf, wanted)? };
        constants.into_iter().try_fold(rows, |rows, constant| {
            let condition = session.create_physical_expr(constant, &DFSchema::empty())?;
            Ok(Arc::new(FilterExec::try_new(condition, rows)?) as _)
        })
    }
}

/// Keeps the wanted columns of a leaf that returns all.
fn project(leaf: Arc<dyn ExecutionPlan>, wanted: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = leaf.schema();
    if wanted.len() == schema.fields().len() && wanted.iter().enumerate().all(|(at, index)| at == *index) {
        return Ok(leaf);
    }
    let columns: Vec<(Arc<dyn PhysicalExpr>, String)> = wanted
        .iter()
        .filter_map(|index| {
            let field = schema.fields().get(*index)?;
            let column: Arc<dyn PhysicalExpr> = Arc::new(PhysicalColumn::new(field.name(), *index));
            Some((column, field.name().clone()))
        })
        .collect();
    Ok(Arc::new(ProjectionExec::try_new(columns, leaf)?))
}
