//! The PostgreSQL server.

use std::net::TcpStream;
use std::path::Path;

use portolan_servers::{PostgresServer, ServerError};

use crate::process::runs;

#[test]
fn answers_and_leaves_nothing_behind() {
    let server = PostgresServer::start().unwrap();
    assert_eq!(server.psql("postgres", "SELECT 1, 'x'; SELECT NULL").unwrap(), "1|x\n\n");
    let data = server.psql("postgres", "SHOW data_directory").unwrap();
    let data = Path::new(data.trim()).to_owned();
    assert!(data.is_dir());
    let (pid, port) = (server.pid(), server.port());
    assert!(runs(pid));
    drop(server);
    assert!(!runs(pid));
    assert!(!data.exists() && !data.parent().unwrap().exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn settings_that_tests_rely_on() {
    let server = PostgresServer::start().unwrap();
    for (setting, value) in [
        ("server_encoding", "UTF8"),
        ("lc_collate", "C.UTF-8"),
        ("TimeZone", "UTC"),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("max_connections", "200"),
        ("is_superuser", "on"),
    ] {
        // lc_collate is a property of a database since version 16, no longer a setting.
        let query = match setting {
            "lc_collate" => "SELECT datcollate FROM pg_database WHERE datname = 'template1'".to_owned(),
            _ => format!("SHOW {setting}"),
        };
        assert_eq!(server.psql("postgres", &query).unwrap().trim(), value, "{setting}");
    }
    let order = "SELECT string_agg(v, '' ORDER BY v COLLATE \"und-x-icu\") FROM (VALUES ('a'), ('B'), ('c')) t(v)";
    assert_eq!(server.psql("postgres", order).unwrap(), "aBc\n");
}

#[test]
fn two_at_once_are_apart() {
    let (one, two) = (PostgresServer::start().unwrap(), PostgresServer::start().unwrap());
    assert_ne!(one.port(), two.port());
    assert_ne!(one.password(), two.password());
    one.psql("postgres", "CREATE TABLE here (a int)").unwrap();
    let missing = two.psql("postgres", "SELECT * FROM here").unwrap_err().to_string();
    assert!(missing.contains("relation \"here\" does not exist"), "{missing}");
    one.stop().unwrap();
    assert!(one.psql("postgres", "SELECT 1").is_err());
    assert_eq!(two.psql("postgres", "SELECT 1").unwrap(), "1\n");
}

#[test]
fn an_error_stops_the_script_and_keeps_the_message() {
    let server = PostgresServer::start().unwrap();
    let error = server.psql("postgres", "SELEC 1; CREATE TABLE after_it (a int)").unwrap_err();
    let ServerError::Command { said, .. } = &error else { panic!("{error:?}") };
    assert!(said.contains("syntax error at or near \"SELEC\""), "{said}");
    assert_eq!(server.psql("postgres", "SELECT to_regclass('after_it') IS NULL").unwrap(), "t\n");
}

#[test]
fn needs_the_password_and_never_shows_it() {
    let server = PostgresServer::start().unwrap();
    let rule = "SELECT DISTINCT auth_method FROM pg_hba_file_rules";
    assert_eq!(server.psql("postgres", rule).unwrap(), "scram-sha-256\n");
    assert!(!format!("{server:?}").contains(server.password()));
    assert_eq!(server.url("a b/c"), format!("postgres://portolan@127.0.0.1:{}/a%20b%2Fc", server.port()));
}
