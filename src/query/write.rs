//! A query whose rows go into a table instead of to a client.

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use portolan_connector::Begun;

use super::run::{QueryRun, announced, mistake, on_its_own};
use super::state::QueryState;
use crate::error::{Error, Result};

/// Gives all rows to the writer, under the schema that its table has.
pub(crate) async fn fill(begun: Begun, schema: SchemaRef, mut rows: SendableRecordBatchStream) -> Result<Begun> {
    let Begun::Writer(mut writer) = begun else { return Ok(begun) };
    while let Some(batch) = rows.try_next().await? {
        refuse_nulls(&schema, &batch)?;
        writer.write(announced(&schema, &batch)?).await?;
    }
    Ok(Begun::Writer(writer))
}

/// Refuses a NULL for a column that has none.
fn refuse_nulls(schema: &SchemaRef, batch: &RecordBatch) -> Result<()> {
    let columns = schema.fields().iter().zip(batch.columns());
    for (field, column) in columns.filter(|(field, _)| !field.is_nullable()) {
        if column.logical_null_count() > 0 {
            return Err(Error::user(format!("column {} may not be NULL", field.name())));
        }
    }
    Ok(())
}

impl QueryRun {
    /// Runs the query to its last row, which `filled` gives to a writer, and commits. Returns how many rows were written.
    ///
    /// Until the commit the query can be told to end like any other, and nothing is left of it. From then on nothing can
    /// end it, not even that its client leaves: what happens at the source is what the query's end says.
    pub(crate) async fn write(self, filled: BoxFuture<'static, Result<Begun>>) -> Result<u64> {
        let query = self.query().clone();
        query.enter(QueryState::Running);
        let filled = query.unless_stopped(on_its_own(filled, self.span())).await;
        let filled = self.checked(filled)?;
        query.enter(QueryState::Finishing);
        let committing = tokio::spawn(async move {
            let committed = match filled {
                Begun::Already(rows) => Ok(rows),
                Begun::Writer(writer) => writer.commit().await.map_err(Error::from),
            };
            let rows = self.checked(committed)?;
            self.end(Ok(()));
            Ok(rows)
        });
        committing.await.map_err(|_| mistake())?
    }
}
