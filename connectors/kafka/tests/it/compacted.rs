//! Topics that the broker has compacted: offsets without messages at the beginning and in the middle of what is read.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::engine::Engine;
use super::topics::{Sent, an_hour_ago, bootstrap, create_with, produce};

/// How long the broker may take to compact. It does not say when.
const PATIENCE: Duration = Duration::from_secs(90);

const MESSAGES: i64 = 1_000;

/// Messages of one segment are not as far apart; the one behind them is.
const SEGMENT_MS: i64 = 5_000;

/// The time of a message, in milliseconds behind that of the first one.
fn at(n: i64) -> i64 {
    if n < MESSAGES { n / 10 } else { n * 20 }
}

/// Each hundredth key comes once; ten others come again and again.
fn keyed(n: i64, base: i64) -> Sent {
    let key = if n % 100 == 0 && n > 0 { format!("once{n}") } else { format!("again{}", n % 10) };
    Sent { key: Some(key.into_bytes()), ..Sent::value(format!("{{\"n\":{n}}}")).at(base + at(n)) }
}

/// What compaction leaves of them: what came once, and the newest of each of the ten.
fn left() -> Vec<i64> {
    (100..MESSAGES).step_by(100).chain(990..=MESSAGES).collect()
}

/// The offsets that have messages, as a bare consumer finds them.
fn kept(topic: &str) -> Vec<i64> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", bootstrap()).set("group.id", "never-joined").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = client.set("enable.auto.commit", "false").create().unwrap();
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&from).unwrap();
    let mut offsets = Vec::new();
    loop {
        match consumer.poll(PATIENCE).expect("an answer") {
            Ok(message) => offsets.push(message.offset()),
            Err(KafkaError::PartitionEOF(_)) => return offsets,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A topic that was compacted, whose message at each offset has this offset as its value. Returns the time of offset 0.
async fn compacted(topic: &str) -> i64 {
    let segment = SEGMENT_MS.to_string();
    let settings = [("cleanup.policy", "compact"), ("segment.ms", &*segment), ("min.cleanable.dirty.ratio", "0.01")];
    create_with(topic, 1, &settings).await;
    let base = an_hour_ago() / 1_000 * 1_000;
    // A batch for each message that comes once. This broker finds no message in a batch that it has compacted but from its
    // beginning on, so that nothing is to be read from within the last one, which keeps more than one.
    for from in (0..MESSAGES).step_by(100) {
        produce(topic, &(from..from + 100).map(|n| keyed(n, base)).collect::<Vec<_>>());
    }
    // Only what is behind the newest segment is compacted, and a message that comes later begins a new one.
    tokio::time::sleep(Duration::from_millis(SEGMENT_MS.unsigned_abs() + 500)).await;
    produce(topic, &[keyed(MESSAGES, base)]);
    let started = Instant::now();
    while kept(topic) != left() {
        assert!(started.elapsed() < PATIENCE, "not compacted: {:?}", kept(topic));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    base
}

#[tokio::test]
async fn offsets_without_messages_are_no_rows() {
    let base = compacted("compacted.rows").await;
    let table = "[tables.t]\ntopic = \"compacted.rows\"\nvalue = { columns = { n = \"bigint\" } }";
    for more in ["", "messages_per_split = 1000\n"] {
        let engine = Engine::new(&format!("{more}{table}"));
        assert_eq!(engine.rows("SELECT count(*), count(n) FROM t").await, ["20|20"]);
        assert_eq!(engine.planned().request, "compacted.rows, read_committed, offsets 0:0..1001");
        assert_eq!(engine.count("SELECT count(*) FROM t WHERE n = _partition_offset").await, 20);
        for (from, to) in [
            (0, 1_001),
            // Ends in a gap, before one and behind one.
            (0, 99),
            (0, 100),
            (0, 101),
            (0, 150),
            // Begins in one.
            (100, 200),
            (101, 200),
            (101, 201),
            (150, 250),
            (801, 900),
            (801, 901),
            (801, 995),
            (850, 1_001),
            (1_000, 1_001),
            // Is one, and is one message.
            (1, 99),
            (500, 501),
            (501, 502),
        ] {
            let sql =
                format!("SELECT n FROM t WHERE _partition_offset >= {from} AND _partition_offset < {to} ORDER BY n");
            let mut expected: Vec<String> =
                left().into_iter().filter(|n| (from..to).contains(n)).map(|n| n.to_string()).collect();
            expected.sort();
            assert_eq!(engine.rows(&sql).await, expected, "{more}{from}..{to}");
        }
        assert_eq!(engine.rows("SELECT n FROM t LIMIT 3").await.len(), 3);
        let pieces = "SELECT n FROM t WHERE _partition_offset IN (3, 200, 777, 900, 995)";
        assert_eq!(engine.rows(pieces).await, ["200", "900", "995"]);
        let late = format!(
            "SELECT min(n), count(*) FROM t WHERE _timestamp >= arrow_cast({}, 'Timestamp(ms)')",
            base + at(150)
        );
        assert_eq!(engine.rows(&late).await, ["200|19"]);
    }
}

#[tokio::test]
async fn other_tables_of_a_compacted_topic() {
    let base = compacted("compacted.tables").await;
    let engine = Engine::new("[tables.t]\ntopic = \"compacted.tables\"\nvalue = { columns = { n = \"bigint\" } }");
    // What was compacted is what is newest, here and there.
    assert_eq!(engine.rows("SELECT count(*), min(n), max(n) FROM \"t$latest\"").await, ["20|100|1000"]);
    assert_eq!(engine.rows("SELECT n FROM \"t$latest\" WHERE _key = 'again7'").await, ["997"]);
    assert_eq!(engine.count("SELECT count(*) FROM \"t$errors\"").await, 0);
    // Compaction leaves the first offset where it was; the first message is another one then.
    let listed = "SELECT earliest_offset, end_offset, arrow_cast(first_timestamp, 'Int64'), arrow_cast(last_timestamp, 'Int64') \
                  FROM \"t$partitions\"";
    assert_eq!(engine.rows(listed).await, [format!("0|1001|{}|{}", base + at(100), base + at(1_000))]);
    let cuts = engine.rows("SELECT DISTINCT _cut FROM t").await;
    assert_eq!(cuts.len(), 1);
    assert!(cuts[0].starts_with("compacted.tables 0:0..1001 before:"), "{cuts:?}");
    produce("compacted.tables", &[keyed(1_100, base)]);
    assert_eq!(engine.rows("SELECT count(*), max(n) FROM t").await, ["21|1100"]);
    for (cut, rows) in [
        ("compacted.tables 0:0..1001", "20|100|1000"),
        ("compacted.tables 0:50..950", "9|100|900"),
        ("compacted.tables 0:101..500", "3|200|400"),
        ("compacted.tables 0:101..200", "0|NULL|NULL"),
        ("compacted.tables 0:0..1", "0|NULL|NULL"),
    ] {
        assert_eq!(engine.rows(&format!("SELECT count(*), min(n), max(n) FROM \"t at {cut}\"")).await, [rows], "{cut}");
    }
    let last = engine.rows("SELECT n FROM \"t$latest at compacted.tables 0:0..950\"").await;
    assert_eq!(last.len(), 9);
}
