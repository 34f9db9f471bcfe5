//! The properties of a Kafka catalog, and the connector made from them.

use std::sync::Arc;

use portolan_connector::{CatalogEntry, Connector, ConnectorFactory, PropertyKind, PropertySpec, Result};

use crate::client::BrokerLog;
use crate::config::KafkaConfig;
use crate::connector::KafkaConnector;

/// The value of `connector = "..."`.
pub(crate) const KIND: &str = "kafka";

/// Makes Kafka catalogs.
#[derive(Clone, Copy, Debug, Default)]
pub struct KafkaFactory;

impl ConnectorFactory for KafkaFactory {
    fn name(&self) -> &'static str {
        KIND
    }

    fn properties(&self) -> &'static [PropertySpec] {
        PROPERTIES
    }

    fn create(&self, entry: CatalogEntry) -> Result<Arc<dyn Connector>> {
        let config = KafkaConfig::new(&entry).map_err(|error| error.in_catalog(&entry.name))?;
        let log = BrokerLog::new(&config).map_err(|error| error.in_catalog(&entry.name))?;
        Ok(Arc::new(KafkaConnector::new(entry.name, config, Arc::new(log))))
    }
}

const ON_ERROR: &[&str] = &["fail", "null"];

const PROPERTIES: &[PropertySpec] = &[
    PropertySpec::new("brokers", PropertyKind::Text, "addresses of some brokers: host:port, separated by commas")
        .required(),
    PropertySpec::new(
        "security",
        PropertyKind::OneOf(&["plaintext", "sasl_plaintext", "ssl", "sasl_ssl"]),
        "how connections are secured; TLS (ssl, sasl_ssl) needs a build with the feature kafka-tls",
    )
    .or("plaintext"),
    PropertySpec::new(
        "sasl",
        PropertyKind::Section(SASL),
        "how to log in where security is sasl_plaintext or sasl_ssl",
    ),
    PropertySpec::new("tls", PropertyKind::Section(TLS), "certificates where security is ssl or sasl_ssl"),
    PropertySpec::new("schema", PropertyKind::Text, "the name of the schema that holds the topics").or("default"),
    PropertySpec::new(
        "isolation",
        PropertyKind::OneOf(&["read_committed", "read_uncommitted"]),
        "whether messages of aborted and unfinished transactions are left out",
    )
    .or("read_committed"),
    PropertySpec::new(
        "on_error",
        PropertyKind::OneOf(ON_ERROR),
        "what a message does that does not decode: fail the query, or give a row whose value columns are NULL",
    )
    .or("fail"),
    PropertySpec::new("tables", PropertyKind::Sections(TABLE), "declared tables; other topics' columns are inferred"),
    PropertySpec::new(
        "sample_messages",
        PropertyKind::Integer { min: 0, max: 100_000 },
        "of how many of a topic's newest messages its columns are inferred; 0 infers none",
    )
    .or("1000"),
    PropertySpec::new(
        "schema_cache_ms",
        PropertyKind::Integer { min: 0, max: 86_400_000 },
        "milliseconds that inferred columns are kept before they are inferred again",
    )
    .or("60000"),
    PropertySpec::new(
        "messages_per_split",
        PropertyKind::Integer { min: 1_000, max: i64::MAX },
        "how many offsets of a partition one task reads",
    )
    .or("1000000"),
    PropertySpec::new(
        "connect_timeout_ms",
        PropertyKind::Integer { min: 1_000, max: 600_000 },
        "milliseconds that connecting to a broker may take",
    )
    .or("5000"),
    PropertySpec::new(
        "metadata_timeout_ms",
        PropertyKind::Integer { min: 100, max: 600_000 },
        "milliseconds that a question about topics or offsets may take",
    )
    .or("5000"),
    PropertySpec::new(
        "idle_timeout_ms",
        PropertyKind::Integer { min: 100, max: 3_600_000 },
        "milliseconds without any message after which a read fails",
    )
    .or("30000"),
    PropertySpec::new(
        "fetch_bytes",
        PropertyKind::Integer { min: 1_024, max: 1_000_000_000 },
        "bytes that one fetch asks of a partition; a larger message is still fetched",
    )
    .or("4194304"),
    PropertySpec::new(
        "queue_kib",
        PropertyKind::Integer { min: 64, max: 2_000_000 },
        "kibibytes of fetched messages that one task holds before it stops fetching",
    )
    .or("32768"),
];

const SASL: &[PropertySpec] = &[
    PropertySpec::new(
        "mechanism",
        PropertyKind::OneOf(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        "how the password is proved; SCRAM needs a build with the feature kafka-tls",
    )
    .or("PLAIN"),
    PropertySpec::new("username", PropertyKind::Text, "the user").required(),
    PropertySpec::new("password", PropertyKind::Secret, "the user's password").required(),
];

const TLS: &[PropertySpec] = &[
    PropertySpec::new(
        "ca_file",
        PropertyKind::Text,
        "a PEM file of the authorities that sign the brokers' certificates",
    ),
    PropertySpec::new("certificate_file", PropertyKind::Text, "a PEM file of the client's certificate"),
    PropertySpec::new("key_file", PropertyKind::Text, "a PEM file of the client's private key"),
    PropertySpec::new("key_password", PropertyKind::Secret, "the password of the private key"),
];

const TABLE: &[PropertySpec] = &[
    PropertySpec::new("topic", PropertyKind::Text, "the topic; the table's own name where it is missing"),
    PropertySpec::new("value", PropertyKind::Section(VALUE), "how messages are decoded"),
    PropertySpec::new("key", PropertyKind::Section(KEY), "how keys are shown"),
    PropertySpec::new("on_error", PropertyKind::OneOf(ON_ERROR), "as for the catalog, for this table"),
    PropertySpec::new(
        "max_out_of_orderness_ms",
        PropertyKind::Integer { min: 0, max: 31_536_000_000_000 },
        "promises that no message is older than an earlier one of its partition by more than so many milliseconds, \
         so that an upper bound on _timestamp limits what is read",
    ),
];

const VALUE: &[PropertySpec] = &[
    PropertySpec::new(
        "format",
        PropertyKind::OneOf(&["json", "binary"]),
        "json: one object a message, its fields are the columns; binary: no columns, and _message is varbinary",
    )
    .or("json"),
    PropertySpec::new(
        "columns",
        PropertyKind::Map,
        "the fields to read as columns, and their types; inferred if missing",
    ),
];

const KEY: &[PropertySpec] = &[PropertySpec::new(
    "format",
    PropertyKind::OneOf(&["text", "binary"]),
    "text: _key is varchar; binary: varbinary",
)
.or("text")];
