//! ADBC's driver from Python, in a process of its own: `adbc.py` holds what it does and expects.

use std::process::Command;

use super::server::Server;
use crate::postgres_write::Writable;
use crate::shop;

/// The variable that names the Python interpreter which has the packages.
const PYTHON: &str = "PORTOLAN_TEST_PYTHON";

const INSTALL: &str = "python3 -m venv ~/.cache/portolan/python && \
    ~/.cache/portolan/python/bin/pip install --requirement scripts/requirements-test.txt && \
    export PORTOLAN_TEST_PYTHON=~/.cache/portolan/python/bin/python";

/// Runs a part of a script of this directory with the server's address, and with what else it needs to know. The part
/// says that it came to its end.
pub(super) fn script(name: &str, uri: &str, part: &str, more: &[&str]) {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| panic!("{PYTHON} is not set. Install with: {INSTALL}"));
    let output = Command::new(&python)
        .arg(format!("{}/tests/it/{name}", env!("CARGO_MANIFEST_DIR")))
        .args([uri, part])
        .args(more)
        .output()
        .unwrap_or_else(|error| panic!("{python}: {error}. Install with: {INSTALL}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{part}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(text(&output.stdout).trim(), format!("{part}: ok"));
}

/// Runs a part of `adbc.py` against a server.
pub(super) fn run(server: &Server, part: &str) {
    script("adbc.py", &format!("grpc://{}", server.address), part, &[]);
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
fn writing() {
    run(&Server::over("adbc-writing", shop::memory_engine()), "writing");
}

#[test]
fn writing_to_postgresql() {
    run(&Server::over("adbc-postgres", Writable::with("").engine), "postgres");
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
