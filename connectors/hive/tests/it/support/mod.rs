//! A lake in a temporary directory, and a small engine that reads it through the connector.

mod counting;
mod engine;
mod failing;
mod interposed;
mod lake;
mod metastore;
mod server;
mod writes;

pub(crate) use counting::Counting;
pub(crate) use engine::{Engine, leaf_of, metric};
pub(crate) use failing::{Failing, Fault};
pub(crate) use interposed::Interposed;
pub(crate) use lake::{Lake, catalog, dates, floats, integers, longs, texts};
pub(crate) use metastore::{LINES, PARQUET, Proxy, TEXT, Table, Warehouse, entry, map};
pub(crate) use server::{ACCESS_KEY, Fault as ServerFault, Faults, S3Server, SECRET_KEY};
pub(crate) use writes::{Create, WRITABLE, batch, clean, insert, staged};
