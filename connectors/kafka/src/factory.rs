//! The properties of a Kafka catalog, and the connector made from them.

use std::sync::Arc;

use portolan_connector::{
    CatalogEntry, Connector, ConnectorFactory, PropertyKind, PropertySpec, Result, SystemTableSpec,
};

use crate::client::BrokerLog;
use crate::config::KafkaConfig;
use crate::connector::KafkaConnector;
use crate::gateway::Gateway;
use crate::groups::SYSTEM_TABLES;
use crate::registry::Registry;
use crate::write::Writes;

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

    fn system_tables(&self) -> &'static [SystemTableSpec] {
        SYSTEM_TABLES
    }

    fn create(&self, entry: CatalogEntry) -> Result<Arc<dyn Connector>> {
        let config = KafkaConfig::new(&entry).map_err(|error| error.in_catalog(&entry.name))?;
        let gateway = Gateway::start(&config).map_err(|error| error.in_catalog(&entry.name))?;
        let log = BrokerLog::new(&config, gateway.clone());
        let registry = config.registry.clone().map(Registry::new).transpose();
        let registry = registry.map_err(|error| error.in_catalog(&entry.name))?;
        let writes = config.write.is_writable.then(|| Writes::new(&config, gateway.as_ref()));
        Ok(Arc::new(KafkaConnector::new(entry.name, config, Arc::new(log), registry, writes)))
    }
}

const REGISTRY: &[PropertySpec] = &[
    PropertySpec::new("url", PropertyKind::Text, "the address: https://registry.internal:8081").required(),
    PropertySpec::new("username", PropertyKind::Text, "the user, where it asks for one"),
    PropertySpec::new("password", PropertyKind::Secret, "the user's password"),
    PropertySpec::new("token", PropertyKind::Secret, "a bearer token, in the place of a user and a password"),
    PropertySpec::new(
        "ca_file",
        PropertyKind::Text,
        "a PEM file of authorities that sign its certificate, beside those of the system",
    ),
    PropertySpec::new(
        "certificate_file",
        PropertyKind::Text,
        "a PEM file of the client's certificate, where it asks for one",
    ),
    PropertySpec::new("key_file", PropertyKind::Text, "a PEM file of the client's private key, without a password"),
    PropertySpec::new(
        "timeout_ms",
        PropertyKind::Integer { min: 100, max: 600_000 },
        "milliseconds that one answer may take; a question is asked three times",
    )
    .or("5000"),
];

const ON_ERROR: &[&str] = &["fail", "null", "skip"];
const ON_TRUNCATED: &[&str] = &["fail", "skip"];

