//! The frozen position of a cluster: the offsets of each topic that a query scans.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use portolan_connector::{ConnectorError, PlanContext, Snapshot};
use tokio::sync::OnceCell;

use crate::error::LogError;
use crate::log::{KafkaLog, PartitionOffsets};

/// How many partitions a description lists.
pub(crate) const LISTED: usize = 32;

/// Offsets of one topic, taken by the first scan of it.
type Slot = Arc<OnceCell<Arc<Vec<PartitionOffsets>>>>;

/// The offsets that one query sees. A topic's are asked for once, when its first scan is planned, so that all scans of
/// the topic in the query cover the same messages, however many are produced meanwhile.
#[derive(Debug)]
pub(crate) struct KafkaSnapshot {
    log: Arc<dyn KafkaLog>,
    topics: Mutex<BTreeMap<String, Slot>>,
}

impl KafkaSnapshot {
    /// A snapshot of nothing yet.
    pub(crate) fn new(log: Arc<dyn KafkaLog>) -> Self {
        Self { log, topics: Mutex::default() }
    }

    /// The snapshot of a query that is planned.
    pub(crate) fn of<'a>(context: &'a PlanContext<'_>) -> Result<&'a Self, ConnectorError> {
        let snapshot = context.snapshot.downcast_ref::<Self>();
        snapshot.ok_or_else(|| ConnectorError::internal("the snapshot is not one of Kafka"))
    }

    /// The offsets of a topic's partitions.
    pub(crate) async fn offsets(&self, topic: &str) -> Result<Arc<Vec<PartitionOffsets>>, LogError> {
        let slot = {
            let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(topics.entry(topic.to_owned()).or_default())
        };
        let offsets = slot
            .get_or_try_init(|| async {
                let offsets = self.log.offsets(topic).await?;
                offsets.map(Arc::new).ok_or_else(|| LogError::NoTopic { topic: topic.to_owned() })
            })
            .await?;
        Ok(Arc::clone(offsets))
    }
}

impl Snapshot for KafkaSnapshot {
    /// `web.clicks 0:1200 1:980`: end offsets by partition.
    fn describe(&self) -> Option<String> {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let mut described = Vec::new();
        for (topic, slot) in topics.iter() {
            let Some(offsets) = slot.get() else { continue };
            let mut text = topic.clone();
            for offsets in offsets.iter().take(LISTED) {
                // Writing to a String does not fail.
                let _ = write!(text, " {}:{}", offsets.partition, offsets.end);
            }
            if offsets.len() > LISTED {
                let _ = write!(text, " and {} more partitions", offsets.len() - LISTED);
            }
            described.push(text);
        }
        (!described.is_empty()).then(|| described.join("; "))
    }
}
