//! What `portolan sql` does with its input, whoever types it: statements and backslash commands, one after another.

pub(crate) mod command;
mod commands;
mod console;
mod edit;
mod interrupt;
pub(crate) mod lex;
mod lines;
mod listing;
pub(crate) mod pattern;
mod running;
mod statement;
pub(crate) mod words;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use console::Console;
pub(crate) use interrupt::Interrupt;
#[cfg(test)]
pub(crate) use lines::Scripted;
pub(crate) use lines::{Input, LineSource, ScriptLines};

use self::command::Command;
use self::lex::Piece;
use self::statement::Presentation;
use super::output::{Expanded, Format};
use crate::session::Session;

/// Why the rest of an input is not run. What went wrong is reported already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A statement or a command failed.
    Failed,
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// Nobody reads the output any more.
    OutputClosed,
    /// The person wants to leave.
    Quit,
}

/// How results are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    pub(crate) format: Format,
    pub(crate) expanded: Expanded,
    pub(crate) timing: bool,
}

/// Where a statement was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The file.
    pub(crate) origin: &'a str,
    /// The line on which the statement begins, counted from 1.
    pub(crate) line: u64,
}

/// Runs statements and commands of one session.
pub(crate) struct Shell {
    session: Arc<Session>,
    pub(crate) console: Console,
    pub(crate) interrupt: Interrupt,
    pub(crate) view: View,
    /// Whether a person is told what happened beside the results.
    interactive: bool,
    /// Columns of the screen.
    width: Option<usize>,
    /// The statement that was run last.
    last: Option<String>,
    /// Files that are being included.
    depth: usize,
    /// Where the catalogs come from.
    catalogs_file: Option<PathBuf>,
}

impl Shell {
    /// A shell for scripts: results and errors, nothing else.
    pub(crate) fn new(session: Arc<Session>, console: Console, interrupt: Interrupt, view: View) -> Self {
        Self {
            session,
            console,
            interrupt,
            view,
            interactive: false,
            width: None,
            last: None,
            depth: 0,
            catalogs_file: None,
        }
    }

    /// The same shell with a person before it.
    #[must_use]
    pub(crate) fn interactive(mut self, catalogs_file: Option<PathBuf>) -> Self {
        self.interactive = true;
        self.catalogs_file = catalogs_file;
        self
    }

    /// Tells how wide the screen is now, in columns.
    pub(crate) fn set_width(&mut self, width: Option<usize>) {
        self.width = width;
    }

    /// What a person is asked with: the place in which names are looked up.
    pub(crate) fn prompt(&self) -> String {
        match self.session.current() {
            (Some(catalog), Some(schema)) => format!("portolan:{catalog}.{schema}> "),
            (Some(catalog), None) => format!("portolan:{catalog}> "),
            (None, _) => "portolan> ".to_owned(),
        }
    }

    /// Runs all of a source, up to the first failure. A last statement needs no semicolon.
    pub(crate) async fn run_source(&mut self, source: &mut dyn LineSource, origin: &str) -> Result<(), Stop> {
        let mut pending = String::new();
        let mut pending_place = None;
        loop {
            match source.read("", &pending) {
                Ok(Input::Text { text, line }) => {
                    let place = line.map(|line| Place { origin, line });
                    pending = self.run_input(&text, place).await?;
                    pending_place = place.map(|place| match text.strip_suffix(pending.as_str()) {
                        Some(consumed) => place.after(consumed, &pending),
                        None => place,
                    });
                }
                Ok(Input::Interrupted) => return Err(Stop::Interrupted),
                Ok(Input::End) => return self.run_one(&pending, pending_place).await,
                Err(error) => {
                    self.console.error(&format!("cannot read {origin}: {error}"));
                    return Err(Stop::Failed);
                }
            }
        }
    }

    /// Runs a text, up to the first failure. A last statement needs no semicolon.
    pub(crate) async fn run_text(&mut self, text: &str) -> Result<(), Stop> {
        let rest = self.run_input(text, None).await?;
        self.run_one(&rest, None).await
    }

    /// Runs what is complete of an input. Returns the statement that it leaves unfinished, for the person to go on with.
    pub(crate) async fn run_input(&mut self, text: &str, place: Option<Place<'_>>) -> Result<String, Stop> {
        match lex::only_word(text).as_deref() {
            Some("quit" | "exit") if self.interactive => return Err(Stop::Quit),
            Some("help") if self.interactive => {
                self.say("\\? lists the commands, \\h the statements, \\q quits. A statement ends with a semicolon.")?;
                return Ok(String::new());
            }
            _ => {}
        }
        let mut pending = String::new();
        let mut rest = text;
        loop {
            let (piece, after) = lex::first_piece(rest);
            match piece {
                Piece::Statement(sql) => {
                    let consumed = text.strip_suffix(rest).unwrap_or_default();
                    let place = place.map(|place| place.after(consumed, rest));
                    let sql = format!("{}{sql}", std::mem::take(&mut pending));
                    self.run_one(&sql, place).await?;
                }
                Piece::Command { before, line } => {
                    if !lex::is_blank(before) {
                        pending.push_str(before);
                        pending.push('\n');
                    }
                    self.run_command(line, &mut pending).await?;
                }
                Piece::Rest(sql) => {
                    if !lex::is_blank(sql) {
                        pending.push_str(sql);
                    }
                    return Ok(pending);
                }
            }
            rest = after;
        }
    }

    /// Runs one statement, unless it is blank.
    async fn run_one(&mut self, sql: &str, place: Option<Place<'_>>) -> Result<(), Stop> {
        if lex::is_blank(sql) {
            return Ok(());
        }
        // Positions in messages count from the statement, not from the comments before it.
        let sql = sql.get(lex::start_of_statement(sql)..).unwrap_or(sql).trim_end().to_owned();
        let outcome = Box::pin(self.run_statement(&sql, place, Presentation::default())).await;
        self.last = Some(sql);
        outcome
    }

    async fn run_command(&mut self, line: &str, pending: &mut String) -> Result<(), Stop> {
        match Command::parse(line) {
            Ok(command) => Box::pin(self.obey(command, pending)).await,
            Err(message) => Err(self.failed(&message)),
        }
    }

    /// Reports a failure.
    fn failed(&mut self, message: &str) -> Stop {
        self.console.error(message);
        Stop::Failed
    }

    /// Says something to the person.
    fn say(&mut self, text: &str) -> Result<(), Stop> {
        let said = self.console.say(text);
        said.map_err(|error| self.cannot_write(&error))
    }

    /// Says something that matters only to a person.
    fn tell(&mut self, text: &str) -> Result<(), Stop> {
        if self.interactive { self.say(text) } else { Ok(()) }
    }

    fn cannot_write(&mut self, error: &io::Error) -> Stop {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Stop::OutputClosed;
        }
        self.failed(&format!("cannot write the result: {error}"))
    }
}

impl<'a> Place<'a> {
    /// The place of the statement that begins `rest`, which follows `consumed`.
    fn after(self, consumed: &str, rest: &str) -> Place<'a> {
        let blank = rest.get(..lex::start_of_statement(rest)).unwrap_or_default();
        let lines = consumed.matches('\n').count() + blank.matches('\n').count();
        Place { origin: self.origin, line: self.line + lines as u64 }
    }
}

#[cfg(test)]
mod tests;
