//! Rows that are followed, as a person and a program see them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::remote::Served;
use super::terminal::Setting;
use crate::kafka::{create, writing_catalogs, writing_session};
use crate::{shop, table};

/// How long anything may take. Tests run in parallel on few processors.
const PATIENCE: Duration = Duration::from_secs(60);

fn declared(topic: &str) -> String {
    format!("[events.tables.{topic}]\nvalue = {{ columns = {{ n = \"bigint\", page = \"varchar\" }} }}\n")
}

/// Adds a message every now and then, until it is dropped.
struct Adding(Arc<AtomicBool>);

impl Adding {
    fn to(topic: &'static str, values: &'static str) -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&goes_on);
        std::thread::spawn(move || {
            shop::block_on(async {
                let session = writing_session(&declared(topic));
                while flag.load(Ordering::Relaxed) {
                    let sql = format!("INSERT INTO events.default.{topic} (n, page) VALUES {values}");
                    table::rows(&session, &sql).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            });
        });
        Self(goes_on)
    }
}

impl Drop for Adding {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn a_person_watches_a_topic_and_stops() {
    shop::block_on(create("seen", 1));
    let catalogs = writing_catalogs(&declared("seen"));
    let terminal = Setting::new(&["--catalogs", catalogs.path().to_str().unwrap()]).start();
    terminal.line("SELECT n, page FROM events.default.seen FOLLOW WHERE n > 1;");
    let adding = Adding::to("seen", "(1, '/not'), (2, '/checkout')");
    // More of them than the screen has lines: no pager stops them.
    let shown = terminal.wait_until("many rows", |shown| shown.matches("2 | /checkout").count() > 25);
    assert!(!shown.contains("/not"), "{shown}");
    terminal.cancel();
    drop(adding);
    let shown = terminal.shown();
    assert!(shown.contains("the query was cancelled"), "{shown}");
    // A LIMIT ends it by itself.
    let shown = terminal.run("SELECT n FROM events.default.seen FOLLOW SINCE '1 hour' LIMIT 1;");
    assert!(shown.contains("(1 row)"), "{shown}");
}

/// A program that is stopped when it is dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines that `portolan sql` writes while it goes on.
fn lines(arguments: &[&str]) -> (Program, mpsc::Receiver<String>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(["sql", "-X"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let written = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || written.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    (Program(child), receiver)
}

#[test]
fn a_program_reads_lines_as_they_come() {
    shop::block_on(create("piped", 1));
    let catalogs = writing_catalogs(&declared("piped"));
    let catalogs = catalogs.path().to_str().unwrap();
    let served = Served::over(catalogs, &["--listen", "127.0.0.1:0"]);
    let _adding = Adding::to("piped", "(7, '/')");
    let follow = "SELECT n FROM events.default.piped FOLLOW";
    for place in [["--catalogs", catalogs], ["--server", &served.url]] {
        let (program, lines) = lines(&[&place[..], &["--format", "ndjson", "-c", follow]].concat());
        for _ in 0..3 {
            assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), "{\"n\":7}", "{place:?}");
        }
        drop(program);
    }
    // A client that is gone ends the query at the server.
    let ended = "SELECT count(*) FROM system.runtime.queries WHERE ended IS NULL AND query LIKE 'SELECT n FROM%'";
    let begun = std::time::Instant::now();
    loop {
        let output = super::remote::sql(&["--server", &served.url, "-At", "-c", ended]);
        if output.stdout == b"0\n" {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "the query goes on: {}", super::remote::text(&output.stdout));
        std::thread::sleep(Duration::from_millis(100));
    }
}
