//! Statements that write to PostgreSQL, through the engine.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};
use portolan_servers::PostgresServer;

use crate::shop::block_on;
use crate::table;

static SERVER: LazyLock<PostgresServer> =
    LazyLock::new(|| PostgresServer::start().unwrap_or_else(|error| panic!("{error}")));

/// A fresh database, and an engine that may write to it: as the catalog pg, and as ro, which may only be read.
pub(crate) struct Writable {
    pub(crate) engine: Arc<Engine>,
    name: String,
}

impl Writable {
    /// With the result of a script.
    pub(crate) fn with(script: &str) -> Self {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let name = format!("written{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let options = "TEMPLATE template0 LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'";
        SERVER.psql("postgres", &format!("CREATE DATABASE {name} {options}")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("catalogs.toml");
        let (url, password) = (SERVER.url(&name), SERVER.password());
        let entry = format!("connector = 'postgres'\nurl = '{url}'\npassword = '{password}'\n");
        let text = format!("[pg]\n{entry}access = 'read_write'\n[ro]\n{entry}\n[mem]\nconnector = 'memory'\n");
        std::fs::write(&file, text).unwrap();
        let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
        let engine = Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap();
        let writable = Self { engine, name };
        writable.psql(script);
        writable
    }

    /// Runs SQL as the superuser and returns what psql prints.
    pub(crate) fn psql(&self, sql: &str) -> String {
        SERVER.psql(&self.name, sql).unwrap().trim_end_matches('\n').to_owned()
    }
}

/// The number of rows that a statement says that it wrote.
async fn written(session: &Session, sql: &str) -> u64 {
    let rows = table::rows(session, sql).await.unwrap_or_else(|error| panic!("{sql}: {}", error.render(sql)));
    rows[0][0].parse().unwrap()
}

/// What is said of a statement that fails.
async fn refused(session: &Session, sql: &str) -> String {
    match table::rows(session, sql).await {
        Ok(rows) => panic!("{sql} answered {rows:?}"),
        Err(error) => error.render(sql),
    }
}

#[test]
fn rows_of_the_shop_become_a_table_of_postgresql() {
    let writable = Writable::with("");
    // The lake, Kafka and another PostgreSQL are the shop's; both engines are in this process.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalogs.toml");
    let shop = std::fs::read_to_string(crate::shop::SHOP.catalogs_file()).unwrap();
    let (url, password) = (SERVER.url(&writable.name), SERVER.password());
    let more = format!(
        "\n[out]\nconnector = 'postgres'\nurl = '{url}'\npassword = '{password}'\naccess = 'read_write'\nconnections_max = 1\n"
    );
    std::fs::write(&file, shop + &more).unwrap();
    let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
    let engine = Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap();
    block_on(async {
        let session = engine.session();
        let query = "SELECT c.country, o.status, count(*) AS orders, sum(o.amount) AS amount, min(o.order_date) AS first, avg(o.amount) AS mean \
                     FROM lake.sales.orders o JOIN pg.public.customers c ON c.customer_id = o.customer_id GROUP BY c.country, o.status";
        let rows = table::sorted(&session, query).await.unwrap();
        assert!(rows.len() > 10);
        let count = written(&session, &format!("CREATE TABLE out.public.report AS {query}")).await;
        assert_eq!(count, rows.len() as u64);
        assert_eq!(table::sorted(&session, "SELECT * FROM out.public.report").await.unwrap(), rows);
        // Whole rows, and again behind themselves.
        let lately = "FROM lake.sales.orders WHERE order_date >= DATE '2026-09-01'";
        let orders = table::rows(&session, &format!("SELECT count(*), sum(amount) {lately}")).await.unwrap();
        let all = &format!("CREATE TABLE out.public.orders AS SELECT * {lately}");
        assert_eq!(written(&session, all).await.to_string(), orders[0][0]);
        let copied = table::rows(&session, "SELECT count(*), sum(amount) FROM out.public.orders").await.unwrap();
        assert_eq!(copied, orders);
        assert_eq!(writable.psql("SELECT count(*), sum(amount) FROM orders").replace('|', " "), orders[0].join(" "));
        let twice = "INSERT INTO out.public.orders SELECT * FROM out.public.orders";
        assert_eq!(written(&session, twice).await.to_string(), orders[0][0]);
        let doubled: u64 = orders[0][0].parse::<u64>().unwrap() * 2;
        assert_eq!(writable.psql("SELECT count(*) FROM orders"), doubled.to_string());
        // A table in the place of one that the same statement reads.
        let kept = "CREATE OR REPLACE TABLE out.public.orders AS SELECT DISTINCT * FROM out.public.orders";
        assert!(written(&session, kept).await * 2 <= doubled);
    });
}

#[test]
fn a_failure_at_the_end_leaves_nothing() {
    let writable = Writable::with("CREATE TABLE t (a bigint NOT NULL)");
    block_on(async {
        let session = writable.engine.session();
        let error = refused(
            &session,
            "INSERT INTO pg.public.t SELECT 1000000 / (300000 - value) FROM generate_series(1, 300000) AS s(value)",
        )
        .await;
        assert!(error.to_lowercase().contains("division by zero"), "{error}");
        assert_eq!(writable.psql("SELECT count(*) FROM t"), "0");
        let error = refused(&session, "INSERT INTO ro.public.t VALUES (1)").await;
        assert!(
            error.contains("catalog ro is read only") && error.contains("Hint: set access = \"read_write\""),
            "{error}"
        );
        for sql in ["DELETE FROM ro.public.t", "UPDATE ro.public.t SET a = 1", "DROP TABLE ro.public.t"] {
            assert!(refused(&session, sql).await.contains("catalog ro is read only"), "{sql}");
        }
        let error = refused(&session, "CREATE TABLE pg.public.u (a int) WITH (partitioned_by = ARRAY['a'])").await;
        assert!(error.contains("tables of catalog pg have no property partitioned_by"), "{error}");
        let error = refused(&session, "INSERT OVERWRITE pg.public.t SELECT 1").await;
        assert!(error.contains("INSERT OVERWRITE replaces partitions, and its tables have none"), "{error}");
    });
}

/// What UPDATE computes in PostgreSQL is what the engine computes of the same rows.
#[test]
fn updates_compute_what_the_engine_computes() {
    let values =
        "SELECT g AS id, (ARRAY[NULL, 0, 7, -8, 32767])[1 + g % 5]::int2 AS s, g * 3 AS i, (g::bigint * 1000000007) % 97 AS l,
                  (ARRAY[NULL, 0.005, -0.005, 2.675, -99.995, 1234.5])[1 + g % 6]::numeric(12,3) AS n,
                  (ARRAY[0.125, 0.335, NULL, -7.5])[1 + g % 4]::numeric(12,2) AS m,
                  (ARRAY['a', 'Ab', NULL, ''])[1 + g % 4] AS t, DATE '2020-02-28' + g AS d, g % 3 = 0 AS b
                  FROM generate_series(1, 60) g";
    let writable = Writable::with(&format!("CREATE TABLE source AS {values}"));
    block_on(async {
        let session = writable.engine.session();
        session.execute("USE pg.public").await.unwrap();
        for (column, value, condition) in [
            ("i", "i + 1", "i > 20"),
            ("i", "l * 2 - i", "true"),
            ("s", "7", "s < 0 OR s IS NULL"),
            ("l", "i", "t LIKE 'A%'"),
            ("m", "n", "n IS NOT NULL"),
            ("m", "n * m", "id < 40"),
            ("n", "n + 1", "d >= DATE '2020-03-01'"),
            ("n", "i", "b"),
            ("t", "CASE WHEN i > 50 THEN t ELSE 'x' END", "id IN (1, 2, 50, 51)"),
            ("t", "substr(t, 2)", "t <> 'a'"),
            ("t", "NULL", "NOT b"),
            ("d", "DATE '1999-12-31'", "d BETWEEN DATE '2020-03-05' AND DATE '2020-03-10'"),
            ("b", "i > l", "id > 30"),
            ("l", "coalesce(i, 1) + 5", "id > 1"),
        ] {
            writable.psql("DROP TABLE IF EXISTS t; CREATE TABLE t AS SELECT * FROM source");
            let others: Vec<String> = ["id", "s", "i", "l", "n", "m", "t", "d", "b"]
                .iter()
                .map(|name| match *name == column {
                    // The engine's own conversion to the column's type.
                    true => format!(
                        "CASE WHEN {condition} THEN CAST({value} AS {}) ELSE {column} END AS {column}",
                        type_of(column)
                    ),
                    false => (*name).to_owned(),
                })
                .collect();
            let expected = format!("SELECT {} FROM t ORDER BY id", others.join(", "));
            session.execute("SET SESSION pushdown = 'none'").await.unwrap();
            let expected = table::rows(&session, &expected).await.unwrap_or_else(|error| panic!("{expected}: {error}"));
            let chosen = table::rows(&session, &format!("SELECT count(*) FROM t WHERE {condition}")).await.unwrap();
            session.execute("RESET pushdown").await.unwrap();
            let sql = format!("UPDATE t SET {column} = {value} WHERE {condition}");
            assert_eq!(written(&session, &sql).await.to_string(), chosen[0][0], "{sql}");
            assert_eq!(table::rows(&session, "SELECT * FROM t ORDER BY id").await.unwrap(), expected, "{sql}");
            let gone = format!("DELETE FROM t WHERE {condition}");
            let left = table::rows(&session, &format!("SELECT count(*) FROM t WHERE {condition}")).await.unwrap();
            assert_eq!(written(&session, &gone).await.to_string(), left[0][0], "{gone}");
        }
    });
}

fn type_of(column: &str) -> &'static str {
    match column {
        "s" => "smallint",
        "i" => "int",
        "l" => "bigint",
        "n" => "decimal(12,3)",
        "m" => "decimal(12,2)",
        "t" => "varchar",
        "d" => "date",
        _ => "boolean",
    }
}

#[test]
fn a_change_under_a_token_is_made_once() {
    let writable = Writable::with("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 10)");
    block_on(async {
        let session = writable.engine.session();
        session.execute("SET SESSION write_token = 'raise'").await.unwrap();
        for _ in 0..3 {
            assert_eq!(written(&session, "UPDATE pg.public.t SET a = a + 1 WHERE a > 5").await, 5);
        }
        assert_eq!(writable.psql("SELECT sum(a) FROM t"), "60");
        let error = refused(&session, "DELETE FROM pg.public.t").await;
        assert!(error.contains("write_token raise was used for another statement"), "{error}");
        session.execute("SET SESSION write_token = 'remove'").await.unwrap();
        // Two at the same time: the second waits for the rows, finds none, and tells what the first has done.
        let (one, other) = (writable.engine.session(), writable.engine.session());
        let delete = "DELETE FROM pg.public.t WHERE a > 8";
        for session in [&one, &other] {
            session.execute("SET SESSION write_token = 'remove'").await.unwrap();
        }
        assert_eq!(tokio::join!(written(&one, delete), written(&other, delete)), (3, 3));
        assert_eq!(writable.psql("SELECT count(*) FROM t"), "7");
    });
}

#[test]
fn a_change_that_waits_can_be_ended() {
    let writable = Writable::with("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    block_on(async {
        let holder = std::thread::spawn({
            let name = writable.name.clone();
            move || SERVER.psql(&name, "BEGIN; UPDATE t SET a = 2; SELECT pg_sleep(3); ROLLBACK").unwrap()
        });
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        let held =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
        while writable.psql(held) == "0" {}
        let session = writable.engine.session();
        let deleting = tokio::spawn(async move { refused(&session, "DELETE FROM pg.public.t").await });
        while writable.psql(waiting) == "0" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let looking = writable.engine.session();
        let id = "SELECT query_id FROM system.runtime.queries WHERE query LIKE 'DELETE%' AND state = 'running'";
        let id = table::rows(&looking, id).await.unwrap()[0][0].clone();
        looking.execute(&format!("CALL system.kill_query('{id}')")).await.unwrap();
        assert!(deleting.await.unwrap().contains("kill"), "the statement was ended");
        holder.join().unwrap();
        assert_eq!(writable.psql("SELECT count(*) FROM t"), "1");
    });
}

