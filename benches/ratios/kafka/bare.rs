//! What the engine is compared with: the client library alone, and decoding alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::json::ReaderBuilder;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::messages::{COLUMNS, Topic};

/// Rows of a batch.
const BATCH_ROWS: usize = 8_192;

/// How long reading a topic may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Reads every message and drops it.
pub(super) fn consume(brokers: &str, topic: Topic) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("receive.message.max.bytes", "2147483647")
        .set("auto.offset.reset", "error")
        .create()
        .expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    let mut left: HashMap<i32, i64> = HashMap::new();
    for partition in 0..topic.partitions {
        let ends = consumer.fetch_watermarks(topic.name, partition, Duration::from_secs(10));
        let (low, high) = ends.expect("watermarks");
        assignment.add_partition_offset(topic.name, partition, Offset::Offset(low)).expect("an offset");
        left.insert(partition, high);
    }
    consumer.assign(&assignment).expect("an assignment");
    let start = Instant::now();
    while !left.is_empty() {
        assert!(start.elapsed() < LIMIT, "the consumer does not get on");
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            let message = message.expect("a message");
            if left.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                left.remove(&message.partition());
            }
        }
    }
}

/// Decodes JSON values with arrow-json, on as many threads as there are processors.
pub(super) fn decode(values: &[Vec<u8>], count: i64) {
    let schema = schema();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let part = values.len().div_ceil(threads).max(1);
    let rows: usize = std::thread::scope(|scope| {
        let parts: Vec<_> = values
            .chunks(part)
            .map(|values| {
                let schema = Arc::clone(&schema);
                scope.spawn(move || decode_part(values, schema))
            })
            .collect();
        parts.into_iter().map(|part| part.join().expect("rows")).sum()
    });
    assert_eq!(rows as i64, count);
}

fn decode_part(values: &[Vec<u8>], schema: SchemaRef) -> usize {
    let mut decoder = ReaderBuilder::new(schema).with_batch_size(BATCH_ROWS).build_decoder().expect("a decoder");
    let mut rows = 0;
    for values in values.chunks(BATCH_ROWS) {
        for value in values {
            let read = decoder.decode(value).expect("JSON");
            assert_eq!(read, value.len());
        }
        rows += decoder.flush().expect("a batch").map_or(0, |batch| std::hint::black_box(batch).num_rows());
    }
    rows
}

fn schema() -> SchemaRef {
    let fields = COLUMNS.map(|(name, sql)| {
        let data_type = match sql {
            "bigint" => DataType::Int64,
            "double" => DataType::Float64,
            "boolean" => DataType::Boolean,
            _ => DataType::Utf8,
        };
        Field::new(name, data_type, true)
    });
    Arc::new(Schema::new(fields.to_vec()))
}
