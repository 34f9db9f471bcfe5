//! How long planning takes: the 22 queries of TPC-H with all tables in PostgreSQL, and with orders and lineitem in the lake,
//! when the metadata of their tables are known. `PORTOLAN_BENCH_LOG=portolan::planner=debug` tells the time of each step on
//! standard error. The scale of the data does not matter; a small PORTOLAN_BENCH_SCALE loads fast.

use std::time::Instant;

use portolan::Session;
use tracing_subscriber::EnvFilter;

use crate::measure::{self, median};
use crate::tables::Tables;
use crate::tpch::{QUERIES, mixed, placed};

/// How often each query is planned; the median counts.
const ROUNDS: usize = 21;

/// In milliseconds.
const AIM: f64 = 10.0;

/// Prints the milliseconds of each query.
pub(crate) fn run() {
    if let Ok(filter) = std::env::var("PORTOLAN_BENCH_LOG") {
        let filter = EnvFilter::try_new(filter).expect("a filter of the log");
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    let tables = Tables::load();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let engine = runtime.block_on(async { measure::engine(&tables.catalogs()) });
    let session = engine.session();
    println!("planning  scale {}, EXPLAIN, the median of {ROUNDS}, milliseconds:", tables.scale);
    println!("planning    {:>9} {:>9}", "all in pg", "mixed");
    let (mut sums, mut good) = ([0.0; 2], 0);
    for (number, query) in (1..).zip(QUERIES) {
        let statements = [placed(query, |_| "pg.public.".to_owned()), placed(query, mixed)];
        let times = statements.map(|sql| runtime.block_on(planned(&session, &sql)));
        good += times.iter().filter(|time| **time <= AIM).count();
        sums.iter_mut().zip(times).for_each(|(sum, time)| *sum += time);
        println!("planning  Q{number:02}  {:9.1} {:9.1}", times[0], times[1]);
    }
    println!("planning  all  {:9.1} {:9.1}", sums[0], sums[1]);
    println!("planning  within {AIM} ms: {good} of 44   (aim: 44)");
}

async fn planned(session: &Session, sql: &str) -> f64 {
    let explain = format!("EXPLAIN {sql}");
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        measure::drain(session, &explain).await;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    median(times)
}
