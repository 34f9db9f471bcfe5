//! The one leaf operator that reads a source.

mod exec;
mod keys;
mod limits;
mod metrics;
mod stream;
mod turns;

pub use exec::{DynamicFilter, SourceExec};
pub use keys::{KeyFilter, Narrowed, key_filters};
pub use limits::{ScanLimit, ScanLimits};
pub use metrics::SourceMetrics;
