//! The rows of one statement on their way to the server.

use arrow::array::RecordBatch;
use portolan_connector::{ConnectorError, TableName};
use portolan_remote_sql::{Dialect, PostgresDialect};

use super::encode::{self, Target};
use super::failure::{self, Failure};
use super::transaction::Transaction;
use crate::net::{CopyInWire, HEADER, ROWS_BYTES_MAX};

/// Bytes that are encoded before they are sent.
const MESSAGE_BYTES: usize = 128 * 1024;

/// Why rows were not taken.
pub(super) enum RowsError {
    /// By the server.
    Server(Failure),
    /// Before they were sent.
    Ours(ConnectorError),
}

impl From<Failure> for RowsError {
    fn from(failure: Failure) -> Self {
        Self::Server(failure)
    }
}

/// A `COPY ... FROM STDIN` under way.
pub(super) struct CopyIn {
    wire: CopyInWire,
    targets: Vec<Target>,
    /// Rows that are not sent yet, behind room for a message's header.
    buffer: Vec<u8>,
}

impl CopyIn {
    /// Begins to send rows with these columns. Until the end the transaction can do nothing else.
    pub(super) async fn start(
        transaction: &Transaction,
        schema: &str,
        table: &str,
        targets: Vec<Target>,
    ) -> Result<Self, Failure> {
        let quote = |name: &str| PostgresDialect.quote_identifier(name);
        let columns: Vec<String> = targets.iter().map(|target| quote(&target.name)).collect();
        let columns = columns.join(", ");
        let sql = format!("COPY {}.{} ({columns}) FROM STDIN (FORMAT binary)", quote(schema), quote(table));
        let mut wire = transaction.wire()?;
        if let Err(error) = wire.start(&sql).await {
            wire.give_back();
            return Err(error.into());
        }
        let mut copy = Self { wire, targets, buffer: Vec::with_capacity(2 * MESSAGE_BYTES) };
        copy.begin_message();
        copy.buffer.extend_from_slice(encode::HEADER);
        Ok(copy)
    }

    fn begin_message(&mut self) {
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; HEADER]);
    }

    /// Sends a batch. Waits while the server is slower than the query.
    pub(super) async fn send(&mut self, batch: &RecordBatch, table: &TableName) -> Result<(), RowsError> {
        let mut row = 0;
        while row < batch.num_rows() {
            let encoded = encode::encode(batch, &self.targets, row, MESSAGE_BYTES, &mut self.buffer);
            row = encoded.map_err(|(column, error)| RowsError::Ours(self.unwritable(column, error, table)))?;
            if self.buffer.len() >= MESSAGE_BYTES {
                self.flush(table).await?;
            }
        }
        Ok(())
    }

    fn unwritable(&self, column: usize, error: encode::Unwritable, table: &TableName) -> ConnectorError {
        match self.targets.get(column) {
            Some(target) => failure::unwritable(target, error, table),
            None => ConnectorError::internal(error.what).in_table(table),
        }
    }

    async fn flush(&mut self, table: &TableName) -> Result<(), RowsError> {
        if self.buffer.len() > ROWS_BYTES_MAX {
            let text = format!("a row has {} bytes, and at most {ROWS_BYTES_MAX} are sent", self.buffer.len());
            return Err(RowsError::Ours(ConnectorError::resource_exhausted(text).in_table(table)));
        }
        self.wire.send_rows(&mut self.buffer).await.map_err(Failure::from)?;
        self.begin_message();
        Ok(())
    }

    /// Ends the rows, and returns how many the server wrote. Then the transaction can go on.
    pub(super) async fn finish(&mut self, table: &TableName) -> Result<u64, RowsError> {
        self.buffer.extend_from_slice(encode::TRAILER);
        self.flush(table).await?;
        let rows = self.wire.finish().await.map_err(Failure::from)?;
        match self.wire.give_back() {
            true => Ok(rows),
            false => Err(Failure::Broken("the server said more than it should".to_owned()).into()),
        }
    }

    /// Ends after the server has refused: the transaction can be rolled back. Otherwise only closing the session helps.
    pub(super) fn abandon(&self) -> bool {
        self.wire.give_back()
    }
}
