//! `connector = "postgres"`.

use std::sync::Arc;

use portolan_connector::{CatalogEntry, Connector, ConnectorFactory, PropertyKind, PropertySpec, Result};

use crate::config::Config;
use crate::connector::PostgresConnector;

const PROPERTIES: &[PropertySpec] = &[
    PropertySpec::new(
        "url",
        PropertyKind::Text,
        "the database, as postgres://USER@HOST:PORT/DATABASE, without a password",
    )
    .required(),
    PropertySpec::new("user", PropertyKind::Text, "the user to log in as, where url names none"),
    PropertySpec::new("password", PropertyKind::Secret, "the user's password"),
    PropertySpec::new(
        "tls",
        PropertyKind::OneOf(&["disable", "prefer", "require", "verify-ca", "verify-full"]),
        "as libpq's sslmode; without it what url says, else prefer",
    ),
    PropertySpec::new(
        "tls_root_certificate",
        PropertyKind::Text,
        "a PEM file of the authorities to trust, instead of the machine's, for verify-ca and verify-full",
    ),
    PropertySpec::new(
        "access",
        PropertyKind::OneOf(&["read_only", "read_write"]),
        "whether statements may change the database: make and drop tables and schemas, add, change and remove rows",
    )
    .or("read_only"),
    PropertySpec::new(
        "write_token_schema",
        PropertyKind::Text,
        "the schema that has, or gets, the table write_tokens, where statements under a write_token are noted for 30 days",
    )
    .or("portolan"),
    PropertySpec::new(
        "connections_max",
        PropertyKind::Integer { min: 1, max: 1000 },
        "connections that read rows at the same time; each running query holds one more, up to as many again, and so does each \
         statement that writes",
    )
    .or("10"),
    PropertySpec::new(
        "connect_timeout_ms",
        PropertyKind::Integer { min: 1, max: 3_600_000 },
        "milliseconds that connecting, and then logging in, may take",
    )
    .or("10000"),
    PropertySpec::new(
        "connections_wait_ms",
        PropertyKind::Integer { min: 1, max: 3_600_000 },
        "milliseconds to wait for a connection when all are in use",
    )
    .or("60000"),
    PropertySpec::new(
        "numeric",
        PropertyKind::Text,
        "what numeric without precision becomes: decimal(PRECISION,SCALE) with at most 76 digits, varchar, or double",
    )
    .or("decimal(38,16)"),
    PropertySpec::new(
        "temporal_out_of_range",
        PropertyKind::OneOf(&["error", "clamp"]),
        "what infinite dates and timestamps, timestamps after the year 294247, and the time 24:00 are: an error, or the first or last of the type",
    )
    .or("error"),
    PropertySpec::new(
        "batch_bytes",
        PropertyKind::Integer { min: 1024, max: 1 << 30 },
        "bytes after which a batch of rows ends, whatever its number of rows",
    )
    .or("8388608"),
];

/// Makes PostgreSQL connectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostgresFactory;

impl PostgresFactory {
    /// The value of `connector` in the catalog file.
    pub const NAME: &'static str = "postgres";
}

impl ConnectorFactory for PostgresFactory {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn properties(&self) -> &'static [PropertySpec] {
        PROPERTIES
    }

    fn create(&self, entry: CatalogEntry) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(PostgresConnector::new(Config::new(&entry)?)))
    }
}
