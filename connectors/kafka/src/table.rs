//! A topic as a table.

use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use datafusion::logical_expr::Expr;
use portolan_connector::{
    Capabilities, Column, ConnectorError, ConnectorTable, Estimate, Fold, PlanContext, Reason, Relation, Result, Scan,
    ScanRequest, SourcePlan, TableKind, TableName, TableStatistics, Units, UnsupportedColumn, Verdict,
};

use crate::columns::{CUT, error_columns};
use crate::cut::Cut;
use crate::definition::definition;
use crate::error::LogError;
use crate::follow::{self, FollowSplit, Since};
use crate::last::{self, Messages};
use crate::layout::Layout;
use crate::log::{KafkaLog, PartitionOffsets};
use crate::partitioner::Partitioner;
use crate::places::Places;
use crate::predicate::Predicate;
use crate::range::Ranges;
use crate::snapshot::{KafkaSnapshot, LISTED};
use crate::split::{KafkaSplit, Work, cut};
use crate::time_bounds::TimeOrder;
use crate::times::{Times, look_up};

/// The most times that are looked up for one scan; bounds beyond that do not limit what is read.
const MAX_TIMES: usize = 64;

/// What stands behind the name of the table of messages that do not decode.
pub(crate) const ERRORS_SUFFIX: &str = "$errors";

/// A topic as one query sees it.
#[derive(Clone, Debug)]
pub(crate) struct KafkaTable {
    pub(crate) name: TableName,
    pub(crate) topic: String,
    /// How messages are taken apart.
    pub(crate) layout: Layout,
    /// Whether rows are made of the messages that do not decode, instead of the others.
    pub(crate) errors: bool,
    /// The offsets to read, where they were asked for.
    pub(crate) cut: Option<Cut>,
    /// From where on messages are waited for without end, where they are.
    pub(crate) following: Option<Since>,
    /// Whether offsets that retention has deleted are left out.
    pub(crate) skips_deleted: bool,
    /// The columns of messages, and the hidden ones.
    pub(crate) columns: Vec<Column>,
    pub(crate) unsupported: Vec<UnsupportedColumn>,
    pub(crate) order: TimeOrder,
    /// What the declaration says of that.
    pub(crate) max_out_of_orderness: Option<i64>,
    pub(crate) log_append: bool,
    pub(crate) partitioner: Option<Partitioner>,
    pub(crate) partitions: Option<u32>,
    /// The column with the time of what a message tells of, and how many milliseconds a message comes after that at most.
    pub(crate) event_time: Option<(String, i64)>,
    pub(crate) isolation: &'static str,
    pub(crate) messages_per_split: u64,
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) log: Arc<dyn KafkaLog>,
}

#[async_trait]
impl ConnectorTable for KafkaTable {
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
        &self.unsupported
    }

    /// The section of the catalog file that declares the table as it is, inferred columns included.
    fn definition(&self) -> Option<String> {
        (!self.errors && self.cut.is_none() && !self.is_endless()).then(|| definition(self))
    }

    async fn statistics(&self) -> Result<Option<TableStatistics>> {
        if self.errors || self.is_endless() {
            return Ok(None);
        }
        let offsets = match &self.cut {
            Some(cut) => Some(cut.partitions.clone()),
            None => self.log.offsets(&self.topic).await.map_err(|error| self.error(error))?,
        };
        Ok(offsets.map(|offsets| TableStatistics {
            rows: Some(count(&offsets)),
            origin: "offsets between the first and the end of each partition, an upper bound".to_owned(),
            ..TableStatistics::default()
        }))
    }

    fn is_endless(&self) -> bool {
        self.following.is_some()
    }

    fn judge(&self, conjunct: &Expr) -> Verdict {
        let predicate = self.predicate(conjunct);
        if self.is_endless() { follow::verdict(&predicate) } else { predicate.verdict(self.order) }
    }

    fn fold(&self, request: &ScanRequest, operator: &Fold) -> Result<ScanRequest, Reason> {
        let Fold::Limit(limit) = operator;
        if self.is_endless() {
            return Err(Reason::from("messages of a topic that is followed are waited for until there are enough"));
        }
        if request.filters.iter().any(|filter| filter.verdict != Verdict::Exact) {
            return Err(Reason::from("a filter is not exact, so that more messages must be read than are returned"));
        }
        let limit = request.limit.map_or(*limit, |already| already.min(*limit));
        Ok(ScanRequest { limit: Some(limit), ..request.clone() })
    }

    fn relation(&self, request: &ScanRequest) -> Option<Arc<dyn Relation>> {
        if self.is_endless() { None } else { Some(Arc::new(Messages::of(self, request)?)) }
    }

    async fn plan(&self, request: &ScanRequest, context: &PlanContext<'_>) -> Result<SourcePlan> {
        match &self.following {
            Some(since) => self.planned_following(since, request, context).await,
            None => self.planned(request, context, None).await,
        }
    }
}

