//! `portolan sql`: statements from the command line, a file, a pipe, or a person.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{ProcessArguments, SqlArguments};
use super::output::Expanded;
use super::repl::{self, Completions, TerminalLines};
use super::shell::{Console, Interrupt, ScriptLines, Shell, Stop, View};
use super::{Ending, sources};
use crate::{Engine, Session};

impl From<Stop> for Ending {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Quit => Self::Success,
            Stop::Failed => Self::Failure,
            Stop::Interrupted => Self::Interrupted,
            Stop::OutputClosed => Self::OutputClosed,
        }
    }
}

/// Runs the subcommand.
pub(super) async fn run(process: &ProcessArguments, arguments: SqlArguments, mut console: Console) -> Ending {
    if arguments.format.is_binary() && console.out.terminal {
        let name = arguments.format.name();
        console.error(&format!("{name} is not text, and standard output is a terminal: send it to a file with > FILE"));
        return Ending::WrongUsage;
    }
    let file = sources::catalogs_file(&arguments.catalogs);
    let engine = match sources::start_engine(process, file.as_deref(), &mut console) {
        Ok(engine) => engine,
        Err(error) => {
            console.error(&error.to_string());
            return Ending::Failure;
        }
    };
    let view = View { format: arguments.format, ..View::default() };
    let scripted = !arguments.command.is_empty() || !arguments.file.is_empty();
    if !scripted && io::stdin().is_terminal() && console.out.terminal {
        let names: Vec<String> = engine.catalogs().configured().map(|catalog| catalog.name.clone()).collect();
        let catalogs =
            if names.is_empty() { "no catalogs".to_owned() } else { format!("catalogs {}", names.join(", ")) };
        let greeting = format!("Portolan {} · {catalogs} · \\? for help", env!("CARGO_PKG_VERSION"));
        return interactive(engine, console, view, file, &greeting).await;
    }
    let mut shell = match script_shell(engine, console, view) {
        Ok(shell) => shell,
        Err(ending) => return ending,
    };
    match script(&mut shell, &arguments).await {
        Ok(()) => Ending::Success,
        Err(stop) => stop.into(),
    }
}

fn script_shell(engine: Arc<Engine>, console: Console, view: View) -> Result<Shell, Ending> {
    let (interrupt, console) = listen(console)?;
    Ok(Shell::new(Arc::new(engine.session()), console, interrupt, view))
}

fn listen(mut console: Console) -> Result<(Interrupt, Console), Ending> {
    match Interrupt::listen() {
        Ok(interrupt) => Ok((interrupt, console)),
        Err(error) => {
            console.error(&format!("cannot listen to Ctrl-C: {error}"));
            Err(Ending::Failure)
        }
    }
}

async fn script(shell: &mut Shell, arguments: &SqlArguments) -> Result<(), Stop> {
    for text in &arguments.command {
        shell.run_text(text).await?;
    }
    for path in &arguments.file {
        script_file(shell, path).await?;
    }
    if arguments.command.is_empty() && arguments.file.is_empty() {
        shell.run_source(&mut ScriptLines::new(io::stdin().lock()), "standard input").await?;
    }
    Ok(())
}

async fn script_file(shell: &mut Shell, path: &Path) -> Result<(), Stop> {
    if path == Path::new("-") {
        return shell.run_source(&mut ScriptLines::new(io::stdin().lock()), "standard input").await;
    }
    match File::open(path) {
        Ok(file) => shell.run_source(&mut ScriptLines::new(BufReader::new(file)), &path.display().to_string()).await,
        Err(error) => {
            shell.console.error(&format!("cannot read {}: {error}", path.display()));
            Err(Stop::Failed)
        }
    }
}

/// Starts an interactive session on an engine. Needs a terminal on standard input and output.
pub(super) async fn interactive(
    engine: Arc<Engine>,
    console: Console,
    view: View,
    catalogs_file: Option<PathBuf>,
    greeting: &str,
) -> Ending {
    let (interrupt, mut console) = match listen(console) {
        Ok(listening) => listening,
        Err(ending) => return ending,
    };
    let session: Arc<Session> = Arc::new(engine.session());
    let completions = Completions::new(Arc::clone(&session));
    let mut lines = match TerminalLines::new(completions, console.out.colour) {
        Ok(lines) => lines,
        Err(error) => {
            console.error(&format!("cannot use the terminal: {error}"));
            return Ending::Failure;
        }
    };
    if console.say(greeting).is_err() {
        return Ending::OutputClosed;
    }
    let view = View { expanded: Expanded::Auto, ..view };
    let mut shell = Shell::new(session, console, interrupt, view).interactive(catalogs_file);
    match repl::run(&mut shell, &mut lines).await {
        Ok(()) => Ending::Success,
        Err(stop) => stop.into(),
    }
}
