//! Writes beside reads and other writes.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int32Array, RecordBatch};
use futures::StreamExt;
use futures::future::join_all;

use super::{batch, begin_insert, context, insert, writer};
use crate::harness::{Database, begin, open, plan, request, table};

fn numbers(first: i32, count: i32) -> RecordBatch {
    batch(vec![("a", Arc::new(Int32Array::from_iter_values(first..first + count)) as ArrayRef)])
}

/// A statement that reads the table that it writes, with one connection for each purpose: each waits only for those that
/// never wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn statements_that_read_and_write_need_one_connection_of_each_kind() {
    let database = Database::with("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 20000)");
    let connector = database.connector_with("access = 'read_write'\nconnections_max = 1");
    let copying = (0..4).map(|_| {
        let connector = Arc::clone(&connector);
        tokio::spawn(async move {
            let of = table(&connector, "public", "t").await;
            let snapshot = begin(&connector).await;
            let plan = plan(&of, &request(&of, &["a"], vec![]), &snapshot).await.unwrap();
            let mut writer = writer(begin_insert(&connector, "t", &["a"], context(None)).await.unwrap());
            let mut rows = open(&connector, &plan, 1_000);
            while let Some(batch) = rows.next().await {
                writer.write(batch.unwrap()).await.unwrap();
            }
            drop(rows);
            let written = writer.commit().await.unwrap();
            drop(snapshot);
            written
        })
    });
    let copied = tokio::time::timeout(Duration::from_secs(60), join_all(copying)).await.unwrap();
    let copied: Vec<u64> = copied.into_iter().map(Result::unwrap).collect();
    // One after another, since a query holds its snapshot from its beginning: each doubles the table.
    assert_eq!(copied.iter().sum::<u64>(), 20_000 * 15);
    assert_eq!(database.psql("SELECT count(*) FROM t"), (20_000 * 16).to_string());
    assert!(database.sessions(false) <= 7, "{}", database.sessions(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_once() {
    let database = Database::with("CREATE TABLE t (a int PRIMARY KEY)");
    let connector = database.connector_with("access = 'read_write'\nconnections_max = 3");
    let writing = (0..20).map(|part| {
        let connector = Arc::clone(&connector);
        tokio::spawn(async move { insert(&connector, "t", numbers(part * 1_000, 1_000)).await })
    });
    for written in join_all(writing).await {
        assert_eq!(written.unwrap(), Ok(1_000));
    }
    assert_eq!(database.psql("SELECT count(*), sum(a) FROM t"), format!("20000|{}", 19_999 * 10_000));
}

/// Tries of one write at the same time: one is made, and all tell the same.
#[tokio::test(flavor = "multi_thread")]
async fn tries_of_one_write_at_once() {
    let database = Database::with("CREATE TABLE t (a int)");
    let connector = database.connector_with("access = 'read_write'");
    let trying = (0..8).map(|_| {
        let connector = Arc::clone(&connector);
        tokio::spawn(async move {
            match begin_insert(&connector, "t", &["a"], context(Some(("all", "INSERT")))).await.unwrap() {
                portolan_connector::Begun::Already(rows) => rows,
                portolan_connector::Begun::Writer(mut writer) => {
                    writer.write(numbers(0, 500)).await.unwrap();
                    writer.commit().await.unwrap()
                }
            }
        })
    });
    for written in join_all(trying).await {
        assert_eq!(written.unwrap(), 500);
    }
    assert_eq!(database.psql("SELECT count(*) FROM t"), "500");
}
