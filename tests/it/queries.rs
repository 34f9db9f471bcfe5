//! The life of queries: what is told of them while they run and afterwards, and how they end.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use portolan::query::{QueryLimits, QueryState};
use portolan::session::Principal;
use portolan::{Engine, EngineOptions, Session};

use crate::{shop, table};

/// More rows than any machine makes while the test runs.
const ENDLESS: &str = "SELECT value FROM generate_series(1, 100000000000)";

/// Computes for long between two rows.
const BUSY: &str = "SELECT count(*) AS n FROM generate_series(1, 100000000000) AS a(x) WHERE x % 7 = 3";

/// How long something that happens at once may take on a busy machine.
const SOON: Duration = Duration::from_secs(10);

fn engine(limits: QueryLimits) -> Arc<Engine> {
    Engine::start(EngineOptions { limits, ..EngineOptions::default() }).unwrap()
}

async fn rows(session: &Session, sql: &str) -> Vec<Vec<String>> {
    let answer = session.execute(sql).await.unwrap();
    table::format(&answer.rows.try_collect::<Vec<_>>().await.unwrap())
}

async fn failure(session: &Session, sql: &str) -> portolan::Error {
    match session.execute(sql).await {
        Err(error) => error,
        Ok(answer) => answer.rows.try_collect::<Vec<_>>().await.unwrap_err().into(),
    }
}

/// Waits until something holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(SOON, waiting).await.is_ok(), "never: {what}");
}

#[test]
fn a_query_is_seen_in_each_state() {
    shop::block_on(async {
        let engine = engine(QueryLimits { running: 1, ..QueryLimits::default() });
        let session = engine.session();
        let mut answer = session.execute(ENDLESS).await.unwrap();
        let query = engine.queries().find(&answer.query_id).unwrap();
        assert_eq!(query.state(), QueryState::Running);
        answer.rows.next().await.unwrap().unwrap();
        assert!(query.rows() > 0);

        // A second one waits; system tables do not.
        let second = Arc::new(engine.session());
        let waiting = tokio::spawn({
            let second = Arc::clone(&second);
            async move { rows(&second, "SELECT 1 AS second").await }
        });
        until("the second waits", || engine.queries().totals().queued == 1).await;
        let seen =
            "SELECT state, query, rows > 0 FROM system.runtime.queries WHERE NOT query LIKE '%system%' ORDER BY 1";
        assert_eq!(
            rows(&session, seen).await,
            [["queued", "SELECT 1 AS second", "false"], ["running", ENDLESS, "true"]]
        );
        drop(answer);
        assert_eq!(query.state(), QueryState::Cancelled);
        assert_eq!(query.error().unwrap().to_string(), "the client left before the last row");
        assert_eq!(waiting.await.unwrap(), [["1"]]);
        let totals = engine.queries().totals();
        assert_eq!((totals.cancelled, totals.failed, totals.running, totals.queued), (1, 0, 0, 0));
    });
}

#[test]
fn a_query_is_killed_while_it_computes_and_by_nobody_else() {
    shop::block_on(async {
        let engine = engine(QueryLimits::default());
        let (ann, bob) = (engine.session_of(Principal::user("ann")), engine.session_of(Principal::user("bob")));
        let admin = engine.session_of(Principal::admin("root"));
        let mut answer = ann.execute(BUSY).await.unwrap();
        let id = answer.query_id.clone();

        let kill = format!("CALL system.kill_query('{id}', 'too long')");
        let refused = bob.execute(&kill).await.unwrap_err();
        assert_eq!(refused.message().text, format!("query '{id}' does not exist"));
        let seen = "SELECT count(*) FROM system.runtime.queries WHERE query NOT LIKE '%system%'";
        assert_eq!(rows(&bob, seen).await, [["0"]]);
        assert_eq!(rows(&admin, seen).await, [["1"]]);

        admin.execute(&kill).await.unwrap();
        let ended = tokio::time::timeout(SOON, answer.rows.next()).await.expect("it ends at once").unwrap();
        let error = portolan::Error::from(ended.unwrap_err());
        assert_eq!(error.to_string(), "the query was killed by root: too long");
        assert!(answer.rows.next().await.is_none());
        let again = admin.execute(&kill).await.unwrap_err();
        assert_eq!(again.to_string(), format!("query '{id}' has ended: it is cancelled"));
    });
}

