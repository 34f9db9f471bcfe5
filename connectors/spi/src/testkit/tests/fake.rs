//! A connector over a few rows in memory. It evaluates what it takes with the engine itself, so that it is right
//! unless told to lie.

mod judge;
mod lie;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int16Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    UInt64Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::common::DFSchema;
use datafusion::common::cast::as_boolean_array;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

pub(super) use self::lie::Lie;
use crate::{
    Capabilities, Column, Connector, ConnectorError, ConnectorTable, Domain, Estimate, Fold, Operation, PlanContext,
    QueryContext, ReadContext, Reason, Result, Rule, Scan, ScanRequest, Snapshot, SourcePlan, Split, TableEntry,
    TableKind, TableName, Verdict,
};

pub(super) const INTEGER: Domain = Domain("integer");
pub(super) const FLOAT: Domain = Domain("float");
pub(super) const TEXT: Domain = Domain("text");
pub(super) const BOOLEAN: Domain = Domain("boolean");
const UUID: Domain = Domain("uuid");

/// Rows of one split.
const SPLIT_ROWS: usize = 4;

/// One table, which is its own connector.
#[derive(Debug)]
pub(super) struct Fake {
    lie: Lie,
    name: TableName,
    columns: Vec<Column>,
    capabilities: Capabilities,
    rows: RecordBatch,
    /// How often it was asked to judge.
    judged: AtomicUsize,
}

impl Fake {
    pub(super) fn new(lie: Lie) -> Self {
        let fields = [
            ("id", DataType::Int64, false, INTEGER),
            ("small", DataType::Int16, true, INTEGER),
            ("score", DataType::Float64, true, FLOAT),
            ("name", DataType::Utf8, true, TEXT),
            ("flag", DataType::Boolean, true, BOOLEAN),
        ];
        let mut columns: Vec<Column> = fields
            .map(|(name, data_type, nullable, domain)| {
                Column::new(Arc::new(Field::new(name, data_type, nullable)), "fake", domain)
            })
            .into();
        columns
            .push(Column::new(Arc::new(Field::new("_row", DataType::Int64, false)), "fake", INTEGER).hidden("the row"));
        let schema = Arc::new(Schema::new(columns.iter().map(|column| Arc::clone(&column.field)).collect::<Vec<_>>()));
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![0, 1, -7, i64::MAX, i64::MIN, 5, 6, 7, 8, 9])),
            Arc::new(Int16Array::from(vec![
                Some(0),
                None,
                Some(-7),
                Some(i16::MAX),
                Some(1),
                None,
                Some(1),
                Some(2),
                Some(3),
                Some(4),
            ])),
            Arc::new(Float64Array::from(vec![
                Some(0.0),
                None,
                Some(1.5),
                Some(f64::NAN),
                Some(f64::INFINITY),
                Some(f64::NEG_INFINITY),
                Some(-1.5),
                Some(f64::MAX),
                Some(f64::MIN_POSITIVE),
                None,
            ])),
            Arc::new(StringArray::from(vec![
                Some("a"),
                Some("A"),
                Some(""),
                None,
                Some(" "),
                Some("it's"),
                Some("a%b"),
                Some("ą"),
                Some("x "),
                Some("x"),
            ])),
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                None,
                Some(true),
                None,
                Some(false),
                Some(true),
                Some(true),
                None,
                Some(false),
            ])),
            Arc::new(Int64Array::from_iter_values(0..10)),
        ];
        Self {
            lie,
            name: TableName::new("memory", "main", "t"),
            columns,
            capabilities: capabilities(lie),
            rows: RecordBatch::try_new(schema, arrays).unwrap(),
            judged: AtomicUsize::new(0),
        }
    }

    /// Whether the source finds each row to match, as it understands the conjunct.
    fn matches(&self, expr: &Expr) -> Vec<bool> {
        let schema = DFSchema::try_from(self.rows.schema()).unwrap();
        let context = PhysicalPlanningContext::default();
        let predicate = create_physical_expr(expr, &schema, &ExecutionProps::new(), &context).unwrap();
        let mask = predicate.evaluate(&self.rows).unwrap().into_array(self.rows.num_rows()).unwrap();
        as_boolean_array(&mask).unwrap().iter().map(|value| value == Some(true)).collect()
    }

    /// The rows that a request returns, by number.
    fn kept(&self, request: &ScanRequest) -> (Vec<usize>, Vec<Option<String>>) {
        let mut kept: Vec<usize> = (0..self.rows.num_rows()).collect();
        let mut remotes = Vec::new();
        for (index, filter) in request.filters.iter().enumerate() {
            let understood = self.lie.understands(&filter.expression);
            let matches = self.matches(&understood);
            let lost = self.lie == Lie::SecondFilterIsLost && index > 0;
            // Pruning goes by pairs of rows: one that matches keeps the other.
            kept.retain(|row| match filter.verdict {
                _ if lost => true,
                Verdict::Pruning if self.lie != Lie::PruningSkipsMatches => matches[row & !1] || matches[row | 1],
                Verdict::Pruning => matches[row & !1],
                _ => matches[*row],
            });
            remotes.push(Some(understood.to_string()));
        }
        let limit = match (request.limit, self.lie) {
            (Some(limit), Lie::LimitTooLow) => limit.saturating_sub(1),
            (Some(limit), lie) if lie != Lie::LimitIgnored => limit,
            _ => usize::MAX,
        };
        kept.truncate(limit);
        (kept, remotes)
    }
}

