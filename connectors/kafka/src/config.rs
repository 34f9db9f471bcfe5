//! What a catalog entry says, checked and typed.

use std::time::Duration;

use portolan_connector::{CatalogEntry, ConnectorError, Properties, Result};
use secrecy::SecretString;

use crate::declare::{DeclaredPart, part};
use crate::layout::{Format, Layout, OnError, Part, SchemaSource};
use crate::partitioner::Partitioner;
use crate::registry::RegistryConfig;
use crate::topics::{Patterns, is_legal};

/// Everything that a Kafka catalog is configured with.
#[derive(Clone, Debug)]
pub(crate) struct KafkaConfig {
    pub(crate) brokers: String,
    pub(crate) security: Security,
    pub(crate) isolation: Isolation,
    /// The one schema's name.
    pub(crate) schema: String,
    pub(crate) on_error: OnError,
    /// Whether offsets that retention has deleted are left out.
    pub(crate) skips_deleted: bool,
    pub(crate) tables: Vec<Declaration>,
    /// Which of the topics that no table declares are tables.
    pub(crate) patterns: Patterns,
    pub(crate) registry: Option<RegistryConfig>,
    /// Messages to infer columns from.
    pub(crate) sample_messages: u64,
    pub(crate) schema_cache: Duration,
    /// Offsets that one split covers at most.
    pub(crate) messages_per_split: u64,
    pub(crate) connect_timeout: Duration,
    pub(crate) metadata_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) fetch_bytes: i64,
    /// Connections of bounded reads at the same time.
    pub(crate) connections_max: usize,
    /// How long a read waits for one.
    pub(crate) connections_wait: Duration,
    pub(crate) queue_kib: i64,
    pub(crate) write: WriteConfig,
}

/// How statements write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteConfig {
    /// Whether they may.
    pub(crate) is_writable: bool,
    /// Whether a statement is one transaction.
    pub(crate) transactional: bool,
    /// How long a transaction may be open, and its commit may take.
    pub(crate) limit: Duration,
    /// How many of the newest offsets of each partition are looked through for a token.
    pub(crate) token_messages: u64,
    pub(crate) max_message_bytes: usize,
}

/// Which messages of transactions are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Only those of committed transactions; the end of a partition is its last stable offset.
    ReadCommitted,
    /// All; the end of a partition is its high watermark.
    ReadUncommitted,
}

impl Isolation {
    /// As Kafka's clients call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read_committed",
            Self::ReadUncommitted => "read_uncommitted",
        }
    }
}

/// How connections are secured.
#[derive(Clone, Debug)]
pub(crate) struct Security {
    pub(crate) sasl: Option<Sasl>,
    pub(crate) tls: Option<Tls>,
}

/// Files in PEM.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    /// The authorities to trust, instead of the machine's.
    pub(crate) ca_file: Option<String>,
    /// The certificates to log in with.
    pub(crate) certificate_file: Option<String>,
    /// Their key.
    pub(crate) key_file: Option<String>,
}

/// How to log in.
#[derive(Clone, Debug)]
pub(crate) struct Sasl {
    pub(crate) mechanism: Mechanism,
    pub(crate) username: String,
    pub(crate) password: SecretString,
}

/// How a password is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    /// All of them, by the names that Kafka's clients give them.
    const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// As Kafka's clients call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// A table of the catalog file.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    /// The table's name.
    pub(crate) name: String,
    pub(crate) topic: String,
    /// How messages are taken apart.
    pub(crate) layout: Layout,
    /// Whether the columns of the value are inferred.
    pub(crate) inferred: bool,
    /// Where the schemas of key and value come from.
    pub(crate) key_schema: Option<SchemaSource>,
    pub(crate) value_schema: Option<SchemaSource>,
    pub(crate) skips_deleted: bool,
    pub(crate) max_out_of_orderness: Option<i64>,
    /// Whether the brokers have stamped all messages when they appended them, if somebody promises that.
    pub(crate) log_append: bool,
    /// How producers choose partitions by keys.
    pub(crate) partitioner: Option<Partitioner>,
    /// How many partitions the topic has always had, if somebody promises that all producers choose among them so.
    pub(crate) partitions: Option<u32>,
    /// A column, and how many milliseconds a message comes after the time in it at most.
    pub(crate) event_time: Option<(String, i64)>,
}

