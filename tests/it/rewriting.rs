//! Statements that read a table of PostgreSQL's and write it, and queries after them.

use std::time::Duration;

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions};
use portolan_servers::PostgresServer;

use crate::shop::block_on;
use crate::table;

/// For all statements together: less than PostgreSQL is told to wait for one lock.
const PATIENCE: Duration = Duration::from_secs(50);

/// A query holds the tables that it reads. Its statement must not wait for itself, and what was known of a table must not
/// outlive it.
#[test]
fn a_table_is_replaced_by_what_it_holds() {
    let server = PostgresServer::start().unwrap();
    server.psql("postgres", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 10000) g; ANALYZE t").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalogs.toml");
    let (url, password) = (server.url("postgres"), server.password());
    let entry =
        format!("[pg]\nconnector = 'postgres'\nurl = '{url}'\npassword = '{password}'\naccess = 'read_write'\n");
    std::fs::write(&file, entry).unwrap();
    block_on(async {
        let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
        let session = Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap().session();
        let run = async |sql: &str| table::rows(&session, sql).await.map_err(|error| error.to_string());
        let statements = async {
            let sums = "SELECT count(*), sum(id) FROM pg.public.t";
            assert_eq!(run(sums).await.unwrap(), [["10000", "50005000"]]);
            run("CREATE OR REPLACE TABLE pg.public.t AS SELECT id * 2 AS id, 'x' AS more FROM pg.public.t")
                .await
                .unwrap();
            assert_eq!(run(sums).await.unwrap(), [["10000", "100010000"]]);
            assert_eq!(run("SELECT DISTINCT more FROM pg.public.t").await.unwrap(), [["x"]]);
            run("INSERT INTO pg.public.t (id) SELECT id FROM pg.public.t WHERE id <= 10").await.unwrap();
            assert_eq!(run(sums).await.unwrap(), [["10005", "100010030"]]);
            run("DROP TABLE pg.public.t").await.unwrap();
            let error = run(sums).await.unwrap_err();
            assert!(error.contains("public.t"), "{error}");
            run("CREATE TABLE pg.public.t (id DOUBLE)").await.unwrap();
            assert_eq!(run("SELECT count(*) FROM pg.public.t").await.unwrap(), [["0"]]);
            assert!(run("SELECT more FROM pg.public.t").await.is_err());
        };
        tokio::time::timeout(PATIENCE, statements).await.unwrap();
    });
}
