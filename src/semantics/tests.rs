//! What SQL means, case by case. Expected values come from PostgreSQL's documentation or from arithmetic.

mod arithmetic;
mod floats;
mod numbers;
mod plans;
mod refusals;
mod sums;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

/// A session as the engine sets it up.
fn session() -> SessionContext {
    let config = super::configure(SessionConfig::new().with_target_partitions(3).with_batch_size(100));
    let builder = SessionStateBuilder::new().with_config(config).with_default_features();
    SessionContext::new_with_state(super::install(builder).build())
}

/// A session with one table, whose rows are spread over `partitions`.
fn session_with(table: &str, columns: Vec<(&str, ArrayRef)>, partitions: usize) -> SessionContext {
    let context = session();
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true)));
    let batch = batch.unwrap();
    let rows = batch.num_rows().div_ceil(partitions);
    let parts = (0..partitions)
        .map(|part| {
            let start = (part * rows).min(batch.num_rows());
            vec![batch.slice(start, rows.min(batch.num_rows() - start))]
        })
        .collect();
    context.register_table(table, Arc::new(MemTable::try_new(batch.schema(), parts).unwrap())).unwrap();
    context
}

/// All rows as text: columns separated by a blank, NULL spelled out.
async fn rows(context: &SessionContext, sql: &str) -> Result<Vec<String>> {
    let batches = context.sql(sql).await?.collect().await?;
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in &batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(values.join(" "));
        }
    }
    Ok(rows)
}

/// Runs the query and compares its rows, in order.
async fn expect(context: &SessionContext, sql: &str, expected: &[&str]) {
    match rows(context, sql).await {
        Ok(rows) => assert_eq!(rows, expected, "{sql}"),
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// Runs the query and checks that it fails with this in its message.
async fn expect_error(context: &SessionContext, sql: &str, expected: &str) {
    match rows(context, sql).await {
        Ok(rows) => panic!("{sql} gave {rows:?}"),
        Err(error) => {
            let message = error.strip_backtrace();
            assert!(message.contains(expected), "{sql}: {message}");
        }
    }
}
