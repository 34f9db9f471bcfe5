//! What a join knows of its keys reaches PostgreSQL before it reads.

use std::sync::LazyLock;

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};
use portolan_servers::PostgresServer;
use serde_json::Value;

use crate::shop::block_on;
use crate::table;

/// Rows of the large table.
const ROWS: u64 = 20_000;

const TABLES: &str = "
CREATE TABLE large AS SELECT g AS id, g::bigint AS big, (g % 50)::smallint AS small, 'k' || g AS code, g::numeric(12,2) AS amount,
    DATE '2000-01-01' + g % 1000 AS day, CASE WHEN g % 3 > 0 THEN g END AS maybe FROM generate_series(1, 20000) g;
CREATE INDEX ON large (id);
ANALYZE";

static SERVER: LazyLock<PostgresServer> = LazyLock::new(|| {
    let server = PostgresServer::start().unwrap_or_else(|error| panic!("{error}"));
    server.psql("postgres", "CREATE DATABASE keys").unwrap();
    server.psql("keys", TABLES).unwrap();
    server
});

/// A session with the large table, and a small one in memory: two ids, a value of each type that is a key of the large
/// table, one that none of its rows has, and a NULL.
async fn session() -> Session {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalogs.toml");
    let (url, password) = (SERVER.url("keys"), SERVER.password());
    let text =
        format!("[pg]\nconnector = 'postgres'\nurl = '{url}'\npassword = '{password}'\n[mem]\nconnector = 'memory'\n");
    std::fs::write(&file, text).unwrap();
    let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
    let session = Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap().session();
    session.execute("CREATE SCHEMA IF NOT EXISTS mem.default").await.ok();
    let keys = "CREATE TABLE mem.default.keys AS SELECT * FROM (VALUES
        (7, CAST(7 AS bigint), 'k7', CAST(7 AS decimal(12,2)), DATE '2000-01-08'),
        (19999, CAST(5000000000 AS bigint), 'it''s \"k\\', CAST(0.5 AS decimal(12,2)), DATE '1900-01-01'),
        (NULL, NULL, NULL, NULL, NULL)) AS v (id, big, code, amount, day)";
    table::rows(&session, keys).await.unwrap();
    session
}

/// The rows that PostgreSQL sent, and what it was told of the keys.
async fn sent(session: &Session, sql: &str) -> (u64, Option<String>) {
    let lines = table::rows(session, &format!("EXPLAIN (ANALYZE, FORMAT JSON) {sql}")).await.unwrap();
    let report: Value = serde_json::from_str(&lines.concat().concat()).unwrap();
    let sources = report["sources"].as_array().unwrap();
    let source = sources.iter().find(|source| source["connector"] == "postgres").unwrap();
    let filters = source["filters"].as_array().unwrap();
    let dynamic = filters.iter().find(|filter| filter["verdict"] == "dynamic");
    let remote = dynamic.and_then(|filter| filter["remote"].as_str()).map(str::to_owned);
    (source["actual"]["rows"].as_u64().unwrap(), remote)
}

#[test]
fn only_rows_with_a_partner_are_sent() {
    block_on(async {
        let session = session().await;
        for (condition, expected) in [
            ("l.id = k.id", 2),
            // Keys of another width are compared as the source has them; what it has no room for is in no row.
            ("l.id = k.big", 1),
            ("l.big = k.big", 1),
            ("l.code = k.code", 1),
            ("l.amount = k.amount", 1),
            ("l.day = k.day", 20),
            ("l.maybe = k.id", 2),
            ("l.id = k.id AND l.code = k.code", 1),
        ] {
            let sql =
                format!("SELECT l.id, k.code FROM mem.default.keys AS k JOIN pg.public.large AS l ON {condition}");
            let (rows, told) = sent(&session, &sql).await;
            assert!(rows <= expected, "{condition}: {rows} rows were sent, told {told:?}");
            assert!(told.is_some(), "{condition}");
            let found = table::sorted(&session, &sql).await.unwrap();
            session.execute("SET SESSION pushdown = 'none'").await.unwrap();
            assert_eq!(found, table::sorted(&session, &sql).await.unwrap(), "{condition}");
            assert_eq!(sent(&session, &sql).await.0, ROWS, "{condition}");
            session.execute("RESET pushdown").await.unwrap();
        }
    });
}

#[test]
fn thousands_of_keys_are_told_where_that_leaves_most_rows_out() {
    block_on(async {
        let session = session().await;
        for (name, condition, keys, expected) in [
            ("some", "id % 10 = 0 AND id < 19000", 1_899, 1_899),
            // Of one row in two it is not worth looking for each: their range is told.
            ("many", "id % 2 = 0 AND id < 19000", 9_499, 18_997),
        ] {
            let create = format!("CREATE TABLE mem.default.{name} AS SELECT id FROM pg.public.large WHERE {condition}");
            table::rows(&session, &create).await.unwrap();
            let sql = format!("SELECT l.id FROM mem.default.{name} AS m JOIN pg.public.large AS l ON l.id = m.id");
            assert_eq!(sent(&session, &sql).await.0, expected, "{name}");
            assert_eq!(table::rows(&session, &sql).await.unwrap().len(), keys, "{name}");
        }
    });
}

#[test]
fn a_join_without_keys_reads_nothing() {
    block_on(async {
        let session = session().await;
        let sql =
            "SELECT l.id FROM mem.default.keys AS k JOIN pg.public.large AS l ON l.id = k.id WHERE k.code = 'none'";
        assert_eq!(sent(&session, sql).await.0, 0);
    });
}

#[test]
fn rows_without_a_partner_are_sent_where_they_are_wanted() {
    block_on(async {
        let session = session().await;
        let sql =
            "SELECT count(*), count(k.id) FROM pg.public.large AS l LEFT JOIN mem.default.keys AS k ON l.id = k.id";
        assert_eq!(table::rows(&session, sql).await.unwrap(), [[ROWS.to_string(), "2".to_owned()]]);
        assert_eq!(sent(&session, sql).await.0, ROWS);
    });
}

#[test]
fn what_is_folded_is_narrowed_too() {
    block_on(async {
        let session = session().await;
        let sql = "SELECT k.id, t.n FROM mem.default.keys AS k JOIN
            (SELECT small, count(*) AS n FROM pg.public.large GROUP BY small) AS t ON t.small = k.id";
        assert_eq!(table::rows(&session, sql).await.unwrap(), [["7", "400"]]);
        assert_eq!(sent(&session, sql).await.0, 1);
    });
}
