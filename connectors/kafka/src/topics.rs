//! Which topics are tables, and under which names.

use std::collections::BTreeSet;

use crate::config::Declaration;

/// Topics of Kafka's own machinery.
const INTERNAL: &[&str] = &["__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata"];

/// The longest name of a topic, in bytes.
const MAX_NAME: usize = 249;

/// Whether a topic can have this name (Apache Kafka's `Topic.validate`); brokers are not asked about others.
pub(crate) fn is_legal(topic: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_NAME).contains(&topic.len()) && topic.bytes().all(legal) && topic != "." && topic != ".."
}

/// The names of the tables, sorted: the declared ones, and each other topic under its own name. A topic that is
/// declared under another name is listed under that name only.
pub(crate) fn table_names(declared: &[Declaration], topics: Vec<String>) -> Vec<String> {
    let mut names: BTreeSet<String> = declared.iter().map(|declaration| declaration.name.clone()).collect();
    names.extend(topics.into_iter().filter(|topic| is_table(declared, topic)));
    names.into_iter().collect()
}

/// Whether a topic that no declaration names is a table.
pub(crate) fn is_table(declared: &[Declaration], topic: &str) -> bool {
    !INTERNAL.contains(&topic) && declared.iter().all(|declaration| declaration.topic != topic)
}
