//! Speed and memory as ratios against a baseline measured in the same run.
//!
//! `cargo bench --bench ratios` runs all; `cargo bench --bench ratios -- postgres` one. Machines differ and are shared, so
//! only the ratios mean something. Nothing here is a test.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench that fails should stop")]

mod kafka;
mod lake;
mod measure;
mod postgres;
mod startup;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        // The process that a bench measures from outside.
        ["child", what, rest @ ..] => measure::child(what, rest),
        [] => {
            startup::run();
            lake::run();
            kafka::run();
            postgres::run();
        }
        names => {
            for name in names {
                match *name {
                    "startup" => startup::run(),
                    "lake" => lake::run(),
                    "kafka" => kafka::run(),
                    "postgres" => postgres::run(),
                    other => eprintln!("no bench {other}: there are startup, lake, kafka, postgres"),
                }
            }
        }
    }
}
