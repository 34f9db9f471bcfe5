//! `"topic$latest"`: the newest message of each key, as a compacted topic keeps it.
//!
//! Kafka's compaction knows keys within a partition, where offsets say which message is newer. So does this table: of the messages
//! of a partition that have the same bytes for a key the one with the highest offset is its row, unless that is a tombstone.
//! Messages without a key are no rows: compaction removes them, and compacted topics do not take them.
//!
//! The messages are sorted by the engine, which goes to the disk when memory is short. Conditions that speak of partitions and keys
//! alone choose what is read; of two messages of a key they take both or none. Any other condition could take the older one alone.

mod newest;

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::expressions::Column as Position;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use portolan_connector::{
    Column, ConnectorError, ConnectorTable, Fold, PlanContext, Reason, Result, Scan, ScanRequest, SourcePlan,
    TableKind, TableName, TableStatistics, UnsupportedColumn, Verdict,
};

pub(crate) use self::newest::Newest;
use crate::columns::{KEY, KEY_BYTES, MESSAGE_LENGTH, PARTITION_ID, PARTITION_OFFSET};
use crate::rules::{BY_KEY, CONTENT, PARTITION};
use crate::table::KafkaTable;
use crate::whole::{Keep, WholeExec, leaf};

/// What stands behind the name of the table of newest messages.
pub(crate) const LATEST_SUFFIX: &str = "$latest";

/// The newest messages of a topic's keys.
#[derive(Debug)]
pub(crate) struct LatestTable {
    name: TableName,
    columns: Vec<Column>,
    /// The messages, with a column more for the bytes of their keys.
    messages: KafkaTable,
}

impl LatestTable {
    /// The table over all messages of a topic.
    pub(crate) fn of(base: KafkaTable) -> Self {
        let name = TableName { table: format!("{}{LATEST_SUFFIX}", base.name.table), ..base.name.clone() };
        // What says nothing of partitions and keys is not asked of Kafka here.
        let columns = base.columns.iter().cloned().map(|mut column| {
            if column.domain != PARTITION && column.domain != BY_KEY {
                column.domain = CONTENT;
            }
            column
        });
        let columns: Vec<Column> = columns.collect();
        let key = Column::new(Arc::new(Field::new(KEY_BYTES, DataType::Binary, true)), "varbinary", CONTENT);
        let with_key = columns.iter().cloned().chain([key]).collect();
        let messages = KafkaTable { name: name.clone(), columns: with_key, ..base };
        Self { name, columns, messages }
    }

    fn place(&self, name: &str) -> Result<usize> {
        let place = self.messages.columns.iter().position(|column| column.name() == name);
        place.ok_or_else(|| self.mistake(&format!("there is no column {name}")))
    }

    fn mistake(&self, said: &str) -> ConnectorError {
        ConnectorError::internal("cannot plan the newest messages").said(said).in_table(&self.name)
    }

    /// Whether a condition is of the key alone, so that it is the same for all messages of a key.
    fn is_of_keys(&self, condition: &Expr) -> bool {
        let columns = condition.column_refs();
        let of_key = |name: &str| {
            name == PARTITION_ID
                || name == KEY
                || self.messages.layout.key.columns.iter().any(|column| column.name == name)
        };
        !columns.is_empty() && columns.iter().all(|column| of_key(&column.name))
    }

