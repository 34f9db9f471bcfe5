//! What engines over PostgreSQL have got wrong, one by one.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::StreamExt;
use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};
use portolan_servers::PostgresServer;
use serde_json::Value;

use crate::shop::block_on;
use crate::table;

/// A name of 63 bytes, the most that PostgreSQL keeps.
const LONG: &str = "a_name_of_63_bytes_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";

/// How long a query that reads two tables of a few megabytes may take before it hangs.
const HANGS_AFTER: Duration = Duration::from_secs(120);

static SERVER: LazyLock<PostgresServer> = LazyLock::new(|| {
    let server = PostgresServer::start().unwrap_or_else(|error| panic!("{error}"));
    server.psql("postgres", "CREATE DATABASE traps").unwrap();
    let tables = format!(
        "CREATE TYPE mood AS ENUM ('sad', 'ok');
         CREATE TABLE t AS SELECT g AS id, g % 10 AS a, (g % 7)::smallint AS b, 'k' || g AS code, DATE '1994-01-01' + g AS day,
             TIMESTAMP '1994-01-01' + g * INTERVAL '1 day' AS at, (g / 10.0)::real AS r, (g / 8.0)::numeric(10,3) AS n,
             (CASE WHEN g % 2 = 0 THEN 'ok' ELSE 'sad' END)::mood AS m, g::bigint * 4000000000000000 AS huge
             FROM generate_series(1, 1000) g;
         CREATE TABLE wide AS SELECT g AS id, repeat('x', 1000) AS filler FROM generate_series(1, 20000) g;
         CREATE TABLE also_wide AS SELECT g AS id, repeat('y', 1000) AS filler FROM generate_series(1, 20000) g;
         CREATE TABLE {LONG} ({LONG} int); INSERT INTO {LONG} VALUES (1), (2);
         ANALYZE"
    );
    server.psql("traps", &tables).unwrap();
    server
});

fn session() -> Session {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalogs.toml");
    let (url, password) = (SERVER.url("traps"), SERVER.password());
    std::fs::write(&file, format!("[pg]\nconnector = 'postgres'\nurl = '{url}'\npassword = '{password}'\n")).unwrap();
    let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
    let engine: Arc<Engine> = Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap();
    engine.session()
}

/// What EXPLAIN ANALYZE says of the only source of a query: what it was sent, and how many rows it returned.
async fn sent(session: &Session, sql: &str) -> (String, u64) {
    let lines = table::rows(session, &format!("EXPLAIN (ANALYZE, FORMAT JSON) {sql}")).await.unwrap();
    let report: Value = serde_json::from_str(&lines.concat().concat()).unwrap();
    let [source] = report["sources"].as_array().unwrap().as_slice() else { panic!("{report}") };
    (source["request"].as_str().unwrap().to_owned(), source["actual"]["rows"].as_u64().unwrap())
}

/// The same rows with pushdown and without, as psql has them too.
async fn agrees(session: &Session, sql: &str, psql: &str) {
    let pushed = table::sorted(session, sql).await.unwrap();
    session.execute("SET SESSION pushdown = 'none'").await.unwrap();
    let alone = table::sorted(session, sql).await.unwrap();
    session.execute("RESET pushdown").await.unwrap();
    assert_eq!(pushed, alone, "{sql}");
    let mut expected: Vec<String> = SERVER.psql("traps", psql).unwrap().lines().map(str::to_owned).collect();
    expected.sort();
    assert_eq!(pushed.iter().map(|row| row.join("|")).collect::<Vec<_>>(), expected, "{sql}");
}

#[test]
fn rows_are_ordered_by_the_column_and_not_by_what_has_its_name() {
    block_on(async {
        let session = session();
        SERVER
            .psql("traps", "CREATE TABLE swapped AS SELECT g AS one, -g AS other FROM generate_series(1, 9) g")
            .unwrap();
        for fold in ["cost", "always"] {
            session.execute(&format!("SET SESSION fold = '{fold}'")).await.unwrap();
            // The smallest values of `one`, which the result calls p; the result's `one` is another column.
            let sql = "SELECT other AS one, one AS p FROM pg.public.swapped ORDER BY p LIMIT 2";
            assert_eq!(table::rows(&session, sql).await.unwrap(), [["-1", "1"], ["-2", "2"]], "fold = {fold}");
            let sql = "SELECT count(*) AS one, one AS p FROM pg.public.swapped GROUP BY one ORDER BY p DESC LIMIT 2";
            assert_eq!(table::rows(&session, sql).await.unwrap(), [["1", "9"], ["1", "8"]], "fold = {fold}");
        }
    });
}

