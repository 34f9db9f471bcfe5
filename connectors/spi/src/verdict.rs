//! What a table says of one conjunct.

use std::borrow::Cow;
use std::fmt;

/// Why a source does not do something. Written for the person reading EXPLAIN: one clause, no trailing stop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason(Cow<'static, str>);

impl Reason {
    /// Makes a reason from a text such as `PostgreSQL's regular expressions differ from the engine's`.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&'static str> for Reason {
    fn from(text: &'static str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// What a table does with one conjunct of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The source returns exactly the rows for which the conjunct is true, as the engine would. The engine drops it.
    Exact,
    /// The source skips some of what cannot match and never a row that does. The engine evaluates the conjunct again.
    Pruning,
    /// The source does nothing with it.
    Refused(Reason),
}

impl Verdict {
    /// A refusal with its reason.
    pub fn refused(reason: impl Into<Reason>) -> Self {
        Self::Refused(reason.into())
    }

    /// `exact`, `pruning` or `refused`, as EXPLAIN prints it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Pruning => "pruning",
            Self::Refused(_) => "refused",
        }
    }

    /// The reason of a refusal.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Refused(reason) => Some(reason),
            Self::Exact | Self::Pruning => None,
        }
    }
}
