//! The source of a format with two changes: errors name the file, and floating-point numbers are only read. It
//! neither prunes by their statistics, which leave out NaN in Parquet files, nor computes from them.

use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpener, FileScanConfig, FileSource, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::expressions::{Column, IsNotNullExpr, IsNullExpr};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr_common::sort_expr::PhysicalSortExpr;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::{DisplayFormatType, PhysicalExpr, SortOrderPushdownResult};
use datafusion_datasource::morsel::{Morsel, MorselPlan, MorselPlanner, Morselizer};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::ObjectStore;
use object_store::path::Path;
use portolan_connector::TableName;

use crate::error::{Stage, file_error};
use crate::keyed::{KEYLESS, Keys};
use crate::late::{keys_first, pays};
use crate::portion::{CONTINUED, Portions};
use crate::store::Store;

/// What errors of a scan need to know. Keeps the store registered for as long as a plan may use it.
#[derive(Debug)]
pub(crate) struct ScanContext {
    pub(crate) store: Arc<Store>,
    /// The store from which the files are read.
    pub(crate) files: Arc<dyn ObjectStore>,
    pub(crate) table: TableName,
    /// How many values the columns of the files have, where that is known.
    pub(crate) distinct: Vec<Option<u64>>,
    /// What to check when a file cannot be read.
    pub(crate) advice: String,
    /// How Parquet files are cut.
    pub(crate) portions: Portions,
}

impl ScanContext {
    fn explain(&self, file: &Path, stage: Stage, error: DataFusionError) -> DataFusionError {
        let redact = |text: &str| self.store.redact(text);
        let error = file_error(&self.store.display(file), stage, error, &self.table, &self.advice, redact);
        // Whatever is wrong with a file, a listing that others would take from the cache may be out of date.
        if let Some((directory, _)) = file.as_ref().rsplit_once('/')
            && let Ok(directory) = Path::parse(directory)
        {
            self.store.caches().forget_directory(&directory);
        }
        error
    }
}

/// The source of a scan of one table.
#[derive(Clone)]
pub(crate) struct LakeSource {
    inner: Arc<dyn FileSource>,
    context: Arc<ScanContext>,
    /// Predicates that the inner source has. The engine offers those of the request once more.
    known: Vec<Arc<dyn PhysicalExpr>>,
}

impl LakeSource {
    pub(crate) fn new(inner: Arc<dyn FileSource>, context: Arc<ScanContext>) -> Self {
        Self { inner, context, known: Vec::new() }
    }

    fn over(&self, inner: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
        Arc::new(Self { inner, ..self.clone() })
    }
}

impl FileSource for LakeSource {
    fn create_file_opener(
        &self,
        _store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        self.inner.create_file_opener(Arc::clone(&self.context.files), config, partition)
    }

