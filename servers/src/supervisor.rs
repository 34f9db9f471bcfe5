//! A server that ends with this process.
//!
//! A server of ours must not outlive this process, even when the process is killed or ends without dropping its
//! statics. So each server is the child of a small shell script, the supervisor, whose standard input is a pipe that
//! only this process holds open. At its end, however this process ended, the supervisor stops the server and removes
//! its directory. The supervisor alone waits for the server, so the process number that it signals is never another's.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::ServerError;
use crate::command::wait;
use crate::error::log_tail;

/// Arguments: the directory to remove at the end, the signal that stops the server, the server and its arguments.
///
/// The server is in the supervisor's process group, which `kill 0` reaches with all that the server started; the
/// supervisor ignores the stop signals itself, and that nobody reads its standard output any more. A server that does not
/// stop in `STOP_SECONDS` is killed. What the server started may write for a moment longer, so that the directory may
/// need to be removed again. The last command ends whatever is left in the group, the supervisor included.
const SCRIPT: &str = r#"
directory=$1 signal=$2 seconds=$3
shift 3
exec 3<&0
"$@" </dev/null >"$directory/log" 2>&1 3<&- &
server=$!
trap '' TERM INT QUIT HUP PIPE
echo "started $server"
(
    read -r line <&3
    kill -s "$signal" 0
    sleep "$seconds"
    kill -s KILL "$server"
) >/dev/null 2>&1 &
watcher=$!
wait "$server"
status=$?
kill -s KILL "$watcher"
echo "exited $status" 2>/dev/null
read -r line <&3
tries=5
while
    rm -rf "$directory"
    [ -e "$directory" ] && [ "$tries" -gt 0 ]
do
    tries=$((tries - 1))
    sleep 1
done
kill -s KILL 0
"#;

/// How long a server may take to stop before it is killed.
const STOP_SECONDS: u64 = 10;

/// How long the supervisor may take to start the server's program, and to finish after the server's end.
pub(crate) const SUPERVISOR_LIMIT: Duration = Duration::from_secs(30);

/// An account to run a server as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A running server with its supervisor and its directory. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Supervised {
    /// What the server is called in errors.
    name: String,
    pid: u32,
    events: Mutex<Receiver<Event>>,
    supervisor: Mutex<Option<Child>>,
    directory: TempDir,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Started(u32),
    Exited(i32),
}

