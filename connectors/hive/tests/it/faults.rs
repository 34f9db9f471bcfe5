//! A store that fails now and then, or always.

use std::time::{Duration, Instant};

use portolan_connector::{ConnectorFactory, ErrorClass, InsertMode};
use portolan_hive::HiveFactory;

use crate::support::{
    ACCESS_KEY, Create, Engine, Faults, Lake, S3Server, SECRET_KEY, ServerFault as Fault, WRITABLE, batch, catalog,
    clean, insert, longs, staged,
};

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
    for fault in [Fault::Status(503), Fault::Status(500), Fault::Status(429), Fault::Lost(500), Fault::Cut] {
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

/// An answer that ends in the middle of a file is asked for from there on, or again.
#[tokio::test]
async fn answers_that_break_off() {
    let lake = lake();
    let rows: Vec<i64> = (0..200_000).map(|row| row * 7919 % 1_000_003).collect();
    lake.write("s/large/f", vec![("n", longs(rows.iter().copied()))]);
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    lake.raw("s/text/f.csv", format!("n\n{text}").as_bytes());
    for bytes in [100, 5_000, 300_000] {
        let server = S3Server::with(lake.buckets(), Some(Faults { fault: Fault::Half(bytes), one_of: 2 })).await;
        let engine = engine(&server, "max_retries = 10\nretry_backoff_ms = 1");
        let expected = format!("200000|{}", rows.iter().sum::<i64>());
        for table in ["large", "text"] {
            let answer = engine.pruned_rows(table, "SELECT count(*), sum(n) FROM t").await;
            assert_eq!(answer, [expected.as_str()], "{table} after {bytes} bytes");
        }
    }
}

#[tokio::test]
async fn a_store_that_is_too_slow() {
    let lake = lake();
    let slow = Fault::Slow(Duration::from_secs(20));
    // Every request is: the error says what was waited for.
    let server = S3Server::with(lake.buckets(), Some(Faults { fault: slow, one_of: 1 })).await;
    let engine = engine(&server, "max_retries = 0\nrequest_timeout_seconds = 1");
    let began = Instant::now();
    let error = engine.connector.table("s", "t").await.unwrap_err().to_string();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(error.contains("cannot list s3://bucket/lake/s/t") && error.contains("check location"), "{error}");
    // One of many is: it is asked for again.
    let server = S3Server::with(lake.buckets(), Some(Faults { fault: slow, one_of: 30 })).await;
    let engine = self::engine(&server, "max_retries = 5\nretry_backoff_ms = 1\nrequest_timeout_seconds = 1");
    assert_eq!(engine.pruned_rows("t", "SELECT count(*) FROM t").await, ["40"]);
}

/// Two rows, and three that take the place of one of them.
fn batch_of(rows: &[(i64, i64)]) -> arrow::array::RecordBatch {
    batch(vec![("n", longs(rows.iter().map(|(n, _)| *n))), ("k", longs(rows.iter().map(|(_, k)| *k)))])
}

/// A statement whose request of some number goes wrong, for each number, and all requests whose number is a multiple of it.
#[tokio::test(flavor = "multi_thread")]
async fn writes_to_a_store_that_fails_are_whole_or_not_there() {
    let before = ["1|1", "2|2"].map(str::to_owned);
    let after = ["10|1", "11|1", "2|2", "30|3"].map(str::to_owned);
    for fault in [Fault::Status(500), Fault::Lost(500), Fault::Cut] {
        let (mut failed, mut done) = (0, 0);
        for one_of in 2..40 {
            let lake = Lake::new();
            std::fs::create_dir_all(lake.path("s")).unwrap();
            let sound = lake.connector(WRITABLE).unwrap();
            let create = Create { partitioned_by: &["k"], ..Create::default() };
            create.run(sound.as_ref(), &batch_of(&[(1, 1), (2, 2)])).await.unwrap();
            let server = S3Server::with(lake.buckets(), Some(Faults { fault, one_of })).await;
            let failing = engine(&server, &format!("max_retries = 0\n{WRITABLE}")).connector;
            let rows = batch_of(&[(10, 1), (11, 1), (30, 3)]);
            let write = async |connector: &std::sync::Arc<dyn portolan_connector::Connector>| {
                insert(connector, ("s", "t"), &rows, InsertMode::Overwrite, Some("a token")).await
            };
            let told = write(&failing).await;
            let name = format!("{fault:?} at each request of {one_of}");
            let local = Engine::new(std::sync::Arc::clone(&sound));
            let seen = local.rows("t", "SELECT n, k FROM t").await;
            assert!(seen == before || seen == after, "{name}: {seen:?}");
            match told {
                Ok(count) => {
                    done += 1;
                    assert!(count == 3 && seen == after, "{name}: told {count}, {seen:?}");
                }
                Err(_) => failed += 1,
            }
            assert_eq!(write(&sound).await.unwrap(), 3, "{name}: tried again");
            assert_eq!(local.rows("t", "SELECT n, k FROM t").await, after, "{name}: tried again");
            clean(&sound, None).await;
            assert_eq!(local.rows("t", "SELECT n, k FROM t").await, after, "{name}: cleaned");
            assert_eq!(staged(&lake.path("s/t")), Vec::<String>::new(), "{name}: litter");
        }
        assert!(failed > 5 && done > 0, "{fault:?}: {failed} failed, {done} were done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_tried_again_as_other_requests_are() {
    for fault in [Fault::Status(503), Fault::Lost(503), Fault::Cut] {
        let lake = Lake::new();
        std::fs::create_dir_all(lake.path("s")).unwrap();
        let server = S3Server::with(lake.buckets(), Some(Faults { fault, one_of: 3 })).await;
        let settings = format!("max_retries = 10\nretry_backoff_ms = 1\n{WRITABLE}");
        let engine = engine(&server, &settings);
        let create = Create { partitioned_by: &["k"], ..Create::default() };
        let rows = batch_of(&[(1, 1), (2, 2)]);
        assert_eq!(create.run(engine.connector.as_ref(), &rows).await.unwrap(), 2, "{fault:?}");
        let told = insert(&engine.connector, ("s", "t"), &rows, InsertMode::Append, None).await;
        assert_eq!(told.unwrap(), 2, "{fault:?}");
        assert_eq!(engine.rows("t", "SELECT n, k FROM t").await, ["1|1", "1|1", "2|2", "2|2"], "{fault:?}");
    }
}
