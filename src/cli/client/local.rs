//! A session of an engine in this process.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};

use super::{Answer, AnswerKind, Client, Failure, Head, written};
use crate::error::Error;
use crate::session::{self, Session};

/// See the module's comment.
#[derive(Debug)]
pub(crate) struct LocalClient {
    session: Arc<Session>,
    /// Where the catalogs come from.
    catalogs_file: Option<PathBuf>,
}

impl LocalClient {
    /// A client of a session. The file is only mentioned.
    pub(crate) fn new(session: Session, catalogs_file: Option<PathBuf>) -> Self {
        Self { session: Arc::new(session), catalogs_file }
    }
}

#[async_trait]
impl Client for LocalClient {
    async fn run(&self, sql: &str) -> Result<Answer, Failure> {
        let answer = self.session.execute(sql).await.map_err(|error| Failure::in_statement(&error, sql))?;
        let kind = match answer.kind {
            session::AnswerKind::Rows => AnswerKind::Rows,
            session::AnswerKind::Done(words) => AnswerKind::Done(words.to_owned()),
            session::AnswerKind::Written(rows) => AnswerKind::Done(written(&answer.schema, rows)),
        };
        let rows = match kind {
            AnswerKind::Rows => answer.rows.boxed(),
            // What the rows say is in the words.
            AnswerKind::Done(_) => stream::empty().boxed(),
        };
        let query_id = Some(answer.query_id).filter(|id| !id.is_empty());
        let sql = sql.to_owned();
        let batches = rows.map_err(move |error| Failure::in_statement(&Error::from(error), &sql)).boxed();
        Ok(Answer { head: Head { kind, schema: answer.schema, query_id }, batches })
    }

    async fn schema(&self, sql: &str) -> Result<SchemaRef, Failure> {
        self.session.schema_of(sql).await.map_err(|error| Failure::in_statement(&error, sql))
    }

    fn about(&self) -> String {
        let catalogs = match (&self.catalogs_file, self.session.engine().catalogs().configured().next()) {
            (_, None) => "No catalog is configured: start with --catalogs FILE.".to_owned(),
            (Some(file), _) => format!("Catalogs from {}.", file.display()),
            (None, _) => String::new(),
        };
        let text = format!("Portolan {}, in this process. {catalogs}", env!("CARGO_PKG_VERSION"));
        text.trim_end().to_owned()
    }
}
