//! The one leaf operator that reads a source.

mod exec;
mod metrics;
mod stream;
mod turns;

pub use exec::SourceExec;
pub use metrics::SourceMetrics;
