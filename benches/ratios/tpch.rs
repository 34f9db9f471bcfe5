//! The 22 queries of TPC-H with all tables in one PostgreSQL, beside psql running the same queries; and with orders and
//! lineitem in the lake, with and without the order of joins being chosen. Both beside DuckDB, with what PostgreSQL sends to it
//! and to us, where PORTOLAN_BENCH_DUCKDB is a Python that has `duckdb` and `duckdb-extension-postgres-scanner`.
//!
//! The queries are those of the specification's section 2.4 with the parameters of their validation. PORTOLAN_BENCH_CHARTS is a
//! file for what EXPLAIN tells of each query.

use std::path::Path;

use portolan::Session;
use portolan_servers::PostgresServer;

use crate::measure;
use crate::peer::{Counted, Duckdb};
use crate::tables::{Tables, server_time};

/// How often each query runs; the fastest run counts.
const ROUNDS: usize = 2;

/// The same beside DuckDB, with which ours takes turns.
const TURNS: usize = 4;

/// In how many queries ours is to be faster than DuckDB.
const AIM: usize = 16;

/// How much longer than the better of psql and DuckDB a query may take that has all its tables in PostgreSQL.
const RATIO_MAX: f64 = 1.1;
const SECONDS_MORE_MAX: f64 = 0.02;

pub(crate) const QUERIES: [&str; 22] = [
    include_str!("../tpch/q01.sql"),
    include_str!("../tpch/q02.sql"),
    include_str!("../tpch/q03.sql"),
    include_str!("../tpch/q04.sql"),
    include_str!("../tpch/q05.sql"),
    include_str!("../tpch/q06.sql"),
    include_str!("../tpch/q07.sql"),
    include_str!("../tpch/q08.sql"),
    include_str!("../tpch/q09.sql"),
    include_str!("../tpch/q10.sql"),
    include_str!("../tpch/q11.sql"),
    include_str!("../tpch/q12.sql"),
    include_str!("../tpch/q13.sql"),
    include_str!("../tpch/q14.sql"),
    include_str!("../tpch/q15.sql"),
    include_str!("../tpch/q16.sql"),
    include_str!("../tpch/q17.sql"),
    include_str!("../tpch/q18.sql"),
    include_str!("../tpch/q19.sql"),
    include_str!("../tpch/q20.sql"),
    include_str!("../tpch/q21.sql"),
    include_str!("../tpch/q22.sql"),
];

const TABLES: [&str; 8] = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

/// Prints each query's time over that of psql, and with how much less of it than in another setting.
pub(crate) fn run() {
    let tables = Tables::load();
    let Tables { server, counted, scale, .. } = &tables;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let engine = runtime.block_on(async { measure::engine(&tables.catalogs()) });
    let ours = |settings: &[&str], sql: &str| {
        let session = engine.session();
        runtime.block_on(async { fastest(&session, settings, sql).await })
    };

    println!("tpch  scale {scale}, the fastest of {ROUNDS} runs; all tables in PostgreSQL, seconds:");
    println!("tpch        {:>9} {:>9} {:>9} {:>9} {:>7}", "psql", "cost", "always", "never", "ratio");
    let mut sums = [0.0; 4];
    for (number, query) in (1..).zip(QUERIES) {
        let plain = placed(query, |_| String::new());
        let everywhere = placed(query, |_| "pg.public.".to_owned());
        let theirs = (0..ROUNDS).map(|_| server_time(server, &plain)).fold(f64::INFINITY, f64::min);
        let times = [
            theirs,
            ours(&["fold = 'cost'"], &everywhere),
            ours(&["fold = 'always'"], &everywhere),
            ours(&["fold = 'never'"], &everywhere),
        ];
        sums.iter_mut().zip(times).for_each(|(sum, time)| *sum += time);
        print_line(&format!("Q{number:02}"), &times, times[1] / times[0]);
    }
    print_line("all", &sums, sums[1] / sums[0]);

    println!("tpch  orders and lineitem in the lake, seconds:");
    println!("tpch        {:>9} {:>9} {:>7}", "ordered", "as is", "ratio");
    let mut sums = [0.0; 2];
    for (number, query) in (1..).zip(QUERIES) {
        let mixed = placed(query, mixed);
        let times = [ours(&[], &mixed), ours(&["join_reordering = 'none'"], &mixed)];
        sums.iter_mut().zip(times).for_each(|(sum, time)| *sum += time);
        print_line(&format!("Q{number:02}"), &times, times[0] / times[1]);
    }
    print_line("all", &sums, sums[0] / sums[1]);
    if let Some(mut duckdb) = Duckdb::start() {
        attach(&mut duckdb, server, counted, &tables.lake());
        let session = engine.session();
        let mut timed = |sql: &str| measure::timed(|| runtime.block_on(measure::drain(&session, sql)));
        all_beside(&mut duckdb, server, &mut timed);
        mixed_beside(&mut duckdb, counted, &mut timed);
    }
    if let Ok(file) = std::env::var("PORTOLAN_BENCH_CHARTS") {
        let session = engine.session();
        let charts = QUERIES.iter().enumerate().map(|(at, query)| {
            let chart = |place: &dyn Fn(&str) -> String| {
                runtime.block_on(measure::text(&session, &format!("EXPLAIN {}", placed(query, place))))
            };
            let everywhere = chart(&|_| "pg.public.".to_owned());
            format!("Q{}, all in PostgreSQL\n{everywhere}\nQ{}, mixed\n{}\n", at + 1, at + 1, chart(&mixed))
        });
        std::fs::write(file, charts.collect::<String>()).expect("the charts are written");
    }
}

