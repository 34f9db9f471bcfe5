//! Connection strings, as libpq takes them (PostgreSQL's documentation, section "Connection Strings").

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use portolan_connector::{ConnectorError, Result};

/// The keywords that have a meaning here, by libpq's names.
const KNOWN: [&str; 18] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "host",
    "hostaddr",
    "load_balance_hosts",
    "options",
    "passfile",
    "port",
    "service",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "user",
];

/// Keywords that may be there and change nothing: what they ask for is always so, or is never so.
const IGNORED: [&str; 9] = [
    "client_encoding",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
];

/// How a connection string looks, for hints.
const FORM: &str =
    "url = \"postgres://USER@HOST:PORT/DATABASE?KEYWORD=VALUE\" or \"host=HOST dbname=DATABASE user=USER\"";

/// Settings by libpq's keywords.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(BTreeMap<&'static str, String>);

impl Parameters {
    /// Reads a URI or a list of `keyword=value`. The text may hold a password, so no error repeats it.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let uri = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        match uri {
            Some(rest) => Self::parse_uri(rest),
            None if text.contains("://") => Err(wrong("url begins with another scheme than postgres:")),
            None if text.contains('=') => Self::parse_list(text),
            None => Err(wrong("url is neither a URI nor a list of keyword=value")),
        }
    }

    /// What follows the scheme: `USER@HOST:PORT,HOST:PORT/DATABASE?KEYWORD=VALUE&...`, each part of it may be missing.
    fn parse_uri(rest: &str) -> Result<Self> {
        let mut parameters = Self::default();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains(':') {
            return Err(holds_password());
        }
        parameters.set_decoded("user", user)?;
        parameters.set_decoded("dbname", database)?;
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for host in hosts.split(',') {
            let (name, port) = host_and_port(host)?;
            names.push(name);
            ports.push(port);
        }
        parameters.set_decoded("host", &names.join(","))?;
        if ports.iter().any(|port| !port.is_empty()) {
            parameters.set("port", ports.join(","))?;
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (keyword, value) = pair.split_once('=').ok_or_else(|| wrong("url has a parameter without a value"))?;
            match (decoded(keyword)?.as_str(), value) {
                // As JDBC's drivers write it.
                ("ssl", "true") => parameters.set("sslmode", "require".to_owned())?,
                (keyword, value) => parameters.set(keyword, decoded(value)?)?,
            }
        }
        Ok(parameters)
    }

    /// `keyword = value` with spaces between; a value with spaces stands in single quotes, and a backslash takes what
    /// follows it as it is.
    fn parse_list(text: &str) -> Result<Self> {
        let mut parameters = Self::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (keyword, after) = rest.split_once('=').ok_or_else(|| wrong("url has a keyword without a value"))?;
            let (value, after) = value(after.trim_start())?;
            parameters.set(keyword.trim_end(), value)?;
            rest = after.trim_start();
        }
        Ok(parameters)
    }

    fn set_decoded(&mut self, keyword: &str, value: &str) -> Result<()> {
        self.set(keyword, decoded(value)?)
    }

    /// Sets a value; an empty one is none.
    pub(crate) fn set(&mut self, keyword: &str, value: String) -> Result<()> {
        if keyword == "password" {
            return Err(holds_password());
        }
        if IGNORED.contains(&keyword) || value.is_empty() {
            return Ok(());
        }
        let known = KNOWN.iter().find(|known| **known == keyword);
        let known =
            known.ok_or_else(|| wrong(&format!("url has the parameter {keyword}; known are {}", KNOWN.join(", "))))?;
        self.0.insert(known, value);
        Ok(())
    }

    /// A value that is set.
    pub(crate) fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(String::as_str)
    }

    /// These, and of others what is not set here.
    pub(crate) fn or(mut self, others: Self) -> Self {
        for (keyword, value) in others.0 {
            self.0.entry(keyword).or_insert(value);
        }
        self
    }
}

/// A host and its port, both as they are written; an address of IPv6 stands in brackets.
fn host_and_port(text: &str) -> Result<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(|| wrong("url has a [ without a ]"))?;
        return Ok((host, port.strip_prefix(':').unwrap_or(port)));
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

fn decoded(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(String::from).map_err(|_| wrong("url holds bytes that are not UTF-8"))
}

