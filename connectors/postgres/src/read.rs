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
use crate::metadata::Version;
use crate::net::{Backend, Lease, Pool, Purpose, RawWire, ServerError, Step};
use crate::split::CopySplit;
use crate::table::Shared;
use crate::{cursor, error};

/// Reads a split. Nothing is sent before the first poll.
///
/// A query that holds some connections while it waits for another could wait for one that does the same. So when none becomes
/// free soon, the rows come over the connection that holds the query's moment, as they do where the server lets no other see
/// it.
pub(crate) fn read(shared: Shared, split: CopySplit, context: ReadContext) -> SendableRecordBatchStream {
    let schema = Arc::clone(&context.schema);
    let open = async move {
        let table = TableName::new(&shared.config.catalog, &split.schema, &split.table);
        let moment = shared.moments.find(split.moment);
        if split.snapshot.is_none() {
            let moment = moment.ok_or_else(|| error::moment_gone(&table))?;
            return Ok(cursor::read(shared, moment, table, split, context));
        }
        let metrics = context.metrics.clone();
        let waiting = metrics.time_waiting.timer();
        let session = match moment {
            Some(moment) => match shared.pool.get_soon(Purpose::Scan).await {
                Ok(Some(session)) => Ok(session),
                Ok(None) => return Ok(cursor::read(shared, moment, table, split, context)),
                Err(error) => Err(error),
            },
            None => shared.pool.get(Purpose::Scan).await,
        };
        waiting.done();
        let session = session.map_err(|error| error.in_table(&table))?;
        let Shared { config, pool, .. } = shared;
        let read = Statements::start(session, &config, &table, &split, &context).await?;
        let attempts = 1;
        let reader = Reader { config, pool, split, table, context, read, attempts, emitted: false, done: false };
        let batches = stream::try_unfold(reader, |mut reader| async move {
            Ok::<_, ConnectorError>(reader.next_batch().await?.map(|batch| (batch, reader)))
        });
        Ok::<_, ConnectorError>(batches.boxed())
    };
    let batches = stream::once(open).try_flatten().map_err(DataFusionError::from);
    Box::pin(RecordBatchStreamAdapter::new(schema, batches.boxed()))
}

/// Answers that are missing while the transaction is opened: its own, those to COPY and to ROLLBACK.
const OPENING: usize = 3;

/// How often a split is read when connections break before its first rows are passed on.
const ATTEMPTS_MAX: u32 = 3;

/// The rows of one split.
struct Reader {
    config: Arc<Config>,
    pool: Arc<Pool>,
    split: CopySplit,
    table: TableName,
    context: ReadContext,
    read: Statements,
    attempts: u32,
    /// Whether rows were passed on.
    emitted: bool,
    done: bool,
}

/// The statements of a split under way. Dropping them before their end cancels them.
struct Statements {
    decoder: CopyDecoder,
    running: Running,
    /// Statements whose answers are not complete.
    answers: usize,
    /// The fingerprints of the tables as they are now, until they are compared.
    seen: Option<Vec<String>>,
    /// The stream of rows is complete.
    copied: bool,
    /// What the server said when it first failed; it is told when the server is ready again.
    failed: Option<ServerError>,
    /// Whether the failure was the opening of the transaction.
    unopened: bool,
    /// The connection is gone.
    lost: bool,
}

impl Statements {
    async fn start(
        session: Lease,
        config: &Config,
        table: &TableName,
        split: &CopySplit,
        context: &ReadContext,
    ) -> Result<Self> {
        let waiting = context.metrics.time_waiting.timer();
        let mut running = Running::start(session);
        let statements = split.statements(running.opening());
        let sent = running.wire.send_queries(&statements).await;
        waiting.done();
        let limits = Limits { rows: context.batch_rows.max(1), bytes: config.batch_bytes };
        let wires = split.columns.iter().map(|column| &column.wire);
        // A connection that cannot be written to cannot be read from either, which says why.
        if let Err(error) = sent
            && error.kind() == io::ErrorKind::InvalidInput
        {
            return Err(error::broken(config, table, &error));
        }
        Ok(Self {
            decoder: CopyDecoder::new(Arc::clone(&context.schema), wires, limits),
            running,
            answers: statements.len(),
            seen: Some(Vec::with_capacity(split.versions.len())),
            copied: false,
            failed: None,
            unopened: false,
            lost: false,
        })
    }
}

/// What happened to the statement.
enum Event {
    /// A batch is full.
    Full,
    /// The server is ready for another statement.
    Ready { idle: bool },
}