impl Supervised {
    /// Starts a server's program. What it writes goes to the file `log` of the directory, which is removed when the
    /// server is stopped. `signal` is the name of the signal that makes the server stop without delay.
    pub(crate) fn start(
        name: &str,
        server: &[&str],
        signal: &str,
        account: Option<Account>,
        directory: TempDir,
    ) -> Result<Self, ServerError> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "portolan-supervisor"]);
        command.arg(directory.path()).arg(signal).arg(STOP_SECONDS.to_string()).args(server);
        // A group of its own: Ctrl-C at the terminal reaches this process and not the server.
        command.current_dir(directory.path()).process_group(0);
        if let Some(Account { uid, gid }) = account {
            command.uid(uid).gid(gid);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut supervisor = command.spawn().map_err(ServerError::io(format!("run sh to start {name}")))?;
        let events = supervisor.stdout.take().map(listen);
        let stopped = |mut supervisor: Child| {
            drop(supervisor.stdin.take());
            let _ = wait(&mut supervisor, SUPERVISOR_LIMIT);
        };
        let Some(events) = events else {
            stopped(supervisor);
            return Err(ServerError::Io {
                action: format!("listen to {name}"),
                source: std::io::ErrorKind::Other.into(),
            });
        };
        match events.recv_timeout(SUPERVISOR_LIMIT) {
            Ok(Event::Started(pid)) => Ok(Self {
                name: name.to_owned(),
                pid,
                events: Mutex::new(events),
                supervisor: Mutex::new(Some(supervisor)),
                directory,
            }),
            outcome => {
                stopped(supervisor);
                let said = log_tail(&directory.path().join("log"));
                Err(match outcome {
                    Err(RecvTimeoutError::Timeout) => {
                        ServerError::Timeout { what: format!("starting {name}"), limit: SUPERVISOR_LIMIT, said }
                    }
                    _ => ServerError::Died { server: name.to_owned(), status: -1, log: said },
                })
            }
        }
    }

    /// The server's process number.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The directory that the server keeps everything in.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file that has what the server wrote.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory().join("log")
    }

    /// Waits until `ready` says so. A server that ends before, or is not ready in time, is an error with its log.
    pub(crate) fn wait_until(&self, limit: Duration, ready: impl Fn() -> bool) -> Result<(), ServerError> {
        let start = std::time::Instant::now();
        loop {
            let event = self.events.lock().unwrap_or_else(PoisonError::into_inner).try_recv();
            match event {
                Ok(Event::Exited(status)) => {
                    return Err(ServerError::Died { server: self.name.clone(), status, log: log_tail(&self.log()) });
                }
                Err(TryRecvError::Disconnected) => {
                    return Err(ServerError::Died {
                        server: self.name.clone(),
                        status: -1,
                        log: log_tail(&self.log()),
                    });
                }
                Ok(Event::Started(_)) | Err(TryRecvError::Empty) => {}
            }
            if ready() {
                return Ok(());
            }
            if start.elapsed() >= limit {
                let what = format!("starting {}", self.name);
                return Err(ServerError::Timeout { what, limit, said: log_tail(&self.log()) });
            }
            thread::sleep(crate::command::POLL);
        }
    }

    /// Stops the server and removes its directory. Does nothing when it is stopped already.
    pub(crate) fn stop(&self) -> Result<(), ServerError> {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut child) = supervisor.take() else { return Ok(()) };
        drop(child.stdin.take());
        let limit = SUPERVISOR_LIMIT + Duration::from_secs(STOP_SECONDS);
        match wait(&mut child, limit) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(ServerError::Timeout {
                what: format!("stopping {}", self.name),
                limit,
                said: log_tail(&self.log()),
            }),
            Err(source) => Err(ServerError::Io { action: format!("wait for the end of {}", self.name), source }),
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // Nobody is left to tell; the directory's own drop removes what the supervisor could not.
        let _ = self.stop();
    }
}

/// Reads the supervisor's lines on a thread of its own, until the supervisor ends.
fn listen(stdout: ChildStdout) -> Receiver<Event> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(event) = parse(&line)
                && sender.send(event).is_err()
            {
                return;
            }
        }
    });
    receiver
}

fn parse(line: &str) -> Option<Event> {
    let (word, number) = line.split_once(' ')?;
    match word {
        "started" => number.parse().ok().map(Event::Started),
        "exited" => number.parse().ok().map(Event::Exited),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Result<Supervised, ServerError> {
        Supervised::start("a test", &["sh", "-c", script], "TERM", None, tempfile::tempdir().unwrap())
    }

    #[test]
    fn a_server_that_ends_is_noticed_with_its_status_and_log() {
        let server = start("echo no luck; exit 7").unwrap();
        let error = server.wait_until(Duration::from_secs(20), || false).unwrap_err();
        assert!(matches!(error, ServerError::Died { status: 7, ref log, .. } if log == "no luck"), "{error}");
        let directory = server.directory().to_owned();
        server.stop().unwrap();
        assert!(!directory.exists());
    }

    #[test]
    fn a_server_that_is_never_ready_is_an_error_in_time() {
        let server = start("echo hello; exec sleep 60").unwrap();
        let error = server.wait_until(Duration::from_millis(500), || false).unwrap_err();
        assert!(error.to_string().ends_with(": hello"), "{error}");
    }

    #[test]
    fn stopping_reaches_what_the_server_started() {
        let server = start("sleep 60 & echo $! >child; wait").unwrap();
        let child = server.directory().join("child");
        server
            .wait_until(Duration::from_secs(20), || {
                std::fs::read_to_string(&child).is_ok_and(|pid| pid.ends_with('\n'))
            })
            .unwrap();
        let pid: u32 = std::fs::read_to_string(&child).unwrap().trim().parse().unwrap();
        let directory = server.directory().to_owned();
        server.stop().unwrap();
        server.stop().unwrap();
        assert!(!directory.exists());
        // `kill -0` succeeds for a zombie that nobody has reaped yet: ask for the state instead.
        let state = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
        let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
        assert!(state.is_empty() || state.starts_with('Z'), "still running: {state}");
    }
}
