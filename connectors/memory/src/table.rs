//! A table as a query sees it.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use async_trait::async_trait;
use datafusion::logical_expr::Expr;
use portolan_connector::{
    Column, ConnectorError, ConnectorTable, Domain, Estimate, Fold, PlanContext, Reason, Result, Scan, ScanRequest,
    SourcePlan, Split, TableKind, TableName, TableStatistics, Verdict,
};
use serde::{Deserialize, Serialize};

use crate::store::{Moment, TableData};

/// The domain of all columns.
pub(crate) const MEMORY: Domain = Domain("column in memory");

/// Why the engine filters by itself.
pub(crate) const FILTERS_STAY: &str = "the rows are in the engine's own memory, where it filters them itself";

/// What a split reads: some chunks of a table at one moment.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Read {
    /// The moment: see [`TableData::version`].
    pub(crate) version: u64,
    /// The first chunk.
    pub(crate) first: usize,
    /// The chunk behind the last.
    pub(crate) end: usize,
    /// Indexes into the table's columns.
    pub(crate) columns: Vec<usize>,
    /// At most this many rows.
    pub(crate) limit: Option<usize>,
}

/// See the module's comment.
#[derive(Debug)]
pub(crate) struct MemoryTable {
    name: TableName,
    pub(crate) data: Arc<TableData>,
    columns: Vec<Column>,
}

impl MemoryTable {
    pub(crate) fn new(name: TableName, data: Arc<TableData>) -> Self {
        let fields = data.columns.fields().iter();
        let columns = fields.map(|field| Column::new(Arc::clone(field), field.data_type().to_string(), MEMORY));
        Self { name, columns: columns.collect(), data }
    }

    fn split(&self, data: &TableData, request: &ScanRequest, chunks: std::ops::Range<usize>) -> Result<Split> {
        let rows = data.chunks.get(chunks.clone()).unwrap_or_default();
        let rows = rows.iter().map(|chunk| chunk.rows.num_rows() as u64).sum();
        let read = Read {
            version: data.version,
            first: chunks.start,
            end: chunks.end,
            columns: request.projection.clone(),
            limit: request.limit,
        };
        let payload = serde_json::to_value(read)
            .map_err(|error| ConnectorError::internal("cannot write a split").said(error).in_table(&self.name))?;
        Ok(Split { payload, label: format!("chunks {}..{}", chunks.start, chunks.end), rows: Some(rows) })
    }
}

#[async_trait]
impl ConnectorTable for MemoryTable {
    fn name(&self) -> &TableName {
        &self.name
    }

    fn kind(&self) -> TableKind {
        TableKind::Table
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    async fn statistics(&self) -> Result<Option<TableStatistics>> {
        Ok(Some(TableStatistics {
            rows: Some(self.data.rows()),
            bytes: Some(self.data.bytes()),
            origin: "the rows themselves".to_owned(),
            ..TableStatistics::default()
        }))
    }

    fn judge(&self, _conjunct: &Expr) -> Verdict {
        Verdict::refused(FILTERS_STAY)
    }

    fn fold(&self, request: &ScanRequest, operator: &Fold) -> Result<ScanRequest, Reason> {
        let Fold::Limit(rows) = operator;
        if request.filters.iter().any(|filter| filter.verdict != Verdict::Exact) {
            return Err(Reason::from("rows that a filter above removes do not count"));
        }
        let limit = request.limit.map_or(*rows, |limit| limit.min(*rows));
        Ok(ScanRequest { limit: Some(limit), ..request.clone() })
    }

    async fn plan(&self, request: &ScanRequest, context: &PlanContext<'_>) -> Result<SourcePlan> {
        let moment = context.snapshot.downcast_ref::<Moment>().ok_or_else(|| {
            ConnectorError::internal("cannot plan the scan").said("the snapshot is another's").in_table(&self.name)
        })?;
        // Between the look-up and the snapshot the table may have got rows, or be another one.
        let data = moment.table(&self.name.schema, &self.name.table).filter(|data| data.id == self.data.id);
        let data = data.ok_or_else(|| {
            ConnectorError::user("the table was dropped or replaced while the query was planned")
                .hint("run the query again")
                .in_table(&self.name)
        })?;
        let parts = context.session.config().target_partitions().clamp(1, data.chunks.len().max(1));
        let per_part = data.chunks.len().div_ceil(parts).max(1);
        let starts = (0..data.chunks.len()).step_by(per_part);
        let splits = starts.map(|start| self.split(data, request, start..(start + per_part).min(data.chunks.len())));
        let fields = request.projection.iter().filter_map(|index| self.columns.get(*index));
        let limit = request.limit.map_or(u64::MAX, |rows| rows as u64);
        Ok(SourcePlan {
            requests: Vec::new(),
            filterable: Vec::new(),
            pauses: true,
            schema: Arc::new(Schema::new(fields.map(|column| Arc::clone(&column.field)).collect::<Vec<FieldRef>>())),
            scan: Scan::Splits(splits.collect::<Result<_>>()?),
            request: None,
            remote_filters: vec![None; request.filters.len()],
            units: Vec::new(),
            estimate: Estimate { rows: Some(data.rows().min(limit)), bytes: None, works: None },
        })
    }
}
