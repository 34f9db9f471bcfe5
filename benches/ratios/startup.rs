//! How long a process with three catalogs takes to answer its first statement, and a running one to answer the next.

use std::process::Command;

use crate::measure::{self, median, timed};

const ROUNDS: usize = 21;

/// Prints both over their aims. The catalogs' sources do not exist: nothing may wait for them.
pub(crate) fn run() {
    let directory = tempfile::tempdir().expect("a directory");
    let catalogs = directory.path().join("catalogs.toml");
    let text = "[lake]\nconnector = 'hive'\nlocation = '/nowhere'\n[pg]\nconnector = 'postgres'\nurl = 'postgres://a@127.0.0.1:1/b'\n\
                [events]\nconnector = 'kafka'\nbrokers = '127.0.0.1:1'\n";
    std::fs::write(&catalogs, text).expect("the catalog file");
    let process = median(
        (0..ROUNDS)
            .map(|_| {
                let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
                command.args(["sql", "-c", "SELECT 1", "--format", "csv", "--catalogs"]).arg(&catalogs);
                let (seconds, output) = timed(|| command.output().expect("portolan runs"));
                assert!(output.status.success());
                seconds
            })
            .collect(),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let engine = measure::engine(&catalogs);
    let statement =
        median((0..ROUNDS).map(|_| timed(|| runtime.block_on(measure::rows(&engine, "SELECT 1"))).0).collect());
    println!(
        "startup   process with three catalogs and SELECT 1, over 200 ms   {:.2}   (aim: at most 1.00)",
        process / 0.2
    );
    println!(
        "startup   SELECT 1 in a running process, over 10 ms               {:.2}   (aim: at most 1.00)",
        statement / 0.01
    );
}
