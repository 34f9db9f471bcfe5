//! Reads a command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use portolan_connector::properties::nearest;

use super::table::FORMATS;
use super::words::words;
use super::{COMMANDS, Command, CopyTo, Destination, Listed, ListedKind};
use crate::cli::output::{Expanded, Format};
use crate::cli::shell::lex::{self, Kind};
use crate::cli::shell::variables::{Variables, is_name};

/// How often `\watch` runs a statement when nothing else is said, and the most that can be said.
const WATCH_DEFAULT: Duration = Duration::from_secs(2);
const WATCH_SECONDS_MAX: f64 = 86_400.0;

/// A command line in pieces: its name, and what stands behind it.
struct Line<'a> {
    name: &'a str,
    /// What is behind the name as it was typed.
    raw: &'a str,
    /// The same in words.
    words: Vec<String>,
}

impl Command {
    /// Whether a command takes the rest of its line as it is, backslashes and all.
    pub(crate) fn takes_whole_line(line: &str) -> bool {
        let (name, rest) = name_and_rest(line);
        matches!(name, "!" | "copy" | "echo")
            || (matches!(name, "g" | "gx" | "o" | "out" | "w" | "write") && rest.trim_start().starts_with('|'))
    }

    /// Reads a command line without its backslash. The error is a message for the person.
    pub(crate) fn parse(line: &str, variables: &Variables) -> Result<Self, String> {
        let (name, raw) = name_and_rest(line);
        // psql's `+` asks for more than there is to show.
        let base = Some(name.trim_end_matches('+')).filter(|base| !base.is_empty()).unwrap_or(name);
        let words = if Self::takes_whole_line(line) && base != "echo" { Vec::new() } else { words(raw, variables)? };
        let line = Line { name, raw, words };
        let command = match base {
            "l" | "list" => line.listed(ListedKind::Catalogs),
            "dn" => line.listed(ListedKind::Schemas),
            "dt" => line.listed(ListedKind::Tables),
            "dv" => line.listed(ListedKind::Views),
            "df" => line.listed(ListedKind::Functions),
            "d" if line.words.is_empty() => line.listed(ListedKind::Tables),
            "d" => Self::Describe { name: line.rest() },
            "c" | "connect" => Self::Connect { place: line.required("CATALOG[.SCHEMA]")? },
            "conninfo" => Self::ConnectionInfo,
            "queries" => Self::Queries,
            "kill" => Self::Kill { id: line.required("QUERY_ID")? },
            "x" => Self::Expanded(line.first().map(expanded).transpose()?),
            "timing" => Self::Timing(line.switch()?),
            "explain" => Self::Explain(line.switch()?),
            "t" => Self::TuplesOnly(line.switch()?),
            "a" => Self::Aligned,
            "format" => Self::Format(line.first().map(format).transpose()?),
            "pset" => Self::Display { name: line.word(0), value: line.word(1) },
            "o" | "out" => Self::Output(line.destination()),
            "i" | "include" => Self::Include { path: line.path("FILE")?, relative: false },
            "ir" | "include_relative" => Self::Include { path: line.path("FILE")?, relative: true },
            "copy" => Self::Copy(copy(raw)?),
            "echo" => line.echo(),
            "set" => line.set()?,
            "unset" => Self::Unset { name: line.required("NAME")? },
            "prompt" => line.prompt()?,
            "e" | "edit" => Self::Edit { path: line.first().map(path) },
            "g" | "go" => Self::Run { expanded: false, to: line.destination() },
            "gx" => Self::Run { expanded: true, to: line.destination() },
            "gdesc" => Self::DescribeResult,
            "gset" => Self::RunIntoVariables { prefix: line.word(0).unwrap_or_default() },
            "watch" => Self::Watch { interval: line.first().map_or(Ok(WATCH_DEFAULT), seconds)? },
            "p" | "print" => Self::Print,
            "r" | "reset" => Self::Reset,
            "w" | "write" => Self::Write(line.destination().ok_or_else(|| line.needs("FILE or |COMMAND"))?),
            "s" => Self::History(line.first().map(path)),
            "!" => Self::Shell(Some(raw.trim().to_owned()).filter(|command| !command.is_empty())),
            "cd" => Self::ChangeDirectory(line.first().map(path)),
            "?" => Self::Help,
            "h" | "help" => Self::SqlHelp(Some(line.rest()).filter(|words| !words.is_empty())),
            "q" | "quit" => Self::Quit,
            _ => return Err(unknown(name)),
        };
        let takes = COMMANDS.iter().find(|spec| spec.name == base).map_or("-", |spec| spec.arguments);
        match line.first() {
            Some(argument) if takes.is_empty() => Err(format!("\\{name} takes no argument, not \"{argument}\"")),
            _ => Ok(command),
        }
    }
}

