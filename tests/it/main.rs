//! End-to-end tests: the whole engine against real servers. One binary, so that the servers are started once.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails should stop"
)]

mod certificates;
mod cli;
mod consumer_groups;
mod copied;
mod differential;
mod docs;
mod examples;
mod explain;
mod federated;
mod flight;
mod folding;
mod following;
mod join_keys;
mod kafka;
mod lake_write;
mod native;
mod planning;
mod postgres_write;
mod process;
mod queries;
mod repl;
mod requests;
mod rewriting;
mod robustness;
mod serve;
mod shop;
mod slt;
mod store;
mod table;
mod tokens;
mod traces;
mod traps;
mod workspace;
