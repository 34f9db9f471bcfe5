//! `connector = "postgres"`.

use std::sync::Arc;

use portolan_connector::{CatalogEntry, Connector, ConnectorFactory, PropertyKind, PropertySpec, Result};

use crate::config::Config;
use crate::connector::PostgresConnector;

const PROPERTIES: &[PropertySpec] = &[
    PropertySpec::new(
        "url",
        PropertyKind::Text,
        "the database, as libpq takes it: postgres://USER@HOST:PORT/DATABASE, several hosts with commas between, or \
         host=... dbname=... user=...; without a password. Keywords of libpq's may follow: ?sslmode=require&connect_timeout=3. \
         A directory as the host (percent-encoded) is that of a socket",
    ),
    PropertySpec::new(
        "service",
        PropertyKind::Text,
        "a section of libpq's service file (PGSERVICEFILE, else ~/.pg_service.conf, then that in PGSYSCONFDIR), for what neither \
         url nor the catalog says; without url and service, PGSERVICE names one",
    ),
    PropertySpec::new("service_file", PropertyKind::Text, "a service file to read in place of libpq's"),
    PropertySpec::new("user", PropertyKind::Text, "the user to log in as, where url names none"),
    PropertySpec::new(
        "password",
        PropertyKind::Secret,
        "the user's password; without it the service's, else that in libpq's password file",
    ),
    PropertySpec::new(
        "password_file",
        PropertyKind::Text,
        "a file with lines host:port:database:user:password, in place of PGPASSFILE or ~/.pgpass; ignored, with a warning, while \
         others may read it",
    ),
    PropertySpec::new(
        "tls",
        PropertyKind::OneOf(&["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]),
        "as libpq's sslmode; without it what url says, else prefer",
    ),
    PropertySpec::new(
        "tls_root_certificate",
        PropertyKind::Text,
        "a PEM file of the authorities to trust, instead of the machine's, for verify-ca and verify-full; require becomes verify-ca",
    ),
    PropertySpec::new(
        "tls_certificate",
        PropertyKind::Text,
        "a PEM file of the certificate to log in with, and of those above it",
    ),
    PropertySpec::new("tls_key", PropertyKind::Text, "a PEM file of its key, which nobody else may read"),
    PropertySpec::new(
        "channel_binding",
        PropertyKind::OneOf(&["disable", "prefer", "require"]),
        "whether a login by SCRAM has to be bound to the TLS connection (SCRAM-SHA-256-PLUS); without it what url says, else prefer",
    ),
    PropertySpec::new(
        "target_session_attrs",
        PropertyKind::OneOf(&["any", "read-write", "read-only", "primary", "standby", "prefer-standby"]),
        "which of several hosts is taken: the first that is so; without it what url says, else any. All connections go to the \
         same host until it fails",
    ),
    PropertySpec::new(
        "application_name",
        PropertyKind::Text,
        "what the server calls the connections; without it what url says, else portolan",
    ),
    PropertySpec::new(
        "options",
        PropertyKind::Text,
        "command-line options for the server, such as -c search_path=shop",
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
         statement that writes; up to 4 ask the system catalogs. A query that gets no further one within a second reads over the one \
         that it holds",
    )
    .or("10"),
    PropertySpec::new(
        "connect_timeout_ms",
        PropertyKind::Integer { min: 1, max: 3_600_000 },
        "milliseconds that connecting to a host, and then logging in, may take; without it what url says in seconds, else 10000",
    ),
    PropertySpec::new(
        "connections_wait_ms",
        PropertyKind::Integer { min: 1, max: 3_600_000 },
        "milliseconds to wait for a connection when all are in use",
    )
    .or("60000"),
    PropertySpec::new(
        "statement_timeout_ms",
        PropertyKind::Integer { min: 0, max: 2_147_483_647 },
        "PostgreSQL's statement_timeout for what it is asked, in milliseconds, 0 for none; without it what the server says",
    ),
    PropertySpec::new(
        "lock_timeout_ms",
        PropertyKind::Integer { min: 0, max: 2_147_483_647 },
        "PostgreSQL's lock_timeout: milliseconds to wait for a table that somebody changes, 0 for ever; without it what the server says",
    ),
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
