//! `portolan serve` as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tonic::transport::{Channel, Endpoint};

/// How long the process may take for what it does at once, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A Flight SQL client.
pub(crate) type Client = FlightSqlServiceClient<Channel>;

/// A running server. It is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    directory: tempfile::TempDir,
    pub(crate) flight: String,
    http: String,
}

impl Process {
    /// A server with a catalog file of its own.
    pub(crate) fn start(catalogs: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("catalogs.toml");
        std::fs::write(&file, catalogs).unwrap();
        Self::begin(directory, &file, &[], &[])
    }

    /// A server over a catalog file, with further arguments and variables of its environment.
    pub(crate) fn over(catalogs: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::begin(tempfile::tempdir().unwrap(), catalogs, arguments, variables)
    }

    fn begin(directory: tempfile::TempDir, catalogs: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_portolan"))
            .args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--catalogs"])
            .arg(catalogs)
            .args(arguments)
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut process = Self { child, lines, directory, flight: String::new(), http: String::new() };
        let line = process.line("serving Flight SQL at grpc://");
        process.flight = line.split("grpc://").nth(1).unwrap().split(';').next().unwrap().to_owned();
        let line = process.line("at http://");
        process.http = line.split("http://").nth(1).unwrap().to_owned();
        process
    }

    /// Waits for a line with this text.
    pub(crate) fn line(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(SOON) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no line has {text:?}: {seen:?}"),
            }
        }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes the catalog file anew.
    pub(crate) fn define(&self, catalogs: &str) {
        std::fs::write(self.directory.path().join("catalogs.toml"), catalogs).unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until the process has ended by itself. Returns its exit status.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let asked = Instant::now();
        while asked.elapsed() < SOON {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the process goes on");
    }

    /// The lines that nobody has waited for, once the process has ended.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.lines.iter().collect()
    }

    /// The status line and the body of an answer.
    pub(crate) fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    pub(crate) async fn client(&self) -> Client {
        let channel = Endpoint::new(format!("http://{}", self.flight)).unwrap().connect().await.unwrap();
        FlightSqlServiceClient::new(channel)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a statement. Returns its rows as text.
pub(crate) async fn lines(client: &mut Client, sql: &str) -> Vec<Vec<String>> {
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    let rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    crate::table::format(&rows.try_collect::<Vec<_>>().await.unwrap())
}