impl KafkaConfig {
    /// Reads a validated entry. Refuses what the declarations of properties cannot express.
    pub(crate) fn new(entry: &CatalogEntry) -> Result<Self> {
        let properties = &entry.properties;
        let on_error = on_error(properties).unwrap_or(OnError::Fail);
        let skips_deleted = skips_deleted(properties).unwrap_or(false);
        let mut tables: Vec<Declaration> = Vec::new();
        for (name, section) in properties.sections("tables") {
            tables.push(declaration(name, section, (on_error, skips_deleted), properties.contains("schema_registry"))?);
        }
        Ok(Self {
            brokers: text(properties, "brokers")?.to_owned(),
            security: security(properties)?,
            isolation: match properties.text("isolation") {
                Some("read_uncommitted") => Isolation::ReadUncommitted,
                _ => Isolation::ReadCommitted,
            },
            schema: text(properties, "schema")?.to_owned(),
            on_error,
            skips_deleted,
            registry: registry(properties)?,
            patterns: Patterns {
                shown: properties.list("show_topics").to_vec(),
                hidden: properties.list("hide_topics").to_vec(),
            },
            tables,
            sample_messages: integer(properties, "sample_messages")?.unsigned_abs(),
            schema_cache: milliseconds(properties, "schema_cache_ms")?,
            messages_per_split: integer(properties, "messages_per_split")?.unsigned_abs(),
            connect_timeout: milliseconds(properties, "connect_timeout_ms")?,
            metadata_timeout: milliseconds(properties, "metadata_timeout_ms")?,
            idle_timeout: milliseconds(properties, "idle_timeout_ms")?,
            fetch_bytes: integer(properties, "fetch_bytes")?,
            connections_max: connections(properties)?,
            connections_wait: milliseconds(properties, "connections_wait_ms")?,
            queue_kib: integer(properties, "queue_kib")?,
            write: WriteConfig {
                is_writable: properties.text("access") == Some("read_write"),
                transactional: properties.text("write_transactions") != Some("none"),
                limit: milliseconds(properties, "write_timeout_ms")?,
                token_messages: integer(properties, "write_token_messages")?.unsigned_abs(),
                max_message_bytes: usize::try_from(integer(properties, "max_message_bytes")?).unwrap_or(usize::MAX),
            },
        })
    }
}

/// How many connections may be open: each has one question at most, for `fetch_bytes`.
fn connections(properties: &Properties) -> Result<usize> {
    let (most, bytes) = (integer(properties, "connections_max")?, integer(properties, "in_flight_bytes_max")?);
    let each = integer(properties, "fetch_bytes")?;
    if bytes < each {
        return Err(ConnectorError::user(format!(
            "`in_flight_bytes_max` is {bytes}, less than the {each} bytes of `fetch_bytes` that one fetch asks for"
        ))
        .hint("raise `in_flight_bytes_max` or lower `fetch_bytes`"));
    }
    Ok(usize::try_from(most.min(bytes / each)).unwrap_or(1))
}

fn text<'p>(properties: &'p Properties, name: &str) -> Result<&'p str> {
    match properties.text(name) {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(ConnectorError::user(format!("`{name}` is missing or empty"))),
    }
}

fn integer(properties: &Properties, name: &str) -> Result<i64> {
    properties.integer(name).ok_or_else(|| ConnectorError::internal(format!("`{name}` has no value")))
}

fn milliseconds(properties: &Properties, name: &str) -> Result<Duration> {
    Ok(Duration::from_millis(integer(properties, name)?.unsigned_abs()))
}

fn on_error(properties: &Properties) -> Option<OnError> {
    match properties.text("on_error")? {
        "null" => Some(OnError::Null),
        "skip" => Some(OnError::Skip),
        _ => Some(OnError::Fail),
    }
}

fn skips_deleted(properties: &Properties) -> Option<bool> {
    Some(properties.text("on_truncated")? == "skip")
}

fn registry(properties: &Properties) -> Result<Option<RegistryConfig>> {
    let Some(section) = properties.section("schema_registry") else { return Ok(None) };
    let (username, password) = (section.text("username").map(ToOwned::to_owned), section.secret("password").cloned());
    if username.is_none() && password.is_some() {
        return Err(ConnectorError::user("`schema_registry.password` needs `schema_registry.username`"));
    }
    let token = section.secret("token").cloned();
    if username.is_some() && token.is_some() {
        return Err(ConnectorError::user("`schema_registry.token` stands in the place of `username` and `password`"));
    }
    let file = |name: &str| section.text(name).map(ToOwned::to_owned);
    let identity = match (file("certificate_file"), file("key_file")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            let wanted = "`schema_registry.certificate_file` and `schema_registry.key_file` need each other";
            return Err(ConnectorError::user(wanted));
        }
    };
    Ok(Some(RegistryConfig {
        url: text(section, "url")?.to_owned(),
        username,
        password,
        token,
        ca_file: file("ca_file"),
        identity,
        timeout: milliseconds(section, "timeout_ms")?,
        cache: milliseconds(properties, "schema_cache_ms")?,
    }))
}

fn security(properties: &Properties) -> Result<Security> {
    let protocol = properties.text("security").unwrap_or("plaintext");
    let with_tls = protocol.ends_with("ssl");
    let sasl = match (protocol.starts_with("sasl"), properties.section("sasl")) {
        (false, None) => None,
        (true, Some(section)) => Some(sasl(section)?),
        (true, None) => {
            return Err(ConnectorError::user(format!(
                "security = \"{protocol}\" needs `sasl.username` and `sasl.password`"
            )));
        }
        (false, Some(_)) => {
            return Err(ConnectorError::user(format!("`sasl` is set but security = \"{protocol}\" does not log in"))
                .hint("set security = \"sasl_ssl\" or \"sasl_plaintext\", or remove `sasl`"));
        }
    };
    let tls = match (with_tls, properties.section("tls")) {
        (false, None) => None,
        (true, None) => Some(Tls::default()),
        (true, Some(section)) => Some(tls(section)),
        (false, Some(_)) => {
            return Err(ConnectorError::user(format!("`tls` is set but security = \"{protocol}\" has no TLS"))
                .hint("set security = \"ssl\" or \"sasl_ssl\", or remove `tls`"));
        }
    };
    Ok(Security { sasl, tls })
}

