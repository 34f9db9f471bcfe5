//! Private servers for tests and the demo: a PostgreSQL cluster, a pooler before it, a Kafka-protocol broker, a schema
//! registry, and a Hive Metastore.
//!
//! Each server listens on a free loopback port and keeps everything in one temporary directory. It is stopped and its
//! directory removed on drop, and also when this process ends without dropping it, killed or not: a small supervisor
//! notices (see `supervisor`). Test binaries may therefore share a server in a `static LazyLock`.

mod command;
mod directory;
mod error;
mod kafka;
mod metastore;
mod pgbouncer;
mod port;
mod postgres;
mod schema_registry;
mod supervisor;

pub use directory::ScratchDirectory;
pub use error::ServerError;
pub use kafka::{KafkaBroker, TestBroker};
pub use metastore::HiveMetastore;
pub use pgbouncer::PgBouncer;
pub use postgres::PostgresServer;
pub use schema_registry::SchemaRegistry;
