//! The command line: argument parsing and the subcommands.

mod args;
mod bytes;
mod check;
mod client;
mod connect;
pub mod demo;
mod logging;
pub(crate) mod output;
mod password;
mod reference;
mod repl;
mod run_demo;
mod serve;
mod shell;
mod sources;
mod sql;
mod sql_reference;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use self::args::{Arguments, Command};
pub use self::reference::serve_reference;
use self::shell::Console;
pub use self::sql_reference::sql_reference;

/// Stack of the runtime's threads, in bytes. Planning walks a query's expressions and operators recursively, with
/// large frames in a debug build.
const STACK_BYTES: usize = 8 << 20;

/// How long cancelled statements may take to reach their sources before the process ends.
const CANCEL_GRACE: Duration = Duration::from_millis(500);

/// How long blocking work may take to end with the process.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// How a subcommand ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All is well.
    Success,
    /// A statement or a check failed.
    Failure,
    /// The command line asks for what there is not.
    WrongUsage,
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// Whoever read the output has left, as `head` does: a quiet end.
    OutputClosed,
}

impl Ending {
    fn code(self) -> u8 {
        match self {
            Self::Success | Self::OutputClosed => 0,
            Self::Failure => 1,
            Self::WrongUsage => 2,
            // 128 and the number of SIGINT, as shells have it.
            Self::Interrupted => 130,
        }
    }
}

/// Runs the program with the process's arguments and returns its exit status: 0, or 1 when a statement failed, 2 for
/// wrong usage, 130 after Ctrl-C.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error. Nobody may be there to read either.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let mut console = Console::standard();
    if let Err(message) = logging::start(arguments.process.log.as_deref(), arguments.process.log_format) {
        console.error(&message);
        return ExitCode::from(Ending::WrongUsage.code());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            console.error(&format!("cannot start threads: {error}"));
            return ExitCode::from(Ending::Failure.code());
        }
    };
    let ending = runtime.block_on(run(arguments, console));
    if matches!(ending, Ending::Interrupted | Ending::OutputClosed) {
        // Not the runtime's own sleep: its clock stands still while queries keep all of its threads busy.
        std::thread::sleep(CANCEL_GRACE);
    }
    runtime.shutdown_timeout(SHUTDOWN_MAX);
    ExitCode::from(ending.code())
}

async fn run(arguments: Arguments, console: Console) -> Ending {
    let process = arguments.process;
    match arguments.command {
        Command::Sql(arguments) => sql::run(&process, &arguments, console).await,
        Command::Serve(arguments) => serve::run(&process, *arguments, console).await,
        Command::Password(arguments) => password::run(&arguments, console),
        Command::Reload(server) => sql::reload(&process, *server, console).await,
        Command::Check(arguments) => check::run(&arguments.file, console).await,
        Command::Demo => run_demo::run(&process, console).await,
    }
}
