//! However many queries run, a catalog has so many connections and no more; and nothing is written through any of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;

use crate::harness::{Database, begin, drain, open, plan, read, request, rows, table};

#[tokio::test(flavor = "multi_thread")]
async fn fifty_queries_share_few_connections() {
    let database =
        Arc::new(Database::with("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 20000) g; ANALYZE t"));
    // Readers, queries, and four for questions.
    let limit = 3 + 3 + 4;
    let connector = database.connector_with("connections_max = 3");
    let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let watcher = {
        let (database, stop, most) = (Arc::clone(&database), Arc::clone(&stop), Arc::clone(&most));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                most.fetch_max(database.sessions(false), Ordering::Relaxed);
            }
        })
    };
    let query = async || {
        let t = table(&connector, "public", "t").await;
        let snapshot = begin(&connector).await;
        let planned = plan(&t, &request(&t, &["id"], vec![]), &snapshot).await.unwrap();
        rows(&drain(open(&connector, &planned, 1000)).await.unwrap()).len()
    };
    let all = join_all((0..50).map(|_| query()));
    let counts =
        tokio::time::timeout(Duration::from_secs(120), all).await.expect("no query waits for another for ever");
    stop.store(true, Ordering::Relaxed);
    watcher.join().unwrap();
    assert!(counts.iter().all(|count| *count == 20_000));
    let most = most.load(Ordering::Relaxed);
    assert!((2..=limit).contains(&most), "{most} connections");
}

/// Each holds a connection and waits for one more.
#[tokio::test(flavor = "multi_thread")]
async fn two_queries_do_not_wait_for_each_other_for_ever() {
    let database = Database::with(
        "CREATE TABLE t AS SELECT g AS id, repeat('x', 500) AS pad FROM generate_series(1, 100000) g; ANALYZE t",
    );
    let connector = database.connector_with("connections_max = 2");
    let query = async || {
        let t = table(&connector, "public", "t").await;
        let snapshot = begin(&connector).await;
        let planned = plan(&t, &request(&t, &["id", "pad"], vec![]), &snapshot).await.unwrap();
        let mut streams: Vec<_> = (0..3).map(|_| open(&connector, &planned, 1000)).collect();
        let mut counts = [0; 3];
        // No stream is read to its end before all have begun, as below a merge of sorted rows.
        for (stream, count) in streams.iter_mut().zip(&mut counts) {
            *count += stream.next().await.unwrap().unwrap().num_rows();
        }
        for (stream, count) in streams.into_iter().zip(&mut counts) {
            *count += drain(stream).await.unwrap().iter().map(|batch| batch.num_rows()).sum::<usize>();
        }
        counts
    };
    let both = tokio::time::timeout(Duration::from_secs(60), join_all([query(), query()])).await;
    assert_eq!(both.expect("both end"), [[100_000; 3]; 2]);
    assert!(database.sessions(false) <= 2 + 2 + 4);
}

/// Functions may write wherever a query calls them, were the transaction not one that only reads.
#[tokio::test]
async fn nothing_is_written_whatever_a_view_does() {
    let database = Database::with(
        "CREATE TABLE t AS SELECT 1 AS a; CREATE SEQUENCE s;
         CREATE FUNCTION write() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN INSERT INTO t VALUES (2); RETURN 1; END';
         CREATE FUNCTION pretend() RETURNS int LANGUAGE plpgsql STABLE AS
             'BEGIN EXECUTE ''INSERT INTO t VALUES (3)''; RETURN 1; END';
         CREATE FUNCTION unlock() RETURNS int LANGUAGE plpgsql VOLATILE AS
             'BEGIN SET TRANSACTION READ WRITE; INSERT INTO t VALUES (4); RETURN 1; END';
         CREATE VIEW writes AS SELECT write() AS a; CREATE VIEW pretends AS SELECT pretend() AS a;
         CREATE VIEW counts AS SELECT nextval('s') AS a; CREATE VIEW unlocks AS SELECT unlock() AS a",
    );
    let connector = database.connector();
    for view in ["writes", "pretends", "counts", "unlocks"] {
        let of = table(&connector, "public", view).await;
        of.statistics().await.unwrap();
        let error = read(&connector, &of, &["a"], vec![]).await.unwrap_err();
        let said = ["read-only transaction", "read-write mode", "not allowed in a non-volatile function"];
        let refused = said.iter().any(|said| error.contains(said));
        assert!(refused, "{view}: {error}");
    }
    assert_eq!(database.psql("SELECT count(*) || ' ' || (SELECT is_called FROM s) FROM t"), "1 false");
}

#[tokio::test]
async fn times_run_out_with_a_word() {
    let database = Database::with(
        "CREATE TABLE t AS SELECT 1 AS a; CREATE VIEW slow AS SELECT count(*) AS n FROM generate_series(1, 1000000000)",
    );
    let connector = database.connector_with("statement_timeout_ms = 150\nlock_timeout_ms = 100");
    let slow = table(&connector, "public", "slow").await;
    let error = read(&connector, &slow, &["n"], vec![]).await.unwrap_err();
    assert!(error.contains("statement timeout") && error.contains("statement_timeout_ms"), "{error}");
    let t = table(&connector, "public", "t").await;
    let held = database.server;
    let name = database.name.clone();
    let holder = std::thread::spawn(move || held.psql(&name, "BEGIN; LOCK TABLE t; SELECT pg_sleep(3); COMMIT"));
    let locked =
        "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 't'::regclass";
    let start = std::time::Instant::now();
    while database.psql(locked) != "1" {
        assert!(start.elapsed() < Duration::from_secs(3), "nobody holds the table");
    }
    let snapshot = begin(&connector).await;
    let error = plan(&t, &request(&t, &["a"], vec![]), &snapshot).await.unwrap_err();
    assert!(error.contains("lock timeout") && error.contains("lock_timeout_ms"), "{error}");
    holder.join().unwrap().unwrap();
    // A server that ends idle transactions does not end ours.
    database.psql(&format!("ALTER DATABASE {} SET idle_in_transaction_session_timeout = '50ms'", database.name));
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&t, &request(&t, &["a"], vec![]), &snapshot).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(rows(&drain(open(&connector, &planned, 10)).await.unwrap()).len(), 1);
}
