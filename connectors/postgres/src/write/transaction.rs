//! A session that writes, from BEGIN to its end.

use portolan_connector::Result;

use super::failure::Failure;
use crate::net::{CopyInWire, Lease, Purpose};
use crate::table::Shared;

/// Each statement sees what is committed when it begins; the rows that a query reads have a snapshot of their own.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// An open transaction. One that is dropped is rolled back: its session is closed, and whatever it does is cancelled.
pub(super) struct Transaction {
    /// Present until the end.
    session: Option<Lease>,
}

impl Transaction {
    /// Begins one.
    pub(super) async fn begin(shared: &Shared) -> Result<Self> {
        let session = shared.pool.get(Purpose::Write).await?;
        let transaction = Self { session: Some(session) };
        let begun = transaction.run(&format!("{BEGIN}; {}", shared.config.settings)).await;
        begun.map_err(|failure| failure.told(&shared.config, "cannot begin to write"))?;
        Ok(transaction)
    }

    /// The session, to ask something of it.
    pub(super) fn session(&self) -> Result<&Lease, Failure> {
        self.session.as_ref().ok_or_else(|| Failure::Broken("the transaction has ended".to_owned()))
    }

    /// Runs statements without rows.
    pub(super) async fn run(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.session()?.client().batch_execute(sql).await?)
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn change(&self, sql: &str) -> Result<u64, Failure> {
        Ok(self.session()?.client().execute_typed(sql, &[]).await?)
    }

    /// The wire, to send rows. Until it is given back, the transaction can do nothing else.
    pub(super) fn wire(&self) -> Result<CopyInWire, Failure> {
        Ok(self.session()?.borrow_wire_in())
    }

    /// Makes everything visible. A failure may have come after the server had done so.
    pub(super) async fn commit(mut self) -> Result<(), Failure> {
        self.run("COMMIT").await?;
        self.release();
        Ok(())
    }

    /// Undoes everything and frees the session.
    pub(super) async fn roll_back(mut self) {
        // Where this fails the connection is gone, and with it the transaction.
        if self.run("ROLLBACK").await.is_ok() {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some(session) = self.session.take() {
            session.release();
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.abandon();
        }
    }
}
