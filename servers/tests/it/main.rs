//! Starts the real servers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod kafka;
mod metastore;
mod orphan;
mod postgres;
mod process;
mod schema_registry;