impl KafkaTable {
    /// How keys choose one of so many partitions, where the topic never had another number of them.
    fn partitioner_among(&self, partitions: usize) -> Option<(Partitioner, u32)> {
        let promised = self.partitions?;
        if u32::try_from(partitions) != Ok(promised) {
            tracing::warn!(
                table = %self.name,
                "the topic has {partitions} partitions, and its table declares {promised}: keys do not choose what is read"
            );
            return None;
        }
        Some((self.partitioner?, promised))
    }

    /// Plans a scan, of the parts with the `last` so many messages alone where that is said.
    pub(crate) async fn planned(
        &self,
        request: &ScanRequest,
        context: &PlanContext<'_>,
        last: Option<usize>,
    ) -> Result<SourcePlan> {
        let snapshot = KafkaSnapshot::of(context).map_err(|error| error.in_table(&self.name))?;
        let cut = self.cut(snapshot).await.map_err(|error| self.error(error))?;
        let offsets = &cut.partitions;
        let filters: Vec<Predicate> = request.filters.iter().map(|filter| self.predicate(&filter.written)).collect();
        let times = self.look_up(&filters, offsets).await.map_err(|error| self.error(error))?;
        // A cut may have fewer partitions than the topic.
        let partitions = snapshot.offsets(&self.topic).await.map_err(|error| self.error(error))?.len();
        let partitioner = self.partitioner_among(partitions);
        let times = times.with_partitioner(partitioner);

        let mut kept: Vec<(i32, Ranges)> = offsets.iter().map(|offsets| (offsets.partition, whole(offsets))).collect();
        let mut remote_filters = Vec::with_capacity(filters.len());
        for filter in &filters {
            let mut selected = Vec::with_capacity(offsets.len());
            for ((partition, ranges), offsets) in kept.iter_mut().zip(offsets.iter()) {
                let matching = filter.offsets(*partition, self.order, &times).intersect(&whole(offsets));
                *ranges = ranges.intersect(&matching);
                selected.push((*offsets, matching));
            }
            remote_filters.push(Some(describe_selected(&selected)));
        }
        if let Some(count) = last {
            let found = last::last(&self.log, &self.topic, kept, count, self.skips_deleted).await;
            kept = found.map_err(|error| error.in_table(&self.name))?;
        }
        let total = count(offsets);
        let kept_offsets = kept.iter().fold(0_u64, |sum, (_, ranges)| sum.saturating_add(ranges.len()));
        let kept_partitions = kept.iter().filter(|(_, ranges)| !ranges.is_empty()).count();
        let schema = self.projected(request)?;
        let places = Places::of(&schema, self, partitioner);
        let token = self.token(&cut, &schema, snapshot).await.map_err(|error| self.error(error))?;
        let splits = if request.limit == Some(0) { Vec::new() } else { self.splits(request, &places, &kept, &token)? };
        let limit = request.limit.map_or(u64::MAX, |limit| u64::try_from(limit).unwrap_or(u64::MAX));
        Ok(SourcePlan {
            requests: Vec::new(),
            filterable: places.all(),
            pauses: false,
            schema,
            scan: Scan::Splits(splits),
            request: Some(self.describe(&kept)),
            remote_filters,
            units: vec![
                Units { kind: "partitions", total: Some(offsets.len() as u64), kept: kept_partitions as u64 },
                Units { kind: "offsets", total: Some(total), kept: kept_offsets },
            ],
            estimate: Estimate { rows: (!self.errors).then_some(kept_offsets.min(limit)), bytes: None, works: None },
        })
    }

