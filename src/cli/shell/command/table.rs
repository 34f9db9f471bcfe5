//! All commands, declared once: for the help, completion and the reference.

use std::fmt::Write;

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
    /// The part of the help that it stands in.
    pub(crate) group: &'static str,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    None,
    /// Anything that cannot be completed.
    Text,
    /// A catalog, schema or table.
    Name,
    /// A file.
    File,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

const SWITCH: &[&str] = &["on", "off"];
const EXPANDED: &[&str] = &["on", "off", "auto"];

/// The formats' names.
pub(super) const FORMATS: &[&str] =
    &["table", "unaligned", "expanded", "csv", "tsv", "json", "ndjson", "markdown", "html", "arrow", "parquet", "null"];

/// The options of `\pset`.
const OPTIONS: &[&str] = &["border", "expanded", "fieldsep", "footer", "format", "null", "pager", "tuples_only"];

/// All commands, in the order of the help.
pub(crate) const COMMANDS: &[CommandSpec] = &[
    spec(LIST, "l", "[PATTERN]", "list catalogs", Argument::Name),
    spec(LIST, "dn", "[PATTERN]", "list schemas", Argument::Name),
    spec(LIST, "dt", "[PATTERN]", "list tables and views", Argument::Name),
    spec(LIST, "dv", "[PATTERN]", "list views", Argument::Name),
    spec(LIST, "d", "[TABLE]", "describe a table, or list tables and views", Argument::Name),
    spec(LIST, "df", "[PATTERN]", "list functions", Argument::Text),
    spec(RUN, "g", "[FILE | |COMMAND]", "run the statement, also into a file or a command", Argument::File),
    spec(RUN, "gx", "[FILE | |COMMAND]", "as \\g, with each row as a list", Argument::File),
    spec(RUN, "gdesc", "", "say which columns the statement returns, without running it", Argument::None),
    spec(RUN, "gset", "[PREFIX]", "run the statement and keep its only row in variables", Argument::Text),
    spec(RUN, "watch", "[SECONDS]", "run the statement again and again, until Ctrl-C", Argument::Text),
    spec(RUN, "explain", "[on|off]", "show the chart of each query below its result", Argument::OneOf(SWITCH)),
    spec(RUN, "timing", "[on|off]", "show how long statements take", Argument::OneOf(SWITCH)),
    spec(RUN, "queries", "", "list the queries that run, or ran not long ago", Argument::None),
    spec(RUN, "kill", "QUERY_ID", "cancel a query", Argument::Text),
    spec(SHOW, "x", "[on|off|auto]", "show each row as a list of its values", Argument::OneOf(EXPANDED)),
    spec(SHOW, "t", "[on|off]", "show rows only, without header and footer", Argument::OneOf(SWITCH)),
    spec(SHOW, "a", "", "switch between aligned and unaligned columns", Argument::None),
    spec(SHOW, "format", "[FORMAT]", "how results are written", Argument::OneOf(FORMATS)),
    spec(SHOW, "pset", "[OPTION [VALUE]]", "show or change an option of the display", Argument::OneOf(OPTIONS)),
    spec(
        FILES,
        "o",
        "[FILE | |COMMAND]",
        "write results to a file or a command, or to the screen again",
        Argument::File,
    ),
    spec(FILES, "copy", "QUERY to FILE", "write a query's rows to a file in the format of its name", Argument::Text),
    spec(FILES, "i", "FILE", "run the statements of a file", Argument::File),
    spec(FILES, "ir", "FILE", "as \\i, from the directory of the file that says so", Argument::File),
    spec(FILES, "e", "[FILE]", "edit the statement, or a file, with $VISUAL or $EDITOR", Argument::File),
    spec(FILES, "p", "", "print the statement being typed, or the last one", Argument::None),
    spec(FILES, "r", "", "forget the statement being typed", Argument::None),
    spec(FILES, "w", "FILE | |COMMAND", "write the statement to a file or a command", Argument::File),
    spec(FILES, "s", "[FILE]", "print the history, or write it to a file", Argument::File),
    spec(VARIABLES, "set", "[NAME [VALUE]]", "give a variable a value, or list all variables", Argument::Text),
    spec(VARIABLES, "unset", "NAME", "forget a variable", Argument::Text),
    spec(VARIABLES, "prompt", "[TEXT] NAME", "ask the person for a variable's value", Argument::Text),
    spec(VARIABLES, "echo", "[-n] [TEXT]", "print a text", Argument::Text),
    spec(SESSION, "c", "CATALOG[.SCHEMA]", "choose where names are looked up, as USE does", Argument::Name),
    spec(SESSION, "conninfo", "", "say what this session is connected to", Argument::None),
    spec(SESSION, "cd", "[DIRECTORY]", "change the working directory", Argument::File),
    spec(SESSION, "!", "[COMMAND]", "run a command of the system's shell, or the shell", Argument::Text),
    spec(SESSION, "h", "[STATEMENT]", "list the statements, or explain one", Argument::Text),
    spec(SESSION, "?", "", "list these commands", Argument::None),
    spec(SESSION, "q", "", "quit (or Ctrl-D)", Argument::None),
];

const LIST: &str = "What is there";
const RUN: &str = "Running statements";
const SHOW: &str = "Showing results";
const FILES: &str = "Statements, files and commands";
const VARIABLES: &str = "Variables";
const SESSION: &str = "The session";

const fn spec(
    group: &'static str,
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    argument: Argument,
) -> CommandSpec {
    CommandSpec { name, arguments, help, argument, group }
}

/// The help for all commands.
pub(crate) fn help() -> String {
    let mut text = String::new();
    let mut group = "";
    for spec in COMMANDS {
        if spec.group != group {
            let space = if group.is_empty() { "" } else { "\n" };
            group = spec.group;
            // Writing to a String does not fail.
            let _ = writeln!(text, "{space}{group}");
        }
        let call = format!("\\{} {}", spec.name, spec.arguments);
        let _ = writeln!(text, "  {call:<24} {}", spec.help);
    }
    text.push_str(
        "\nA statement ends with a semicolon. Ctrl-C drops what is typed, or cancels what runs.\n\
         A PATTERN is a name with * and ? in it: \\dt pg.public.cust*\n\
         :name, :'name' and :\"name\" in a statement are a variable's value as it is, as a literal, and as a name.",
    );
    text
}
