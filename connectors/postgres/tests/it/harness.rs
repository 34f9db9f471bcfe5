//! One server for all tests, a database for each, and the way from a table to its rows.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use portolan_connector::properties::{Secrets, parse};
use portolan_connector::{
    CatalogEntry, Connector, ConnectorFactory, ConnectorTable, PlanContext, PushedFilter, QueryContext, ReadContext,
    Scan, ScanRequest, Snapshot, SourceMetrics, SourcePlan,
};
use portolan_postgres::PostgresFactory;
use portolan_servers::PostgresServer;
use toml::de::DeTable;

static SERVER: LazyLock<PostgresServer> = LazyLock::new(|| PostgresServer::start().unwrap());
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A fresh database.
pub(crate) struct Database {
    pub(crate) server: &'static PostgresServer,
    pub(crate) name: String,
}

impl Database {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self::with_options("")
    }

    /// With what follows the name in CREATE DATABASE.
    pub(crate) fn with_options(options: &str) -> Self {
        let name = format!("db{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        SERVER.psql("postgres", &format!("CREATE DATABASE {name} {options}")).unwrap();
        Self { server: &SERVER, name }
    }

    /// With the result of a script.
    pub(crate) fn with(script: &str) -> Self {
        let database = Self::new();
        database.psql(script);
        database
    }

    /// Runs SQL as the superuser and returns what psql prints.
    pub(crate) fn psql(&self, sql: &str) -> String {
        self.server.psql(&self.name, sql).unwrap().trim_end_matches('\n').to_owned()
    }

    /// A connector of the catalog `pg`.
    pub(crate) fn connector(&self) -> Arc<dyn Connector> {
        self.connector_with("")
    }

    /// With more properties.
    pub(crate) fn connector_with(&self, properties: &str) -> Arc<dyn Connector> {
        let (url, password) = (self.server.url(&self.name), self.server.password());
        connector(&format!("url = '{url}'\npassword = '{password}'\n{properties}")).unwrap()
    }

    /// How many sessions of ours are there, apart from idle ones if `busy`.
    pub(crate) fn sessions(&self, busy: bool) -> usize {
        let idle = if busy { "AND state <> 'idle'" } else { "" };
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'portolan' {idle}",
            self.name
        );
        self.server.psql("postgres", &sql).unwrap().trim().parse().unwrap()
    }
}

struct NoSecrets;

impl Secrets for NoSecrets {
    fn env(&self, name: &str) -> Result<String, String> {
        Err(name.to_owned())
    }
    fn file(&self, path: &str) -> Result<String, String> {
        Err(path.to_owned())
    }
}

/// A connector from the text of a catalog entry.
pub(crate) fn connector(text: &str) -> Result<Arc<dyn Connector>, String> {
    let table = DeTable::parse(text).unwrap();
    let properties = parse(table.get_ref(), table.span(), PostgresFactory.properties(), &[], &NoSecrets)
        .map_err(|error| error.to_string())?;
    PostgresFactory.create(CatalogEntry { name: "pg".to_owned(), properties }).map_err(|error| error.to_string())
}

/// A query's snapshot.
pub(crate) async fn begin(connector: &Arc<dyn Connector>) -> Arc<dyn Snapshot> {
    connector.begin(&QueryContext { query_id: "test".to_owned() }).await.unwrap()
}

/// A table that exists.
pub(crate) async fn table(connector: &Arc<dyn Connector>, schema: &str, table: &str) -> Arc<dyn ConnectorTable> {
    connector.table(schema, table).await.unwrap().unwrap_or_else(|| panic!("no table {schema}.{table}"))
}

/// A request for columns by name, with filters that the table judges.
pub(crate) fn request(table: &Arc<dyn ConnectorTable>, columns: &[&str], filters: Vec<Expr>) -> ScanRequest {
    let index = |name: &&str| table.column(name).unwrap_or_else(|| panic!("no column {name}")).0;
    ScanRequest {
        projection: columns.iter().map(index).collect(),
        filters: filters
            .into_iter()
            .map(|expression| PushedFilter::new(expression.clone(), table.judge(&expression)))
            .collect(),
        limit: None,
    }
}

/// Plans a request.
pub(crate) async fn plan(
    table: &Arc<dyn ConnectorTable>,
    request: &ScanRequest,
    snapshot: &Arc<dyn Snapshot>,
) -> Result<SourcePlan, String> {
    let state = SessionContext::new().state();
    let context = PlanContext { session: &state, snapshot: Arc::clone(snapshot) };
    table.plan(request, &context).await.map_err(|error| error.to_string())
}

/// The stream of a plan's one split.
pub(crate) fn open(connector: &Arc<dyn Connector>, plan: &SourcePlan, batch_rows: usize) -> SendableRecordBatchStream {
    let Scan::Splits(splits) = &plan.scan else { panic!("a native scan") };
    let [split] = splits.as_slice() else { panic!("{} splits", splits.len()) };
    let context = ReadContext { schema: Arc::clone(&plan.schema), batch_rows, metrics: SourceMetrics::unregistered() };
    connector.read(split, context).unwrap()
}

/// Drains a stream.
pub(crate) async fn drain(mut stream: SendableRecordBatchStream) -> Result<Vec<RecordBatch>, String> {
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch.map_err(|error| error.to_string())?);
    }
    Ok(batches)
}

/// Reads columns of a table, all rows that the filters keep.
pub(crate) async fn read(
    connector: &Arc<dyn Connector>,
    of: &Arc<dyn ConnectorTable>,
    columns: &[&str],
    filters: Vec<Expr>,
) -> Result<Vec<Vec<ScalarValue>>, String> {
    let snapshot = begin(connector).await;
    let plan = plan(of, &request(of, columns, filters), &snapshot).await?;
    Ok(rows(&drain(open(connector, &plan, 1000)).await?))
}

/// Batches as rows.
pub(crate) fn rows(batches: &[RecordBatch]) -> Vec<Vec<ScalarValue>> {
    let row = |batch: &RecordBatch, row: usize| {
        batch.columns().iter().map(|column| ScalarValue::try_from_array(column, row).unwrap()).collect()
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |at| row(batch, at))).collect()
}

/// A text as a value.
pub(crate) fn utf8(text: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(text.to_owned()))
}
