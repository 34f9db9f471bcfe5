//! A lake in a temporary directory, and a small engine that reads it through the connector.

mod counting;
mod engine;
mod lake;
mod metastore;
mod server;

pub(crate) use counting::Counting;
pub(crate) use engine::{Engine, leaf_of, metric};
pub(crate) use lake::{Lake, catalog, dates, floats, integers, longs, texts};
pub(crate) use metastore::{LINES, PARQUET, Proxy, TEXT, Table, Warehouse, entry, map};
pub(crate) use server::{ACCESS_KEY, Fault, Faults, S3Server, SECRET_KEY};
