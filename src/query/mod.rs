//! A query's life: waiting for its turn, planning, running, its end; what its scans share and the memory that it takes.

mod admission;
mod life;
mod memory;
pub(crate) mod progress;
mod registry;
mod run;
mod scope;
mod state;
mod trace;
mod usage;
mod write;

pub use admission::QueryLimits;
pub use life::{Query, Times};
pub(crate) use memory::HeadroomPool;
pub use progress::{SourceProgress, SourceState};
pub use registry::{Queries, QueryTotals, SourceTotals, TIME_BOUNDS_SECONDS};
pub(crate) use registry::{Tagged, Wishes};
pub(crate) use run::QueryRun;
pub use scope::QueryScope;
pub use state::QueryState;
pub use trace::{QueryTrace, QueryTracer, TraceHeaders};
pub(crate) use write::fill;
