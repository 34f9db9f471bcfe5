//! Backslash commands: what they are called, what they take, and how they are read.

use std::path::PathBuf;

use clap::ValueEnum;
use portolan_connector::properties::nearest;

use crate::cli::output::{Expanded, Format};

/// A command, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Catalogs { pattern: Option<String> },
    Schemas { pattern: Option<String> },
    Tables { pattern: Option<String>, views_only: bool },
    Describe { name: String },
    Connect { place: String },
    ConnectionInfo,
    Expanded(Option<Expanded>),
    Timing(Option<bool>),
    Format(Option<Format>),
    Output(Option<PathBuf>),
    Include(PathBuf),
    Edit,
    Run { expanded: bool },
    Print,
    Reset,
    Help,
    SqlHelp,
    Quit,
}

/// A command as help and completion know it.
#[derive(Debug)]
pub(crate) struct CommandSpec {
    /// Its name without the backslash.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) arguments: &'static str,
    /// What it does.
    pub(crate) help: &'static str,
    /// What its argument is completed with.
    pub(crate) argument: Argument,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    None,
    /// A catalog, schema or table.
    Name,
    /// A file.
    File,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

const SWITCH: &[&str] = &["on", "off"];
const EXPANDED: &[&str] = &["on", "off", "auto"];
const FORMATS: &[&str] = &["table", "csv", "tsv", "json", "ndjson"];

/// All commands, in the order of the help.
pub(crate) const COMMANDS: &[CommandSpec] = &[
    spec("l", "[PATTERN]", "list catalogs", Argument::Name),
    spec("dn", "[PATTERN]", "list schemas", Argument::Name),
    spec("dt", "[PATTERN]", "list tables and views", Argument::Name),
    spec("dv", "[PATTERN]", "list views", Argument::Name),
    spec("d", "[TABLE]", "describe a table, or list tables and views", Argument::Name),
    spec("c", "CATALOG[.SCHEMA]", "choose where names are looked up, as USE does", Argument::Name),
    spec("conninfo", "", "say what this session is connected to", Argument::None),
    spec("x", "[on|off|auto]", "show each row as a list of its values", Argument::OneOf(EXPANDED)),
    spec("timing", "[on|off]", "show how long statements take", Argument::OneOf(SWITCH)),
    spec("format", "[FORMAT]", "table, csv, tsv, json or ndjson", Argument::OneOf(FORMATS)),
    spec("o", "[FILE]", "write results to a file, or to the screen again", Argument::File),
    spec("i", "FILE", "run the statements of a file", Argument::File),
    spec("e", "", "edit the statement with $VISUAL or $EDITOR", Argument::None),
    spec("g", "", "run the statement again, or the one being typed", Argument::None),
    spec("gx", "", "as \\g, with each row as a list", Argument::None),
    spec("p", "", "print the statement being typed, or the last one", Argument::None),
    spec("r", "", "forget the statement being typed", Argument::None),
    spec("h", "", "list the statements", Argument::None),
    spec("?", "", "list these commands", Argument::None),
    spec("q", "", "quit (or Ctrl-D)", Argument::None),
];

const fn spec(name: &'static str, arguments: &'static str, help: &'static str, argument: Argument) -> CommandSpec {
    CommandSpec { name, arguments, help, argument }
}

impl Command {
    /// Reads a command line without its backslash. The error is a message for the person.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let line = line.trim().trim_end_matches(';').trim_end();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = Some(rest.trim()).filter(|rest| !rest.is_empty());
        // psql's `+` asks for more than there is to show.
        let base = Some(name.trim_end_matches('+')).filter(|base| !base.is_empty()).unwrap_or(name);
        let command = match base {
            "l" | "list" => Self::Catalogs { pattern: argument.map(str::to_owned) },
            "dn" => Self::Schemas { pattern: argument.map(str::to_owned) },
            "dt" => Self::Tables { pattern: argument.map(str::to_owned), views_only: false },
            "dv" => Self::Tables { pattern: argument.map(str::to_owned), views_only: true },
            "d" => match argument {
                Some(name) => Self::Describe { name: name.to_owned() },
                None => Self::Tables { pattern: None, views_only: false },
            },
            "c" | "connect" => Self::Connect { place: required(name, argument, "CATALOG[.SCHEMA]")?.to_owned() },
            "conninfo" => Self::ConnectionInfo,
            "x" => Self::Expanded(argument.map(expanded).transpose()?),
            "timing" => Self::Timing(argument.map(|word| switch(name, word)).transpose()?),
            "format" => Self::Format(argument.map(format).transpose()?),
            "o" | "out" => Self::Output(argument.map(|path| PathBuf::from(unquoted(path)))),
            "i" | "include" => Self::Include(PathBuf::from(unquoted(required(name, argument, "FILE")?))),
            "e" | "edit" => Self::Edit,
            "g" => Self::Run { expanded: false },
            "gx" => Self::Run { expanded: true },
            "p" | "print" => Self::Print,
            "r" | "reset" => Self::Reset,
            "?" => Self::Help,
            "h" | "help" => Self::SqlHelp,
            "q" | "quit" => Self::Quit,
            _ => return Err(unknown(name)),
        };
        let takes = COMMANDS.iter().find(|spec| spec.name == base).map_or("-", |spec| spec.arguments);
        match argument {
            Some(argument) if takes.is_empty() => Err(format!("\\{name} takes no argument, not \"{argument}\"")),
            _ => Ok(command),
        }
    }
}

