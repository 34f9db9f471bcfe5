//! As much of an engine as the tests need: DataFusion, the connector's tables, and what was planned.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider, Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::context::SessionState;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use portolan_connector::properties::{Secrets, parse};
use portolan_connector::{
    CatalogEntry, Connector, ConnectorFactory, ConnectorTable, Connectors, Fold, PlanContext, PushedFilter,
    QueryContext, ScanRequest, Snapshot, Snapshots, SourceExec, SourceReport, Units, Verdict,
};
use portolan_kafka::KafkaFactory;

use super::topics::bootstrap;

/// How long anything may take. Tests run in parallel on few processors.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What one scan was planned to do.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) filters: Vec<PushedFilter>,
    pub(crate) remote: Vec<Option<String>>,
    pub(crate) request: String,
    pub(crate) units: Vec<Units>,
    pub(crate) limit: Option<usize>,
    pub(crate) splits: usize,
    pub(crate) rows: Option<u64>,
    pub(crate) snapshot: String,
}

impl Planned {
    /// How many offsets are read.
    pub(crate) fn offsets(&self) -> u64 {
        self.units.iter().find(|units| units.kind == "offsets").unwrap().kept
    }
}

#[derive(Debug)]
struct Query {
    connector: Arc<dyn Connector>,
    pushdown: bool,
    snapshots: Mutex<Arc<Snapshots>>,
    planned: Mutex<Vec<Planned>>,
}

/// One catalog, `events`, whose schema is `default`.
pub(crate) struct Engine {
    context: SessionContext,
    query: Arc<Query>,
}

struct NoSecrets;

impl Secrets for NoSecrets {
    fn env(&self, name: &str) -> std::result::Result<String, String> {
        Err(format!("{name} is not set"))
    }
    fn file(&self, path: &str) -> std::result::Result<String, String> {
        Err(format!("cannot read {path}"))
    }
}

/// A connector made from a section of the catalog file.
pub(crate) fn connector(catalog: &str, text: &str) -> std::result::Result<Arc<dyn Connector>, String> {
    let table = toml::de::DeTable::parse(text).map_err(|error| error.to_string())?;
    let properties = parse(table.get_ref(), table.span(), KafkaFactory.properties(), &[], &NoSecrets)
        .map_err(|error| error.to_string())?;
    KafkaFactory.create(CatalogEntry { name: catalog.to_owned(), properties }).map_err(|error| error.to_string())
}

/// The settings of a catalog on the shared broker, followed by more.
pub(crate) fn on_broker(more: &str) -> String {
    format!("brokers = \"{}\"\n{more}", bootstrap())
}

impl Engine {
    pub(crate) fn new(more: &str) -> Self {
        Self::on(connector("events", &on_broker(more)).unwrap(), "events", true)
    }

    pub(crate) fn without_pushdown(more: &str) -> Self {
        Self::on(connector("events", &on_broker(more)).unwrap(), "events", false)
    }

    pub(crate) fn on(connector: Arc<dyn Connector>, catalog: &str, pushdown: bool) -> Self {
        let connectors = Connectors::new([(catalog.to_owned(), Arc::clone(&connector))]);
        let config = SessionConfig::new()
            .with_target_partitions(2)
            .with_default_catalog_and_schema(catalog, "default")
            .with_create_default_catalog_and_schema(false)
            .with_extension(Arc::new(connectors));
        let context = SessionContext::new_with_config(config);
        let query = Arc::new(Query { connector, pushdown, snapshots: Mutex::default(), planned: Mutex::default() });
        let provider = MemoryCatalogProvider::new();
        provider.register_schema("default", Arc::new(Schema(Arc::clone(&query)))).unwrap();
        context.register_catalog(catalog, Arc::new(provider));
        Self { context, query }
    }

    pub(crate) async fn stream(&self, sql: &str) -> Result<SendableRecordBatchStream> {
        self.stream_after(async {}, sql).await
    }

