use std::sync::Arc;

use arrow::array::Array;
use arrow::util::display::array_value_to_string;
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use portolan_connector::{
    Connector, ConnectorTable, FilterReport, Fold, PlanContext, PushedFilter, QueryContext, ScanRequest, SourceExec,
    SourceReport, Verdict,
};

/// Files larger than this are read by several threads.
const FILE_SPLIT_BYTES: usize = 100_000;

/// DataFusion over one connector.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) schema: String,
    pub(crate) pushdown: bool,
    /// How many files are read at the same time.
    pub(crate) threads: usize,
}

impl Engine {
    /// Reads tables of the schema `s`.
    pub(crate) fn new(connector: Arc<dyn Connector>) -> Self {
        Self { connector, schema: "s".to_owned(), pushdown: true, threads: 2 }
    }

    pub(crate) async fn table(&self, table: &str) -> Result<Arc<dyn ConnectorTable>> {
        let found = self.connector.table(&self.schema, table).await?;
        Ok(found.unwrap_or_else(|| panic!("no table {table}")))
    }

    /// A session in which `t` is the table.
    async fn session(&self, table: &str) -> Result<SessionContext> {
        let config =
            SessionConfig::new().with_target_partitions(self.threads).with_repartition_file_min_size(FILE_SPLIT_BYTES);
        let context = SessionContext::new_with_config(config);
        let table = self.table(table).await?;
        let provider = Provider { connector: Arc::clone(&self.connector), table, pushdown: self.pushdown };
        context.register_table("t", Arc::new(provider))?;
        Ok(context)
    }

    pub(crate) async fn plan(&self, table: &str, sql: &str) -> Result<(Arc<dyn ExecutionPlan>, SessionContext)> {
        let context = self.session(table).await?;
        let plan = context.sql(sql).await?.create_physical_plan().await?;
        Ok((plan, context))
    }

    /// Runs a query on the table, called `t`. Each row is a line, and lines are sorted.
    pub(crate) async fn try_rows(&self, table: &str, sql: &str) -> Result<Vec<String>> {
        let (plan, context) = self.plan(table, sql).await?;
        rows(plan, &context).await
    }

    /// The same with pushdown on and off, which must not differ.
    pub(crate) async fn rows(&self, table: &str, sql: &str) -> Vec<String> {
        let on = self.try_rows(table, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let without = Self { pushdown: false, ..self.clone() };
        let off = without.try_rows(table, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(on, off, "pushdown changes the answer of {sql}");
        on
    }

    /// The rows with pushdown on, for queries that fail without it.
    pub(crate) async fn pruned_rows(&self, table: &str, sql: &str) -> Vec<String> {
        self.try_rows(table, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The only value of a query.
    pub(crate) async fn value(&self, table: &str, sql: &str) -> String {
        let rows = self.rows(table, sql).await;
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows.into_iter().next().unwrap()
    }

    pub(crate) async fn error(&self, table: &str, sql: &str) -> String {
        match self.try_rows(table, sql).await {
            Ok(rows) => panic!("{sql} should fail, and returns {rows:?}"),
            Err(error) => error.strip_backtrace(),
        }
    }

    /// Runs a query and returns its plan, with what was measured.
    pub(crate) async fn run(&self, table: &str, sql: &str) -> Arc<dyn ExecutionPlan> {
        let (plan, context) = self.plan(table, sql).await.unwrap();
        collect(Arc::clone(&plan), context.task_ctx()).await.unwrap();
        plan
    }
}

async fn rows(plan: Arc<dyn ExecutionPlan>, context: &SessionContext) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for batch in collect(plan, context.task_ctx()).await? {
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = batch
                .columns()
                .iter()
                .map(|column| match column.is_null(row) {
                    true => "NULL".to_owned(),
                    false => array_value_to_string(column, row).unwrap(),
                })
                .collect();
            lines.push(cells.join("|"));
        }
    }
    lines.sort();
    Ok(lines)
}

/// The leaf of a plan that has one.
pub(crate) fn leaf_of(plan: &Arc<dyn ExecutionPlan>) -> &SourceExec {
    if let Some(leaf) = plan.downcast_ref::<SourceExec>() {
        return leaf;
    }
    let children = plan.children();
    assert_eq!(children.len(), 1, "{plan:?}");
    leaf_of(children[0])
}

/// The sum of a counter of the leaf, by the name that DataFusion gives it.
pub(crate) fn metric(plan: &Arc<dyn ExecutionPlan>, name: &str) -> String {
    leaf_of(plan).metrics().and_then(|metrics| metrics.sum_by_name(name)).map(|m| m.to_string()).unwrap_or_default()
}

#[derive(Debug)]
struct Provider {
    connector: Arc<dyn Connector>,
    table: Arc<dyn ConnectorTable>,
    pushdown: bool,
}

impl Provider {
    fn judge(&self, filter: &Expr) -> Verdict {
        if self.pushdown { self.table.judge(filter) } else { Verdict::refused("pushdown is off") }
    }
}

#[async_trait]
impl TableProvider for Provider {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
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

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut request = ScanRequest {
            projection: projection.cloned().unwrap_or_else(|| (0..self.table.columns().len()).collect()),
            filters: filters.iter().map(|filter| PushedFilter::new(filter.clone(), self.judge(filter))).collect(),
            limit: None,
        };
        if let Some(limit) = limit
            && let Ok(folded) = self.table.fold(&request, &Fold::Limit(limit))
        {
            request = folded;
        }
        let snapshot = self.connector.begin(&QueryContext { query_id: "test".to_owned() }).await?;
        let context = PlanContext { session, snapshot: Arc::clone(&snapshot) };
        let plan = self.table.plan(&request, &context).await?;
        let report = SourceReport {
            requests: plan.requests.clone(),
            connector: self.connector.kind(),
            tables: vec![self.table.name().clone()],
            filters: request
                .filters
                .iter()
                .zip(&plan.remote_filters)
                .map(|(filter, remote)| FilterReport {
                    expression: filter.expression.clone(),
                    verdict: filter.verdict.clone(),
                    remote: remote.clone(),
                })
                .collect(),
            folded: Vec::new(),
            unfolded: Vec::new(),
            cost: None,
            request: plan.request.clone(),
            columns: plan.schema.fields().iter().map(|field| field.name().clone()).collect(),
            columns_total: self.table.columns().len(),
            snapshot: snapshot.describe(),
            units: plan.units.clone(),
            estimate: plan.estimate,
        };
        let statistics = Statistics::new_unknown(&plan.schema);
        let partitions = session.config().target_partitions();
        Ok(Arc::new(SourceExec::new("lake", plan, report, statistics, partitions, self.pushdown)))
    }
}
