//! The reference of `portolan sql`, made from the declarations of its options, commands and variables.

use std::fmt::Write;

use clap::CommandFactory;

use super::args::Arguments;
use super::shell::command::{COMMANDS, STATEMENTS};
use super::shell::{OPTIONS, variables};

/// The reference in Markdown, without its heading. Writing to a String does not fail.
pub fn sql_reference() -> String {
    let mut text = String::new();
    flags(&mut text);
    commands(&mut text);
    options(&mut text);
    variables_and_files(&mut text);
    statements(&mut text);
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn flags(text: &mut String) {
    text.push_str("## Options of the command line\n\n| option | meaning |\n|---|---|\n");
    let mut command = Arguments::command();
    // Fills in what is inherited.
    command.build();
    let Some(sql) = command.find_subcommand("sql") else { return };
    let mut arguments: Vec<_> = sql.get_arguments().filter(|argument| argument.get_id() != "help").collect();
    arguments.sort_by_key(|argument| argument.get_long().unwrap_or_default().to_owned());
    for argument in arguments {
        let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
        let long = argument.get_long().unwrap_or_default();
        let takes = argument.get_action().takes_values();
        let value = argument.get_value_names().filter(|_| takes).and_then(|names| names.first());
        let value = value.map(|name| format!(" {name}")).unwrap_or_default();
        let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let values: Vec<String> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if takes && !values.is_empty() {
            help = format!("{help}: {}", values.join(", "));
        }
        if let Some(variable) = argument.get_env().and_then(|name| name.to_str()) {
            help = format!("{help}. Environment: `{variable}`");
        }
        let _ = writeln!(text, "| `{short}--{long}{}` | {} |", cell(&value), cell(&help));
    }
    text.push_str(
        "\nThe password is `PORTOLAN_PASSWORD`, or the content of `--password-file`, or is asked for at the terminal; it is never \
         an argument, because others see those.\n\n\
         ### Exit status\n\n| status | meaning |\n|---|---|\n\
         | 0 | all statements succeeded, or whoever read the output left |\n\
         | 1 | a statement or command failed, also with `--keep-going`; the server or a file cannot be reached |\n\
         | 2 | wrong usage: nothing was run |\n\
         | 130 | Ctrl-C ended a script |\n\n\
         Scripts (`-c`, `-f`, standard input) stop at the first failure, unless `--keep-going` or `-v ON_ERROR_STOP=0` says \
         otherwise. Only results go to standard output; errors and progress go to standard error.\n\n",
    );
}

fn commands(text: &mut String) {
    text.push_str("## Commands\n");
    let mut group = "";
    for spec in COMMANDS {
        if spec.group != group {
            group = spec.group;
            let _ = write!(text, "\n### {group}\n\n| command | meaning |\n|---|---|\n");
        }
        let call = format!("\\{} {}", spec.name, spec.arguments);
        let _ = writeln!(text, "| `{}` | {} |", cell(call.trim_end()), cell(spec.help));
    }
    text.push_str(
        "\nA PATTERN is a name with `*` and `?` in it, with a catalog and a schema before it where they are meant: \
         `\\dt pg.public.cust*`.\n\n",
    );
}

fn options(text: &mut String) {
    text.push_str("## Options of `\\pset`\n\n| option | values | meaning |\n|---|---|---|\n");
    for option in OPTIONS {
        let _ = writeln!(text, "| `{}` | {} | {} |", option.name, cell(option.values), cell(option.help));
    }
    text.push('\n');
}

fn variables_and_files(text: &mut String) {
    let _ = write!(
        text,
        "## Variables\n\n\
         `\\set`, `-v`, `\\gset` and `\\prompt` give variables their values. In a statement, outside strings, quoted names and \
         comments, `:name` is the value as it is, `:'name'` a literal and `:\"name\"` a quoted name; a name that is no variable stays \
         as it is.\n\n| variable | meaning |\n|---|---|\n"
    );
    for (name, help) in variables::SPECIAL {
        let _ = writeln!(text, "| `{name}` | {} |", cell(help));
    }
    text.push_str(
        "\n## Files\n\n\
         `~/.portolanrc`, or the file that `PORTOLANRC` names, is run before anything else; `-X` leaves it out. The history is kept in \
         `$XDG_STATE_HOME/portolan/history`, which is `~/.local/state/portolan/history` unless it is set. An input that begins with a \
         space is not kept.\n\n",
    );
}

fn statements(text: &mut String) {
    text.push_str("## Statements\n");
    for spec in STATEMENTS {
        let _ = write!(text, "\n### {}\n\n{}\n\n```\n{}\n```\n", spec.name, spec.help, spec.syntax);
    }
}
