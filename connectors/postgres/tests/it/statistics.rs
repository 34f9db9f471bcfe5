//! What the planner is told of a table's size and values.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use portolan_connector::{Connector, TableStatistics};

use crate::harness::{Database, begin, plan, request, table};

async fn of(connector: &Arc<dyn Connector>, name: &str) -> TableStatistics {
    table(connector, "public", name).await.statistics().await.unwrap().unwrap()
}

/// Whether an estimate is within a seventh of the truth: PostgreSQL does not count what rows lose by alignment.
fn near(estimate: Option<u64>, truth: u64) -> bool {
    estimate.is_some_and(|estimate| estimate.abs_diff(truth) <= truth / 7)
}

#[tokio::test]
async fn statistics_are_the_planners() {
    let database = Database::with(
        "CREATE TABLE t AS SELECT g AS id, g % 10 AS ten, CASE WHEN g % 4 = 0 THEN NULL ELSE g END AS holes,
             '2024-01-01'::date + g AS day, g / 4.0::numeric(10,2) AS price, 'v' || g AS name, ARRAY[g, g + 1] AS list
             FROM generate_series(1, 1000) g;
         ANALYZE t; CREATE VIEW v AS SELECT id FROM t WHERE ten = 3",
    );
    let connector = database.connector();
    let known = of(&connector, "t").await;
    assert_eq!(known.rows, Some(1000));
    assert_eq!(known.origin, "PostgreSQL's planner and pg_stats");
    assert_eq!(known.columns["id"].distinct, Some(1000));
    assert_eq!(known.columns["id"].width, Some(4));
    assert_eq!(known.columns["ten"].distinct, Some(10));
    assert_eq!(known.columns["holes"].null_fraction, Some(0.25));
    // All rows were looked at, so that the bounds are those of the values.
    assert_eq!(known.columns["id"].min, Some(ScalarValue::Int32(Some(1))));
    assert_eq!(known.columns["id"].max, Some(ScalarValue::Int32(Some(1000))));
    assert_eq!(known.columns["day"].min, Some(ScalarValue::Date32(Some(19_724))));
    // Values that are all frequent are in no histogram.
    assert_eq!(known.columns["ten"].min, Some(ScalarValue::Int32(Some(0))));
    assert_eq!(known.columns["ten"].max, Some(ScalarValue::Int32(Some(9))));
    assert_eq!(known.columns["ten"].frequent.len(), 10);
    assert!(known.columns["ten"].frequent.iter().all(|(_, share)| (share - 0.1).abs() < 1e-6));
    // A text's order is that of its collation.
    assert_eq!(known.columns["name"].min, None);
    assert_eq!(known.columns["list"].min, None);

    let view = of(&connector, "v").await;
    assert_eq!((view.rows, view.columns.len()), (Some(100), 0));
    assert_eq!(view.origin, "PostgreSQL's planner");
    let v = table(&connector, "public", "v").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&v, &request(&v, &["id"], vec![]), &snapshot).await.unwrap();
    assert_eq!(planned.estimate.rows, Some(100));
}

#[tokio::test]
async fn a_table_that_nobody_has_counted_is_estimated_by_its_size() {
    let database = Database::with(
        "CREATE TABLE fresh (id int, b bigint) WITH (autovacuum_enabled = false);
         INSERT INTO fresh SELECT g, g FROM generate_series(1, 20000) g;
         CREATE TABLE grown (id int) WITH (autovacuum_enabled = false);
         INSERT INTO grown SELECT generate_series(1, 10000); ANALYZE grown; INSERT INTO grown SELECT generate_series(1, 30000)",
    );
    let connector = database.connector();
    let fresh = of(&connector, "fresh").await;
    assert!(near(fresh.rows, 20_000), "{:?}", fresh.rows);
    assert!(near(fresh.bytes, 12 * 20_000), "{:?}", fresh.bytes);
    let grown = of(&connector, "grown").await;
    assert!(near(grown.rows, 40_000), "{:?}", grown.rows);
}

#[tokio::test]
async fn a_whole_is_the_sum_of_its_parts() {
    let database = Database::with(
        "CREATE TABLE p (id int, kind int) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (3001); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (3001) TO (4001);
         INSERT INTO p SELECT g, CASE WHEN g <= 3000 THEN NULL ELSE g % 5 END FROM generate_series(1, 4000) g;
         ANALYZE p1; ANALYZE p2;
         CREATE TABLE parent AS SELECT g AS id FROM generate_series(1, 500) g;
         CREATE TABLE child () INHERITS (parent); INSERT INTO child SELECT generate_series(501, 2000); ANALYZE parent; ANALYZE child",
    );
    let connector = database.connector();
    let p = of(&connector, "p").await;
    assert_eq!(p.rows, Some(4000));
    let id = &p.columns["id"];
    assert_eq!((id.distinct, id.null_fraction), (Some(4000), Some(0.0)));
    assert_eq!(
        (id.min.clone(), id.max.clone()),
        (Some(ScalarValue::Int32(Some(1))), Some(ScalarValue::Int32(Some(4000))))
    );
    assert_eq!(p.columns["kind"].null_fraction, Some(0.75));
    let parent = of(&connector, "parent").await;
    assert_eq!(parent.rows, Some(2000));
    assert_eq!(parent.columns["id"].distinct, Some(2000));
    assert_eq!(parent.columns["id"].max, Some(ScalarValue::Int32(Some(2000))));
    // ANALYZE of the whole knows more.
    database.psql("ANALYZE p");
    assert_eq!(of(&connector, "p").await.columns["kind"].distinct, Some(5));
}

/// Who may read one column is told of that column.
#[tokio::test]
async fn statistics_are_for_those_who_may_read() {
    let database = Database::with(
        "CREATE TABLE t AS SELECT g AS id, g AS secret FROM generate_series(1, 1000) g; ANALYZE t;
         DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT SELECT (id) ON t TO reader",
    );
    let url = format!("postgres://reader@127.0.0.1:{}/{}", database.server.port(), database.name);
    let connector = crate::harness::connector(&format!("url = '{url}'\npassword = 'reader'")).unwrap();
    let known = of(&connector, "t").await;
    assert_eq!(known.rows, Some(1000));
    assert_eq!(known.columns.keys().collect::<Vec<_>>(), ["id"]);
}
