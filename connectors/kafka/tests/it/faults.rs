//! Connections that break, and brokers that are slow or away: the right rows, or one clear error in time.

use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::StreamExt;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::Producer;

use super::engine::{Engine, PATIENCE, cause, connector};
use super::proxy::Proxy;
use super::topics::{Sent, create_at, delete_before_at, numbers, produce_at, producer_at, send, stand_in};

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

/// Who follows sees the messages as they are, up to an error.
#[tokio::test]
async fn messages_that_a_wire_has_changed_are_an_error_for_who_follows() {
    let (proxy, engine) = behind_proxy("fault.follow.changed", "").await;
    for sql in ["SELECT n, _partition_id, _partition_offset FROM \"t following\"", "SELECT * FROM \"t following\""] {
        let before = engine.count("SELECT count(*) FROM t").await;
        let mut stream = engine.stream(sql).await.unwrap();
        proxy.change(1);
        fill("fault.follow.changed");
        let (mut rows, mut error) = (0, None);
        while error.is_none() && rows < usize::try_from(MESSAGES).unwrap() {
            let next = tokio::time::timeout(PATIENCE, stream.next()).await.expect("messages or an error").unwrap();
            let batch = match next {
                Ok(batch) => batch,
                Err(failure) => {
                    error = Some(cause(&failure));
                    continue;
                }
            };
            rows += batch.num_rows();
            if batch.num_columns() == 3 {
                let value = |column: usize, row| batch.column(column).as_primitive::<Int64Type>().value(row);
                for row in 0..batch.num_rows() {
                    let (n, partition, offset) = (value(0, row), value(1, row), value(2, row) - before / 2);
                    assert_eq!(n, offset * 2 + partition, "partition {partition}, offset {offset}");
                }
            } else {
                let values = batch.column(0).as_primitive::<Int64Type>();
                assert!(values.values().iter().all(|n| (0..MESSAGES).contains(n)));
            }
        }
        assert_eq!(proxy.are_to_be_changed(), 0, "bytes were changed");
        let error = error.expect("what was changed does not come again by itself");
        assert!(error.contains("Kafka's client failed to follow topic fault.follow.changed"), "{error}");
        assert!(stream.next().await.is_none(), "nothing comes after an error");
        // What is on the broker's disk is whole, and who follows from where the other one began reads it.
        assert_eq!(engine.count("SELECT count(n) FROM t").await, before + MESSAGES);
        let cut = format!("fault.follow.changed 0:0..{0} 1:0..{0}", before / 2);
        let again = format!("SELECT n FROM \"t following {cut}\" LIMIT {MESSAGES}");
        let (rows, _) = tokio::time::timeout(PATIENCE, engine.counted(&again, "rows_lost")).await.unwrap();
        assert_eq!(rows, usize::try_from(MESSAGES).unwrap());
    }
}

#[tokio::test]
async fn a_slow_broker_is_waited_for() {
    let (proxy, engine) = behind_proxy("fault.slow", "").await;
    fill("fault.slow");
    proxy.late(Duration::from_millis(400));
    assert_eq!(engine.count("SELECT count(n) FROM t").await, MESSAGES);
}

#[tokio::test]
async fn who_has_used_up_a_quota_waits_and_loses_no_rows() {
    let (proxy, engine) = behind_proxy("fault.quota", "idle_timeout_ms = 1000").await;
    fill("fault.quota");
    // Together longer than nothing may come otherwise.
    proxy.slow_down(8, Duration::from_millis(400));
    let sql = "SELECT count(*), sum(n), count(DISTINCT n) FROM t";
    assert_eq!(engine.rows(sql).await, [format!("{MESSAGES}|{}|{MESSAGES}", MESSAGES * (MESSAGES - 1) / 2)]);
    assert_eq!(proxy.are_to_be_slowed(), 0);
}