    fn create_morselizer(
        &self,
        _store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        let store = Arc::clone(&self.context.files);
        let inner = self.inner.create_morselizer(Arc::clone(&store), config, partition)?;
        let late = match self.inner.downcast_ref::<ParquetSource>() {
            Some(parquet) => match parquet.filter() {
                Some(predicate) => Some(LateMorselizer {
                    inner: parquet
                        .with_predicate(keys_first(&predicate))
                        .with_pushdown_filters(true)
                        .create_morselizer(store, config, partition)?,
                    predicate,
                    pays: OnceLock::new(),
                    keys: OnceLock::new(),
                    schema: Arc::clone(self.inner.table_schema().table_schema()),
                }),
                None => None,
            },
            None => None,
        };
        let continued = MetricBuilder::new(self.inner.metrics()).counter(CONTINUED, partition);
        let keyless = MetricBuilder::new(self.inner.metrics()).counter(KEYLESS, partition);
        Ok(Box::new(LakeMorselizer { inner, late, context: Arc::clone(&self.context), continued, keyless }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.inner.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        self.over(self.inner.with_batch_size(batch_size))
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.inner.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.inner.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn file_type(&self) -> &str {
        self.inner.file_type()
    }

    fn fmt_extra(&self, format: DisplayFormatType, f: &mut Formatter<'_>) -> fmt::Result {
        self.inner.fmt_extra(format, f)
    }

    fn supports_repartitioning(&self) -> bool {
        self.inner.supports_repartitioning()
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let schema = self.inner.table_schema().file_schema();
        // Minimum and maximum leave out NaN, which the engine takes for the largest value: a row group whose largest
        // number is 5 may match `f > 10`. A filter known only at run time is no different.
        let useful = |filter: &Arc<dyn PhysicalExpr>| !self.known.contains(filter) && !reads_floats(filter, schema);
        let wanted: Vec<bool> = filters.iter().map(useful).collect();
        let offered: Vec<_> =
            filters.into_iter().zip(&wanted).filter_map(|(filter, wanted)| wanted.then_some(filter)).collect();
        if offered.is_empty() {
            return Ok(FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; wanted.len()]));
        }
        let answer = self.inner.try_pushdown_filters(offered.clone(), config)?;
        let mut answers = answer.filters.into_iter();
        let filters = wanted
            .into_iter()
            .map(|wanted| if wanted { answers.next().unwrap_or(PushedDown::No) } else { PushedDown::No })
            .collect();
        let updated = answer.updated_node.map(|inner| {
            let known = self.known.iter().cloned().chain(offered).collect();
            Arc::new(Self { inner, known, ..self.clone() }) as Arc<dyn FileSource>
        });
        Ok(FilterPushdownPropagation { filters, updated_node: updated })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        equivalences: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        Ok(match self.inner.try_pushdown_sort(order, equivalences)? {
            SortOrderPushdownResult::Exact { inner } => SortOrderPushdownResult::Exact { inner: self.over(inner) },
            SortOrderPushdownResult::Inexact { inner } => SortOrderPushdownResult::Inexact { inner: self.over(inner) },
            SortOrderPushdownResult::Unsupported => SortOrderPushdownResult::Unsupported,
        })
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.inner.reorder_files(files)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        // The leaf turns negative zeros and NaNs into the engine's own after the scan, so nothing is computed from
        // them in the scan.
        let schema = self.inner.table_schema().file_schema();
        let computes_floats = |expr: &Arc<dyn PhysicalExpr>| !expr.is::<Column>() && reads_floats(expr, schema);
        if projection.iter().any(|projected| computes_floats(&projected.expr)) {
            return Ok(None);
        }
        Ok(self.inner.try_pushdown_projection(projection)?.map(|inner| self.over(inner)))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.inner.apply_expressions(f)
    }
}

/// Whether the expression depends on the value of a floating-point column of the files, and not only on whether it is
/// NULL.
fn reads_floats(expr: &Arc<dyn PhysicalExpr>, file_schema: &Schema) -> bool {
    let mut found = false;
    // The closure never fails.
    let _ = expr.apply(|expr| {
        if expr.is::<IsNullExpr>() || expr.is::<IsNotNullExpr>() {
            return Ok(TreeNodeRecursion::Jump);
        }
        if let Some(column) = expr.downcast_ref::<Column>() {
            let field = file_schema.field_with_name(column.name());
            found |= field.is_ok_and(|field| holds_floats(field.data_type()));
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

fn holds_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => holds_floats(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_floats(field.data_type())),
        DataType::Dictionary(_, value) => holds_floats(value),
        _ => false,
    }
}

/// Opens files and adds their names to errors.
#[derive(Debug)]
struct LakeMorselizer {
    inner: Box<dyn Morselizer>,
    late: Option<LateMorselizer>,
    context: Arc<ScanContext>,
    /// Row groups of which another part reads the beginning.
    continued: Count,
    /// Row groups that have none of the keys of a join.
    keyless: Count,
}

/// Filters the rows of files while they are decoded.
#[derive(Debug)]
struct LateMorselizer {
    inner: Box<dyn Morselizer>,
    predicate: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    /// Whether it pays, as it was found when the first file was opened: by then joins have told their keys.
    pays: OnceLock<bool>,
    /// The keys that joins had told by then.
    keys: OnceLock<Keys>,
}

impl LakeMorselizer {
    /// The way to read the next file.
    fn way(&self) -> &dyn Morselizer {
        let pay = |late: &LateMorselizer| pays(&late.predicate, &late.schema, &self.context.distinct);
        let late = self.late.as_ref().filter(|late| *late.pays.get_or_init(|| pay(late)));
        late.map_or(&self.inner, |late| &late.inner).as_ref()
    }

    /// The file without the pages that have no key of a join that knows its keys by now.
    fn without_keyless(&self, file: PartitionedFile) -> PartitionedFile {
        let Some(late) = &self.late else { return file };
        let keys = late.keys.get_or_init(|| Keys::of(&late.predicate, &late.schema));
        match self.context.portions.known_footer(&file.object_meta).filter(|_| !keys.is_empty()) {
            Some(footer) => keys.narrow(file, &footer, &self.keyless),
            None => file,
        }
    }
}

impl Morselizer for LakeMorselizer {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        let named = NamedFile { context: Arc::clone(&self.context), path: file.object_meta.location.clone() };
        let file = self.without_keyless(self.context.portions.narrow(file, &self.continued));
        match self.way().plan_file(file) {
            Ok(inner) => Ok(Box::new(LakePlanner { inner, file: named })),
            Err(error) => Err(named.explain(Stage::Open, error)),
        }
    }
}

#[derive(Clone, Debug)]
struct NamedFile {
    context: Arc<ScanContext>,
    path: Path,
}

impl NamedFile {
    fn explain(&self, stage: Stage, error: DataFusionError) -> DataFusionError {
        self.context.explain(&self.path, stage, error)
    }
}

#[derive(Debug)]
struct LakePlanner {
    inner: Box<dyn MorselPlanner>,
    file: NamedFile,
}

impl LakePlanner {
    fn wrap(inner: Box<dyn MorselPlanner>, file: &NamedFile) -> Box<dyn MorselPlanner> {
        Box::new(Self { inner, file: file.clone() })
    }
}

impl MorselPlanner for LakePlanner {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let Self { inner, file } = *self;
        let Some(mut plan) = inner.plan().map_err(|error| file.explain(Stage::Open, error))? else {
            return Ok(None);
        };
        let morsels = plan
            .take_morsels()
            .into_iter()
            .map(|inner| Box::new(LakeMorsel { inner, file: file.clone() }) as Box<dyn Morsel>)
            .collect();
        let planners = plan.take_ready_planners().into_iter().map(|inner| Self::wrap(inner, &file)).collect();
        let mut wrapped = MorselPlan::new().with_morsels(morsels).with_planners(planners);
        if let Some(pending) = plan.take_pending_planner() {
            wrapped.set_pending_planner(async move {
                match pending.await {
                    Ok(inner) => Ok(Self::wrap(inner, &file)),
                    Err(error) => Err(file.explain(Stage::Open, error)),
                }
            });
        }
        Ok(Some(wrapped))
    }
}

struct LakeMorsel {
    inner: Box<dyn Morsel>,
    file: NamedFile,
}

impl Debug for LakeMorsel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeMorsel").field("file", &self.file.path).finish_non_exhaustive()
    }
}

impl Morsel for LakeMorsel {
    fn into_stream(self: Box<Self>) -> BoxStream<'static, Result<RecordBatch>> {
        let Self { inner, file } = *self;
        inner.into_stream().map(move |batch| batch.map_err(|error| file.explain(Stage::Read, error))).boxed()
    }
}
