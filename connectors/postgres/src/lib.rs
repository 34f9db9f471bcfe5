//! The PostgreSQL connector: tables of one database, read through binary `COPY` straight into Arrow.
//!
//! | module | what it knows |
//! |---|---|
//! | `factory`, `config` | the properties of a catalog entry |
//! | `connector` | [`portolan_connector::Connector`]: listings, tables, snapshots, reads |
//! | `table` | [`portolan_connector::ConnectorTable`]: columns, statistics, verdicts |
//! | `relation` | [`portolan_connector::Relation`]: what is folded over a table, and how it is read |
//! | `native` | the rows of a query that somebody wrote for PostgreSQL |
//! | `parts`, `narrow` | large tables in parts; splits without rows that have no partner in a join |
//! | `rules` | what PostgreSQL is declared to do as the engine would |
//! | `types` | PostgreSQL's types, and as what the engine sees them |
//! | `metadata` | the questions to the system catalogs |
//! | `snapshot` | one exported snapshot for all scans of a query |
//! | `read`, `copy` | the stream of rows, its decoder, its cancellation |
//! | `write` | making tables, adding, changing and removing rows |
//! | `net` | sockets, TLS, the wire, sessions and their pool |
//!
//! The least server version is 12.

mod config;
mod connector;
mod copy;
mod cursor;
mod error;
mod factory;
mod metadata;
mod narrow;
mod native;
mod net;
mod parts;
mod read;
mod relation;
mod rules;
mod snapshot;
mod split;
mod table;
mod types;
mod write;

pub use factory::PostgresFactory;
