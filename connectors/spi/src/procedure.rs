//! Procedures of a catalog: what `CALL catalog.system.procedure(...)` does at a source besides reading and writing rows.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A procedure, as a connector declares it. How it is called, its messages and its reference come from this.
#[derive(Clone, Copy, Debug)]
pub struct ProcedureSpec {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Its arguments in order, required ones first.
    pub arguments: &'static [ArgumentSpec],
    /// Whether only administrators may call it.
    pub administrators: bool,
    /// What it does, in one line.
    pub help: &'static str,
}

/// An argument of a procedure.
#[derive(Clone, Copy, Debug)]
pub struct ArgumentSpec {
    /// Its name, in lower case.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: ArgumentKind,
    /// Whether a call without it is refused.
    pub required: bool,
    /// What it says, in one line.
    pub help: &'static str,
}

impl ArgumentSpec {
    /// An argument that may be left out.
    pub const fn new(name: &'static str, kind: ArgumentKind, help: &'static str) -> Self {
        Self { name, kind, required: false, help }
    }

    /// Makes the argument required.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// What the value of an argument looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// `TRUE` or `FALSE`.
    Boolean,
    /// A text that is a time with its unit, read by [`crate::properties::parse_duration`].
    Duration,
}

impl ArgumentKind {
    /// The type as signatures show it.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Text => "varchar",
            Self::Integer => "bigint",
            Self::Boolean => "boolean",
            Self::Duration => "duration",
        }
    }

    /// The kind for a person: `a text in single quotes`.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Text => "a text in single quotes",
            Self::Integer => "a whole number",
            Self::Boolean => "TRUE or FALSE",
            Self::Duration => "a time in single quotes, such as '30m' or '7d'",
        }
    }
}

impl ProcedureSpec {
    /// An argument by its name.
    pub fn argument(&self, name: &str) -> Option<&'static ArgumentSpec> {
        self.arguments.iter().find(|argument| argument.name == name)
    }
}

/// The signature: `kill_query(query_id varchar [, message varchar])`.
impl fmt::Display for ProcedureSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (index, argument) in self.arguments.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let shown = format!("{comma}{} {}", argument.name, argument.kind.type_name());
            match (argument.required, index) {
                (true, _) => f.write_str(&shown)?,
                (false, 0) => write!(f, "[{shown}]")?,
                (false, _) => write!(f, " [{shown}]")?,
            }
        }
        f.write_str(")")
    }
}

/// A value that a call gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentValue {
    /// Of a text.
    Text(String),
    /// Of a whole number.
    Integer(i64),
    /// Of a boolean.
    Boolean(bool),
    /// Of a time.
    Duration(Duration),
}

/// The values that a call gives, by name, checked against the procedure's declaration. A getter for another kind than was
/// declared finds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    values: BTreeMap<&'static str, ArgumentValue>,
}

impl Arguments {
    /// Gives an argument its value. Returns false when it has one already.
    pub fn insert(&mut self, name: &'static str, value: ArgumentValue) -> bool {
        self.values.insert(name, value).is_none()
    }

    /// Whether the call gives the argument.
    pub fn contains(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name)? {
            ArgumentValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.values.get(name)? {
            ArgumentValue::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// A boolean.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        match self.values.get(name)? {
            ArgumentValue::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// A time.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.values.get(name)? {
            ArgumentValue::Duration(duration) => Some(*duration),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures() {
        const ARGUMENTS: &[ArgumentSpec] = &[
            ArgumentSpec::new("table_name", ArgumentKind::Text, "the table").required(),
            ArgumentSpec::new("older_than", ArgumentKind::Duration, "how old"),
            ArgumentSpec::new("rows", ArgumentKind::Integer, "how many"),
        ];
        let signature =
            |arguments| ProcedureSpec { name: "clean", arguments, administrators: false, help: "cleans" }.to_string();
        assert_eq!(signature(&[]), "clean()");
        assert_eq!(signature(ARGUMENTS), "clean(table_name varchar [, older_than duration] [, rows bigint])");
        assert_eq!(signature(&ARGUMENTS[1..]), "clean([older_than duration] [, rows bigint])");
    }
}
