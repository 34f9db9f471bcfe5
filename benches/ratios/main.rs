//! Speed and memory as ratios against a baseline measured in the same run.
//!
//! `cargo bench --bench ratios` runs all; `cargo bench --bench ratios -- postgres` one. Machines differ and are shared, so
//! only the ratios mean something. Nothing here is a test.
//!
//! `stream` and `endless` read with pyarrow: PORTOLAN_TEST_PYTHON is a Python that has it. `clients` runs for a minute, or
//! for PORTOLAN_BENCH_SECONDS. PORTOLAN_BENCH_DUCKDB is a Python that has DuckDB, beside which `partitioned` and `tpch` run.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a bench that fails should stop"
)]

mod bare;
mod clients;
mod endless;
mod kafka;
mod lake;
mod lookup;
mod measure;
mod micro;
mod orders;
mod partitioned;
mod peer;
mod planning;
mod postgres;
mod process;
mod startup;
mod stream;
mod tables;
mod tpch;

/// The allocator of the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Bench = fn();

/// All benches, in the order in which they run.
const BENCHES: [(&str, Bench); 12] = [
    ("startup", startup::run),
    ("lake", lake::run),
    ("partitioned", partitioned::run),
    ("kafka", kafka::run),
    ("postgres", postgres::run),
    ("lookup", lookup::run),
    ("planning", planning::run),
    ("micro", micro::run),
    ("tpch", tpch::run),
    ("stream", stream::run),
    ("clients", clients::run),
    ("endless", endless::run),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let names: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["child", rest @ ..] = names.as_slice() {
        return child(rest);
    }
    for (name, run) in BENCHES {
        if names.is_empty() || names.contains(&name) {
            run();
        }
    }
    for name in names {
        if BENCHES.iter().all(|(known, _)| *known != name) {
            let known: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
            eprintln!("no bench {name}: there are {}", known.join(", "));
        }
    }
}

/// A process that a bench measures from outside.
fn child(arguments: &[&str]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match arguments {
            ["query", catalogs, sql] => measure::child(catalogs, sql).await,
            ["bare", source, sql] => bare::serve(source, sql).await,
            ["clients", address, count, seconds] => {
                clients::child(address, count.parse().expect("a count"), seconds.parse().expect("seconds")).await;
            }
            other => panic!("no child {other:?}"),
        }
    });
}
