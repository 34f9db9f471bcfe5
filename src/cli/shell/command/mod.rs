//! Backslash commands: what they are called, what they take, and how they are read.

mod parse;
mod statements;
mod table;
mod words;

use std::path::PathBuf;
use std::time::Duration;

pub(super) use self::parse::{expanded, format, switch};
pub(crate) use self::statements::{STATEMENTS, statement_help, statements_help};
pub(crate) use self::table::{Argument, COMMANDS, help};
pub(crate) use self::words::split;
use crate::cli::output::{Expanded, Format};

/// A command, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Shows what is there.
    List(Listed),
    Describe {
        name: String,
    },
    Connect {
        place: String,
    },
    ConnectionInfo,
    Queries,
    Kill {
        id: String,
    },
    Expanded(Option<Expanded>),
    Timing(Option<bool>),
    Explain(Option<bool>),
    TuplesOnly(Option<bool>),
    /// Between aligned and unaligned.
    Aligned,
    Format(Option<Format>),
    /// Shows or changes an option of the display.
    Display {
        name: Option<String>,
        value: Option<String>,
    },
    Output(Option<Destination>),
    Include {
        path: PathBuf,
        /// Whether the path starts at the file that includes it.
        relative: bool,
    },
    Copy(CopyTo),
    Echo {
        text: String,
        line_feed: bool,
    },
    Set {
        name: Option<String>,
        value: String,
    },
    Unset {
        name: String,
    },
    Prompt {
        text: String,
        name: String,
    },
    Edit {
        path: Option<PathBuf>,
    },
    Run {
        expanded: bool,
        to: Option<Destination>,
    },
    /// Runs the statement and keeps its only row in variables.
    RunIntoVariables {
        prefix: String,
    },
    DescribeResult,
    Watch {
        interval: Duration,
    },
    Print,
    Write(Destination),
    History(Option<PathBuf>),
    Reset,
    Shell(Option<String>),
    ChangeDirectory(Option<PathBuf>),
    Help,
    SqlHelp(Option<String>),
    Quit,
}

/// What a listing is of, and of which names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) what: ListedKind,
    pub(crate) pattern: Option<String>,
}

/// What a listing is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListedKind {
    Catalogs,
    Schemas,
    Tables,
    Views,
    Functions,
}

/// Where output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    File(PathBuf),
    /// The standard input of a command of the system's shell.
    Pipe(String),
}

/// What `\copy` copies, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyTo {
    /// The query.
    pub(crate) sql: String,
    /// `None` is standard output.
    pub(crate) to: Option<Destination>,
    pub(crate) format: Format,
}

#[cfg(test)]
mod tests;
