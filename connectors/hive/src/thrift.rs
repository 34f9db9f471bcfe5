//! As much of Apache Thrift as a client of a Hive Metastore needs: values, the strict binary protocol, and calls over a
//! connection without frames.
//!
//! Values are trees whose fields have numbers, as on the wire. So no code is generated from an interface definition, a
//! field that a newer server adds is passed over, and what a call costs is in plain sight. The numbers are those of
//! Hive's `hive_metastore.thrift`.

mod connection;
mod extent;
mod value;
mod wire;

pub use connection::{CallError, Connection};
pub use value::{Struct, Value};
