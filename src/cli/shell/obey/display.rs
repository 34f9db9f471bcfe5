//! How results are shown from now on: `\x`, `\timing`, `\pset` and the like; and variables.

use std::io::{BufRead, BufReader, Write};

use crate::cli::output::{Expanded, Format};
use crate::cli::shell::command::Command;
use crate::cli::shell::{Shell, Stop};

/// The longest answer of a person that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

impl Shell {
    pub(super) fn change_view(&mut self, command: Command) -> Result<(), Stop> {
        let before = self.view.format;
        let switched = |on: bool| if on { "on" } else { "off" };
        let said = match command {
            Command::Expanded(wanted) => {
                self.view.expanded = wanted.unwrap_or(match self.view.expanded {
                    Expanded::On => Expanded::Off,
                    Expanded::Off | Expanded::Auto => Expanded::On,
                });
                let word = match self.view.expanded {
                    Expanded::On => "on",
                    Expanded::Off => "off",
                    Expanded::Auto => "used where rows do not fit the screen",
                };
                format!("Expanded display is {word}.")
            }
            Command::Timing(wanted) => {
                self.view.timing = wanted.unwrap_or(!self.view.timing);
                format!("Timing is {}.", switched(self.view.timing))
            }
            Command::Explain(wanted) => {
                self.view.explain = wanted.unwrap_or(!self.view.explain);
                format!("The chart of each query is {}.", if self.view.explain { "shown" } else { "not shown" })
            }
            Command::TuplesOnly(wanted) => {
                self.view.tuples_only = wanted.unwrap_or(!self.view.tuples_only);
                format!("Showing only rows is {}.", switched(self.view.tuples_only))
            }
            Command::Aligned => {
                let aligned = self.view.format == Format::Unaligned;
                self.view.format = if aligned { Format::Table } else { Format::Unaligned };
                format!("The format is {}.", self.view.format.name())
            }
            Command::Format(wanted) => {
                self.view.format = wanted.unwrap_or(self.view.format);
                format!("The format is {}.", self.view.format.name())
            }
            Command::Display { name: Some(name), value } => {
                self.view.set(&name, value.as_deref()).map_err(|message| self.failed(&message))?
            }
            _ => return self.show_text(&self.view.describe()),
        };
        if self.view.format.is_binary() && self.console.results().terminal {
            let name = self.view.format.name();
            self.view.format = before;
            return Err(self.failed(&format!("{name} is not text: choose a file with \\o FILE first")));
        }
        self.tell(&said)
    }

    pub(super) fn set_variable(&mut self, name: Option<&str>, value: String) -> Result<(), Stop> {
        if let Some(name) = name {
            self.variables.set(name, value);
            return Ok(());
        }
        let lines: Vec<String> = self.variables.iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
        self.show_text(&lines.join("\n"))
    }

    /// Asks the person, at the terminal whatever standard input is.
    pub(super) fn ask_person(&mut self, text: &str, name: &str) -> Result<(), Stop> {
        let terminal = match std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty") {
            Ok(terminal) => terminal,
            Err(error) => return Err(self.failed(&format!("\\prompt needs a terminal: {error}"))),
        };
        let mut line = String::new();
        let asked = (&terminal).write_all(text.as_bytes()).and_then(|()| {
            let limited = std::io::Read::take(&terminal, ANSWER_BYTES_MAX);
            BufReader::new(limited).read_line(&mut line)
        });
        match asked {
            Ok(_) => {
                self.variables.set(name, line.trim_end_matches(['\n', '\r']));
                Ok(())
            }
            Err(error) => Err(self.failed(&format!("cannot read from the terminal: {error}"))),
        }
    }

    pub(super) fn echo(&mut self, text: &str, line_feed: bool) -> Result<(), Stop> {
        let end = if line_feed { "\n" } else { "" };
        let out = &mut self.console.out;
        let written = write!(out, "{text}{end}").and_then(|()| out.flush());
        written.map_err(|error| self.cannot_write(&error))
    }
}