impl Reader {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let cause = match self.decode().await {
                Ok(batch) => {
                    self.emitted |= batch.is_some();
                    return Ok(batch);
                }
                Err(cause) => cause,
            };
            // Rows that somebody has cannot be taken back.
            if !self.read.lost || self.emitted || self.attempts >= ATTEMPTS_MAX {
                return Err(cause);
            }
            tracing::warn!(table = %self.table, error = %cause, "a connection broke before its first row: another reads");
            self.attempts += 1;
            let Self { config, pool, table, split, context, .. } = self;
            let session = pool.get(Purpose::Scan).await.map_err(|error| error.in_table(table))?;
            self.read = Statements::start(session, config, table, split, context).await?;
        }
    }

    async fn decode(&mut self) -> Result<Option<RecordBatch>> {
        if self.done {
            return Ok(None);
        }
        // What is left of the last piece, when it had more rows than a batch.
        self.read.decoder.feed(&[]).map_err(|error| undecodable(&self.split, &self.table, error))?;
        if !self.read.decoder.is_full()
            && let Event::Ready { idle } = self.advance().await?
        {
            self.finish(idle)?;
        }
        self.read.decoder.take().map_err(|error| undecodable(&self.split, &self.table, error))
    }

    /// Decodes until a batch is full or the statement has ended.
    async fn advance(&mut self) -> Result<Event> {
        loop {
            let step =
                self.read.running.wire.next().map_err(|cause| error::broken(&self.config, &self.table, &cause))?;
            match step {
                Step::Message(Backend::CopyData(piece)) => {
                    let fed = self.read.decoder.feed(piece);
                    fed.map_err(|error| undecodable(&self.split, &self.table, error))?;
                    if self.read.decoder.is_full() {
                        return Ok(Event::Full);
                    }
                }
                Step::Message(Backend::CopyDone) => self.read.copied = true,
                // What follows a failure fails because of it.
                Step::Message(Backend::Error(said)) => {
                    if self.read.failed.is_none() {
                        self.read.unopened = self.read.answers == OPENING;
                        self.read.failed = Some(said);
                    }
                }
                Step::Message(Backend::Row(fingerprint)) => {
                    if let (Some(seen), Some(fingerprint)) = (&mut self.read.seen, fingerprint) {
                        seen.push(fingerprint);
                    }
                }
                Step::Message(Backend::Ready { idle }) => {
                    self.read.answers = self.read.answers.saturating_sub(1);
                    self.compare()?;
                    if self.read.answers == 0 {
                        return Ok(Event::Ready { idle });
                    }
                }
                Step::Message(Backend::Completed(_) | Backend::Other) => {}
                Step::Receive => self.receive().await?,
            }
        }
    }

    /// Compares the tables with what they were when the query was planned. Since then nobody could change them, so that
    /// what was compared holds for the rows.
    fn compare(&mut self) -> Result<()> {
        let Some(seen) = self.read.seen.take().filter(|_| self.read.failed.is_none()) else { return Ok(()) };
        match seen.iter().map(String::as_str).eq(self.split.versions.iter().map(Version::fingerprint)) {
            true => Ok(()),
            false => Err(error::changed(&self.table)),
        }
    }

    async fn receive(&mut self) -> Result<()> {
        let waiting = self.context.metrics.time_waiting.timer();
        let received = self.read.running.wire.receive().await;
        waiting.done();
        match received {
            Ok(bytes) => {
                self.context.metrics.bytes_received.add(bytes);
                Ok(())
            }
            Err(cause) => {
                self.read.running.lost();
                self.read.lost = true;
                Err(match self.read.failed.take() {
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
        self.read.running.end(idle);
        if let Some(said) = self.read.failed.take() {
            if self.read.unopened {
                return Err(error::unfrozen(&self.config, &self.table, &said));
            }
            return Err(error::rows(&self.config, &self.table, &said));
        }
        if !self.read.copied {
            let error = io::Error::new(io::ErrorKind::InvalidData, "the statement ended before its rows did");
            return Err(error::broken(&self.config, &self.table, &error));
        }
        self.read.decoder.end().map_err(|error| undecodable(&self.split, &self.table, error))
    }
}

/// What is wrong with the rows of a split.
#[cold]
pub(crate) fn undecodable(split: &CopySplit, table: &TableName, error: DecodeError) -> ConnectorError {
    let error = match error {
        DecodeError::Stream(what) => ConnectorError::source("cannot decode the rows").said(what),
        DecodeError::Value { column, error } => {
            let column = split.columns.get(column);
            let name = column.map_or("?", |column| column.name.as_str());
            let source_type = column.map_or("?", |column| column.source_type.as_str());
            let tried =
                ConnectorError::source(format!("column \"{name}\" ({source_type}) holds {}", error.explanation().what));
            match &error.explanation().hint {
                Some(hint) => tried.hint(hint),
                None => tried,
            }
        }
    };
    error.in_table(table)
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

    fn opening(&self) -> &str {
        self.session.as_ref().map_or("", |session| session.opening())
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
        if let Some(session) = self.session.take() {
            session.abandon();
        }
    }
}
