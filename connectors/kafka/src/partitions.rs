//! `"topic$partitions"`: a topic's partitions with their offsets, their brokers, and the times of their first and last
//! messages.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::logical_expr::Expr;
use portolan_connector::{
    Column, ConnectorError, ConnectorTable, Estimate, Fold, PlanContext, Reason, Result, Scan, ScanRequest, SourcePlan,
    TableKind, TableName, Verdict,
};
use serde::{Deserialize, Serialize};

use crate::build::ColumnBuilder;
use crate::cell::Cell;
use crate::columns::{CUT, cut_column, hide};
use crate::error::LogError;
use crate::log::{KafkaLog, PartitionOffsets, Replicas, ScanRange, Step};
use crate::rules::LISTED_DOMAIN;
use crate::snapshot::KafkaSnapshot;
use crate::split::Work;
use crate::table::KafkaTable;
use crate::types::ValueType;

/// What stands behind the name of the table.
pub(crate) const PARTITIONS_SUFFIX: &str = "$partitions";

/// Why no filter is given to Kafka.
const NO_FILTER: &str = "it is known when the partitions are listed";

const FIRST_TIMESTAMP: &str = "first_timestamp";
const LAST_TIMESTAMP: &str = "last_timestamp";
const AGE: &str = "age_ms";

/// How far back from the end the last message is looked for, in offsets: control records and compaction leave none at many.
const MAX_BACK: i64 = 10_000;

/// How long to wait for a message before asking again.
const WAIT: Duration = Duration::from_millis(100);

/// The columns: name, type, whether it may be NULL, what it holds.
const COLUMNS: [(&str, &str, bool, &str); 10] = [
    ("partition_id", "bigint", false, "the partition's number"),
    ("earliest_offset", "bigint", false, "the first offset that is kept"),
    ("end_offset", "bigint", false, "the offset after the last one that a query reads"),
    ("offset_count", "bigint", false, "how many offsets there are; as many messages at most"),
    ("leader", "integer", true, "the broker that is asked, NULL where there is none"),
    ("replicas", "array(integer)", false, "the brokers that are to have a copy"),
    ("in_sync_replicas", "array(integer)", false, "those whose copy is up to date"),
    (FIRST_TIMESTAMP, "timestamp(3)", true, "the time of the first message, in UTC"),
    (LAST_TIMESTAMP, "timestamp(3)", true, "the time of the last message, in UTC"),
    (AGE, "bigint", true, "milliseconds since that time"),
];

/// The partitions of a topic, as a table.
#[derive(Debug)]
pub(crate) struct PartitionsTable {
    base: KafkaTable,
    name: TableName,
    columns: Vec<Column>,
}

impl PartitionsTable {
    /// The partitions of a table's topic.
    pub(crate) fn of(base: KafkaTable) -> Result<Self> {
        let name = TableName { table: format!("{}{PARTITIONS_SUFFIX}", base.name.table), ..base.name.clone() };
        let mut columns = COLUMNS.iter().map(listed_column).collect::<Result<Vec<_>>>()?;
        columns.push(hide(cut_column()));
        Ok(Self { base, name, columns })
    }
}

/// A column of a table that Kafka lists.
pub(crate) fn listed_column((name, source_type, nullable, help): &(&str, &str, bool, &str)) -> Result<Column> {
    let value_type: ValueType = source_type.parse().map_err(ConnectorError::internal)?;
    let field = Field::new(*name, value_type.arrow(), *nullable);
    let mut column = Column::new(Arc::new(field), *source_type, LISTED_DOMAIN);
    column.comment = Some((*help).to_owned());
    Ok(column)
}

/// What a listing plans: everything that is asked for, and no filter.
pub(crate) fn listed_plan(columns: &[Column], request: &ScanRequest, name: &TableName) -> Result<SchemaRef> {
    let fields = request.projection.iter().map(|index| {
        let column = columns.get(*index).map(|column| Arc::clone(&column.field));
        column.ok_or_else(|| ConnectorError::internal(format!("there is no column number {index}")).in_table(name))
    });
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
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

    fn judge(&self, _conjunct: &Expr) -> Verdict {
        Verdict::refused(NO_FILTER)
    }

    fn fold(&self, _request: &ScanRequest, _operator: &Fold) -> Result<ScanRequest, Reason> {
        Err("all partitions are listed at once".into())
    }

    async fn plan(&self, request: &ScanRequest, context: &PlanContext<'_>) -> Result<SourcePlan> {
        let schema = listed_plan(&self.columns, request, &self.name)?;
        let snapshot = KafkaSnapshot::of(context).map_err(|error| error.in_table(&self.name))?;
        let cut = self.base.cut(snapshot).await.map_err(|error| ConnectorError::from(error).in_table(&self.name))?;
        let token = self.base.token(&cut, &schema, snapshot).await;
        let asks = |name: &str| schema.index_of(name).is_ok();
        let rows = cut.partitions.len() as u64;
        let split = PartitionsSplit {
            table: self.name.clone(),
            topic: self.base.topic.clone(),
            first: asks(FIRST_TIMESTAMP),
            last: asks(LAST_TIMESTAMP) || asks(AGE),
            cut: token.map_err(|error| ConnectorError::from(error).in_table(&self.name))?,
            partitions: cut.partitions.iter().map(|offsets| (offsets.partition, offsets.start, offsets.end)).collect(),
        };
        let split = Work::Partitions(split).pack(format!("the partitions of topic {}", self.base.topic), Some(rows))?;
        Ok(SourcePlan {
            schema,
            scan: Scan::Splits(vec![split]),
            request: Some(format!("the partitions of {}", self.base.topic)),
            remote_filters: Vec::new(),
            units: Vec::new(),
            estimate: Estimate { rows: Some(rows), bytes: None, works: None },
            requests: Vec::new(),
            filterable: Vec::new(),
            pauses: true,
        })
    }
}

