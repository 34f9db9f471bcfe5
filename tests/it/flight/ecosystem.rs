//! Clients that others wrote, each in a process of its own: `ecosystem.py` holds what they do and expect.

use super::adbc::script;
use super::server::Server;
use crate::shop;

fn run(part: &str) {
    let server = Server::over(&format!("eco-{part}"), shop::engine());
    script("ecosystem.py", &format!("grpc://{}", server.address), part, &[]);
}

#[test]
fn pyarrow() {
    run("pyarrow");
}

#[test]
fn polars() {
    run("polars");
}

/// The programs of the README and of docs/clients.md, as they stand but for the address.
#[test]
fn snippets() {
    run("snippets");
}

#[test]
fn usql() {
    run("usql");
}
