//! `"orders$partitions"`: the partitions of a table with how many files and bytes they have, without reading any.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion_datasource::memory::MemorySourceConfig;
use portolan_connector::{
    Column, ConnectorError, ConnectorTable, Domain, Estimate, Fold, PlanContext, Reason, Result, Scan, ScanRequest,
    SourcePlan, TableKind, TableName, Units, Verdict,
};

use super::HiveTable;
use crate::rules::any_column;
use crate::scan::Found;
use crate::types::sql_name;

/// What stands behind the name of the table.
pub(crate) const PARTITIONS_SUFFIX: &str = "$partitions";

/// The columns that are counted: no rule names their domain.
const COUNTED: Domain = Domain("counted column");

/// The time zone of moments.
const UTC: &str = "UTC";

/// Files, bytes and the time of the last change of a partition.
const COUNTS: [(&str, DataType); 3] = [
    ("file_count", DataType::Int64),
    ("bytes", DataType::Int64),
    ("last_modified", DataType::Timestamp(TimeUnit::Microsecond, None)),
];

/// The partitions of a table, as a table.
#[derive(Debug)]
pub(crate) struct PartitionsTable {
    base: HiveTable,
    name: TableName,
    columns: Vec<Column>,
}

impl PartitionsTable {
    /// The partitions of a table; `None` where it has no partition columns.
    pub(crate) fn of(base: HiveTable) -> Option<Self> {
        if base.partition_columns.is_empty() {
            return None;
        }
        let mut columns: Vec<Column> = base
            .partition_columns
            .iter()
            .filter_map(|partition| base.columns.iter().find(|column| *column.name() == partition.name).cloned())
            .collect();
        for (name, data_type) in COUNTS {
            let data_type = match data_type {
                DataType::Timestamp(unit, _) => DataType::Timestamp(unit, Some(UTC.into())),
                other => other,
            };
            // A partition column of the same name is what the table says it is.
            if columns.iter().all(|column| !column.name().eq_ignore_ascii_case(name)) {
                let sql = sql_name(&data_type);
                columns.push(Column::new(Arc::new(Field::new(name, data_type, true)), sql, COUNTED));
            }
        }
        let name = TableName { table: format!("{}{PARTITIONS_SUFFIX}", base.name.table), ..base.name.clone() };
        Some(Self { base, name, columns })
    }

    fn is_partition(&self, name: &str) -> bool {
        self.base.partition_columns.iter().any(|column| column.name == name)
    }

    /// A row for each of the partitions.
    fn rows(&self, found: &Found) -> Result<RecordBatch> {
        let count = found.values.len();
        let (mut files, mut bytes, mut changed) = (vec![0_i64; count], vec![0_i64; count], vec![None; count]);
        for file in &found.files {
            let at = file.directory;
            if let (Some(files), Some(bytes), Some(changed)) =
                (files.get_mut(at), bytes.get_mut(at), changed.get_mut(at))
            {
                *files += 1;
                *bytes = bytes.saturating_add_unsigned(file.meta.size);
                *changed = (*changed).max(Some(file.meta.last_modified.timestamp_micros()));
            }
        }
        let failed = |error: String| ConnectorError::internal("cannot list the partitions").said(error);
        let column = |column: &Column| -> Result<ArrayRef> {
            Ok(match column.name() {
                name if self.is_partition(name) => {
                    let place = self.base.partition_columns.iter().position(|known| known.name == name);
                    let values = found.values.iter().filter_map(|values| values.get(place?).cloned());
                    ScalarValue::iter_to_array(values).map_err(|error| failed(error.to_string()))?
                }
                "file_count" => Arc::new(Int64Array::from(files.clone())),
                "bytes" => Arc::new(Int64Array::from(bytes.clone())),
                _ => Arc::new(TimestampMicrosecondArray::from(changed.clone()).with_timezone(UTC)),
            })
        };
        let columns = self.columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new(self.schema(), columns).map_err(|error| failed(error.to_string()))
    }

    fn schema(&self) -> Arc<Schema> {
        let fields: Vec<FieldRef> = self.columns.iter().map(|column| Arc::clone(&column.field)).collect();
        Arc::new(Schema::new(fields))
    }

    fn native(&self, found: &Found, projection: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
        let failed = |error: String| ConnectorError::internal("cannot plan the list of partitions").said(error);
        if found.values.is_empty() {
            let schema = self.schema().project(projection).map_err(|error| failed(error.to_string()))?;
            return Ok(Arc::new(EmptyExec::new(Arc::new(schema))));
        }
        let rows = self.rows(found)?;
        let plan = MemorySourceConfig::try_new_exec(&[vec![rows]], self.schema(), Some(projection.to_vec()));
        Ok(plan.map_err(|error| failed(error.strip_backtrace()))?)
    }
}

#[async_trait]
impl ConnectorTable for PartitionsTable {
    fn name(&self) -> &TableName {
        &self.name
    }

    fn kind(&self) -> TableKind {
        TableKind::View
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn judge(&self, conjunct: &Expr) -> Verdict {
        if any_column(conjunct, |name| !self.is_partition(name)) {
            return Verdict::refused("it is known when the partitions are listed");
        }
        self.base.judge().verdict(&unnormalize_col(conjunct.clone()))
    }

    fn fold(&self, _request: &ScanRequest, _operator: &Fold) -> Result<ScanRequest, Reason> {
        Err("all partitions are listed at once".into())
    }

    async fn plan(&self, request: &ScanRequest, context: &PlanContext<'_>) -> Result<SourcePlan> {
        // The places of its columns are of no meaning to the table itself.
        let asked = ScanRequest { projection: Vec::new(), ..request.clone() };
        let (found, _) = self.base.find(&asked, context).await.map_err(|error| error.in_table(&self.name))?;
        let native = self.native(&found, &request.projection).map_err(|error| error.in_table(&self.name))?;
        let kept = found.directories.len() as u64;
        Ok(SourcePlan {
            pauses: true,
            filterable: Vec::new(),
            schema: native.schema(),
            scan: Scan::Native(native),
            request: Some(format!("the listing of {}", self.base.store.display(&self.base.directory))),
            remote_filters: request.filters.iter().map(|filter| self.base.remote(filter)).collect(),
            units: vec![Units { kind: "partitions", total: found.partitions_total, kept }],
            estimate: Estimate { rows: Some(kept), bytes: None, works: None },
            requests: Vec::new(),
        })
    }
}
