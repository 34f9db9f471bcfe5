//! The traits that a connector implements.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::Expr;

use crate::{
    Arguments, Capabilities, CatalogEntry, Charge, Column, ConnectorError, Fold, KeyFilter, Narrowed, ProcedureSpec,
    PropertySpec, Reason, Relation, RequestCount, Result, RowOrder, ScanRequest, Snapshot, SourceMetrics, SourcePlan,
    Split, SystemTableSpec, TableName, TableStatistics, UnsupportedColumn, Verdict, WritableCatalog,
};

/// How to make a connector from a catalog entry. One per kind of source.
pub trait ConnectorFactory: Debug + Send + Sync {
    /// The value of `connector = "..."` in the catalog file.
    fn name(&self) -> &'static str;

    /// The properties that an entry may have. Validation, error messages and the reference documentation all come
    /// from this list.
    fn properties(&self) -> &'static [PropertySpec];

    /// The properties that a new table of such a catalog may have: `CREATE TABLE ... WITH (name = value)`.
    fn table_properties(&self) -> &'static [PropertySpec] {
        &[]
    }

    /// The tables that each such catalog has in its schema [`SYSTEM_SCHEMA`](crate::SYSTEM_SCHEMA).
    fn system_tables(&self) -> &'static [SystemTableSpec] {
        &[]
    }

    /// Makes the connector. Checks what can be checked without input or output: connections open when first needed,
    /// so that a broken source neither slows the start nor stops the others.
    fn create(&self, entry: CatalogEntry) -> Result<Arc<dyn Connector>>;
}

/// What kind of relation a table is, as listings show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Holds rows.
    Table,
    /// Is computed by the source.
    View,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableEntry {
    /// The table's name as the source spells it.
    pub name: String,
    /// Table or view.
    pub kind: TableKind,
}

/// What identifies the query that a call belongs to.
#[derive(Clone, Debug)]
pub struct QueryContext {
    /// The query's id, for logs and for the names that a source shows of its clients.
    pub query_id: String,
}

/// One configured source, shared by all queries.
#[async_trait]
pub trait Connector: Debug + Send + Sync {
    /// The kind of source: the factory's name.
    fn kind(&self) -> &'static str;

    /// What the source is declared to do.
    fn capabilities(&self) -> &Capabilities;

    /// The schemas, sorted by name, without those that hold only the source's own machinery.
    async fn list_schemas(&self) -> Result<Vec<String>>;

    /// The tables and views of a schema, sorted by name. An unknown schema has none.
    async fn list_tables(&self, schema: &str) -> Result<Vec<TableEntry>>;

    /// A table by its exact name; `None` when there is none.
    async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn ConnectorTable>>>;

    /// A table as it was when it was last asked for; nothing is asked of the source. `None` where it is not remembered. It may
    /// have changed since: [`Connector::unchanged`] tells.
    fn remembered(&self, _schema: &str, _table: &str) -> Option<Arc<dyn ConnectorTable>> {
        None
    }

    /// Whether tables that were [`Connector::remembered`] are as they were, in everything that [`Connector::table`] would say
    /// of them now.
    async fn unchanged(&self, _tables: &[Arc<dyn ConnectorTable>]) -> Result<bool> {
        Ok(false)
    }

    /// A table as it was: `FOR VERSION AS OF 'version'`. What a version is called is up to the source; `None` when there is no
    /// such table.
    async fn table_at(&self, _schema: &str, _table: &str, _version: &str) -> Result<Option<Arc<dyn ConnectorTable>>> {
        Err(ConnectorError::user(format!("the connector {} keeps no versions of tables", self.kind()))
            .hint("leave FOR VERSION AS OF out"))
    }

    /// What the version that a table has now is called; `None` when there is no such table.
    async fn version_of(&self, _schema: &str, _table: &str) -> Result<Option<String>> {
        Err(ConnectorError::user(format!("the connector {} keeps no versions of tables", self.kind())))
    }

    /// The rows that are added to a table from now on, without end: `FOLLOW`; or from a place in it that the source calls so:
    /// `FOLLOW SINCE 'place'`. `None` when there is no such table.
    async fn table_following(
        &self,
        _schema: &str,
        _table: &str,
        _since: Option<&str>,
    ) -> Result<Option<Arc<dyn ConnectorTable>>> {
        Err(ConnectorError::user(format!(
            "the connector {} does not tell which rows are added to a table",
            self.kind()
        ))
        .hint("leave FOLLOW out: it follows topics of Kafka"))
    }

    /// The rows of a query in the source's own language, as a table: `catalog.system.query('...')`. The source says what its
    /// columns are and that it only reads; its rows are not asked for yet.
    async fn native(&self, _query: &str) -> Result<Arc<dyn ConnectorTable>> {
        Err(ConnectorError::user(format!("the connector {} takes no queries in a language of its own", self.kind()))
            .hint("name the table instead: catalog.schema.table"))
    }

    /// Freezes the source's position. Called at most once per query, before its first scan of this catalog. It may be the
    /// position of any moment from the call to the first answer that is taken from the snapshot: a source need not be
    /// waited for here.
    async fn begin(&self, query: &QueryContext) -> Result<Arc<dyn Snapshot>>;

    /// Reads one split. Returns at once: work starts when the stream is first polled and ends, on the source too,
    /// when the stream is dropped. Batches have exactly `context.schema` and at most `context.batch_rows` rows.
    fn read(&self, split: &Split, context: ReadContext) -> Result<SendableRecordBatchStream>;

