//! What is wrong with a file, and where.

use std::error::Error;
use std::fmt;

use datafusion::error::DataFusionError;

/// The longest part of a value that a message shows, in characters.
const SHOWN_CHARACTERS: usize = 80;

/// Something in a file that cannot be read, for the message that names the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The line of the file, from 1.
    pub(crate) line: Option<u64>,
    pub(crate) column: Option<String>,
    pub(crate) problem: String,
    /// What to do about it, where that is known.
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), ..Self::default() }
    }

    pub(crate) fn at(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    pub(crate) fn column(mut self, column: &str) -> Self {
        self.column = Some(column.to_owned());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        if let Some(column) = &self.column {
            write!(f, "column `{column}`: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl Error for Fault {}

impl From<Fault> for DataFusionError {
    fn from(fault: Fault) -> Self {
        Self::External(Box::new(fault))
    }
}

/// The fault that an error is about, if it is about one.
pub(crate) fn fault_of(error: &DataFusionError) -> Option<&Fault> {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => fault_of(inner),
        DataFusionError::Shared(inner) => fault_of(inner),
        DataFusionError::External(inner) => inner.downcast_ref(),
        _ => None,
    }
}

/// A value for a message: its beginning, if it is long.
pub(crate) fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}...", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_where_it_is() {
        assert_eq!(
            Fault::new("`x` is no bigint").at(3).column("n").to_string(),
            "line 3, column `n`: `x` is no bigint"
        );
        assert_eq!(Fault::new("the file is cut short").to_string(), "the file is cut short");
        assert_eq!(shown(&"é".repeat(100)), format!("{}...", "é".repeat(80)));
    }
}
