//! The engine's errors: a class, a message for the person at the terminal, and a position in the statement.

mod no_function;

use std::fmt;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use portolan_connector::{ConnectorError, ErrorClass, ErrorKind};

use crate::semantics::ArithmeticError;

use self::no_function::no_function;

/// The result of everything in the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place in a statement, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// An error. The variant is its [`ErrorClass`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The statement or the catalog file is wrong.
    #[error("{0}")]
    User(Message),
    /// A source refused, failed, or sent what cannot be understood.
    #[error("{0}")]
    Source(Message),
    /// A limit was reached.
    #[error("{0}")]
    ResourceExhausted(Message),
    /// Somebody asked for the query to stop.
    #[error("{0}")]
    Cancelled(Message),
    /// A mistake of ours.
    #[error("{0}")]
    Internal(Message),
}

/// What clients want to tell apart within a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Nothing more than the class says.
    #[default]
    Plain,
    /// What the statement names does not exist.
    NotFound,
    /// What the statement makes is there already.
    Exists,
    /// What the statement asks for exists in SQL and not here.
    Unsupported,
    /// The time that the query may take is over.
    TimedOut,
    /// The user has no right to what the statement asks for.
    Denied,
}

/// What is said, where in the statement, and what to do next.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// What clients want to tell apart within the class.
    pub kind: Kind,
    /// One sentence, lower case, no final stop.
    pub text: String,
    /// Where in the statement, when known.
    pub position: Option<Position>,
    /// What to do next.
    pub hint: Option<String>,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nHint: {hint}")?;
        }
        Ok(())
    }
}

impl Error {
    /// A mistake in the statement or the catalog file.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User(Message { text: text.into(), ..Message::default() })
    }

    /// A mistake of ours.
    pub fn internal(text: impl Into<String>) -> Self {
        Self::Internal(Message { text: text.into(), ..Message::default() })
    }

    /// Somebody asked for the query to stop.
    pub fn cancelled(text: impl Into<String>) -> Self {
        Self::Cancelled(Message { text: text.into(), ..Message::default() })
    }

    /// What the statement names does not exist.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::User(Message { kind: Kind::NotFound, text: text.into(), ..Message::default() })
    }

    /// What the statement makes is there already.
    pub fn exists(text: impl Into<String>) -> Self {
        Self::User(Message { kind: Kind::Exists, text: text.into(), ..Message::default() })
    }

    /// What the statement asks for exists in SQL and not here.
    pub fn unsupported(text: impl Into<String>) -> Self {
        Self::User(Message { kind: Kind::Unsupported, text: text.into(), ..Message::default() })
    }

    /// The user has no right to what the statement asks for.
    pub fn denied(text: impl Into<String>) -> Self {
        Self::User(Message { kind: Kind::Denied, text: text.into(), ..Message::default() })
    }

    /// The time that the query may take is over.
    pub fn timed_out(text: impl Into<String>) -> Self {
        Self::Cancelled(Message { kind: Kind::TimedOut, text: text.into(), ..Message::default() })
    }

    /// A limit was reached.
    pub fn resource_exhausted(text: impl Into<String>) -> Self {
        Self::ResourceExhausted(Message { text: text.into(), ..Message::default() })
    }

    /// An error of a class.
    pub fn of(class: ErrorClass, message: Message) -> Self {
        match class {
            ErrorClass::User => Self::User(message),
            ErrorClass::Source => Self::Source(message),
            ErrorClass::ResourceExhausted => Self::ResourceExhausted(message),
            ErrorClass::Cancelled => Self::Cancelled(message),
            ErrorClass::Internal => Self::Internal(message),
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.message_mut().hint = Some(hint.into());
        self
    }

    /// Adds the place in the statement.
    #[must_use]
    pub fn at(mut self, position: Option<Position>) -> Self {
        self.message_mut().position = position;
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

    /// What is said.
    pub fn message(&self) -> &Message {
        match self {
            Self::User(message)
            | Self::Source(message)
            | Self::ResourceExhausted(message)
            | Self::Cancelled(message)
            | Self::Internal(message) => message,
        }
    }

    fn message_mut(&mut self) -> &mut Message {
        match self {
            Self::User(message)
            | Self::Source(message)
            | Self::ResourceExhausted(message)
            | Self::Cancelled(message)
            | Self::Internal(message) => message,
        }
    }

    /// The message with the line of the statement that it is about and a caret under the place.
    pub fn render(&self, statement: &str) -> String {
        let message = self.message();
        let mut text = message.text.clone();
        if let Some(position) = message.position
            && let Some(line) = statement.lines().nth(usize::try_from(position.line).unwrap_or(0).saturating_sub(1))
        {
            let prefix = format!("LINE {}: ", position.line);
            let offset = prefix.len() + usize::try_from(position.column).unwrap_or(1).saturating_sub(1);
            text = format!("{text}\n{prefix}{line}\n{}^", " ".repeat(offset));
        }
        if let Some(hint) = &message.hint {
            text = format!("{text}\nHint: {hint}");
        }
        text
    }
}

impl From<ConnectorError> for Error {
    fn from(error: ConnectorError) -> Self {
        let mut detail = error.detail().clone();
        let hint = detail.hint.take();
        let kind = match detail.kind {
            ErrorKind::Plain => Kind::Plain,
            ErrorKind::Exists => Kind::Exists,
        };
        Self::of(error.class(), Message { kind, text: detail.to_string(), hint, ..Message::default() })
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        let position = error
            .diagnostic()
            .and_then(|diagnostic| diagnostic.span)
            .map(|span| Position { line: span.start.line, column: span.start.column });
        let classified = classify(&error);
        // A parser's position is in its message already.
        if position.is_some() { classified.at(position) } else { classified }
    }
}

/// The first of several errors that says something of its own: joined errors come from parallel partitions.
fn classify(error: &DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::External(inner) => {
            match (inner.downcast_ref::<ConnectorError>(), inner.downcast_ref::<Error>()) {
                (Some(connector), _) => connector.clone().into(),
                (_, Some(ours)) => ours.clone(),
                _ if inner.is::<ArithmeticError>() => Error::user(inner.to_string()),
                _ => Error::internal(inner.to_string()),
            }
        }
        DataFusionError::Collection(errors) => {
            errors.first().map_or_else(|| Error::internal("an unknown error"), classify)
        }
        DataFusionError::ArrowError(arrow, _) => arrow_error(arrow),
        DataFusionError::SchemaError(schema, _) => schema_error(schema),
        DataFusionError::SQL(parse, _) => syntax_error(&parse.to_string()),
        DataFusionError::Plan(text) => plan_error(text),
        DataFusionError::Configuration(text) => Error::user(lead(text)),
        // DataFusion prints the whole expression as its own code has it.
        DataFusionError::NotImplemented(text) if text.contains("does not support logical expression") => {
            Error::unsupported("not supported: a subquery in this place").hint("move it to WHERE, or join its table")
        }
        DataFusionError::NotImplemented(text) => Error::unsupported(format!("not supported: {}", lead(text))),
        DataFusionError::ResourcesExhausted(text) => {
            Error::resource_exhausted(lead(text)).hint("raise --memory-limit, or make the query smaller")
        }
        DataFusionError::Execution(text) => no_function(text).unwrap_or_else(|| Error::user(lead(text))),
        other => {
            let text = other.strip_backtrace();
            no_function(&text).unwrap_or_else(|| Error::internal(text))
        }
    }
}

