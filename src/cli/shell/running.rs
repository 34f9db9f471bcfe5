//! A statement that runs, seen from the one who prints its answer.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

use crate::cli::client::{Client, Failure, Head, SharedClient};

/// Batches that wait to be printed. A slow reader of the output slows the query down.
const BATCHES_AHEAD: usize = 2;

/// What a statement tells while it runs.
#[derive(Debug)]
pub(crate) enum Event {
    /// The answer begins.
    Started(Head),
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
    events: Receiver<Result<Event, Failure>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts a statement.
    pub(crate) fn start(client: &SharedClient, sql: &str) -> Self {
        let (sender, events) = mpsc::channel(BATCHES_AHEAD);
        let (client, sql) = (Arc::clone(client), sql.to_owned());
        let task = tokio::spawn(async move {
            if let Err(failure) = run(client.as_ref(), &sql, &sender).await {
                // Nobody is there to hear it: the statement was cancelled.
                let _ = sender.send(Err(failure)).await;
            }
        });
        Self { events, task }
    }

    /// What comes next. After `Ended` or a failure nothing does.
    pub(crate) async fn next(&mut self) -> Result<Event, Failure> {
        match self.events.recv().await {
            Some(event) => event,
            // The task ended without a last word.
            None => Err(Failure::new("the query ended by a mistake in Portolan")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(client: &dyn Client, sql: &str, events: &Sender<Result<Event, Failure>>) -> Result<(), Failure> {
    let mut answer = client.run(sql).await?;
    if events.send(Ok(Event::Started(answer.head))).await.is_err() {
        return Ok(());
    }
    while let Some(batch) = answer.batches.try_next().await? {
        if events.send(Ok(Event::Rows(batch))).await.is_err() {
            return Ok(());
        }
    }
    let _ = events.send(Ok(Event::Ended)).await;
    Ok(())
}
