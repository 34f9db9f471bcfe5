//! The properties of a catalog entry, understood.

mod parameters;
mod passfile;
mod service;
mod target;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portolan_connector::{CatalogEntry, ConnectorError, Properties, Result};
use secrecy::SecretString;

use crate::types::NumericMapping;
use parameters::Parameters;
pub(crate) use passfile::is_readable_by_others;
pub(crate) use target::{Host, Target, Wanted};

/// The catalog's own properties that say what a keyword of libpq's says. They come before the connection string.
const KEYWORDS: [(&str, &str); 11] = [
    ("application_name", "application_name"),
    ("channel_binding", "channel_binding"),
    ("options", "options"),
    ("password_file", "passfile"),
    ("service", "service"),
    ("target_session_attrs", "target_session_attrs"),
    ("tls", "sslmode"),
    ("tls_certificate", "sslcert"),
    ("tls_key", "sslkey"),
    ("tls_root_certificate", "sslrootcert"),
    ("user", "user"),
];

/// For connecting, where nothing else is said.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How a transaction begins that only reads.
const READ_ONLY: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Where the table of write tokens is, unless the catalog says otherwise.
const TOKEN_SCHEMA: &str = "portolan";

/// Everything that the connector has to know of its server.
#[derive(Debug)]
pub(crate) struct Config {
    /// The catalog's name, for messages.
    pub(crate) catalog: String,
    /// What the entry says of the server, by libpq's keywords.
    parameters: Parameters,
    password: Option<SecretString>,
    /// Where services are looked up, in place of libpq's own files.
    service_file: Option<PathBuf>,
    /// For each of: opening the socket, logging in.
    connect_timeout: Option<Duration>,
    /// Whether statements may change the database.
    pub(crate) is_writable: bool,
    /// The schema of the table that tells which writes were made.
    pub(crate) token_schema: String,
    /// Sessions that read rows at the same time, as many for queries, and as many for writing.
    pub(crate) connections_max: usize,
    /// For a session to become free.
    pub(crate) wait_timeout: Duration,
    /// The statements with which a transaction begins that only reads.
    pub(crate) opening: Arc<str>,
    /// The settings of a transaction that writes.
    pub(crate) settings: String,
    /// What a `numeric` without precision becomes.
    pub(crate) numeric: NumericMapping,
    /// Whether dates and times out of the engine's range are read as its first or its last.
    pub(crate) clamp_temporal: bool,
    /// A batch ends with the row that reaches this many bytes, as the server sends them.
    pub(crate) batch_bytes: usize,
}

impl Config {
    /// Checks everything that can be checked without input or output.
    pub(crate) fn new(entry: &CatalogEntry) -> Result<Self> {
        Self::parse(entry).map_err(|error| error.in_catalog(&entry.name))
    }

    fn parse(entry: &CatalogEntry) -> Result<Self> {
        let properties = &entry.properties;
        let mut parameters = Parameters::default();
        for (property, keyword) in KEYWORDS {
            parameters.set(keyword, properties.text(property).unwrap_or_default().to_owned())?;
        }
        if let Some(url) = properties.text("url") {
            parameters = parameters.or(Parameters::parse(url)?);
        } else if parameters.get("service").is_none() {
            // As libpq does where nothing says which server is meant.
            let service = std::env::var("PGSERVICE").unwrap_or_default();
            parameters.set("service", service)?;
            if parameters.get("service").is_none() {
                return Err(ConnectorError::user("neither url nor service says which server is meant")
                    .hint("url = \"postgres://USER@HOST:PORT/DATABASE\""));
            }
        }
        let milliseconds = properties.integer("connect_timeout_ms").and_then(|value| u64::try_from(value).ok());
        let numeric = properties.text("numeric").unwrap_or(NumericMapping::DEFAULT);
        let settings = settings(properties);
        let config = Self {
            catalog: entry.name.clone(),
            parameters,
            password: properties.secret("password").cloned(),
            service_file: properties.text("service_file").map(PathBuf::from),
            connect_timeout: milliseconds.map(Duration::from_millis),
            is_writable: properties.text("access") == Some("read_write"),
            token_schema: properties.text("write_token_schema").unwrap_or(TOKEN_SCHEMA).to_owned(),
            connections_max: number(properties, "connections_max", 10),
            wait_timeout: Duration::from_millis(number(properties, "connections_wait_ms", 60_000)),
            opening: format!("{READ_ONLY}; {settings}").into(),
            settings,
            numeric: NumericMapping::parse(numeric).map_err(ConnectorError::user)?,
            clamp_temporal: properties.text("temporal_out_of_range") == Some("clamp"),
            batch_bytes: number(properties, "batch_bytes", 8 << 20),
        };
        // What a service says is read when the first session opens.
        if config.parameters.get("service").is_none() {
            config.target()?;
        }
        Ok(config)
    }

    /// Where and how to log in. Reads the service file where a service is named.
    pub(crate) fn target(&self) -> Result<Target> {
        let mut parameters = self.parameters.clone();
        let mut password = self.password.clone();
        if let Some(name) = self.parameters.get("service") {
            let service = service::find(name, self.service_file.as_deref())?;
            parameters = parameters.or(service.parameters);
            password = password.or(service.password);
        }
        Target::new(&parameters, password, self.connect_timeout)
    }

    /// The server, for messages.
    pub(crate) fn server(&self) -> String {
        match (self.parameters.get("service"), self.target()) {
            (None, Ok(target)) => {
                target.hosts.iter().map(|host| host.address.to_string()).collect::<Vec<_>>().join(", ")
            }
            (service, _) => format!("service {}", service.unwrap_or_default()),
        }
    }

    /// The user, for messages; `None` where only a service names one.
    pub(crate) fn user(&self) -> Option<&str> {
        self.parameters.get("user")
    }
}

/// What a transaction sets. It holds for the transaction alone.
///
/// A session that holds a snapshot is idle for as long as its query runs. `search_path` stays what the server says: functions
/// behind a view may need theirs. So do time limits that the catalog does not set.
fn settings(properties: &Properties) -> String {
    let mut text = "SET LOCAL standard_conforming_strings = on; SET LOCAL TimeZone = 'UTC'; \
                    SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'postgres'; \
                    SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; \
                    SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL client_min_messages = warning"
        .to_owned();
    for (property, setting) in [("statement_timeout_ms", "statement_timeout"), ("lock_timeout_ms", "lock_timeout")] {
        if let Some(milliseconds) = properties.integer(property) {
            text.push_str(&format!("; SET LOCAL {setting} = {milliseconds}"));
        }
    }
    text
}

fn number<T: TryFrom<i64>>(properties: &Properties, name: &str, default: T) -> T {
    properties.integer(name).and_then(|value| T::try_from(value).ok()).unwrap_or(default)
}
