//! Running a program to its end, with a deadline.

use std::env;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::ServerError;
use crate::error::tail;

/// How often something is looked at while it is waited for.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// Runs a command with this input and returns what it writes to standard output. `name` stands for the command in
/// errors. A failure, or more time than `limit`, is an error with what the command said.
pub(crate) fn run(name: &str, command: &mut Command, input: &[u8], limit: Duration) -> Result<String, ServerError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(ServerError::io(format!("run {name}")))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (status, output, errors) = thread::scope(|scope| {
        // A command that ends early does not read all of its input: its status says what happened, not our write.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        let output = scope.spawn(move || read_all(stdout));
        let errors = scope.spawn(move || read_all(stderr));
        let status = wait(&mut child, limit);
        if !matches!(status, Ok(Some(_))) {
            // The scope joins the threads, whose pipes close when the command ends.
            let _ = child.kill();
            let _ = child.wait();
        }
        (status, output.join().unwrap_or_default(), errors.join().unwrap_or_default())
    });
    let said = || tail(if errors.trim().is_empty() { &output } else { &errors }).trim().to_owned();
    match status {
        Ok(Some(status)) if status.success() => Ok(output),
        Ok(Some(status)) => {
            Err(ServerError::Command { command: name.to_owned(), status: status.to_string(), said: said() })
        }
        Ok(None) => Err(ServerError::Timeout { what: name.to_owned(), limit, said: said() }),
        Err(source) => Err(ServerError::Io { action: format!("wait for {name}"), source }),
    }
}

/// Waits for a child's end, at most this long: `None` when it still runs.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What arrived before a failure is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The first file of this name in the directories of PATH.
pub(crate) fn find_in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// The value of an environment variable that names a path, unless it is empty.
pub(crate) fn path_variable(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The user's cache directory (XDG Base Directory Specification: `$XDG_CACHE_HOME`, else `~/.cache`).
pub(crate) fn cache_directory() -> Option<PathBuf> {
    path_variable("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn more_input_and_output_than_a_pipe_holds() {
        let input = vec![b'x'; 1 << 20];
        let output = run("cat", &mut Command::new("cat"), &input, Duration::from_secs(30)).unwrap();
        assert_eq!(output.len(), input.len());
    }

    #[test]
    fn a_failure_says_what_the_command_said() {
        let error = run("test", &mut sh("echo out; echo bad thing >&2; exit 3"), b"", Duration::from_secs(30));
        let message = error.unwrap_err().to_string();
        assert_eq!(message, "test failed (exit status: 3): bad thing");
    }

    #[test]
    fn a_command_that_hangs_is_stopped() {
        let start = Instant::now();
        let error = run("test", &mut sh("echo waiting; exec sleep 60"), b"", Duration::from_millis(300)).unwrap_err();
        assert!(matches!(error, ServerError::Timeout { ref said, .. } if said == "waiting"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
