//! Results of many megabytes: the reader is woken for many bytes at a time, and must miss none.

use std::time::Duration;

use futures::TryStreamExt;

use crate::harness::{Database, begin, open, plan, read, request, table};

/// Much more than a long result has to have.
const ROWS: usize = 40_000;

const SCRIPT: &str = "CREATE TABLE long AS SELECT g AS id, repeat('x', 200) AS v FROM generate_series(1, 40000) g;
    CREATE VIEW halting AS
        SELECT id, v FROM long
        UNION ALL SELECT 1, 'after a pause' FROM pg_sleep(0.2)
        UNION ALL SELECT id, v FROM long
        UNION ALL SELECT 2, 'after another' FROM pg_sleep(0.2);
    CREATE TABLE small AS SELECT 1 AS a";

/// Longer than anything here takes; what hangs, hangs for ever.
const LONG: Duration = Duration::from_secs(30);

async fn count(database: &Database, of: &str, runs: usize) -> Vec<usize> {
    let connector = database.connector();
    let of = table(&connector, "public", of).await;
    let small = table(&connector, "public", "small").await;
    let mut counts = Vec::new();
    for _ in 0..runs {
        let snapshot = begin(&connector).await;
        let plan = plan(&of, &request(&of, &["id", "v"], vec![]), &snapshot).await.unwrap();
        let batches = tokio::time::timeout(LONG, open(&connector, &plan, 1000).try_collect::<Vec<_>>());
        counts.push(batches.await.expect("all rows in time").unwrap().iter().map(|batch| batch.num_rows()).sum());
        drop(snapshot);
        // The session goes on to serve answers of a few bytes.
        let after = tokio::time::timeout(LONG, read(&connector, &small, &["a"], vec![]));
        assert_eq!(after.await.expect("a small answer in time").unwrap().len(), 1);
    }
    assert!(database.sessions(false) <= 3, "sessions are used again");
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_serves_small_answers_after_long_ones() {
    assert_eq!(count(&Database::with(SCRIPT), "long", 3).await, [ROWS; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_pauses_is_waited_for() {
    assert_eq!(count(&Database::with(SCRIPT), "halting", 1).await, [2 * ROWS + 2]);
}