    /// The messages for which the conditions hold that were pushed, partitioned by their keys and sorted: of each key the newest
    /// one first.
    fn sorted(
        &self,
        leaf: Arc<dyn ExecutionPlan>,
        request: &ScanRequest,
        context: &PlanContext<'_>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let schema = leaf.schema();
        let mut rows = leaf;
        let named = DFSchema::try_from(schema.as_ref().clone())?;
        for filter in request.filters.iter().filter(|filter| self.is_of_keys(&filter.expression)) {
            // Where the query does not ask for the column, the engine's own filter is all there is.
            let condition = unqualified(&filter.expression)?;
            if condition.column_refs().iter().all(|column| named.has_column(column)) {
                rows = Arc::new(FilterExec::try_new(context.session.create_physical_expr(condition, &named)?, rows)?);
            }
        }
        let position = |name: &str| -> datafusion::error::Result<Arc<dyn PhysicalExpr>> {
            Ok(Arc::new(Position::new_with_schema(name, &schema)?))
        };
        let (key, partition) = (position(KEY_BYTES)?, position(PARTITION_ID)?);
        let targets = context.session.config().target_partitions().max(1);
        let by_key = Partitioning::Hash(vec![Arc::clone(&key), Arc::clone(&partition)], targets);
        let rows = Arc::new(RepartitionExec::try_new(rows, by_key)?);
        let sort = |expr, descending| PhysicalSortExpr::new(expr, SortOptions { descending, nulls_first: true });
        let order = [sort(key, false), sort(partition, false), sort(position(PARTITION_OFFSET)?, true)];
        let order = LexOrdering::new(order).ok_or_else(|| {
            datafusion::error::DataFusionError::Internal("the newest messages have no order".to_owned())
        })?;
        Ok(Arc::new(SortExec::new(order, rows).with_preserve_partitioning(true)))
    }
}

/// A condition whose columns are named alone: what qualifies them is the query's name of the table.
fn unqualified(condition: &Expr) -> datafusion::error::Result<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let transformed = condition.clone().transform(|expr| {
        Ok(match expr {
            Expr::Column(column) if column.relation.is_some() => {
                Transformed::yes(Expr::Column(datafusion::common::Column::new_unqualified(column.name)))
            }
            other => Transformed::no(other),
        })
    });
    Ok(transformed?.data)
}

#[async_trait]
impl ConnectorTable for LatestTable {
    fn name(&self) -> &TableName {
        &self.name
    }

    fn kind(&self) -> TableKind {
        TableKind::Table
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn unsupported_columns(&self) -> &[UnsupportedColumn] {
        &self.messages.unsupported
    }

    async fn statistics(&self) -> Result<Option<TableStatistics>> {
        self.messages.statistics().await
    }

    fn judge(&self, conjunct: &Expr) -> Verdict {
        self.messages.judge(conjunct)
    }

    fn fold(&self, _request: &ScanRequest, operator: &Fold) -> Result<ScanRequest, Reason> {
        let Fold::Limit(_) = operator;
        Err(Reason::from("which messages are the newest is known when all are read"))
    }

    async fn plan(&self, request: &ScanRequest, context: &PlanContext<'_>) -> Result<SourcePlan> {
        let mut projection = request.projection.clone();
        for name in [PARTITION_ID, PARTITION_OFFSET, MESSAGE_LENGTH, KEY_BYTES] {
            let place = self.place(name)?;
            if !projection.contains(&place) {
                projection.push(place);
            }
        }
        // Columns that the filters below need, which the query need not ask for.
        for filter in request.filters.iter().filter(|filter| self.is_of_keys(&filter.expression)) {
            for column in filter.expression.column_refs() {
                let place = self.place(&column.name)?;
                if !projection.contains(&place) {
                    projection.push(place);
                }
            }
        }
        let inner = ScanRequest { projection, filters: request.filters.clone(), limit: None };
        let messages = self.messages.plan(&inner, context).await?;
        let (units, remote_filters, estimate) =
            (messages.units.clone(), messages.remote_filters.clone(), messages.estimate);
        let described = messages.request.clone().unwrap_or_default();
        let schema = Arc::clone(&messages.schema);
        let leaf: Arc<dyn ExecutionPlan> = Arc::new(leaf(&self.name, messages, context));
        let sorted = self.sorted(leaf, request, context);
        let sorted = sorted.map_err(|error| self.mistake(&error.to_string()))?;
        let newest = WholeExec::new(sorted, Keep::Newest, request.projection.len());
        let fields: Vec<_> = schema.fields().iter().take(request.projection.len()).cloned().collect();
        Ok(SourcePlan {
            requests: Vec::new(),
            filterable: Vec::new(),
            pauses: false,
            schema: Arc::new(Schema::new(fields)),
            scan: Scan::Native(Arc::new(newest)),
            request: Some(format!("the newest of each key of {described}")),
            remote_filters,
            units,
            estimate,
        })
    }
}
