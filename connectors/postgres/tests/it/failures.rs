//! One clear message for everything that goes wrong, and never a partial result.

use std::time::Duration;

use futures::StreamExt;
use portolan_connector::QueryContext;
use portolan_servers::PostgresServer;

use crate::harness::{Database, begin, connector, drain, open, plan, read, request, table};

fn has(error: &str, mentions: &[&str]) {
    for mention in mentions {
        assert!(error.contains(mention), "{mention} is not in: {error}");
    }
}

#[test]
fn entries_are_checked_before_anything_connects() {
    has(&connector("url = 'postgres://u:secret@h/d'").unwrap_err(), &["catalog pg", "password", "${env:NAME}"]);
    has(&connector("url = 'postgres://h/d'").unwrap_err(), &["no user", "USER@HOST"]);
    has(&connector("url = 'postgres://u@h/d'\ntls = 'maybe'").unwrap_err(), &["`tls` must be one of"]);
    has(&connector("url = 'postgres://u@h/d'\nnumeric = 'float'").unwrap_err(), &["numeric = \"float\"", "decimal("]);
    has(&connector("url = 'postgres://u@h/d'\nconnection_max = 3").unwrap_err(), &["did you mean `connections_max`?"]);
    assert!(connector("url = 'postgres://u@192.0.2.1/d'").is_ok());
}

#[tokio::test]
async fn the_server_is_not_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = connector(&format!("url = 'postgres://u@127.0.0.1:{free}/d'")).unwrap();
    let error = nobody.list_schemas().await.unwrap_err().to_string();
    has(&error, &["catalog pg", &format!("cannot connect to 127.0.0.1:{free}"), "refused", "Hint: "]);

    // One that takes the connection and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let nobody = connector(&format!("url = 'postgres://u@127.0.0.1:{port}/d'\nconnect_timeout_ms = 200")).unwrap();
    has(
        &nobody.list_schemas().await.unwrap_err().to_string(),
        &[&format!("127.0.0.1:{port}"), "no login within 200 ms"],
    );

    let unknown = connector("url = 'postgres://u@no-such-host.invalid/d'").unwrap();
    has(&unknown.list_schemas().await.unwrap_err().to_string(), &["cannot connect to no-such-host.invalid:5432"]);
}

