//! Answers as text, to compare and to show.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use portolan::{Error, Session};

/// Runs a statement and collects its batches.
pub(crate) async fn batches(session: &Session, sql: &str) -> Result<Vec<RecordBatch>, Error> {
    let answer = session.execute(sql).await?;
    answer.rows.try_collect().await.map_err(Error::from)
}

/// Runs a statement and formats its values.
pub(crate) async fn rows(session: &Session, sql: &str) -> Result<Vec<Vec<String>>, Error> {
    Ok(format(&batches(session, sql).await?))
}

/// The rows in an order of their own, for comparisons where the query gives none.
pub(crate) async fn sorted(session: &Session, sql: &str) -> Result<Vec<Vec<String>>, Error> {
    let mut rows = rows(session, sql).await?;
    rows.sort();
    Ok(rows)
}

/// Values as text, `NULL` for NULL.
pub(crate) fn format(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    rows
}
