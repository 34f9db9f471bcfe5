//! Planning and running statements.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::ipc::CompressionType;
use datafusion::common::ScalarValue;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use super::encode::wire_schema;
use super::errors::{status, stream_status};
use super::parameters;
use super::sessions::Caller;
use super::ticket::Handle;
use crate::query::TraceHeaders;
use crate::session::{AnswerKind, Prepared, Request, Script, Statement};
use crate::{Error, Session};

/// What protocol and clients call an unknown number of rows.
const ROWS_UNKNOWN: i64 = -1;

/// The header in which an answer or an error says which query it is of.
pub(super) const QUERY_ID: &str = "portolan-query-id";

/// A statement that runs.
pub(super) struct Running {
    /// The query's id; empty for what runs no query.
    pub(super) query_id: String,
    /// The rows' schema on the wire.
    pub(super) schema: SchemaRef,
    /// How the rows are compressed on the wire.
    pub(super) compression: Option<CompressionType>,
    /// The rows. Dropping the stream cancels the query.
    pub(super) rows: BoxStream<'static, Result<RecordBatch, Status>>,
}

/// A statement of a client: what to run, and in which session.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// The session that asks, which statements such as SET change.
    asking: Arc<Session>,
    /// Where the asking session stood when the statement's handle was made: there everything else runs.
    standing: Arc<Session>,
    sql: String,
    /// The statement; not yet parsed where the text may be several.
    parsed: Option<Arc<Statement>>,
    /// What the client calls this run.
    tag: Option<Arc<str>>,
    /// The client's place in a trace.
    trace: Option<TraceHeaders>,
    /// Rows of values for the parameters; `None` where none were bound.
    rows: Option<Vec<Vec<ScalarValue>>>,
}

impl Task {
    /// What a handle of the client stands for.
    pub(super) fn of(handle: Handle, caller: &Caller) -> Result<Self, Status> {
        let Caller { client, trace, .. } = caller;
        let standing = Arc::new(client.session.standing_at(handle.standing()));
        let rows = handle.parameters.as_deref().map(|bytes| parameters::rows(&parameters::from_bytes(bytes)?));
        let tag = Some(handle.run).filter(|run| !run.is_empty()).map(Arc::from);
        let (asking, trace) = (Arc::clone(&client.session), trace.clone());
        let parsed = Statement::parse(&handle.sql).map_err(|error| status(&error, &handle.sql))?;
        let parsed = Some(Arc::new(parsed));
        Ok(Self { asking, standing, sql: handle.sql, parsed, tag, trace, rows: rows.transpose()? })
    }

    /// A statement, or several, of the client itself.
    pub(super) fn here(caller: &Caller, sql: String) -> Self {
        let session = || Arc::clone(&caller.client.session);
        let trace = caller.trace.clone();
        Self { asking: session(), standing: session(), sql, parsed: None, tag: None, trace, rows: None }
    }

    /// The session in which the statement runs. A statement that is not yet parsed stands where its session does.
    fn session(&self) -> &Arc<Session> {
        let changes = self.parsed.as_ref().is_some_and(|parsed| parsed.changes_session());
        if changes { &self.asking } else { &self.standing }
    }

    /// Whether running the statement twice is not the same as running it once.
    pub(super) fn changes_source(&self) -> bool {
        self.parsed.as_ref().is_some_and(|parsed| parsed.changes_source())
    }

    /// The same statement with these values.
    pub(super) fn with_rows(self, rows: Vec<Vec<ScalarValue>>) -> Self {
        Self { rows: Some(rows), ..self }
    }

    /// The schema of the rows on the wire, without running the statement. It has no fields when there will be none.
    pub(super) async fn schema(&self) -> Result<SchemaRef, Status> {
        let schema = match self.rows.as_deref() {
            None => self.announce(Vec::new()).await?,
            Some([only]) => self.announce(only.clone()).await?,
            // Which columns have NULLs may depend on the row of values.
            Some([first, ..]) => nullable(self.announce(first.clone()).await?.as_ref()),
            Some([]) => nullable(prepare(&self.standing, &self.sql).await?.schema.as_ref()),
        };
        Ok(wire_schema(&schema))
    }

    async fn announce(&self, parameters: Vec<ScalarValue>) -> Result<SchemaRef, Status> {
        let announced = self.session().announce(&self.request(parameters, None)).await;
        announced.map_err(|error| status(&error, &self.sql))
    }

