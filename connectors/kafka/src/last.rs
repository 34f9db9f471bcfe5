//! `ORDER BY _partition_offset DESC LIMIT n`: the end of each partition instead of all of it.
//!
//! Offsets are no numbers of messages: compaction, the ends of transactions and aborted messages leave gaps. So the ends are read
//! backwards, in growing steps, until there are `n` messages; nothing of them is decoded. The `n` highest offsets of all partitions
//! then say from where on each is read, and the engine sorts what that gives.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::compute::SortOptions;
use async_trait::async_trait;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, SortExpr};
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use futures::{StreamExt, TryStreamExt, stream};
use portolan_connector::{
    ConnectorError, Operator, PlanContext, Reason, Relation, Result, Scan, ScanRequest, SourcePlan, Verdict,
};

use crate::columns::PARTITION_OFFSET;
use crate::layout::OnError;
use crate::log::{KafkaLog, ScanRange, Step};
use crate::range::Ranges;
use crate::table::KafkaTable;
use crate::whole::{Keep, WholeExec, leaf};

/// The most messages that are looked for from the end.
const MAX_LAST: usize = 100_000;

/// How many offsets the first step back covers at least; each next one covers four times as many.
const FIRST_STEP: i64 = 1_000;
const GROWTH: i64 = 4;

/// How many partitions are looked at the same time.
const TOGETHER: usize = 8;

/// How long one step of a read waits.
const WAIT: Duration = Duration::from_millis(100);

/// The messages of a topic, of which the last ones may be asked for.
#[derive(Clone, Debug)]
pub(crate) struct Messages {
    table: KafkaTable,
    request: ScanRequest,
    /// How many of the last messages are wanted, and in which order; the offset, descending, comes first in it.
    last: Option<(usize, Vec<SortExpr>)>,
}

impl Messages {
    /// The messages of a request that may ask for the last ones; `None` where that says nothing of the last rows.
    pub(crate) fn of(table: &KafkaTable, request: &ScanRequest) -> Option<Self> {
        let asks = request.projection.iter().filter_map(|index| table.columns.get(*index));
        let asks_offset = asks.into_iter().any(|column| column.name() == PARTITION_OFFSET);
        // A message is a row, unless it is left out or looked for because of what is in it.
        let is_row = !table.errors && table.layout.on_error != OnError::Skip;
        let is_exact = request.filters.iter().all(|filter| filter.verdict == Verdict::Exact);
        (asks_offset && is_row && is_exact && request.limit.is_none()).then(|| Self {
            table: table.clone(),
            request: request.clone(),
            last: None,
        })
    }

    fn mistake(&self, said: &DataFusionError) -> ConnectorError {
        ConnectorError::internal("cannot plan the last messages").said(said).in_table(&self.table.name)
    }
}

#[async_trait]
impl Relation for Messages {
    fn fold(
        &self,
        operator: Operator<'_>,
        _schema: &DFSchema,
        _result: &DFSchema,
    ) -> Result<Arc<dyn Relation>, Reason> {
        let Operator::Sort { keys, fetch: Some(fetch @ 1..) } = operator else {
            return Err(Reason::from("Kafka sends messages, and computes nothing of them"));
        };
        let by_offset = keys.first().is_some_and(|first| {
            !first.asc && matches!(&first.expr, Expr::Column(column) if column.name == PARTITION_OFFSET)
        });
        if !by_offset || self.last.is_some() {
            return Err(Reason::from("only the last messages can be looked for, by _partition_offset DESC"));
        }
        if fetch > MAX_LAST {
            return Err(Reason::from(format!("at most {MAX_LAST} messages are looked for from the end")));
        }
        Ok(Arc::new(Self { last: Some((fetch, keys.to_vec())), ..self.clone() }))
    }

    async fn plan(&self, schema: &DFSchema, context: &PlanContext<'_>) -> Result<SourcePlan> {
        let Some((count, keys)) = &self.last else { return self.table.planned(&self.request, context, None).await };
        let mut plan = self.table.planned(&self.request, context, Some(*count)).await?;
        let leaf = leaf(&self.table.name, plan.clone(), context);
        let sorted = sorted(Arc::new(leaf), keys, *count, schema, context).map_err(|error| self.mistake(&error))?;
        let whole = WholeExec::new(sorted, Keep::All, plan.schema.fields().len());
        plan.scan = Scan::Native(Arc::new(whole));
        plan.request = plan.request.map(|request| format!("the last {count} of {request}"));
        plan.estimate.rows = Some(u64::try_from(*count).unwrap_or(u64::MAX));
        plan.filterable = Vec::new();
        Ok(plan)
    }
}

/// The first rows in an order, in one stream.
fn sorted(
    rows: Arc<dyn ExecutionPlan>,
    keys: &[SortExpr],
    count: usize,
    schema: &DFSchema,
    context: &PlanContext<'_>,
) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let named = DFSchema::try_from(rows.schema().as_ref().clone())?;
    let keys = keys.iter().map(|key| {
        // Positions are the same on both sides; names may be qualified in the query.
        let expr = key.expr.clone().transform(|expr| match expr {
            Expr::Column(column) => {
                let index = schema.index_of_column(&column)?;
                Ok(Transformed::yes(Expr::Column(Column::new_unqualified(named.field(index).name()))))
            }
            other => Ok(Transformed::no(other)),
        })?;
        let options = SortOptions { descending: !key.asc, nulls_first: key.nulls_first };
        Ok(PhysicalSortExpr::new(context.session.create_physical_expr(expr.data, &named)?, options))
    });
    let order = LexOrdering::new(keys.collect::<datafusion::error::Result<Vec<_>>>()?)
        .ok_or_else(|| DataFusionError::Internal("the last messages have no order".to_owned()))?;
    let each = SortExec::new(order.clone(), rows).with_preserve_partitioning(true).with_fetch(Some(count));
    Ok(Arc::new(SortPreservingMergeExec::new(order, Arc::new(each)).with_fetch(Some(count))))
}

