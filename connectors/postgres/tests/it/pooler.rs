//! Behind PgBouncer in transaction mode: each transaction may be on another session of the server's.

use datafusion::common::ScalarValue;
use futures::future::join_all;
use portolan_servers::{PgBouncer, PostgresServer};

use crate::harness::{begin, connector, drain, open, plan, request, rows, table};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_behind_and_nothing_is_assumed() {
    let server = PostgresServer::start().unwrap();
    server
        .psql(
            "postgres",
            "CREATE TABLE t AS SELECT g AS id, 'a\\b''c' AS name, now() AS at FROM generate_series(1, 5000) g; ANALYZE t;
             CREATE TYPE mood AS ENUM ('sad', 'ok');
             CREATE VIEW settings AS SELECT current_setting('TimeZone') AS zone, current_setting('transaction_read_only') AS ro",
        )
        .unwrap();
    // Fewer sessions of the server's than the connector has of its own.
    let pooler = PgBouncer::start(&server, 6).unwrap();
    let url = format!("postgres://portolan@127.0.0.1:{}/postgres", pooler.port());
    let connector = connector(&format!("url = '{url}'\npassword = '{}'", server.password())).unwrap();
    let query = async |number: i32| {
        let t = table(&connector, "public", "t").await;
        t.statistics().await.unwrap();
        let snapshot = begin(&connector).await;
        let filter = datafusion::logical_expr::col("name").eq(datafusion::logical_expr::lit("a\\b'c"));
        let planned = plan(&t, &request(&t, &["id"], vec![filter]), &snapshot).await.unwrap();
        assert_eq!(rows(&drain(open(&connector, &planned, 1000)).await.unwrap()).len(), 5000, "query {number}");
    };
    for round in 0..5 {
        join_all((0..2).map(|number| query(round * 2 + number))).await;
    }
    let settings = table(&connector, "public", "settings").await;
    let seen = crate::harness::read(&connector, &settings, &["zone", "ro"], vec![]).await.unwrap();
    assert_eq!(seen, [[crate::harness::utf8("UTC"), crate::harness::utf8("on")]]);
    // Columns of a query are described with named statements, and an enumeration is asked for with more.
    for _ in 0..6 {
        let native = connector.native("SELECT id, 'ok'::mood AS m FROM t WHERE id < 3 ORDER BY id").await.unwrap();
        let seen = crate::harness::read(&connector, &native, &["id"], vec![]).await.unwrap();
        assert_eq!(seen, [[ScalarValue::from(1)], [ScalarValue::from(2)]]);
    }
    // Another client of the pooler gets sessions as the server made them.
    let other = format!("host=127.0.0.1 port={} user=portolan dbname=postgres", pooler.port());
    for _ in 0..12 {
        let left = pooler
            .psql(
                &other,
                "SELECT current_setting('default_transaction_read_only') || current_setting('idle_in_transaction_session_timeout')
                     || current_setting('extra_float_digits') || (SELECT count(*) FROM pg_prepared_statements)",
            )
            .unwrap();
        assert_eq!(left.trim(), "off010");
    }
}
