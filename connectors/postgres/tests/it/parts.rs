//! A large table is read in parts: every row once, all of one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{col, lit};
use portolan_connector::{Connector, KeyFilter, Narrowed, ReadContext, Scan, SourceMetrics, SourcePlan, Split};

use crate::harness::{Database, begin, drain, plan, request, table};

const ROWS: i64 = 110_000;

/// About 110 MB, which is more than three parts of 32 MiB.
const LARGE: &str = "
CREATE TABLE large AS SELECT g AS id, 100::bigint AS balance, repeat('x', 900) AS pad FROM generate_series(1, 110000) g;
CREATE INDEX ON large (id);
ANALYZE large";

fn splits(plan: &SourcePlan) -> &[Split] {
    let Scan::Splits(splits) = &plan.scan else { panic!("a native scan") };
    splits
}

/// All values of the first column, read from all splits at the same time.
async fn column(connector: &Arc<dyn Connector>, plan: &SourcePlan, splits: Vec<Split>) -> Vec<ArrayRef> {
    let reading = splits.into_iter().map(|split| {
        let schema = Arc::clone(&plan.schema);
        let context = ReadContext { schema, batch_rows: 8192, metrics: SourceMetrics::unregistered() };
        drain(connector.read(&split, context).unwrap())
    });
    let read = futures::future::join_all(reading).await;
    read.into_iter().flat_map(Result::unwrap).map(|batch| Arc::clone(batch.column(0))).collect()
}

#[tokio::test]
async fn every_row_is_in_one_part() {
    let database = Database::with(LARGE);
    let connector = database.connector();
    let large = table(&connector, "public", "large").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&large, &request(&large, &["id"], vec![]), &snapshot).await.unwrap();
    assert!(splits(&planned).len() > 2, "{} splits", splits(&planned).len());
    assert_eq!(planned.request.as_deref(), Some("SELECT \"id\" FROM \"public\".\"large\""));
    let read = column(&connector, &planned, splits(&planned).to_vec()).await;
    let mut ids: Vec<i32> = read.iter().flat_map(|ids| ids.as_primitive::<Int32Type>().values().to_vec()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=110_000).collect::<Vec<i32>>());

    // What no index serves is read in parts as well, and what one serves is not.
    let filtered = plan(&large, &request(&large, &["id"], vec![col("balance").eq(lit(100_i64))]), &snapshot).await;
    assert!(splits(&filtered.unwrap()).len() > 2);
    let indexed = plan(&large, &request(&large, &["id"], vec![col("id").eq(lit(7_i32))]), &snapshot).await.unwrap();
    assert_eq!(splits(&indexed).len(), 1);
}

#[tokio::test]
async fn a_list_of_keys_is_looked_up_once() {
    let database = Database::with(LARGE);
    let connector = database.connector();
    let large = table(&connector, "public", "large").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&large, &request(&large, &["id"], vec![]), &snapshot).await.unwrap();
    let keys = KeyFilter::In { column: 0, values: vec![ScalarValue::from(7_i32), ScalarValue::from(109_999_i32)] };
    let bounds = KeyFilter::Between { column: 0, low: Some(ScalarValue::from(109_990_i32)), high: None };
    let narrowed = |filter: &KeyFilter| {
        let narrow = |split| match connector.narrow(split, std::slice::from_ref(filter)).unwrap() {
            Narrowed::To(split) => Some(split),
            Narrowed::Nothing => None,
            Narrowed::Unchanged => panic!("{filter:?} says something"),
        };
        splits(&planned).iter().filter_map(narrow).collect::<Vec<_>>()
    };
    let listed = narrowed(&keys);
    assert_eq!(listed.len(), 1);
    let rows = |read: Vec<ArrayRef>| read.iter().map(|ids| ids.len()).sum::<usize>();
    assert_eq!(rows(column(&connector, &planned, listed).await), 2);
    let ranged = narrowed(&bounds);
    assert_eq!(ranged.len(), splits(&planned).len());
    assert_eq!(rows(column(&connector, &planned, ranged).await), 11);
    let nothing = connector.narrow(&splits(&planned)[0], &[]).unwrap();
    assert_eq!(nothing, Narrowed::Unchanged);
}