/// The parts of the ranges that hold the last `count` messages of all partitions together.
pub(crate) async fn last(
    log: &Arc<dyn KafkaLog>,
    topic: &str,
    kept: Vec<(i32, Ranges)>,
    count: usize,
    skips_deleted: bool,
) -> Result<Vec<(i32, Ranges)>> {
    let waiting = Waiting::default();
    let searches = kept.clone().into_iter().map(|(partition, ranges)| {
        let (log, topic, is_left) = (Arc::clone(log), topic.to_owned(), Arc::clone(&waiting.is_left));
        let search = tokio::task::spawn_blocking(move || {
            let (log, is_left) = (log.as_ref(), is_left.as_ref());
            Tail { log, topic: &topic, partition, skips_deleted, is_left }.offsets(&ranges, count)
        });
        async move { search.await.map_err(|error| ConnectorError::internal("a search stopped").said(error))? }
    });
    // Nothing is begun before it is polled, so that no more are under way.
    let found: Vec<Vec<i64>> = stream::iter(searches).buffered(TOGETHER).try_collect().await?;
    let mut offsets: Vec<i64> = found.into_iter().flatten().collect();
    offsets.sort_unstable_by(|one, other| other.cmp(one));
    // Messages of other partitions may have the same offset as the last of them.
    let Some(first) = offsets.get(count.saturating_sub(1)).or(offsets.last()) else {
        return Ok(kept.into_iter().map(|(partition, _)| (partition, Ranges::none())).collect());
    };
    let end = Ranges::from((*first).into());
    Ok(kept.into_iter().map(|(partition, ranges)| (partition, ranges.intersect(&end))).collect())
}

/// Who waits for the searches. They end when it is dropped.
#[derive(Default)]
struct Waiting {
    is_left: Arc<AtomicBool>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.is_left.store(true, Ordering::Relaxed);
    }
}

/// The end of one partition.
struct Tail<'a> {
    log: &'a dyn KafkaLog,
    topic: &'a str,
    partition: i32,
    skips_deleted: bool,
    /// Set when nobody waits for the search any more.
    is_left: &'a AtomicBool,
}

impl Tail<'_> {
    /// The offsets of the last `count` messages within ranges.
    fn offsets(&self, ranges: &Ranges, count: usize) -> Result<Vec<i64>> {
        let bounds: Vec<(i64, i64)> = ranges
            .iter()
            .filter_map(|(start, end)| Some((i64::try_from(start).ok()?, i64::try_from(end).ok()?)))
            .collect();
        let (mut step, mut found) = (FIRST_STEP.max(i64::try_from(count).unwrap_or(FIRST_STEP)), Vec::new());
        for (first, mut end) in spans(&bounds).into_iter().rev() {
            while end > first && found.len() < count && !self.is_left.load(Ordering::Relaxed) {
                let start = end.saturating_sub(step).max(first);
                let mut here = self.read(start, end, count - found.len(), ranges)?;
                found.append(&mut here);
                (end, step) = (start, step.saturating_mul(GROWTH));
            }
        }
        Ok(found)
    }

    /// The last `count` offsets between two that are in the ranges and have messages.
    fn read(&self, start: i64, end: i64, count: usize, ranges: &Ranges) -> Result<Vec<i64>> {
        let skips_deleted = self.skips_deleted;
        let range = ScanRange { topic: self.topic, partition: self.partition, start, end, skips_deleted, limit: None };
        let (mut scan, mut offsets) = (self.log.scan(range), VecDeque::with_capacity(count.min(MAX_LAST)));
        loop {
            let step = scan.next(WAIT, &mut |record| {
                if ranges.contains(record.offset.into()) {
                    if offsets.len() == count {
                        offsets.pop_front();
                    }
                    offsets.push_back(record.offset);
                }
            })?;
            if step == Step::End || self.is_left.load(Ordering::Relaxed) {
                return Ok(offsets.into());
            }
        }
    }
}

/// The ranges, those of them as one that are so close to each other that reading on is no more than asking again.
fn spans(ranges: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut spans: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match spans.last_mut() {
            Some((_, last)) if start.saturating_sub(*last) <= FIRST_STEP => *last = *end,
            _ => spans.push((*start, *end)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_are_far_apart_are_read_apart() {
        assert_eq!(spans(&[]), []);
        assert_eq!(spans(&[(10, 11), (1_000_000_000, 1_000_000_001)]), [(10, 11), (1_000_000_000, 1_000_000_001)]);
        assert_eq!(spans(&[(0, 5), (7, 9), (1_009, 1_010), (2_011, 2_012)]), [(0, 1_010), (2_011, 2_012)]);
    }
}
