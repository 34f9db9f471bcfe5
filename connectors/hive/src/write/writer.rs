//! The rows of one statement until they are committed.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use portolan_connector::{InsertMode, Result, TableWriter};

use super::commit::{Commit, Goal, Outcome};
use super::files::Files;
use super::publish::{Committed, finish};
use super::record::{Token, new_write};
use super::split::Splitter;
use super::target::Target;

/// See the module's comment.
pub(super) struct Writer {
    target: Arc<Target>,
    goal: Goal,
    token: Option<Token>,
    write: String,
    /// The last write of the log when this one began.
    seen: u64,
    splitter: Splitter,
    /// `None` once nothing of them is to be removed.
    files: Option<Files>,
}

impl Writer {
    pub(super) fn new(target: Target, goal: Goal, token: Option<Token>, seen: u64) -> Result<Self> {
        let (target, write) = (Arc::new(target), new_write());
        let files = Some(Files::new(&target, &write));
        Ok(Self { splitter: Splitter::new(&target)?, target, goal, token, write, seen, files })
    }

    async fn complete(&mut self) -> Result<u64> {
        let Some(files) = &mut self.files else { return Ok(0) };
        files.finish().await?;
        let appends = matches!(self.goal, Goal::Rows(InsertMode::Append | InsertMode::NewPartitions));
        if appends && self.token.is_none() && files.finished.is_empty() {
            return Ok(0);
        }
        let (log, store) = (&self.target.log, &self.target.log.store);
        store.persist(&files.staged()?, &log.root).await?;
        let rows = files.finished.iter().map(|file| file.rows).sum();
        if let Some(registry) = &self.target.registry {
            registry.announce(self.goal).await?;
        }
        let commit = Commit {
            target: &self.target,
            goal: self.goal,
            token: self.token.as_ref(),
            write: &self.write,
            seen: self.seen,
            partitions: &self.splitter.partitions,
            files: &files.finished,
            counts: files.counts.as_ref(),
        };
        match commit.run().await {
            Ok(Outcome::Committed(number)) => {
                self.files = None;
                store.persist(&[log.commit_path(number)?], &log.root).await?;
                let committed = match self.goal {
                    Goal::New(_) => Committed::Table(Some(self.write.as_str())),
                    Goal::Rows(_) => Committed::Rows,
                };
                finish(log, self.target.registry.as_ref(), committed).await?;
                Ok(rows)
            }
            Ok(Outcome::Already(rows)) => Ok(rows),
            Err(error) => {
                // The record may be there after all, and the files belong to it: they are litter only if it is not.
                if commit_is_in_doubt(&error) {
                    self.files = None;
                }
                Err(error)
            }
        }
    }
}

/// Whether a commit failed in a way that does not say whether the record was made.
fn commit_is_in_doubt(error: &portolan_connector::ConnectorError) -> bool {
    error.class() == portolan_connector::ErrorClass::Source
}

#[async_trait]
impl TableWriter for Writer {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        let parts = self.splitter.split(&batch)?;
        let Some(files) = &mut self.files else { return Ok(()) };
        for (partition, rows) in parts {
            files.write(partition, &rows).await.map_err(|error| error.in_table(&self.target.name))?;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<u64> {
        let committed = self.complete().await.map_err(|error| error.in_table(&self.target.name));
        if let Some(mut files) = self.files.take() {
            files.discard().await;
        }
        committed
    }
}

impl Drop for Writer {
    /// Removes what was written and not committed. Where that fails it is litter that nobody reads.
    fn drop(&mut self) {
        let Some(mut files) = self.files.take() else { return };
        if files.is_empty() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { files.discard().await });
        }
    }
}
