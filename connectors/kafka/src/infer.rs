//! Columns of a topic that nobody declared, from a sample of its newest messages.
//!
//! A column gets the narrowest type that holds all of the sample: `bigint`, `decimal(38,0)` where whole numbers are
//! larger, `double` where some have a point or an exponent and none loses digits so, otherwise a `decimal`,
//! `boolean`, `varchar`, `json` for objects and arrays.
//! Fields whose values are of different kinds, or always null, become `varchar`, which takes everything. Strings stay
//! `varchar` whatever they look like. Messages that are no JSON objects are left out.

mod shape;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portolan_connector::{ConnectorError, Result, UnsupportedColumn};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::columns::is_hidden_name;
use crate::layout::MessageColumn;
use crate::log::{KafkaLog, PartitionOffsets, ScanRange, Step};
use shape::Shape;
pub(crate) use shape::is_double;

/// The most partitions that are sampled, those with the lowest numbers that have messages.
const MAX_PARTITIONS: usize = 8;

/// The most columns.
const MAX_COLUMNS: usize = 1_000;

/// The most bytes of values that are looked at in one partition.
const MAX_BYTES: usize = 16 << 20;

/// How long one step of the sample waits.
const WAIT: Duration = Duration::from_millis(100);

/// What a sample says of a topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inferred {
    /// In the order in which they first appear.
    pub(crate) columns: Vec<MessageColumn>,
    /// Fields that cannot be columns.
    pub(crate) unsupported: Vec<UnsupportedColumn>,
    /// Messages that were looked at and were JSON objects.
    pub(crate) messages: u64,
}

/// Samples the newest `messages` messages before the ends of the partitions.
pub(crate) async fn infer(
    log: &Arc<dyn KafkaLog>,
    topic: &str,
    offsets: &[PartitionOffsets],
    messages: u64,
) -> Result<Inferred> {
    let sampled: Vec<PartitionOffsets> =
        offsets.iter().filter(|offsets| offsets.start < offsets.end).take(MAX_PARTITIONS).copied().collect();
    let each = i64::try_from(messages.div_ceil(sampled.len().max(1) as u64)).unwrap_or(i64::MAX);
    if each == 0 {
        return Ok(Inferred::default());
    }
    let samples = sampled.into_iter().map(|offsets| {
        let (log, topic) = (Arc::clone(log), topic.to_owned());
        let start = offsets.start.max(offsets.end.saturating_sub(each));
        tokio::task::spawn_blocking(move || sample(&*log, &topic, offsets.partition, start, offsets.end))
    });
    let mut all = Sample::default();
    for sample in futures::future::join_all(samples).await {
        let sample = sample.map_err(|error| ConnectorError::internal("sampling a topic stopped").said(error))?;
        all.merge(sample?);
    }
    all.inferred(topic)
}

/// Reads a part of one partition.
fn sample(log: &dyn KafkaLog, topic: &str, partition: i32, start: i64, end: i64) -> Result<Sample> {
    let mut scan = log.scan(ScanRange { topic, partition, start, end, skips_deleted: true, limit: None });
    let (mut sample, mut bytes) = (Sample::default(), 0);
    loop {
        let step = scan.next(WAIT, &mut |record| {
            let value = record.value.unwrap_or_default();
            bytes += value.len();
            sample.add(value);
        })?;
        if step == Step::End || bytes >= MAX_BYTES || sample.shapes.len() > MAX_COLUMNS {
            return Ok(sample);
        }
    }
}

/// The fields seen so far, in the order in which they first appeared.
#[derive(Debug, Default)]
struct Sample {
    shapes: Vec<(String, Shape)>,
    places: HashMap<String, usize>,
    messages: u64,
}

impl Sample {
    /// Looks at a message.
    fn add(&mut self, message: &[u8]) {
        let Ok(text) = std::str::from_utf8(message) else { return };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let fields = deserializer.deserialize_map(Fields).and_then(|fields| deserializer.end().map(|()| fields));
        let Ok(fields) = fields else { return };
        // A name that appears twice counts as its last appearance, as when it is read.
        let last: HashMap<&str, &str> = fields.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        for (name, _) in &fields {
            if let Some(text) = last.get(name.as_str()) {
                self.see(name, Shape::of(text));
            }
        }
        self.messages += 1;
    }

