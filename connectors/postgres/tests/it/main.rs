//! Against a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod alone;
mod cancel;
mod failures;
mod harness;
mod known;
mod limits;
mod listing;
mod login;
mod long;
mod more_types;
mod names;
mod parts;
mod planning;
mod pooler;
mod proxy;
mod retries;
mod snapshot;
mod standby;
mod statistics;
mod tls;
mod types;
mod walk;
mod write;
