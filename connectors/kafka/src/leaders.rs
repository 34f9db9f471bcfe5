//! Which broker hands out a partition's messages, as the cluster told it last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::metadata::{Metadata, MetadataTopic};

use crate::protocol::Address;

/// The most topics whose leaders are remembered.
const MAX_TOPICS: usize = 10_000;

/// Where the leaders of a topic's partitions listen. A partition without one is missing.
pub(crate) type OfTopic = Arc<HashMap<i32, Address>>;

/// The leaders of a topic, by an answer about it.
pub(crate) fn of_topic(metadata: &Metadata, topic: &MetadataTopic) -> OfTopic {
    let address = |leader| {
        let broker = metadata.brokers().iter().find(|broker| broker.id() == leader)?;
        Some(Address { host: broker.host().to_owned(), port: u16::try_from(broker.port()).ok()? })
    };
    let partitions = topic.partitions().iter();
    Arc::new(partitions.filter_map(|partition| Some((partition.id(), address(partition.leader())?))).collect())
}

/// The leaders that are known.
#[derive(Debug, Default)]
pub(crate) struct Leaders {
    topics: Mutex<HashMap<String, OfTopic>>,
}

impl Leaders {
    /// Where the leader of a partition listens, as far as it is known.
    pub(crate) fn of(&self, topic: &str, partition: i32) -> Option<Address> {
        self.lock().get(topic)?.get(&partition).cloned()
    }

    /// Remembers what the cluster tells.
    pub(crate) fn learn(&self, topic: &str, leaders: OfTopic) {
        let mut topics = self.lock();
        if topics.len() >= MAX_TOPICS && !topics.contains_key(topic) {
            // They are learnt again when they are needed.
            topics.clear();
        }
        topics.insert(topic.to_owned(), leaders);
    }

    /// Forgets what turned out to be wrong.
    pub(crate) fn forget(&self, topic: &str) {
        self.lock().remove(topic);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, OfTopic>> {
        // A poisoned lock means that another thread panicked; the map itself is still whole.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