const PROPERTIES: &[PropertySpec] = &[
    PropertySpec::new("brokers", PropertyKind::Text, "addresses of some brokers: host:port, separated by commas")
        .required(),
    PropertySpec::new(
        "security",
        PropertyKind::OneOf(&["plaintext", "sasl_plaintext", "ssl", "sasl_ssl"]),
        "how connections are secured: ssl is TLS, sasl a login",
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
        "what a message does that does not decode: fail the query, give a row whose columns of its value are NULL, or be \
         left out and counted; \"table$errors\" lists them",
    )
    .or("fail"),
    PropertySpec::new(
        "on_truncated",
        PropertyKind::OneOf(ON_TRUNCATED),
        "what offsets do that retention deletes while a query runs: fail it, or be left out, counted and logged",
    )
    .or("fail"),
    PropertySpec::new(
        "schema_registry",
        PropertyKind::Section(REGISTRY),
        "a registry that speaks Confluent's REST interface: topics with a subject TOPIC-value (or -key) have its columns",
    ),
    PropertySpec::new(
        "show_topics",
        PropertyKind::List,
        "patterns of topics that are tables without being declared, such as \"web.*\"; all if missing",
    ),
    PropertySpec::new("hide_topics", PropertyKind::List, "patterns of topics that are none unless they are declared"),
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
        "milliseconds without any message after which a read fails; of a topic that is followed, without any answer of a broker",
    )
    .or("30000"),
    PropertySpec::new(
        "fetch_bytes",
        PropertyKind::Integer { min: 1_024, max: 1_000_000_000 },
        "bytes that one fetch asks of a partition, 131072 at most for reads of at most 100 messages; a larger message is still fetched",
    )
    .or("4194304"),
    PropertySpec::new(
        "connections_max",
        PropertyKind::Integer { min: 1, max: 1_000 },
        "connections that bounded reads of all queries have open at the same time, those that wait for the next read among them; \
         a read beyond it waits. Questions about topics and offsets, writing, and each topic that is followed have connections of \
         their own",
    )
    .or("64"),
    PropertySpec::new(
        "connections_wait_ms",
        PropertyKind::Integer { min: 1, max: 3_600_000 },
        "milliseconds that a read waits for a connection when all are in use",
    )
    .or("60000"),
    PropertySpec::new(
        "in_flight_bytes_max",
        PropertyKind::Integer { min: 1_024, max: 1_000_000_000_000 },
        "bytes that bounded reads of all queries ask for at the same time: there are no more connections than this has fetch_bytes",
    )
    .or("268435456"),
    PropertySpec::new(
        "queue_kib",
        PropertyKind::Integer { min: 64, max: 2_000_000 },
        "kibibytes of fetched messages that a read of a followed topic holds before it stops fetching; bounded reads hold one batch of a producer",
    )
    .or("32768"),
    PropertySpec::new(
        "access",
        PropertyKind::OneOf(&["read_only", "read_write"]),
        "whether statements may add messages to topics",
    )
    .or("read_only"),
    PropertySpec::new(
        "write_transactions",
        PropertyKind::OneOf(&["required", "none"]),
        "required: each statement is one transaction; none, for brokers that have no transactions: its messages are held, 16 MiB \
         at most, and sent at its end, and a statement that fails then may leave a part of them",
    )
    .or("required"),
    PropertySpec::new(
        "write_timeout_ms",
        PropertyKind::Integer { min: 1_000, max: 86_400_000 },
        "milliseconds that a transaction may be open, which it is from the 16th MiB of a statement or its end on; brokers allow \
         transaction.max.timeout.ms at most",
    )
    .or("300000"),
    PropertySpec::new(
        "write_token_messages",
        PropertyKind::Integer { min: 1, max: 10_000_000 },
        "how many of the newest offsets of each partition are looked through for the write_token of a statement that is tried again",
    )
    .or("10000"),
    PropertySpec::new(
        "max_message_bytes",
        PropertyKind::Integer { min: 1_024, max: 1_000_000_000 },
        "bytes that a message may have that a statement writes; the topic's max.message.bytes must allow it",
    )
    .or("1000000"),
];

