//! Questions that the program itself asks, in SQL.

use arrow::array::RecordBatch;
use futures::TryStreamExt;

use super::{Client, Failure};
use crate::cli::output::write_text;

/// Rows that an answer to the program itself may have. The rest is left out.
const ROWS_MAX: usize = 100_000;

/// A row of values as text; `None` for NULL.
pub(crate) type TextRow = Vec<Option<String>>;

/// Runs a statement and returns its rows as text.
pub(crate) async fn ask(client: &dyn Client, sql: &str) -> Result<Vec<TextRow>, Failure> {
    let mut batches = client.run(sql).await?.batches;
    let mut rows = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        for row in 0..batch.num_rows() {
            if rows.len() >= ROWS_MAX {
                return Ok(rows);
            }
            rows.push(text_row(&batch, row)?);
        }
    }
    Ok(rows)
}

fn text_row(batch: &RecordBatch, row: usize) -> Result<TextRow, Failure> {
    let values = batch.columns().iter().map(|column| {
        let mut text = String::new();
        Ok(write_text(column.as_ref(), row, &mut text)?.then_some(text))
    });
    values.collect()
}

/// A text as a literal of SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
