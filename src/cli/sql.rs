//! `portolan sql`: statements from the command line, a file, a pipe, or a person.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use super::args::{ProcessArguments, ServerArguments, SqlArguments};
use super::client::{Client, SharedClient};
use super::output::Expanded;
use super::repl::{self, Completions, TerminalLines};
use super::shell::command::Destination;
use super::shell::variables::{ON_ERROR_STOP, is_name};
use super::shell::{Console, Interrupt, ScriptLines, Shell, Stop, View, listing};
use super::{Ending, connect};
use crate::catalog::SYSTEM_CATALOG;

/// The file of a person's own commands, in the home directory, and the environment variable that names another.
const RC_FILE: &str = ".portolanrc";
const RC_VARIABLE: &str = "PORTOLANRC";

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

/// The server that is asked to reload when none is named: where `serve` listens if it is told nothing else.
const RELOADED: &str = "grpc://127.0.0.1:32010";

/// Runs `portolan reload`: one statement at a server.
pub(super) async fn reload(process: &ProcessArguments, mut server: ServerArguments, console: Console) -> Ending {
    server.server = server.server.or_else(|| RELOADED.parse().ok());
    let command = vec!["CALL system.reload_catalogs()".to_owned()];
    run(process, &SqlArguments { server, command, no_rc: true, ..SqlArguments::default() }, console).await
}

/// Runs the subcommand.
pub(super) async fn run(process: &ProcessArguments, arguments: &SqlArguments, mut console: Console) -> Ending {
    let scripted = !arguments.command.is_empty() || !arguments.file.is_empty();
    let interactive = !scripted && io::stdin().is_terminal() && console.out.terminal;
    let mut view = View { expanded: if interactive { Expanded::Auto } else { Expanded::Off }, ..View::default() };
    if let Err(message) = check(arguments, &mut view, &console) {
        console.error(&message);
        return Ending::WrongUsage;
    }
    let client = match connect::connect(process, &arguments.catalogs, &arguments.server, &mut console).await {
        Ok(client) => client,
        Err(ending) => return ending,
    };
    let (interrupt, console) = match listen(console) {
        Ok(listening) => listening,
        Err(ending) => return ending,
    };
    let mut shell = Shell::new(SharedClient::clone(&client), console, interrupt, view);
    if let Err(stop) = prepare(&mut shell, arguments).await {
        return stop.into();
    }
    let outcome = match interactive {
        true => {
            let greeting = if arguments.quiet { String::new() } else { greeting(client.as_ref()).await };
            converse(&mut shell.interactive(), client, &greeting, arguments.quiet).await
        }
        false => script(&mut shell, arguments).await,
    };
    outcome.map_or_else(Into::into, |()| Ending::Success)
}

/// Looks at what can be known to be wrong before anything is opened.
fn check(arguments: &SqlArguments, view: &mut View, console: &Console) -> Result<(), String> {
    arguments.display.apply(view)?;
    if view.format.is_binary() && console.out.terminal && arguments.output.is_none() {
        let name = view.format.name();
        return Err(format!("{name} is not text, and standard output is a terminal: send it to a file with > FILE"));
    }
    let wrong = arguments.variables.iter().find(|given| !is_name(given.split('=').next().unwrap_or_default()));
    wrong.map_or(Ok(()), |given| Err(format!("-v {given}: write NAME=VALUE, a name of letters, digits and _")))
}

/// Makes the session what the command line and the person's own file say.
async fn prepare(shell: &mut Shell, arguments: &SqlArguments) -> Result<(), Stop> {
    for given in &arguments.variables {
        let (name, value) = given.split_once('=').unwrap_or((given, ""));
        shell.variables.set(name, value);
    }
    if !arguments.no_rc {
        run_rc(shell).await?;
    }
    if arguments.keep_going {
        shell.variables.set(ON_ERROR_STOP, "off");
    }
    // The command line has the last word. It was checked before.
    let _ = arguments.display.apply(&mut shell.view);
    if let Some(output) = &arguments.output {
        let to = match output.strip_prefix('|') {
            Some(command) => Destination::Pipe(command.trim().to_owned()),
            None => Destination::File(PathBuf::from(output)),
        };
        shell.console.redirected = Some(shell.open(&to)?);
    }
    Ok(())
}

/// Runs the person's own file, if there is one. A failure in it is reported and stops nothing.
async fn run_rc(shell: &mut Shell) -> Result<(), Stop> {
    let named = std::env::var_os(RC_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let usual = || std::env::home_dir().map(|home| home.join(RC_FILE)).filter(|file| file.is_file());
    let Some(file) = named.or_else(usual) else { return Ok(()) };
    match shell.run_file(file).await {
        Ok(()) | Err(Stop::Failed) => {
            shell.forgiven = 0;
            Ok(())
        }
        Err(stop) => Err(stop),
    }
}

async fn greeting(client: &dyn Client) -> String {
    let mut names = listing::catalog_names(client).await.unwrap_or_default();
    names.retain(|name| name != SYSTEM_CATALOG);
    let catalogs = if names.is_empty() { "no catalogs".to_owned() } else { format!("catalogs {}", names.join(", ")) };
    format!("Portolan {} · {catalogs} · \\? for help", env!("CARGO_PKG_VERSION"))
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
    let outcome = script_parts(shell, arguments).await;
    shell.end()?;
    outcome?;
    if shell.forgiven > 0 { Err(Stop::Failed) } else { Ok(()) }
}

async fn script_parts(shell: &mut Shell, arguments: &SqlArguments) -> Result<(), Stop> {
    for text in &arguments.command {
        shell.run_text(text).await?;
    }
    for path in &arguments.file {
        match path == Path::new("-") {
            true => shell.run_source(&mut ScriptLines::new(io::stdin().lock()), "standard input").await?,
            false => shell.run_file(path.clone()).await?,
        }
    }
    if arguments.command.is_empty() && arguments.file.is_empty() {
        shell.run_source(&mut ScriptLines::new(io::stdin().lock()), "standard input").await?;
    }
    Ok(())
}

/// Starts an interactive session. Needs a terminal on standard input and output.
pub(super) async fn interactive(client: SharedClient, console: Console, greeting: &str) -> Ending {
    let (interrupt, console) = match listen(console) {
        Ok(listening) => listening,
        Err(ending) => return ending,
    };
    let view = View { expanded: Expanded::Auto, ..View::default() };
    let mut shell = Shell::new(SharedClient::clone(&client), console, interrupt, view).interactive();
    converse(&mut shell, client, greeting, false).await.map_or_else(Into::into, |()| Ending::Success)
}

/// Reads and runs what a person types.
async fn converse(shell: &mut Shell, client: SharedClient, greeting: &str, quiet: bool) -> Result<(), Stop> {
    shell.talks = !quiet;
    shell.look_where().await;
    let completions = Completions::new(client, shell.standing.clone());
    let mut lines = match TerminalLines::new(completions, shell.console.out.colour, shell.history.clone()) {
        Ok(lines) => lines,
        Err(error) => {
            shell.console.error(&format!("cannot use the terminal: {error}"));
            return Err(Stop::Failed);
        }
    };
    if !greeting.is_empty() && shell.console.say(greeting).is_err() {
        return Err(Stop::OutputClosed);
    }
    let outcome = repl::run(shell, &mut lines).await;
    shell.end()?;
    outcome
}
