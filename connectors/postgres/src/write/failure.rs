//! What is said when PostgreSQL refuses to write.

use portolan_connector::{ConnectorError, TableName};

use crate::config::Config;
use crate::error;
use crate::net::{CopyInError, ServerError, server_error};

/// What is there already: a schema, a table, a type of a table's name that another transaction makes at the same time.
const EXISTS: &[&str] = &["42P06", "42P07", "42710"];
/// A row with the same key as another.
const UNIQUE_VIOLATION: &str = "23505";

/// Why a step of a write failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server said no.
    Refused(ServerError),
    /// The connection broke, with what is known of it.
    Broken(String),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match server_error(&error) {
            Some(said) => Self::Refused(said),
            None => Self::Broken(error.to_string()),
        }
    }
}

impl From<CopyInError> for Failure {
    fn from(error: CopyInError) -> Self {
        match error {
            CopyInError::Refused(said) => Self::Refused(said),
            CopyInError::Broken(error) => Self::Broken(error.to_string()),
        }
    }
}

impl Failure {
    /// The SQLSTATE, where the server gave one.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Refused(said) => &said.code,
            Self::Broken(_) => "",
        }
    }

    /// Whether what a statement makes is there already. A system catalog's own index says so of what another transaction
    /// makes at the same time.
    pub(super) fn is_existing(&self) -> bool {
        let by_index = |said: &ServerError| said.code == UNIQUE_VIOLATION && said.message.contains("\"pg_");
        EXISTS.contains(&self.code()) || matches!(self, Self::Refused(said) if by_index(said))
    }

    /// The message. `tried` is a clause such as `PostgreSQL refuses the rows`.
    pub(super) fn tell(self, config: &Config, table: &TableName, tried: &str) -> ConnectorError {
        self.told(config, tried).in_table(table)
    }

    /// As [`Failure::tell`], of a whole catalog.
    pub(super) fn told(self, config: &Config, tried: &str) -> ConnectorError {
        let error = match self {
            Self::Broken(cause) => ConnectorError::source(tried)
                .said(format!("the connection to {} broke: {cause}", config.server()))
                .hint("nothing was written; look into the server's log, and run the statement again"),
            Self::Refused(said) => {
                let hint = hint(&said.code, config).or_else(|| said.hint.clone());
                let text = match place(&said) {
                    Some(place) => format!("{said}, {place}"),
                    None => said.to_string(),
                };
                let error = of_class(&said.code, tried).said(text);
                match hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                }
            }
        };
        error.in_catalog(&config.catalog)
    }

    /// The message when it is not known whether the commit was made.
    pub(super) fn in_doubt(self, config: &Config, table: &TableName) -> ConnectorError {
        match self {
            Self::Refused(_) => self.tell(config, table, "PostgreSQL refuses to commit"),
            Self::Broken(cause) => ConnectorError::source("whether the rows are written is not known")
                .said(format!("the connection to {} broke during the commit: {cause}", config.server()))
                .hint("look into the table; a statement with a write_token can be run again in any case")
                .in_catalog(&config.catalog)
                .in_table(table),
        }
    }
}

/// Who has to act, by the class of an SQLSTATE (PostgreSQL's documentation, appendix "PostgreSQL Error Codes").
fn of_class(code: &str, tried: &str) -> ConnectorError {
    match code.get(..2).unwrap_or_default() {
        // Values, constraints, names and rights.
        "22" | "23" | "2B" | "3F" | "42" | "44" => ConnectorError::user(tried),
        "53" | "54" => ConnectorError::resource_exhausted(tried),
        _ => ConnectorError::source(tried),
    }
}

/// The row and the column that `COPY` was at; other places say nothing to whoever wrote the statement.
fn place(said: &ServerError) -> Option<String> {
    let copying = said.place.as_deref()?.lines().find_map(|line| line.strip_prefix("COPY "))?;
    let (_, place) = copying.rsplit_once(", line ")?;
    let row = place.split_once(':').map_or(place, |(row, _)| row);
    Some(format!("row {row}"))
}

fn hint(code: &str, config: &Config) -> Option<String> {
    let user = config.user().unwrap_or("...");
    Some(match code {
        "42501" => {
            format!("let the user write it: GRANT INSERT, UPDATE, DELETE ON ... TO \"{user}\", or CREATE ON SCHEMA")
        }
        "42P01" | "3F000" => "it was changed or dropped a moment ago; look and try again".to_owned(),
        "25006" => "the server only reads: it is a standby, or the user's transactions are read only".to_owned(),
        "40001" | "40P01" => "nothing was written; run the statement again".to_owned(),
        "55P03" => "somebody works with it; try again later".to_owned(),
        "57014" => "somebody cancelled it, or the server's statement_timeout ran out; nothing was written".to_owned(),
        "57P01" | "57P02" | "57P03" => "the server stops or starts; nothing was written, run it again later".to_owned(),
        _ => return None,
    })
}

/// A value that cannot be sent.
pub(super) fn unwritable(
    target: &super::encode::Target,
    error: super::encode::Unwritable,
    table: &TableName,
) -> ConnectorError {
    let text = format!("column \"{}\" ({}) is given {}", target.name, target.source_type, error.what);
    let told = ConnectorError::user(text).in_table(table);
    match error.hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

/// A session did not come, or a table could not be looked up.
pub(super) fn lookup(config: &Config, table: &TableName, cause: &tokio_postgres::Error) -> ConnectorError {
    error::statement(config, "cannot read the table's columns", cause).in_table(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_a_row_and_a_column() {
        let place = |text: &str| super::place(&ServerError { place: Some(text.to_owned()), ..ServerError::default() });
        assert_eq!(place("COPY t, line 3, column v").as_deref(), Some("row 3, column v"));
        assert_eq!(place("COPY a, line b, line 12\nmore").as_deref(), Some("row 12"));
        assert_eq!(place("COPY t, line 7: \"1\tx\"").as_deref(), Some("row 7"));
        assert_eq!(place("JSON data, line 1: {\nCOPY t, line 2, column v").as_deref(), Some("row 2, column v"));
        assert_eq!(place("SQL function f"), None);
    }
}