fn arrow_error(error: &datafusion::arrow::error::ArrowError) -> Error {
    use datafusion::arrow::error::ArrowError;
    match error {
        ArrowError::DivideByZero => Error::user("division by zero"),
        ArrowError::ArithmeticOverflow(text) => Error::user(format!("arithmetic overflow: {}", lead(text))),
        ArrowError::CastError(text) | ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text) => {
            Error::user(lead(text))
        }
        ArrowError::ParseError(text) => Error::user(lead(text)),
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => classify(inner),
            None => match inner.downcast_ref::<ConnectorError>() {
                Some(connector) => connector.clone().into(),
                None => Error::internal(inner.to_string()),
            },
        },
        other => Error::internal(other.to_string()),
    }
}

fn schema_error(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let error = Error::user(format!("column {} does not exist", field.quoted_flat_name()));
            let names: Vec<&str> = valid_fields.iter().map(|column| column.name.as_str()).collect();
            match portolan_connector::properties::nearest(&field.name, names.iter().copied()) {
                Some(near) => error.hint(format!("did you mean \"{near}\"?")),
                None if names.is_empty() => error,
                None => error.hint(format!("columns here are {}", some_of(&names))),
            }
        }
        SchemaError::AmbiguousReference { field } => {
            Error::user(format!("column {} is ambiguous", field.quoted_flat_name()))
                .hint("write the table's name or alias in front of it")
        }
        other => Error::user(other.to_string()),
    }
}

/// The first names of a list, and how many more there are.
pub(crate) fn some_of(names: &[&str]) -> String {
    const NAMES_MAX: usize = 12;
    let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(NAMES_MAX) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// A parser's message, with the position taken out of its text into its place.
pub(crate) fn syntax_error(text: &str) -> Error {
    let text = text
        .trim_start_matches("sql parser error: ")
        .trim_start_matches("SQL error: ")
        .trim_start_matches("ParserError(\"")
        .trim_end_matches("\")");
    let (message, position) = match text.rsplit_once(" at Line: ") {
        Some((message, place)) => (message, read_position(place)),
        None => (text, None),
    };
    Error::user(format!("syntax error: {message}")).at(position)
}

/// `3, Column: 7` as the parser writes it.
fn read_position(place: &str) -> Option<Position> {
    let (line, column) = place.split_once(", Column: ")?;
    let digits: String = column.chars().take_while(char::is_ascii_digit).collect();
    Some(Position { line: line.trim().parse().ok()?, column: digits.parse().ok()? })
}

fn plan_error(text: &str) -> Error {
    no_function(text).unwrap_or_else(|| Error::user(lead(text)))
}

/// The message without what only developers can use, starting in lower case unless its first word is a name.
fn lead(text: &str) -> String {
    let text = text.split("\n\nbacktrace").next().unwrap_or(text);
    let text = text.trim_start_matches("Error during planning: ").trim_end_matches('.');
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_becomes_a_line_and_a_caret() {
        let error = syntax_error("sql parser error: Expected: an expression, found: FROM at Line: 2, Column: 3");
        assert_eq!(
            error.render("SELECT\n  FROM t"),
            "syntax error: Expected: an expression, found: FROM\nLINE 2:   FROM t\n          ^"
        );
    }

    #[test]
    fn a_connector_error_keeps_its_class_and_its_hint() {
        let error = DataFusionError::from(ConnectorError::source("cannot read").said("reset").hint("try again"));
        let error = Error::from(error.context("while scanning"));
        assert_eq!(error.class(), ErrorClass::Source);
        assert_eq!(error.to_string(), "cannot read: reset\nHint: try again");
    }
}