#[tokio::test]
async fn nobody_moves_the_rows_between_two_parts() {
    let database = Database::with(LARGE);
    let connector = database.connector();
    let large = table(&connector, "public", "large").await;
    let rewrite = || database.server.psql(&database.name, "SET lock_timeout = '200ms'; VACUUM FULL large");
    let snapshot = begin(&connector).await;
    let planned = plan(&large, &request(&large, &["id"], vec![]), &snapshot).await.unwrap();
    assert!(splits(&planned).len() > 2);
    let refused = rewrite().unwrap_err().to_string();
    assert!(refused.contains("lock timeout"), "{refused}");
    drop(snapshot);
    // The transaction ends on a task of its own.
    for _ in 0..50 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        if rewrite().is_ok() {
            return;
        }
    }
    panic!("the table is still held");
}

#[tokio::test]
async fn who_may_read_some_columns_reads_the_table_as_a_whole() {
    let database = Database::with(LARGE);
    database.psql(
        "DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN PASSWORD 'clerk'; GRANT SELECT (id) ON large TO clerk",
    );
    let url = format!("postgres://clerk@127.0.0.1:{}/{}", database.server.port(), database.name);
    let connector = crate::harness::connector(&format!("url = '{url}'\npassword = 'clerk'")).unwrap();
    let large = table(&connector, "public", "large").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&large, &request(&large, &["id"], vec![]), &snapshot).await.unwrap();
    assert_eq!(splits(&planned).len(), 1);
    let read = column(&connector, &planned, splits(&planned).to_vec()).await;
    assert_eq!(read.iter().map(|ids| ids.len()).sum::<usize>(), 110_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_parts_see_one_moment() {
    let database = Arc::new(Database::with(LARGE));
    let connector = database.connector();
    let large = table(&connector, "public", "large").await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (database, stop) = (Arc::clone(&database), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut transfers = 0;
            // From the first rows of the table to its last ones and to new ones, each time in one transaction.
            while !stop.load(Ordering::Relaxed) && transfers < 200 {
                database.psql(
                    "BEGIN; UPDATE large SET balance = balance - 5 WHERE id BETWEEN 1 AND 40;
                     UPDATE large SET balance = balance + 4 WHERE id > 109960;
                     INSERT INTO large VALUES (0, 40, ''); COMMIT",
                );
                transfers += 1;
            }
            transfers
        })
    };
    for _ in 0..5 {
        let snapshot = begin(&connector).await;
        let planned = plan(&large, &request(&large, &["balance"], vec![]), &snapshot).await.unwrap();
        assert!(splits(&planned).len() > 2);
        let read = column(&connector, &planned, splits(&planned).to_vec()).await;
        let total: i64 = read.iter().map(|part| part.as_primitive::<Int64Type>().values().iter().sum::<i64>()).sum();
        assert_eq!(total, ROWS * 100);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writer.join().unwrap() > 0);
}

/// Three partitions of more than a part's size, one that is small, one that is empty, and one on another level.
const PARTITIONED: &str = "
CREATE TABLE sales (id int, region text, at date, pad text) PARTITION BY LIST (region);
CREATE TABLE north PARTITION OF sales FOR VALUES IN ('north');
CREATE TABLE south PARTITION OF sales FOR VALUES IN ('south');
-- Its columns are in another order.
CREATE TABLE west (pad text, at date, id int, region text);
ALTER TABLE sales ATTACH PARTITION west FOR VALUES IN ('west');
CREATE TABLE east PARTITION OF sales FOR VALUES IN ('east') PARTITION BY RANGE (at);
CREATE TABLE east_old PARTITION OF east FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE east_new PARTITION OF east FOR VALUES FROM ('2020-01-01') TO (MAXVALUE);
INSERT INTO sales SELECT g, (ARRAY['north', 'south', 'west'])[g % 3 + 1], '2024-01-01', repeat('x', 900) FROM generate_series(1, 160000) g;
INSERT INTO sales SELECT g, 'east', '2021-01-01', 'y' FROM generate_series(160001, 160010) g;
CREATE INDEX ON sales (id);
ANALYZE sales";