    /// Plans to wait for messages.
    async fn planned_following(
        &self,
        since: &Since,
        request: &ScanRequest,
        context: &PlanContext<'_>,
    ) -> Result<SourcePlan> {
        let snapshot = KafkaSnapshot::of(context).map_err(|error| error.in_table(&self.name))?;
        let now = snapshot.offsets(&self.topic).await.map_err(|error| self.error(error))?;
        let filters: Vec<Predicate> = request.filters.iter().map(|filter| self.predicate(&filter.written)).collect();
        let plan = follow::plan(self, since, &filters, &now).await?;
        let units = Units { kind: "partitions", total: Some(now.len() as u64), kept: plan.starts.len() as u64 };
        let mut text = format!("{}, {}, without end, from offsets", self.topic, self.isolation);
        for (partition, start) in plan.starts.iter().take(LISTED) {
            // Writing to a String does not fail.
            let _ = write!(text, " {partition}:{start}");
        }
        if plan.starts.len() > LISTED {
            let _ = write!(text, " and {} more partitions", plan.starts.len() - LISTED);
        }
        let split = FollowSplit {
            table: self.name.clone(),
            topic: self.topic.clone(),
            starts: plan.starts,
            partitions: plan.partitions,
            layout: self.layout.clone(),
            errors: self.errors,
            skips_deleted: self.skips_deleted,
        };
        let label = format!("topic {}, followed", self.topic);
        Ok(SourcePlan {
            requests: Vec::new(),
            filterable: Vec::new(),
            pauses: false,
            schema: self.projected(request)?,
            scan: Scan::Endless(Work::Following(Box::new(split)).pack(label, None)?),
            request: Some(text),
            remote_filters: plan.selected,
            units: vec![units],
            estimate: Estimate::default(),
        })
    }

    /// The columns that a request asks for.
    fn projected(&self, request: &ScanRequest) -> Result<Arc<Schema>> {
        let fields = request.projection.iter().map(|index| {
            let column = self.columns.get(*index);
            column.map(|column| Arc::clone(&column.field)).ok_or_else(|| {
                ConnectorError::internal(format!("the table has no column number {index}")).in_table(&self.name)
            })
        });
        Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
    }

    fn error(&self, error: LogError) -> ConnectorError {
        ConnectorError::from(error).in_table(&self.name)
    }

    /// The table of the messages that do not decode, under its own name.
    pub(crate) fn of_errors(self, table: &str) -> Self {
        let name = TableName { table: table.to_owned(), ..self.name.clone() };
        Self { name, errors: true, columns: error_columns(), unsupported: Vec::new(), ..self }
    }

    /// The messages that are added to the topic, without end. They have no cut.
    pub(crate) fn following(self, since: Since) -> Self {
        let columns = self.columns.into_iter().filter(|column| column.name() != CUT).collect();
        Self { following: Some(since), columns, ..self }
    }

    /// The offsets that a query reads: those that were asked for, or those that its snapshot froze.
    pub(crate) async fn cut(&self, snapshot: &KafkaSnapshot) -> Result<Cut, LogError> {
        let now = snapshot.offsets(&self.topic).await?;
        let (partitions, mark) = match &self.cut {
            Some(cut) => {
                let within = cut.within(&now, self.skips_deleted)?;
                cut.check_topic(self.log.as_ref()).await?;
                (within, cut.mark.clone())
            }
            None => (now.to_vec(), None),
        };
        Ok(Cut { topic: self.topic.clone(), partitions, mark })
    }