    /// Starts the statement: once, or once for each row of values with the answers one after another.
    pub(super) async fn run(self) -> Result<Running, Status> {
        let query_id = self.asking.engine().queries().new_id();
        let compression = self.standing.settings().result_compression();
        let schema = match self.rows.as_deref() {
            None | Some([_]) => {
                let row = self.rows.as_deref().and_then(<[_]>::first).cloned().unwrap_or_default();
                let (schema, rows) = self.start(row, query_id.clone()).await?;
                return Ok(Running { query_id, schema: wire_schema(&schema), compression, rows });
            }
            Some(_) => self.schema().await?,
        };
        let values = self.rows.clone().unwrap_or_default();
        let rows = stream::iter(values)
            .then(move |row| {
                let task = self.clone();
                async move {
                    let id = task.asking.engine().queries().new_id();
                    Ok::<_, Status>(task.start(row, id).await?.1)
                }
            })
            .try_flatten();
        Ok(Running { query_id, schema, compression, rows: rows.boxed() })
    }

    async fn start(
        &self,
        parameters: Vec<ScalarValue>,
        id: String,
    ) -> Result<(SchemaRef, BoxStream<'static, Result<RecordBatch, Status>>), Status> {
        let session = Arc::clone(self.session());
        let answer = session.answer(&self.request(parameters, Some(id.clone()))).await;
        let answer = answer.map_err(|error| with_query_id(status(&error, &self.sql), &id))?;
        let (session, sql) = (Arc::clone(&self.asking), self.sql.clone());
        let rows = answer.rows.map_err(move |error| {
            // The session is kept for as long as rows may come.
            let _ = &session;
            with_query_id(stream_status(error, &sql), &id)
        });
        Ok((answer.schema, rows.boxed()))
    }

    /// Runs the statement, or several with semicolons between, for what it changes. Rows are read and thrown away, so
    /// that an error among them is not missed.
    ///
    /// Returns the number of written rows, or unknown where a statement was a query.
    pub(super) async fn update(self) -> Result<i64, Status> {
        let parts = Script::split(&self.sql);
        let several = parts.len() > 1;
        if parts.is_empty() {
            return Err(status(&Error::user("the statement is empty"), &self.sql));
        }
        let mut changed = 0;
        for part in parts {
            let rows = match &self.rows {
                Some(_) if several => {
                    let error = Error::user("parameters are bound to one statement, and here are several");
                    return Err(status(&error, &self.sql));
                }
                Some(rows) => rows.clone(),
                None => vec![Vec::new()],
            };
            for row in rows {
                let request = Request {
                    sql: part.sql.to_owned(),
                    parameters: row,
                    trace: self.trace.clone(),
                    parsed: self.parsed.clone(),
                    ..Request::default()
                };
                changed = match self.change(&request).await? {
                    AnswerKind::Written(rows) if changed != ROWS_UNKNOWN => {
                        i64::try_from(rows).unwrap_or(i64::MAX).saturating_add(changed)
                    }
                    AnswerKind::Rows => ROWS_UNKNOWN,
                    AnswerKind::Written(_) | AnswerKind::Done(_) => changed,
                };
            }
        }
        Ok(changed)
    }

    async fn change(&self, request: &Request) -> Result<AnswerKind, Status> {
        let answer = self.session().answer(request).await;
        let mut answer = answer.map_err(|error| status(&error, &request.sql))?;
        while let Some(batch) = answer.rows.next().await {
            batch.map_err(|error| stream_status(error, &request.sql))?;
        }
        Ok(answer.kind)
    }

    fn request(&self, parameters: Vec<ScalarValue>, id: Option<String>) -> Request {
        Request {
            sql: self.sql.clone(),
            parameters,
            tag: self.tag.clone(),
            id,
            trace: self.trace.clone(),
            parsed: self.parsed.clone(),
        }
    }
}

/// The columns and the parameters of a statement.
pub(super) async fn prepare(session: &Session, sql: &str) -> Result<Prepared, Status> {
    session.prepare(sql).await.map_err(|error| status(&error, sql))
}

fn nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| Field::clone(field).with_nullable(true));
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// An error that says which query it is of. Those that end no query, such as a typing mistake, need not be found again.
fn with_query_id(mut status: Status, id: &str) -> Status {
    if status.code() != Code::Ok
        && let Ok(value) = MetadataValue::try_from(id)
    {
        status.metadata_mut().insert(QUERY_ID, value);
    }
    status
}
