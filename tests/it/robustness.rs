//! What goes wrong is one clear message, never a crash and never a short result that looks whole.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use portolan::catalog::{CatalogFile, CatalogSet, Environment};
use portolan::{Engine, EngineOptions, Error};
use portolan_connector::ErrorClass;
use portolan_servers::PostgresServer;

use crate::{shop, table};

fn engine_over(text: &str) -> std::sync::Arc<Engine> {
    let file = CatalogFile::parse(text, "test.toml", &Environment { directory: ".".into() }).unwrap();
    Engine::start(EngineOptions { catalogs: CatalogSet::open(file), ..EngineOptions::default() }).unwrap()
}

fn postgres_entry(server: &PostgresServer) -> String {
    format!("[pg]\nconnector = 'postgres'\nurl = '{}'\npassword = '{}'\n", server.url("postgres"), server.password())
}

#[test]
fn a_broken_or_unreachable_catalog_does_not_stop_the_others() {
    shop::block_on(async {
        let text = std::fs::read_to_string(shop::SHOP.catalogs_file()).unwrap();
        let text = format!(
            "{text}\n[broken]\nconnector = 'postgres'\nurll = 'x'\n\n\
             [gone]\nconnector = 'postgres'\nurl = 'postgres://nobody@127.0.0.1:1/none'\npassword = 'p'\n"
        );
        let session = engine_over(&text).session();
        let count = table::rows(&session, "SELECT count(*) FROM pg.public.customers").await.unwrap();
        assert_eq!(count, [["3000"]]);

        let error = session.execute("SELECT * FROM broken.public.t").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::User);
        assert!(error.to_string().contains("catalog broken: unknown key `urll`: did you mean `url`?"), "{error}");

        let start = Instant::now();
        let error = session.execute("SELECT * FROM gone.public.t").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Source);
        assert!(error.to_string().contains("127.0.0.1:1") && error.to_string().contains("catalog gone"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(15));
    });
}

#[test]
fn a_server_that_dies_in_the_middle_gives_an_error_and_no_short_result() {
    let server = PostgresServer::start().unwrap();
    server
        .psql("postgres", "CREATE TABLE big AS SELECT i, repeat('x', 500) AS filler FROM generate_series(1, 400000) i")
        .unwrap();
    shop::block_on(async {
        let session = engine_over(&postgres_entry(&server)).session();
        let mut rows = session.execute("SELECT * FROM pg.public.big").await.unwrap().rows;
        assert!(rows.next().await.unwrap().unwrap().num_rows() > 0);
        server.stop().unwrap();
        let error = loop {
            match rows.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break Error::from(error),
                None => panic!("the stream ended as if it were whole"),
            }
        };
        assert_eq!(error.class(), ErrorClass::Source, "{error}");
        assert!(error.to_string().contains("catalog pg, table public.big"), "{error}");
    });
}

#[test]
fn dropping_an_answer_stops_the_statement_on_the_server() {
    let server = PostgresServer::start().unwrap();
    server
        .psql("postgres", "CREATE TABLE big AS SELECT i, repeat('x', 500) AS filler FROM generate_series(1, 400000) i")
        .unwrap();
    shop::block_on(async {
        let session = engine_over(&postgres_entry(&server)).session();
        let mut rows = session.execute("SELECT * FROM pg.public.big").await.unwrap().rows;
        rows.next().await.unwrap().unwrap();
        drop(rows);
        let start = Instant::now();
        let busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'portolan%' AND state <> 'idle'";
        while server.psql("postgres", busy).unwrap().trim() != "0" {
            assert!(start.elapsed() < Duration::from_secs(1), "the statement still runs after a second");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn a_query_over_the_memory_limit_spills_or_fails_cleanly() {
    shop::block_on(async {
        let options = EngineOptions { memory_limit_bytes: Some(128 << 20), ..EngineOptions::default() };
        let session = Engine::start(options).unwrap().session();
        // 3 million rows of a number and a text do not fit into 128 MB: the sort spills.
        let sorted = "SELECT value, md5(value::varchar) AS text FROM generate_series(1, 3000000) ORDER BY text";
        let answer = session.execute(sorted).await.unwrap();
        let rows: usize = answer
            .rows
            .map_ok(|batch| batch.num_rows())
            .try_fold(0, |sum, n| async move { Ok(sum + n) })
            .await
            .unwrap();
        assert_eq!(rows, 3_000_000);

        // A hash join keeps its build side in memory: it fails and says why.
        let joined = "SELECT count(*) FROM (SELECT value AS a, md5(value::varchar) AS t FROM generate_series(1, 3000000)) x \
                      JOIN (SELECT value AS b, md5(value::varchar) AS t FROM generate_series(1, 3000000)) y ON x.t = y.t";
        let answer = session.execute(joined).await.unwrap();
        let error = answer.rows.try_collect::<Vec<_>>().await.map_err(Error::from).unwrap_err();
        assert_eq!(error.class(), ErrorClass::ResourceExhausted, "{error}");
        assert!(error.to_string().contains("--memory-limit"), "{error}");

        // The engine still works.
        assert_eq!(table::rows(&session, "SELECT 1").await.unwrap(), [["1"]]);
    });
}

#[test]
fn mistakes_in_statements_are_one_clear_message() {
    shop::block_on(async {
        let session = shop::session();
        for (sql, expected) in [
            ("SELEC 1", "syntax error"),
            ("SELECT * FROM pg.public.customers c, pg.public.products p WHERE name = 'x'", "is ambiguous"),
            ("SELECT nofunction(1)", "nofunction"),
            ("SELECT 1 / 0", "division by zero"),
            ("SELECT CAST('x' AS bigint)", "'x'"),
            ("SELECT 2147483647::int + 1::int", "out of range"),
            ("SELECT * FROM pg.public.customers TABLESAMPLE BERNOULLI (10)", "TABLESAMPLE"),
            ("DELETE FROM pg.public.customers", "catalog pg is read only"),
            ("TRUNCATE TABLE pg.public.customers", "not supported"),
            ("SET SESSION pushdwn = 'all'", "did you mean \"pushdown\"?"),
        ] {
            let error = match session.execute(sql).await {
                Err(error) => error,
                Ok(answer) => match answer.rows.try_collect::<Vec<_>>().await {
                    Err(error) => Error::from(error),
                    Ok(rows) => panic!("{sql} answered {rows:?}"),
                },
            };
            let text = error.render(sql);
            assert_eq!(error.class(), ErrorClass::User, "{sql}: {text}");
            assert!(text.contains(expected), "{sql}: {text}");
            for noise in ["DataFusion", "External(", "Plan(\"", ".rs:", "backtrace"] {
                assert!(!text.contains(noise), "{sql}: {text}");
            }
        }
    });
}