    /// The same, with something that is done between planning and reading: reads of several splits begin at once.
    pub(crate) async fn stream_after(
        &self,
        planned: impl Future<Output = ()>,
        sql: &str,
    ) -> Result<SendableRecordBatchStream> {
        *self.query.snapshots.lock().unwrap() = Arc::default();
        self.query.planned.lock().unwrap().clear();
        let plan = self.context.sql(sql).await?.create_physical_plan().await?;
        planned.await;
        datafusion::physical_plan::execute_stream(plan, self.context.task_ctx())
    }

    /// The rows of the first of the streams that a query of one scan is read in.
    pub(crate) async fn first_stream(&self, sql: &str) -> SendableRecordBatchStream {
        *self.query.snapshots.lock().unwrap() = Arc::default();
        let plan = self.context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        plan.execute(0, self.context.task_ctx()).unwrap()
    }

    pub(crate) async fn try_sql(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        datafusion::physical_plan::common::collect(self.stream(sql).await?).await
    }

    /// The rows as texts, columns parted by `|`, sorted.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        let batches = self.try_sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let options = FormatOptions::default().with_null("NULL");
        let mut rows = Vec::new();
        for batch in &batches {
            let columns: Vec<ArrayFormatter<'_>> =
                batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
            for row in 0..batch.num_rows() {
                rows.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
            }
        }
        rows.sort();
        rows
    }

    /// Runs a query of one scan, and returns how many rows it came to, and a counter of the scan.
    pub(crate) async fn counted(&self, sql: &str, counter: &str) -> (usize, usize) {
        self.counted_after(async {}, sql, counter).await
    }

    /// The same, with something that is done between planning and reading.
    pub(crate) async fn counted_after(
        &self,
        planned: impl Future<Output = ()>,
        sql: &str,
        counter: &str,
    ) -> (usize, usize) {
        *self.query.snapshots.lock().unwrap() = Arc::default();
        let plan = self.context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        planned.await;
        let rows = datafusion::physical_plan::collect(Arc::clone(&plan), self.context.task_ctx()).await.unwrap();
        let mut found = None;
        plan.apply(|node| {
            if let Some(leaf) = node.downcast_ref::<SourceExec>() {
                found = leaf.metrics().and_then(|metrics| metrics.sum_by_name(counter)).map(|value| value.as_usize());
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
        (rows.iter().map(RecordBatch::num_rows).sum(), found.unwrap_or_default())
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.rows(sql).await.first().unwrap().parse().unwrap()
    }

    pub(crate) async fn error(&self, sql: &str) -> String {
        match self.try_sql(sql).await {
            Ok(batches) => panic!("{sql}: no error but {} batches", batches.len()),
            Err(error) => error.to_string(),
        }
    }

    /// What the only scan of the last query was planned to do.
    pub(crate) fn planned(&self) -> Planned {
        let planned = self.all_planned();
        assert_eq!(planned.len(), 1, "{planned:?}");
        planned.into_iter().next().unwrap()
    }

    pub(crate) fn all_planned(&self) -> Vec<Planned> {
        self.query.planned.lock().unwrap().clone()
    }

    pub(crate) async fn table(&self, name: &str) -> Arc<dyn ConnectorTable> {
        self.query.connector.table("default", name).await.unwrap().unwrap()
    }

    /// The same, with so many bytes of memory; what is beyond that goes to the disk.
    pub(crate) fn with_memory(self, bytes: usize) -> Self {
        let runtime =
            RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(bytes))).build_arc().unwrap();
        let mut config = self.context.copied_config().with_batch_size(256);
        config.options_mut().execution.sort_spill_reservation_bytes = bytes / 10;
        let context = SessionContext::new_with_config_rt(config, runtime);
        for name in self.context.catalog_names() {
            context.register_catalog(&name, self.context.catalog(&name).unwrap());
        }
        Self { context, ..self }
    }

    pub(crate) fn session(&self) -> SessionState {
        self.context.state()
    }

    pub(crate) fn task(&self) -> Arc<TaskContext> {
        self.context.task_ctx()
    }

    pub(crate) fn connector(&self) -> &Arc<dyn Connector> {
        &self.query.connector
    }
}

