//! The ways to say where a server is and who logs in, as libpq has them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use portolan_connector::Connector;
use portolan_servers::PostgresServer;
use tempfile::TempDir;

use crate::harness::{connector, read, table, utf8};

/// A server that asks some users for their password in older ways, and that has a socket in its directory.
static SERVER: LazyLock<PostgresServer> = LazyLock::new(|| {
    let server = PostgresServer::start_with(&["unix_socket_directories=."]).unwrap();
    let before = loaded(&server);
    let rules =
        "host all md5user 127.0.0.1/32 md5\nhost all plainuser 127.0.0.1/32 password\nlocal all all scram-sha-256";
    let lines: Vec<String> = rules.lines().map(|line| format!("('{line}')")).collect();
    server
        .psql(
            "postgres",
            &format!(
                "COPY (VALUES {}) TO PROGRAM 'cat - pg_hba.conf > new && mv new pg_hba.conf';
                 SELECT pg_reload_conf();
                 SET password_encryption = 'md5'; CREATE ROLE md5user LOGIN PASSWORD 'digest';
                 SET password_encryption = 'scram-sha-256'; CREATE ROLE plainuser LOGIN PASSWORD 'plain';
                 CREATE ROLE scramuser LOGIN PASSWORD 'it''s:\\';
                 CREATE DATABASE \"it's a=b\"; CREATE DATABASE still;
                 ALTER DATABASE still SET default_transaction_read_only = on;
                 CREATE VIEW mine AS SELECT current_setting('application_name') AS name, current_setting('search_path') AS path;
                 GRANT SELECT ON mine TO PUBLIC",
                lines.join(", ")
            ),
        )
        .unwrap();
    // A reloaded file counts once the server's main process has read it.
    let start = std::time::Instant::now();
    while loaded(&server) == before {
        assert!(start.elapsed().as_secs() < 10, "the rules are not there");
    }
    server
});

/// When the server read its settings.
fn loaded(server: &PostgresServer) -> String {
    server.psql("postgres", "SELECT pg_conf_load_time()").unwrap()
}

fn with(properties: &str) -> Arc<dyn Connector> {
    connector(properties).unwrap()
}

async fn schemas(properties: &str) -> Result<usize, String> {
    let schemas = with(properties).list_schemas().await;
    schemas.map(|schemas| schemas.len()).map_err(|error| error.to_string())
}

