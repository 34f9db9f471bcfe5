//! A store that fails now and then, or always.

use std::time::{Duration, Instant};

use portolan_connector::{ConnectorFactory, ErrorClass};
use portolan_hive::HiveFactory;

use crate::support::{ACCESS_KEY, Engine, Faults, Lake, S3Server, SECRET_KEY, ServerFault as Fault, catalog, longs};

/// How long a query may take whose requests are each tried a few times within milliseconds.
const BOUNDED: Duration = Duration::from_secs(30);

fn lake() -> Lake {
    let lake = Lake::new();
    for day in 0..20 {
        lake.write(&format!("s/t/day={day:02}/f"), vec![("n", longs([day, 100 + day]))]);
    }
    lake
}

fn engine(server: &S3Server, settings: &str) -> Engine {
    let text = server.settings("s3://bucket/lake", ACCESS_KEY, SECRET_KEY);
    Engine::new(HiveFactory.create(catalog(&format!("{text}\n{settings}"))).unwrap())
}

#[tokio::test]
async fn requests_that_fail_are_tried_again() {
    for fault in [Fault::Status(503), Fault::Status(500), Fault::Status(429), Fault::Cut] {
        let lake = lake();
        let server = S3Server::with(lake.buckets(), Some(Faults { fault, one_of: 4 })).await;
        let engine = engine(&server, "max_retries = 10\nretry_backoff_ms = 1");
        let answer = engine.pruned_rows("t", "SELECT count(*), sum(n) FROM t").await;
        assert_eq!(answer, [format!("40|{}", (0..20).map(|day| 100 + 2 * day).sum::<i64>())], "{fault:?}");
        let answer = engine.pruned_rows("t", "SELECT n FROM t WHERE day = 7").await;
        assert_eq!(answer, ["107", "7"], "{fault:?}");
    }
}

#[tokio::test]
async fn a_store_that_always_fails_is_one_error_in_bounded_time() {
    for (fault, said) in [(Fault::Status(503), "503"), (Fault::Cut, "error sending request")] {
        let lake = lake();
        let server = S3Server::with(lake.buckets(), Some(Faults { fault, one_of: 1 })).await;
        let engine = engine(&server, "max_retries = 2\nretry_backoff_ms = 1");
        let began = Instant::now();
        let error = engine.connector.table("s", "t").await.unwrap_err();
        assert!(began.elapsed() < BOUNDED, "{:?}", began.elapsed());
        assert_eq!(error.class(), ErrorClass::Source);
        let text = error.to_string();
        assert!(text.starts_with("catalog lake, table s.t: cannot list s3://bucket/lake/s/t: "), "{text}");
        assert!(text.contains(said) && text.contains("after 2 retries"), "{text}");
        assert_eq!(server.requests(), 3, "{fault:?}: one try and two more");
    }
}

#[tokio::test]
async fn without_retries_the_first_failure_ends_the_query() {
    let lake = lake();
    let server = S3Server::with(lake.buckets(), Some(Faults { fault: Fault::Status(503), one_of: 9 })).await;
    let engine = engine(&server, "max_retries = 0");
    let error = engine.error("t", "SELECT sum(n) FROM t").await;
    assert!(error.contains("cannot list s3://bucket/lake/s/t/day=") && error.contains("503"), "{error}");
}

#[tokio::test]
async fn one_request_at_a_time_is_enough_for_any_query() {
    let lake = lake();
    let server = S3Server::start(lake.buckets()).await;
    for file in 0..5 {
        let rows: String = (0..20_000).map(|row| format!("{},{file}\n", row * 5 + file)).collect();
        lake.raw(&format!("s/c/{file}.csv"), format!("a,b\n{rows}").as_bytes());
    }
    let engine = engine(&server, "max_concurrent_requests = 1");
    assert_eq!(engine.pruned_rows("t", "SELECT count(*) FROM t AS x JOIN t AS y ON x.n = y.n").await, ["40"]);
    // Both sides of a merge join read files whose bytes come as they are taken.
    let sql = "SELECT count(*) FROM (SELECT * FROM t ORDER BY a) AS x JOIN t AS y ON x.a = y.a";
    let joined = tokio::time::timeout(BOUNDED, engine.pruned_rows("c", sql)).await;
    assert_eq!(joined.expect("nobody waits for ever"), ["100000"]);
}
