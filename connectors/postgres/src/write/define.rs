//! Making and removing schemas and tables.

use portolan_connector::{ConnectorError, NewTable, Result, TableName};
use portolan_remote_sql::{Dialect, PostgresDialect};
use std::sync::atomic::{AtomicU64, Ordering};

use super::encode::Target;
use super::failure::Failure;
use super::transaction::Transaction;
use super::types;
use crate::config::Config;
use crate::table::Shared;

/// How long a statement waits for others that work with what it changes.
const LOCK_WAIT: &str = "SET LOCAL lock_timeout = '60s'";

/// Bytes of a name that PostgreSQL keeps (`NAMEDATALEN` less one).
const NAME_BYTES_MAX: usize = 63;

/// Columns of a table (`MaxHeapAttributeNumber`).
const COLUMNS_MAX: usize = 1_600;

pub(super) fn quoted(name: &str) -> String {
    PostgresDialect.quote_identifier(name)
}

fn full_name(name: &TableName) -> String {
    format!("{}.{}", quoted(&name.schema), quoted(&name.table))
}

/// Refuses names that PostgreSQL would cut.
pub(super) fn check_name(name: &str) -> Result<()> {
    PostgresDialect.check_identifier(name).map_err(|reason| ConnectorError::user(reason.to_string()))?;
    if name.len() > NAME_BYTES_MAX {
        return Err(ConnectorError::user(format!(
            "the name {name} has {} bytes, and PostgreSQL's have at most {NAME_BYTES_MAX}",
            name.len()
        )));
    }
    Ok(())
}

/// Runs a statement in a transaction of its own. False where it fails with one of these SQLSTATEs.
pub(super) async fn define(shared: &Shared, sql: &str, tried: &str, absent: &[&str]) -> Result<bool> {
    let transaction = Transaction::begin(shared).await?;
    let done = match transaction.run(&format!("{LOCK_WAIT}; {sql}")).await {
        Ok(()) => transaction.commit().await,
        Err(failure) => {
            transaction.roll_back().await;
            Err(failure)
        }
    };
    match done {
        Ok(()) => Ok(true),
        Err(failure) if absent.contains(&failure.code()) => Ok(false),
        Err(failure) => Err(told(failure, &shared.config, tried)),
    }
}

fn told(failure: Failure, config: &Config, tried: &str) -> ConnectorError {
    let dependents = failure.code() == "2BP01";
    let error = failure.told(config, tried);
    // PostgreSQL's own hint is CASCADE, which there is for schemas alone.
    match dependents && tried.contains("table") {
        true => error.hint("drop in PostgreSQL what depends on it"),
        false => error,
    }
}

/// The columns of a new table.
pub(super) fn columns(table: &NewTable) -> Result<Vec<Target>> {
    let fields = table.columns.fields();
    if fields.len() > COLUMNS_MAX {
        let count = fields.len();
        return Err(ConnectorError::user(format!(
            "a table of PostgreSQL has at most {COLUMNS_MAX} columns, not {count}"
        )));
    }
    for name in [&table.name.schema, &table.name.table] {
        check_name(name)?;
    }
    let column = |field: &arrow::datatypes::FieldRef| {
        check_name(field.name())?;
        types::column(field).ok_or_else(|| {
            let data_type = field.data_type();
            ConnectorError::user(format!("column {}: PostgreSQL has no type for {data_type}", field.name()))
                .hint(types::advice(data_type))
        })
    };
    fields.iter().map(column).collect()
}

/// Makes a table without rows.
pub(super) async fn create(
    transaction: &Transaction,
    table: &NewTable,
    name: &str,
    columns: &[Target],
) -> Result<(), Failure> {
    let definitions: Vec<String> = columns
        .iter()
        .zip(table.columns.fields())
        .map(|(column, field)| {
            let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
            format!("{} {}{not_null}", quoted(&column.name), column.source_type)
        })
        .collect();
    let definitions = definitions.join(", ");
    let sql = format!("{LOCK_WAIT}; CREATE TABLE {}.{} ({definitions})", quoted(&table.name.schema), quoted(name));
    transaction.run(&sql).await
}

/// Whether anything has the name that a table is to have.
pub(super) async fn is_taken(transaction: &Transaction, name: &TableName) -> Result<bool, Failure> {
    let sql = format!(
        "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = {}",
        PostgresDialect.write_text(&name.schema),
        PostgresDialect.write_text(&name.table)
    );
    Ok(transaction.session()?.execute(&sql).await?.is_some())
}

/// A name for a table until it takes the place of another: no other transaction under way has the same.
pub(super) fn temporary_name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("portolan_new_{:x}_{:x}_{number:x}", std::process::id(), since.as_micros())
}

/// Puts a table in the place of another.
pub(super) async fn replace(transaction: &Transaction, name: &TableName, temporary: &str) -> Result<(), Failure> {
    let sql = format!(
        "{LOCK_WAIT}; DROP TABLE IF EXISTS {}; ALTER TABLE {}.{} RENAME TO {}",
        full_name(name),
        quoted(&name.schema),
        quoted(temporary),
        quoted(&name.table)
    );
    transaction.run(&sql).await
}

/// Removes a table. False where there is none.
pub(super) async fn drop_table(shared: &Shared, name: &TableName) -> Result<bool> {
    // No name of PostgreSQL's is empty or holds a NUL.
    if [&name.schema, &name.table].iter().any(|name| name.is_empty() || name.contains('\0')) {
        return Ok(false);
    }
    let sql = format!("DROP TABLE {}", full_name(name));
    let dropped = define(shared, &sql, "cannot drop the table", &["42P01", "3F000"]).await;
    dropped.map_err(|error| error.in_table(name))
}

pub(super) fn told_as_existing(name: &TableName) -> ConnectorError {
    ConnectorError::exists("the table exists already").in_table(name)
}
