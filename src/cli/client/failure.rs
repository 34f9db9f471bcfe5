//! Why a statement has no answer, or no whole one.

use std::fmt;

use crate::error::Error;

/// A failure, as the person reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The message; where the place is known, with the statement's line and a caret under the place.
    pub(crate) text: String,
    /// The line of the statement that it is about, counted from 1.
    pub(crate) line: Option<u64>,
}

impl Failure {
    /// A failure that is about no place in a statement.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), line: None }
    }

    /// An error of the engine in a statement.
    pub(crate) fn in_statement(error: &Error, sql: &str) -> Self {
        Self { text: error.render(sql), line: error.message().position.map(|position| position.line) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