fn capabilities(lie: Lie) -> Capabilities {
    use Operation as O;
    let mut rules: Vec<Rule> = Vec::new();
    let comparisons = [O::Eq, O::NotEq, O::Lt, O::LtEq, O::Gt, O::GtEq];
    for domain in [INTEGER, FLOAT] {
        rules.extend(comparisons.map(|operation| Rule::exact(operation, Some(domain))));
        rules.extend([O::In, O::Between].map(|operation| Rule::exact(operation, Some(domain))));
    }
    rules.extend([O::Eq, O::NotEq, O::In, O::Like].map(|operation| Rule::exact(operation, Some(TEXT)).when("no NUL")));
    rules.extend([O::Lt, O::LtEq, O::Gt, O::GtEq].map(|operation| Rule::pruning(operation, Some(TEXT))));
    rules.extend([
        Rule::refused(O::Regex, Some(TEXT), "regular expressions differ"),
        Rule::exact(O::Truth, Some(BOOLEAN)),
        Rule::exact(O::IsNull, None),
        Rule::exact(O::IsNotNull, None),
        Rule::exact(O::And, None),
        Rule::exact(O::Or, None),
        Rule::exact(O::Not, None),
        Rule::exact(O::Limit, None),
    ]);
    if lie == Lie::RuleWithoutColumns {
        rules.push(Rule::exact(O::Eq, Some(UUID)));
    }
    Capabilities::new(rules)
}

#[derive(Debug)]
struct Whenever;

impl Snapshot for Whenever {
    fn describe(&self) -> Option<String> {
        None
    }
}

#[async_trait]
impl Connector for Fake {
    fn kind(&self) -> &'static str {
        "fake"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        Ok(vec![self.name.schema.clone()])
    }

    async fn list_tables(&self, _schema: &str) -> Result<Vec<TableEntry>> {
        Ok(vec![TableEntry { name: self.name.table.clone(), kind: TableKind::Table }])
    }

    async fn table(&self, _schema: &str, _table: &str) -> Result<Option<Arc<dyn ConnectorTable>>> {
        Ok(None)
    }

    async fn begin(&self, _query: &QueryContext) -> Result<Arc<dyn Snapshot>> {
        Ok(Arc::new(Whenever))
    }

    fn read(&self, split: &Split, context: ReadContext) -> Result<SendableRecordBatchStream> {
        let numbers: Vec<u64> = serde_json::from_value(split.payload.clone()).unwrap();
        let rows = take_record_batch(&self.rows, &UInt64Array::from(numbers)).unwrap();
        let mut indexes: Vec<usize> =
            context.schema.fields().iter().map(|field| self.rows.schema().index_of(field.name()).unwrap()).collect();
        if self.lie == Lie::ColumnsInTableOrder {
            indexes.sort_unstable();
        }
        let count = if indexes.is_empty() && self.lie == Lie::NoRowsWithoutColumns { 0 } else { rows.num_rows() };
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let columns = indexes.iter().map(|index| Arc::clone(rows.column(*index))).collect();
        let schema = Arc::new(rows.schema().project(&indexes).unwrap());
        let rows = RecordBatch::try_new_with_options(schema, columns, &options).unwrap();
        let size = if self.lie == Lie::BatchesOfAnySize { usize::MAX } else { context.batch_rows };
        let mut batches = Vec::new();
        let mut start = 0;
        while start < rows.num_rows() {
            let length = size.min(rows.num_rows() - start);
            batches.push(Ok(rows.slice(start, length)));
            start += length;
        }
        Ok(Box::pin(RecordBatchStreamAdapter::new(context.schema, futures::stream::iter(batches))))
    }
}

#[async_trait]
impl ConnectorTable for Fake {
    fn name(&self) -> &TableName {
        &self.name
    }

    fn kind(&self) -> TableKind {
        TableKind::Table
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn judge(&self, conjunct: &Expr) -> Verdict {
        self.lie.judge(self, conjunct)
    }

    fn fold(&self, request: &ScanRequest, operator: &Fold) -> Result<ScanRequest, Reason> {
        let Fold::Limit(limit) = operator;
        let exact = request.filters.iter().all(|filter| filter.verdict == Verdict::Exact);
        if !exact && self.lie != Lie::LimitDespitePruning {
            return Err("a filter only prunes".into());
        }
        Ok(ScanRequest { limit: Some(*limit), ..request.clone() })
    }

    async fn plan(&self, request: &ScanRequest, _context: &PlanContext<'_>) -> Result<SourcePlan> {
        if self.lie == Lie::SourceFails && !request.filters.is_empty() {
            return Err(ConnectorError::source("cannot read").said("no space left"));
        }
        let blind = self.lie == Lie::FilterNeedsItsColumn && request.projection.is_empty();
        let request = if blind { &ScanRequest::default() } else { request };
        let (kept, remote_filters) = self.kept(request);
        let splits = kept.chunks(SPLIT_ROWS).map(|rows| Split {
            payload: serde_json::json!(rows),
            label: format!("rows {rows:?}"),
            rows: u64::try_from(rows.len()).ok(),
        });
        let sent: Vec<_> = remote_filters.iter().flatten().cloned().collect();
        Ok(SourcePlan {
            requests: Vec::new(),
            filterable: Vec::new(),
            pauses: true,
            schema: Arc::new((self as &dyn ConnectorTable).schema().project(&request.projection).unwrap()),
            scan: Scan::Splits(splits.collect()),
            request: Some(format!("filter {}", sent.join(" AND "))),
            remote_filters,
            units: Vec::new(),
            estimate: Estimate::default(),
        })
    }
}
