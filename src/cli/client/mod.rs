//! What runs the statements of a session: an engine in this process, or a server elsewhere.
//!
//! The shell, its listings and completion know only [`Client`]. What they want to know beside rows they ask in SQL, so that
//! it is the same wherever the engine is.

mod ask;
mod failure;
mod local;
mod remote;
mod standing;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::session::WRITTEN_WORDS;

pub(crate) use ask::{ask, literal};
pub(crate) use failure::Failure;
pub(crate) use local::LocalClient;
pub(crate) use remote::{Login, RemoteClient, ServerAddress, TlsFiles};
pub(crate) use standing::{LastStanding, Standing, standing};

/// Whether an answer is rows to show or a change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    /// Rows.
    Rows,
    /// A change without rows, with the words that say so: `SET SESSION`.
    Done(String),
}

/// What a statement that wrote rows has done, in psql's words: `INSERT 0 5`.
fn written(schema: &Schema, rows: u64) -> String {
    let words = schema.metadata().get(WRITTEN_WORDS).map_or("", String::as_str);
    format!("{words} {rows}")
}

/// How an answer begins.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Rows or a change.
    pub(crate) kind: AnswerKind,
    /// The columns.
    pub(crate) schema: SchemaRef,
    /// The query's id; `None` for statements that run no query.
    pub(crate) query_id: Option<String>,
}

/// The answer of one statement.
pub(crate) struct Answer {
    pub(crate) head: Head,
    /// The rows. Dropping the stream cancels the query, also at its sources.
    pub(crate) batches: BoxStream<'static, Result<RecordBatch, Failure>>,
}

/// One session, wherever its engine is.
#[async_trait]
pub(crate) trait Client: Debug + Send + Sync {
    /// Runs one statement. Dropping the future or the answer cancels it.
    async fn run(&self, sql: &str) -> Result<Answer, Failure>;

    /// The schema of a statement's answer, without running it. It has no fields when the answer has no rows.
    async fn schema(&self, sql: &str) -> Result<SchemaRef, Failure>;

    /// What the session is connected to, in a sentence or two for the person.
    fn about(&self) -> String;
}

/// A session that several parts of the program use.
pub(crate) type SharedClient = Arc<dyn Client>;
