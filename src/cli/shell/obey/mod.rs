//! What each backslash command does.

mod display;
mod files;
mod look;
mod run;
mod system;

use std::future::Future;

use super::command::{self, Command};
use super::{Shell, Stop, lex};

impl Shell {
    /// Does what a command says. `pending` is the statement that is being typed.
    pub(super) async fn obey(&mut self, command: Command, pending: &mut String) -> Result<(), Stop> {
        match command {
            Command::Quit => Err(Stop::Quit),
            Command::Help => self.show_text(&command::help()),
            Command::SqlHelp(None) => self.show_text(&command::statements_help()),
            Command::SqlHelp(Some(words)) => match command::statement_help(&words) {
                Some(text) => self.show_text(&text),
                None => Err(self.failed(&format!("there is no statement \"{words}\": \\h lists them"))),
            },
            Command::List(listed) => self.list(&listed).await,
            Command::Describe { name } => Box::pin(self.describe(&name)).await,
            Command::Connect { place } => Box::pin(self.connect(&place)).await,
            Command::ConnectionInfo => self.connection_info().await,
            Command::Queries => self.queries().await,
            Command::Kill { id } => self.kill(&id).await,
            Command::Expanded(_)
            | Command::Timing(_)
            | Command::Explain(_)
            | Command::TuplesOnly(_)
            | Command::Aligned
            | Command::Format(_)
            | Command::Display { .. } => self.change_view(command),
            Command::Run { expanded, to } => self.run_pending(pending, expanded, to).await,
            Command::RunIntoVariables { prefix } => self.run_into_variables(pending, &prefix).await,
            Command::DescribeResult => self.describe_result(pending).await,
            Command::Watch { interval } => self.watch(pending, interval).await,
            Command::Copy(copy) => self.copy(copy).await,
            Command::Print => {
                let text = self.pending_or_last(pending).unwrap_or_else(|| "there is no statement".to_owned());
                self.say(&text)
            }
            Command::Reset => {
                pending.clear();
                self.tell("the statement is forgotten")
            }
            Command::Edit { path } => self.edit(path.as_deref(), pending).await,
            Command::Write(to) => self.write_statement(pending, to),
            Command::History(path) => self.show_history(path.as_deref()),
            Command::Include { path, relative } => self.include(path, relative).await,
            Command::Output(to) => self.redirect(to),
            Command::Echo { text, line_feed } => self.echo(&text, line_feed),
            Command::Set { name, value } => self.set_variable(name.as_deref(), value),
            Command::Unset { name } => {
                self.variables.unset(&name);
                Ok(())
            }
            Command::Prompt { text, name } => self.ask_person(&text, &name),
            Command::Shell(command) => self.run_in_system(command.as_deref()),
            Command::ChangeDirectory(path) => self.change_directory(path),
        }
    }

    /// Waits for something, unless the person presses Ctrl-C.
    async fn unless_interrupted<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let interrupt = self.interrupt.clone();
        tokio::select! {
            biased;
            () = interrupt.raised() => {
                self.console.error("cancelled");
                Err(Stop::Interrupted)
            }
            done = work => Ok(done),
        }
    }

    /// The statement that is being typed, or else the last one, with the values of its variables.
    fn pending_or_last(&self, pending: &str) -> Option<String> {
        if lex::is_blank(pending) {
            return self.last.clone();
        }
        Some(self.variables.interpolated(pending.trim()))
    }

    /// The statement that a command is to run. It is no longer being typed.
    fn take_statement(&mut self, pending: &mut String) -> Result<String, Stop> {
        let Some(sql) = self.pending_or_last(pending) else {
            return Err(self.failed("there is no statement to run"));
        };
        pending.clear();
        self.last = Some(sql.clone());
        Ok(sql)
    }
}
