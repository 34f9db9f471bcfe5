//! What is said when the server cannot be reached, refuses, or fails.

use portolan_connector::{ConnectorError, TableName};

use crate::config::{Config, Host, Target};
use crate::net::{OpenError, ServerError, server_error};

/// A session did not open.
pub(crate) fn open(target: &Target, host: &Host, error: &OpenError) -> ConnectorError {
    let address = &host.address;
    let cannot = |clause: &str| ConnectorError::source(format!("cannot connect to {address}{clause}"));
    match error {
        OpenError::Dial(error) => {
            cannot("").said(error).hint("check that the server runs and that host and port in url are right")
        }
        OpenError::Tls(message) => cannot(" with TLS").said(message),
        OpenError::Unsuited(what) => {
            cannot("").said(what).hint("name a host that is as target_session_attrs asks, or ask for any")
        }
        OpenError::Timeout(after) => cannot("").said(format!("no login within {} ms", after.as_millis())),
        OpenError::Login(error) => {
            let tried = cannot(&format!(" as user {}, database {}", target.user, target.database));
            match server_error(error) {
                Some(said) => with_server(tried, &said, Some(&target.user)),
                None => tried.said(Causes(error)).hint_if(login_hint(error)),
            }
        }
    }
}

/// A statement failed for which no table is to blame.
pub(crate) fn statement(config: &Config, tried: &str, error: &tokio_postgres::Error) -> ConnectorError {
    let tried = ConnectorError::source(tried);
    match server_error(error) {
        Some(said) => with_server(tried, &said, config.user()),
        None => with_broken_connection(tried, config, Causes(error)),
    }
    .in_catalog(&config.catalog)
}

/// The server does not take a query that somebody wrote.
pub(crate) fn native(config: &Config, error: &tokio_postgres::Error) -> ConnectorError {
    match server_error(error) {
        Some(said) => {
            let refused = ConnectorError::user("PostgreSQL does not take the native query");
            refused.said(&said).hint_if(said.hint.clone()).in_catalog(&config.catalog)
        }
        None => statement(config, "cannot describe the native query", error),
    }
}

/// Reading rows failed on the server.
pub(crate) fn rows(config: &Config, table: &TableName, error: &ServerError) -> ConnectorError {
    with_server(ConnectorError::source("PostgreSQL cannot read the rows"), error, config.user()).in_table(table)
}

/// A session cannot see what the query's first session saw.
pub(crate) fn unfrozen(config: &Config, table: &TableName, said: &ServerError) -> ConnectorError {
    let error = ConnectorError::source("a connection cannot read at the moment at which the query began").said(said);
    let hint = match said.code.as_str() {
        // invalid_parameter_value, and undefined_object in newer servers
        "22023" | "42704" => Some(
            "the connection that held the moment is gone, or another server answered; run the query again".to_owned(),
        ),
        code => hint(code, config.user()),
    };
    error.hint_if(hint).in_table(table)
}

/// The connection that held the query's moment is gone, and nobody else can see it.
pub(crate) fn moment_gone(table: &TableName) -> ConnectorError {
    ConnectorError::source("the connection that held the moment at which the query began is gone")
        .hint("run the query again")
        .in_table(table)
}

/// The table is not what it was when the query was planned.
pub(crate) fn changed(table: &TableName) -> ConnectorError {
    ConnectorError::source("a table of the query was changed while the query was planned")
        .hint("run the query again")
        .in_table(table)
}

/// The connection broke while rows were read.
pub(crate) fn broken(config: &Config, table: &TableName, error: &std::io::Error) -> ConnectorError {
    with_broken_connection(ConnectorError::source("the rows are not complete"), config, error).in_table(table)
}

fn with_broken_connection(error: ConnectorError, config: &Config, cause: impl std::fmt::Display) -> ConnectorError {
    error
        .said(format!("the connection to {} broke: {cause}", config.server()))
        .hint("look into the server's log; run the query again when the server is back")
}

fn with_server(error: ConnectorError, said: &ServerError, user: Option<&str>) -> ConnectorError {
    let hint = hint(&said.code, user).or_else(|| said.hint.clone());
    error.said(said).hint_if(hint)
}

/// What to do about an SQLSTATE (PostgreSQL's documentation, appendix "PostgreSQL Error Codes").
fn hint(code: &str, user: Option<&str>) -> Option<String> {
    Some(match code {
        "28P01" | "28000" => "check user and password of the catalog, and the server's pg_hba.conf".to_owned(),
        "3D000" => "check the database at the end of url".to_owned(),
        "42501" => format!("let the user read it: GRANT SELECT ON ... TO {}", user.map_or("...".to_owned(), quoted)),
        "42P01" | "42703" | "3F000" => "it was changed or dropped a moment ago; run the query again".to_owned(),
        "53300" => "the server has no free connection: lower connections_max of the catalog".to_owned(),
        "57P01" | "57P02" | "57P03" => "the server is stopping or starting; run the query again later".to_owned(),
        "57014" => {
            "somebody cancelled it, or statement_timeout ran out: the server's, or statement_timeout_ms of the catalog"
                .to_owned()
        }
        "55P03" => "somebody changes the table: run the query again later, or raise the server's lock_timeout or \
                    lock_timeout_ms of the catalog"
            .to_owned(),
        "25P03" | "25P04" | "57P05" => {
            "the server ends connections that are open for long: raise its transaction_timeout, \
             idle_in_transaction_session_timeout and idle_session_timeout for this user"
                .to_owned()
        }
        _ => return None,
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn login_hint(error: &tokio_postgres::Error) -> Option<String> {
    let text = Causes(error).to_string();
    if text.contains("password missing") {
        Some("the server asks for a password: set password = \"${env:NAME}\" in the catalog, or write a line for it into the password file".to_owned())
    } else if text.contains("does not support TLS") {
        Some("the server has no TLS: set tls = \"disable\" if the way to it is safe".to_owned())
    } else if text.contains("certificate") {
        Some("trust the server's authority with tls_root_certificate, or choose another tls mode".to_owned())
    } else {
        None
    }
}

trait HintIf {
    fn hint_if(self, hint: Option<String>) -> Self;
}

impl HintIf for ConnectorError {
    fn hint_if(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

/// An error and its causes in one line.
struct Causes<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut said = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors print their cause themselves.
            if !said.contains(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            cause = error.source();
        }
        Ok(())
    }
}
