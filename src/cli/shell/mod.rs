//! What `portolan sql` does with its input, whoever types it: statements and backslash commands, one after another.

pub(crate) mod command;
mod console;
mod edit;
mod history;
mod interrupt;
pub(crate) mod lex;
mod lines;
pub(crate) mod listing;
mod obey;
mod pager;
mod paging;
pub(crate) mod pattern;
mod progress;
mod running;
mod sink;
mod statement;
pub(crate) mod variables;
mod view;
pub(crate) mod words;

use std::io;
use std::path::PathBuf;

pub(crate) use console::Console;
pub(crate) use history::History;
pub(crate) use interrupt::Interrupt;
#[cfg(test)]
pub(crate) use lines::Scripted;
pub(crate) use lines::{Input, LineSource, ScriptLines};
pub(crate) use pager::Screen;
pub(crate) use sink::Sink;
pub(crate) use variables::Variables;
pub(crate) use view::{OPTIONS, View};

use self::command::Command;
use self::lex::Piece;
use self::statement::Presentation;
use super::client::{LastStanding, SharedClient, standing};
use super::output::{Expanded, Format};

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
    client: SharedClient,
    pub(crate) standing: LastStanding,
    pub(crate) console: Console,
    pub(crate) interrupt: Interrupt,
    pub(crate) view: View,
    pub(crate) variables: Variables,
    pub(crate) history: History,
    /// Whether a person is told what happened beside the results.
    pub(crate) talks: bool,
    /// Whether a person types.
    interactive: bool,
    screen: Option<Screen>,
    /// The statement that was run last.
    last: Option<String>,
    /// The files that are being read, the innermost last.
    files: Vec<PathBuf>,
    /// Failures that a script went on after.
    pub(crate) forgiven: u64,
}

impl Shell {
    /// A shell for scripts: results and errors, nothing else.
    pub(crate) fn new(client: SharedClient, console: Console, interrupt: Interrupt, view: View) -> Self {
        Self {
            client,
            standing: LastStanding::default(),
            console,
            interrupt,
            view,
            variables: Variables::default(),
            history: History::default(),
            talks: false,
            interactive: false,
            screen: None,
            last: None,
            files: Vec::new(),
            forgiven: 0,
        }
    }

    /// The same shell with a person before it.
    #[must_use]
    pub(crate) fn interactive(mut self) -> Self {
        self.interactive = true;
        self.talks = true;
        self
    }

    /// Tells how large the screen is now.
    pub(crate) fn set_screen(&mut self, screen: Option<Screen>) {
        self.screen = screen;
    }

    /// What a person is asked with: the place in which names are looked up.
    pub(crate) fn prompt(&self) -> String {
        let here = self.standing.get();
        match (here.catalog, here.schema) {
            (Some(catalog), Some(schema)) => format!("portolan:{catalog}.{schema}> "),
            (Some(catalog), None) => format!("portolan:{catalog}> "),
            (None, _) => "portolan> ".to_owned(),
        }
    }

    /// Looks again where the session stands, for the prompt. A session that cannot tell keeps the prompt that it has.
    pub(crate) async fn look_where(&mut self) {
        if let Ok(standing) = standing(self.client.as_ref()).await {
            self.standing.set(standing);
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
                Ok(Input::End) => return self.run_statements(&pending, pending_place).await,
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
        self.run_statements(&rest, None).await
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
                    self.run_statements(&sql, place).await?;
                }
                Piece::Command { before, line } => {
                    if !lex::is_blank(before) {
                        pending.push_str(before);
                        pending.push('\n');
                    }
                    self.run_commands(line, &mut pending).await?;
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

    /// Runs a statement, or those that it becomes when its variables have their values.
    async fn run_statements(&mut self, sql: &str, place: Option<Place<'_>>) -> Result<(), Stop> {
        let text = self.variables.interpolated(sql);
        let mut rest = text.as_str();
        // Only a variable brings in a semicolon that has not cut the input already.
        while let (Piece::Statement(sql), after) = lex::first_piece(rest) {
            self.run_one(sql, place).await?;
            rest = after;
        }
        self.run_one(rest, place).await
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
        self.forgive(outcome)
    }

    /// Runs the commands of a line.
    async fn run_commands(&mut self, line: &str, pending: &mut String) -> Result<(), Stop> {
        let mut next = Some(line);
        while let Some(line) = next {
            let (first, rest) = match Command::takes_whole_line(line) {
                true => (line, None),
                false => command::split(line),
            };
            next = rest;
            let outcome = match Command::parse(first, &self.variables) {
                Ok(command) => Box::pin(self.obey(command, pending)).await,
                Err(message) => Err(self.failed(&message)),
            };
            self.forgive(outcome)?;
        }
        Ok(())
    }

    /// Goes on after a failure, if that is wanted.
    fn forgive(&mut self, outcome: Result<(), Stop>) -> Result<(), Stop> {
        match outcome {
            Err(Stop::Failed) if self.variables.keeps_going() => {
                self.forgiven += 1;
                Ok(())
            }
            outcome => outcome,
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
        if self.talks { self.say(text) } else { Ok(()) }
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
