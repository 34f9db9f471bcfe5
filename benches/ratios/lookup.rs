//! One row by its key, of a table that was asked for before: beside the same statement over an open connection, as psql sends
//! it.

use std::time::Instant;

use portolan_servers::PostgresServer;
use tokio_postgres::{Config, NoTls};

use crate::measure::{self, median};

const ROUNDS: usize = 300;

const TABLE: &str = "
CREATE TABLE t AS SELECT g AS id, g::bigint AS a, g::numeric(12,2) AS b, g::text AS c, now() AS d, current_date AS e,
    g AS f1, g AS f2, g AS f3, g AS f4, g AS f5, g AS f6, g AS f7, g AS f8, g AS f9, g AS f10
FROM generate_series(1, 100000) g;
CREATE UNIQUE INDEX ON t (id); ANALYZE t";

/// Prints what we take more than the bare statement, and what planning takes of it.
pub(crate) fn run() {
    let server = PostgresServer::start().expect("PostgreSQL");
    server.psql("postgres", TABLE).expect("a table");
    let directory = tempfile::tempdir().expect("a directory");
    let catalogs = directory.path().join("catalogs.toml");
    let (url, password) = (server.url("postgres"), server.password());
    let entry = format!("[pg]\nconnector = 'postgres'\nurl = '{url}'\npassword = '{password}'\n");
    std::fs::write(&catalogs, entry).expect("the catalog file");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (theirs, ours, planning) = runtime.block_on(async {
        let mut config = Config::new();
        config.host("127.0.0.1").port(server.port()).user(server.user()).password(password).dbname("postgres");
        let (client, connection) = config.connect(NoTls).await.expect("a connection");
        tokio::spawn(connection);
        let engine = measure::engine(&catalogs);
        let (mut theirs, mut ours, mut planning) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let sql = |table: &str| format!("SELECT * FROM {table} WHERE id = {}", round * 7 + 1);
            let start = Instant::now();
            client.simple_query(&sql("t")).await.expect("a row");
            theirs.push(start.elapsed().as_secs_f64());
            let start = Instant::now();
            assert_eq!(measure::rows(&engine, &sql("pg.public.t")).await, 1);
            ours.push(start.elapsed().as_secs_f64());
            let start = Instant::now();
            measure::rows(&engine, &format!("EXPLAIN {}", sql("pg.public.t"))).await;
            planning.push(start.elapsed().as_secs_f64());
        }
        (median(theirs), median(ours), median(planning))
    });
    println!("lookup    one row of 16 columns by its key, {ROUNDS} rounds:");
    println!("lookup    time, over the same statement in psql's way   {:.1}", ours / theirs);
    println!(
        "lookup    what it takes more, over 3 ms                 {:.2}   (aim: at most 1.00)",
        (ours - theirs) / 3e-3
    );
    println!("lookup    planning of a known table, over 10 ms         {:.2}   (aim: at most 1.00)", planning / 10e-3);
}
