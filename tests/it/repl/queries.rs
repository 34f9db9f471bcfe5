//! Queries that take long: what is told of them, and how they end.

use super::terminal::{Setting, Terminal};

/// More work than any machine does while a test runs.
const ENDLESS: &str = "SELECT count(*) AS n FROM generate_series(1, 100000000000) WHERE value % 7 = 3;";

#[test]
fn ctrl_c_cancels_the_query_and_the_session_goes_on() {
    let terminal = Setting::new(&[]).start();
    terminal.run("SET SESSION batch_rows = 100;");
    terminal.line(ENDLESS);
    terminal.wait_for("= 3;");
    terminal.cancel();
    terminal.wait_for("the query was cancelled");
    let shown = terminal.run("SHOW batch_rows;");
    assert!(shown.contains(" 100\n(1 row)"), "{shown}");
}

#[test]
fn a_watched_query_ends_with_ctrl_c() {
    let terminal = Setting::new(&[]).start();
    terminal.line("SELECT 1 AS a \\watch 0.1");
    terminal.wait_until("two answers", |shown| shown.matches("(1 row)").count() >= 2);
    terminal.cancel();
    let shown = terminal.run("SELECT 2 AS b;");
    assert!(shown.contains(" b\n---\n 2\n"), "{shown}");
}

#[test]
fn sources_are_shown_while_a_query_runs_and_not_after() {
    let terminal = Setting::shop().start();
    shows_its_sources(&terminal);
}

/// A query of the shop's lake that runs until it is cancelled.
pub(super) fn shows_its_sources(terminal: &Terminal) {
    // The lake is read, and joined with far more rows than can be counted.
    terminal.line(
        "SELECT count(*) AS n FROM lake.sales.orders o, generate_series(1, 100000000) g \
         WHERE o.customer_id + g.value < 0;",
    );
    terminal.wait_until("a line for the source", |shown| {
        shown.lines().any(|line| line.starts_with("lake.sales.orders ") && line.contains(" rows"))
    });
    terminal.cancel();
    let shown = terminal.wait_for("the query was cancelled");
    assert!(!shown.lines().any(|line| line.starts_with("lake.sales.orders ")), "{shown}");
    assert!(terminal.run("SELECT 1 AS a;").contains("(1 row)"));
}
