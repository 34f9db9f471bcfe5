//! Errors that a connector reports, written for the person at the terminal.

use std::fmt;

use datafusion::error::DataFusionError;

use crate::TableName;

/// The result of everything in this crate.
pub type Result<T, E = ConnectorError> = std::result::Result<T, E>;

/// Who has to act. Flight SQL codes and the exit status follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The statement or the catalog file is wrong.
    User,
    /// The source refused, failed, or sent what cannot be understood.
    Source,
    /// A limit was reached: memory, rows, files, time.
    ResourceExhausted,
    /// Somebody asked for the query to stop.
    Cancelled,
    /// A mistake of ours.
    Internal,
}

/// What clients want to tell apart within a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nothing more than the class says.
    #[default]
    Plain,
    /// What the statement makes is there already.
    Exists,
}

/// The parts of a message: what was tried, where, what the source said, what to do next.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// What clients want to tell apart within the class.
    pub kind: ErrorKind,
    /// The catalog, when known.
    pub catalog: Option<String>,
    /// `schema.table` or the full name, when known.
    pub table: Option<String>,
    /// What was tried, as a clause: `cannot connect to 127.0.0.1:5432`.
    pub tried: String,
    /// The source's own message, kept as it was.
    pub said: Option<String>,
    /// What the person can do next.
    pub hint: Option<String>,
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.catalog, &self.table) {
            (Some(catalog), Some(table)) => write!(f, "catalog {catalog}, table {table}: ")?,
            (Some(catalog), None) => write!(f, "catalog {catalog}: ")?,
            (None, Some(table)) => write!(f, "table {table}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.tried)?;
        if let Some(said) = &self.said {
            write!(f, ": {said}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nHint: {hint}")?;
        }
        Ok(())
    }
}

/// An error of a connector. The variant is its [`ErrorClass`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectorError {
    /// See [`ErrorClass::User`].
    #[error("{0}")]
    User(Box<Detail>),
    /// See [`ErrorClass::Source`].
    #[error("{0}")]
    Source(Box<Detail>),
    /// See [`ErrorClass::ResourceExhausted`].
    #[error("{0}")]
    ResourceExhausted(Box<Detail>),
    /// See [`ErrorClass::Cancelled`].
    #[error("{0}")]
    Cancelled(Box<Detail>),
    /// See [`ErrorClass::Internal`].
    #[error("{0}")]
    Internal(Box<Detail>),
}

impl ConnectorError {
    /// A mistake in the statement or the catalog file.
    pub fn user(tried: impl Into<String>) -> Self {
        Self::User(detail(tried))
    }

    /// What the statement makes is there already.
    pub fn exists(tried: impl Into<String>) -> Self {
        Self::User(Box::new(Detail { kind: ErrorKind::Exists, ..*detail(tried) }))
    }

    /// The source refused or failed.
    pub fn source(tried: impl Into<String>) -> Self {
        Self::Source(detail(tried))
    }

    /// A limit was reached.
    pub fn resource_exhausted(tried: impl Into<String>) -> Self {
        Self::ResourceExhausted(detail(tried))
    }

    /// A mistake of ours.
    pub fn internal(tried: impl Into<String>) -> Self {
        Self::Internal(detail(tried))
    }

    /// Adds the source's own message.
    #[must_use]
    pub fn said(mut self, said: impl fmt::Display) -> Self {
        self.detail_mut().said = Some(said.to_string());
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.detail_mut().hint = Some(hint.into());
        self
    }

    /// Adds the catalog, unless one is there already.
    #[must_use]
    pub fn in_catalog(mut self, catalog: impl Into<String>) -> Self {
        self.detail_mut().catalog.get_or_insert_with(|| catalog.into());
        self
    }

    /// Adds the catalog and the table, unless they are there already.
    #[must_use]
    pub fn in_table(mut self, name: &TableName) -> Self {
        let detail = self.detail_mut();
        detail.catalog.get_or_insert_with(|| name.catalog.clone());
        detail.table.get_or_insert_with(|| format!("{}.{}", name.schema, name.table));
        self
    }

    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::User(_) => ErrorClass::User,
            Self::Source(_) => ErrorClass::Source,
            Self::ResourceExhausted(_) => ErrorClass::ResourceExhausted,
            Self::Cancelled(_) => ErrorClass::Cancelled,
            Self::Internal(_) => ErrorClass::Internal,
        }
    }

    /// The parts of the message.
    pub fn detail(&self) -> &Detail {
        match self {
            Self::User(detail)
            | Self::Source(detail)
            | Self::ResourceExhausted(detail)
            | Self::Cancelled(detail)
            | Self::Internal(detail) => detail,
        }
    }

    fn detail_mut(&mut self) -> &mut Detail {
        match self {
            Self::User(detail)
            | Self::Source(detail)
            | Self::ResourceExhausted(detail)
            | Self::Cancelled(detail)
            | Self::Internal(detail) => detail,
        }
    }
}

fn detail(tried: impl Into<String>) -> Box<Detail> {
    Box::new(Detail { tried: tried.into(), ..Detail::default() })
}

impl From<ConnectorError> for DataFusionError {
    fn from(error: ConnectorError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_where_what_why_and_what_next() {
        let error = ConnectorError::source("cannot read rows")
            .said("connection reset")
            .hint("check that the server still runs")
            .in_table(&TableName::new("pg", "public", "customer"))
            .in_catalog("other");
        assert_eq!(
            error.to_string(),
            "catalog pg, table public.customer: cannot read rows: connection reset\nHint: check that the server still runs"
        );
        assert_eq!(error.class(), ErrorClass::Source);
    }
}
