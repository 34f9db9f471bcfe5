//! A Hive Metastore as the list of a catalog's tables.
//!
//! * `address`: the property `metastore`; `client`: calls that are tried again; `calls`: what is asked; `changes`: what is told.
//! * `description`: what the metastore says of a table, and which tables are refused; `format`: that of their files; `types` and `spark`: its columns.
//! * `partitions`: the names of partitions, typed, and the partitions that a scan keeps.
//! * `statistics`: what the metastore knows of rows and values; `columns`: what it is told of them.
//! * `catalog`: all of these together.
//!
//! The names of a table's partitions are asked for once per query. The filters are evaluated over them here, by the
//! engine's own code, since the metastore compares partition values as text and knows no NULL; only the partitions that
//! are left are asked for, and only their directories are listed.

mod address;
mod calls;
mod catalog;
mod changes;
mod client;
mod columns;
mod description;
mod format;
mod partitions;
mod spark;
mod statistics;
mod types;

pub(crate) use catalog::{HAS_LOG, MADE_BY, Metastore, MetastoreTable, is_plain};
pub(crate) use changes::{Counted, Made};
pub(crate) use client::Client;
pub(crate) use columns::{ColumnSummary, Lengths, Values, united};
pub(crate) use partitions::{Named, PartitionSource, Partitions};
pub(crate) use statistics::Remembered;
pub(crate) use types::arrow_type;