/// The value at the beginning of a text, and what follows it.
fn value(text: &str) -> Result<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut letters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            '\'' if quoted => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            letter if !quoted && letter.is_whitespace() => return Ok((value, text.get(at..).unwrap_or_default())),
            letter => value.push(letter),
        }
    }
    if quoted { Err(wrong("url has a quote that is not closed")) } else { Ok((value, "")) }
}

fn wrong(what: &str) -> ConnectorError {
    ConnectorError::user(what).hint(FORM)
}

fn holds_password() -> ConnectorError {
    ConnectorError::user("url holds a password, and urls are shown in messages").hint(
        "take it out and set password = \"${env:NAME}\" or \"${file:PATH}\", or put it into the password file that libpq reads",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(&'static str, String)> {
        Parameters::parse(text).unwrap().0.into_iter().collect()
    }

    fn pairs(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        pairs.iter().map(|(keyword, value)| (*keyword, (*value).to_owned())).collect()
    }

    /// The examples of PostgreSQL's documentation, without passwords, and some more.
    #[test]
    fn uris_are_libpqs() {
        assert_eq!(parsed("postgresql://"), []);
        assert_eq!(parsed("postgresql://localhost:5433"), pairs(&[("host", "localhost"), ("port", "5433")]));
        assert_eq!(parsed("postgresql://localhost/mydb"), pairs(&[("dbname", "mydb"), ("host", "localhost")]));
        assert_eq!(parsed("postgresql://user@localhost"), pairs(&[("host", "localhost"), ("user", "user")]));
        assert_eq!(
            parsed("postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp"),
            pairs(&[
                ("application_name", "myapp"),
                ("connect_timeout", "10"),
                ("dbname", "otherdb"),
                ("host", "localhost"),
                ("user", "other")
            ])
        );
        assert_eq!(
            parsed("postgresql://host1:123,host2:456/somedb?target_session_attrs=any"),
            pairs(&[
                ("dbname", "somedb"),
                ("host", "host1,host2"),
                ("port", "123,456"),
                ("target_session_attrs", "any")
            ])
        );
        assert_eq!(
            parsed("postgresql://user@localhost:5433/mydb?options=-c%20synchronous_commit%3Doff"),
            pairs(&[
                ("dbname", "mydb"),
                ("host", "localhost"),
                ("options", "-c synchronous_commit=off"),
                ("port", "5433"),
                ("user", "user")
            ])
        );
        assert_eq!(
            parsed("postgresql:///mydb?host=localhost&port=5433"),
            pairs(&[("dbname", "mydb"), ("host", "localhost"), ("port", "5433")])
        );
        assert_eq!(
            parsed("postgresql://[2001:db8::1234]/database"),
            pairs(&[("dbname", "database"), ("host", "2001:db8::1234")])
        );
        assert_eq!(
            parsed("postgresql://%2Fvar%2Flib%2Fpostgresql/dbname"),
            pairs(&[("dbname", "dbname"), ("host", "/var/lib/postgresql")])
        );
        assert_eq!(
            parsed("postgres://h/d?ssl=true&gssencmode=disable"),
            pairs(&[("dbname", "d"), ("host", "h"), ("sslmode", "require")])
        );
    }

    #[test]
    fn lists_are_libpqs() {
        assert_eq!(
            parsed("host=localhost port = 5432 dbname=mydb connect_timeout=10"),
            pairs(&[("connect_timeout", "10"), ("dbname", "mydb"), ("host", "localhost"), ("port", "5432")])
        );
        assert_eq!(
            parsed(r"dbname='it\'s \\ mine' user='' application_name=a\ b"),
            pairs(&[("application_name", "a b"), ("dbname", r"it's \ mine")])
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_a_password() {
        for text in ["postgres://u:s3cret@h/d", "host=h password=s3cret", "postgres://u@h/d?password=s3cret"] {
            let error = Parameters::parse(text).unwrap_err().to_string();
            assert!(error.contains("password") && !error.contains("s3cret"), "{error}");
        }
        for text in
            ["mysql://h/d", "h/d", "postgres://u@h/d?target=x", "host='h", "host=h nothing", "postgres://[::1/d"]
        {
            assert!(Parameters::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_set_stays() {
        let of = |text: &str| Parameters::parse(text).unwrap();
        let both = of("host=a user=u").or(of("host=b port=1"));
        assert_eq!(both, of("host=a user=u port=1"));
    }
}
