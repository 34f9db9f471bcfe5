//! `portolan demo`: sources that it brings itself, one query over all of them, and its chart.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::args::ProcessArguments;
use super::client::{LocalClient, SharedClient};
use super::demo::{DemoSources, FEDERATED_QUERY};
use super::shell::{Console, Interrupt, Shell, Stop, View};
use super::{Ending, sources, sql};

/// Runs the subcommand. Whatever ends it, the sources are stopped and their data removed: here, or by the supervisors
/// of the sources where the process is killed.
pub(super) async fn run(process: &ProcessArguments, mut console: Console) -> Ending {
    // From here on Ctrl-C cancels the query, or keeps the next one from starting.
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            console.error(&format!("cannot listen to Ctrl-C: {error}"));
            return Ending::Failure;
        }
    };
    if console.say("Starting a small shop: a lake, PostgreSQL and Kafka, on this machine alone.").is_err() {
        return Ending::OutputClosed;
    }
    // Starting blocks. It is waited for also after Ctrl-C: only what has started can be stopped.
    let sources = match spawn_blocking(|| DemoSources::start(&mut io::stdout())).await {
        Ok(Ok(sources)) => sources,
        Ok(Err(error)) => {
            console.error(&error.to_string());
            return Ending::Failure;
        }
        Err(error) => {
            console.error(&format!("the demo ended by a mistake in Portolan: {error}"));
            return Ending::Failure;
        }
    };
    let ending = show(process, sources.catalogs_file(), console, interrupt).await;
    // Stopping blocks as well; what its thread has to say is that it is done.
    let _ = spawn_blocking(move || drop(sources)).await;
    ending
}

/// Runs the query and its EXPLAIN, then hands over to the person, if there is one.
async fn show(process: &ProcessArguments, catalogs: &Path, mut console: Console, interrupt: Interrupt) -> Ending {
    let engine = match sources::start_engine(process, Some(catalogs), &mut console) {
        Ok(engine) => engine,
        Err(error) => {
            console.error(&error.to_string());
            return Ending::Failure;
        }
    };
    if interrupt.is_raised() {
        return Ending::Interrupted;
    }
    let client: SharedClient = Arc::new(LocalClient::new(engine.session(), Some(catalogs.to_owned())));
    let mut shell = Shell::new(SharedClient::clone(&client), console, interrupt, View::default());
    if let Err(stop) = query(&mut shell).await {
        return stop.into();
    }
    let console = shell.console;
    if !(io::stdin().is_terminal() && console.out.terminal) {
        return Ending::Success;
    }
    let greeting = "\nThese sources stay until you leave with \\q. Try \\dt, \\d lake.sales.orders, and \\? for help.";
    sql::interactive(client, console, greeting).await
}

async fn query(shell: &mut Shell) -> Result<(), Stop> {
    let explain = format!("EXPLAIN {FEDERATED_QUERY}");
    let question = format!("\nOne query over all three:\n\n{FEDERATED_QUERY};\n");
    let chart = "Its chart, by EXPLAIN: what each source is asked to do, and what it refuses:\n".to_owned();
    for (heading, sql) in [(question, FEDERATED_QUERY), (chart, explain.as_str())] {
        if writeln!(shell.console.out, "{heading}").is_err() {
            return Err(Stop::OutputClosed);
        }
        shell.run_text(sql).await?;
    }
    Ok(())
}