/// What it takes to list the partitions of a topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartitionsSplit {
    pub(crate) table: TableName,
    topic: String,
    /// Whether the times of the first messages are asked for.
    first: bool,
    /// Whether those of the last ones are.
    last: bool,
    cut: String,
    /// Number, first offset and end of each partition.
    partitions: Vec<(i32, i64, i64)>,
}

impl PartitionsSplit {
    /// The partitions as rows of this schema.
    pub(crate) async fn read(self, log: Arc<dyn KafkaLog>, schema: SchemaRef) -> Result<RecordBatch> {
        let replicas = log.replicas(&self.topic).await?.unwrap_or_default();
        let mut rows = Vec::with_capacity(self.partitions.len());
        for (partition, start, end) in &self.partitions {
            let offsets = PartitionOffsets { partition: *partition, start: *start, end: *end };
            let (first, last) = self.times(&log, offsets).await?;
            let replicas = replicas.iter().find(|replicas| replicas.partition == *partition);
            rows.push(self.row(offsets, replicas, first, last));
        }
        let names: Vec<&str> = COLUMNS.iter().map(|column| column.0).chain([CUT]).collect();
        batch(&names, &rows, schema)
    }

    /// The times of the first and the last message, where they are asked for.
    async fn times(
        &self,
        log: &Arc<dyn KafkaLog>,
        offsets: PartitionOffsets,
    ) -> Result<(Option<i64>, Option<i64>), LogError> {
        let first = if self.first { time(log, &self.topic, offsets, false).await? } else { None };
        let mut last = None;
        let (mut back, mut end) = (1, offsets.end);
        while self.last && last.is_none() && end > offsets.start && offsets.end - end < MAX_BACK {
            let start = end.saturating_sub(back).max(offsets.start);
            last = time(log, &self.topic, PartitionOffsets { start, end, ..offsets }, true).await?;
            (back, end) = (back.saturating_mul(8), start);
        }
        Ok((first, last))
    }

    fn row(
        &self,
        offsets: PartitionOffsets,
        replicas: Option<&Replicas>,
        first: Option<i64>,
        last: Option<i64>,
    ) -> Vec<Cell<'_>> {
        let integer = |value: Option<i64>| value.map_or(Cell::Null, Cell::Integer);
        let brokers = |ids: Option<&Vec<i32>>| {
            Cell::List(ids.into_iter().flatten().map(|id| Cell::Integer((*id).into())).collect())
        };
        vec![
            Cell::Integer(offsets.partition.into()),
            Cell::Integer(offsets.start),
            Cell::Integer(offsets.end),
            Cell::Integer(offsets.end - offsets.start),
            integer(replicas.and_then(|replicas| replicas.leader).map(i64::from)),
            brokers(replicas.map(|replicas| &replicas.all)),
            brokers(replicas.map(|replicas| &replicas.in_sync)),
            integer(first),
            integer(last),
            integer(last.zip(now()).map(|(last, now)| now - last)),
            Cell::Text(self.cut.as_str().into()),
        ]
    }
}

/// Milliseconds since 1970.
fn now() -> Option<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// The time of the first message of these offsets, or of the last one.
async fn time(
    log: &Arc<dyn KafkaLog>,
    topic: &str,
    offsets: PartitionOffsets,
    last: bool,
) -> Result<Option<i64>, LogError> {
    if offsets.start >= offsets.end {
        return Ok(None);
    }
    let (log, topic) = (Arc::clone(log), topic.to_owned());
    let task = tokio::task::spawn_blocking(move || {
        let PartitionOffsets { partition, start, end } = offsets;
        let mut scan = log.scan(ScanRange { topic: &topic, partition, start, end, skips_deleted: true, limit: None });
        let mut found = None;
        loop {
            let step = scan.next(WAIT, &mut |record| found = record.time.map(|(millis, _)| millis))?;
            // The scan itself gives up when nothing comes for too long.
            if step == Step::End || (step == Step::Message && !last) {
                return Ok(found);
            }
        }
    });
    task.await.unwrap_or_else(|error| {
        Err(LogError::Client { what: "find the time of a message".to_owned(), said: error.to_string() })
    })
}

/// Rows of named cells as a batch of those columns that a schema has.
pub(crate) fn batch(names: &[&str], rows: &[Vec<Cell<'_>>], schema: SchemaRef) -> Result<RecordBatch> {
    let wrong = |error: String| ConnectorError::internal("a list cannot be built").said(error);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let place = names.iter().position(|name| name == field.name());
        let mut builder = ColumnBuilder::new(field.data_type()).map_err(wrong)?;
        for row in rows {
            builder.push_cell(place.and_then(|place| row.get(place)).unwrap_or(&Cell::Null)).map_err(wrong)?;
        }
        columns.push(builder.finish().map_err(wrong)?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(|error| wrong(error.to_string()))
}