async fn ids(connector: &Arc<dyn Connector>, planned: &SourcePlan) -> Vec<i32> {
    let read = column(connector, planned, splits(planned).to_vec()).await;
    let mut ids: Vec<i32> = read.iter().flat_map(|ids| ids.as_primitive::<Int32Type>().values().to_vec()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_parts() {
    let database = Database::with(PARTITIONED);
    let connector = database.connector();
    let sales = table(&connector, "public", "sales").await;
    let snapshot = begin(&connector).await;
    let whole = plan(&sales, &request(&sales, &["id"], vec![]), &snapshot).await.unwrap();
    assert!(splits(&whole).len() >= 4, "{} splits", splits(&whole).len());
    assert_eq!(whole.request.as_deref(), Some("SELECT \"id\" FROM \"public\".\"sales\""));
    // What is written from now on is not seen, whatever partition it is in.
    database.psql("INSERT INTO sales VALUES (0, 'north', '2024-01-01', ''), (0, 'east', '2019-01-01', ''); DELETE FROM sales WHERE id = 7");
    assert_eq!(ids(&connector, &whole).await, (1..=160_010).collect::<Vec<i32>>());
    // Nobody takes a partition away meanwhile.
    let detach = "SET lock_timeout = '100ms'; ALTER TABLE sales DETACH PARTITION west";
    assert!(database.server.psql(&database.name, detach).unwrap_err().to_string().contains("lock timeout"));

    // PostgreSQL leaves out partitions that have nothing of what is asked for.
    let regions = col("region").in_list(vec![lit("north"), lit("south"), lit("east")], false);
    let some = plan(&sales, &request(&sales, &["id"], vec![regions]), &snapshot).await.unwrap();
    let tables: Vec<String> = splits(&some).iter().map(|split| split.payload["sql"].to_string()).collect();
    assert!(tables.len() >= 3 && tables.iter().all(|sql| !sql.contains("west")), "{tables:?}");
    // Of three numbers that follow each other one is in the west.
    assert_eq!(ids(&connector, &some).await.len(), 160_010 - 53_333);
    // What an index serves is one statement.
    let one = plan(&sales, &request(&sales, &["id"], vec![col("id").eq(lit(7_i32))]), &snapshot).await.unwrap();
    assert_eq!(splits(&one).len(), 1);
    assert_eq!(ids(&connector, &one).await, [7]);
}

#[tokio::test]
async fn what_is_closed_or_inherits_is_read_through_its_table() {
    let database = Database::with(&format!(
        "{PARTITIONED};
         DROP ROLE IF EXISTS seller; CREATE ROLE seller LOGIN PASSWORD 'seller'; GRANT SELECT ON sales TO seller;
         CREATE SCHEMA archive; CREATE TABLE parent AS SELECT * FROM north; CREATE TABLE archive.parent () INHERITS (public.parent);
         INSERT INTO archive.parent SELECT * FROM south; ANALYZE parent"
    ));
    let url = format!("postgres://seller@127.0.0.1:{}/{}", database.server.port(), database.name);
    let seller = crate::harness::connector(&format!("url = '{url}'\npassword = 'seller'")).unwrap();
    let sales = table(&seller, "public", "sales").await;
    let snapshot = begin(&seller).await;
    let planned = plan(&sales, &request(&sales, &["id"], vec![]), &snapshot).await.unwrap();
    assert_eq!(splits(&planned).len(), 1);
    assert_eq!(ids(&seller, &planned).await.len(), 160_010);

    let connector = database.connector();
    let parent = table(&connector, "public", "parent").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&parent, &request(&parent, &["id"], vec![]), &snapshot).await.unwrap();
    assert_eq!(splits(&planned).len(), 1);
    assert_eq!(ids(&connector, &planned).await.len(), 160_000 - 53_333);
}

/// Rows of another server, as a partition beside one of this server's.
#[tokio::test]
async fn a_foreign_partition_is_read_with_the_others() {
    let database = Database::with(PARTITIONED);
    let (port, user, password) = (database.server.port(), database.server.user(), database.server.password());
    let available = database.psql("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'");
    assert_eq!(
        available, "1",
        "postgres_fdw comes with PostgreSQL's contrib modules, which Debian's postgresql package has"
    );
    database.psql(&format!(
        "DROP INDEX sales_id_idx; CREATE EXTENSION postgres_fdw;
         CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname '{}');
         CREATE USER MAPPING FOR {user} SERVER here OPTIONS (user '{user}', password '{password}');
         CREATE TABLE far AS SELECT g AS id, 'far'::text AS region, '2024-01-01'::date AS at, 'z'::text AS pad FROM generate_series(1, 500) g;
         CREATE FOREIGN TABLE far_away PARTITION OF sales FOR VALUES IN ('far') SERVER here OPTIONS (table_name 'far')",
        database.name
    ));
    let connector = database.connector();
    let sales = table(&connector, "public", "sales").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&sales, &request(&sales, &["id"], vec![]), &snapshot).await.unwrap();
    assert!(splits(&planned).len() >= 5, "{} splits", splits(&planned).len());
    assert_eq!(ids(&connector, &planned).await.len(), 160_510);
}