fn name_and_rest(line: &str) -> (&str, &str) {
    // `\!ls` needs no space.
    match line.trim_start().strip_prefix('!') {
        Some(rest) => ("!", rest),
        None => {
            let line = line.trim().trim_end_matches(';').trim_end();
            line.split_once(char::is_whitespace).unwrap_or((line, ""))
        }
    }
}

impl Line<'_> {
    fn first(&self) -> Option<&str> {
        self.words.first().map(String::as_str)
    }

    fn word(&self, index: usize) -> Option<String> {
        self.words.get(index).cloned()
    }

    /// All words, as one text.
    fn rest(&self) -> String {
        self.words.join(" ")
    }

    fn needs(&self, what: &str) -> String {
        format!("\\{} needs {what}", self.name)
    }

    fn required(&self, what: &str) -> Result<String, String> {
        Some(self.rest()).filter(|rest| !rest.is_empty()).ok_or_else(|| self.needs(what))
    }

    fn path(&self, what: &str) -> Result<PathBuf, String> {
        self.required(what).map(|text| path(&text))
    }

    fn listed(&self, what: ListedKind) -> Command {
        Command::List(Listed { what, pattern: Some(self.rest()).filter(|pattern| !pattern.is_empty()) })
    }

    fn switch(&self) -> Result<Option<bool>, String> {
        self.first().map(|word| switch(self.name, word)).transpose()
    }

    /// A file, or a command behind a bar.
    fn destination(&self) -> Option<Destination> {
        match self.raw.trim_start().strip_prefix('|') {
            Some(command) => Some(Destination::Pipe(command.trim().to_owned())),
            None => Some(self.rest()).filter(|rest| !rest.is_empty()).map(|rest| Destination::File(path(&rest))),
        }
    }

    fn echo(&self) -> Command {
        match self.words.split_first() {
            Some((option, rest)) if option == "-n" => Command::Echo { text: rest.join(" "), line_feed: false },
            _ => Command::Echo { text: self.rest(), line_feed: true },
        }
    }

    fn set(&self) -> Result<Command, String> {
        let Some((name, values)) = self.words.split_first() else {
            return Ok(Command::Set { name: None, value: String::new() });
        };
        variable(name)?;
        Ok(Command::Set { name: Some(name.clone()), value: values.concat() })
    }

    fn prompt(&self) -> Result<Command, String> {
        let (text, name) = match self.words.as_slice() {
            [] => return Err(self.needs("the NAME of a variable")),
            [name] => (String::new(), name),
            [text, .., name] => (text.clone(), name),
        };
        variable(name)?;
        Ok(Command::Prompt { text, name: name.clone() })
    }
}

fn variable(name: &str) -> Result<(), String> {
    if is_name(name) {
        return Ok(());
    }
    Err(format!("\"{name}\" cannot be a variable's name: it has letters, digits and _"))
}