#[tokio::test]
async fn the_server_says_no() {
    let database = Database::with(
        "CREATE TABLE secret AS SELECT 1 AS a;
         CREATE ROLE stranger LOGIN PASSWORD 'known'; GRANT CONNECT ON DATABASE postgres TO stranger",
    );
    let url = database.server.url(&database.name);
    let as_user = |user: &str, password: &str, database: &str| {
        let url = url.replace("portolan@", &format!("{user}@"));
        let (start, _) = url.rsplit_once('/').unwrap();
        connector(&format!("url = '{start}/{database}'\npassword = '{password}'")).unwrap()
    };
    let error = as_user("portolan", "wr0ng-pw", &database.name).list_schemas().await.unwrap_err().to_string();
    has(&error, &["as user portolan", "password authentication failed", "check user and password"]);
    assert!(!error.contains("wr0ng-pw"), "{error}");
    let error = as_user("stranger", "known", "absent").list_schemas().await.unwrap_err().to_string();
    has(&error, &["database absent", "\"absent\" does not exist", "at the end of url"]);
    let error = connector(&format!("url = '{url}'")).unwrap().list_schemas().await.unwrap_err().to_string();
    has(&error, &["password", "${env:NAME}"]);

    let stranger = as_user("stranger", "known", &database.name);
    let secret = table(&stranger, "public", "secret").await;
    let error = read(&stranger, &secret, &["a"], vec![]).await.unwrap_err();
    has(&error, &["catalog pg, table public.secret", "permission denied for table secret", "GRANT SELECT"]);
    // The failure leaves no broken session behind.
    database.psql("GRANT SELECT ON secret TO stranger");
    let secret = table(&stranger, "public", "secret").await;
    assert_eq!(read(&stranger, &secret, &["a"], vec![]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_table_changes_under_the_query() {
    let database = Database::with("CREATE TABLE t AS SELECT 1 AS a; CREATE TABLE u AS SELECT 1 AS a");
    let connector = database.connector();
    let (t, u) = (table(&connector, "public", "t").await, table(&connector, "public", "u").await);
    database.psql("DROP TABLE t; ALTER TABLE u ALTER a TYPE text");
    let error = read(&connector, &t, &["a"], vec![]).await.unwrap_err();
    has(&error, &["table public.t", "does not exist", "run the query again"]);
    let error = read(&connector, &u, &["a"], vec![]).await.unwrap_err();
    has(&error, &["table public.u", "was changed while the query was planned", "run the query again"]);
}

#[tokio::test]
async fn an_error_among_the_rows_is_no_short_result() {
    let database = Database::with("CREATE VIEW v AS SELECT 1000 / (50000 - g) AS a FROM generate_series(1, 100000) g");
    let connector = database.connector();
    let v = table(&connector, "public", "v").await;
    has(&read(&connector, &v, &["a"], vec![]).await.unwrap_err(), &["table public.v", "division by zero"]);
    database.psql(&format!("ALTER DATABASE {} SET statement_timeout = '100ms'; CREATE VIEW slow AS SELECT count(*) FROM generate_series(1, 1000000000)", database.name));
    let connector = database.connector();
    let slow = table(&connector, "public", "slow").await;
    has(&read(&connector, &slow, &["count"], vec![]).await.unwrap_err(), &["statement timeout", "statement_timeout"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_dies() {
    let server: &'static PostgresServer = Box::leak(Box::new(PostgresServer::start().unwrap()));
    server
        .psql(
            "postgres",
            "CREATE VIEW long AS SELECT g AS id, repeat('x', 200) AS v FROM (SELECT generate_series(1, 100000000) AS g) rows",
        )
        .unwrap();
    let connector =
        connector(&format!("url = '{}'\npassword = '{}'", server.url("postgres"), server.password())).unwrap();
    let of = table(&connector, "public", "long").await;
    let snapshot = begin(&connector).await;
    let plan = plan(&of, &request(&of, &["id", "v"], vec![]), &snapshot).await.unwrap();
    let mut stream = open(&connector, &plan, 1000);
    assert_eq!(stream.next().await.unwrap().unwrap().num_rows(), 1000);
    server.stop().unwrap();
    let error = tokio::time::timeout(Duration::from_secs(20), drain(stream)).await.unwrap().unwrap_err();
    has(&error, &["table public.long", "Hint: "]);
    drop(snapshot);
    let error = connector.list_schemas().await.unwrap_err().to_string();
    has(&error, &["cannot connect to 127.0.0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_are_in_use() {
    let database =
        Database::with("CREATE VIEW long AS SELECT g AS id FROM (SELECT generate_series(1, 100000000) AS g) rows");
    let connector = database.connector_with("connections_max = 1\nconnections_wait_ms = 200");
    let of = table(&connector, "public", "long").await;
    let snapshot = begin(&connector).await;
    let plan = plan(&of, &request(&of, &["id"], vec![]), &snapshot).await.unwrap();
    let mut first = open(&connector, &plan, 10);
    first.next().await.unwrap().unwrap();
    // The query has one of its own still.
    let mut second = open(&connector, &plan, 10);
    assert_eq!(second.next().await.unwrap().unwrap().num_rows(), 10);
    // Another query has none.
    let other = QueryContext { query_id: "other".to_owned() };
    let error = connector.begin(&other).await.unwrap_err().to_string();
    has(&error, &["all 1 connections for queries", "200 ms", "connections_max"]);
    // Metadata has sessions of its own.
    assert_eq!(connector.list_schemas().await.unwrap(), ["public"]);
}
