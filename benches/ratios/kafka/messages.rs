//! The messages of the benches, of about 150 bytes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

/// The columns of all of them.
pub(super) const COLUMNS: [(&str, &str); 8] = [
    ("id", "bigint"),
    ("name", "varchar"),
    ("amount", "double"),
    ("kind", "varchar"),
    ("ok", "boolean"),
    ("note", "varchar"),
    ("page", "varchar"),
    ("visits", "bigint"),
];

/// The same in Avro.
pub(super) const AVRO_SCHEMA: &str = r#"{"type":"record","name":"Bench","fields":[{"name":"id","type":"long"},{"name":"name","type":"string"},{"name":"amount","type":"double"},{"name":"kind","type":"string"},{"name":"ok","type":"boolean"},{"name":"note","type":"string"},{"name":"page","type":"string"},{"name":"visits","type":"long"}]}"#;

/// The time between the first message and the last.
pub(super) const SPAN_MILLIS: i64 = 3_600_000;

/// How a value is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Encoding {
    Json,
    Avro,
}

/// A topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Topic {
    pub(super) name: &'static str,
    pub(super) partitions: i32,
    pub(super) count: i64,
    pub(super) encoding: Encoding,
}

/// When the first message was made: an hour and a bit ago, so that no broker takes it for old.
pub(super) fn begun() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
    i64::try_from(now).expect("a time") - SPAN_MILLIS - 60_000
}

/// The values of a topic, in the order of their ids.
pub(super) fn values(topic: Topic) -> Vec<Vec<u8>> {
    (0..topic.count).map(|id| value(id, topic.encoding)).collect()
}

fn value(id: i64, encoding: Encoding) -> Vec<u8> {
    let name = format!("user-{}", id * 7919 % 100_000);
    let amount = (id % 1000) as f64 + (id % 100) as f64 / 100.0;
    let kind = ["click", "view", "buy", "refund"][(id % 4) as usize];
    let (ok, note) = (id % 3 == 0, format!("lorem ipsum {}", id * 31 % 977));
    let (page, visits) = (format!("/p/{}", id % 5000), id % 17);
    match encoding {
        Encoding::Json => format!(
            "{{\"id\":{id},\"name\":\"{name}\",\"amount\":{amount:.2},\"kind\":\"{kind}\",\"ok\":{ok},\"note\":\"{note}\",\
             \"page\":\"{page}\",\"visits\":{visits}}}"
        )
        .into_bytes(),
        Encoding::Avro => {
            let mut bytes = Vec::with_capacity(80);
            long(id, &mut bytes);
            text(&name, &mut bytes);
            bytes.extend(amount.to_le_bytes());
            text(kind, &mut bytes);
            bytes.push(u8::from(ok));
            text(&note, &mut bytes);
            text(&page, &mut bytes);
            long(visits, &mut bytes);
            bytes
        }
    }
}

/// A whole number as Avro writes it: zigzag, seven bits a byte.
fn long(number: i64, bytes: &mut Vec<u8>) {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while left >= 0x80 {
        bytes.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
}

fn text(text: &str, bytes: &mut Vec<u8>) {
    long(text.len() as i64, bytes);
    bytes.extend(text.as_bytes());
}

/// Makes a topic and fills it. One of its name that is there is deleted before.
pub(super) fn produce(brokers: &str, topic: Topic, begun: i64) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let admin: AdminClient<DefaultClientContext> = config.create().expect("an admin client");
    let options = AdminOptions::new();
    let deleted = futures::executor::block_on(admin.delete_topics(&[topic.name], &options)).expect("an answer");
    if deleted.iter().any(Result::is_ok) {
        // Its name is free a moment later.
        std::thread::sleep(Duration::from_secs(2));
    }
    let made = NewTopic::new(topic.name, topic.partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
    let made = futures::executor::block_on(admin.create_topics(&[made], &options)).expect("an answer");
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    config.set("linger.ms", "20").set("batch.num.messages", "10000").set("queue.buffering.max.messages", "200000");
    let producer: BaseProducer = config.create().expect("a producer");
    for id in 0..topic.count {
        let value = value(id, topic.encoding);
        let mut record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic.name)
            .payload(value.as_slice())
            .partition((id % i64::from(topic.partitions)) as i32)
            .timestamp(begun + SPAN_MILLIS * id / topic.count);
        while let Err((error, back)) = producer.send(record) {
            assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
            producer.poll(Duration::from_millis(5));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(300)).expect("all messages");
}
