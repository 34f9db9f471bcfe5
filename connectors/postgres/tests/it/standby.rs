//! A standby lets nobody write, and is read like its primary.

use std::time::{Duration, Instant};

use datafusion::common::ScalarValue;
use portolan_servers::PostgresServer;

use crate::harness::{begin, connector, drain, open, plan, request, rows, table};

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_read_like_its_primary() {
    let primary = PostgresServer::start_with(&["wal_level=replica", "max_wal_senders=3"]).unwrap();
    primary.psql("postgres", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g; ANALYZE t").unwrap();
    let standby = primary.standby().unwrap();
    let (first, second, password) = (primary.port(), standby.port(), primary.password());
    let url = format!("postgres://portolan@127.0.0.1:{first},127.0.0.1:{second}/postgres?target_session_attrs=standby");
    let connector = connector(&format!("url = '{url}'\npassword = '{password}'")).unwrap();
    let start = Instant::now();
    while connector.table("public", "t").await.unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(20), "the standby has no table");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let t = table(&connector, "public", "t").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&t, &request(&t, &["id"], vec![]), &snapshot).await.unwrap();
    // Its moment can be seen by other connections, as that of a primary.
    assert!(snapshot.describe().is_some_and(|id| !id.is_empty()));
    assert_eq!(rows(&drain(open(&connector, &planned, 100)).await.unwrap()).len(), 1000);
    assert_eq!(
        standby
            .psql("postgres", "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'portolan'")
            .unwrap()
            .trim(),
        "t"
    );
    // What the primary commits is seen by a later query.
    primary.psql("postgres", "DELETE FROM t WHERE id > 1").unwrap();
    let start = Instant::now();
    loop {
        let t = table(&connector, "public", "t").await;
        let now = crate::harness::read(&connector, &t, &["id"], vec![]).await.unwrap();
        if now == [[ScalarValue::Int32(Some(1))]] {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{} rows", now.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
