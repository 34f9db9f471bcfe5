//! A stream that is dropped stops its statement on the server.

use std::time::{Duration, Instant};

use futures::StreamExt;

use crate::harness::{Database, begin, drain, open, plan, read, request, table};

/// Waits until no session of ours is busy, apart from one that holds a snapshot.
async fn idle_within_a_second(database: &Database) {
    let start = Instant::now();
    loop {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'portolan' AND state = 'active'",
            database.name
        );
        if database.server.psql("postgres", &sql).unwrap().trim() == "0" {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(1), "the statement still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const SCRIPT: &str =
    "CREATE VIEW long AS SELECT g AS id, repeat('x', 200) AS v FROM (SELECT generate_series(1, 100000000) AS g) rows;
    CREATE VIEW silent AS SELECT count(*) AS n FROM generate_series(1, 100000000000) g;
    CREATE TABLE small AS SELECT 1 AS a";

#[tokio::test(flavor = "multi_thread")]
async fn while_rows_flow() {
    let database = Database::with(SCRIPT);
    let connector = database.connector();
    let of = table(&connector, "public", "long").await;
    let snapshot = begin(&connector).await;
    let plan = plan(&of, &request(&of, &["id", "v"], vec![]), &snapshot).await.unwrap();
    let mut stream = open(&connector, &plan, 1000);
    for _ in 0..3 {
        assert_eq!(stream.next().await.unwrap().unwrap().num_rows(), 1000);
    }
    assert!(database.sessions(true) >= 2);
    drop(stream);
    idle_within_a_second(&database).await;
    // The session is not used again, and there is another.
    let small = table(&connector, "public", "small").await;
    assert_eq!(read(&connector, &small, &["a"], vec![]).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_row() {
    let database = Database::with(SCRIPT);
    let connector = database.connector();
    let of = table(&connector, "public", "silent").await;
    let snapshot = begin(&connector).await;
    let plan = plan(&of, &request(&of, &["n"], vec![]), &snapshot).await.unwrap();
    let mut stream = open(&connector, &plan, 1000);
    let first = tokio::time::timeout(Duration::from_millis(300), stream.next()).await;
    assert!(first.is_err(), "the statement should still run");
    drop(stream);
    idle_within_a_second(&database).await;
}

/// What a stream does not take, the server does not send: memory and work stop with the reader.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_polled_sends_nothing() {
    let database = Database::with(SCRIPT);
    let connector = database.connector();
    let of = table(&connector, "public", "long").await;
    let snapshot = begin(&connector).await;
    let plan = plan(&of, &request(&of, &["id"], vec![]), &snapshot).await.unwrap();
    let before = database.sessions(false);
    let stream = open(&connector, &plan, 1000);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(database.sessions(false), before);
    drop(stream);
    drop(snapshot);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(database.sessions(true), 0);
}

/// Sessions are used again, and a limit ends a statement without cancelling anything.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_used_again() {
    let database = Database::with(SCRIPT);
    let connector = database.connector();
    let of = table(&connector, "public", "long").await;
    for _ in 0..20 {
        let snapshot = begin(&connector).await;
        let mut limited = request(&of, &["id"], vec![]);
        limited.limit = Some(10);
        let plan = plan(&of, &limited, &snapshot).await.unwrap();
        let batches = drain(open(&connector, &plan, 4)).await.unwrap();
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).collect::<Vec<_>>(), [4, 4, 2]);
    }
    let sessions = database.sessions(false);
    // A query has two, and the next one may begin before they are back.
    assert!(sessions <= 8, "{sessions} sessions for 20 queries, one at a time");
}

/// A question that nobody waits for any more must not answer the next one.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_question_spoils_no_session() {
    let database = Database::with(SCRIPT);
    let connector = database.connector();
    for delay in 0..40_u64 {
        let question = connector.table("public", "small");
        let _ = tokio::time::timeout(Duration::from_micros(delay * 100), question).await;
        let small = table(&connector, "public", "small").await;
        let rows = read(&connector, &small, &["a"], vec![]).await.unwrap();
        assert_eq!(rows, [[datafusion::common::ScalarValue::Int32(Some(1))]]);
    }
}
