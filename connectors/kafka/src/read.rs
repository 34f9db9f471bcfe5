//! Reading a split: a thread fetches and decodes, a stream hands its batches on.
//!
//! The thread starts when the stream is first polled. It waits when two batches are unread, and ends when the stream
//! is dropped.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::RecordBatchStream;
use futures::Stream;
use portolan_connector::{ConnectorError, ReadContext};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::decode::{BatchDecoder, Poison, Pushed, Wanted};
use crate::format::Fault;
use crate::log::{KafkaLog, LogScan, Record, ScanRange, Step};
use crate::registry::Schemas;
use crate::split::KafkaSplit;

/// Batches that may wait to be taken.
const WAITING_BATCHES: usize = 2;

/// How long the thread waits for a message before it looks whether anybody still listens.
const WAIT: Duration = Duration::from_millis(100);

/// What the thread sends. Only [`Part::End`] ends a result: a channel that closes without it is an error.
enum Part {
    Batch(RecordBatch),
    End,
    Failed(ConnectorError),
}

/// What the thread does.
struct Job {
    log: Arc<dyn KafkaLog>,
    schemas: Option<Arc<dyn Schemas>>,
    split: KafkaSplit,
    context: ReadContext,
}

/// The batches of one split.
pub(crate) struct SplitReader {
    schema: SchemaRef,
    state: State,
}

enum State {
    Ready(Box<Job>),
    Running(Receiver<Part>),
    Done,
}

impl SplitReader {
    /// A reader that has not started.
    pub(crate) fn new(
        log: Arc<dyn KafkaLog>,
        schemas: Option<Arc<dyn Schemas>>,
        split: KafkaSplit,
        context: ReadContext,
    ) -> Self {
        let schema = Arc::clone(&context.schema);
        Self { schema, state: State::Ready(Box::new(Job { log, schemas, split, context })) }
    }

    fn fail(&mut self, error: ConnectorError) -> Poll<Option<Result<RecordBatch>>> {
        self.state = State::Done;
        Poll::Ready(Some(Err(DataFusionError::from(error))))
    }
}

impl Stream for SplitReader {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if matches!(self.state, State::Ready(_))
            && let State::Ready(job) = std::mem::replace(&mut self.state, State::Done)
        {
            let (sender, receiver) = channel(WAITING_BATCHES);
            // Named for those who look at the process; Linux shows the first 15 bytes.
            let thread = std::thread::Builder::new().name(format!("kafka {}", job.split.table.catalog));
            if let Err(error) = thread.spawn(move || job.run(&sender)) {
                return self.fail(ConnectorError::resource_exhausted("cannot start a thread that reads").said(error));
            }
            self.state = State::Running(receiver);
        }
        let State::Running(receiver) = &mut self.state else {
            return Poll::Ready(None);
        };
        match futures::ready!(receiver.poll_recv(context)) {
            Some(Part::Batch(batch)) => Poll::Ready(Some(Ok(batch))),
            Some(Part::End) => {
                self.state = State::Done;
                Poll::Ready(None)
            }
            Some(Part::Failed(error)) => self.fail(error),
            None => self.fail(ConnectorError::internal("the thread that reads Kafka stopped before the end")),
        }
    }
}

impl RecordBatchStream for SplitReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Job {
    fn run(&self, sender: &Sender<Part>) {
        let mut scan = None;
        let last = match self.read(sender, &mut scan) {
            Ok(()) => Part::End,
            Err(error) => Part::Failed(error.in_table(&self.split.table)),
        };
        // Nobody to tell is no error: the query has ended.
        let _ = sender.blocking_send(last);
        // Closing takes a while; nobody has to wait for it.
        drop(scan);
    }

    /// Reads until the end, the limit, an error, or until nobody listens.
    fn read(&self, sender: &Sender<Part>, scan: &mut Option<Box<dyn LogScan>>) -> Result<(), ConnectorError> {
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
        let decoder = BatchDecoder::new(Arc::clone(&context.schema), wanted, context.batch_rows.max(1));
        let mut decoder = decoder.map_err(|fault| match fault {
            Fault::Message(message) => ConnectorError::internal(message),
            Fault::Registry(error) => error.into(),
        })?;
        let mut left = split.limit.unwrap_or(usize::MAX);
        let range = ScanRange {
            topic: &split.topic,
            partition: split.partition,
            start: *start,
            end: *end,
            skips_deleted: split.skips_deleted,
        };
        let scan = scan.insert(self.log.scan(range)?);
        let mut deleted = 0;
        let mut ranges = split.ranges.iter().copied().peekable();
        while left > 0 && !sender.is_closed() {
            let mut poison = None;
            let mut take = |record: &Record<'_>| {
                context.metrics.bytes_received.add(record.bytes());
                while ranges.next_if(|(_, end)| *end <= record.offset).is_some() {}
                if ranges.peek().is_some_and(|(start, _)| *start <= record.offset) {
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
            let passed = scan.deleted();
            context.metrics.rows_lost.add(usize::try_from(passed - deleted).unwrap_or(usize::MAX));
            deleted = passed;
            if let Some((offset, what)) = poison {
                return Err(self.poisoned(offset, &what));
            }
            // While nothing comes, what there is can be worked on.
            if decoder.is_full() || (step != Step::Message && decoder.rows() > 0) {
                send(&mut decoder, sender)?;
            }
            if step == Step::End {
                return Ok(());
            }
        }
        if decoder.rows() > 0 { send(&mut decoder, sender) } else { Ok(()) }
    }

    fn poisoned(&self, offset: i64, what: &Poison) -> ConnectorError {
        if let Some(error) = &what.registry {
            return error.clone().into();
        }
        let KafkaSplit { topic, partition, .. } = &self.split;
        ConnectorError::source(format!(
            "the message of topic {topic}, partition {partition}, offset {offset} does not decode: {}",
            what.message
        ))
        .hint(format!(
            "{}, or leave the message out: NOT (_partition_id = {partition} AND _partition_offset = {offset})",
            what.hint
        ))
    }
}

fn send(decoder: &mut BatchDecoder, sender: &Sender<Part>) -> Result<(), ConnectorError> {
    let batch = decoder.finish().map_err(|error| ConnectorError::internal("a batch cannot be built").said(error))?;
    // A closed channel ends the loop that called.
    let _ = sender.blocking_send(Part::Batch(batch));
    Ok(())
}
