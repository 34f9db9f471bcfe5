//! Statements, results and history in files: `\i`, `\o`, `\e`, `\w`, `\s`.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use crate::cli::output::Format;
use crate::cli::shell::command::Destination;
use crate::cli::shell::lines::ScriptLines;
use crate::cli::shell::{Shell, Sink, Stop, edit, lex};

/// Files that may include one another.
const INCLUDE_DEPTH_MAX: usize = 8;

impl Shell {
    /// Opens what results are written to.
    pub(crate) fn open(&mut self, to: &Destination) -> Result<Sink, Stop> {
        let opened = match to {
            Destination::File(path) => {
                File::create(path).map(Sink::file).map_err(|error| (path.display().to_string(), error))
            }
            Destination::Pipe(command) => Sink::command(command).map_err(|error| (command.clone(), error)),
        };
        opened.map_err(|(name, error)| self.failed(&format!("cannot write to {name}: {error}")))
    }

    /// Sends results elsewhere from now on, or to the screen again.
    pub(super) fn redirect(&mut self, to: Option<Destination>) -> Result<(), Stop> {
        if let Some(sink) = self.console.redirected.take()
            && let Err(error) = sink.close()
        {
            return Err(self.cannot_write(&error));
        }
        let Some(to) = to else {
            // Bytes cannot go back to a screen.
            if self.view.format.is_binary() && self.console.out.terminal {
                self.view.format = Format::Table;
            }
            return self.tell("Results go to the screen.");
        };
        self.console.redirected = Some(self.open(&to)?);
        match to {
            Destination::File(path) => self.tell(&format!("Results go to {}.", path.display())),
            Destination::Pipe(command) => self.tell(&format!("Results go to the command {command}")),
        }
    }

    /// Ends what results were sent to.
    pub(crate) fn end(&mut self) -> Result<(), Stop> {
        let closed = self.console.redirected.take().map_or(Ok(()), Sink::close);
        closed.map_err(|error| self.cannot_write(&error))
    }

    /// Runs the statements of a file. A relative path may start at the directory of the file that is being run.
    pub(super) async fn include(&mut self, path: PathBuf, relative: bool) -> Result<(), Stop> {
        let directory = self.files.last().and_then(|file| file.parent()).filter(|_| relative);
        let path = directory.map_or(path.clone(), |directory| directory.join(path));
        if self.files.len() >= INCLUDE_DEPTH_MAX {
            return Err(self.failed(&format!("files include one another more than {INCLUDE_DEPTH_MAX} deep")));
        }
        self.run_file(path).await
    }

    /// Runs the statements of a file.
    pub(crate) async fn run_file(&mut self, path: PathBuf) -> Result<(), Stop> {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => return Err(self.failed(&format!("cannot read {}: {error}", path.display()))),
        };
        let origin = path.display().to_string();
        let mut source = ScriptLines::new(BufReader::new(file));
        self.files.push(path);
        let outcome = Box::pin(self.run_source(&mut source, &origin)).await;
        self.files.pop();
        outcome
    }

    /// Lets the person edit the statement, or a file. A complete one runs, another is gone on with.
    pub(super) async fn edit(&mut self, path: Option<&Path>, pending: &mut String) -> Result<(), Stop> {
        if !self.interactive {
            return Err(self.failed("\\e needs a terminal"));
        }
        let edited = match path {
            Some(path) => edit::edit_file(path),
            None => edit::edit(&self.pending_or_last(pending).unwrap_or_default()),
        };
        match edited {
            Ok(text) if lex::is_complete(&text) && !lex::is_blank(&text) => {
                pending.clear();
                *pending = Box::pin(self.run_input(&text, None)).await?;
                Ok(())
            }
            Ok(text) => {
                *pending = text.trim_end().to_owned();
                Ok(())
            }
            Err(error) => Err(self.failed(&error.to_string())),
        }
    }

    /// Writes the statement to a file or a command.
    pub(super) fn write_statement(&mut self, pending: &str, to: Destination) -> Result<(), Stop> {
        let Some(sql) = self.pending_or_last(pending) else {
            return Err(self.failed("there is no statement"));
        };
        let mut sink = self.open(&to)?;
        let written = writeln!(sink, "{sql}").and_then(|()| sink.close());
        written.map_err(|error| self.failed(&format!("cannot write the statement: {error}")))
    }

    pub(super) fn show_history(&mut self, path: Option<&Path>) -> Result<(), Stop> {
        let text = self.history.text();
        let Some(path) = path else { return self.show_text(text.trim_end()) };
        match std::fs::write(path, text) {
            Ok(()) => self.tell(&format!("The history is written to {}.", path.display())),
            Err(error) => Err(self.failed(&format!("cannot write {}: {error}", path.display()))),
        }
    }
}
