//! Another implementation of a broker's side, which shares no line with the first one: krafka's, in this process. What is read of it
//! was written by krafka's own producer or by librdkafka's.

use std::time::{Duration, Instant};

use futures::StreamExt;
use krafka::testing::{ApiKey, FakeBroker};
use krafka::{Kafka, Record};

use super::engine::{Engine, PATIENCE, cause, connector, take};
use super::topics::{Sent, an_hour_ago, numbers, produce_at, producer_at, send};

/// An engine over a broker, with a table `t` of a topic whose messages are `{"n":1}`.
pub(crate) fn engine(brokers: &str, topic: &str, more: &str) -> Engine {
    let settings = format!(
        "brokers = \"{brokers}\"\n{more}\n[tables.t]\ntopic = \"{topic}\"\nvalue = {{ columns = {{ n = \"bigint\" }} }}"
    );
    Engine::on(connector("events", &settings).unwrap(), "events", true)
}

/// Messages `{"n":from}` up to `{"n":to}`, over three partitions in turn.
pub(crate) fn spread(from: i64, to: i64) -> Vec<Sent> {
    numbers(from, to).into_iter().zip(from..to).map(|(sent, n)| sent.to(i32::try_from(n % 3).unwrap())).collect()
}

pub(crate) async fn krafka(broker: &FakeBroker) -> Kafka {
    Kafka::builder(broker.bootstrap_servers()).connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_messages_of_all_partitions() {
    let broker = FakeBroker::start_cluster(3).await.unwrap();
    broker.create_topic("all", 3);
    produce_at(&broker.bootstrap_servers(), "all", &spread(0, 9_000));
    let engine = engine(&broker.bootstrap_servers(), "all", "");
    let all = format!("9000|{}|9000", 9_000 * 8_999 / 2);
    assert_eq!(engine.rows("SELECT count(*), sum(n), count(DISTINCT n) FROM t").await, [all]);
    assert_eq!(engine.planned().request, "all, read_committed, offsets 0:0..3000 1:0..3000 2:0..3000");
    let sql = "SELECT n FROM t WHERE _partition_id = 1 AND _partition_offset >= 2990 AND _partition_offset < 2993";
    assert_eq!(engine.rows(sql).await, ["8971", "8974", "8977"]);
    assert_eq!(engine.planned().offsets(), 3);
    assert_eq!(engine.rows("SELECT n FROM t LIMIT 7").await.len(), 7);
    let listed = "SELECT partition_id, leader, earliest_offset, end_offset FROM \"t$partitions\"";
    assert_eq!(engine.rows(listed).await, ["0|0|0|3000", "1|1|0|3000", "2|2|0|3000"]);
    assert!(engine.connector().table("default", "none").await.unwrap().is_none());
    assert_eq!(broker.request_count(ApiKey::JoinGroup) + broker.request_count(ApiKey::OffsetCommit), 0);
}

/// A stream reads two partitions here. The second one is asked for once rows of the first have been taken, if there is room.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_asked_for_before_their_turn() {
    const EACH: i64 = 20_000;
    let broker = FakeBroker::start().await.unwrap();
    broker.create_topic("ahead", 4);
    let messages = numbers(0, 4 * EACH).into_iter().zip(0_i64..);
    let messages: Vec<Sent> = messages.map(|(sent, n)| sent.to(i32::try_from(n % 4).unwrap())).collect();
    produce_at(&broker.bootstrap_servers(), "ahead", &messages);
    for (settings, asked) in [("connections_max = 4", 2), ("connections_max = 1", 1)] {
        let engine = engine(&broker.bootstrap_servers(), "ahead", settings);
        let before = broker.request_count(ApiKey::Fetch);
        let asked_for = || broker.request_count(ApiKey::Fetch) - before;
        let mut rows = engine.first_stream("SELECT n FROM t").await;
        let first = rows.next().await.unwrap().unwrap().num_rows();
        assert_eq!(asked_for(), 1, "{settings}: who wants few rows asks for no more");
        let second = rows.next().await.unwrap().unwrap().num_rows();
        let until = Instant::now() + PATIENCE;
        while asked_for() < asked && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(asked_for(), asked, "{settings}");
        let mut all = first + second;
        while let Some(batch) = rows.next().await {
            all += batch.unwrap().num_rows();
        }
        assert_eq!((i64::try_from(all).unwrap(), asked_for()), (2 * EACH, 2), "{settings}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_krafkas_producer_writes() {
    let broker = FakeBroker::start().await.unwrap();
    broker.create_topic("written", 1);
    let base = an_hour_ago() / 1_000 * 1_000;
    let producer = krafka(&broker).await.producer().build().await.unwrap();
    for record in [
        Record::new("written", r#"{"n":1}"#).key("a").timestamp(base).header("h", "x").null_header("h"),
        Record::new("written", "").key("").timestamp(base + 1),
        Record::tombstone("written", "a").timestamp(base + 2),
    ] {
        assert!(producer.send(record.partition(0)).await.is_ok());
    }
    producer.close().await.unwrap();
    let engine = engine(&broker.bootstrap_servers(), "written", "on_error = \"null\"");
    let sql = "SELECT _partition_offset, n, _key, _message, _headers, arrow_cast(_timestamp, 'Int64') FROM t";
    assert_eq!(
        engine.rows(sql).await,
        [
            format!("0|1|a|{{\"n\":1}}|[{{key: h, value: 78}}, {{key: h, value: NULL}}]|{base}"),
            format!("1|NULL|||[]|{}", base + 1),
            format!("2|NULL|a|NULL|[]|{}", base + 2)
        ]
    );
    assert_eq!(engine.rows("SELECT _timestamp_type FROM t WHERE _partition_offset = 0").await, ["CreateTime"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_compression() {
    let broker = FakeBroker::start().await.unwrap();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        broker.create_topic(codec, 1);
        send(&producer_at(&broker.bootstrap_servers(), &[("compression.type", codec)]), codec, &numbers(0, 2_000));
        let engine = engine(&broker.bootstrap_servers(), codec, "");
        assert_eq!(engine.rows("SELECT count(*), sum(n), max(n) FROM t").await, ["2000|1999000|1999"], "{codec}");
        // From the middle of a batch on, to the middle of one.
        let part = "SELECT count(*), min(n), max(n) FROM t WHERE _partition_offset >= 501 AND _partition_offset < 1499";
        assert_eq!(engine.rows(part).await, ["998|501|1498"], "{codec}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_time() {
    let broker = FakeBroker::start().await.unwrap();
    broker.create_topic("times", 1);
    let base = an_hour_ago() / 1_000 * 1_000;
    // The fourth is older than the one before it.
    let times = [0, 1_000, 5_000, 2_000, 9_000];
    let messages: Vec<Sent> = numbers(0, 5).into_iter().zip(times).map(|(sent, after)| sent.at(base + after)).collect();
    produce_at(&broker.bootstrap_servers(), "times", &messages);
    let engine = engine(&broker.bootstrap_servers(), "times", "");
    for (condition, after, rows, read) in [
        (">=", 0, &["0", "1", "2", "3", "4"][..], 5),
        (">=", 1_000, &["1", "2", "3", "4"], 4),
        // Who asks the broker asks for what is not older.
        (">", 1_000, &["2", "3", "4"], 4),
        // The first one that is not older is the third.
        (">=", 2_000, &["2", "3", "4"], 3),
        (">=", 6_000, &["4"], 1),
        (">", 9_000, &[], 1),
        (">=", 9_001, &[], 0),
        // Nobody promises that what comes later is younger.
        ("<", 3_000, &["0", "1", "3"], 5),
        ("=", 5_000, &["2"], 3),
    ] {
        let sql = format!("SELECT n FROM t WHERE _timestamp {condition} arrow_cast({}, 'Timestamp(ms)')", base + after);
        assert_eq!(engine.rows(&sql).await, rows, "{condition} {after}");
        assert_eq!(engine.planned().offsets(), read, "{condition} {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_and_open_transactions() {
    let broker = FakeBroker::start().await.unwrap();
    broker.create_topic("transactions", 1);
    let kafka = krafka(&broker).await;
    let producer = kafka.producer().build_transactional("tx").await.unwrap();
    let write = async |from: i64, to: i64| {
        producer.begin().unwrap();
        for n in from..to {
            let record = Record::new("transactions", format!("{{\"n\":{n}}}"));
            assert!(producer.send(record.partition(0)).await.is_ok());
        }
    };
    for (from, to, commits) in [(0, 3, true), (3, 5, false), (5, 8, true), (8, 12, false)] {
        write(from, to).await;
        if commits { producer.commit().await.unwrap() } else { producer.abort().await.unwrap() }
    }
    let committed = engine(&broker.bootstrap_servers(), "transactions", "");
    let all = engine(&broker.bootstrap_servers(), "transactions", "isolation = \"read_uncommitted\"");
    for _ in 0..2 {
        let started = Instant::now();
        assert_eq!(committed.rows("SELECT n FROM t").await, ["0", "1", "2", "5", "6", "7"]);
        assert!(started.elapsed() < Duration::from_secs(5), "it waited for offsets that hold no message");
        // 12 messages and one mark for each transaction.
        assert_eq!(committed.planned().snapshot, "transactions 0:16");
    }
    // Messages and marks: 0 1 2 M, 3 4 A, 5 6 7 M, 8 9 10 11 A.
    for (from, to, rows) in
        [(0, 4, &["0", "1", "2"][..]), (4, 7, &[]), (5, 9, &["5", "6"]), (11, 16, &[]), (6, 7, &[]), (9, 10, &["7"])]
    {
        let sql = format!("SELECT n FROM t WHERE _partition_offset >= {from} AND _partition_offset < {to}");
        assert_eq!(committed.rows(&sql).await, rows, "{from}..{to}");
    }
    assert_eq!(all.rows("SELECT count(*), count(DISTINCT n) FROM t").await, ["12|12"]);
    write(12, 14).await;
    assert_eq!(committed.rows("SELECT max(n) FROM t").await, ["7"]);
    assert_eq!(committed.planned().snapshot, "transactions 0:16", "the open transaction begins there");
    assert_eq!(all.rows("SELECT max(n) FROM t").await, ["13"]);
    producer.commit().await.unwrap();
    assert_eq!(committed.rows("SELECT max(n), count(*) FROM t").await, ["13|8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_that_compaction_made() {
    let broker = FakeBroker::start().await.unwrap();
    broker.create_topic("gaps", 1);
    // Ten batches, of which five are gone: at the beginning, in the middle, next to each other, and before the last one.
    const BATCH: i64 = 500;
    let producer = producer_at(&broker.bootstrap_servers(), &[("linger.ms", "1000")]);
    for batch in 0..10 {
        send(&producer, "gaps", &numbers(batch * BATCH, (batch + 1) * BATCH));
    }
    broker.with_state(|state| {
        let log = &mut state.partition_mut("gaps", 0).unwrap().log;
        assert_eq!(log.len(), 10, "a batch each");
        for batch in [8, 5, 4, 2, 0] {
            log.remove(batch);
        }
    });
    let kept: Vec<i64> = [1, 3, 6, 7, 9].into_iter().flat_map(|batch| batch * BATCH..(batch + 1) * BATCH).collect();
    for more in ["", "messages_per_split = 1000"] {
        let engine = engine(&broker.bootstrap_servers(), "gaps", more);
        for (from, to) in [
            (0, 5_000),
            (0, 500),
            (0, 501),
            (300, 1_300),
            (1_000, 1_500),
            (1_200, 2_400),
            (2_000, 3_000),
            (1_999, 3_001),
            (2_400, 2_450),
            (3_999, 4_500),
            (4_000, 4_400),
            (4_100, 5_000),
        ] {
            let sql = format!("SELECT n FROM t WHERE _partition_offset >= {from} AND _partition_offset < {to}");
            let mut rows: Vec<String> = kept.iter().filter(|n| (from..to).contains(*n)).map(i64::to_string).collect();
            rows.sort();
            let started = Instant::now();
            assert_eq!(engine.rows(&sql).await, rows, "{from}..{to}");
            assert!(started.elapsed() < Duration::from_secs(10), "{from}..{to} took {:?}", started.elapsed());
        }
        assert_eq!(engine.rows("SELECT count(*) FROM \"t at gaps 0:1200..4750\"").await, ["1750"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_followed() {
    let broker = FakeBroker::start_cluster(3).await.unwrap();
    broker.create_topic("followed", 3);
    produce_at(&broker.bootstrap_servers(), "followed", &spread(0, 30));
    let engine = engine(&broker.bootstrap_servers(), "followed", "");
    let mut stream = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    produce_at(&broker.bootstrap_servers(), "followed", &spread(30, 60));
    assert_eq!(take(&mut stream, 30).await, (30..60).collect::<Vec<_>>());
    (0..3).for_each(|partition| assert!(broker.set_leader("followed", partition, (partition + 1) % 3)));
    produce_at(&broker.bootstrap_servers(), "followed", &spread(60, 90));
    assert_eq!(take(&mut stream, 30).await, (60..90).collect::<Vec<_>>());
    broker.crash(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    broker.restart(1);
    produce_at(&broker.bootstrap_servers(), "followed", &spread(90, 120));
    assert_eq!(take(&mut stream, 30).await, (90..120).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn logins() {
    let broker = FakeBroker::start().await.unwrap();
    broker.create_topic("login", 1);
    produce_at(&broker.bootstrap_servers(), "login", &numbers(0, 10));
    broker.require_sasl_plain("anna", "s3cret");
    let with = |password: &str| {
        let login = format!("sasl = {{ username = \"anna\", password = \"{password}\" }}");
        engine(&broker.bootstrap_servers(), "login", &format!("security = \"sasl_plaintext\"\n{login}"))
    };
    assert_eq!(with("s3cret").count("SELECT count(n) FROM t").await, 10);
    let error = cause(&with("wr0ng").try_sql("SELECT n FROM t").await.unwrap_err());
    assert!(error.contains("the Kafka broker refused the login") && !error.contains("wr0ng"), "{error}");
}
