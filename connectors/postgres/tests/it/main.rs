//! Against a real PostgreSQL.

mod cancel;
mod failures;
mod harness;
mod listing;
mod names;
mod planning;
mod snapshot;
mod tls;
mod types;
mod walk;
