//! The 22 queries of TPC-H with all tables in one PostgreSQL, beside psql running the same queries; and with orders and
//! lineitem in the lake, with and without the order of joins being chosen. Both beside DuckDB, with what PostgreSQL sends to it
//! and to us, where PORTOLAN_BENCH_DUCKDB is a Python that has `duckdb` and `duckdb-extension-postgres-scanner`.
//!
//! Data are generated as the specification says (version 3.0.1, section 4.2), the queries are those of its section 2.4 with
//! the parameters of their validation. PORTOLAN_BENCH_SCALE is the scale factor: 1 if it is not set. PORTOLAN_BENCH_CHARTS is
//! a file for what EXPLAIN tells of each query.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use datafusion::arrow::array::RecordBatchReader;
use datafusion::parquet::arrow::ArrowWriter;
use portolan::Session;
use portolan_servers::PostgresServer;
use tpchgen::csv;
use tpchgen::generators::*;
use tpchgen_arrow::{LineItemArrow, OrderArrow};

use crate::measure;
use crate::peer::{Counted, Duckdb};

/// How often each query runs; the fastest run counts.
const ROUNDS: usize = 2;

/// The same beside DuckDB, with which ours takes turns.
const TURNS: usize = 4;

/// In how many queries ours is to be faster than DuckDB.
const AIM: usize = 16;

/// How much longer than the better of psql and DuckDB a query may take that has all its tables in PostgreSQL.
const RATIO_MAX: f64 = 1.1;
const SECONDS_MORE_MAX: f64 = 0.02;

const QUERIES: [&str; 22] = [
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

/// The tables of the specification's section 1.4.
const SCHEMA: &str = include_str!("../tpch/schema.sql");

/// Prints each query's time over that of psql, and with how much less of it than in another setting.
pub(crate) fn run() {
    let scale: f64 = std::env::var("PORTOLAN_BENCH_SCALE").map_or(1.0, |scale| scale.parse().expect("a scale factor"));
    let server = PostgresServer::start().expect("PostgreSQL");
    server.psql("postgres", SCHEMA).expect("the tables");
    load(&server, scale);
    let directory = tempfile::tempdir().expect("a directory");
    write_lake(directory.path(), scale);
    let catalogs = directory.path().join("catalogs.toml");
    let (url, password, lake) = (server.url("postgres"), server.password(), directory.path().join("lake"));
    let counted = Counted::before(server.port());
    let counted_url = url.replace(&server.port().to_string(), &counted.port.to_string());
    let file = format!(
        "[pg]\nconnector = 'postgres'\nurl = '{url}'\npassword = '{password}'\n\n\
         [counted]\nconnector = 'postgres'\nurl = '{counted_url}'\npassword = '{password}'\n\n\
         [lake]\nconnector = 'hive'\nlocation = '{}'\n",
        lake.display()
    );
    std::fs::write(&catalogs, file).expect("the catalog file");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let engine = runtime.block_on(async { measure::engine(&catalogs) });
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
        let theirs = (0..ROUNDS).map(|_| psql(&server, &plain)).fold(f64::INFINITY, f64::min);
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
        attach(&mut duckdb, &server, &counted, &lake);
        let session = engine.session();
        let mut timed = |sql: &str| measure::timed(|| runtime.block_on(measure::drain(&session, sql)));
        all_beside(&mut duckdb, &server, &mut timed);
        mixed_beside(&mut duckdb, &counted, &mut timed);
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
            times = [times[0].min(psql(server, &plain)), times[1].min(theirs), times[2].min(ours)];
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
fn mixed(table: &str) -> String {
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
fn placed(query: &str, place: impl Fn(&str) -> String) -> String {
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

/// The seconds that psql takes, as it counts them itself: without its own start.
fn psql(server: &PostgresServer, sql: &str) -> f64 {
    let output = Command::new("psql")
        .args(["-X", "-q", "-h", "127.0.0.1", "-p", &server.port().to_string(), "-U", server.user(), "-d", "postgres"])
        .args(["-c", "\\timing on", "-c", sql])
        .env("PGPASSWORD", server.password())
        .output()
        .expect("psql runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let time = text.lines().rev().find_map(|line| line.strip_prefix("Time: ")).expect("psql tells the time");
    time.split(' ').next().and_then(|millis| millis.parse::<f64>().ok()).expect("milliseconds") / 1000.0
}

fn load(server: &PostgresServer, scale: f64) {
    let copy = |table: &str, rows: &mut dyn Iterator<Item = String>| {
        let mut psql = Command::new("psql")
            .args(["-X", "-q", "-h", "127.0.0.1", "-p", &server.port().to_string(), "-U", server.user()])
            .args(["-d", "postgres", "-c", &format!("COPY {table} FROM STDIN (FORMAT csv)")])
            .env("PGPASSWORD", server.password())
            .stdin(Stdio::piped())
            .spawn()
            .expect("psql starts");
        let mut input = std::io::BufWriter::new(psql.stdin.take().expect("its input"));
        rows.for_each(|row| writeln!(input, "{row}").expect("a row is sent"));
        drop(input);
        assert!(psql.wait().expect("psql ends").success(), "{table} was not loaded");
    };
    fn lines<T>(rows: impl Iterator<Item = T>, line: fn(T) -> String) -> impl Iterator<Item = String> {
        rows.map(line)
    }
    fn shown(row: impl Display) -> String {
        row.to_string()
    }
    copy("region", &mut lines(RegionGenerator::new(scale, 1, 1).iter(), |row| shown(csv::RegionCsv::new(row))));
    copy("nation", &mut lines(NationGenerator::new(scale, 1, 1).iter(), |row| shown(csv::NationCsv::new(row))));
    copy("supplier", &mut lines(SupplierGenerator::new(scale, 1, 1).iter(), |row| shown(csv::SupplierCsv::new(row))));
    copy("customer", &mut lines(CustomerGenerator::new(scale, 1, 1).iter(), |row| shown(csv::CustomerCsv::new(row))));
    copy("part", &mut lines(PartGenerator::new(scale, 1, 1).iter(), |row| shown(csv::PartCsv::new(row))));
    copy("partsupp", &mut lines(PartSuppGenerator::new(scale, 1, 1).iter(), |row| shown(csv::PartSuppCsv::new(row))));
    copy("orders", &mut lines(OrderGenerator::new(scale, 1, 1).iter(), |row| shown(csv::OrderCsv::new(row))));
    copy("lineitem", &mut lines(LineItemGenerator::new(scale, 1, 1).iter(), |row| shown(csv::LineItemCsv::new(row))));
    server.psql("postgres", "CREATE INDEX ON lineitem (l_partkey)").expect("an index");
    server.psql("postgres", "CREATE INDEX ON orders (o_custkey)").expect("an index");
    server.psql("postgres", "VACUUM ANALYZE").expect("statistics");
}

fn write_lake(directory: &Path, scale: f64) {
    let write = |table: &str, batches: &mut dyn RecordBatchReader| {
        let directory = directory.join("lake/tpch").join(table);
        std::fs::create_dir_all(&directory).expect("a directory");
        let file = File::create(directory.join("1.parquet")).expect("a file");
        let mut writer = ArrowWriter::try_new(file, batches.schema(), None).expect("a writer");
        batches.for_each(|batch| writer.write(&batch.expect("rows")).expect("rows are written"));
        writer.close().expect("the file is written");
    };
    write("orders", &mut OrderArrow::new(OrderGenerator::new(scale, 1, 1)));
    write("lineitem", &mut LineItemArrow::new(LineItemGenerator::new(scale, 1, 1)));
}
