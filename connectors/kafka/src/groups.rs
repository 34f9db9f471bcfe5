//! `system.consumer_groups`: what groups of consumers have read of the catalog's topics, and what they have yet to read.
//! The engine lists those of all catalogs as `system.kafka.consumer_groups`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::logical_expr::Expr;
use portolan_connector::{
    Column, ConnectorError, ConnectorTable, Estimate, Fold, PlanContext, Reason, Result, SYSTEM_SCHEMA, Scan,
    ScanRequest, SourcePlan, SystemColumn, SystemKind, SystemTableSpec, TableKind, TableName, Verdict,
};
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::log::{Group, KafkaLog, PartitionOffsets};
use crate::partitions::{batch, listed_plan};
use crate::rules::LISTED_DOMAIN;
use crate::split::Work;

/// The tables that tell of a cluster.
pub(crate) const SYSTEM_TABLES: &[SystemTableSpec] = &[SystemTableSpec {
    name: CONSUMER_GROUPS,
    help: "The groups of consumers of a catalog's cluster: a row for each partition of the catalog's topics of which a group has \
           committed an offset, and one for each group that has committed none.",
    columns: COLUMNS,
}];

/// The name of the table.
pub(crate) const CONSUMER_GROUPS: &str = "consumer_groups";

/// The most groups that are asked about; each takes a client of its own for a moment.
const MAX_GROUPS: usize = 1_000;

const COLUMNS: &[SystemColumn] = &[
    SystemColumn::new("group_id", SystemKind::Text, "the group's name"),
    SystemColumn::new("state", SystemKind::Text, "as the broker calls it: Stable, Empty"),
    SystemColumn::new("members", SystemKind::Number, "the consumers that belong to it now"),
    SystemColumn::new("topic", SystemKind::Text, "a topic of which the group has committed an offset").nullable(),
    SystemColumn::new("partition_id", SystemKind::Number, "the partition's number").nullable(),
    SystemColumn::new("committed_offset", SystemKind::Number, "the offset that the group reads next").nullable(),
    SystemColumn::new("end_offset", SystemKind::Number, "the end of the partition, as queries see it").nullable(),
    SystemColumn::new("lag", SystemKind::Number, "how many offsets the group has yet to read").nullable(),
];

/// The groups of a cluster, as a table.
#[derive(Debug)]
pub(crate) struct GroupsTable {
    name: TableName,
    columns: Vec<Column>,
}

impl GroupsTable {
    /// The groups of a catalog's cluster.
    pub(crate) fn new(catalog: &str) -> Self {
        let columns = COLUMNS.iter().map(|column| column.column(LISTED_DOMAIN)).collect();
        Self { name: TableName::new(catalog, SYSTEM_SCHEMA, CONSUMER_GROUPS), columns }
    }
}

#[async_trait]
impl ConnectorTable for GroupsTable {
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
        Verdict::refused("all groups are asked about")
    }

    fn fold(&self, _request: &ScanRequest, _operator: &Fold) -> Result<ScanRequest, Reason> {
        Err("all groups are asked about".into())
    }

    async fn plan(&self, request: &ScanRequest, _context: &PlanContext<'_>) -> Result<SourcePlan> {
        let split = Work::Groups(GroupsSplit { table: self.name.clone() });
        Ok(SourcePlan {
            schema: listed_plan(&self.columns, request, &self.name)?,
            scan: Scan::Splits(vec![split.pack("the groups of consumers".to_owned(), None)?]),
            request: Some("the groups of consumers".to_owned()),
            remote_filters: Vec::new(),
            units: Vec::new(),
            estimate: Estimate::default(),
            requests: Vec::new(),
            filterable: Vec::new(),
            pauses: true,
        })
    }
}

/// What it takes to list the groups of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupsSplit {
    pub(crate) table: TableName,
}

impl GroupsSplit {
    /// A row for each partition of which a group has committed an offset, and one for each group that has not. `is_read`
    /// says which topics are the catalog's.
    pub(crate) async fn read(
        self,
        log: Arc<dyn KafkaLog>,
        is_read: impl Fn(&str) -> bool,
        schema: SchemaRef,
    ) -> Result<RecordBatch> {
        let groups = log.groups().await?;
        if groups.len() > MAX_GROUPS {
            return Err(ConnectorError::resource_exhausted(format!(
                "the cluster has {} groups of consumers; at most {MAX_GROUPS} are asked about",
                groups.len()
            )));
        }
        let mut topics = log.topics().await?;
        topics.retain(|topic| is_read(topic));
        let mut ends = BTreeMap::<String, Vec<PartitionOffsets>>::new();
        let mut rows = Vec::new();
        for group in &groups {
            let committed = log.committed(&group.name, &topics).await?;
            if committed.is_empty() {
                rows.push(row(group, None));
            }
            for committed in committed {
                let offsets = match ends.get(&committed.topic) {
                    Some(offsets) => offsets,
                    None => {
                        let offsets = log.offsets(&committed.topic).await?.unwrap_or_default();
                        ends.entry(committed.topic.clone()).or_insert(offsets)
                    }
                };
                let end = offsets.iter().find(|offsets| offsets.partition == committed.partition);
                let end = end.map(|offsets| offsets.end);
                rows.push(row(group, Some((committed.topic, committed.partition, committed.offset, end))));
            }
        }
        let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
        batch(&names, &rows, schema)
    }
}

/// Topic, partition, committed offset and end.
type Progress = (String, i32, i64, Option<i64>);

fn row<'a>(group: &'a Group, progress: Option<Progress>) -> Vec<Cell<'a>> {
    let mut cells = vec![
        Cell::Text(group.name.as_str().into()),
        Cell::Text(group.state.as_str().into()),
        Cell::Integer(i64::try_from(group.members).unwrap_or(i64::MAX)),
    ];
    match progress {
        None => cells.extend(std::iter::repeat_n(Cell::Null, COLUMNS.len() - cells.len())),
        Some((topic, partition, offset, end)) => cells.extend([
            Cell::Text(topic.into()),
            Cell::Integer(partition.into()),
            Cell::Integer(offset),
            end.map_or(Cell::Null, Cell::Integer),
            // A group may be ahead of what queries see: of transactions that are not finished.
            end.map_or(Cell::Null, |end| Cell::Integer((end - offset).max(0))),
        ]),
    }
    cells
}
