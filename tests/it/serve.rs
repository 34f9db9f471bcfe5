//! `portolan serve` as a process: its HTTP port, reloading, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::{StreamExt, TryStreamExt};
use tonic::transport::{Channel, Endpoint};

use crate::shop::block_on;

/// How long the process may take for what it does at once, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A server with a catalog file of its own.
struct Process {
    child: Child,
    lines: Receiver<String>,
    directory: tempfile::TempDir,
    flight: String,
    http: String,
}

impl Process {
    fn start(catalogs: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("catalogs.toml");
        std::fs::write(&file, catalogs).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_portolan"))
            .args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--catalogs"])
            .arg(&file)
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
    fn line(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(SOON) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no line has {text:?}: {seen:?}"),
            }
        }
    }

    fn define(&self, catalogs: &str) {
        std::fs::write(self.directory.path().join("catalogs.toml"), catalogs).unwrap();
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The status line and the body of an answer.
    fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    async fn client(&self) -> FlightSqlServiceClient<Channel> {
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

async fn lines(client: &mut FlightSqlServiceClient<Channel>, sql: &str) -> Vec<Vec<String>> {
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    let rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    crate::table::format(&rows.try_collect::<Vec<_>>().await.unwrap())
}

fn hive(name: &str, location: &str) -> String {
    format!("[{name}]\nconnector = \"hive\"\nlocation = \"{location}\"\n")
}

#[test]
fn operators_see_that_it_lives_and_what_it_does() {
    let server = Process::start("");
    assert_eq!(server.get("/healthz"), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    assert_eq!(server.get("/readyz"), ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned()));
    block_on(async {
        assert_eq!(lines(&mut server.client().await, "SELECT 1 AS one").await, [["1"]]);
    });
    let (status, metrics) = server.get("/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(metrics.contains("portolan_ended_queries_total{state=\"finished\"} 1\n"), "{metrics}");
    assert!(server.get("/nothing").0.contains("404"));
}

#[test]
fn the_catalog_file_is_read_again_when_asked() {
    let server = Process::start(&hive("lake", "/tmp"));
    block_on(async {
        let mut client = server.client().await;
        let catalogs = "SHOW CATALOGS";
        assert_eq!(lines(&mut client, catalogs).await[0], ["lake", "hive", "ok"]);

        server.define(&(hive("lake", "/tmp") + &hive("second", "/tmp")));
        server.signal("-HUP");
        assert!(server.line("catalog second is").ends_with("added"));
        assert_eq!(lines(&mut client, catalogs).await[1], ["second", "hive", "ok"]);

        // One that is wrong goes on as it was, and says so.
        server.define(&(hive("lake", "/tmp") + "[second]\nconnector = \"hive\"\nlocatoin = \"/tmp\"\n"));
        let changed = lines(&mut client, "CALL system.reload_catalogs()").await;
        assert_eq!(changed[0][..2], ["second", "kept as it was"]);
        assert!(changed[0][2].contains("unknown key `locatoin`"), "{changed:?}");
        let second = &lines(&mut client, catalogs).await[1];
        assert!(second[2].starts_with("as before, not reloaded: "), "{second:?}");

        // The program itself can ask too, and shows the answer.
        server.define(&(hive("lake", "/tmp") + &hive("second", "/")));
        let address = format!("grpc://{}", server.flight);
        let reload =
            Command::new(env!("CARGO_BIN_EXE_portolan")).args(["reload", "--server", &address]).output().unwrap();
        let printed = String::from_utf8(reload.stdout).unwrap();
        assert!(reload.status.success() && printed.contains(" second  | changed"), "{printed}");

        // A file that is no TOML changes nothing.
        server.define("[lake\n");
        server.signal("-HUP");
        server.line("the catalogs go on as they were");
        assert_eq!(lines(&mut client, catalogs).await.len(), 3);
        server.define("");
        server.signal("-HUP");
        server.line("catalog second is removed");
        assert_eq!(lines(&mut client, catalogs).await, [["system", "system", "ok"]]);
    });
}

#[test]
fn asked_to_end_it_lets_results_end_and_is_not_ready_meanwhile() {
    let mut server = Process::start("");
    block_on(async {
        let mut client = server.client().await;
        let sql = "SELECT value FROM generate_series(1, 3000000)".to_owned();
        let info = client.execute(sql, None).await.unwrap();
        let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
        let mut read = rows.next().await.unwrap().unwrap().num_rows();
        server.signal("-TERM");
        server.line("stopping");
        assert_eq!(server.get("/readyz").0, "HTTP/1.1 503 Service Unavailable");
        assert_eq!(server.get("/healthz").0, "HTTP/1.1 200 OK");
        while let Some(batch) = rows.next().await {
            read += batch.unwrap().num_rows();
        }
        assert_eq!(read, 3_000_000);
    });
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}