fn unknown(name: &str) -> String {
    let near = nearest(name, COMMANDS.iter().map(|spec| spec.name));
    match near {
        Some(near) => format!("there is no command \\{name}: did you mean \\{near}? \\? lists the commands"),
        None => format!("there is no command \\{name}: \\? lists the commands"),
    }
}

/// `on` or `off`, for the command or option of this name.
pub(in crate::cli::shell) fn switch(name: &str, word: &str) -> Result<bool, String> {
    match word.to_lowercase().as_str() {
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        other => Err(format!("\\{name} is on or off, not \"{other}\"")),
    }
}

/// When rows are shown as lists of their values.
pub(in crate::cli::shell) fn expanded(word: &str) -> Result<Expanded, String> {
    match word.to_lowercase().as_str() {
        "auto" => Ok(Expanded::Auto),
        "on" | "true" | "1" => Ok(Expanded::On),
        "off" | "false" | "0" => Ok(Expanded::Off),
        other => Err(format!("\\x is on, off or auto, not \"{other}\"")),
    }
}

/// A format by its name.
pub(in crate::cli::shell) fn format(word: &str) -> Result<Format, String> {
    Format::from_str(word, true).map_err(|_| format!("there is no format \"{word}\": it is {}", FORMATS.join(", ")))
}

fn seconds(word: &str) -> Result<Duration, String> {
    // psql also takes i=2.
    let number = word.strip_prefix("i=").unwrap_or(word);
    match number.parse::<f64>() {
        Ok(seconds) if (0.0..=WATCH_SECONDS_MAX).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("\\watch takes a number of seconds, not \"{word}\"")),
    }
}

/// A file's path, without quotes around it.
fn path(text: &str) -> PathBuf {
    let within = text.strip_prefix('"').and_then(|path| path.strip_suffix('"'));
    PathBuf::from(within.unwrap_or(text))
}

/// `(query) to 'file' [format NAME]`; a table's name may stand for the query, and `program 'command'` or `stdout` for
/// the file.
fn copy(text: &str) -> Result<CopyTo, String> {
    let usage = "write \\copy (SELECT ...) to 'FILE.csv' [format csv]";
    let mut depth = 0_usize;
    let mut to = None;
    for token in lex::tokens(text) {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            word if depth == 0 && token.kind == Kind::Word && word.eq_ignore_ascii_case("to") => {
                to = Some((token.start, token.end()));
                break;
            }
            word if depth == 0 && token.kind == Kind::Word && word.eq_ignore_ascii_case("from") => {
                return Err("\\copy writes files, and reads none".to_owned());
            }
            _ => {}
        }
    }
    let (start, end) = to.ok_or(usage)?;
    let source = text.get(..start).unwrap_or_default().trim();
    let sql = match source.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(query) => query.trim().to_owned(),
        None if source.is_empty() => return Err(usage.to_owned()),
        None => format!("SELECT * FROM {source}"),
    };
    let words = words(text.get(end..).unwrap_or_default(), &Variables::default())?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (destination, options) = match words.as_slice() {
        [word, rest @ ..] if word.eq_ignore_ascii_case("stdout") => (None, rest),
        [word, command, rest @ ..] if word.eq_ignore_ascii_case("program") => {
            (Some(Destination::Pipe((*command).to_owned())), rest)
        }
        [file, rest @ ..] => (Some(Destination::File(path(file))), rest),
        [] => return Err(usage.to_owned()),
    };
    let options = options.join(" ");
    let mut named = options
        .trim_matches(['(', ')'])
        .split_whitespace()
        .filter(|word| !["with", "format"].iter().any(|filler| filler.eq_ignore_ascii_case(word)));
    let format = match (named.next_back(), &destination) {
        (Some(name), _) => format(name)?,
        (None, Some(Destination::File(path))) => {
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            let known = format(extension);
            known.map_err(|_| format!("\"{extension}\" does not say the format: add one of {}", FORMATS.join(", ")))?
        }
        (None, _) => Format::Csv,
    };
    Ok(CopyTo { sql, to: destination, format })
}
