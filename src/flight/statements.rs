//! Planning and running statements.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tonic::Status;

use super::encode::wire_schema;
use super::errors::{status, stream_status, unsupported_in};
use super::sessions::ClientSession;
use crate::error::Position;
use crate::session::{AnswerKind, Script};
use crate::{Error, Session};

/// What protocol and clients call an unknown number of rows.
const ROWS_UNKNOWN: i64 = -1;

/// A statement that runs.
pub(super) struct Running {
    /// The query's id; empty for statements that run no query.
    pub(super) query_id: String,
    /// The rows' schema on the wire.
    pub(super) schema: SchemaRef,
    /// The rows. Dropping the stream cancels the query.
    pub(super) rows: BoxStream<'static, Result<RecordBatch, Status>>,
}

/// The schema of a statement's rows on the wire, without running it. It has no fields when the statement returns none.
pub(super) async fn schema(session: &Session, sql: &str) -> Result<SchemaRef, Status> {
    no_placeholders(sql)?;
    let schema = session.schema_of(sql).await.map_err(|error| status(&error, sql))?;
    Ok(wire_schema(&schema))
}

/// Starts a statement.
pub(super) async fn run(client: ClientSession, sql: String) -> Result<Running, Status> {
    no_placeholders(&sql)?;
    let answer = client.session.execute(&sql).await.map_err(|error| status(&error, &sql))?;
    let schema = wire_schema(&answer.schema);
    let rows = answer.rows.map_err(move |error| {
        // The session is kept for as long as rows may come.
        let _ = &client;
        stream_status(error, &sql)
    });
    Ok(Running { query_id: answer.query_id, schema, rows: rows.boxed() })
}

/// Runs a statement, or several with semicolons between, for what they change. Rows are read and thrown away, so that
/// an error among them is not missed.
///
/// Returns the number of changed rows: none, or unknown where a statement was a query.
pub(super) async fn update(session: &Session, sql: &str) -> Result<i64, Status> {
    let parts = Script::split(sql);
    if parts.is_empty() {
        return Err(status(&Error::user("the statement is empty"), sql));
    }
    let mut changed = 0;
    for part in parts {
        no_placeholders(part.sql)?;
        let mut answer = session.execute(part.sql).await.map_err(|error| status(&error, part.sql))?;
        while let Some(batch) = answer.rows.next().await {
            batch.map_err(|error| stream_status(error, part.sql))?;
        }
        if answer.kind == AnswerKind::Rows {
            changed = ROWS_UNKNOWN;
        }
    }
    Ok(changed)
}

/// Refuses parameters, `?` and `$1`, with their place. What cannot be cut into tokens is left to the parser's error.
fn no_placeholders(sql: &str) -> Result<(), Status> {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else { return Ok(()) };
    let found = tokens.into_iter().find_map(|token| match token.token {
        Token::Placeholder(name) => Some((name, token.span.start)),
        _ => None,
    });
    let Some((name, start)) = found else { return Ok(()) };
    let error = Error::user(format!("parameter {name}: statements with parameters are not supported"))
        .at(Some(Position { line: start.line, column: start.column }))
        .hint("write the value into the statement");
    Err(unsupported_in(&error, sql))
}