    fn see(&mut self, name: &str, shape: Shape) {
        match self.places.get(name).and_then(|place| self.shapes.get_mut(*place)) {
            Some((_, seen)) => *seen = seen.join(shape),
            None => {
                self.places.insert(name.to_owned(), self.shapes.len());
                self.shapes.push((name.to_owned(), shape));
            }
        }
    }

    fn merge(&mut self, other: Self) {
        for (name, shape) in other.shapes {
            self.see(&name, shape);
        }
        self.messages += other.messages;
    }

    fn inferred(self, topic: &str) -> Result<Inferred> {
        if self.shapes.len() > MAX_COLUMNS {
            return Err(ConnectorError::resource_exhausted(format!(
                "the newest messages of topic {topic} have more than {MAX_COLUMNS} different fields"
            ))
            .hint("declare the columns that you need in `tables`"));
        }
        let mut inferred = Inferred { messages: self.messages, ..Inferred::default() };
        for (name, shape) in self.shapes {
            let value_type = shape.value_type();
            if is_hidden_name(&name) {
                let reason = "a hidden column has this name; the field is in _message".to_owned();
                inferred.unsupported.push(UnsupportedColumn { name, source_type: value_type.to_string(), reason });
            } else {
                inferred.columns.push(MessageColumn { inferred: true, ..MessageColumn::new(name, value_type) });
            }
        }
        Ok(inferred)
    }
}

/// Reads an object into names and raw texts.
struct Fields;

impl<'m> Visitor<'m> for Fields {
    type Value = Vec<(String, &'m str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'m>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'m RawValue>()? {
            fields.push((name, value.get()));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ValueType;

    fn types(messages: &[&str]) -> Vec<(String, String)> {
        let mut sample = Sample::default();
        messages.iter().for_each(|message| sample.add(message.as_bytes()));
        let columns = sample.inferred("t").unwrap().columns;
        columns.into_iter().map(|column| (column.name, column.value_type.to_string())).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value_type)| ((*name).to_owned(), (*value_type).to_owned())).collect()
    }

    #[test]
    fn the_narrowest_type_that_holds_the_sample() {
        assert_eq!(
            types(&[
                r#"{"a":1,"b":1,"c":1,"d":true,"e":"x","f":{"x":1},"g":null,"h":1,"i":null}"#,
                r#"{"a":2,"b":9223372036854775808,"c":1.5,"d":null,"e":"2026-01-01","f":[1],"g":null,"h":"1","i":7,"j":1.0}"#,
            ]),
            pairs(&[
                ("a", "bigint"),
                ("b", "decimal(38,0)"),
                ("c", "double"),
                ("d", "boolean"),
                ("e", "varchar"),
                ("f", "json"),
                ("g", "varchar"),
                ("h", "varchar"),
                ("i", "bigint"),
                ("j", "double"),
            ])
        );
    }

    #[test]
    fn what_is_no_object_does_not_count_and_reserved_names_are_told() {
        let mut sample = Sample::default();
        for message in ["", "hello", "[1]", r#"{"a":1"#, r#"{"a":1}{"a":2}"#, r#"{"_key":1,"a":1,"a":"x"}"#] {
            sample.add(message.as_bytes());
        }
        let inferred = sample.inferred("t").unwrap();
        assert_eq!(inferred.messages, 1);
        assert_eq!(inferred.columns, [MessageColumn { inferred: true, ..MessageColumn::new("a", ValueType::Varchar) }]);
        assert_eq!(inferred.unsupported.first().unwrap().name, "_key");
    }

    #[test]
    fn the_number_of_columns_is_bounded() {
        let fields: Vec<String> = (0..=MAX_COLUMNS).map(|index| format!("\"f{index}\":1")).collect();
        let mut sample = Sample::default();
        sample.add(format!("{{{}}}", fields.join(",")).as_bytes());
        assert!(sample.inferred("t").unwrap_err().to_string().contains("more than 1000 different fields"));
    }
}
