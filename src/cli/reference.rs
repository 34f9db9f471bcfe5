//! Reference pages that are made from the command line's definitions.

use std::fmt::Write as _;

use clap::{Arg, CommandFactory};

use super::args::Arguments;

/// What stands above options that say nothing else.
const HEADING: &str = "Options";

/// The options of `portolan serve` as a Markdown table for each group.
pub fn serve_reference() -> String {
    let mut text = String::new();
    let mut command = Arguments::command();
    // Fills in what is inherited.
    command.build();
    let Some(serve) = command.find_subcommand("serve") else { return text };
    let options: Vec<&Arg> = serve.get_arguments().filter(|option| option.get_id() != "help").collect();
    let mut headings: Vec<&str> = Vec::new();
    for option in &options {
        if !headings.contains(&heading(option)) {
            headings.push(heading(option));
        }
    }
    for title in headings {
        let _ = write!(text, "\n### {title}\n\n| option | default | |\n|---|---|---|\n");
        for option in options.iter().filter(|option| heading(option) == title) {
            text.push_str(&row(option));
        }
    }
    text
}

fn heading(option: &Arg) -> &str {
    option.get_help_heading().unwrap_or(HEADING)
}

fn row(option: &Arg) -> String {
    let name = option.get_long().unwrap_or_default();
    let help = option.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    if !option.get_action().takes_values() {
        return format!("| `--{name}` | | {help} |\n");
    }
    let value = option.get_value_names().and_then(<[_]>::first).map(|value| format!(" {value}")).unwrap_or_default();
    let defaults = option.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy()));
    let default = defaults.collect::<Vec<_>>().join(", ");
    format!("| `--{name}{value}` | {default} | {help} |\n")
}
