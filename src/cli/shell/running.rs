//! A statement that runs, seen from the one who prints its answer.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::session::{AnswerKind, Session};

/// Batches that wait to be printed. A slow reader of the output slows the query down.
const BATCHES_AHEAD: usize = 2;

/// What a statement tells while it runs.
#[derive(Debug)]
pub(crate) enum Event {
    /// The answer begins.
    Started(AnswerKind, SchemaRef),
    /// Rows.
    Rows(RecordBatch),
    /// The answer is whole.
    Ended,
}

/// A statement on a task of its own. Dropping it cancels the statement, also at the sources.
///
/// A task of its own, because the runtime's threads have the stack that planning deep queries needs, because a panic
/// then ends the statement and not the program, and because the next rows are made while these are printed.
#[derive(Debug)]
pub(crate) struct Running {
    events: Receiver<Result<Event>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts a statement.
    pub(crate) fn start(session: &Arc<Session>, sql: &str) -> Self {
        let (sender, events) = mpsc::channel(BATCHES_AHEAD);
        let (session, sql) = (Arc::clone(session), sql.to_owned());
        let task = tokio::spawn(async move {
            if let Err(error) = run(&session, &sql, &sender).await {
                // Nobody is there to hear it: the statement was cancelled.
                let _ = sender.send(Err(error)).await;
            }
        });
        Self { events, task }
    }

    /// What comes next. After `Ended` or an error nothing does.
    pub(crate) async fn next(&mut self) -> Result<Event> {
        match self.events.recv().await {
            Some(event) => event,
            // The task ended without a last word.
            None => Err(Error::internal("the query ended by a mistake in Portolan")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(session: &Session, sql: &str, events: &Sender<Result<Event>>) -> Result<()> {
    let mut answer = session.execute(sql).await?;
    if events.send(Ok(Event::Started(answer.kind, SchemaRef::clone(&answer.schema)))).await.is_err() {
        return Ok(());
    }
    while let Some(batch) = answer.rows.next().await {
        if events.send(Ok(Event::Rows(batch?))).await.is_err() {
            return Ok(());
        }
    }
    let _ = events.send(Ok(Event::Ended)).await;
    Ok(())
}
