//! A query's life: its id, what its scans share, the memory that all queries share.

mod memory;
mod scope;

pub(crate) use memory::HeadroomPool;
pub use scope::QueryScope;
