//! A database that statements can change.

use std::sync::Arc;

use async_trait::async_trait;
use portolan_connector::{
    Begun, ConnectorError, ConnectorTable, InsertMode, NewTable, OnExisting, Reason, Result, RowChange, TableName,
    WritableCatalog, WriteContext,
};

use super::change::change_rows;
use super::define::{
    check_name, columns, create, define, drop_table, is_taken, quoted, temporary_name, told_as_existing,
};
use super::encode::Target;
use super::target;
use super::token::Token;
use super::transaction::Transaction;
use super::writer::{Open, Place, State, Writer};
use crate::connector::PostgresConnector;
use crate::table::Shared;

#[async_trait]
impl WritableCatalog for PostgresConnector {
    async fn create_schema(&self, schema: &str) -> Result<bool> {
        let shared = self.shared();
        check_name(schema).map_err(|error| error.in_catalog(&shared.config.catalog))?;
        let sql = format!("CREATE SCHEMA {}", quoted(schema));
        // Also where another transaction makes it at the same time.
        define(shared, &sql, &format!("cannot make schema {schema}"), &["42P06", "23505"]).await
    }

    async fn drop_schema(&self, schema: &str, cascade: bool) -> Result<bool> {
        if schema.is_empty() || schema.contains('\0') {
            return Ok(false);
        }
        let cascade = if cascade { " CASCADE" } else { "" };
        let sql = format!("DROP SCHEMA {}{cascade}", quoted(schema));
        define(self.shared(), &sql, &format!("cannot drop schema {schema}"), &["3F000"]).await
    }

    async fn create_table(&self, table: NewTable, context: WriteContext) -> Result<Begun> {
        let name = table.name.clone();
        self.begin_table(table, context).await.map_err(|error| error.in_table(&name))
    }

    async fn insert(
        &self,
        table: &Arc<dyn ConnectorTable>,
        columns: &[usize],
        mode: InsertMode,
        context: WriteContext,
    ) -> Result<Begun> {
        mode.only_append().map_err(|error| error.in_table(table.name()))?;
        let begun = self.begin_rows(table.as_ref(), columns, context).await;
        begun.map_err(|error| error.in_table(table.name()))
    }

    fn refuses_row_changes(&self) -> Option<Reason> {
        None
    }

    async fn change_rows(
        &self,
        table: &Arc<dyn ConnectorTable>,
        change: RowChange,
        context: WriteContext,
    ) -> Result<Begun> {
        change_rows(self, table, change, context).await
    }

    async fn drop_table(&self, table: &TableName) -> Result<bool> {
        drop_table(self.shared(), table).await
    }
}

/// The token of a write, or the rows of the write that was committed with it before.
pub(super) async fn token(shared: &Shared, context: &WriteContext) -> Result<(Option<Token>, Option<u64>)> {
    let Some(token) = &context.token else { return Ok((None, None)) };
    let token = Token::new(token, &shared.config)?;
    let committed = token.committed(shared).await?;
    Ok((Some(token), committed))
}

impl PostgresConnector {
    async fn begin_rows(&self, table: &dyn ConnectorTable, columns: &[usize], context: WriteContext) -> Result<Begun> {
        let shared = self.shared();
        let (token, committed) = token(shared, &context).await?;
        if let Some(rows) = committed {
            return Ok(Begun::Already(rows));
        }
        if columns.is_empty() {
            return Err(ConnectorError::user("the table has no columns that can be written"));
        }
        let transaction = Transaction::begin(shared).await?;
        let targets = match target::targets(&transaction, shared, table, columns).await {
            Ok(targets) => targets,
            Err(error) => {
                transaction.roll_back().await;
                return Err(error);
            }
        };
        let mut writer = self.writer(table.name(), targets, Place::Existing, token, transaction);
        writer.start().await?;
        Ok(Begun::Writer(Box::new(writer)))
    }

    async fn begin_table(&self, table: NewTable, context: WriteContext) -> Result<Begun> {
        let shared = self.shared();
        let targets = columns(&table)?;
        let (token, committed) = token(shared, &context).await?;
        if let Some(rows) = committed {
            return Ok(Begun::Already(rows));
        }
        let transaction = Transaction::begin(shared).await?;
        let told = |failure: super::failure::Failure| {
            failure.tell(&shared.config, &table.name, "PostgreSQL refuses to make the table")
        };
        if table.on_existing == OnExisting::Skip && is_taken(&transaction, &table.name).await.map_err(told)? {
            transaction.roll_back().await;
            return Ok(Begun::Already(0));
        }
        let place = match table.on_existing {
            OnExisting::Replace => Place::Replacing(temporary_name()),
            OnExisting::Fail | OnExisting::Skip => Place::New,
        };
        let made = match &place {
            Place::Replacing(temporary) => create(&transaction, &table, temporary, &targets).await,
            Place::New | Place::Existing | Place::Changed(_) => {
                create(&transaction, &table, &table.name.table, &targets).await
            }
        };
        if let Err(failure) = made {
            transaction.roll_back().await;
            // The same write may have been committed meanwhile, and have made the table.
            if let Some(settled) = match &token {
                Some(token) => token.settled(shared).await,
                None => None,
            } {
                return Ok(Begun::Already(settled?));
            }
            return match (failure.is_existing(), table.on_existing) {
                (true, OnExisting::Skip) => Ok(Begun::Already(0)),
                (true, OnExisting::Fail) => Err(told_as_existing(&table.name)),
                _ => Err(told(failure)),
            };
        }
        Ok(Begun::Writer(Box::new(self.writer(&table.name, targets, place, token, transaction))))
    }

    fn writer(
        &self,
        name: &TableName,
        targets: Vec<Target>,
        place: Place,
        token: Option<Token>,
        transaction: Transaction,
    ) -> Writer {
        let state = State::Open(Box::new(Open { transaction, copy: None }));
        Writer { shared: self.shared().clone(), name: name.clone(), targets, place, token, state }
    }
}
