//! A query's life: its id, what its scans share, its answer.

mod scope;

pub use scope::QueryScope;
