//! What happens to brokers in the middle of a bounded read: it goes on where it was, with each message once.

use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;
use portolan_servers::KafkaBroker;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use tempfile::TempDir;

use super::engine::{Engine, PATIENCE, connector};
use super::proxy::Proxy;
use super::topics::{Sent, create_at, numbers, produce_at, producer_at, send};

/// How long nothing comes when all is handed on that was fetched.
const QUIET: Duration = Duration::from_secs(1);

const TOPIC: &str = "long";
const PARTITIONS: i32 = 3;

/// Of each partition, a kilobyte each. The mock keeps 5 MB of a partition.
const EACH: i64 = 4_000;
const ALL: i64 = EACH * PARTITIONS as i64;

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A cluster with a topic that takes many fetches.
fn cluster(brokers: i32) -> Cluster {
    let cluster = MockCluster::new(brokers).unwrap();
    cluster.create_topic(TOPIC, PARTITIONS, brokers).unwrap();
    for partition in 0..PARTITIONS {
        cluster.partition_leader(TOPIC, partition, Some(partition % brokers + 1)).unwrap();
        let pad = "x".repeat(1_000);
        let from = i64::from(partition) * EACH;
        let message = |n| Sent::value(format!("{{\"n\":{n},\"pad\":\"{pad}\"}}")).to(partition);
        // The mock hands out whole batches of producers.
        let producer = producer_at(&cluster.bootstrap_servers(), &[("batch.size", "20000")]);
        send(&producer, TOPIC, &(from..from + EACH).map(message).collect::<Vec<_>>());
    }
    cluster
}

/// An engine whose reads fetch little ahead.
fn engine(brokers: &str, topic: &str, more: &str) -> Engine {
    let settings = format!(
        "brokers = \"{brokers}\"\nqueue_kib = 64\nfetch_bytes = 16384\n{more}\n[tables.t]\ntopic = \"{topic}\"\n\
         value = {{ columns = {{ n = \"bigint\" }} }}"
    );
    Engine::on(connector("events", &settings).unwrap(), "events", true).with_memory(100_000_000)
}

/// The next values; `None` at the end.
async fn next(stream: &mut SendableRecordBatchStream) -> Option<Vec<i64>> {
    let batch = stream.next().await?.unwrap();
    Some(batch.column(0).as_primitive::<Int64Type>().values().to_vec())
}

/// The values that are left, behind those that came before; sorted.
async fn rest(mut stream: SendableRecordBatchStream, mut seen: Vec<i64>) -> Vec<i64> {
    while let Some(values) = tokio::time::timeout(PATIENCE, next(&mut stream)).await.expect("messages came") {
        seen.extend(values);
    }
    seen.sort_unstable();
    seen
}

/// The values that come until none come any more, though some are left.
async fn fetched(stream: &mut SendableRecordBatchStream, mut seen: Vec<i64>, all: i64) -> Vec<i64> {
    while let Ok(values) = tokio::time::timeout(QUIET, next(stream)).await {
        seen.extend(values.expect("the read has not ended"));
    }
    assert!(i64::try_from(seen.len()).unwrap() < all, "all was fetched before");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_for_a_while() {
    let cluster = cluster(3);
    let engine = engine(&cluster.bootstrap_servers(), TOPIC, "connect_timeout_ms = 30000");
    let mut stream = engine.stream("SELECT n FROM t").await.unwrap();
    let first = next(&mut stream).await.unwrap();
    (1..=3).for_each(|broker| cluster.broker_down(broker).unwrap());
    let seen = fetched(&mut stream, first, ALL).await;
    (1..=3).for_each(|broker| cluster.broker_up(broker).unwrap());
    assert_eq!(rest(stream, seen).await, (0..ALL).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_that_move() {
    let cluster = cluster(3);
    let engine = engine(&cluster.bootstrap_servers(), TOPIC, "");
    let mut stream = engine.stream("SELECT n FROM t").await.unwrap();
    let mut seen = next(&mut stream).await.unwrap();
    // Each partition has another leader after each of some steps.
    for step in 1..=4 {
        for partition in 0..PARTITIONS {
            cluster.partition_leader(TOPIC, partition, Some((partition + step) % 3 + 1)).unwrap();
        }
        seen.extend(next(&mut stream).await.unwrap());
    }
    // The last move is one for good.
    for partition in 0..PARTITIONS {
        cluster.partition_leader(TOPIC, partition, Some(1)).unwrap();
    }
    cluster.broker_down(2).unwrap();
    cluster.broker_down(3).unwrap();
    assert!(i64::try_from(seen.len()).unwrap() < ALL / 2, "most is left");
    assert_eq!(rest(stream, seen).await, (0..ALL).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_and_break_again() {
    let cluster = cluster(1);
    let proxy = Proxy::before(&cluster.bootstrap_servers());
    let engine = engine(&proxy.bootstrap(), TOPIC, "connect_timeout_ms = 30000");
    let mut stream = engine.stream("SELECT n FROM t").await.unwrap();
    let first = next(&mut stream).await.unwrap();
    proxy.away(true);
    let seen = fetched(&mut stream, first, ALL).await;
    proxy.cut(2);
    proxy.away(false);
    assert_eq!(rest(stream, seen).await, (0..ALL).collect::<Vec<_>>());
    assert_eq!(proxy.have_been_cut(), 2, "answers were cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_started_anew() {
    const MESSAGES: i64 = 20_000;
    let data = TempDir::new().unwrap();
    let broker = KafkaBroker::start_in(data.path()).unwrap();
    create_at(&broker.bootstrap(), "midway.restart", 1).await;
    produce_at(&broker.bootstrap(), "midway.restart", &numbers(0, MESSAGES));
    // Reads of a thousand offsets, one after another: this broker answers with a whole partition, whatever size is asked for.
    let more = "messages_per_split = 1000\nconnect_timeout_ms = 60000\nidle_timeout_ms = 60000";
    let engine = engine(&broker.bootstrap(), "midway.restart", more);
    let mut stream = engine.stream("SELECT n FROM t").await.unwrap();
    let first = next(&mut stream).await.unwrap();
    broker.stop().unwrap();
    let seen = fetched(&mut stream, first, MESSAGES).await;
    let broker = broker.start_again(data.path()).unwrap();
    assert_eq!(rest(stream, seen).await, (0..MESSAGES).collect::<Vec<_>>());
    // All that it had is there, and nobody has to make a catalog anew.
    assert_eq!(
        engine.rows("SELECT count(*), sum(n) FROM t").await,
        [format!("{MESSAGES}|{}", MESSAGES * (MESSAGES - 1) / 2)]
    );
    produce_at(&broker.bootstrap(), "midway.restart", &numbers(MESSAGES, MESSAGES + 1));
    assert_eq!(engine.count("SELECT max(n) FROM t").await, MESSAGES);
}
