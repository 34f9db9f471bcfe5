//! The one leaf operator that reads a source.

mod exec;
mod metrics;
mod stream;

pub use exec::SourceExec;
pub use metrics::SourceMetrics;
