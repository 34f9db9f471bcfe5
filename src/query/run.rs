//! A query under way, seen from the one who runs it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt, ready};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tracing::{Instrument, Span};

use super::admission::Slot;
use super::life::Query;
use super::registry::Queries;
use super::state::QueryState;
use super::usage::QueryMemory;
use crate::error::{Error, Result};

/// Batches that are made before the client asks for them. The next is made while the client takes this one, and no
/// more: a client that stops reading stops the sources.
const BATCHES_AHEAD: usize = 1;

/// A query under way. Dropped before its end, it is cancelled.
#[derive(Debug)]
pub(crate) struct QueryRun {
    query: Arc<Query>,
    memory: Arc<QueryMemory>,
    queries: Arc<Queries>,
    slot: Mutex<Option<Slot>>,
    span: Span,
}

impl QueryRun {
    pub(super) fn new(query: Arc<Query>, memory: Arc<QueryMemory>, queries: Arc<Queries>) -> Self {
        let trace_id = tracing::field::Empty;
        let span = tracing::info_span!("query", query_id = query.id(), user = &**query.user(), trace_id);
        if let Some(trace) = query.trace() {
            span.record("trace_id", trace.id());
        }
        Self { query, memory, queries, slot: Mutex::new(None), span }
    }

    /// The query.
    pub(crate) fn query(&self) -> &Arc<Query> {
        &self.query
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// The query's share of memory.
    pub(crate) fn memory(&self) -> Arc<QueryMemory> {
        Arc::clone(&self.memory)
    }

    /// Waits for the query's turn, then plans it. Queries that look at others must work when nothing else does.
    pub(crate) async fn plan<T: Send + 'static>(&mut self, planning: BoxFuture<'static, Result<T>>) -> Result<T> {
        let query = Arc::clone(&self.query);
        if !query.watches_others() {
            let turn = query.unless_stopped(self.queries.admission.enter(query.user())).await;
            let slot = self.checked(turn)?;
            self.keep(Some(slot));
        }
        query.enter(QueryState::Planning);
        let planned = query.unless_stopped(on_its_own(planning, &self.span)).await;
        self.checked(planned)
    }

    /// Does work that makes the whole answer, and ends the query.
    pub(crate) async fn complete<T: Send + 'static>(self, work: BoxFuture<'static, Result<T>>) -> Result<T> {
        self.query.enter(QueryState::Running);
        let query = Arc::clone(&self.query);
        let done = query.unless_stopped(on_its_own(work, &self.span)).await;
        let done = self.checked(done)?;
        self.end(Ok(()));
        Ok(done)
    }

    /// The rows of a plan that `start` begins to run, with the schema that was announced for them.
    pub(crate) fn rows(
        self,
        schema: SchemaRef,
        start: impl FnOnce() -> Result<SendableRecordBatchStream>,
    ) -> Result<SendableRecordBatchStream> {
        self.query.enter(QueryState::Running);
        let started = start();
        let rows = self.checked(started)?;
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let stopped = Arc::clone(&self.query).stopped().boxed();
        let run = Arc::new(self);
        let driven = drive(Arc::clone(&run), rows, sender).instrument(run.span.clone());
        Ok(Box::pin(Rows { schema, receiver, task: Some(SpawnedTask::spawn(driven)), stopped, is_over: false, run }))
    }

    /// The result; the query ends with it if it is an error.
    pub(crate) fn checked<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.end(Err(error.clone()));
        }
        result
    }

    fn keep(&self, slot: Option<Slot>) {
        // A poisoned lock means that another thread panicked; the slot itself is still whole.
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = slot;
    }

    /// Ends the query, once.
    pub(super) fn end(&self, result: Result<()>) {
        let Some(state) = self.query.end(result) else { return };
        self.keep(None);
        self.queries.ended(&self.query, state);
        self.span.in_scope(|| {
            let milliseconds = self.query.times().total.as_secs_f64() * 1e3;
            let rows = self.query.rows();
            let peak_memory_bytes = self.query.memory_bytes().1;
            match self.query.error() {
                Some(error) => {
                    let error = error.message().text.clone();
                    tracing::info!(state = state.label(), milliseconds, rows, peak_memory_bytes, error, "query ended");
                }
                None => tracing::info!(state = state.label(), milliseconds, rows, peak_memory_bytes, "query ended"),
            }
        });
    }
}