    /// How many splits behind the one whose rows are taken are opened and started as well, now: one, where reading is mostly
    /// waiting for answers and there is room for more of them. Asked again and again while a scan runs.
    fn splits_ahead(&self) -> usize {
        0
    }

    /// The split without rows for which one of the filters does not hold, as far as the source can leave them out. Called
    /// while the query runs, when a join knows which keys have a partner, for every split of the scan with the same filters.
    fn narrow(&self, _split: &Split, _filters: &[KeyFilter]) -> Result<Narrowed> {
        Ok(Narrowed::Unchanged)
    }

    /// What to do so that statements can change the source, where they cannot now and something can be done: a clause.
    fn how_to_write(&self) -> Option<&'static str> {
        None
    }

    /// How statements change the source; `None` where they cannot.
    fn writable(&self) -> Option<&dyn WritableCatalog> {
        None
    }

    /// What the source charges for requests, where the catalog file has its prices.
    fn charge(&self, _requests: &[RequestCount]) -> Option<Charge> {
        None
    }

    /// The procedures that `CALL catalog.system.procedure(...)` finds.
    fn procedures(&self) -> &'static [ProcedureSpec] {
        &[]
    }

    /// Runs one of the procedures. The arguments are those that it declares, the required ones among them. Returns what was
    /// done, as one short sentence without a final stop.
    async fn call(&self, procedure: &str, _arguments: &Arguments) -> Result<String> {
        Err(ConnectorError::internal(format!("the connector {} has no procedure {procedure}", self.kind())))
    }
}

/// What a plan may use besides the request.
pub struct PlanContext<'a> {
    /// The session: configuration, runtime environment, object stores.
    pub session: &'a dyn Session,
    /// What [`Connector::begin`] froze for this query.
    pub snapshot: Arc<dyn Snapshot>,
}

impl Debug for PlanContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanContext").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

/// What a read may use besides the split.
#[derive(Clone, Debug)]
pub struct ReadContext {
    /// The columns to produce, in order.
    pub schema: SchemaRef,
    /// The most rows that a batch may have.
    pub batch_rows: usize,
    /// Where the reader counts what the source sent.
    pub metrics: SourceMetrics,
}

/// A table as one query sees it.
#[async_trait]
pub trait ConnectorTable: Any + Debug + Send + Sync {
    /// The full name, as the source spells it.
    fn name(&self) -> &TableName;

    /// Table or view.
    fn kind(&self) -> TableKind;

    /// The columns, visible ones first, then hidden ones.
    fn columns(&self) -> &[Column];

    /// Columns that exist in the source and cannot be read.
    fn unsupported_columns(&self) -> &[UnsupportedColumn] {
        &[]
    }

    /// What `SHOW CREATE TABLE` prints, in the source's own language. Never with secrets.
    fn definition(&self) -> Option<String> {
        None
    }

    /// The order in which the table takes rows of these of its columns; empty where it takes them as they come.
    fn order_of_rows(&self, _columns: &[usize]) -> RowOrder {
        Vec::new()
    }

    /// What the source knows of the table's size; `None` when it knows nothing.
    async fn statistics(&self) -> Result<Option<TableStatistics>> {
        Ok(None)
    }

    /// Whether its rows have no end, since new ones are waited for: [`Scan::Endless`](crate::Scan::Endless).
    fn is_endless(&self) -> bool {
        false
    }

    /// What the source does with one conjunct. A pure function of the conjunct: the optimizer asks many times and
    /// never tells what it was answered before. Columns are matched by name; their qualifier is an alias.
    fn judge(&self, conjunct: &Expr) -> Verdict;

    /// The request with the operator folded into it, or why the source does not take it. Called after the filters
    /// are settled; a limit must be refused while any filter is not exact.
    fn fold(&self, request: &ScanRequest, operator: &Fold) -> Result<ScanRequest, Reason>;

    /// The request as a relation over which the source computes more; `None` where it only scans.
    fn relation(&self, _request: &ScanRequest) -> Option<Arc<dyn Relation>> {
        None
    }

    /// Plans the scan: renders the request, lists splits or files. May talk to the source.
    async fn plan(&self, request: &ScanRequest, context: &PlanContext<'_>) -> Result<SourcePlan>;
}

impl dyn ConnectorTable {
    /// The table as its connector made it.
    pub fn downcast_ref<T: ConnectorTable>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

impl dyn ConnectorTable {
    /// The schema of all columns, hidden ones included.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns().iter().map(|column| Arc::clone(&column.field)).collect::<Vec<_>>()))
    }

    /// A column and its index, by exact name.
    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns().iter().enumerate().find(|(_, column)| column.name() == name)
    }
}

/// The connectors of one query, by catalog name. A leaf finds its own here, through the session's configuration, so
/// that the plan itself holds no live handles.
#[derive(Clone, Debug, Default)]
pub struct Connectors {
    by_catalog: HashMap<String, Arc<dyn Connector>>,
}

impl Connectors {
    /// Collects connectors by catalog name.
    pub fn new(by_catalog: impl IntoIterator<Item = (String, Arc<dyn Connector>)>) -> Self {
        Self { by_catalog: by_catalog.into_iter().collect() }
    }

    /// The connector of a catalog.
    pub fn get(&self, catalog: &str) -> Option<&Arc<dyn Connector>> {
        self.by_catalog.get(catalog)
    }
}