/// Literals are read by each column's own type, as `COPY` reads them.
#[test]
fn literals_of_every_type() {
    let writable = Writable::with(
        "CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('sad', 'so \"so\"'); CREATE DOMAIN short AS varchar(4);
         CREATE DOMAIN label AS name;
         CREATE TABLE t (id int, u uuid, e mood, j json, jb jsonb, c char(4), ci citext, v varchar(4), s short, na name, la label,
             by bytea, d date, ti time, ts timestamp, tz timestamptz, f float8, r real, bo boolean, ar int[], n numeric);
         INSERT INTO t (id, ar) VALUES (1, '{1}')",
    );
    block_on(async {
        let session = writable.engine.session();
        session.execute("USE pg.public").await.unwrap();
        let sql = "UPDATE t SET u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', e = 'so \"so\"', j = '{\"a\":  1}', jb = '{\"a\":  1}', \
                   c = 'ab', ci = 'It''s', v = 'abcd', s = 'abcd', by = X'00ff', d = DATE '2020-02-29', ti = '12:00:00.5', \
                   ts = '2020-02-29 12:00:00', f = 1.5, r = CAST(0.1 AS real), bo = true, ar = NULL, n = 1.25";
        assert_eq!(written(&session, sql).await, 1);
        assert_eq!(
            writable.psql("SELECT u, e, j, jb, c, ci, v, s, by, d, ti, ts, f, r, bo, ar, n FROM t"),
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|so \"so\"|{\"a\":  1}|{\"a\": 1}|ab  |It's|abcd|abcd|\\x00ff|2020-02-29|12:00:00.5|\
             2020-02-29 12:00:00|1.5|0.1|t||1.2500000000000000"
        );
        // What does not fit is an error, and never cut.
        for (set, expected) in [
            ("v = 'abcde'", "value too long for type character varying(4)"),
            ("s = 'abcde'", "value too long for type character varying(4)"),
            ("c = 'abcde'", "value too long for type character(4)"),
            ("na = 'x'", "cuts a name"),
            ("la = 'x'", "cuts a name"),
            ("e = 'glad'", "column \"e\""),
            ("u = 'x'", "invalid input syntax for type uuid"),
            ("j = '{'", "invalid input syntax for type json"),
            ("u = v", "no rule makes uuid of text"),
        ] {
            let error = refused(&session, &format!("UPDATE t SET {set}")).await;
            assert!(error.contains("table public.t") && error.contains(expected), "{set}: {error}");
        }
        assert_eq!(written(&session, "UPDATE t SET u = NULL, j = NULL, c = NULL").await, 1);
    });
}