const SASL: &[PropertySpec] = &[
    PropertySpec::new(
        "mechanism",
        PropertyKind::OneOf(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        "how the password is proved",
    )
    .or("PLAIN"),
    PropertySpec::new("username", PropertyKind::Text, "the user").required(),
    PropertySpec::new("password", PropertyKind::Secret, "the user's password").required(),
];

const TLS: &[PropertySpec] = &[
    PropertySpec::new(
        "ca_file",
        PropertyKind::Text,
        "a PEM file of the authorities that sign the brokers' certificates, instead of the machine's",
    ),
    PropertySpec::new("certificate_file", PropertyKind::Text, "a PEM file of the client's certificate"),
    PropertySpec::new("key_file", PropertyKind::Text, "a PEM file of the client's private key, without a password"),
];

const TABLE: &[PropertySpec] = &[
    PropertySpec::new("topic", PropertyKind::Text, "the topic; the table's own name where it is missing"),
    PropertySpec::new("value", PropertyKind::Section(VALUE), "how values are decoded"),
    PropertySpec::new("key", PropertyKind::Section(KEY), "how keys are decoded"),
    PropertySpec::new("on_error", PropertyKind::OneOf(ON_ERROR), "as for the catalog, for this table"),
    PropertySpec::new("on_truncated", PropertyKind::OneOf(ON_TRUNCATED), "as for the catalog, for this table"),
    PropertySpec::new(
        "partitioner",
        PropertyKind::OneOf(&["murmur2", "crc32", "fnv1a"]),
        "how statements choose partitions by keys (murmur2: Java; crc32: librdkafka; fnv1a: Sarama), murmur2 if missing; with \
         `partitions`, a promise that all producers choose them so",
    ),
    PropertySpec::new(
        "partitions",
        PropertyKind::Integer { min: 1, max: 1_000_000 },
        "how many partitions the topic has had since its first message: while it has so many, and `partitioner` is set, _key = '...' \
         reads one of them",
    ),
    PropertySpec::new(
        "event_time",
        PropertyKind::Text,
        "a timestamp column of which `max_lateness_ms` promises something",
    ),
    PropertySpec::new(
        "max_lateness_ms",
        PropertyKind::Integer { min: 0, max: 31_536_000_000_000 },
        "promises that each message has a time, that the `event_time` column is not after it, and not before it by more than so \
         many milliseconds: conditions on the column then limit what is read as conditions on _timestamp do",
    ),
    PropertySpec::new(
        "max_out_of_orderness_ms",
        PropertyKind::Integer { min: 0, max: 31_536_000_000_000 },
        "promises that no message is older than an earlier one of its partition by more than so many milliseconds, \
         so that an upper bound on _timestamp limits what is read",
    ),
    PropertySpec::new(
        "timestamps",
        PropertyKind::OneOf(&["log-append"]),
        "promises that the brokers have stamped all messages of the topic when they appended them (message.timestamp.type = \
         LogAppendTime since its first message), and that their clocks never differed or went back by more than \
         `max_out_of_orderness_ms`, 10000 if missing: an upper bound on _timestamp then limits what is read while the topic's \
         setting is that",
    ),
];

const FORMATS: &[&str] = &["json", "avro", "protobuf", "csv", "raw", "text", "binary"];

const VALUE: &[PropertySpec] = &[
    PropertySpec::new(
        "format",
        PropertyKind::OneOf(FORMATS),
        "json: one object a message, its fields are the columns; avro and protobuf: its columns are those of its schema; csv: one line, its values in the order of the columns; raw: \
         values at fixed bytes; text: the whole is a varchar; binary: no columns, and _message is varbinary",
    )
    .or("json"),
    PropertySpec::new("columns", PropertyKind::Map, "the columns and their types; inferred of json if missing"),
    TIMES,
    POSITIONS,
    DELIMITER,
    ENVELOPE,
    SUBJECT,
    VERSION,
    SCHEMA,
    IMPORTS,
    MESSAGE,
];

const KEY: &[PropertySpec] = &[
    PropertySpec::new(
        "format",
        PropertyKind::OneOf(FORMATS),
        "as for the value; _key is varchar where it is a text, otherwise varbinary",
    )
    .or("text"),
    PropertySpec::new("columns", PropertyKind::Map, "the columns of the key and their types"),
    TIMES,
    POSITIONS,
    DELIMITER,
    SUBJECT,
    VERSION,
    SCHEMA,
    IMPORTS,
    MESSAGE,
];

const TIMES: PropertySpec = PropertySpec::new(
    "times",
    PropertyKind::Map,
    "how columns of json and csv write times: iso8601, epoch-seconds, epoch-milliseconds, epoch-microseconds, \
     epoch-nanoseconds, rfc2822, or a pattern such as %d/%m/%Y %H:%M:%S; \"page.at\" is a field of a column, whatever arrays and maps \
     are between",
);

const POSITIONS: PropertySpec = PropertySpec::new(
    "positions",
    PropertyKind::Map,
    "where columns of raw are: the first byte and the one after the last, such as 0:8, or 8: to the end; numbers are big-endian",
);

const DELIMITER: PropertySpec =
    PropertySpec::new("delimiter", PropertyKind::Text, "what stands between values of csv; a comma if missing");

const ENVELOPE: PropertySpec = PropertySpec::new(
    "envelope",
    PropertyKind::OneOf(&["debezium"]),
    "for json and avro: messages are change events, and the columns those of the row after the change, or before it where it \
     was deleted; _op and _before tell the rest",
);

const SUBJECT: PropertySpec = PropertySpec::new(
    "subject",
    PropertyKind::Text,
    "the subject of the registry for avro and protobuf, or for json written by a JSON Schema; TOPIC-value or TOPIC-key if missing",
);

const VERSION: PropertySpec = PropertySpec::new(
    "version",
    PropertyKind::Integer { min: 1, max: i32::MAX as i64 },
    "the version of the subject that says which columns there are; the newest if missing",
);

const SCHEMA: PropertySpec = PropertySpec::new(
    "schema",
    PropertyKind::Text,
    "for avro and protobuf without a registry: the schema by which all messages were written, which then have no id before \
     them; the text of a .proto file is \"${file:clicks.proto}\"",
);

const IMPORTS: PropertySpec = PropertySpec::new(
    "imports",
    PropertyKind::Map,
    "for protobuf: the files that `schema` imports, and those that they import, by the names under which they do; the texts are \
     \"${file:common/money.proto}\"",
);

const MESSAGE: PropertySpec = PropertySpec::new(
    "message",
    PropertyKind::Text,
    "for protobuf: the name of the message in its schema, with or without its package; the first one if missing",
);
