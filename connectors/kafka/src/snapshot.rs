//! The frozen position of a cluster: the offsets of each topic that a query scans.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use portolan_connector::{ConnectorError, PlanContext, Snapshot};
use tokio::sync::OnceCell;

use crate::error::LogError;
use crate::log::{KafkaLog, PartitionOffsets};
use crate::mark::{Mark, Marks};

/// How many partitions a description lists.
pub(crate) const LISTED: usize = 32;

/// What is known of one topic.
#[derive(Debug, Default)]
struct Frozen {
    /// Taken by the first scan.
    offsets: OnceCell<Arc<Vec<PartitionOffsets>>>,
    /// By what the topic is known again, once somebody asks for the cut.
    mark: OnceCell<Mark>,
}

type Slot = Arc<Frozen>;

/// The offsets that one query sees. A topic's are asked for once, when its first scan is planned, so that all scans of
/// the topic in the query cover the same messages, however many are produced meanwhile.
#[derive(Debug)]
pub(crate) struct KafkaSnapshot {
    log: Arc<dyn KafkaLog>,
    marks: Arc<Marks>,
    topics: Mutex<BTreeMap<String, Slot>>,
}

impl KafkaSnapshot {
    /// A snapshot of nothing yet.
    pub(crate) fn new(log: Arc<dyn KafkaLog>, marks: Arc<Marks>) -> Self {
        Self { log, marks, topics: Mutex::default() }
    }

    /// The snapshot of a query that is planned.
    pub(crate) fn of<'a>(context: &'a PlanContext<'_>) -> Result<&'a Self, ConnectorError> {
        let snapshot = context.snapshot.downcast_ref::<Self>();
        snapshot.ok_or_else(|| ConnectorError::internal("the snapshot is not one of Kafka"))
    }

    /// The offsets of a topic's partitions.
    pub(crate) async fn offsets(&self, topic: &str) -> Result<Arc<Vec<PartitionOffsets>>, LogError> {
        let slot = self.slot(topic);
        let offsets = slot
            .offsets
            .get_or_try_init(|| async {
                let offsets = self.log.offsets(topic).await?;
                offsets.map(Arc::new).ok_or_else(|| LogError::NoTopic { topic: topic.to_owned() })
            })
            .await?;
        Ok(Arc::clone(offsets))
    }

    /// By what the topic of the offsets is known again.
    pub(crate) async fn mark(&self, topic: &str) -> Result<Mark, LogError> {
        let offsets = self.offsets(topic).await?;
        let slot = self.slot(topic);
        let mark = slot.mark.get_or_try_init(|| self.marks.of(self.log.as_ref(), topic, &offsets)).await?;
        Ok(mark.clone())
    }

    fn slot(&self, topic: &str) -> Slot {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(topics.entry(topic.to_owned()).or_default())
    }
}

impl Snapshot for KafkaSnapshot {
    /// `web.clicks 0:1200 1:980`: end offsets by partition.
    fn describe(&self) -> Option<String> {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let mut described = Vec::new();
        for (topic, slot) in topics.iter() {
            let Some(offsets) = slot.offsets.get() else { continue };
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
