//! Encryption, and what is asked of the server's certificate. The certificates are for tests only: the authority's key
//! is gone, the server's is no secret.

use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int32Array, StringArray};
use futures::StreamExt;
use portolan_connector::Connector;
use portolan_servers::PostgresServer;

use crate::harness::{begin, connector, open, plan, read, request, table};
use crate::write::{batch, insert};

/// A server with TLS.
static SERVER: LazyLock<PostgresServer> = LazyLock::new(|| {
    let server = PostgresServer::start().unwrap();
    // The server itself has to own the files, and nobody else may read the key.
    let install = |content: &str, name: &str| {
        let lines: Vec<String> = content.lines().map(|line| format!("('{line}')")).collect();
        format!("COPY (VALUES {}) TO PROGRAM 'umask 077; cat > {name}';\n", lines.join(", "))
    };
    let script = [
        install(include_str!("certificates/server.pem"), "server.pem"),
        install(include_str!("certificates/server.key"), "server.key"),
        install(include_str!("certificates/client-authority.pem"), "client-authority.pem"),
        "COPY (VALUES ('hostssl all certuser 127.0.0.1/32 cert'), ('hostnossl all tlsonly 127.0.0.1/32 reject'), ('hostssl all plainonly 127.0.0.1/32 reject')) TO PROGRAM 'cat - pg_hba.conf > new && mv new pg_hba.conf';\n".to_owned(),
        "CREATE ROLE tlsonly LOGIN PASSWORD 'x';\nCREATE ROLE plainonly LOGIN PASSWORD 'x';\n".to_owned(),
        "CREATE ROLE certuser LOGIN;\nALTER SYSTEM SET ssl_ca_file = 'client-authority.pem';\n".to_owned(),
        "ALTER SYSTEM SET ssl_cert_file = 'server.pem';\nALTER SYSTEM SET ssl_key_file = 'server.key';\n".to_owned(),
        "ALTER SYSTEM SET ssl = on;\nSELECT pg_reload_conf();\n".to_owned(),
        "CREATE VIEW long AS SELECT g AS id, repeat('x', 200) AS v FROM (SELECT generate_series(1, 100000000) AS g) rows;\n".to_owned(),
        "CREATE VIEW mine AS SELECT ssl AS encrypted FROM pg_stat_ssl WHERE pid = pg_backend_pid();\nGRANT SELECT ON mine TO PUBLIC;\n".to_owned(),
    ];
    server.psql("postgres", &script.concat()).unwrap();
    let start = Instant::now();
    while server.psql("postgres", "SHOW ssl").unwrap().trim() != "on" {
        assert!(start.elapsed() < Duration::from_secs(10), "the server did not switch TLS on");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
});

fn with(host: &str, properties: &str) -> Arc<dyn Connector> {
    let url = SERVER.url("postgres").replace("127.0.0.1", host);
    connector(&format!("url = '{url}'\npassword = '{}'\n{properties}", SERVER.password())).unwrap()
}

/// Whether the session that reads rows is encrypted.
async fn encrypted(connector: &Arc<dyn Connector>) -> String {
    let mine = table(connector, "public", "mine").await;
    read(connector, &mine, &["encrypted"], vec![]).await.unwrap()[0][0].to_string()
}

/// A user's certificate in place of a password.
#[tokio::test]
async fn a_certificate_lets_its_user_log_in() {
    let directory = tempfile::tempdir().unwrap();
    let install = |name: &str, content: &str, mode: u32| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let certificate = install("client.pem", include_str!("certificates/client.pem"), 0o644);
    let key = install("client.key", include_str!("certificates/client.key"), 0o600);
    let open = install("open.key", include_str!("certificates/client.key"), 0o644);
    let other = install("other.key", include_str!("certificates/server.key"), 0o600);
    let url = format!(
        "url = 'postgres://certuser@localhost:{}/postgres'\n{}\ntls = 'verify-full'",
        SERVER.port(),
        authority()
    );
    let schemas = async |more: &str| connector(&format!("{url}\n{more}")).unwrap().list_schemas().await;
    let with = |key: &str| format!("tls_certificate = '{certificate}'\ntls_key = '{key}'");
    assert_eq!(schemas(&with(&key)).await.unwrap(), ["public"]);
    let error = schemas("").await.unwrap_err().to_string();
    assert!(error.contains("requires a valid client certificate"), "{error}");
    let error = schemas(&with(&open)).await.unwrap_err().to_string();
    assert!(error.contains("open.key may be read by others"), "{error}");
    let error = schemas(&with(&other)).await.unwrap_err().to_string();
    assert!(error.contains("other.key is no key for tls_certificate"), "{error}");
    let error = connector(&format!("{url}\ntls_key = '{key}'")).unwrap_err();
    assert!(error.contains("needs its key"), "{error}");
}

/// libpq's `allow` tries without TLS first and `prefer` with it, and both try the other way where the server lets the
/// user in that way alone.
#[tokio::test]
async fn who_is_not_let_in_one_way_tries_the_other() {
    let login = |user: &str, tls: &str| {
        let url = format!("postgres://{user}@localhost:{}/postgres", SERVER.port());
        connector(&format!("url = '{url}'\npassword = 'x'\ntls = '{tls}'")).unwrap()
    };
    assert_eq!(encrypted(&with("localhost", "tls = 'allow'")).await, "false");
    assert_eq!(encrypted(&login("tlsonly", "allow")).await, "true");
    assert_eq!(encrypted(&login("tlsonly", "prefer")).await, "true");
    assert_eq!(encrypted(&login("plainonly", "allow")).await, "false");
    assert_eq!(encrypted(&login("plainonly", "prefer")).await, "false");
    for (user, tls) in [("tlsonly", "disable"), ("plainonly", "require")] {
        let error = login(user, tls).list_schemas().await.unwrap_err().to_string();
        assert!(error.contains("pg_hba.conf rejects connection"), "{error}");
    }
    let url = format!("postgres://nobody@localhost:{}/postgres", SERVER.port());
    let nobody = connector(&format!("url = '{url}'\npassword = 'x'\ntls = 'allow'")).unwrap();
    let error = nobody.list_schemas().await.unwrap_err().to_string();
    assert!(error.contains("password authentication failed"), "{error}");
}

/// SCRAM-SHA-256-PLUS proves that both ends are on the same connection.
#[tokio::test]
async fn logins_can_be_bound_to_the_connection() {
    let bound = with("localhost", &format!("tls = 'verify-full'\nchannel_binding = 'require'\n{}", authority()));
    assert_eq!(bound.list_schemas().await.unwrap(), ["public"]);
    // Who names an authority wants it to be asked, as with libpq.
    let error = with(
        "localhost",
        &format!(
            "tls = 'require'\ntls_root_certificate = '{}/tests/it/certificates/client-authority.pem'",
            env!("CARGO_MANIFEST_DIR")
        ),
    );
    let error = error.list_schemas().await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
}

fn authority() -> String {
    format!("tls_root_certificate = '{}/tests/it/certificates/authority.pem'", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_ask_for_as_much_as_they_say() {
    assert_eq!(encrypted(&with("127.0.0.1", "tls = 'disable'")).await, "false");
    for mode in ["", "tls = 'prefer'", "tls = 'require'"] {
        assert_eq!(encrypted(&with("127.0.0.1", mode)).await, "true", "{mode}");
    }
    let ca = authority();
    // The certificate is for localhost, not for 127.0.0.1.
    assert_eq!(encrypted(&with("127.0.0.1", &format!("tls = 'verify-ca'\n{ca}"))).await, "true");
    assert_eq!(encrypted(&with("localhost", &format!("tls = 'verify-full'\n{ca}"))).await, "true");
    let error = with("127.0.0.1", &format!("tls = 'verify-full'\n{ca}")).list_schemas().await.unwrap_err().to_string();
    assert!(error.contains("certificate") && error.contains("Hint: "), "{error}");
    // The machine's own authorities did not sign it.
    let error = with("localhost", "tls = 'verify-ca'").list_schemas().await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    let missing = with("localhost", "tls = 'verify-full'\ntls_root_certificate = '/no/such/file.pem'");
    let error = missing.list_schemas().await.unwrap_err().to_string();
    assert!(error.contains("/no/such/file.pem"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_no_secure_server() {
    let plain = crate::harness::Database::new();
    let error = plain.connector_with("tls = 'require'").list_schemas().await.unwrap_err().to_string();
    assert!(error.contains("does not support TLS") && error.contains("tls = \"disable\""), "{error}");
    assert_eq!(plain.connector_with("tls = 'prefer'").list_schemas().await.unwrap(), ["public"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancellation_goes_over_tls_as_well() {
    let connector = with("127.0.0.1", "tls = 'require'");
    let of = table(&connector, "public", "long").await;
    let snapshot = begin(&connector).await;
    let plan = plan(&of, &request(&of, &["id", "v"], vec![]), &snapshot).await.unwrap();
    let mut stream = open(&connector, &plan, 1000);
    for _ in 0..500 {
        assert_eq!(stream.next().await.unwrap().unwrap().num_rows(), 1000);
    }
    drop(stream);
    let start = Instant::now();
    let active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%COPY%long%' AND state = 'active' AND pid <> pg_backend_pid()";
    while SERVER.psql("postgres", active).unwrap().trim() != "0" {
        assert!(start.elapsed() < Duration::from_secs(1), "the statement still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_written_over_tls_as_well() {
    SERVER.psql("postgres", "CREATE TABLE written (a int CHECK (a >= 0), t text)").unwrap();
    let connector = with("127.0.0.1", "tls = 'require'\naccess = 'read_write'");
    let rows = |first: i32| {
        let texts: StringArray = (0..50_000).map(|_| Some("x".repeat(100))).collect();
        let numbers = Int32Array::from_iter_values(first..first + 50_000);
        batch(vec![("a", Arc::new(numbers) as ArrayRef), ("t", Arc::new(texts))])
    };
    assert_eq!(insert(&connector, "written", rows(0)).await, Ok(50_000));
    // A failure at the first row, while others are on their way.
    let error = insert(&connector, "written", rows(-1)).await.unwrap_err();
    assert!(error.contains("violates check constraint") && error.contains("row 1"), "{error}");
    assert_eq!(insert(&connector, "written", rows(50_000)).await, Ok(50_000));
    assert_eq!(SERVER.psql("postgres", "SELECT count(*), sum(a) FROM written").unwrap().trim(), "100000|4999950000");
}
