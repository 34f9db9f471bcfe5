//! From a statement to a physical plan whose leaves are sources.
//!
//! The negotiation: [`table::FederatedTable`] hands each conjunct to the source's table and passes its verdict on to
//! DataFusion; [`refusals`] then notes on each scan what was refused, so that the leaf can tell its whole story.

mod hidden;
mod naming;
mod plan;
mod refusals;
mod spelling;
mod table;

pub use plan::{Plan, Planner};
pub use table::FederatedTable;
