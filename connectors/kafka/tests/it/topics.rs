//! The broker that the tests share, and making and filling topics.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portolan_servers::{KafkaBroker, TestBroker};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

static BROKER: LazyLock<TestBroker> = LazyLock::new(|| TestBroker::take().unwrap_or_else(|error| panic!("{error}")));

/// The stand-in, for what only it does, whichever broker the others are on.
static STAND_IN: LazyLock<KafkaBroker> =
    LazyLock::new(|| KafkaBroker::start().unwrap_or_else(|error| panic!("{error}")));

/// How long the broker may take for anything.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn bootstrap() -> String {
    BROKER.bootstrap()
}

pub(crate) fn stand_in() -> String {
    match &*BROKER {
        TestBroker::Started(broker) => broker.bootstrap(),
        TestBroker::Given(_) => STAND_IN.bootstrap(),
    }
}

/// Makes the name of a topic free at a broker that an earlier run may have used.
async fn make_room(bootstrap: &str, topic: &str) {
    if BROKER.is_given() && bootstrap == BROKER.bootstrap() {
        // It need not be there, and it takes a moment until the name is free.
        let _ = admin(bootstrap).delete_topics(&[topic], &AdminOptions::new()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Milliseconds since 1970, an hour ago: retention deletes what is much older.
pub(crate) fn an_hour_ago() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap() - 3_600_000
}

/// A message to be sent; `json` starts one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) partition: i32,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Vec<(&'static str, Option<&'static [u8]>)>,
}

impl Sent {
    pub(crate) fn value(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    pub(crate) fn to(self, partition: i32) -> Self {
        Self { partition, ..self }
    }

    pub(crate) fn at(self, timestamp: i64) -> Self {
        Self { timestamp: Some(timestamp), ..self }
    }
}

fn settings(bootstrap: &str) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", bootstrap);
    settings
}

fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    settings(bootstrap).create().unwrap()
}

pub(crate) async fn create(topic: &str, partitions: i32) {
    create_at(&bootstrap(), topic, partitions).await;
}

pub(crate) async fn create_at(bootstrap: &str, topic: &str, partitions: i32) {
    make_room(bootstrap, topic).await;
    let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
    let created = admin(bootstrap).create_topics([&topic], &AdminOptions::new()).await.unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");
}

/// Makes a topic with more settings than [`create`] gives it.
pub(crate) async fn create_with(topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    make_room(&bootstrap(), topic).await;
    let mut topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
    for (name, value) in settings {
        topic = topic.set(name, value);
    }
    let created = admin(&bootstrap()).create_topics([&topic], &AdminOptions::new()).await.unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");
}

pub(crate) async fn delete(topic: &str) {
    let deleted = admin(&bootstrap()).delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
}

/// Gives a topic so many partitions.
pub(crate) async fn grow(topic: &str, partitions: usize) {
    let more = NewPartitions::new(topic, partitions);
    let grown = admin(&bootstrap()).create_partitions([&more], &AdminOptions::new()).await.unwrap();
    assert!(grown.iter().all(Result::is_ok), "{grown:?}");
}

/// Deletes the messages of a partition before an offset, as retention does.
pub(crate) async fn delete_before(topic: &str, partition: i32, offset: i64) {
    delete_before_at(&bootstrap(), topic, partition, offset).await;
}

pub(crate) async fn delete_before_at(bootstrap: &str, topic: &str, partition: i32, offset: i64) {
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    admin(bootstrap).delete_records(&offsets, &AdminOptions::new()).await.unwrap();
}

pub(crate) fn producer(more: &[(&str, &str)]) -> BaseProducer {
    producer_at(&bootstrap(), more)
}

pub(crate) fn producer_at(bootstrap: &str, more: &[(&str, &str)]) -> BaseProducer {
    let mut settings = settings(bootstrap);
    more.iter().for_each(|(name, value)| {
        settings.set(*name, *value);
    });
    settings.create().unwrap()
}

pub(crate) fn send(producer: &BaseProducer, topic: &str, messages: &[Sent]) {
    for message in messages {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(message.partition);
        if let Some(key) = &message.key {
            record = record.key(key);
        }
        if let Some(value) = &message.value {
            record = record.payload(value);
        }
        if let Some(timestamp) = message.timestamp {
            record = record.timestamp(timestamp);
        }
        let headers = message
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: *value }));
        record = record.headers(headers);
        while let Err((error, back)) = producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(rdkafka::types::RDKafkaErrorCode::QueueFull), "{error}");
            record = back;
            producer.poll(Duration::from_millis(10));
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(LIMIT).unwrap();
}

pub(crate) fn produce(topic: &str, messages: &[Sent]) {
    send(&producer(&[]), topic, messages);
}

pub(crate) fn produce_at(bootstrap: &str, topic: &str, messages: &[Sent]) {
    send(&producer_at(bootstrap, &[]), topic, messages);
}

/// Messages `{"n":from}` up to `{"n":to}`, which is not included.
pub(crate) fn numbers(from: i64, to: i64) -> Vec<Sent> {
    (from..to).map(|n| Sent::value(format!("{{\"n\":{n}}}"))).collect()
}
