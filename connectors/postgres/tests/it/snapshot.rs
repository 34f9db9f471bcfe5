//! One query, one moment.

use futures::StreamExt;

use crate::harness::{Database, begin, drain, open, plan, request, rows, table};

#[tokio::test(flavor = "multi_thread")]
async fn all_scans_of_a_query_see_the_same_moment() {
    let database = Database::with("CREATE TABLE t AS SELECT 'old' AS v; CREATE TABLE u AS SELECT 'old' AS v");
    let connector = database.connector();
    let (t, u) = (table(&connector, "public", "t").await, table(&connector, "public", "u").await);
    let snapshot = begin(&connector).await;
    let (before, after) = (
        plan(&t, &request(&t, &["v"], vec![]), &snapshot).await.unwrap(),
        plan(&u, &request(&u, &["v"], vec![]), &snapshot).await.unwrap(),
    );
    let description = snapshot.describe().unwrap();
    assert!(description.split('-').count() == 3, "{description}");
    database.psql("UPDATE t SET v = 'new'; INSERT INTO u VALUES ('new'); DELETE FROM u WHERE v = 'old'");
    // Opened before the drop of the snapshot, read after it.
    let mut started = open(&connector, &after, 10);
    let old = rows(&drain(open(&connector, &before, 10)).await.unwrap());
    assert_eq!(old, [[crate::harness::utf8("old")]]);
    let first = started.next().await.unwrap().unwrap();
    drop(snapshot);
    assert_eq!(rows(&[first]), [[crate::harness::utf8("old")]]);
    assert!(started.next().await.is_none());

    let snapshot = begin(&connector).await;
    let plan = plan(&t, &request(&t, &["v"], vec![]), &snapshot).await.unwrap();
    assert_eq!(rows(&drain(open(&connector, &plan, 10)).await.unwrap()), [[crate::harness::utf8("new")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_snapshot_ends_its_transaction() {
    let database = Database::with("CREATE TABLE t AS SELECT 1 AS v");
    let connector = database.connector();
    let snapshot = begin(&connector).await;
    // Nobody waits for the transaction to be open before it is needed.
    let start = std::time::Instant::now();
    while database.sessions(true) != 1 {
        assert!(start.elapsed().as_secs() < 10, "no transaction is open");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    drop(snapshot);
    let start = std::time::Instant::now();
    while database.sessions(true) > 0 {
        assert!(start.elapsed().as_secs() < 2, "the transaction is still open");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