#[test]
fn names_are_quoted_in_changes() {
    let writable = Writable::with(
        "CREATE SCHEMA \"S\"\"; --\"; CREATE TABLE \"S\"\"; --\".\"t'\\\" (\"select\" int, \"a\"\"b\" text)",
    );
    block_on(async {
        let session = writable.engine.session();
        let table = "pg.\"S\"\"; --\".\"t'\\\"";
        assert_eq!(
            written(&session, &format!("INSERT INTO {table} VALUES (1, 'x'), (2, 'y''; DROP TABLE t; --\\')")).await,
            2
        );
        let sql = format!(
            "UPDATE {table} SET \"a\"\"b\" = \"a\"\"b\", \"select\" = \"select\" + 1 WHERE \"a\"\"b\" = 'y''; DROP TABLE t; --\\'"
        );
        assert_eq!(written(&session, &sql).await, 1);
        assert_eq!(written(&session, &format!("DELETE FROM {table} WHERE \"select\" = 3")).await, 1);
        assert_eq!(writable.psql("SELECT * FROM \"S\"\"; --\".\"t'\\\""), "1|x");
    });
}

/// A query holds a large table in its place while it reads; the statement's own query lets go before the table is dropped.
#[test]
fn a_large_table_is_replaced_by_its_own_rows() {
    let writable = Writable::with(
        "CREATE TABLE large AS SELECT g AS id, repeat('x', 900) AS pad FROM generate_series(1, 110000) g; ANALYZE large",
    );
    block_on(async {
        let session = writable.engine.session();
        let sql = "CREATE OR REPLACE TABLE pg.public.large AS SELECT id + 1 AS id, pad FROM pg.public.large WHERE pad IS NOT NULL";
        assert_eq!(written(&session, sql).await, 110_000);
        assert_eq!(writable.psql("SELECT count(*), min(id), max(id) FROM large"), "110000|2|110001");
    });
}
