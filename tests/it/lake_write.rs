//! Statements that write to the lake, through the engine.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};
use tempfile::TempDir;

use crate::shop::{SHOP, block_on};
use crate::table;

/// An engine over the shop, and over a lake `out` that it may write.
struct Writable {
    engine: Arc<Engine>,
    directory: TempDir,
}

impl Writable {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("lake")).unwrap();
        let lake = directory.path().join("lake").display().to_string();
        let shop = std::fs::read_to_string(SHOP.catalogs_file()).unwrap();
        let out = format!("\n[out]\nconnector = 'hive'\nlocation = '{lake}'\naccess = 'read_write'\n");
        let file = directory.path().join("catalogs.toml");
        std::fs::write(&file, shop + &out).unwrap();
        let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
        let engine = Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap();
        Self { engine, directory }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join("lake").join(path)
    }
}

/// The number of rows that a statement says that it wrote.
async fn written(session: &Session, sql: &str) -> u64 {
    let rows = table::rows(session, sql).await.unwrap_or_else(|error| panic!("{sql}: {}", error.render(sql)));
    rows[0][0].parse().unwrap()
}

async fn run(session: &Session, sql: &str) {
    table::rows(session, sql).await.unwrap_or_else(|error| panic!("{sql}: {}", error.render(sql)));
}

async fn refused(session: &Session, sql: &str) -> String {
    match table::rows(session, sql).await {
        Ok(rows) => panic!("{sql} answered {rows:?}"),
        Err(error) => error.render(sql),
    }
}

async fn sorted(session: &Session, sql: &str) -> Vec<Vec<String>> {
    table::sorted(session, sql).await.unwrap_or_else(|error| panic!("{sql}: {}", error.render(sql)))
}

#[test]
fn rows_of_all_sources_become_tables_of_the_lake() {
    let writable = Writable::new();
    block_on(async {
        let session = writable.engine.session();
        run(&session, "CREATE SCHEMA out.sales").await;
        let query = "SELECT c.customer_id, c.name, o.amount, o.status, c.country, o.order_date \
                     FROM lake.sales.orders o JOIN pg.public.customers c ON c.customer_id = o.customer_id \
                     WHERE o.order_date >= DATE '2026-09-25'";
        let count = written(
            &session,
            &format!(
                "CREATE TABLE out.sales.t WITH (partitioned_by = ARRAY['country', 'order_date'], sorted_by = ARRAY['amount']) AS {query}"
            ),
        )
        .await;
        assert!(count > 100, "{count} rows");
        assert_eq!(sorted(&session, "SELECT * FROM out.sales.t").await, sorted(&session, query).await);
        // Rows of a topic, into the same partitions and new ones.
        let clicks = "SELECT customer_id, 'clicked', CAST(0 AS decimal(12,2)), 'new', 'XX', DATE '2026-01-01' FROM events.default.clicks";
        let added = written(&session, &format!("INSERT INTO out.sales.t {clicks}")).await;
        assert!(added > 0);
        assert_eq!(written(&session, &format!("INSERT OVERWRITE out.sales.t {clicks}")).await, added);
        let rows = sorted(&session, "SELECT count(*) FROM out.sales.t").await;
        assert_eq!(rows, [[(count + added).to_string()]]);
        let explained = table::rows(&session, "EXPLAIN SELECT * FROM out.sales.t WHERE country = 'XX'").await.unwrap();
        let explained: String = explained.into_iter().flatten().collect::<Vec<_>>().join("\n");
        assert!(explained.contains("country=XX"), "{explained}");
    });
}