impl Drop for QueryRun {
    fn drop(&mut self) {
        self.end(Err(left()));
    }
}

/// The error of a query that nobody waits for.
fn left() -> Error {
    Error::cancelled("the client left before the last row")
}

/// Does work on a task of its own: an order to end is then heard even while it computes for long, a panic ends the query
/// and nothing else, and the runtime's threads have the stack that deep plans need.
pub(super) async fn on_its_own<T: Send + 'static>(work: BoxFuture<'static, Result<T>>, span: &Span) -> Result<T> {
    SpawnedTask::spawn(work.instrument(span.clone())).await.map_err(|_| mistake())?
}

/// The error of a query whose task broke.
pub(super) fn mistake() -> Error {
    Error::internal("the query ended by a mistake in Portolan")
}

/// Makes rows until the query has to end. An order to end is heard here too: a client that has stopped reading does not
/// ask for the next row, and the sources must not work for it, nor others wait.
async fn drive(run: Arc<QueryRun>, rows: SendableRecordBatchStream, sender: Sender<DataFusionResult<RecordBatch>>) {
    tokio::select! {
        biased;
        why = Arc::clone(&run.query).stopped() => run.end(Err(why)),
        () = make(&run.query, rows, sender) => {}
    }
}

/// Makes rows for as long as somebody takes them.
async fn make(query: &Query, mut rows: SendableRecordBatchStream, sender: Sender<DataFusionResult<RecordBatch>>) {
    while let Some(batch) = rows.next().await {
        let failed = batch.is_err();
        if sender.send(batch).await.is_err() || failed {
            return;
        }
    }
    query.enter(QueryState::Finishing);
}

/// The rows as the client takes them. They are made on a task of their own, for the reasons of [`on_its_own`].
struct Rows {
    schema: SchemaRef,
    receiver: Receiver<DataFusionResult<RecordBatch>>,
    task: Option<SpawnedTask<()>>,
    stopped: BoxFuture<'static, Error>,
    /// Whether the client has been told the end.
    is_over: bool,
    run: Arc<QueryRun>,
}

impl Rows {
    fn fail(&mut self, error: Error) -> Poll<Option<DataFusionResult<RecordBatch>>> {
        self.task = None;
        self.is_over = true;
        self.run.end(Err(error.clone()));
        Poll::Ready(Some(Err(DataFusionError::External(Box::new(error)))))
    }

    /// The stream has ended: was it whole?
    fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<Option<DataFusionResult<RecordBatch>>> {
        if let Some(task) = &mut self.task {
            let joined = ready!(task.poll_unpin(context));
            self.task = None;
            if joined.is_err() {
                return self.fail(mistake());
            }
        }
        // The order to end may have come since it was looked for.
        if let Some(why) = self.run.query.error() {
            return self.fail(why);
        }
        self.is_over = true;
        self.run.end(Ok(()));
        Poll::Ready(None)
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.run.end(Err(left()));
    }
}

impl Stream for Rows {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(why) = self.stopped.poll_unpin(context) {
            return self.fail(why);
        }
        match ready!(self.receiver.poll_recv(context)) {
            None => self.poll_outcome(context),
            Some(Err(error)) => self.fail(Error::from(error)),
            Some(Ok(batch)) => match announced(&self.schema, &batch) {
                Ok(batch) => {
                    self.run.query.gave(&batch);
                    Poll::Ready(Some(Ok(batch)))
                }
                Err(error) => self.fail(error),
            },
        }
    }
}

impl RecordBatchStream for Rows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// A batch under the schema that was announced. Plans may know more of their columns than was said, such as that one
/// has no NULL, and some of DataFusion's rules give a decimal more digits than the query's own type has.
pub(super) fn announced(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast_with_options(column, field.data_type(), &strict),
        }
    });
    let columns: Vec<ArrayRef> =
        columns.collect::<Result<_, _>>().map_err(|error| Error::from(DataFusionError::from(error)))?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)
        .map_err(|error| Error::internal(format!("the rows are not what was announced: {error}")))
}