#[tokio::test]
async fn a_broker_that_is_gone_without_a_word_is_not_waited_for() {
    let (proxy, engine) = behind_proxy("fault.power", "idle_timeout_ms = 6000").await;
    fill("fault.power");
    let sql = "SELECT count(*), sum(n), count(DISTINCT n) FROM t";
    let all = [format!("{MESSAGES}|{}|{MESSAGES}", MESSAGES * (MESSAGES - 1) / 2)];
    assert_eq!(engine.rows(sql).await, all);
    // The connections of the first read are kept for others.
    proxy.lose_power();
    assert_eq!(engine.rows(sql).await, all);
    let lost = async { proxy.lose_power() };
    let mut stream = engine.stream_after(lost, "SELECT n FROM t").await.unwrap();
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(i64::try_from(rows).unwrap(), MESSAGES);
    // There are more of the old connections than this needs.
    for rows in futures::future::join_all((0..4).map(|_| engine.rows(sql))).await {
        assert_eq!(rows, all);
    }
    proxy.lose_power();
    assert_eq!(engine.count("SELECT count(n) FROM t WHERE _partition_id = 0").await, MESSAGES / 2);
}

/// Who does not take the last of its rows, or their end, keeps no connection from others.
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_slowly_keeps_no_connection_from_others() {
    let (_proxy, engine) = behind_proxy("fault.paused", "connections_max = 1\nconnections_wait_ms = 5000").await;
    for batches in 1..=4 {
        // Full batches, of which two may wait to be taken.
        let more: Vec<Sent> = numbers(0, 8192).into_iter().map(|sent| sent.to(0)).collect();
        produce_at(&stand_in(), "fault.paused", &more);
        let mut paused = engine.stream("SELECT n FROM t WHERE _partition_id = 0").await.unwrap();
        let mut rows = paused.next().await.unwrap().unwrap().num_rows();
        // It reads as far as it can.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(engine.count("SELECT count(n) FROM t WHERE _partition_id = 0").await, batches * 8192);
        while let Some(batch) = paused.next().await {
            rows += batch.unwrap().num_rows();
        }
        assert_eq!(i64::try_from(rows).unwrap(), batches * 8192);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_has_no_more_connections_than_it_may() {
    let all = [format!("{MESSAGES}|{}", MESSAGES * (MESSAGES - 1) / 2)];
    // Small reads, so that there is much to begin and to end.
    for (topic, more, most) in [
        ("fault.one", "messages_per_split = 1000\nconnections_max = 1", 1),
        ("fault.two", "messages_per_split = 1000\nfetch_bytes = 100000\nin_flight_bytes_max = 299999", 2),
    ] {
        let (proxy, engine) = behind_proxy(topic, more).await;
        fill(topic);
        let engine = std::sync::Arc::new(engine);
        let queries = (0..4).map(|_| {
            let engine = std::sync::Arc::clone(&engine);
            tokio::spawn(async move { engine.rows("SELECT count(*), sum(n) FROM t").await })
        });
        for query in queries.collect::<Vec<_>>() {
            assert_eq!(query.await.unwrap(), all, "{more}");
        }
        // Neither side of a join waits for the other one's connections.
        let sql = "SELECT count(*), sum(b.n) FROM t AS a JOIN t AS b ON a.n = b.n";
        assert_eq!(engine.rows(sql).await, all, "{more}");
        // Somebody takes only a part and stops, or takes nothing for a while.
        drop(engine.stream("SELECT n FROM t").await.unwrap().next().await);
        let mut slow = engine.stream("SELECT n FROM t").await.unwrap();
        let mut rows = slow.next().await.unwrap().unwrap().num_rows();
        assert_eq!(engine.rows("SELECT count(*), sum(n) FROM t").await, all, "{more}");
        while let Some(batch) = slow.next().await {
            rows += batch.unwrap().num_rows();
        }
        assert_eq!(i64::try_from(rows).unwrap(), MESSAGES, "{more}");
        assert!(proxy.most_fetching() <= 2 * most, "{more}: {} at once", proxy.most_fetching());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_no_connection_is_told_what_to_do() {
    let (proxy, engine) = behind_proxy("fault.busy", "connections_max = 1\nconnections_wait_ms = 500").await;
    fill("fault.busy");
    // Each of the two partitions needs one, and the first does not give its up for two seconds.
    let late = async { proxy.late(Duration::from_secs(2)) };
    let outcome: Vec<_> = engine.stream_after(late, "SELECT n FROM t").await.unwrap().collect().await;
    let error = cause(outcome.iter().find_map(|batch| batch.as_ref().err()).unwrap());
    let busy = "no connection to a Kafka broker was free for 500 ms: all 1 were in use";
    assert!(error.contains(busy) && error.contains("connections_max"), "{error}");
    let refused = connector("events", "brokers = \"none:1\"\nfetch_bytes = 2000000\nin_flight_bytes_max = 1000000");
    let error = refused.unwrap_err();
    assert!(error.contains("`in_flight_bytes_max` is 1000000, less than the 2000000 bytes"), "{error}");
}

#[tokio::test]
async fn a_broker_that_is_too_slow_is_an_error_in_time() {
    let (proxy, engine) = behind_proxy("fault.stuck", "metadata_timeout_ms = 2000\nidle_timeout_ms = 2000").await;
    fill("fault.stuck");
    assert_eq!(engine.count("SELECT count(n) FROM t").await, MESSAGES);
    let late = async { proxy.late(Duration::from_secs(600)) };
    let stream = engine.stream_after(late, "SELECT n FROM t").await.unwrap();
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

/// What a `LIMIT` leaves of an answer is not taken for the next one.
#[tokio::test]
async fn a_limit_leaves_nothing_to_the_next_read() {
    let (proxy, engine) = behind_proxy("fault.left", "").await;
    fill("fault.left");
    for round in 0..10 {
        assert_eq!(engine.rows("SELECT n FROM t LIMIT 3").await.len(), 3, "{round}");
        assert_eq!(engine.count("SELECT count(n) FROM t").await, MESSAGES, "{round}");
        let row = engine.rows("SELECT n FROM t WHERE _partition_id = 0 AND _partition_offset = 9000").await;
        assert_eq!(row, ["18000"], "{round}");
    }
    // A connection that the broker has closed meanwhile is replaced.
    proxy.away(true);
    proxy.away(false);
    assert_eq!(engine.count("SELECT count(n) FROM t").await, MESSAGES);
}

/// Of brokers that keep to the size that is asked for, a few rows take less than a megabyte.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_limit_reads_little() {
    const EACH: i64 = 4_000;
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("little", 2, 1).unwrap();
    let pad = "x".repeat(1_000);
    for partition in 0..2 {
        let message = |n| Sent::value(format!("{{\"n\":{n},\"pad\":\"{pad}\"}}")).to(partition);
        // The mock hands out whole batches of producers.
        let producer = producer_at(&cluster.bootstrap_servers(), &[("batch.size", "100000")]);
        send(&producer, "little", &(0..EACH).map(message).collect::<Vec<_>>());
    }
    let proxy = Proxy::before(&cluster.bootstrap_servers());
    let settings = format!(
        "brokers = \"{}\"\n[tables.t]\ntopic = \"little\"\nvalue = {{ columns = {{ n = \"bigint\" }} }}",
        proxy.bootstrap()
    );
    let engine = Engine::on(connector("events", &settings).unwrap(), "events", true);
    assert_eq!(engine.rows("SELECT n FROM t LIMIT 10").await.len(), 10);
    assert!(proxy.carried() < 1_000_000, "{} bytes were read", proxy.carried());
    assert_eq!(engine.count("SELECT count(n) FROM t").await, 2 * EACH);
    assert!(proxy.carried() > 8_000_000, "all of it went through the proxy");
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