#[test]
fn a_query_that_nobody_reads_ends_all_the_same() {
    shop::block_on(async {
        let engine = engine(QueryLimits { running: 1, ..QueryLimits::default() });
        let session = engine.session();
        let mut answer = session.execute(ENDLESS).await.unwrap();
        let query = engine.queries().find(&answer.query_id).unwrap();
        session.execute(&format!("CALL system.kill_query('{}')", answer.query_id)).await.unwrap();
        // Without a look at the answer: its place is free, and its sources have stopped.
        until("it ends", || query.state() == QueryState::Cancelled).await;
        assert_eq!(rows(&session, "SELECT 1").await, [["1"]]);
        let error = answer.rows.next().await.unwrap().unwrap_err();
        assert!(portolan::Error::from(error).to_string().contains("was killed by"));
        assert!(answer.rows.next().await.is_none());

        session.execute("SET SESSION query_max_run_time = '300ms'").await.unwrap();
        let mut answer = session.execute(ENDLESS).await.unwrap();
        let query = engine.queries().find(&answer.query_id).unwrap();
        until("its time is over", || query.state() == QueryState::Cancelled).await;
        let error = portolan::Error::from(answer.rows.next().await.unwrap().unwrap_err());
        assert!(error.to_string().contains("longer than query_max_run_time"), "{error}");
    });
}

#[test]
fn sources_tell_how_far_they_are_read() {
    shop::block_on(async {
        let session = shop::session();
        let answer =
            session.execute("SELECT count(*) FROM lake.sales.orders AS watched WHERE quantity > 0").await.unwrap();
        let id = answer.query_id.clone();
        let counted = table::format(&answer.rows.try_collect::<Vec<_>>().await.unwrap());
        let sources = format!(
            "SELECT source, connector, state, rows, bytes > 0, splits_done = splits_total, splits_total > 0 \
             FROM system.runtime.sources WHERE query_id = '{id}'"
        );
        let count = counted[0][0].as_str();
        assert_eq!(
            rows(&session, &sources).await,
            [["lake.sales.orders", "hive", "done", count, "true", "true", "true"]]
        );
    });
}

#[test]
fn a_query_takes_no_more_time_and_memory_than_it_may() {
    shop::block_on(async {
        let engine = engine(QueryLimits::default());
        let session = engine.session();
        session.execute("SET SESSION query_max_run_time = '300ms'").await.unwrap();
        let error = tokio::time::timeout(SOON, failure(&session, BUSY)).await.expect("it ends by itself");
        assert_eq!(error.message().text, "the query took longer than query_max_run_time, which is 300ms");
        session.execute("RESET ALL").await.unwrap();

        rows(&session, "SELECT count(*) FROM (SELECT DISTINCT value % 100000 AS v FROM generate_series(1, 200000))")
            .await;
        let peak =
            "SELECT peak_memory_bytes > 1000000, memory_bytes FROM system.runtime.queries WHERE state = 'finished'";
        assert_eq!(rows(&session, peak).await, [["true", "0"]]);
    });
}

#[test]
fn too_many_queries_are_refused_and_say_so() {
    shop::block_on(async {
        let engine = engine(QueryLimits { running: 1, running_per_user: 1, queued: 0 });
        let session = engine.session();
        let running = session.execute(ENDLESS).await.unwrap();
        let refused = session.execute("SELECT 1").await.unwrap_err();
        assert_eq!(refused.message().text, "0 queries wait already");
        // What is needed to end the other works.
        session.execute(&format!("CALL system.kill_query('{}')", running.query_id)).await.unwrap();
        drop(running);
        assert_eq!(rows(&session, "SELECT 1").await, [["1"]]);
    });
}
