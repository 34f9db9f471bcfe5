//! `flight_sql_client`, the program of the crate arrow-flight, in a process of its own.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use portolan::flight::ServerOptions;
use portolan::{Engine, EngineOptions};

use super::security::{PASSWORD, Users};
use super::server::{Client, Server, block_on, lines};
use crate::shop;

/// The variable that names the program.
const PROGRAM: &str = "PORTOLAN_TEST_FLIGHT_SQL_CLIENT";

/// How long the server may take to notice that a client is gone, on a busy machine.
const NOTICED_WITHIN: Duration = Duration::from_secs(5);

/// How long a query may take to begin, on a busy machine.
const BEGUN_WITHIN: Duration = Duration::from_secs(60);

/// The command that installs the version that the server is built with, as docs/clients.md has it.
fn install() -> String {
    let lock: toml::Table = include_str!("../../../Cargo.lock").parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let version = packages.iter().find(|package| package["name"].as_str() == Some("arrow-flight")).unwrap()["version"]
        .as_str()
        .unwrap();
    format!("cargo install arrow-flight --version {version} --features cli,flight-sql,tls-ring --bin flight_sql_client")
}

fn program(server: &Server, arguments: &[&str]) -> Command {
    let program = std::env::var(PROGRAM)
        .unwrap_or_else(|_| panic!("{PROGRAM} is not set. Install with: {}; then let it name the program", install()));
    let mut command = Command::new(program);
    command.args(["--host", "127.0.0.1", "--port", &server.address.port().to_string()]).args(arguments);
    command
}

fn run(server: &Server, arguments: &[&str]) -> Output {
    let output = program(server, arguments).output();
    output.unwrap_or_else(|error| panic!("flight_sql_client: {error}. Install with: {}", install()))
}

#[test]
fn the_page_says_how_it_is_installed() {
    let page = include_str!("../../../docs/clients.md");
    assert!(page.contains(&install()), "docs/clients.md lacks: {}", install());
}

/// What it prints when all is well: a table.
fn printed(server: &Server, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(server, arguments);
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// What it says when something is wrong.
fn refused(server: &Server, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(server, arguments);
    assert_eq!((status.code(), stdout.as_slice()), (Some(1), [].as_slice()), "{arguments:?}");
    String::from_utf8(stderr).unwrap()
}

/// The values of a column of a printed table.
fn column(table: &str, name: &str) -> Vec<String> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut rows = table.lines().filter(|line| line.starts_with('|')).map(cells);
    let index = rows.next().unwrap().iter().position(|title| title == name).unwrap();
    rows.map(|row| row[index].clone()).collect()
}

#[test]
fn it_lists_what_is_there() {
    let server = Server::over("cli lists", shop::engine());
    assert_eq!(
        column(&printed(&server, &["catalogs"]), "catalog_name"),
        ["events", "lake", "mem", "own", "pg", "system"]
    );
    let schemas = printed(&server, &["db-schemas", "lake"]);
    assert!(column(&schemas, "db_schema_name").contains(&"sales".to_owned()), "{schemas}");
    let tables = printed(&server, &["tables", "pg", "--db-schema-filter", "pub%", "--table-filter", "c%"]);
    assert_eq!(column(&tables, "table_name"), ["customers"]);
    assert_eq!(column(&printed(&server, &["table-types"]), "table_type"), ["BASE TABLE", "VIEW"]);
}

#[test]
fn it_runs_statements_with_and_without_parameters() {
    let server = Server::start("cli runs");
    let table = "+-----+------+\n| one | word |\n+-----+------+\n| 1   | it's |\n+-----+------+\n";
    assert_eq!(printed(&server, &["statement-query", "SELECT 1 AS one, 'it''s' AS word"]), table);
    let above = "SELECT value FROM generate_series(1, 9) WHERE value > $1 AND value < $2 ORDER BY 1";
    let table = printed(&server, &["prepared-statement-query", "-p", "$1=6", "-p", "$2=9", above]);
    assert_eq!(column(&table, "value"), ["7", "8"]);
    let said = refused(&server, &["prepared-statement-query", "-p", "$1=6", above]);
    assert!(said.contains("the statement has 2 parameters, and values for 1 were given"), "{said}");
}

#[test]
fn it_reads_a_million_rows() {
    let server = Server::start("cli million");
    let table = printed(&server, &["statement-query", "SELECT value FROM generate_series(1, 1000000)"]);
    assert_eq!(table.lines().count(), 1_000_000 + 4);
    assert_eq!(table.lines().rev().nth(1).unwrap().trim_matches('|').trim(), "1000000");
}

#[test]
fn it_says_what_is_wrong_with_a_statement() {
    let server = Server::over("cli errors", shop::engine());
    // This client shows a message as a text of Rust.
    for (statement, message) in [
        ("SELECT nothing", r"column nothing does not exist\nLINE 1: SELECT nothing\n               ^"),
        ("SELECT * FROM pg.public.custmers", r#"did you mean \"customers\"?"#),
        ("SELECT 1 / (value - 5) AS n FROM generate_series(1, 9)", "division by zero"),
    ] {
        let said = refused(&server, &["statement-query", statement]);
        assert!(said.contains(message), "{said}");
    }
}

#[test]
fn it_logs_in() {
    let users = Users::new();
    let options = ServerOptions { auth: users.options(), ..ServerOptions::default() };
    let server = Server::with("cli login", Engine::start(EngineOptions::default()).unwrap(), options);
    let ask = |password: &'static str| {
        ["--username", "alice", "--password", password, "statement-query", "SELECT current_user AS me"]
    };
    assert_eq!(column(&printed(&server, &ask(PASSWORD)), "me"), ["alice"]);
    let said = refused(&server, &ask("open barley"));
    assert!(said.contains("the user name or the password is wrong"), "{said}");
    refused(&server, &["statement-query", "SELECT 1"]);
}

/// How many endless queries run.
async fn running(client: &mut Client) -> usize {
    let sql = "SELECT count(*) AS n FROM system.runtime.queries \
               WHERE ended IS NULL AND rows > 0 AND query LIKE '%endless%' AND query NOT LIKE '%runtime%'";
    lines(client, sql).await[0].parse().unwrap()
}

#[test]
fn a_query_ends_when_its_process_is_killed() {
    let server = Server::start("cli killed");
    let endless = "SELECT value AS endless FROM generate_series(1, 100000000000)";
    let mut process = program(&server, &["statement-query", endless]).stdout(Stdio::null()).spawn().unwrap();
    block_on(async {
        let mut client = server.client().await;
        let begun = Instant::now();
        while running(&mut client).await == 0 {
            assert!(begun.elapsed() < BEGUN_WITHIN, "the query does not begin");
        }
        // It has no time to say goodbye.
        process.kill().unwrap();
        let killed = Instant::now();
        while running(&mut client).await > 0 {
            assert!(killed.elapsed() < NOTICED_WITHIN, "the query goes on");
        }
        let seen =
            "SELECT state FROM system.runtime.queries WHERE query LIKE '%endless%' AND query NOT LIKE '%runtime%'";
        assert_eq!(lines(&mut client, seen).await, ["cancelled"], "after {:?}", killed.elapsed());
    });
    process.wait().unwrap();
}
