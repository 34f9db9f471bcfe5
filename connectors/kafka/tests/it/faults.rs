//! Connections that break, and brokers that are slow or away: the right rows, or one clear error in time.

use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::StreamExt;

use super::engine::{Engine, cause, connector};
use super::proxy::Proxy;
use super::topics::{Sent, create_at, numbers, produce_at, stand_in};

/// How long anything may take. Tests run in parallel on few processors.
const PATIENCE: Duration = Duration::from_secs(60);

/// The messages of a topic with some.
const MESSAGES: i64 = 20_000;

/// A broker with a topic of its own behind a proxy.
async fn behind_proxy(topic: &str, more: &str) -> (Proxy, Engine) {
    create_at(&stand_in(), topic, 2).await;
    let proxy = Proxy::before(&stand_in());
    let settings = format!(
        "brokers = \"{}\"\n{more}\n[tables.t]\ntopic = \"{topic}\"\nvalue = {{ columns = {{ n = \"bigint\" }} }}",
        proxy.bootstrap()
    );
    let engine = Engine::on(connector("events", &settings).unwrap(), "events", true);
    (proxy, engine)
}

fn fill(topic: &str) {
    let messages: Vec<Sent> = numbers(0, MESSAGES)
        .into_iter()
        .zip(0..MESSAGES)
        .map(|(sent, n)| sent.to(i32::try_from(n % 2).unwrap()))
        .collect();
    produce_at(&stand_in(), topic, &messages);
}

#[tokio::test]
async fn connections_that_are_cut_in_the_middle_of_messages_cost_no_rows() {
    let (proxy, engine) = behind_proxy("fault.cut", "").await;
    fill("fault.cut");
    proxy.cut(3);
    let all = format!("{MESSAGES}|{}|0|{}", MESSAGES * (MESSAGES - 1) / 2, MESSAGES - 1);
    assert_eq!(engine.rows("SELECT count(*), sum(n), min(n), max(n) FROM t").await, [all]);
    assert_eq!(proxy.have_been_cut(), 3, "the connection was cut");
}

#[tokio::test]
async fn messages_that_a_wire_has_changed_are_an_error() {
    let (proxy, engine) = behind_proxy("fault.changed", "").await;
    fill("fault.changed");
    proxy.change(1);
    let error = cause(&engine.try_sql("SELECT n FROM t").await.unwrap_err());
    assert!(error.contains("Kafka's client failed to read topic fault.changed"), "{error}");
    // What is on the broker's disk is whole.
    assert_eq!(engine.count("SELECT count(n) FROM t").await, MESSAGES);
}

#[tokio::test]
async fn a_slow_broker_is_waited_for() {
    let (proxy, engine) = behind_proxy("fault.slow", "").await;
    fill("fault.slow");
    proxy.late(Duration::from_millis(400));
    assert_eq!(engine.count("SELECT count(n) FROM t").await, MESSAGES);
}

#[tokio::test]
async fn a_broker_that_is_too_slow_is_an_error_in_time() {
    let (proxy, engine) = behind_proxy("fault.stuck", "metadata_timeout_ms = 2000\nidle_timeout_ms = 2000").await;
    fill("fault.stuck");
    assert_eq!(engine.count("SELECT count(n) FROM t").await, MESSAGES);
    let stream = engine.stream("SELECT n FROM t").await.unwrap();
    proxy.late(Duration::from_secs(600));
    let started = Instant::now();
    let outcome: Vec<_> = stream.collect().await;
    let error = cause(outcome.last().unwrap().as_ref().unwrap_err());
    assert!(error.contains("no message of topic fault.stuck") && error.contains("came for 2000 ms"), "{error}");
    // Before anything is read, the question for the offsets is what is not answered.
    let error = cause(&engine.try_sql("SELECT n FROM t").await.unwrap_err());
    assert!(error.contains("did not answer within 2000 ms"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
}

#[tokio::test]
async fn who_follows_loses_nothing_while_the_broker_is_away() {
    let (proxy, engine) = behind_proxy("fault.away", "").await;
    let mut stream = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    let mut seen = Vec::new();
    let mut take = async |count: usize| {
        while seen.len() < count {
            let batch = tokio::time::timeout(PATIENCE, stream.next()).await.expect("messages came").unwrap().unwrap();
            seen.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
        }
        seen.sort_unstable();
        std::mem::take(&mut seen)
    };
    produce_at(&stand_in(), "fault.away", &numbers(0, 10));
    assert_eq!(take(10).await, (0..10).collect::<Vec<_>>());
    proxy.away(true);
    // Others still reach the broker.
    produce_at(&stand_in(), "fault.away", &numbers(10, 20));
    tokio::time::sleep(Duration::from_secs(3)).await;
    proxy.away(false);
    assert_eq!(take(10).await, (10..20).collect::<Vec<_>>());
    // One connection is cut in the middle of what it brings.
    proxy.cut(1);
    fill("fault.away");
    assert_eq!(take(usize::try_from(MESSAGES).unwrap()).await, (0..MESSAGES).collect::<Vec<_>>());
    assert_eq!(proxy.have_been_cut(), 1);
}

#[tokio::test]
async fn who_follows_is_told_of_a_broker_that_does_not_come_back() {
    let (proxy, engine) =
        behind_proxy("fault.gone", "connect_timeout_ms = 1000\nmetadata_timeout_ms = 1000\nidle_timeout_ms = 2000")
            .await;
    let mut stream = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    produce_at(&stand_in(), "fault.gone", &numbers(0, 1));
    assert_eq!(stream.next().await.unwrap().unwrap().num_rows(), 1);
    proxy.away(true);
    let started = Instant::now();
    let next = tokio::time::timeout(PATIENCE, stream.next()).await.expect("the error came");
    let error = cause(&next.unwrap().unwrap_err());
    assert!(error.contains("cannot reach a Kafka broker at 127.0.0.1:"), "{error}");
    assert!(started.elapsed() >= Duration::from_secs(2), "took {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(30), "took {:?}", started.elapsed());
}