#[test]
fn files_are_sorted_and_others_read_them() {
    let writable = Writable::new();
    block_on(async {
        let session = writable.engine.session();
        let query =
            "SELECT value % 97 AS n, 'a/b=' || CAST(value % 2 AS varchar) AS part FROM generate_series(1, 1000)";
        let create = "CREATE TABLE out.s.t WITH (partitioned_by = ARRAY['part'], sorted_by = ARRAY['n'])";
        run(&session, "CREATE SCHEMA out.s").await;
        assert_eq!(written(&session, &format!("{create} AS {query}")).await, 1000);
        // Rows that are added later are sorted as well.
        assert_eq!(written(&session, &format!("INSERT INTO out.s.t {query}")).await, 1000);
        let expected = sorted(&session, "SELECT sum(n), count(DISTINCT n), count(*) FROM out.s.t").await;
        let python = std::env::var("PORTOLAN_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let said = other_reader(&python, &writable.path("s/t"));
        assert_eq!(said, format!("{} ['a/b=0', 'a/b=1'] True 4", expected[0].join(" ")));
    });
}

/// What pyarrow reads of a table, and whether the rows of each file are sorted.
fn other_reader(python: &str, table: &Path) -> String {
    const PROGRAM: &str = "
import sys, pyarrow.dataset, pyarrow.compute, pyarrow.parquet, urllib.parse
table = pyarrow.dataset.dataset(sys.argv[1], format='parquet', partitioning='hive')
rows = table.to_table()
n = rows['n']
files = [pyarrow.parquet.read_table(file, partitioning=None)['n'].to_pylist() for file in table.files]
print(pyarrow.compute.sum(n), len(set(n.to_pylist())), len(n), sorted(set(rows['part'].to_pylist())),
      all(file == sorted(file) for file in files), len(files))
";
    let output = Command::new(python).args(["-c", PROGRAM]).arg(table).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_write_that_is_tried_again() {
    let writable = Writable::new();
    block_on(async {
        let session = writable.engine.session();
        run(&session, "CREATE SCHEMA out.s").await;
        run(&session, "SET SESSION write_token = 'first'").await;
        let create = "CREATE TABLE out.s.t AS SELECT value FROM generate_series(1, 7)";
        assert_eq!(written(&session, create).await, 7);
        assert_eq!(written(&session, create).await, 7);
        let error = refused(&session, "INSERT INTO out.s.t VALUES (1)").await;
        assert!(error.contains("write_token was used for another statement"), "{error}");
        run(&session, "SET SESSION write_token = 'second'").await;
        for _ in 0..2 {
            assert_eq!(written(&session, "INSERT INTO out.s.t VALUES (8), (9)").await, 2);
        }
        assert_eq!(sorted(&session, "SELECT count(*) FROM out.s.t").await, [["9"]]);
        run(&session, "RESET SESSION write_token").await;
        let said = table::rows(&session, "CALL system.clean_staging('out')").await.unwrap();
        assert!(said[0][0].contains("removed 0 files"), "{said:?}");
    });
}

#[test]
fn what_is_refused_says_so() {
    let writable = Writable::new();
    block_on(async {
        let session = writable.engine.session();
        run(&session, "CREATE SCHEMA out.s").await;
        run(&session, "CREATE TABLE out.s.t (n bigint, k varchar) WITH (partitioned_by = ARRAY['k'])").await;
        for (sql, expected) in [
            ("CREATE TABLE out.s.u WITH (format = 'orc') AS SELECT 1 AS a", "must be one of \"parquet\""),
            ("CREATE TABLE out.s.u WITH (partition_by = ARRAY['a']) AS SELECT 1 AS a", "did you mean partitioned_by?"),
            ("CREATE TABLE out.s.u AS SELECT TIME '10:00:00' AS at", "column at: the lake has no type for"),
            ("CREATE TABLE lake.sales.u AS SELECT 1 AS a", "set access = \"read_write\""),
            ("CREATE TABLE out.s.t (a int)", "the table exists already"),
            ("INSERT INTO out.s.t (n) VALUES (1)", "the partition column k gets no value"),
            ("UPDATE out.s.t SET n = 1", "rows of its tables are not changed where they are"),
            ("DROP SCHEMA out.s", "the schema s has tables, such as t"),
        ] {
            let error = refused(&session, sql).await;
            assert!(error.contains(expected), "{sql}: {error}");
        }
        run(&session, "SET SESSION insert_existing_partitions_behavior = 'error'").await;
        assert_eq!(written(&session, "INSERT INTO out.s.t VALUES (1, 'a')").await, 1);
        let error = refused(&session, "INSERT INTO out.s.t VALUES (1, 'b'), (2, 'a')").await;
        assert!(error.contains("the partition k=a exists already"), "{error}");
        run(&session, "SET SESSION insert_existing_partitions_behavior = 'overwrite'").await;
        assert_eq!(written(&session, "INSERT INTO out.s.t VALUES (5, 'a')").await, 1);
        assert_eq!(sorted(&session, "SELECT n, k FROM out.s.t").await, [["5", "a"]]);
        run(&session, "DROP SCHEMA out.s CASCADE").await;
        assert!(!writable.path("s").exists());
    });
}