/// A file that only this test's user may read.
fn file(directory: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[tokio::test]
async fn passwords_are_proven_in_each_way_that_a_server_may_ask_for() {
    let port = SERVER.port();
    for (user, password) in [("md5user", "digest"), ("plainuser", "plain"), ("scramuser", "it''s:\\")] {
        let url = format!("url = 'postgres://{user}@127.0.0.1:{port}/postgres'\n");
        let right = format!("{url}password = \"{}\"", password.replace("''", "'").replace('\\', "\\\\"));
        assert_eq!(schemas(&right).await, Ok(1), "{user}");
        let error = schemas(&format!("{url}password = 'wr0ng'")).await.unwrap_err();
        assert!(error.contains("password authentication failed") && !error.contains("wr0ng"), "{error}");
    }
    // A login that must be bound to TLS cannot do without.
    let unbound = format!(
        "url = 'postgres://scramuser@127.0.0.1:{port}/postgres?channel_binding=require&sslmode=disable'\npassword = 'x'"
    );
    let error = schemas(&unbound).await.unwrap_err();
    assert!(error.contains("channel binding"), "{error}");
}

#[tokio::test]
async fn strings_are_uris_or_lists() {
    let (port, password) = (SERVER.port(), SERVER.password());
    let list = format!("host=127.0.0.1 port={port} user=portolan dbname='it\\\\'s a=b' connect_timeout=5");
    assert_eq!(schemas(&format!("url = \"{list}\"\npassword = '{password}'")).await, Ok(1));
    let uri = format!("postgresql://portolan@127.0.0.1:{port}/it%27s%20a%3Db?connect_timeout=5&sslmode=disable");
    assert_eq!(schemas(&format!("url = \"{uri}\"\npassword = '{password}'")).await, Ok(1));
    // hostaddr is where to connect, host what it is called.
    let uri = format!("postgresql://portolan@no-such-host.invalid:{port}/postgres?hostaddr=127.0.0.1");
    assert_eq!(schemas(&format!("url = \"{uri}\"\npassword = '{password}'")).await, Ok(1));
}

#[tokio::test]
async fn a_socket_is_as_good_as_a_port() {
    let directory = SERVER.data_directory();
    let directory = directory.to_str().unwrap();
    let (port, password) = (SERVER.port(), SERVER.password());
    for url in [
        format!("host={directory} port={port} user=portolan dbname=postgres sslmode=require"),
        format!("postgres://portolan@{}:{port}/postgres", directory.replace('/', "%2F")),
        format!("postgres://portolan@/postgres?host={directory}&port={port}"),
    ] {
        assert_eq!(schemas(&format!("url = '{url}'\npassword = '{password}'")).await, Ok(1), "{url}");
    }
}

#[tokio::test]
async fn settings_reach_the_server() {
    let (port, password) = (SERVER.port(), SERVER.password());
    let settings = async |more: &str, properties: &str| {
        let url = format!("postgres://portolan@127.0.0.1:{port}/postgres?{more}");
        let connector = with(&format!("url = '{url}'\npassword = '{password}'\n{properties}"));
        let mine = table(&connector, "public", "mine").await;
        read(&connector, &mine, &["name", "path"], vec![]).await.unwrap().remove(0)
    };
    let default = [utf8("portolan"), utf8("\"$user\", public")];
    assert_eq!(settings("", "").await, default);
    let said = [utf8("app"), utf8("shop,public")];
    assert_eq!(settings("application_name=app&options=-c%20search_path%3Dshop,public", "").await, said);
    // The catalog's own word counts more.
    assert_eq!(
        settings("application_name=x", "application_name = 'app'\noptions = '-csearch_path=shop,public'").await,
        said
    );
}

#[tokio::test]
async fn a_password_file_has_the_password() {
    let directory = TempDir::new().unwrap();
    let port = SERVER.port();
    let path = file(
        &directory,
        "pgpass",
        &format!("# ours\n127.0.0.1:{port}:other:scramuser:no\n127.0.0.1:{port}:*:scramuser:it's\\:\\\\\n*:*:*:*:no\n"),
    );
    let url = format!("url = 'postgres://scramuser@127.0.0.1:{port}/postgres'\npassword_file = '{}'", path.display());
    assert_eq!(schemas(&url).await, Ok(1));
    let in_url = format!("url = 'postgres://scramuser@127.0.0.1:{port}/postgres?passfile={}'", path.display());
    assert_eq!(schemas(&in_url).await, Ok(1));
    // Others may read it: it is ignored.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = schemas(&url).await.unwrap_err();
    assert!(error.contains("password") && !error.contains("it's"), "{error}");
    assert!(error.contains("the server asks for a password"), "{error}");
}

#[tokio::test]
async fn a_service_says_what_the_catalog_does_not() {
    let directory = TempDir::new().unwrap();
    let (port, password) = (SERVER.port(), SERVER.password());
    let path = file(
        &directory,
        "services",
        &format!(
            "[other]\nport=1\n\n[shop]\nhost=127.0.0.1\nport={port}\nuser=nobody\ndbname=postgres\npassword={password}\n"
        ),
    );
    let service_file = format!("service_file = '{}'", path.display());
    assert_eq!(schemas(&format!("service = 'shop'\nuser = 'portolan'\n{service_file}")).await, Ok(1));
    assert_eq!(schemas(&format!("url = 'service=shop user=portolan'\n{service_file}")).await, Ok(1));
    assert_eq!(schemas(&format!("url = 'postgres://portolan@/?service=shop'\n{service_file}")).await, Ok(1));
    let error = schemas(&format!("service = 'shop'\n{service_file}")).await.unwrap_err();
    assert!(error.contains("as user nobody") && !error.contains(password), "{error}");
    let error = schemas(&format!("service = 'absent'\n{service_file}")).await.unwrap_err();
    assert!(
        error.contains("catalog pg") && error.contains("no service absent") && error.contains("services"),
        "{error}"
    );
    assert!(connector("user = 'u'").unwrap_err().contains("neither url nor service"));
}

#[tokio::test]
async fn the_first_host_that_suits_is_taken() {
    let (port, password) = (SERVER.port(), SERVER.password());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let of = |database: &str, wanted: &str| {
        let url =
            format!("postgres://portolan@127.0.0.1:{free},127.0.0.1:{port}/{database}?target_session_attrs={wanted}");
        format!("url = '{url}'\npassword = '{password}'")
    };
    for wanted in ["any", "read-write", "primary", "prefer-standby"] {
        assert_eq!(schemas(&of("postgres", wanted)).await, Ok(1), "{wanted}");
    }
    assert_eq!(schemas(&of("still", "read-only")).await, Ok(1));
    for (database, wanted, is) in [
        ("postgres", "standby", "the server is a primary"),
        ("postgres", "read-only", "the server is a primary"),
        ("still", "read-write", "the server is a primary that only reads"),
    ] {
        let error = schemas(&of(database, wanted)).await.unwrap_err();
        assert!(error.contains(is) && error.contains("target_session_attrs"), "{wanted}: {error}");
    }
    let error = schemas(&of("absent", "any")).await.unwrap_err();
    assert!(error.contains("\"absent\" does not exist"), "{error}");
}