#[derive(Debug)]
struct Schema(Arc<Query>);

#[async_trait]
impl SchemaProvider for Schema {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn table_exist(&self, _name: &str) -> bool {
        true
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        // `"t at topic 0:0..5"` is the table t, read at that cut.
        let table = match name.split_once(" at ") {
            Some((name, cut)) => self.0.connector.table_at("default", name, cut).await?,
            // `"t following"` has the messages that come, `"t following 5 minutes"` those since then.
            None if name.contains(" following") => {
                let (name, since) = name.split_once(" following").unwrap_or_default();
                let since = Some(since.trim()).filter(|since| !since.is_empty());
                self.0.connector.table_following("default", name, since).await?
            }
            None if name == "consumer_groups" => self.0.connector.table("system", name).await?,
            None => self.0.connector.table("default", name).await?,
        };
        Ok(table.map(|table| Arc::new(Table { query: Arc::clone(&self.0), table }) as _))
    }
}

#[derive(Debug)]
struct Table {
    query: Arc<Query>,
    table: Arc<dyn ConnectorTable>,
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match self.table.judge(filter) {
            _ if !self.query.pushdown => TableProviderFilterPushDown::Unsupported,
            Verdict::Exact => TableProviderFilterPushDown::Exact,
            Verdict::Pruning => TableProviderFilterPushDown::Inexact,
            Verdict::Refused(_) => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let pushed = filters.iter().map(|filter| PushedFilter::new(filter.clone(), self.table.judge(filter))).collect();
        let all = (0..self.table.columns().len()).collect();
        let mut request = ScanRequest { projection: projection.cloned().unwrap_or(all), filters: pushed, limit: None };
        if let (Some(limit), true) = (limit, self.query.pushdown)
            && let Ok(folded) = self.table.fold(&request, &Fold::Limit(limit))
        {
            request = folded;
        }
        let snapshots = Arc::clone(&self.query.snapshots.lock().unwrap());
        let query = QueryContext { query_id: "test".to_owned() };
        let catalog = self.table.name().catalog.clone();
        let snapshot: Arc<dyn Snapshot> = snapshots.of(&catalog, &*self.query.connector, &query).await?;
        let context = PlanContext { session, snapshot: Arc::clone(&snapshot) };
        let plan = self.table.plan(&request, &context).await?;
        let splits = match &plan.scan {
            portolan_connector::Scan::Splits(splits) => splits.len(),
            portolan_connector::Scan::Native(_) | portolan_connector::Scan::Endless(_) => 0,
        };
        self.query.planned.lock().unwrap().push(Planned {
            filters: request.filters.clone(),
            remote: plan.remote_filters.clone(),
            request: plan.request.clone().unwrap(),
            units: plan.units.clone(),
            limit: request.limit,
            splits,
            rows: plan.estimate.rows,
            snapshot: snapshot.describe().unwrap_or_default(),
        });
        let report = SourceReport {
            requests: plan.requests.clone(),
            connector: self.query.connector.kind(),
            tables: vec![self.table.name().clone()],
            filters: Vec::new(),
            folded: Vec::new(),
            unfolded: Vec::new(),
            cost: None,
            request: plan.request.clone(),
            columns: Vec::new(),
            columns_total: 0,
            snapshot: snapshot.describe(),
            units: plan.units.clone(),
            estimate: plan.estimate,
        };
        let statistics = Statistics::new_unknown(&plan.schema);
        let partitions = session.config().target_partitions();
        Ok(Arc::new(SourceExec::new(catalog, plan, report, statistics, partitions, self.query.pushdown)))
    }
}

/// The connector's own error behind an error of a query.
pub(crate) fn cause(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::External(inner) => inner.to_string(),
        other => other.to_string(),
    }
}

/// Values of the first column until there are so many, sorted.
pub(crate) async fn take(stream: &mut SendableRecordBatchStream, count: usize) -> Vec<i64> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let batch = tokio::time::timeout(PATIENCE, stream.next()).await.expect("messages came").unwrap().unwrap();
        seen.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
    }
    seen.sort_unstable();
    seen
}
