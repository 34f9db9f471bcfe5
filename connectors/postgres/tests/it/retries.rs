//! A connection that breaks: read again while nobody has rows of it, an error otherwise.

use std::time::{Duration, Instant};

use futures::StreamExt;

use crate::harness::{Database, begin, drain, open, plan, request, rows, table};
use crate::proxy::Proxy;

/// Takes a moment before its first row.
const SLOW: &str = "CREATE VIEW slow AS SELECT g AS id FROM (SELECT generate_series(1, 3) AS g, pg_sleep(0.4)) rows";
const LONG: &str = "CREATE TABLE long AS SELECT g AS id, repeat('x', 200) AS v FROM generate_series(1, 20000) g";

/// Ends the sessions of ours that run, or hold, what begins with this text.
fn terminate(database: &Database, query: &str) -> usize {
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'portolan'
         AND query LIKE '{query}%' AND state <> 'idle'",
        database.name
    );
    database.server.psql("postgres", &sql).unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_before_its_first_row_is_replaced() {
    let database = Database::with(SLOW);
    let connector = database.connector();
    let slow = table(&connector, "public", "slow").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&slow, &request(&slow, &["id"], vec![]), &snapshot).await.unwrap();
    let reading = tokio::spawn(drain(open(&connector, &planned, 10)));
    let start = Instant::now();
    while terminate(&database, "COPY") == 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "nothing reads");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rows(&reading.await.unwrap().unwrap()).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_passed_on_are_not_read_again() {
    let database = Database::with(LONG);
    let proxy = Proxy::before(database.server.port()).await;
    let connector = proxy.connector(&database, "");
    let long = table(&connector, "public", "long").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&long, &request(&long, &["id", "v"], vec![]), &snapshot).await.unwrap();
    // Cut while the first batch is not full yet.
    proxy.cut_after(100_000);
    let connections = proxy.connections();
    assert_eq!(rows(&drain(open(&connector, &planned, 15_000)).await.unwrap()).len(), 20_000);
    assert_eq!(proxy.connections(), connections + 2);
    // Cut after it.
    proxy.cut_after(2_000_000);
    let mut stream = open(&connector, &planned, 100);
    assert_eq!(stream.next().await.unwrap().unwrap().num_rows(), 100);
    let error = drain(stream).await.unwrap_err();
    assert!(error.contains("the rows are not complete") && error.contains("Hint: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_moment_a_query_cannot_go_on() {
    let database = Database::with(LONG);
    let connector = database.connector();
    let long = table(&connector, "public", "long").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&long, &request(&long, &["id"], vec![]), &snapshot).await.unwrap();
    assert_eq!(terminate(&database, "EXPLAIN"), 1);
    let start = Instant::now();
    while database.sessions(true) > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "the session did not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let error = drain(open(&connector, &planned, 10)).await.unwrap_err();
    assert!(error.contains("at the moment at which the query began"), "{error}");
    assert!(error.contains("run the query again"), "{error}");
}

/// What is in the pool may have been cut off while nobody used it.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_broke_while_idle_are_not_used() {
    let database = Database::with(LONG);
    let proxy = Proxy::before(database.server.port()).await;
    let connector = proxy.connector(&database, "");
    for _ in 0..3 {
        let long = table(&connector, "public", "long").await;
        let snapshot = begin(&connector).await;
        let mut limited = request(&long, &["id"], vec![]);
        limited.limit = Some(5);
        let planned = plan(&long, &limited, &snapshot).await.unwrap();
        assert_eq!(rows(&drain(open(&connector, &planned, 10)).await.unwrap()).len(), 5);
        drop(snapshot);
        tokio::time::sleep(Duration::from_millis(50)).await;
        proxy.cut();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
