//! A server that exports no snapshot is read over one connection for each query.

use std::sync::Arc;

use futures::StreamExt;
use portolan_connector::Connector;

use crate::harness::{Database, begin, drain, open, plan, request, rows, table, utf8};

/// Two tables, of which a user who may not export snapshots may read both.
fn database() -> (Database, Arc<dyn Connector>) {
    let database = Database::with(
        "REVOKE EXECUTE ON FUNCTION pg_export_snapshot() FROM PUBLIC;
         CREATE TABLE a AS SELECT g AS id, repeat('x', 100) AS v, NULL::date AS d FROM generate_series(1, 25000) g;
         CREATE TABLE b AS SELECT 'old' AS v; ANALYZE a;
         DO $$ BEGIN CREATE ROLE loner LOGIN PASSWORD 'loner'; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$;
         GRANT SELECT ON a, b TO loner",
    );
    let url = format!("postgres://loner@127.0.0.1:{}/{}", database.server.port(), database.name);
    let connector =
        crate::harness::connector(&format!("url = '{url}'\npassword = 'loner'\nconnections_max = 1")).unwrap();
    (database, connector)
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_take_turns_on_one_connection() {
    let (database, connector) = database();
    let (a, b) = (table(&connector, "public", "a").await, table(&connector, "public", "b").await);
    let snapshot = begin(&connector).await;
    let first = plan(&a, &request(&a, &["id", "v", "d"], vec![]), &snapshot).await.unwrap();
    let second = plan(&b, &request(&b, &["v"], vec![]), &snapshot).await.unwrap();
    let described = snapshot.describe().unwrap();
    assert!(described.contains("one connection") && described.contains("permission denied"), "{described}");
    database.psql("DELETE FROM a WHERE id > 10; UPDATE b SET v = 'new'");
    // Three streams at once, none of which is read to its end before the next.
    let (mut one, mut two) = (open(&connector, &first, 700), open(&connector, &first, 20_000));
    let mut counts = [0, 0];
    counts[0] += one.next().await.unwrap().unwrap().num_rows();
    counts[1] += two.next().await.unwrap().unwrap().num_rows();
    assert_eq!(counts, [700, 20_000]);
    assert_eq!(rows(&drain(open(&connector, &second, 10)).await.unwrap()), [[utf8("old")]]);
    counts[0] += rows(&drain(one).await.unwrap()).len();
    counts[1] += rows(&drain(two).await.unwrap()).len();
    assert_eq!(counts, [25_000, 25_000]);
    assert_eq!(database.sessions(true), 1);
    drop(snapshot);
    // The next query sees what was written.
    let (a, snapshot) = (table(&connector, "public", "a").await, begin(&connector).await);
    let now = plan(&a, &request(&a, &["id"], vec![]), &snapshot).await.unwrap();
    assert_eq!(rows(&drain(open(&connector, &now, 10)).await.unwrap()).len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said() {
    let (database, connector) = database();
    database.psql("CREATE VIEW bad AS SELECT 1000 / (5000 - id) AS q FROM a; GRANT SELECT ON bad TO loner");
    let bad = table(&connector, "public", "bad").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&bad, &request(&bad, &["q"], vec![]), &snapshot).await.unwrap();
    let error = drain(open(&connector, &planned, 100)).await.unwrap_err();
    assert!(error.contains("table public.bad") && error.contains("division by zero"), "{error}");
    drop(snapshot);
    // A stream that is dropped half-way spoils nothing.
    let a = table(&connector, "public", "a").await;
    for _ in 0..3 {
        let snapshot = begin(&connector).await;
        let planned = plan(&a, &request(&a, &["id"], vec![]), &snapshot).await.unwrap();
        let mut stream = open(&connector, &planned, 100);
        assert_eq!(stream.next().await.unwrap().unwrap().num_rows(), 100);
    }
    // Neither is a stale description believed.
    let snapshot = begin(&connector).await;
    database.psql("ALTER TABLE a ALTER COLUMN d TYPE text");
    let planned = plan(&a, &request(&a, &["d"], vec![]), &snapshot).await.unwrap();
    let error = drain(open(&connector, &planned, 10)).await.unwrap_err();
    assert!(error.contains("was changed while"), "{error}");
}