fn tls(section: &Properties) -> Tls {
    let file = |name| section.text(name).map(ToOwned::to_owned);
    Tls { ca_file: file("ca_file"), certificate_file: file("certificate_file"), key_file: file("key_file") }
}

fn sasl(section: &Properties) -> Result<Sasl> {
    let mechanism = section.text("mechanism").unwrap_or("PLAIN");
    let password = section.secret("password").cloned();
    let known = Mechanism::ALL.into_iter().find(|known| known.name() == mechanism);
    Ok(Sasl {
        mechanism: known
            .ok_or_else(|| ConnectorError::user(format!("`sasl.mechanism` \"{mechanism}\" is not known")))?,
        username: text(section, "username")?.to_owned(),
        password: password.ok_or_else(|| ConnectorError::user("`sasl.password` is missing"))?,
    })
}

impl Declaration {
    /// How a topic is read that nobody declared.
    pub(crate) fn of_topic(topic: &str, config: &KafkaConfig) -> Self {
        Self {
            name: topic.to_owned(),
            topic: topic.to_owned(),
            layout: Layout {
                key: Part::undeclared(Format::Text),
                value: Part::undeclared(Format::Json),
                on_error: config.on_error,
            },
            inferred: true,
            key_schema: None,
            value_schema: None,
            skips_deleted: config.skips_deleted,
            max_out_of_orderness: None,
            log_append: false,
            partitioner: None,
            partitions: None,
            event_time: None,
        }
    }
}

/// `defaults` are what the catalog says of messages that do not decode, and of offsets that are deleted.
fn declaration(name: &str, section: &Properties, defaults: (OnError, bool), has_registry: bool) -> Result<Declaration> {
    let wrong = |message: String| ConnectorError::user(format!("`tables.{name}`: {message}"));
    let topic = section.text("topic").unwrap_or(name).to_owned();
    if !is_legal(&topic) {
        return Err(wrong(format!("\"{topic}\" cannot be the name of a topic")).hint("set `topic` to the topic's name"));
    }
    let declared = |part_name: &str, default: Format, inferred: bool| match section.section(part_name) {
        Some(section) => part(section, default).map_err(|error| wrong(format!("`{part_name}`: {error}"))),
        None => Ok(DeclaredPart { part: Part::undeclared(default), inferred, source: None }),
    };
    let DeclaredPart { part: value, inferred, source: value_schema } = declared("value", Format::Json, true)?;
    let DeclaredPart { part: key, inferred: key_inferred, source: key_schema } = declared("key", Format::Text, false)?;
    if key_inferred {
        return Err(wrong("`key`: a part of format \"json\" needs `columns`".to_owned()));
    }
    let asks_registry = |source: &Option<SchemaSource>| matches!(source, Some(SchemaSource::Subject { .. }));
    if !has_registry && (asks_registry(&key_schema) || asks_registry(&value_schema)) {
        return Err(wrong("its schema is one of a registry, and the catalog has none".to_owned())
            .hint("set `schema_registry.url`, or write the schema as `schema`"));
    }
    if let Some(twice) = key.columns.iter().find(|of_key| value.columns.iter().any(|column| column.name == of_key.name))
    {
        return Err(wrong(format!("`{}` is a column of the key and of the value", twice.name)));
    }
    let event_time = match (section.text("event_time"), section.integer("max_lateness_ms")) {
        (Some(column), Some(lateness)) => Some((column.to_owned(), lateness)),
        (None, None) => None,
        _ => return Err(wrong("`event_time` and `max_lateness_ms` promise something together".to_owned())),
    };
    let partitioner = section.text("partitioner").map(str::parse).transpose().map_err(wrong)?;
    let partitions = section.integer("partitions").and_then(|count| u32::try_from(count).ok());
    if partitions.is_some() && partitioner.is_none() {
        return Err(wrong("`partitions` needs `partitioner`, by which keys choose one of them".to_owned()));
    }
    Ok(Declaration {
        name: name.to_owned(),
        topic,
        layout: Layout { key, value, on_error: on_error(section).unwrap_or(defaults.0) },
        inferred,
        key_schema,
        value_schema,
        skips_deleted: skips_deleted(section).unwrap_or(defaults.1),
        max_out_of_orderness: section.integer("max_out_of_orderness_ms"),
        log_append: section.text("timestamps") == Some("log-append"),
        event_time,
        partitioner,
        partitions,
    })
}
