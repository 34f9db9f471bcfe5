//! Reading a split: what is fetched of one partition is decoded batch by batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portolan_connector::{ConnectorError, ReadContext, TableName};

use crate::batches::{Batches, Output, Task};
use crate::decode::{BatchDecoder, Poison, Pushed, Wanted};
use crate::format::Fault;
use crate::log::{KafkaLog, LogScan, Record, ScanRange, Step};
use crate::registry::Schemas;
use crate::split::KafkaSplit;

/// How long the thread waits for a message before it looks whether anybody still listens.
const WAIT: Duration = Duration::from_millis(100);

/// What the thread does.
pub(crate) struct Job {
    log: Arc<dyn KafkaLog>,
    schemas: Option<Arc<dyn Schemas>>,
    split: KafkaSplit,
    context: ReadContext,
}

/// The batches of one split.
pub(crate) fn batches(
    log: Arc<dyn KafkaLog>,
    schemas: Option<Arc<dyn Schemas>>,
    split: KafkaSplit,
    context: ReadContext,
) -> Batches<Job> {
    Batches::new(Arc::clone(&context.schema), Job { log, schemas, split, context })
}

impl Task for Job {
    type Held = Box<dyn LogScan>;

    fn table(&self) -> &TableName {
        &self.split.table
    }

    /// Reads until the end, the limit, an error, or until nobody listens.
    fn run(&self, output: &Output, scan: &mut Option<Box<dyn LogScan>>) -> Result<(), ConnectorError> {
        let Self { split, context, .. } = self;
        let (Some((start, _)), Some((_, end))) = (split.ranges.first(), split.ranges.last()) else {
            return Ok(());
        };
        let wanted = Wanted {
            layout: &split.layout,
            errors: split.errors,
            partition: split.partition,
            cut: &split.cut,
            schemas: self.schemas.as_ref(),
        };
        let mut decoder = decoder(context, wanted)?;
        let mut left = split.limit.unwrap_or(usize::MAX);
        let range = ScanRange {
            topic: &split.topic,
            partition: split.partition,
            start: *start,
            end: *end,
            skips_deleted: split.skips_deleted,
            limit: split.limit,
        };
        let scan = scan.insert(self.log.scan(range));
        let mut deleted = 0;
        let mut received = Received { bytes: 0, context };
        let mut ranges = split.ranges.iter().copied();
        let (mut from, mut until) = ranges.next().unwrap_or_default();
        while left > 0 && !output.is_closed() {
            let mut poison = None;
            let mut take = |record: &Record<'_>| {
                received.bytes += record.bytes();
                while until <= record.offset {
                    let Some(next) = ranges.next() else {
                        from = i64::MAX;
                        break;
                    };
                    (from, until) = next;
                }
                if from <= record.offset {
                    match decoder.push(record) {
                        Ok(Pushed::Row) => left -= 1,
                        Ok(Pushed::Skipped) => context.metrics.rows_skipped.add(1),
                        Ok(Pushed::Other) => {}
                        Err(what) => poison = Some((record.offset, what)),
                    }
                }
            };
            let mut step = scan.next(Duration::ZERO, &mut take)?;
            if step == Step::Waiting {
                let started = Instant::now();
                let waited = scan.next(WAIT, &mut take);
                context.metrics.time_waiting.add_duration(started.elapsed());
                step = waited?;
            }
            if step != Step::Message {
                received.count();
            }
            count_lost(context, &mut deleted, scan.deleted());
            if let Some((offset, what)) = poison {
                let (topic, partition) = (&split.topic, split.partition);
                let without = format!(
                    "leave the message out: NOT (_partition_id = {partition} AND _partition_offset = {offset})"
                );
                return Err(poisoned(topic, partition, offset, &what, &without));
            }
            // While nothing comes, what there is can be worked on.
            if decoder.is_full() || (step != Step::Message && decoder.rows() > 0) {
                received.count();
                output.send(&mut decoder, || scan.make_way())?;
            }
            if step == Step::End {
                return Ok(());
            }
        }
        if decoder.rows() > 0 { output.send(&mut decoder, || scan.make_way()) } else { Ok(()) }
    }
}

/// The bytes of messages that are not counted yet: many readers share the count, and one after the other would wait for it with
/// each message.
struct Received<'a> {
    bytes: usize,
    context: &'a ReadContext,
}

impl Received<'_> {
    fn count(&mut self) {
        self.context.metrics.bytes_received.add(std::mem::take(&mut self.bytes));
    }
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        self.count();
    }
}

/// The error of a message that does not decode. `else_do` is what else there is to do about it.
pub(crate) fn poisoned(topic: &str, partition: i32, offset: i64, what: &Poison, else_do: &str) -> ConnectorError {
    if let Some(error) = &what.registry {
        return error.clone().into();
    }
    ConnectorError::source(format!(
        "the message of topic {topic}, partition {partition}, offset {offset} does not decode: {}",
        what.message
    ))
    .hint(format!("{}, or {else_do}", what.hint))
}

/// What makes batches of messages, as a read wants them.
pub(crate) fn decoder(context: &ReadContext, wanted: Wanted<'_>) -> Result<BatchDecoder, ConnectorError> {
    let decoder = BatchDecoder::new(Arc::clone(&context.schema), wanted, context.batch_rows.max(1));
    decoder.map_err(|fault| match fault {
        Fault::Message(message) => ConnectorError::internal(message),
        Fault::Registry(error) => error.into(),
    })
}

/// Counts the offsets that were passed over: `now` in all, of which `counted` are counted.
pub(crate) fn count_lost(context: &ReadContext, counted: &mut u64, now: u64) {
    let more = now.saturating_sub(*counted);
    if more == 0 {
        return;
    }
    context.metrics.rows_lost.add(usize::try_from(more).unwrap_or(usize::MAX));
    *counted = now;
}
