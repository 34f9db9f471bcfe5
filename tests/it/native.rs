//! Queries in PostgreSQL's own language: `pg.system.query('SELECT ...')`.

use std::sync::{Arc, LazyLock};

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};
use portolan_servers::PostgresServer;
use serde_json::Value;

use crate::shop::block_on;
use crate::table;

static SERVER: LazyLock<PostgresServer> = LazyLock::new(|| {
    let server = PostgresServer::start().unwrap_or_else(|error| panic!("{error}"));
    server.psql("postgres", "CREATE DATABASE native").unwrap();
    let tables = "CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE TABLE t AS SELECT g AS id, 'n' || g AS name, (g / 4.0)::numeric(8,2) AS amount,
            (CASE WHEN g % 2 = 0 THEN 'ok' ELSE 'sad' END)::mood AS m FROM generate_series(1, 100) g;
        CREATE TABLE texts (t text COLLATE caseless); INSERT INTO texts VALUES ('a'), ('A'), ('b');
        CREATE SEQUENCE numbers;
        ANALYZE";
    server.psql("native", tables).unwrap();
    server
});

fn session() -> Session {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalogs.toml");
    let (url, password) = (SERVER.url("native"), SERVER.password());
    let text = format!(
        "[pg]\nconnector = 'postgres'\nurl = '{url}'\npassword = '{password}'\nconnections_max = 2\n[mem]\nconnector = 'memory'\n"
    );
    std::fs::write(&file, text).unwrap();
    let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
    let engine: Arc<Engine> = Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap();
    engine.session()
}

/// The only source of a query, as EXPLAIN ANALYZE describes it.
async fn source(session: &Session, sql: &str) -> Value {
    let lines = table::rows(session, &format!("EXPLAIN (ANALYZE, FORMAT JSON) {sql}")).await.unwrap();
    let mut report: Value = serde_json::from_str(&lines.concat().concat()).unwrap();
    let sources = report["sources"].as_array_mut().unwrap();
    assert_eq!(sources.len(), 1, "{sql}");
    sources.remove(0)
}

async fn refusal(session: &Session, native: &str) -> String {
    let sql = format!("SELECT * FROM pg.system.query('{}')", native.replace('\'', "''"));
    table::rows(session, &sql).await.unwrap_err().to_string()
}

#[test]
fn its_columns_have_the_names_and_types_that_postgresql_says() {
    block_on(async {
        let session = session();
        let native = "SELECT id, amount, m, ARRAY[id] AS ids, int4range(id, id + 1) AS r, name AS \"The Name\" FROM t ORDER BY id LIMIT 1;";
        for call in [
            format!("pg.system.query('{native}')"),
            format!("TABLE(pg.system.query('{native}'))"),
            format!("TABLE(pg.system.query(query => '{} -- the first')) AS q", native.trim_end_matches(';')),
        ] {
            let batches = table::batches(&session, &format!("SELECT * FROM {call}")).await.unwrap();
            let schema = batches[0].schema();
            let columns: Vec<String> =
                schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
            assert_eq!(columns[..3], ["id Int32", "amount Decimal128(8, 2)", "m Utf8"], "{call}");
            assert_eq!(columns[5], "The Name Utf8");
            assert_eq!(table::format(&batches), [["1", "0.25", "sad", "[1]", "[1,2)", "n1"]], "{call}");
        }
        let described = table::rows(&session, "DESCRIBE SELECT * FROM pg.system.query('SELECT 1 AS one')").await;
        assert!(described.is_ok(), "{described:?}");
    });
}

#[test]
fn what_stands_above_is_folded_over_it() {
    block_on(async {
        let session = session();
        let sql = "SELECT m, count(*), sum(amount) FROM pg.system.query('SELECT * FROM t WHERE id > 10') AS q
            WHERE name <> 'n11' AND id % 10 = 1 GROUP BY m";
        let source = source(&session, sql).await;
        let request = source["request"].as_str().unwrap();
        assert!(request.contains("(SELECT * FROM t WHERE id > 10\n)") && request.contains("GROUP BY"), "{request}");
        assert_eq!(source["actual"]["rows"], 1);
        assert_eq!(source["tables"], serde_json::json!(["pg.system.query"]));
        // 21, 31 ... 91 are 448, by 4: 112.
        assert_eq!(table::rows(&session, sql).await.unwrap(), [["sad", "8", "112.00"]]);
        session.execute("SET SESSION pushdown = 'none'").await.unwrap();
        assert_eq!(table::rows(&session, sql).await.unwrap(), [["sad", "8", "112.00"]]);
        session.execute("RESET pushdown").await.unwrap();
        let joined = "SELECT count(*) FROM pg.system.query('SELECT id FROM t WHERE id < 5') AS l
            JOIN pg.system.query('SELECT id AS other FROM t WHERE id > 2') AS r ON l.id = r.other JOIN pg.public.t AS t ON t.id = l.id";
        assert_eq!(table::rows(&session, joined).await.unwrap(), [["2"]]);
    });
}

