//! One Kafka catalog.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};
use portolan_connector::{
    Capabilities, Connector, ConnectorError, ConnectorTable, KeyFilter, Narrowed, QueryContext, ReadContext, Result,
    Snapshot, Split, TableEntry, TableKind, TableName,
};

use crate::columns::table_columns;
use crate::config::{Declaration, KafkaConfig};
use crate::decode::ByteFormat;
use crate::error::LogError;
use crate::factory::KIND;
use crate::infer::{Inferred, infer};
use crate::log::KafkaLog;
use crate::narrow;
use crate::predicate::TimeOrder;
use crate::read::SplitReader;
use crate::rules::capabilities;
use crate::snapshot::KafkaSnapshot;
use crate::split::KafkaSplit;
use crate::table::KafkaTable;
use crate::times::within_times;
use crate::topics::{is_legal, is_table, table_names};

/// The most topics whose inferred columns are kept.
const MAX_INFERRED: usize = 10_000;

/// A cluster whose topics are tables.
pub(crate) struct KafkaConnector {
    catalog: String,
    config: KafkaConfig,
    capabilities: Arc<Capabilities>,
    log: Arc<dyn KafkaLog>,
    /// Inferred columns by topic, and when they were.
    inferred: Mutex<HashMap<String, (Instant, Arc<Inferred>)>>,
}

impl fmt::Debug for KafkaConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConnector").field("catalog", &self.catalog).field("log", &self.log).finish_non_exhaustive()
    }
}

impl KafkaConnector {
    /// A catalog over a cluster.
    pub(crate) fn new(catalog: String, config: KafkaConfig, log: Arc<dyn KafkaLog>) -> Self {
        Self { catalog, config, capabilities: Arc::new(capabilities()), log, inferred: Mutex::default() }
    }

    /// The columns of a topic; `None` if there is no such topic. Those of an empty topic are not kept, so that its
    /// first message shows.
    async fn infer(&self, topic: &str) -> Result<Option<Arc<Inferred>>> {
        let kept = {
            let inferred = self.inferred.lock().unwrap_or_else(PoisonError::into_inner);
            inferred.get(topic).filter(|(when, _)| when.elapsed() < self.config.schema_cache).cloned()
        };
        if let Some((_, inferred)) = kept {
            return Ok(Some(inferred));
        }
        let offsets = if is_legal(topic) { self.log.offsets(topic).await? } else { None };
        let Some(offsets) = offsets else {
            return Ok(None);
        };
        let found = Arc::new(infer(&self.log, topic, &offsets, self.config.sample_messages).await?);
        if found.messages > 0 {
            let mut inferred = self.inferred.lock().unwrap_or_else(PoisonError::into_inner);
            if inferred.len() >= MAX_INFERRED {
                inferred.clear();
            }
            inferred.insert(topic.to_owned(), (Instant::now(), Arc::clone(&found)));
        }
        Ok(Some(found))
    }

    /// How a topic that nobody declared is read.
    fn undeclared(&self, topic: &str) -> Declaration {
        Declaration {
            name: topic.to_owned(),
            topic: topic.to_owned(),
            columns: None,
            value: ByteFormat::Text,
            key: ByteFormat::Text,
            on_error: self.config.on_error,
            max_out_of_orderness: None,
        }
    }
}

#[async_trait]
impl Connector for KafkaConnector {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        Ok(vec![self.config.schema.clone()])
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableEntry>> {
        if schema != self.config.schema {
            return Ok(Vec::new());
        }
        let topics = self.log.topics().await.map_err(|error| ConnectorError::from(error).in_catalog(&self.catalog))?;
        let names = table_names(&self.config.tables, topics);
        Ok(names.into_iter().map(|name| TableEntry { name, kind: TableKind::Table }).collect())
    }

    async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn ConnectorTable>>> {
        if schema != self.config.schema {
            return Ok(None);
        }
        let name = TableName::new(&self.catalog, schema, table);
        let declared = self.config.tables.iter().find(|declaration| declaration.name == table);
        let declaration = match declared {
            Some(declaration) => declaration.clone(),
            None if is_table(&self.config.tables, table) => self.undeclared(table),
            None => return Ok(None),
        };
        let (values, unsupported, comment) = match declaration.columns {
            Some(columns) => (columns, Vec::new(), None),
            None => {
                let inferred = self.infer(&declaration.topic).await.map_err(|error| error.in_table(&name))?;
                let Some(inferred) = inferred else {
                    if declared.is_none() {
                        return Ok(None);
                    }
                    let error = ConnectorError::from(LogError::NoTopic { topic: declaration.topic });
                    return Err(error.in_table(&name));
                };
                let comment = format!("inferred from {} messages", inferred.messages);
                (inferred.columns.clone(), inferred.unsupported.clone(), Some(comment))
            }
        };
        let columns = table_columns(&values, declaration.key, declaration.value, comment.as_deref());
        Ok(Some(Arc::new(KafkaTable {
            name,
            topic: declaration.topic,
            values,
            columns,
            unsupported,
            key: declaration.key,
            value: declaration.value,
            on_error: declaration.on_error,
            order: TimeOrder { slack: declaration.max_out_of_orderness },
            isolation: self.config.isolation.name(),
            messages_per_split: self.config.messages_per_split,
            capabilities: Arc::clone(&self.capabilities),
            log: Arc::clone(&self.log),
        })))
    }

    async fn begin(&self, _query: &QueryContext) -> Result<Arc<dyn Snapshot>> {
        Ok(Arc::new(KafkaSnapshot::new(Arc::clone(&self.log))))
    }

    fn narrow(&self, split: &Split, filters: &[KeyFilter]) -> Result<Narrowed> {
        let split = KafkaSplit::unpack(split).map_err(|error| error.in_catalog(&self.catalog))?;
        narrow::narrow(split, filters)
    }

    fn read(&self, split: &Split, context: ReadContext) -> Result<SendableRecordBatchStream> {
        let split = KafkaSplit::unpack(split).map_err(|error| error.in_catalog(&self.catalog))?;
        if split.times.is_empty() {
            return Ok(Box::pin(SplitReader::new(Arc::clone(&self.log), split, context)));
        }
        let (log, schema) = (Arc::clone(&self.log), Arc::clone(&context.schema));
        let rows = stream::once(async move {
            let table = split.table.clone();
            let split = within_times(log.as_ref(), split).await;
            let split = split.map_err(|error| ConnectorError::from(error).in_table(&table))?;
            Ok::<_, DataFusionError>(SplitReader::new(log, split, context))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows.try_flatten())))
    }
}