fn unknown(name: &str) -> String {
    let near = nearest(name, COMMANDS.iter().map(|spec| spec.name));
    match near {
        Some(near) => format!("there is no command \\{name}: did you mean \\{near}? \\? lists the commands"),
        None => format!("there is no command \\{name}: \\? lists the commands"),
    }
}

fn required<'a>(name: &str, argument: Option<&'a str>, what: &str) -> Result<&'a str, String> {
    argument.ok_or_else(|| format!("\\{name} needs {what}"))
}

fn switch(name: &str, word: &str) -> Result<bool, String> {
    match word.to_lowercase().as_str() {
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        other => Err(format!("\\{name} is on or off, not \"{other}\"")),
    }
}

fn expanded(word: &str) -> Result<Expanded, String> {
    match word.to_lowercase().as_str() {
        "auto" => Ok(Expanded::Auto),
        "on" | "true" | "1" => Ok(Expanded::On),
        "off" | "false" | "0" => Ok(Expanded::Off),
        other => Err(format!("\\x is on, off or auto, not \"{other}\"")),
    }
}

fn format(word: &str) -> Result<Format, String> {
    let aligned = if word == "aligned" { "table" } else { word };
    Format::from_str(aligned, true).map_err(|_| format!("there is no format \"{word}\": it is {}", FORMATS.join(", ")))
}

/// A file's name without quotes around it.
fn unquoted(path: &str) -> &str {
    let within = |quote| path.strip_prefix(quote).and_then(|path| path.strip_suffix(quote));
    within('\'').or_else(|| within('"')).unwrap_or(path)
}

/// The help for all commands.
pub(crate) fn help() -> String {
    let mut text = String::new();
    for spec in COMMANDS {
        let call = format!("\\{} {}", spec.name, spec.arguments);
        text.push_str(&format!("  {call:<22} {}\n", spec.help));
    }
    text.push_str("\nA statement ends with a semicolon. Ctrl-C drops what is typed, or cancels what runs.\n");
    text.push_str("A PATTERN is a name with * and ? in it: \\dt pg.public.cust*\n");
    text
}

/// The help for SQL.
pub(crate) const SQL_HELP: &str = "\
  SELECT ..., WITH ..., VALUES ...       query; tables are catalog.schema.table
  EXPLAIN [ANALYZE] [VERBOSE] query      what every source is asked to do, and what it refused
  SHOW CATALOGS | SCHEMAS | TABLES       [FROM place] [LIKE 'pattern']
  SHOW COLUMNS FROM table                DESCRIBE table and DESCRIBE query say more
  SHOW CREATE TABLE table                the source's own definition
  SHOW CAPABILITIES [FROM catalog]       the rules by which a source is given work
  SHOW FUNCTIONS [LIKE 'pattern']        the engine's functions
  USE catalog[.schema]                   where names are looked up
  SET SESSION name = value               RESET SESSION name; SHOW SESSION lists the settings
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_psql_reads_them() {
        let some = |text: &str| Some(text.to_owned());
        for (line, expected) in [
            ("l", Command::Catalogs { pattern: None }),
            ("l+", Command::Catalogs { pattern: None }),
            ("dt pg.*", Command::Tables { pattern: some("pg.*"), views_only: false }),
            ("dv", Command::Tables { pattern: None, views_only: true }),
            ("d", Command::Tables { pattern: None, views_only: false }),
            ("d+ pg.public.\"My Table\";", Command::Describe { name: "pg.public.\"My Table\"".to_owned() }),
            ("x", Command::Expanded(None)),
            ("x AUTO", Command::Expanded(Some(Expanded::Auto))),
            ("timing on", Command::Timing(Some(true))),
            ("format csv", Command::Format(Some(Format::Csv))),
            ("o 'a file.csv'", Command::Output(Some(PathBuf::from("a file.csv")))),
            ("o", Command::Output(None)),
            ("i x.sql", Command::Include(PathBuf::from("x.sql"))),
            ("gx", Command::Run { expanded: true }),
            ("?", Command::Help),
            ("q", Command::Quit),
        ] {
            assert_eq!(Command::parse(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn mistakes_say_what_is_right() {
        for (line, expected) in [
            ("timng", "there is no command \\timng: did you mean \\timing? \\? lists the commands"),
            ("zzz", "there is no command \\zzz: \\? lists the commands"),
            ("i", "\\i needs FILE"),
            ("x maybe", "\\x is on, off or auto, not \"maybe\""),
            ("q now", "\\q takes no argument, not \"now\""),
            ("format xml", "there is no format \"xml\": it is table, csv, tsv, json, ndjson"),
        ] {
            assert_eq!(Command::parse(line), Err(expected.to_owned()), "{line}");
        }
    }

    #[test]
    fn every_command_of_the_help_exists() {
        for spec in COMMANDS {
            let argument = match spec.argument {
                Argument::OneOf(words) => words[0],
                Argument::None => "",
                _ => "x",
            };
            assert!(Command::parse(&format!("{} {argument}", spec.name)).is_ok(), "{}", spec.name);
        }
    }
}
