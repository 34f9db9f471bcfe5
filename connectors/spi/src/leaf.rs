//! The one leaf operator that reads a source.

mod exec;
mod keys;
mod metrics;
mod stream;
mod turns;

pub use exec::SourceExec;
pub use keys::{KeyFilter, Narrowed};
pub use metrics::SourceMetrics;