    /// The text of a cut, where it is asked for: those of many partitions are long, and most queries have no use for them.
    pub(crate) async fn token(&self, cut: &Cut, schema: &Schema, snapshot: &KafkaSnapshot) -> Result<String, LogError> {
        if schema.index_of(CUT).is_err() {
            return Ok(String::new());
        }
        if self.cut.is_some() {
            return Ok(cut.to_string());
        }
        let mark = Some(snapshot.mark(&self.topic).await?);
        Ok(Cut { mark, ..cut.clone() }.to_string())
    }

    fn predicate(&self, conjunct: &Expr) -> Predicate {
        Predicate::new(
            conjunct,
            &self.columns,
            &self.capabilities,
            self.event_time.as_ref().map(|(_, lateness)| *lateness),
        )
    }

    /// Asks for the offsets of all times that the filters need.
    async fn look_up(&self, filters: &[Predicate], offsets: &[PartitionOffsets]) -> Result<Times, LogError> {
        let mut wanted = Vec::new();
        filters.iter().for_each(|filter| filter.times(self.order, &mut wanted));
        // Times of messages are not before 1970, so such a bound excludes nothing.
        wanted.retain(|millis| *millis > 0);
        wanted.sort_unstable();
        wanted.dedup();
        wanted.truncate(MAX_TIMES);
        look_up(self.log.as_ref(), &self.topic, &wanted, offsets).await
    }

    fn splits(
        &self,
        request: &ScanRequest,
        places: &Places,
        kept: &[(i32, Ranges)],
        token: &str,
    ) -> Result<Vec<portolan_connector::Split>> {
        cut(kept, self.messages_per_split)
            .into_iter()
            .map(|(partition, ranges)| {
                KafkaSplit {
                    table: self.name.clone(),
                    topic: self.topic.clone(),
                    partition,
                    ranges,
                    layout: self.layout.clone(),
                    errors: self.errors,
                    cut: token.to_owned(),
                    skips_deleted: self.skips_deleted,
                    limit: request.limit,
                    places: places.clone(),
                    order: self.order,
                    times: Vec::new(),
                }
                .pack()
            })
            .collect()
    }

    /// `web.clicks, read_committed, offsets 0:0..1200 1:0..980`: partitions with their offsets, ends not included.
    fn describe(&self, kept: &[(i32, Ranges)]) -> String {
        let mut text = format!("{}, {}, offsets", self.topic, self.isolation);
        let read: Vec<&(i32, Ranges)> = kept.iter().filter(|(_, ranges)| !ranges.is_empty()).collect();
        for (partition, ranges) in read.iter().take(LISTED) {
            let _ = write!(text, " {partition}:{ranges}");
        }
        if read.is_empty() {
            text.push_str(" none");
        }
        if read.len() > LISTED {
            let _ = write!(text, " and {} more partitions", read.len() - LISTED);
        }
        text
    }
}

fn whole(offsets: &PartitionOffsets) -> Ranges {
    Ranges::between(offsets.start.into(), offsets.end.into())
}

fn count(offsets: &[PartitionOffsets]) -> u64 {
    offsets.iter().fold(0, |sum, offsets| sum.saturating_add(whole(offsets).len()))
}

/// What a filter selects: `partitions 1, 2` where it takes partitions whole, otherwise `offsets 0:2..11 1:2..11`.
fn describe_selected(selected: &[(PartitionOffsets, Ranges)]) -> String {
    let some: Vec<&(PartitionOffsets, Ranges)> = selected.iter().filter(|(_, ranges)| !ranges.is_empty()).collect();
    if some.is_empty() {
        return "nothing".to_owned();
    }
    let are_whole = some.iter().all(|(offsets, ranges)| *ranges == whole(offsets));
    let parts: Vec<String> = some
        .iter()
        .take(LISTED)
        .map(
            |(offsets, ranges)| {
                if are_whole { offsets.partition.to_string() } else { format!("{}:{ranges}", offsets.partition) }
            },
        )
        .collect();
    let more = if some.len() > LISTED { format!(" and {} more", some.len() - LISTED) } else { String::new() };
    if are_whole {
        format!("partitions {}{more}", parts.join(", "))
    } else {
        format!("offsets {}{more}", parts.join(" "))
    }
}
