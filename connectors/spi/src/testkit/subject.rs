//! What is tested: one table of one connector, read through the same leaf that queries use.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Statistics;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::{
    Connector, ConnectorError, ConnectorTable, Connectors, Estimate, PlanContext, QueryContext, Result, Scan,
    ScanRequest, Snapshot, SourceExec, SourcePlan, SourceReport, Split,
};

/// The most rows that a tested table may have; all of them are held in memory.
pub const MAX_ROWS: usize = 100_000;

/// How many partitions a scan is spread over.
const PARTITIONS: usize = 2;

/// One table of one connector.
#[derive(Clone, Debug)]
pub struct Subject {
    pub(super) connector: Arc<dyn Connector>,
    pub(super) table: Arc<dyn ConnectorTable>,
    runtime: Arc<RuntimeEnv>,
}

impl Subject {
    /// A table and the connector that it came from. The table should have a few dozen rows with every value that
    /// could make a difference, NULLs among them, and at most [`MAX_ROWS`].
    pub fn new(connector: Arc<dyn Connector>, table: Arc<dyn ConnectorTable>) -> Self {
        Self { connector, table, runtime: Arc::default() }
    }

    /// Uses a runtime environment of the caller's, such as one in which object stores are registered.
    #[must_use]
    pub fn with_runtime(mut self, runtime: Arc<RuntimeEnv>) -> Self {
        self.runtime = runtime;
        self
    }

    /// Freezes the source's position for all reads that follow.
    pub(super) async fn begin(&self) -> Result<Arc<dyn Snapshot>> {
        self.connector.begin(&QueryContext { query_id: "testkit".to_owned() }).await
    }

    /// A request for all columns, hidden ones too, and all rows.
    pub(super) fn everything(&self) -> ScanRequest {
        ScanRequest { projection: (0..self.table.columns().len()).collect(), ..ScanRequest::default() }
    }

    /// The schema that a request asks for.
    pub(super) fn projected(&self, projection: &[usize]) -> SchemaRef {
        let columns = self.table.columns();
        let fields = projection.iter().filter_map(|index| columns.get(*index));
        Arc::new(Schema::new(fields.map(|column| Arc::clone(&column.field)).collect::<Vec<_>>()))
    }

    /// Reads as a query would, in a session of [`Subject::session`].
    pub(super) async fn read(
        &self,
        request: &ScanRequest,
        snapshot: &Arc<dyn Snapshot>,
        session: &SessionContext,
    ) -> Result<Reading> {
        let state = session.state();
        let context = PlanContext { session: &state, snapshot: Arc::clone(snapshot) };
        let plan = self.table.plan(request, &context).await?;
        self.read_plan(plan, snapshot, session).await
    }

    /// Reads what is planned.
    pub(super) async fn read_plan(
        &self,
        plan: SourcePlan,
        snapshot: &Arc<dyn Snapshot>,
        session: &SessionContext,
    ) -> Result<Reading> {
        let report = SourceReport {
            requests: plan.requests.clone(),
            connector: self.connector.kind(),
            tables: vec![self.table.name().clone()],
            filters: Vec::new(),
            folded: Vec::new(),
            unfolded: Vec::new(),
            cost: None,
            request: plan.request.clone(),
            columns: Vec::new(),
            columns_total: self.table.columns().len(),
            snapshot: snapshot.describe(),
            units: plan.units.clone(),
            estimate: Estimate::default(),
        };
        let (request, remote_filters) = (plan.request.clone(), plan.remote_filters.clone());
        let (schema, statistics) = (Arc::clone(&plan.schema), Statistics::new_unknown(&plan.schema));
        let catalog = self.table.name().catalog.clone();
        let leaf = Arc::new(SourceExec::new(catalog, plan, report, statistics, PARTITIONS, true));
        let readers = leaf
            .splits()
            .iter()
            .map(Vec::len)
            .sum::<usize>()
            .max(leaf.properties().output_partitioning().partition_count());
        let leaf_schema = leaf.schema();
        let batches = collect(leaf, session.task_ctx()).await.map_err(failed)?;
        Ok(Reading { schema, leaf_schema, batches, request, remote_filters, readers })
    }

    /// The splits of a scan; none where the source is read natively.
    pub(super) async fn splits(
        &self,
        request: &ScanRequest,
        snapshot: &Arc<dyn Snapshot>,
        session: &SessionContext,
    ) -> Result<Vec<Split>> {
        let state = session.state();
        let context = PlanContext { session: &state, snapshot: Arc::clone(snapshot) };
        match self.table.plan(request, &context).await?.scan {
            Scan::Splits(splits) => Ok(splits),
            Scan::Native(_) | Scan::Endless(_) => Ok(Vec::new()),
        }
    }

    /// A session that knows the connector, as a query's does, and asks for batches of at most `batch_rows`. Costly to
    /// make.
    pub(super) fn session(&self, batch_rows: usize) -> SessionContext {
        let connectors = Connectors::new([(self.table.name().catalog.clone(), Arc::clone(&self.connector))]);
        let config = SessionConfig::new()
            .with_batch_size(batch_rows)
            .with_target_partitions(PARTITIONS)
            .with_extension(Arc::new(connectors));
        SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime))
    }
}

/// What came of one read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The schema that the plan announced.
    pub(super) schema: SchemaRef,
    /// The schema of the leaf.
    pub(super) leaf_schema: SchemaRef,
    pub(super) batches: Vec<RecordBatch>,
    /// The native request.
    pub(super) request: Option<String>,
    /// What the source was sent for each filter.
    pub(super) remote_filters: Vec<Option<String>>,
    /// How many splits or partitions there were, each of which may apply a limit for itself.
    pub(super) readers: usize,
}

impl Reading {
    pub(super) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// An error of reading or comparing, as the connector's own where it is one.
pub(super) fn failed(error: datafusion::error::DataFusionError) -> ConnectorError {
    ConnectorError::source("cannot read the table").said(error)
}
