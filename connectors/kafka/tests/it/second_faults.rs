//! Errors, delays and crashes of krafka's broker, by command: the right rows, or one clear error in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::StreamExt;
use krafka::error::ErrorCode;
use krafka::testing::{ApiKey, Control, FakeBroker};

use super::engine::{Engine, PATIENCE, cause};
use super::second_broker::{engine, spread};
use super::topics::produce_at;

const MESSAGES: i64 = 60_000;

/// A cluster of three brokers, each of which leads a partition, and an engine whose reads are many: this broker answers with a
/// whole partition, whatever size is asked for.
async fn cluster(more: &str) -> (FakeBroker, Engine) {
    let broker = FakeBroker::start_cluster(3).await.unwrap();
    broker.create_topic("faults", 3);
    produce_at(&broker.bootstrap_servers(), "faults", &spread(0, MESSAGES));
    let engine = engine(&broker.bootstrap_servers(), "faults", &format!("messages_per_split = 1000\n{more}"));
    (broker, engine)
}

const ALL: &str = "SELECT count(*), sum(n), count(DISTINCT n) FROM t";

fn all() -> String {
    format!("{MESSAGES}|{}|{MESSAGES}", MESSAGES * (MESSAGES - 1) / 2)
}

/// Does this to the next so many requests; returns how many it was done to.
fn fault(broker: &FakeBroker, api: ApiKey, times: u32, control: Control) -> Arc<AtomicUsize> {
    let done = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&done);
    broker.on_times(api, times, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        control.clone()
    });
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_that_pass_cost_no_rows() {
    let (broker, engine) = cluster("").await;
    assert_eq!(engine.rows(ALL).await, [all()]);
    for (api, control) in [
        (ApiKey::Fetch, Control::Error(ErrorCode::NotLeaderForPartition)),
        (ApiKey::Fetch, Control::Error(ErrorCode::FencedLeaderEpoch)),
        (ApiKey::Fetch, Control::Error(ErrorCode::KafkaStorageException)),
        (ApiKey::Fetch, Control::Disconnect),
        (ApiKey::Fetch, Control::Delay(Duration::from_millis(700))),
        (ApiKey::Fetch, Control::ApplyThen(Box::new(Control::Disconnect))),
        (ApiKey::ListOffsets, Control::Error(ErrorCode::NotLeaderForPartition)),
        (ApiKey::ListOffsets, Control::Disconnect),
        (ApiKey::ListOffsets, Control::Delay(Duration::from_millis(700))),
        (ApiKey::Metadata, Control::Disconnect),
        (ApiKey::Metadata, Control::Delay(Duration::from_millis(700))),
    ] {
        let done = fault(&broker, api, 2, control.clone());
        assert_eq!(engine.rows(ALL).await, [all()], "{api:?} {control:?}");
        // Who has connections needs to ask where brokers are once at most.
        let least = if api == ApiKey::Metadata { 1 } else { 2 };
        assert!(done.load(Ordering::SeqCst) >= least, "{api:?} {control:?}");
        broker.clear_hooks();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_crashes_in_the_middle_of_a_read() {
    let (broker, engine) = cluster("connect_timeout_ms = 30000").await;
    let mut stream = engine.stream("SELECT n FROM t").await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    let mut seen = first.column(0).as_primitive::<Int64Type>().values().to_vec();
    (0..3).for_each(|node| broker.crash(node));
    // What was fetched comes, and no more.
    while let Ok(batch) = tokio::time::timeout(Duration::from_secs(1), stream.next()).await {
        seen.extend_from_slice(batch.unwrap().unwrap().column(0).as_primitive::<Int64Type>().values());
    }
    assert!(i64::try_from(seen.len()).unwrap() < MESSAGES, "all was fetched before");
    (0..3).for_each(|node| broker.restart(node));
    while let Some(batch) = tokio::time::timeout(PATIENCE, stream.next()).await.expect("messages came") {
        seen.extend_from_slice(batch.unwrap().column(0).as_primitive::<Int64Type>().values());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..MESSAGES).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_move_in_the_middle_of_a_read() {
    let (broker, engine) = cluster("").await;
    let mut stream = engine.stream("SELECT n FROM t").await.unwrap();
    let mut seen = stream.next().await.unwrap().unwrap().column(0).as_primitive::<Int64Type>().values().to_vec();
    (0..3).for_each(|partition| assert!(broker.set_leader("faults", partition, (partition + 1) % 3)));
    assert!(i64::try_from(seen.len()).unwrap() < MESSAGES / 2, "most is left");
    while let Some(batch) = tokio::time::timeout(PATIENCE, stream.next()).await.expect("messages came") {
        seen.extend_from_slice(batch.unwrap().column(0).as_primitive::<Int64Type>().values());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..MESSAGES).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_brokers_is_down() {
    let (broker, engine) =
        cluster("connect_timeout_ms = 2000\nmetadata_timeout_ms = 5000\nidle_timeout_ms = 5000").await;
    // Its address is the first one that clients are given.
    broker.crash(0);
    broker.set_broker_online(0, false);
    let started = Instant::now();
    let error = cause(&engine.try_sql(ALL).await.unwrap_err());
    assert!(error.contains("topic faults") || error.contains("cannot reach a Kafka broker"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
    // The others lead what it led.
    assert!(broker.set_leader("faults", 0, 1));
    while let Err(error) = engine.try_sql(ALL).await {
        assert!(started.elapsed() < PATIENCE, "{error}");
    }
    assert_eq!(engine.rows(ALL).await, [all()]);
    let fresh = self::engine(&broker.bootstrap_servers(), "faults", "");
    assert_eq!(fresh.rows(ALL).await, [all()], "a catalog that is new begins with a broker that is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_never_answers_is_an_error_in_time() {
    let more = "connect_timeout_ms = 2000\nmetadata_timeout_ms = 2000\nidle_timeout_ms = 2000";
    for api in [ApiKey::Fetch, ApiKey::ListOffsets, ApiKey::Metadata] {
        let (broker, engine) = cluster(more).await;
        broker.on(api, |_| Control::Silence);
        let started = Instant::now();
        let error = cause(&engine.try_sql(ALL).await.unwrap_err());
        assert!(started.elapsed() < Duration::from_secs(20), "{api:?} took {:?}", started.elapsed());
        let part = if api == ApiKey::Fetch { "came for 2000 ms" } else { "did not answer within 2000 ms" };
        assert!(error.contains(part), "{api:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_were_changed_are_an_error_or_asked_for_again() {
    let (broker, engine) = cluster("").await;
    let done = fault(&broker, ApiKey::Fetch, 1, Control::CorruptRecords);
    match engine.try_sql(ALL).await {
        Ok(_) => assert_eq!(engine.rows(ALL).await, [all()]),
        Err(error) => assert!(cause(&error).contains("failed to read topic faults"), "{error}"),
    }
    assert_eq!(done.load(Ordering::SeqCst), 1);
    assert_eq!(engine.rows(ALL).await, [all()]);
    // On the disk, so that it does not pass.
    broker.on(ApiKey::Fetch, |_| Control::CorruptRecords);
    let error = cause(&engine.try_sql(ALL).await.unwrap_err());
    assert!(error.contains("failed to read topic faults, partition "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_are_out_of_range_are_one_error_in_time() {
    let (broker, engine) = cluster("idle_timeout_ms = 5000").await;
    let gone = async { broker.on(ApiKey::Fetch, |_| Control::Error(ErrorCode::OffsetOutOfRange)) };
    let stream = engine.stream_after(gone, "SELECT n FROM t WHERE _partition_id = 1").await.unwrap();
    let started = Instant::now();
    let outcome: Vec<_> = tokio::time::timeout(PATIENCE, stream.collect()).await.expect("the error came");
    let error = cause(outcome.last().unwrap().as_ref().unwrap_err());
    assert!(error.contains("topic faults, partition 1"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
    assert!(outcome.iter().filter_map(|batch| batch.as_ref().ok()).all(|batch| batch.num_rows() == 0));
}