#[test]
fn a_text_beside_a_name_is_not_cut() {
    block_on(async {
        let session = session();
        let table = "CREATE TABLE named (id int, v varchar(200), nm name); INSERT INTO named VALUES (1, repeat('x', 80), 'short')";
        SERVER.psql("traps", table).unwrap();
        let text = "x".repeat(80);
        for value in ["coalesce(v, nm)", "CASE WHEN id < 2 THEN v ELSE nm END", "max(greatest(v, nm))"] {
            for fold in ["cost", "always"] {
                session.execute(&format!("SET SESSION fold = '{fold}'")).await.unwrap();
                let sql = format!("SELECT {value} FROM pg.public.named");
                assert_eq!(table::rows(&session, &sql).await.unwrap(), [[text.as_str()]], "fold = {fold}: {sql}");
            }
        }
        let sql = "SELECT v FROM pg.public.named UNION ALL SELECT nm FROM pg.public.named";
        assert_eq!(table::sorted(&session, sql).await.unwrap(), [["short"], [text.as_str()]]);
        assert_eq!(table::rows(&session, "SELECT id FROM pg.public.named WHERE nm = 'short'").await.unwrap(), [["1"]]);
    });
}

#[test]
fn an_empty_list_and_positions_beyond_four_bytes() {
    block_on(async {
        let session = session();
        SERVER.psql("traps", "CREATE TABLE lists (id int, v text[], t text); INSERT INTO lists VALUES (1, '{a}', 'abc'), (2, NULL, 'abc')").unwrap();
        for (sql, expected) in [
            ("SELECT id FROM pg.public.lists WHERE array_has_all(v, []) ORDER BY id", vec![["1"], ["2"]]),
            ("SELECT id FROM pg.public.lists WHERE substr(t, 3000000000) = '' ORDER BY id", vec![["1"], ["2"]]),
            ("SELECT id FROM pg.public.lists WHERE substr(t, 2, 3000000000) = 'bc' ORDER BY id", vec![["1"], ["2"]]),
        ] {
            for settings in ["fold = 'always'", "pushdown = 'none'"] {
                session.execute("RESET ALL").await.unwrap();
                session.execute(&format!("SET SESSION {settings}")).await.unwrap();
                let rows = table::rows(&session, sql)
                    .await
                    .unwrap_or_else(|error| panic!("{settings}: {}", error.render(sql)));
                assert_eq!(rows, expected, "{settings}: {sql}");
            }
        }
    });
}

#[test]
fn or_inside_and_keeps_its_parentheses() {
    block_on(async {
        let session = session();
        let condition = "(a = 1 OR b = 2) AND (a = 3 OR b = 4 OR (a = 5 AND b <> 6)) AND NOT (a = 7 OR b = 0)";
        let sql = format!("SELECT id FROM pg.public.t WHERE {condition}");
        agrees(&session, &sql, &format!("SELECT id FROM t WHERE {condition}")).await;
        let (request, rows) = sent(&session, &sql).await;
        let expected = SERVER.psql("traps", &format!("SELECT count(*) FROM t WHERE {condition}")).unwrap();
        assert_eq!(rows.to_string(), expected.trim(), "{request}");
    });
}

