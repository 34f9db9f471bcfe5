//! All of a statement or nothing, whatever goes wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use portolan_connector::Connector;

use super::{batch, begin_insert, context, has, insert, writable, writer};
use crate::harness::{Database, connector};

fn rows(first: i32, count: i32) -> RecordBatch {
    let texts: StringArray = (0..count).map(|_| Some("x".repeat(200))).collect();
    let numbers = Int32Array::from_iter_values(first..first + count);
    batch(vec![("a", Arc::new(numbers) as ArrayRef), ("t", Arc::new(texts))])
}

/// Waits until no session of ours does anything.
async fn idle(database: &Database) {
    let start = Instant::now();
    while database.sessions(true) > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "a session still works");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn writes_again(database: &Database, connector: &Arc<dyn Connector>) {
    database.psql("DELETE FROM t");
    assert_eq!(insert(connector, "t", rows(0, 3)).await, Ok(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_row_of_many_fails() {
    let database = Database::with("CREATE TABLE t (a int PRIMARY KEY, t text)");
    let connector = writable(&database);
    let mut writer = writer(begin_insert(&connector, "t", &["a", "t"], context(None)).await.unwrap());
    for part in 0..20 {
        writer.write(rows(part * 5_000, 5_000)).await.unwrap();
    }
    // The server says so during this write, or at the commit.
    let failed = match writer.write(rows(7, 1)).await {
        Ok(()) => writer.commit().await.map(drop),
        Err(error) => Err(error),
    };
    let error = failed.unwrap_err().to_string();
    has(
        &error,
        &["catalog pg, table public.t", "duplicate key value violates unique constraint \"t_pkey\"", "(a)=(7)"],
    );
    has(&error, &["row 100001"]);
    assert_eq!(database.psql("SELECT count(*) FROM t"), "0");
    idle(&database).await;
    writes_again(&database, &connector).await;
}

/// A server that has refused is not sent the rest.
#[tokio::test(flavor = "multi_thread")]
async fn an_early_failure_is_told_early() {
    let database = Database::with("CREATE TABLE t (a int CHECK (a <> 3), t text)");
    let connector = writable(&database);
    let mut writer = writer(begin_insert(&connector, "t", &["a", "t"], context(None)).await.unwrap());
    let start = Instant::now();
    let error = loop {
        if let Err(error) = writer.write(rows(0, 5_000)).await {
            break error.to_string();
        }
        assert!(start.elapsed() < Duration::from_secs(30), "rows are sent on and on");
    };
    has(&error, &["violates check constraint", "row 4"]);
    assert_eq!(database.psql("SELECT count(*) FROM t"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constraint_is_checked_at_the_commit() {
    let database = Database::with(
        "CREATE TABLE o (a int PRIMARY KEY);
         CREATE TABLE t (a int REFERENCES o DEFERRABLE INITIALLY DEFERRED, t text)",
    );
    let connector = writable(&database);
    let error = insert(&connector, "t", rows(0, 2)).await.unwrap_err();
    has(&error, &["PostgreSQL refuses to commit", "violates foreign key constraint", "Key (a)=(0) is not present"]);
    database.psql("INSERT INTO o SELECT generate_series(0, 10)");
    writes_again(&database, &connector).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_dropped_leaves_nothing() {
    let database = Database::with("CREATE TABLE t (a int, t text)");
    let connector = database.connector_with("access = 'read_write'\nconnections_max = 1\nconnections_wait_ms = 10000");
    for parts in [0, 1, 40] {
        let mut writer = writer(begin_insert(&connector, "t", &["a", "t"], context(None)).await.unwrap());
        for part in 0..parts {
            writer.write(rows(part, 5_000)).await.unwrap();
        }
        drop(writer);
        // The only connection for writing comes back.
        writes_again(&database, &connector).await;
        assert_eq!(database.psql("SELECT count(*) FROM t"), "3");
    }
    idle(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_waits_for_a_lock_can_be_dropped() {
    let database = Database::with("CREATE TABLE t (a int PRIMARY KEY, t text)");
    let connector = writable(&database);
    let mut first = writer(begin_insert(&connector, "t", &["a", "t"], context(None)).await.unwrap());
    first.write(rows(0, 2_000)).await.unwrap();
    let other = Arc::clone(&connector);
    let second = tokio::spawn(async move {
        let mut writer = writer(begin_insert(&other, "t", &["a", "t"], context(None)).await.unwrap());
        writer.write(rows(0, 2_000)).await.unwrap();
        writer.commit().await
    });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    while database.psql(waiting) == "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    second.abort();
    while database.psql(waiting) != "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(first.commit().await.unwrap(), 2_000);
    assert_eq!(database.psql("SELECT count(*) FROM t"), "2000");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_is_ended_by_somebody() {
    let database = Database::with("CREATE TABLE t (a int, t text)");
    let connector = writable(&database);
    let mut writer = writer(begin_insert(&connector, "t", &["a", "t"], context(None)).await.unwrap());
    writer.write(rows(0, 5_000)).await.unwrap();
    database.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND datname = current_database()",
    );
    let failed = match writer.write(rows(0, 5_000)).await {
        Ok(()) => writer.commit().await.map(drop),
        Err(error) => Err(error),
    };
    has(&failed.unwrap_err().to_string(), &["catalog pg, table public.t", "nothing was written"]);
    assert_eq!(database.psql("SELECT count(*) FROM t"), "0");
    writes_again(&database, &connector).await;
}

#[tokio::test]
async fn rights_are_asked_for() {
    let database = Database::new();
    let role = format!("writer_{}", database.name);
    database.psql(&format!(
        "CREATE TABLE t (a int, t text); CREATE TABLE partly (a int, t text);
         CREATE ROLE {role} LOGIN PASSWORD 'known'; GRANT SELECT ON t, partly TO {role};
         GRANT INSERT (a) ON partly TO {role}; REVOKE CREATE ON SCHEMA public FROM public"
    ));
    let url = database.server.url(&database.name).replace("portolan@", &format!("{role}@"));
    let limited = connector(&format!("url = '{url}'\npassword = 'known'\naccess = 'read_write'")).unwrap();
    let a = || batch(vec![("a", Arc::new(Int32Array::from(vec![1])) as ArrayRef)]);
    let error = insert(&limited, "t", a()).await.unwrap_err();
    has(&error, &["table public.t", "permission denied for table t", "GRANT INSERT", &role]);
    // Some columns are enough.
    assert_eq!(insert(&limited, "partly", a()).await, Ok(1));
    let error = super::create(&limited, "new", a(), portolan_connector::OnExisting::Fail).await.unwrap_err();
    has(&error, &["table public.new", "permission denied for schema public"]);
    let error = limited.writable().unwrap().create_schema("new").await.unwrap_err().to_string();
    has(&error, &["cannot make schema new", "permission denied for database"]);
    let error = begin_insert(&limited, "partly", &["a"], context(Some(("x", "")))).await.unwrap_err();
    has(
        &error,
        &["write_token", "permission denied", "CREATE SCHEMA \"portolan\" AUTHORIZATION", "write_token_schema"],
    );
}
