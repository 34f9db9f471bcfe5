//! What is folded into PostgreSQL gives the rows that the engine would compute: random queries over nasty values, folded,
//! not folded, and without any pushdown.

mod random;

use std::sync::{Arc, LazyLock};

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};
use portolan_servers::PostgresServer;

use self::random::Random;
use crate::shop::block_on;
use crate::table;

/// Queries that every run tries. Each is run four times, so the number bounds the test's duration.
const QUERIES: u64 = 250;

/// Queries that a longer run tries, unless PORTOLAN_RANDOM_QUERIES says otherwise: `cargo test --test it -- --ignored folding`.
const MANY_QUERIES: u64 = 10_000;

const TABLES: &str = "
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE a (id int NOT NULL, i2 smallint, i4 int, i8 bigint, n numeric(12,2), m numeric(20,6), f float8, t text COLLATE \"en-x-icu\",
    v varchar(20) COLLATE \"C\", d date, ts timestamp, bo boolean, e mood, u uuid, by bytea,
    h char(4) COLLATE \"en-x-icu\");
INSERT INTO a SELECT g,
    (ARRAY[NULL, 0, 1, -1, 7, 32767, -32768])[1 + g % 7],
    (ARRAY[0, 1, 2, NULL, -3, 100000, 5, 5])[1 + g % 8],
    (ARRAY[NULL, 3, 4000000000, -4000000000, 0, 12])[1 + g % 6],
    (ARRAY[0, 0.01, -0.01, 99.99, NULL, 1.50, -7.25, 1234567.89])[1 + g % 8],
    (ARRAY[0.000001, NULL, 3.333333, -12.5, 1000])[1 + g % 5],
    (ARRAY[0, '-0', 'NaN', 'Infinity', '-Infinity', 1.5, NULL, -2.25, 0.1])[1 + g % 9]::float8,
    (ARRAY['', 'a', 'A', 'b', 'ab', 'ä', 'z', NULL, 'a%b', 'Zebra', ' a', 'é'])[1 + g % 12],
    (ARRAY['x', 'X', NULL, 'y', 'xy', ''])[1 + g % 6],
    (ARRAY['2020-02-29', '1999-12-31', NULL, '2000-01-01', '0044-03-15 BC', '1970-01-01'])[1 + g % 6]::date,
    (ARRAY['2020-02-29 12:00', '1999-12-31 23:59:59.999999', NULL, '2000-01-01'])[1 + g % 4]::timestamp,
    (ARRAY[true, false, NULL])[1 + g % 3],
    (ARRAY['sad', 'ok', NULL, 'happy'])[1 + g % 4]::mood,
    (ARRAY['00000000-0000-0000-0000-000000000001', NULL, 'ffffffff-ffff-ffff-ffff-ffffffffffff'])[1 + g % 3]::uuid,
    (ARRAY['\\x', '\\x00', '\\xff00', NULL])[1 + g % 4]::bytea,
    (ARRAY['a', 'ab', 'a  b', '', ' a', NULL, 'ä', 'ab  ', 'A'])[1 + g % 9]
    FROM generate_series(1, 90) g;
CREATE TABLE b (id int NOT NULL, i2 smallint, i4 int, i8 bigint, n numeric(12,2), m numeric(20,6), f float8, t text COLLATE \"en-x-icu\",
    v varchar(20) COLLATE \"C\", d date, ts timestamp, bo boolean, e mood, u uuid, by bytea,
    h char(4) COLLATE \"en-x-icu\");
INSERT INTO b SELECT id * 3, i2, i4 + 1, i8, n, m, f, t, v, d, ts, bo, e, u, by, h FROM a WHERE id % 4 > 0;
CREATE TABLE nothing (LIKE a);
ANALYZE";

static SERVER: LazyLock<PostgresServer> = LazyLock::new(|| {
    let server = PostgresServer::start().unwrap_or_else(|error| panic!("{error}"));
    server
        .psql("postgres", "CREATE DATABASE folding TEMPLATE template0 LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'")
        .unwrap();
    server.psql("folding", TABLES).unwrap();
    server.psql("postgres", "CREATE DATABASE large TEMPLATE folding").unwrap();
    server.psql("large", "UPDATE pg_class SET reltuples = 3e7, relpages = 100000 WHERE relname IN ('a', 'b')").unwrap();
    server
});

/// A session with one of the two databases. They have the same tables, which PostgreSQL takes for huge in `large`.
fn session(database: &str) -> Session {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalogs.toml");
    let entry =
        format!("[pg]\nconnector = 'postgres'\nurl = '{}'\npassword = '{}'\n", SERVER.url(database), SERVER.password());
    std::fs::write(&file, entry).unwrap();
    let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
    let engine: Arc<Engine> = Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap();
    engine.session()
}

/// The rows of a query, in an order of their own, or what went wrong.
async fn outcome(session: &Session, settings: &[&str], sql: &str) -> Result<Vec<Vec<String>>, String> {
    session.execute("RESET ALL").await.unwrap();
    for setting in settings {
        session.execute(&format!("SET SESSION {setting}")).await.unwrap();
    }
    table::sorted(session, sql).await.map_err(|error| error.to_string())
}

async fn chart(session: &Session, settings: &[&str], sql: &str) -> String {
    outcome(session, settings, "SELECT 1").await.unwrap();
    table::rows(session, &format!("EXPLAIN {sql}")).await.unwrap().concat().join("\n")
}

/// The scans of a chart, in their order.
fn tables(chart: &str) -> Vec<&str> {
    chart
        .lines()
        .filter(|line| line.ends_with("(postgres)"))
        .map(|line| line.trim_start_matches([' ', '│', '├', '└', '─']))
        .collect()
}

/// What came of the queries of some seeds.
#[derive(Default)]
struct Found {
    /// How many gave rows.
    answered: u64,
    /// How many of those were one statement to PostgreSQL.
    whole: u64,
    /// How many were joined in another order than that of the statement.
    reordered: u64,
    /// Of how many something was computed by the engine, since that is expected to be faster.
    fetched: u64,
    /// Those of which the rows are not the same.
    different: Vec<String>,
}

async fn differ(seeds: std::ops::Range<u64>) -> Found {
    let (session, large) = (session("folding"), session("large"));
    session.execute("USE pg.public").await.unwrap();
    large.execute("USE pg.public").await.unwrap();
    let mut found = Found::default();
    for seed in seeds {
        let sql = Random::new(seed).query();
        let folded = outcome(&session, &["fold = 'always'"], &sql).await;
        let weighed = outcome(&large, &[], &sql).await;
        let scanned = outcome(&session, &["fold = 'never'"], &sql).await;
        let alone = outcome(&session, &["pushdown = 'none'", "join_reordering = 'none'"], &sql).await;
        match (&folded, &weighed, &scanned, &alone) {
            (Ok(one), Ok(two), Ok(other), Ok(alone)) if one == alone && two == alone && other == alone => {
                found.answered += 1;
                let chart = chart(&session, &["fold = 'always'"], &sql).await;
                found.whole += u64::from(chart.lines().next().is_some_and(|line| line.ends_with("(postgres)")));
                let chart = self::chart(&large, &[], &sql).await;
                found.fetched += u64::from(chart.contains("expected to be faster here"));
                let ordered = self::chart(&session, &["fold = 'never'"], &sql).await;
                let written = self::chart(&session, &["fold = 'never'", "join_reordering = 'none'"], &sql).await;
                found.reordered += u64::from(tables(&ordered) != tables(&written));
            }
            (Err(_), Err(_), Err(_), Err(_)) => {}
            _ => found
                .different
                .push(format!("seed {seed}: {sql}\n  folded  {folded:?}\n  weighed {weighed:?}\n  scanned {scanned:?}\n  alone   {alone:?}")),
        }
    }
    found
}

#[test]
fn random_queries() {
    let Found { answered, whole, reordered, fetched, different } = block_on(differ(0..QUERIES));
    assert!(different.is_empty(), "{}", different.join("\n"));
    // Otherwise the test would show nothing.
    assert!(answered * 10 > QUERIES * 8, "{answered} of {QUERIES} queries gave rows");
    assert!(whole * 10 > answered * 4, "{whole} of {answered} queries were folded whole");
    assert!(reordered * 50 > answered, "{reordered} of {answered} queries were joined in another order");
    assert!(fetched * 10 > answered, "of {fetched} of {answered} queries something was computed here");
}

#[test]
#[ignore = "takes long"]
fn many_random_queries() {
    let count = std::env::var("PORTOLAN_RANDOM_QUERIES").map_or(MANY_QUERIES, |count| count.parse().unwrap());
    let Found { answered, whole, reordered, fetched, different } = block_on(differ(QUERIES..QUERIES + count));
    println!(
        "{answered} queries gave rows: {whole} from one statement, {reordered} in another order, {fetched} computed here in part"
    );
    assert!(different.is_empty(), "{}", different.join("\n"));
}