/// The build side is read to its end while the probe side waits with its own stream open.
#[test]
fn two_streams_of_which_one_is_drained_first_do_not_hang() {
    block_on(async {
        let session = session();
        session.execute("SET SESSION fold = 'never'").await.unwrap();
        let joined = "SELECT count(*), sum(character_length(l.filler)), sum(character_length(r.filler))
            FROM pg.public.wide AS l JOIN pg.public.also_wide AS r ON l.id = r.id";
        let rows = tokio::time::timeout(HANGS_AFTER, table::rows(&session, joined)).await.expect("it hangs").unwrap();
        assert_eq!(rows, [["20000", "20000000", "20000000"]]);
        // A client that reads one row and goes on with another statement while the first stays open.
        let mut open = session.execute("SELECT filler FROM pg.public.wide").await.unwrap().rows;
        assert!(open.next().await.unwrap().unwrap().num_rows() > 0);
        let count = table::rows(&session, "SELECT count(filler) FROM pg.public.also_wide");
        assert_eq!(tokio::time::timeout(HANGS_AFTER, count).await.expect("it hangs").unwrap(), [["20000"]]);
        let mut rows = 0;
        while let Some(batch) = open.next().await {
            rows += batch.unwrap().num_rows();
        }
        assert!(rows < 20_000 && rows > 0);
    });
}

#[test]
fn a_bound_of_a_date_and_an_interval_is_sent() {
    block_on(async {
        let session = session();
        for (column, bounds) in [
            ("day", ["DATE '1995-01-01'", "DATE '1995-01-01' + INTERVAL '3' MONTH"]),
            ("day", ["DATE '1995-01-01' - INTERVAL '10' DAY", "DATE '1995-01-01'"]),
            ("at", ["TIMESTAMP '1995-01-01 00:00:00'", "TIMESTAMP '1995-01-01 00:00:00' + INTERVAL '1' YEAR"]),
        ] {
            let condition = format!("{column} >= {} AND {column} < {}", bounds[0], bounds[1]);
            let sql = format!("SELECT id FROM pg.public.t WHERE {condition}");
            agrees(&session, &sql, &format!("SELECT id FROM t WHERE {condition}")).await;
            let (request, rows) = sent(&session, &sql).await;
            let expected = SERVER.psql("traps", &format!("SELECT count(*) FROM t WHERE {condition}")).unwrap();
            assert_eq!(rows.to_string(), expected.trim(), "{request}");
        }
    });
}

#[test]
fn totals_have_the_engines_types_and_scales() {
    block_on(async {
        let session = session();
        let sql = "SELECT avg(n) AS an, sum(n) AS sn, sum(a) AS sa, sum(b) AS ss, sum(CAST(id AS bigint)) AS sb,
            avg(a) AS aa, avg(id) AS ai, count(*) AS c FROM pg.public.t";
        let types = |batches: &[datafusion::arrow::array::RecordBatch]| {
            batches[0].schema().fields().iter().map(|field| field.data_type().to_string()).collect::<Vec<_>>()
        };
        let pushed = table::batches(&session, sql).await.unwrap();
        let (request, rows) = sent(&session, sql).await;
        assert_eq!(rows, 1, "{request}");
        session.execute("SET SESSION pushdown = 'none'").await.unwrap();
        let alone = table::batches(&session, sql).await.unwrap();
        assert_eq!(types(&pushed), types(&alone));
        assert_eq!(table::format(&pushed), table::format(&alone));
        // The sum of 1 to 1000, over 8, by 1000: 62.5625; the engine's average of decimal(10,3) has seven digits.
        assert_eq!(
            table::format(&pushed),
            [["62.5625000", "62562.500", "4500", "3003", "500500", "4.5", "500.5", "1000"]]
        );
        assert_eq!(
            types(&pushed)[..5],
            ["Decimal128(14, 7)", "Decimal128(20, 3)", "Int64", "Int64", "Int64"].map(str::to_owned)
        );
        session.execute("RESET pushdown").await.unwrap();
        // What 64 bits have no room for is an error there as here, and no number of PostgreSQL's numeric.
        for setting in ["RESET pushdown", "SET SESSION pushdown = 'none'"] {
            session.execute(setting).await.unwrap();
            assert!(table::rows(&session, "SELECT sum(huge) FROM pg.public.t").await.is_err());
            assert_eq!(
                table::rows(&session, "SELECT sum(huge) FROM pg.public.t WHERE id < 3").await.unwrap(),
                [["12000000000000000"]]
            );
        }
    });
}

