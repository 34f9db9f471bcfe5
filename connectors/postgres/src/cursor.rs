//! Rows over the query's own connection, where no other can be had or the server lets no other see what it sees.
//!
//! Several scans of a query may be read in turns, in any order: each has a cursor, and takes some rows of it at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use portolan_connector::{ConnectorError, ReadContext, Result, TableName};

use crate::config::Config;
use crate::copy::{CopyDecoder, Limits};
use crate::error;
use crate::net::{Backend, Pool, Purpose, Step};
use crate::read::undecodable;
use crate::snapshot::Moment;
use crate::split::CopySplit;
use crate::table::Shared;

/// Rows that are fetched at once. They wait in memory for whoever reads.
const FETCH_ROWS: u64 = 1000;

/// What the rows of a `COPY` begin and end with: signature, flags, length of an extension; a row of -1 values. Between them a
/// row of a binary cursor is written as a row of `COPY` is.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8] = b"\xff\xff";

/// Numbers the cursors.
static CURSORS: AtomicU64 = AtomicU64::new(0);

/// The rows of a split.
pub(crate) fn read(
    shared: Shared,
    moment: Arc<Moment>,
    table: TableName,
    split: CopySplit,
    context: ReadContext,
) -> BoxStream<'static, Result<RecordBatch>> {
    let limits = Limits { rows: context.batch_rows.max(1), bytes: shared.config.batch_bytes };
    let wires = split.columns.iter().map(|column| &column.wire);
    let decoder = CopyDecoder::new(Arc::clone(&context.schema), wires, limits);
    let cursor = format!("portolan_{}", CURSORS.fetch_add(1, Ordering::Relaxed));
    let Shared { config, pool, .. } = shared;
    let reader = Reader { config, pool, moment, split, table, context, decoder, cursor, state: State::New };
    let batches = stream::try_unfold(reader, |mut reader| async move {
        Ok::<_, ConnectorError>(reader.next_batch().await?.map(|batch| (batch, reader)))
    });
    batches.boxed()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Open,
    /// All rows were fetched.
    Fetched,
}

struct Reader {
    config: Arc<Config>,
    pool: Arc<Pool>,
    moment: Arc<Moment>,
    split: CopySplit,
    table: TableName,
    context: ReadContext,
    decoder: CopyDecoder,
    cursor: String,
    state: State,
}

impl Reader {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            self.feed(&[])?;
            if self.decoder.is_full() || self.state == State::Fetched {
                let batch = self.decoder.take().map_err(|error| undecodable(&self.split, &self.table, error))?;
                if batch.is_none() {
                    self.decoder.end().map_err(|error| undecodable(&self.split, &self.table, error))?;
                }
                return Ok(batch);
            }
            self.fetch().await?;
        }
    }

    fn feed(&mut self, piece: &[u8]) -> Result<()> {
        self.decoder.feed(piece).map_err(|error| undecodable(&self.split, &self.table, error))
    }

    /// Compares the tables with what they were when they were looked up. The query holds them. Its own transaction sees the
    /// system catalogs as they were when it began.
    async fn compare(&self) -> Result<()> {
        let session = self.pool.get(Purpose::Metadata).await.map_err(|error| error.in_table(&self.table))?;
        for version in &self.split.versions {
            let seen = version.see(session.client()).await.map_err(|cause| {
                error::statement(&self.config, "cannot ask whether a table has changed", &cause).in_table(&self.table)
            })?;
            if !seen.is_some_and(|seen| version.holds(&seen)) {
                return Err(error::changed(&self.table));
            }
        }
        session.release();
        Ok(())
    }

    /// Fetches some rows.
    async fn fetch(&mut self) -> Result<()> {
        let fetch = format!("FETCH FORWARD {FETCH_ROWS} FROM {}", self.cursor);
        let statements = match self.state {
            State::New => {
                self.compare().await?;
                self.feed(HEADER)?;
                vec![format!("DECLARE {} BINARY NO SCROLL CURSOR FOR {}", self.cursor, self.split.sql), fetch]
            }
            State::Open | State::Fetched => vec![fetch],
        };
        self.state = State::Open;
        let moment = Arc::clone(&self.moment);
        let turn = moment.turn().await.map_err(|error| error.in_table(&self.table))?;
        let mut wire = turn.session.borrow_wire();
        wire.take_rows_as_data();
        let waiting = self.context.metrics.time_waiting.timer();
        let sent = wire.send_queries(&statements).await;
        waiting.done();
        sent.map_err(|cause| error::broken(&self.config, &self.table, &cause))?;
        let (mut answers, mut fetched, mut failed) = (statements.len(), 0, None);
        while answers > 0 {
            let step = wire.next().map_err(|cause| error::broken(&self.config, &self.table, &cause))?;
            match step {
                Step::Message(Backend::CopyData(piece)) => {
                    self.decoder.feed(piece).map_err(|error| undecodable(&self.split, &self.table, error))?;
                }
                Step::Message(Backend::Completed(rows)) => fetched = rows,
                Step::Message(Backend::Error(said)) => {
                    failed.get_or_insert(said);
                }
                Step::Message(Backend::Ready { .. }) => answers -= 1,
                Step::Message(Backend::CopyDone | Backend::Row(_) | Backend::Other) => {}
                Step::Receive => {
                    let waiting = self.context.metrics.time_waiting.timer();
                    let received = wire.receive().await;
                    waiting.done();
                    let bytes = received.map_err(|cause| error::broken(&self.config, &self.table, &cause))?;
                    self.context.metrics.bytes_received.add(bytes);
                }
            }
        }
        if wire.give_back() {
            turn.end();
        }
        if let Some(said) = failed {
            return Err(error::rows(&self.config, &self.table, &said));
        }
        if fetched < FETCH_ROWS {
            self.state = State::Fetched;
            self.feed(TRAILER)?;
        }
        Ok(())
    }
}
