//! Against a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cancel;
mod failures;
mod harness;
mod listing;
mod long;
mod more_types;
mod names;
mod parts;
mod planning;
mod snapshot;
mod tls;
mod types;
mod walk;
mod write;
