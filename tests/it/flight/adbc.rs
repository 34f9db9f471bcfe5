//! ADBC's driver from Python, in a process of its own: `adbc.py` holds what it does and expects.

use std::process::Command;

use super::server::Server;
use crate::shop;

/// The variable that names the Python interpreter which has the packages.
const PYTHON: &str = "PORTOLAN_TEST_PYTHON";

const INSTALL: &str = "python3 -m venv ~/.cache/portolan/python && \
    ~/.cache/portolan/python/bin/pip install adbc-driver-flightsql adbc-driver-manager pyarrow && \
    export PORTOLAN_TEST_PYTHON=~/.cache/portolan/python/bin/python";

fn run(server: &Server, part: &str) {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| panic!("{PYTHON} is not set. Install with: {INSTALL}"));
    let output = Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/adbc.py"))
        .arg(format!("grpc://{}", server.address))
        .arg(part)
        .output()
        .unwrap_or_else(|error| panic!("{python}: {error}. Install with: {INSTALL}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{part}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    // Each part says that it came to its end.
    assert_eq!(text(&output.stdout).trim(), format!("{part}: ok"));
}

#[test]
fn statements() {
    run(&Server::start("adbc-statements"), "statements");
}

#[test]
fn sessions() {
    run(&Server::start("adbc-sessions"), "sessions");
}

#[test]
fn errors() {
    run(&Server::start("adbc-errors"), "errors");
}

#[test]
fn streaming() {
    run(&Server::start("adbc-streaming"), "streaming");
}

#[test]
fn metadata() {
    run(&Server::over("adbc-metadata", shop::engine()), "metadata");
}
