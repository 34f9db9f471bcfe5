//! Tables in this process's memory, for intermediate results and for data that clients bring along. They are gone when
//! the process ends.
//!
//! * [`factory`](MemoryFactory): the properties of a catalog.
//! * `store`: the tables, of which every query sees one state; `chunk`: rows, and what they count against the limit.
//! * `connector` and `table`: reading. The engine does all work on the rows: they are in its own process.
//! * `write`: making tables and adding rows, all or nothing.

mod chunk;
mod connector;
mod factory;
mod store;
mod table;
mod write;

pub use connector::MemoryConnector;
pub use factory::MemoryFactory;