/// Gives DuckDB the tables under the names that they have here.
fn attach(duckdb: &mut Duckdb, server: &PostgresServer, counted: &Counted, lake: &Path) {
    for (name, port) in [("pg", server.port()), ("counted", counted.port)] {
        let (user, password) = (server.user(), server.password());
        duckdb.run(&format!(
            "ATTACH 'host=127.0.0.1 port={port} user={user} password={password} dbname=postgres' AS {name} (TYPE postgres, READ_ONLY)"
        ));
    }
    duckdb.run("ATTACH ':memory:' AS lake");
    duckdb.run("CREATE SCHEMA lake.tpch");
    for table in ["orders", "lineitem"] {
        let files = lake.join("tpch").join(table);
        duckdb.run(&format!(
            "CREATE VIEW lake.tpch.{table} AS SELECT * FROM read_parquet('{}/*.parquet')",
            files.display()
        ));
    }
}

/// Runs a query here: its seconds and its number of rows.
type Timed<'a> = &'a mut dyn FnMut(&str) -> (f64, usize);

/// All tables in PostgreSQL.
fn all_beside(duckdb: &mut Duckdb, server: &PostgresServer, timed: Timed<'_>) {
    println!(
        "tpch  all tables in PostgreSQL, the fastest of {TURNS} runs in turns, seconds; ratio to the better of the two:"
    );
    println!("tpch        {:>9} {:>9} {:>9} {:>7}", "psql", "duckdb", "ours", "ratio");
    let (mut sums, mut good) = ([0.0; 3], 0);
    for (number, query) in (1..).zip(QUERIES) {
        let plain = placed(query, |_| String::new());
        let everywhere = placed(query, |_| "pg.public.".to_owned());
        let mut times = [f64::INFINITY; 3];
        for _ in 0..TURNS {
            let (theirs, expected) = duckdb.run(&everywhere);
            let (ours, rows) = timed(&everywhere);
            assert_eq!(rows, expected, "Q{number}");
            times = [times[0].min(server_time(server, &plain)), times[1].min(theirs), times[2].min(ours)];
        }
        sums.iter_mut().zip(times).for_each(|(sum, time)| *sum += time);
        let better = times[0].min(times[1]);
        good += usize::from(times[2] <= better * RATIO_MAX + SECONDS_MORE_MAX);
        print_line(&format!("Q{number:02}"), &times, times[2] / better);
    }
    print_line("all", &sums, sums[2] / sums[0].min(sums[1]));
    println!("tpch  within 10 % and 20 ms of the better in {good} of 22   (aim: 22)");
}

/// Orders and lineitem in the lake, with what PostgreSQL sends.
fn mixed_beside(duckdb: &mut Duckdb, counted: &Counted, timed: Timed<'_>) {
    println!(
        "tpch  orders and lineitem in the lake, the fastest of {TURNS} runs in turns, seconds; MB that PostgreSQL sends:"
    );
    println!("tpch        {:>9} {:>9} {:>9} {:>9} {:>7}", "duckdb", "ours", "duckdb MB", "ours MB", "ratio");
    let (mut sums, mut faster, mut fewer) = ([0.0; 4], 0, 0);
    for (number, query) in (1..).zip(QUERIES) {
        let everywhere = placed(query, mixed);
        let through_proxy = everywhere.replace("pg.public.", "counted.public.");
        let mut times = [f64::INFINITY; 2];
        for _ in 0..TURNS {
            let (theirs, expected) = duckdb.run(&everywhere);
            let (ours, rows) = timed(&everywhere);
            assert_eq!(rows, expected, "Q{number}");
            times = [times[0].min(theirs), times[1].min(ours)];
        }
        let sent = |run: &mut dyn FnMut(&str) -> (f64, usize)| {
            // What is read once of the tables themselves does not count.
            run(&through_proxy);
            counted.take();
            run(&through_proxy);
            counted.take() as f64 / 1e6
        };
        let megabytes = [sent(&mut |sql| duckdb.run(sql)), sent(&mut *timed)];
        faster += usize::from(times[1] < times[0]);
        fewer += usize::from(megabytes[1] < megabytes[0]);
        let line = [times[0], times[1], megabytes[0], megabytes[1]];
        sums.iter_mut().zip(line).for_each(|(sum, number)| *sum += number);
        print_line(&format!("Q{number:02}"), &line, times[1] / times[0]);
    }
    print_line("all", &sums, sums[1] / sums[0]);
    println!("tpch  faster than DuckDB in {faster} of 22   (aim: at least {AIM}); fewer bytes in {fewer}");
}

/// Where a table is when orders and lineitem are in the lake.
pub(crate) fn mixed(table: &str) -> String {
    match table {
        "orders" | "lineitem" => "lake.tpch.".to_owned(),
        _ => "pg.public.".to_owned(),
    }
}

fn print_line(name: &str, times: &[f64], ratio: f64) {
    let times: Vec<String> = times.iter().map(|time| format!("{time:9.3}")).collect();
    println!("tpch  {name:<4}  {} {ratio:7.2}", times.join(" "));
}

/// A query with its tables where they are.
pub(crate) fn placed(query: &str, place: impl Fn(&str) -> String) -> String {
    TABLES.iter().fold(query.to_owned(), |query, table| {
        query.replace(&format!("{{{table}}}"), &format!("{}{table}", place(table)))
    })
}

async fn fastest(session: &Session, settings: &[&str], sql: &str) -> f64 {
    for setting in settings {
        session.execute(&format!("SET SESSION {setting}")).await.expect("a setting");
    }
    let mut fastest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = std::time::Instant::now();
        measure::drain(session, sql).await;
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    fastest
}
