//! The properties of a catalog entry, understood.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use portolan_connector::{CatalogEntry, ConnectorError, Properties, Result};
use secrecy::SecretString;
use tokio_postgres::config::SslMode;
use url::Url;

use crate::net::{Address, Verification};
use crate::types::NumericMapping;

/// Where the table of write tokens is, unless the catalog says otherwise.
const TOKEN_SCHEMA: &str = "portolan";

/// Everything that the connector has to know of its server.
#[derive(Debug)]
pub(crate) struct Config {
    /// The catalog's name, for messages.
    pub(crate) catalog: String,
    pub(crate) address: Address,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) password: Option<SecretString>,
    pub(crate) tls_mode: SslMode,
    pub(crate) verification: Verification,
    pub(crate) tls_root_certificate: Option<PathBuf>,
    /// Whether statements may change the database.
    pub(crate) is_writable: bool,
    /// The schema of the table that tells which writes were made.
    pub(crate) token_schema: String,
    /// Sessions that read rows at the same time, as many for queries, and as many for writing.
    pub(crate) connections_max: usize,
    /// For each of: opening the socket, logging in.
    pub(crate) connect_timeout: Duration,
    /// For a session to become free.
    pub(crate) wait_timeout: Duration,
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
        let server = Server::parse(properties.text("url").unwrap_or_default())?;
        let user = properties.text("user").map(str::to_owned).or(server.user).ok_or_else(|| {
            ConnectorError::user("no user to log in as")
                .hint("put it into url, postgres://USER@HOST/DATABASE, or set user")
        })?;
        let (tls_mode, verification) = tls(properties.text("tls").or(server.sslmode.as_deref()))?;
        let numeric = properties.text("numeric").unwrap_or(NumericMapping::DEFAULT);
        Ok(Self {
            catalog: entry.name.clone(),
            address: server.address,
            database: server.database.unwrap_or_else(|| user.clone()),
            user,
            password: properties.secret("password").cloned(),
            tls_mode,
            verification,
            tls_root_certificate: properties.text("tls_root_certificate").map(PathBuf::from),
            is_writable: properties.text("access") == Some("read_write"),
            token_schema: properties.text("write_token_schema").unwrap_or(TOKEN_SCHEMA).to_owned(),
            connections_max: number(properties, "connections_max", 10),
            connect_timeout: Duration::from_millis(number(properties, "connect_timeout_ms", 10_000)),
            wait_timeout: Duration::from_millis(number(properties, "connections_wait_ms", 60_000)),
            numeric: NumericMapping::parse(numeric).map_err(ConnectorError::user)?,
            clamp_temporal: properties.text("temporal_out_of_range") == Some("clamp"),
            batch_bytes: number(properties, "batch_bytes", 8 << 20),
        })
    }
}

fn number<T: TryFrom<i64>>(properties: &Properties, name: &str, default: T) -> T {
    properties.integer(name).and_then(|value| T::try_from(value).ok()).unwrap_or(default)
}

/// The words are libpq's for `sslmode`.
fn tls(word: Option<&str>) -> Result<(SslMode, Verification)> {
    Ok(match word {
        Some("disable") => (SslMode::Disable, Verification::None),
        None | Some("prefer") => (SslMode::Prefer, Verification::None),
        Some("require") => (SslMode::Require, Verification::None),
        Some("verify-ca") => (SslMode::Require, Verification::Authority),
        Some("verify-full") => (SslMode::Require, Verification::Full),
        Some(other) => {
            return Err(ConnectorError::user(format!("\"{other}\" is not a way to use TLS"))
                .hint("one of disable, prefer, require, verify-ca, verify-full"));
        }
    })
}

/// What the URL says.
#[derive(Debug, PartialEq, Eq)]
struct Server {
    address: Address,
    user: Option<String>,
    database: Option<String>,
    sslmode: Option<String>,
}

impl Server {
    /// The form of libpq's URIs, with one host and without a password.
    fn parse(text: &str) -> Result<Self> {
        let wrong = |what: String| ConnectorError::user(what).hint("url = \"postgres://USER@HOST:PORT/DATABASE\"");
        // The text may hold a password, so it is not repeated.
        let url = Url::parse(text).map_err(|error| wrong(format!("url cannot be understood: {error}")))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(wrong(format!("url begins with {}:, not with postgres:", url.scheme())));
        }
        if url.password().is_some() {
            return Err(ConnectorError::user("url holds a password, and urls are shown in messages")
                .hint("take it out and set password = \"${env:NAME}\" or \"${file:PATH}\""));
        }
        let mut sslmode = None;
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "sslmode" => sslmode = Some(value.into_owned()),
                other => return Err(wrong(format!("url has the parameter {other}; only sslmode is known"))),
            }
        }
        let decode = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(String::from).map_err(|_| wrong("url holds bytes that are not UTF-8".to_owned()))
        };
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let host = decode(url.host_str().filter(|host| !host.is_empty()).unwrap_or("localhost"))?;
        let port = url.port().unwrap_or(5432);
        let address = if host.starts_with('/') {
            Address::Unix(PathBuf::from(host).join(format!(".s.PGSQL.{port}")))
        } else {
            Address::Tcp { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port }
        };
        let database = some(decode(url.path().trim_start_matches('/'))?);
        Ok(Self { address, user: some(decode(url.username())?), database, sslmode })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn urls_are_libpqs() {
        let server = Server::parse("postgres://reader@db.internal:5433/shop").unwrap();
        assert_eq!(server.address, tcp("db.internal", 5433));
        assert_eq!((server.user.as_deref(), server.database.as_deref()), (Some("reader"), Some("shop")));
        let server = Server::parse("postgresql://[::1]/a%20b?sslmode=require").unwrap();
        assert_eq!(server.address, tcp("::1", 5432));
        assert_eq!(server.address.to_string(), "[::1]:5432");
        assert_eq!((server.user, server.database.as_deref()), (None, Some("a b")));
        assert_eq!(server.sslmode.as_deref(), Some("require"));
        let server = Server::parse("postgres://u%40x@%2Fvar%2Frun/d").unwrap();
        assert_eq!(server.address, Address::Unix("/var/run/.s.PGSQL.5432".into()));
        assert_eq!(server.user.as_deref(), Some("u@x"));
        assert_eq!(Server::parse("postgres:///d").unwrap().address, tcp("localhost", 5432));
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        let error = Server::parse("postgres://u:s3cret@h/d").unwrap_err().to_string();
        assert!(error.contains("password") && !error.contains("s3cret"), "{error}");
        for url in ["mysql://h/d", "h/d", "postgres://h:99999/d", "postgres://u@h/d?target=x"] {
            assert!(Server::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn tls_words() {
        assert_eq!(tls(None).unwrap(), (SslMode::Prefer, Verification::None));
        assert_eq!(tls(Some("verify-full")).unwrap(), (SslMode::Require, Verification::Full));
        assert!(tls(Some("maybe")).is_err());
    }
}
