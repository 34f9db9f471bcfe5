//! A bounded scan of a million JSON messages beside the client library's bare consumer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use portolan_servers::KafkaBroker;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::measure::{self, median, timed};

const MESSAGES: i64 = 1_000_000;
const PARTITIONS: i32 = 4;
const ROUNDS: usize = 3;
const TOPIC: &str = "bench";

/// Prints messages a second of a decoding scan over those of the bare consumer.
pub(crate) fn run() {
    let broker = KafkaBroker::start().expect("a broker");
    produce(&broker.bootstrap());
    let directory = tempfile::tempdir().expect("a directory");
    let catalogs = directory.path().join("catalogs.toml");
    let columns =
        "id = 'bigint', name = 'varchar', amount = 'double', kind = 'varchar', ok = 'boolean', note = 'varchar'";
    let entry = format!(
        "[events]\nconnector = 'kafka'\nbrokers = '{}'\n[events.tables.bench]\ntopic = '{TOPIC}'\n[events.tables.bench.value]\n\
         format = 'json'\ncolumns = {{ {columns} }}\n",
        broker.bootstrap()
    );
    std::fs::write(&catalogs, entry).expect("the catalog file");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let engine = measure::engine(&catalogs);
    let scan = |sql: &str| timed(|| runtime.block_on(measure::rows(&engine, sql)));
    let (mut bare, mut decoded, mut counted) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(timed(|| consume(&broker.bootstrap())).0);
        let (seconds, rows) = scan("SELECT id, name, amount, kind, ok, note FROM events.default.bench");
        assert_eq!(rows as i64, MESSAGES);
        decoded.push(seconds);
        counted.push(scan("SELECT count(*) FROM events.default.bench").0);
    }
    let (bare, decoded, counted) = (median(bare), median(decoded), median(counted));
    println!("kafka     {MESSAGES} JSON messages in {PARTITIONS} partitions, {ROUNDS} rounds");
    println!("kafka     messages a second, all columns, over the bare consumer's  {:.2}", bare / decoded);
    println!("kafka     messages a second, count(*), over the bare consumer's     {:.2}", bare / counted);
}

fn produce(bootstrap: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    let admin: AdminClient<DefaultClientContext> = config.create().expect("an admin client");
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
    futures::executor::block_on(admin.create_topics(&[topic], &AdminOptions::new())).expect("a topic");
    config.set("linger.ms", "20").set("batch.num.messages", "10000").set("queue.buffering.max.messages", "200000");
    let producer: BaseProducer = config.create().expect("a producer");
    for id in 0..MESSAGES {
        let value = format!(
            "{{\"id\":{id},\"name\":\"user-{}\",\"amount\":{}.{:02},\"kind\":\"{}\",\"ok\":{},\"note\":\"lorem ipsum dolor sit {}\"}}",
            id * 7919 % 100_000,
            id % 1000,
            id % 100,
            ["click", "view", "buy", "refund"][(id % 4) as usize],
            id % 3 == 0,
            id * 31 % 977
        );
        let mut record: BaseRecord<'_, (), str> =
            BaseRecord::to(TOPIC).payload(value.as_str()).partition((id % i64::from(PARTITIONS)) as i32);
        while let Err((error, back)) = producer.send(record) {
            assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
            producer.poll(Duration::from_millis(5));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(120)).expect("all messages");
}

/// Reads every message and drops it.
fn consume(bootstrap: &str) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("receive.message.max.bytes", "1000000000")
        .set("auto.offset.reset", "error")
        .create()
        .expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    let mut left: HashMap<i32, i64> = HashMap::new();
    for partition in 0..PARTITIONS {
        let (low, high) = consumer.fetch_watermarks(TOPIC, partition, Duration::from_secs(10)).expect("watermarks");
        assignment.add_partition_offset(TOPIC, partition, Offset::Offset(low)).expect("an offset");
        left.insert(partition, high);
    }
    consumer.assign(&assignment).expect("an assignment");
    let start = Instant::now();
    while !left.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(120), "the consumer does not get on");
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            let message = message.expect("a message");
            if left.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                left.remove(&message.partition());
            }
        }
    }
}
