//! Bulk ingest: rows of a client into a table.

use arrow_flight::FlightData;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tonic::Status;

use super::errors::{status, unsupported};
use super::received;
use super::service::no_transaction;
use super::sessions::Caller;
use crate::Error;
use crate::session::{IfMissing, IfThere, Ingest};

/// Puts the rows of a stream into the table that the command names. Returns how many there were.
pub(super) async fn ingest(
    caller: &Caller,
    command: CommandStatementIngest,
    stream: BoxStream<'static, Result<FlightData, Status>>,
) -> Result<i64, Status> {
    no_transaction(command.transaction_id.as_ref())?;
    let ingest = wanted(command)?;
    let mut rows = received::rows(stream);
    // The schema comes before the first rows, and alone where there are none.
    let first = rows.try_next().await.map_err(unreadable)?;
    let Some(schema) = rows.schema().cloned() else {
        return Err(Status::invalid_argument("the stream has no schema: its first message must bring one"));
    };
    let rows = stream::iter(first.map(Ok)).chain(rows);
    let rows = rows.map_err(|error| DataFusionError::External(Box::new(interrupted(&unreadable(error)))));
    let rows = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
    let count =
        caller.client.session.ingest(ingest, rows, caller.trace.clone()).await.map_err(|error| status(&error, ""))?;
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

fn wanted(command: CommandStatementIngest) -> Result<Ingest, Status> {
    if command.temporary {
        return Err(unsupported("ingest into a temporary table"));
    }
    let options = command.table_definition_options.unwrap_or_default();
    let if_missing = match options.if_not_exist() {
        TableNotExistOption::Create => IfMissing::Create,
        TableNotExistOption::Unspecified | TableNotExistOption::Fail => IfMissing::Fail,
    };
    let if_there = match options.if_exists() {
        TableExistsOption::Append => IfThere::Append,
        TableExistsOption::Replace => IfThere::Replace,
        TableExistsOption::Unspecified | TableExistsOption::Fail => IfThere::Fail,
    };
    if command.table.is_empty() {
        return Err(Status::invalid_argument("the ingest names no table"));
    }
    let table = match (command.catalog, command.schema) {
        (Some(catalog), Some(schema)) => TableReference::full(catalog, schema, command.table),
        (None, Some(schema)) => TableReference::partial(schema, command.table),
        (None, None) => TableReference::bare(command.table),
        (Some(catalog), None) => {
            return Err(Status::invalid_argument(format!("the ingest names catalog {catalog} and no schema in it")));
        }
    };
    Ok(Ingest { table, if_missing, if_there })
}

fn unreadable(error: FlightError) -> Status {
    received::unreadable("rows", error)
}

/// A stream that broke off: nothing of it is kept.
fn interrupted(status: &Status) -> Error {
    match status.code() {
        tonic::Code::InvalidArgument => Error::user(status.message()),
        _ => Error::cancelled(format!("the client's rows broke off: {}", status.message())),
    }
}
