//! Servers end with the process that started them, however it ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use portolan_servers::{KafkaBroker, PostgresServer, ScratchDirectory};

use crate::process::{eventually, naming, runs};

/// Set in the process that the tests start: how that process ends.
const VARIABLE: &str = "PORTOLAN_SERVERS_TEST_END";

static POSTGRES: LazyLock<PostgresServer> = LazyLock::new(|| PostgresServer::start().unwrap());
static KAFKA: LazyLock<KafkaBroker> = LazyLock::new(|| KafkaBroker::start().unwrap());
static SCRATCH: LazyLock<ScratchDirectory> = LazyLock::new(|| ScratchDirectory::create("portolan-orphan-").unwrap());

/// Not a test by itself: what the process does that the tests below start and end.
#[test]
fn starts_servers_in_statics() {
    let Ok(end) = std::env::var(VARIABLE) else { return };
    let data = POSTGRES.psql("postgres", "SHOW data_directory").unwrap();
    let scratch = SCRATCH.path().display();
    println!("\nservers {} {} {} {} {scratch}", POSTGRES.pid(), KAFKA.pid(), KAFKA.bootstrap(), data.trim());
    match end.as_str() {
        "exit" => std::process::exit(0),
        _ => std::thread::sleep(Duration::from_secs(120)),
    }
}

/// Starts that process, ends it, and expects that no server and no directory is left.
fn leaves_nothing(end: &str) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "orphan::starts_servers_in_statics", "--nocapture"])
        .env(VARIABLE, end)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.starts_with("servers ")).expect("the servers start");
    let words: Vec<&str> = line.split(' ').collect();
    let (postgres, kafka): (u32, u32) = (words[1].parse().unwrap(), words[2].parse().unwrap());
    let port = words[3].rsplit_once(':').unwrap().1;
    let (directory, scratch) = (Path::new(words[4]).parent().unwrap(), Path::new(words[5]));
    if end == "kill" {
        assert!(runs(postgres) && runs(kafka) && directory.is_dir() && scratch.is_dir());
        process.kill().unwrap();
    }
    process.wait().unwrap();
    eventually("PostgreSQL ends", || !runs(postgres));
    eventually("the broker ends", || !runs(kafka) && naming(&format!("--kafka-port {port} ")).is_empty());
    eventually("the directories are removed", || !directory.exists() && !scratch.exists());
}

#[test]
fn a_killed_process_leaves_nothing() {
    leaves_nothing("kill");
}

#[test]
fn a_process_that_exits_without_dropping_leaves_nothing() {
    leaves_nothing("exit");
}
