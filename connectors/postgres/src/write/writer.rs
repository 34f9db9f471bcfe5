//! The rows of one statement until they are committed.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use async_trait::async_trait;
use portolan_connector::{ConnectorError, Result, TableName, TableWriter};
use std::sync::Arc;

use super::copy_in::{CopyIn, RowsError};
use super::define::{replace, told_as_existing};
use super::encode::{self, Target};
use super::failure::{self, Failure};
use super::token::Token;
use super::transaction::Transaction;
use crate::table::Shared;

const REFUSES_ROWS: &str = "PostgreSQL refuses the rows";

/// The table that the rows go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// One that was there before.
    Existing,
    /// One that the same transaction has made.
    New,
    /// One that the same transaction has made under this name, and that takes the place of another at the end.
    Replacing(String),
    /// One whose rows were changed where they are, so many of them. No rows are taken.
    Changed(u64),
}

/// See the module's comment.
pub(super) struct Writer {
    pub(super) shared: Shared,
    pub(super) name: TableName,
    pub(super) targets: Vec<Target>,
    pub(super) place: Place,
    pub(super) token: Option<Token>,
    pub(super) state: State,
}

/// How far a write has come.
pub(super) enum State {
    /// Rows are taken. `COPY` begins with the first, or has begun.
    Open(Box<Open>),
    /// The same write was committed meanwhile by another try of it, which wrote this many rows.
    Settled(u64),
    /// It has failed, and nothing is left of it.
    Failed,
}

/// A write under way.
pub(super) struct Open {
    pub(super) transaction: Transaction,
    pub(super) copy: Option<CopyIn>,
}

impl Writer {
    /// Begins to send rows, which finds out whether the user may.
    pub(super) async fn start(&mut self) -> Result<()> {
        let table = match &self.place {
            Place::Replacing(table) => table.clone(),
            Place::Existing | Place::New | Place::Changed(_) => self.name.table.clone(),
        };
        let State::Open(open) = &mut self.state else { return Ok(()) };
        if open.copy.is_some() {
            return Ok(());
        }
        match CopyIn::start(&open.transaction, &self.name.schema, &table, self.targets.clone()).await {
            Ok(started) => {
                open.copy = Some(started);
                Ok(())
            }
            Err(failure) => self.failed(failure, REFUSES_ROWS).await.map(drop),
        }
    }

    async fn send(&mut self, batch: &RecordBatch) -> Result<()> {
        let State::Open(open) = &mut self.state else { return Ok(()) };
        let Some(copy) = &mut open.copy else { return Ok(()) };
        match copy.send(batch, &self.name).await {
            Ok(()) => Ok(()),
            Err(RowsError::Server(failure)) => self.failed(failure, REFUSES_ROWS).await.map(drop),
            Err(RowsError::Ours(error)) => {
                self.state = State::Failed;
                Err(error)
            }
        }
    }

    /// The batch in the types that its columns have in PostgreSQL.
    fn conformed(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(self.targets.len());
        let mut fields = Vec::with_capacity(self.targets.len());
        for (array, target) in batch.columns().iter().zip(&self.targets) {
            let array = encode::conformed(array, &target.wire.data_type())
                .map_err(|error| failure::unwritable(target, error, &self.name))?;
            fields.push(Field::new(&target.name, array.data_type().clone(), true));
            columns.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|error| ConnectorError::internal("cannot write the rows").said(error).in_table(&self.name))
    }

    /// Undoes what was done. Where another try of the same write was committed meanwhile, which may be why this one
    /// fails, that counts, and its rows are returned.
    pub(super) async fn failed(&mut self, failure: Failure, tried: &str) -> Result<u64> {
        if let State::Open(open) = std::mem::replace(&mut self.state, State::Failed) {
            let Open { transaction, copy } = *open;
            let is_ready = copy.as_ref().is_none_or(CopyIn::abandon);
            match (&failure, is_ready) {
                (Failure::Refused(_), true) => transaction.roll_back().await,
                _ => drop(transaction),
            }
        }
        self.settled(failure, tried).await
    }

    /// The outcome of a write that has failed and is undone.
    async fn settled(&mut self, failure: Failure, tried: &str) -> Result<u64> {
        if let Some(token) = &self.token
            && let Some(settled) = token.settled(&self.shared).await
        {
            let rows = settled.map_err(|error| error.in_table(&self.name))?;
            self.state = State::Settled(rows);
            return Ok(rows);
        }
        if self.place == Place::New && failure.is_existing() {
            return Err(told_as_existing(&self.name));
        }
        Err(failure.tell(&self.shared.config, &self.name, tried))
    }

    /// Everything up to the commit. Returns how many rows there are, or that another transaction has the token.
    async fn complete(&mut self) -> Result<Completed, RowsError> {
        let State::Open(open) = &mut self.state else {
            return Err(Failure::Broken("the write has failed before".to_owned()).into());
        };
        let rows = match &mut open.copy {
            Some(copy) => copy.finish(&self.name).await?,
            None => match self.place {
                Place::Changed(rows) => rows,
                Place::Existing | Place::New | Place::Replacing(_) => 0,
            },
        };
        open.copy = None;
        if let Place::Replacing(temporary) = &self.place {
            replace(&open.transaction, &self.name, temporary).await?;
        }
        Ok(match &self.token {
            Some(token) if !token.note(&open.transaction, rows).await? => Completed::ByAnother,
            _ => Completed::Rows(rows),
        })
    }
}

/// What is to be committed.
enum Completed {
    Rows(u64),
    /// Nothing: another try of the same write was faster.
    ByAnother,
}

#[async_trait]
impl TableWriter for Writer {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if matches!(self.place, Place::Changed(_)) {
            return Err(ConnectorError::internal("rows are given to a change").in_table(&self.name));
        }
        if matches!(self.state, State::Settled(_)) || batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = self.conformed(&batch)?;
        self.start().await?;
        self.send(&batch).await
    }

    async fn commit(mut self: Box<Self>) -> Result<u64> {
        if let State::Settled(rows) = self.state {
            return Ok(rows);
        }
        let completed = match self.complete().await {
            Ok(completed) => completed,
            Err(RowsError::Server(failure)) => return self.failed(failure, "PostgreSQL refuses to write").await,
            Err(RowsError::Ours(error)) => return Err(error),
        };
        let State::Open(open) = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(ConnectorError::internal("the write has failed before").in_table(&self.name));
        };
        let transaction = open.transaction;
        match completed {
            Completed::Rows(rows) => match transaction.commit().await {
                Ok(()) => Ok(rows),
                Err(failure @ Failure::Refused(_)) => self.settled(failure, "PostgreSQL refuses to commit").await,
                Err(failure) => Err(failure.in_doubt(&self.shared.config, &self.name)),
            },
            Completed::ByAnother => {
                transaction.roll_back().await;
                let lost = Failure::Broken("the other try of the same write cannot be found".to_owned());
                self.settled(lost, "PostgreSQL refuses the write_token").await
            }
        }
    }
}
