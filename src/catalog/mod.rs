//! From the catalog file to the tables that a query names.

mod file;
mod information_schema;
pub(crate) mod limits;
mod registry;
mod reload;
mod resolve;
mod set;
mod system;

pub use file::{CatalogDefinition, CatalogFile, Environment, reference};
pub(crate) use information_schema::INFORMATION_SCHEMA;
pub(crate) use limits::SourceLimits;
pub use registry::{factories, factory};
pub use reload::Change;
pub use resolve::{Resolved, Resolver};
pub use set::{Catalog, CatalogSet};
pub(crate) use system::{Gathered, GatheredPart, SYSTEM_CATALOG, is_of_the_engine};
pub use system::{SystemTable, system_reference, system_tables};