/// The collation of a query's column is not known; it is told one.
#[test]
fn texts_are_compared_as_the_engine_compares_them() {
    block_on(async {
        let session = session();
        for sql in [
            "SELECT t FROM pg.system.query('SELECT t FROM texts') WHERE t = 'a'",
            "SELECT t FROM pg.system.query('SELECT t FROM texts') WHERE t >= 'a' AND t < 'b'",
            "SELECT min(t) FROM pg.system.query('SELECT t FROM texts') WHERE t > 'A'",
        ] {
            assert_eq!(table::rows(&session, sql).await.unwrap(), [["a"]], "{sql}");
        }
    });
}

#[test]
fn only_one_statement_that_reads_is_taken() {
    block_on(async {
        let session = session();
        for native in [
            "INSERT INTO t (id) VALUES (1)",
            "INSERT INTO t (id) VALUES (1) RETURNING id",
            "WITH gone AS (DELETE FROM t RETURNING id) SELECT * FROM gone",
            "CREATE TABLE numbers_too (n int)",
            "SELECT 1; DELETE FROM t",
            "SELECT 1; SELECT 2",
            "SELECT 1 AS a) AS q; DELETE FROM t; SELECT * FROM (SELECT 2 AS a",
            "SELECT 1 AS a) AS q, (SELECT 2 AS b",
            "COPY t TO STDOUT",
            "SELECT id INTO copied FROM t",
            "TRUNCATE t",
            "some wrong syntax",
            "SELECT * FROM absent",
            "",
        ] {
            let error = refusal(&session, native).await;
            assert!(error.contains("catalog pg: PostgreSQL does not take the native query"), "{native}: {error}");
        }
        for (native, mention) in [
            ("SELECT 1 AS a, 2 AS a", "two columns \"a\""),
            ("SELECT $1::int AS a", "parameters"),
            ("SELECT FROM t", "no columns"),
        ] {
            let error = refusal(&session, native).await;
            assert!(error.contains(mention), "{native}: {error}");
        }
        // What is only found out when it runs: the transaction may not write.
        for native in ["SELECT nextval('numbers') AS n", "SELECT id FROM t FOR UPDATE"] {
            let error = refusal(&session, native).await;
            assert!(error.contains("read-only transaction"), "{native}: {error}");
        }
        let set = "SELECT set_config('transaction_read_only', 'off', true) AS v";
        let error = refusal(&session, set).await;
        assert!(error.contains("read-write mode"), "{error}");
        assert_eq!(SERVER.psql("native", "SELECT count(*) FROM t").unwrap().trim(), "100");
        let error = table::rows(&session, "SELECT * FROM mem.system.query('SELECT 1')").await.unwrap_err().to_string();
        assert!(error.contains("memory takes no queries"), "{error}");
        let error =
            table::rows(&session, "SELECT * FROM nowhere.system.query('SELECT 1')").await.unwrap_err().to_string();
        assert!(error.contains("nowhere"), "{error}");
    });
}

/// What a query sets in its session is gone with its transaction: sessions are used again.
#[test]
fn a_query_leaves_nothing_in_its_session() {
    block_on(async {
        let session = session();
        let change = "SELECT * FROM pg.system.query('SELECT set_config(''TimeZone'', ''Asia/Kathmandu'', false) AS v')";
        let text = "SELECT * FROM pg.system.query('SELECT current_setting(''TimeZone'') AS v')";
        for _ in 0..4 {
            assert_eq!(table::rows(&session, change).await.unwrap(), [["Asia/Kathmandu"]]);
            assert_eq!(table::rows(&session, text).await.unwrap(), [["UTC"]]);
        }
    });
}