#[test]
fn thousands_of_texts_in_a_list_narrow_what_is_read() {
    block_on(async {
        let session = session();
        for values in [257, 5_000] {
            let list: Vec<String> = (0..values).map(|value| format!("'k{}'", value * 3)).collect();
            let sql = format!("SELECT id FROM pg.public.t WHERE code IN ({})", list.join(", "));
            let expected = (0..values).filter(|value| (1..=1000).contains(&(value * 3))).count();
            assert_eq!(table::rows(&session, &sql).await.unwrap().len(), expected);
            assert_eq!(sent(&session, &sql).await.1, expected as u64, "{values} values");
        }
    });
}

#[test]
fn a_label_that_an_enum_does_not_have_is_in_no_row() {
    block_on(async {
        let session = session();
        for (condition, expected) in [
            ("m = 'happy'", 0),
            ("m <> 'happy'", 1000),
            ("m IN ('happy', 'ok')", 500),
            ("m NOT IN ('happy', 'ok')", 500),
            ("m = 'OK'", 0),
            ("m = 'ok'", 500),
        ] {
            let sql = format!("SELECT id FROM pg.public.t WHERE {condition}");
            assert_eq!(table::rows(&session, &sql).await.unwrap().len(), expected, "{condition}");
        }
    });
}

#[test]
fn a_nul_in_a_text_is_in_no_row() {
    block_on(async {
        let session = session();
        for condition in ["code = 'k1' || chr(0)", "code IN (chr(0), 'k' || chr(0))", "code LIKE '%' || chr(0) || '%'"]
        {
            // The engine's chr has no character 0; where it has one, nothing is found.
            if let Ok(rows) = table::rows(&session, &format!("SELECT id FROM pg.public.t WHERE {condition}")).await {
                assert!(rows.is_empty(), "{condition}");
            }
        }
        let sql = "SELECT id FROM pg.public.t WHERE code = 'k1\0' OR code = 'k2'";
        assert_eq!(table::rows(&session, sql).await.unwrap(), [["2"]]);
        assert!(table::rows(&session, "SELECT id FROM pg.public.t WHERE code = 'k1\0'").await.unwrap().is_empty());
    });
}

/// 0.1 as a real is not 0.1 as a double, for PostgreSQL and for the engine.
#[test]
fn a_real_beside_a_double_is_compared_as_a_double() {
    block_on(async {
        let session = session();
        for (condition, psql) in [
            ("r = 0.1", "r = 0.1"),
            ("r = CAST(0.1 AS real)", "r = 0.1::real"),
            ("r = 0.5", "r = 0.5"),
            ("r > 99.9", "r > 99.9::float8"),
            ("r <= CAST(0.3 AS double)", "r <= 0.3::float8"),
            ("r IN (0.1, 0.25, 0.5)", "r::float8 IN (0.1::float8, 0.25::float8, 0.5::float8)"),
        ] {
            let sql = format!("SELECT id FROM pg.public.t WHERE {condition}");
            agrees(&session, &sql, &format!("SELECT id FROM t WHERE {psql}")).await;
        }
        let (request, rows) = sent(&session, "SELECT id FROM pg.public.t WHERE r > 99.9").await;
        assert!(rows < 10, "{rows} rows for {request}");
    });
}

#[test]
fn names_of_63_bytes_and_more() {
    block_on(async {
        let session = session();
        let sql = format!("SELECT {LONG} FROM pg.public.{LONG} WHERE {LONG} > 1");
        assert_eq!(table::rows(&session, &sql).await.unwrap(), [["2"]]);
        // PostgreSQL would cut these off to the same name.
        let (one, other) = (format!("{LONG}_one"), format!("{LONG}_other"));
        let sql = format!(
            "SELECT {one} + 1, {other} FROM (SELECT {LONG} * 10 AS {one}, {LONG} AS {other} FROM pg.public.{LONG}) AS q
             ORDER BY {one} LIMIT 2"
        );
        assert_eq!(table::rows(&session, &sql).await.unwrap(), [["11", "1"], ["21", "2"]]);
        // A table whose name only begins like one that is there is another.
        assert!(table::rows(&session, &format!("SELECT * FROM pg.public.{one}")).await.is_err());
        assert!(table::rows(&session, &format!("SELECT {one} FROM pg.public.{LONG}")).await.is_err());
    });
}
