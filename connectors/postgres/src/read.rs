//! The stream of one split's rows.

use std::io;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt, stream};
use portolan_connector::{ConnectorError, ReadContext, Result, TableName};

use crate::config::Config;
use crate::copy::{CopyDecoder, DecodeError, Limits};
use crate::error;
use crate::net::{Backend, Lease, Pool, Purpose, RawWire, ServerError, Step};
use crate::split::CopySplit;

/// Reads a split. Nothing is sent before the first poll.
pub(crate) fn read(
    config: Arc<Config>,
    pool: Arc<Pool>,
    split: CopySplit,
    context: ReadContext,
) -> SendableRecordBatchStream {
    let schema = Arc::clone(&context.schema);
    let open = async move { Reader::open(config, &pool, split, context).await };
    let batches = stream::once(open)
        .map_ok(|reader| {
            stream::try_unfold(reader, |mut reader| async move {
                Ok::<_, ConnectorError>(reader.next_batch().await?.map(|batch| (batch, reader)))
            })
        })
        .try_flatten()
        .map_err(DataFusionError::from);
    Box::pin(RecordBatchStreamAdapter::new(schema, batches.boxed()))
}

/// A statement under way. Dropping it before its end cancels it.
struct Reader {
    config: Arc<Config>,
    split: CopySplit,
    table: TableName,
    context: ReadContext,
    decoder: CopyDecoder,
    running: Running,
    /// The stream of rows is complete.
    copied: bool,
    /// What the server said when it failed; it is told when the server is ready again.
    failed: Option<ServerError>,
    done: bool,
}

/// What happened to the statement.
enum Event {
    /// A batch is full.
    Full,
    /// The server is ready for another statement.
    Ready { idle: bool },
}

impl Reader {
    async fn open(config: Arc<Config>, pool: &Pool, split: CopySplit, context: ReadContext) -> Result<Self> {
        let table = TableName::new(&config.catalog, &split.schema, &split.table);
        let waiting = context.metrics.time_waiting.timer();
        let session = pool.get(Purpose::Scan).await.map_err(|error| error.in_table(&table))?;
        let mut running = Running::start(session);
        let sent = running.wire.send_query(&split.statements()).await;
        waiting.done();
        sent.map_err(|cause| error::broken(&config, &table, &cause))?;
        let limits = Limits { rows: context.batch_rows.max(1), bytes: config.batch_bytes };
        let wires = split.columns.iter().map(|column| &column.wire);
        let decoder = CopyDecoder::new(Arc::clone(&context.schema), wires, limits);
        Ok(Self { config, split, table, context, decoder, running, copied: false, failed: None, done: false })
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.done {
            return Ok(None);
        }
        // What is left of the last piece, when it had more rows than a batch.
        self.decoder.feed(&[]).map_err(|error| self.undecodable(error))?;
        if !self.decoder.is_full()
            && let Event::Ready { idle } = self.advance().await?
        {
            self.finish(idle)?;
        }
        self.decoder.take().map_err(|error| self.undecodable(error))
    }

    /// Decodes until a batch is full or the statement has ended.
    async fn advance(&mut self) -> Result<Event> {
        loop {
            let step = self.running.wire.next().map_err(|cause| error::broken(&self.config, &self.table, &cause))?;
            match step {
                Step::Message(Backend::CopyData(piece)) => {
                    let fed = self.decoder.feed(piece);
                    fed.map_err(|error| self.undecodable(error))?;
                    if self.decoder.is_full() {
                        return Ok(Event::Full);
                    }
                }
                Step::Message(Backend::CopyDone) => self.copied = true,
                Step::Message(Backend::Error(said)) => self.failed = Some(said),
                Step::Message(Backend::Ready { idle }) => return Ok(Event::Ready { idle }),
                Step::Message(Backend::Other) => {}
                Step::Receive => self.receive().await?,
            }
        }
    }

    async fn receive(&mut self) -> Result<()> {
        let waiting = self.context.metrics.time_waiting.timer();
        let received = self.running.wire.receive().await;
        waiting.done();
        match received {
            Ok(bytes) => {
                self.context.metrics.bytes_received.add(bytes);
                Ok(())
            }
            Err(cause) => {
                self.running.lost();
                Err(match self.failed.take() {
                    // A server that shuts down says so before it hangs up.
                    Some(said) => error::rows(&self.config, &self.table, &said),
                    None => error::broken(&self.config, &self.table, &cause),
                })
            }
        }
    }

    /// Ends the statement: either all rows have come, or there is an error.
    fn finish(&mut self, idle: bool) -> Result<()> {
        self.done = true;
        self.running.end(idle);
        if let Some(said) = self.failed.take() {
            return Err(error::rows(&self.config, &self.table, &said));
        }
        if !self.copied {
            let error = io::Error::new(io::ErrorKind::InvalidData, "the statement ended before its rows did");
            return Err(error::broken(&self.config, &self.table, &error));
        }
        self.decoder.end().map_err(|error| self.undecodable(error))
    }

    #[cold]
    fn undecodable(&self, error: DecodeError) -> ConnectorError {
        let error = match error {
            DecodeError::Stream(what) => ConnectorError::source("cannot decode the rows").said(what),
            DecodeError::Value { column, error } => {
                let column = self.split.columns.get(column);
                let name = column.map_or("?", |column| column.name.as_str());
                let source_type = column.map_or("?", |column| column.source_type.as_str());
                let tried = ConnectorError::source(format!(
                    "column \"{name}\" ({source_type}) holds {}",
                    error.explanation().what
                ));
                match &error.explanation().hint {
                    Some(hint) => tried.hint(hint),
                    None => tried,
                }
            }
        };
        error.in_table(&self.table)
    }
}

/// The session of a statement that runs on its wire.
struct Running {
    /// Present while the statement runs.
    session: Option<Lease>,
    wire: RawWire,
}

impl Running {
    fn start(session: Lease) -> Self {
        let wire = session.borrow_wire();
        Self { session: Some(session), wire }
    }

    /// The statement has ended. A session outside of any transaction goes back to its pool.
    fn end(&mut self, idle: bool) {
        if let Some(session) = self.session.take()
            && idle
            && self.wire.give_back()
        {
            session.release();
        }
    }

    /// The connection is gone.
    fn lost(&mut self) {
        self.session = None;
    }
}

/// Cancels a statement that still runs. Its session is closed and not used again: what it still sends is not worth
/// reading.
impl Drop for Running {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let canceller = session.canceller();
        runtime.spawn(async move {
            if let Err(error) = canceller.cancel().await {
                tracing::debug!(?error, "a statement could not be cancelled");
            }
            drop(session);
        });
    }
}
