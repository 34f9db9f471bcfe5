//! The source of a scan over files that are read from beginning to end, one after the other: all formats but
//! Parquet. A format reads the columns that are asked for; partition columns and expressions are put on top.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::{DisplayFormatType, PhysicalExpr};
use datafusion_datasource::projection::{ProjectionOpener, SplitProjection};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use object_store::{ObjectMeta, ObjectStore};

use super::ruled_out::Filters;

/// How many rows a batch has where the engine does not say.
const BATCH_ROWS: usize = 8192;

/// The batches of one file.
pub(crate) type Batches = BoxStream<'static, Result<RecordBatch>>;

/// One file to read.
pub(crate) struct OpenFile {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) file: ObjectMeta,
    /// All columns of the table that files have.
    pub(crate) schema: SchemaRef,
    /// The places in `schema` of the columns to read. Batches have these, in this order.
    pub(crate) columns: Vec<usize>,
    pub(crate) batch_rows: usize,
    /// Whether a value that the column's type does not hold is NULL.
    pub(crate) null_on_mismatch: bool,
    /// Counts the bytes that are read.
    pub(crate) scanned: Count,
}

/// A format whose files are read from beginning to end.
pub(crate) trait RowFormat: Debug + Send + Sync {
    /// The format's name in plans.
    fn name(&self) -> &'static str;

    /// Opens a file.
    fn open(&self, file: OpenFile) -> BoxFuture<'static, Result<Batches>>;
}

/// The source of a scan.
#[derive(Clone)]
pub(crate) struct RowSource {
    table_schema: TableSchema,
    format: Arc<dyn RowFormat>,
    projection: SplitProjection,
    batch_rows: usize,
    null_on_mismatch: bool,
    filters: Filters,
    metrics: ExecutionPlanMetricsSet,
}

impl RowSource {
    pub(crate) fn new(table_schema: TableSchema, format: Arc<dyn RowFormat>, null_on_mismatch: bool) -> Self {
        Self {
            projection: SplitProjection::unprojected(&table_schema),
            filters: Filters::new(&table_schema),
            table_schema,
            format,
            batch_rows: BATCH_ROWS,
            null_on_mismatch,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl FileSource for RowSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        _config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let schema = self.table_schema.file_schema();
        let opener = RowOpener {
            scanned: MetricBuilder::new(&self.metrics).counter("bytes_scanned", partition),
            store,
            format: Arc::clone(&self.format),
            schema: Arc::clone(schema),
            columns: self.projection.file_indices.clone(),
            batch_rows: self.batch_rows,
            null_on_mismatch: self.null_on_mismatch,
        };
        let projected = ProjectionOpener::try_new(self.projection.clone(), Arc::new(opener), schema)?;
        let schema = Arc::new(self.projection.source.project_schema(self.table_schema.table_schema())?);
        Ok(Arc::new(PlannedOpener { projected, schema, filters: self.filters.clone() }))
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table_schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_rows: batch_size, ..self.clone() })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        self.format.name()
    }

    fn fmt_extra(&self, _format: DisplayFormatType, _f: &mut Formatter<'_>) -> fmt::Result {
        Ok(())
    }

    /// A file is read as a whole: where a record begins in the middle of one cannot always be told, and what lies
    /// before it says which line it is.
    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        let projection = SplitProjection::new(self.table_schema.file_schema(), &merged);
        Ok(Some(Arc::new(Self { projection, ..self.clone() })))
    }

    /// All filters stay with the engine. Those on columns with one value in a whole file are remembered: they may rule it out.
    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let answer = FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; filters.len()]);
        let useful: Vec<_> = filters.into_iter().filter(|filter| self.filters.concerns(filter)).collect();
        if useful.is_empty() {
            return Ok(answer);
        }
        let source: Arc<dyn FileSource> = Arc::new(Self { filters: self.filters.and(useful), ..self.clone() });
        Ok(answer.with_updated_node(source))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let projected = self.projection.source.iter().map(|projected| &projected.expr);
        datafusion::physical_plan::apply_expression_roots(projected.chain(self.filters.all()), f)
    }
}

struct RowOpener {
    store: Arc<dyn ObjectStore>,
    format: Arc<dyn RowFormat>,
    schema: SchemaRef,
    columns: Vec<usize>,
    batch_rows: usize,
    null_on_mismatch: bool,
    scanned: Count,
}

impl FileOpener for RowOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        Ok(self.format.open(OpenFile {
            store: Arc::clone(&self.store),
            file: file.object_meta,
            schema: Arc::clone(&self.schema),
            columns: self.columns.clone(),
            batch_rows: self.batch_rows,
            null_on_mismatch: self.null_on_mismatch,
            scanned: self.scanned.clone(),
        }))
    }
}

/// Opens files that may have wanted rows, and gives batches the planned schema: the projection knows a partition's value, and takes the column for one that is
/// never NULL.
struct PlannedOpener {
    projected: Arc<dyn FileOpener>,
    schema: SchemaRef,
    filters: Filters,
}

impl FileOpener for PlannedOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        if self.filters.rule_out(&file) {
            return Ok(async { Ok(futures::stream::empty().boxed()) }.boxed());
        }
        let opened = self.projected.open(file)?;
        let schema = Arc::clone(&self.schema);
        let planned = async move {
            let batches = opened.await?.map(move |batch| {
                let batch = batch?;
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                let columns = batch.columns().to_vec();
                Ok(RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?)
            });
            Ok(batches.boxed())
        };
        Ok(planned.boxed())
    }
}
