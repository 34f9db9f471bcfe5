//! Connections that break, and brokers that are slow or away: the right rows, or one clear error in time.

use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::StreamExt;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::Producer;

use super::engine::{Engine, cause, connector};
use super::proxy::Proxy;
use super::topics::{Sent, create_at, delete_before_at, numbers, produce_at, producer_at, send, stand_in};

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

#[tokio::test(flavor = "multi_thread")]
async fn marks_of_transactions_are_no_lost_messages() {
    let topic = "fault.marks";
    let (proxy, engine) = behind_proxy(topic, "on_truncated = \"skip\"").await;
    let change = async {
        let transactional = producer_at(&stand_in(), &[("transactional.id", topic)]);
        transactional.init_transactions(PATIENCE).unwrap();
        // A message and the mark of its transaction; the other partition gets one message.
        tokio::time::sleep(Duration::from_secs(1)).await;
        transactional.begin_transaction().unwrap();
        send(&transactional, topic, &numbers(0, 1));
        transactional.commit_transaction(PATIENCE).unwrap();
        produce_at(&stand_in(), topic, &[Sent::value("{\"n\":1}").to(1)]);
        tokio::time::sleep(Duration::from_secs(2)).await;
        // All of it was read. Then one partition loses messages that were not.
        proxy.away(true);
        let later: Vec<Sent> = numbers(0, 100).into_iter().map(|sent| sent.to(1)).collect();
        produce_at(&stand_in(), topic, &later);
        delete_before_at(&stand_in(), topic, 0, 2).await;
        delete_before_at(&stand_in(), topic, 1, 61).await;
        proxy.away(false);
    };
    let follow = engine.counted("SELECT n FROM \"t following\" LIMIT 42", "rows_lost");
    let ((rows, lost), ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(follow, change) }).await.unwrap();
    assert_eq!((rows, lost), (42, 60), "1..61 of one partition, nothing of the other");
}

/// A topic of 8 partitions with 32 MB, of which one that reads slowly has fetched no more than its queue, what was on its way
/// when that was full, and the batches that wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn who_follows_slowly_holds_little() {
    const PARTITIONS: i32 = 8;
    const EACH: i64 = 4_000;
    const HELD: u64 = 8_000_000;
    // The stand-in answers with a whole partition, whatever size was asked for.
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("slow", PARTITIONS, 1).unwrap();
    let pad = "x".repeat(1_000);
    for partition in 0..PARTITIONS {
        let message = |n| Sent::value(format!("{{\"n\":{n},\"pad\":\"{pad}\"}}")).to(partition);
        // The mock hands out whole batches of producers.
        let producer = producer_at(&cluster.bootstrap_servers(), &[("batch.size", "100000")]);
        send(&producer, "slow", &(0..EACH).map(message).collect::<Vec<_>>());
    }
    let proxy = Proxy::before(&cluster.bootstrap_servers());
    let settings = format!(
        "brokers = \"{}\"\nqueue_kib = 1024\nfetch_bytes = 262144\n[tables.t]\ntopic = \"slow\"\nvalue = {{ columns = {{ n = \"bigint\" }} }}",
        proxy.bootstrap()
    );
    let engine = Engine::on(connector("events", &settings).unwrap(), "events", true).with_memory(100_000_000);
    let mut stream = engine.stream("SELECT n FROM \"t following beginning\"").await.unwrap();
    let mut rows = stream.next().await.unwrap().unwrap().num_rows();
    // It may fetch as much as it wants to.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let carried = proxy.carried();
    assert!(carried < HELD, "{carried} bytes were fetched for {rows} rows that were taken");
    while rows < usize::try_from(EACH * i64::from(PARTITIONS)).unwrap() {
        let batch = tokio::time::timeout(PATIENCE, stream.next()).await.expect("messages came");
        rows += batch.unwrap().unwrap().num_rows();
    }
    assert!(proxy.carried() > 4 * HELD, "all of it went through the proxy");
}

/// A few rows are worth a small answer of the broker; all rows are not fetched by small answers.
#[tokio::test]
async fn a_small_limit_asks_for_little() {
    let (proxy, engine) = behind_proxy("fault.few", "").await;
    fill("fault.few");
    assert_eq!(engine.rows("SELECT n FROM t LIMIT 90").await.len(), 90);
    assert_eq!(engine.rows("SELECT n FROM t WHERE _partition_id = 1 AND _partition_offset = 7").await, ["15"]);
    let little = proxy.asked();
    assert!((1..=128 << 10).contains(&little), "{little} bytes were asked for");
    assert_eq!(engine.count("SELECT count(n) FROM t").await, MESSAGES);
    assert_eq!(proxy.asked(), 4 << 20, "`fetch_bytes`, if nothing else is said");
}

#[tokio::test]
async fn messages_of_every_compression_are_read() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("fault.codec.{codec}");
        create_at(&stand_in(), &topic, 1).await;
        send(&producer_at(&stand_in(), &[("compression.type", codec)]), &topic, &numbers(0, 2_000));
        let settings = format!(
            "brokers = \"{}\"\n[tables.t]\ntopic = \"{topic}\"\nvalue = {{ columns = {{ n = \"bigint\" }} }}",
            stand_in()
        );
        let engine = Engine::on(connector("events", &settings).unwrap(), "events", true);
        assert_eq!(engine.rows("SELECT count(*), sum(n), max(n) FROM t").await, ["2000|1999000|1999"], "{codec}");
    }
}

/// Larger than what is asked for at once, than the queue, and than what a small LIMIT asks for.
#[tokio::test(flavor = "multi_thread")]
async fn messages_larger_than_a_fetch_are_read() {
    const BYTES: usize = 900_000;
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("large", 1, 1).unwrap();
    let message = |n| Sent::value(format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(BYTES)));
    send(&producer_at(&cluster.bootstrap_servers(), &[]), "large", &(0..4).map(message).collect::<Vec<_>>());
    let settings = format!(
        "brokers = \"{}\"\nfetch_bytes = 1024\nqueue_kib = 64\n[tables.t]\ntopic = \"large\"\n\
         value = {{ columns = {{ n = \"bigint\", pad = \"varchar\" }} }}",
        cluster.bootstrap_servers()
    );
    let engine = Engine::on(connector("events", &settings).unwrap(), "events", true);
    assert_eq!(engine.rows("SELECT sum(n), min(length(pad)) FROM t").await, [format!("6|{BYTES}")]);
    assert_eq!(engine.rows("SELECT length(pad) FROM t LIMIT 1").await, [BYTES.to_string()]);
}
