//! What goes wrong with a server, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a server could not be started, asked or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A program is not installed.
    #[error("cannot find {program}: looked in {looked_in}. To install it: {install}")]
    Missing {
        /// The program, such as `initdb`.
        program: String,
        /// The places where it could have been.
        looked_in: String,
        /// The command that installs it.
        install: String,
    },
    /// The operating system refused something.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, with the path or program.
        action: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A command ended with a failure.
    #[error("{command} failed ({status}): {said}")]
    Command {
        /// The command, without secrets.
        command: String,
        /// Its exit status.
        status: String,
        /// What it wrote to standard error, or else to standard output.
        said: String,
    },
    /// A command or server did not finish in time.
    #[error("{what} took longer than {} s and was stopped{}", limit.as_secs(), after_colon(said))]
    Timeout {
        /// The command, or the step of the server.
        what: String,
        /// How long it was given.
        limit: Duration,
        /// The end of what it wrote, possibly empty.
        said: String,
    },
    /// A server ended before it was ready.
    #[error("{server} ended while it was starting (exit status {status}). Its log ends:\n{log}")]
    Died {
        /// The server, with its program and port.
        server: String,
        /// Its exit status.
        status: i32,
        /// The end of its log.
        log: String,
    },
    /// The account that a server must run as, because root may not, does not exist.
    #[error(
        "PostgreSQL does not run as root, and there is no user `{user}` to run it as ({said}). \
         `apt-get install postgresql` creates that user; or run this as another user than root"
    )]
    NoUser {
        /// The account.
        user: String,
        /// What `id` said.
        said: String,
    },
}

impl ServerError {
    /// For `map_err`: the operating system refused `action`.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action: action.into(), source }
    }
}

/// Bytes of a log that an error quotes.
const LOG_TAIL_BYTES: usize = 4000;

/// The end of a server's log, for an error message.
pub(crate) fn log_tail(path: &Path) -> String {
    match std::fs::read(path) {
        Ok(log) => tail(&String::from_utf8_lossy(&log)).to_owned(),
        Err(error) => format!("({}: {error})", PathBuf::from(path).display()),
    }
}

/// At most the last `LOG_TAIL_BYTES` of a text, from the beginning of a line.
pub(crate) fn tail(text: &str) -> &str {
    let text = text.trim_end();
    let Some(mut start) = text.len().checked_sub(LOG_TAIL_BYTES) else { return text };
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let end = text.get(start..).unwrap_or_default();
    end.split_once('\n').map_or(end, |(_, lines)| lines)
}

fn after_colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_short_whole_lines_at_the_end() {
        assert_eq!(tail("one\ntwo\n"), "one\ntwo");
        let long = format!("first\n{}\nlast", "é".repeat(LOG_TAIL_BYTES));
        assert_eq!(tail(&long), "last");
        let one_line = "x".repeat(2 * LOG_TAIL_BYTES);
        assert_eq!(tail(&one_line).len(), LOG_TAIL_BYTES);
    }
}
