//! One Kafka catalog.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};
use portolan_connector::{
    Capabilities, Connector, ConnectorError, ConnectorTable, KeyFilter, Narrowed, QueryContext, ReadContext, Result,
    SYSTEM_SCHEMA, Snapshot, Split, TableEntry, TableKind, TableName, UnsupportedColumn, WritableCatalog,
};

use crate::append_time::AppendTimes;
use crate::columns::table_columns;
use crate::config::{Declaration, KafkaConfig};
use crate::cut::Cut;
use crate::described::Described;
use crate::error::LogError;
use crate::factory::KIND;
use crate::follow::{self, Since};
use crate::groups::{CONSUMER_GROUPS, GroupsTable};
use crate::infer::{Inferred, infer};
use crate::latest::{LATEST_SUFFIX, LatestTable};
use crate::layout::MessageColumn;
use crate::log::KafkaLog;
use crate::mark::Marks;
use crate::narrow;
use crate::partitions::{PARTITIONS_SUFFIX, PartitionsTable};
use crate::read;
use crate::registry::Registry;
use crate::rules::{EVENT_TIME, capabilities};
use crate::snapshot::KafkaSnapshot;
use crate::split::Work;
use crate::table::{ERRORS_SUFFIX, KafkaTable};
use crate::time_bounds::TimeOrder;
use crate::times::within_times;
use crate::topics::{is_legal, is_table, table_names};
use crate::write::Writes;

/// The most topics whose inferred columns are kept.
const MAX_INFERRED: usize = 10_000;

/// A cluster whose topics are tables.
pub(crate) struct KafkaConnector {
    catalog: String,
    config: KafkaConfig,
    capabilities: Arc<Capabilities>,
    log: Arc<dyn KafkaLog>,
    marks: Arc<Marks>,
    /// Which topics' messages are stamped by the brokers.
    append_times: AppendTimes,
    registry: Option<Registry>,
    /// What writing takes, where the catalog may be written.
    writes: Option<Writes>,
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
    pub(crate) fn new(
        catalog: String,
        config: KafkaConfig,
        log: Arc<dyn KafkaLog>,
        registry: Option<Registry>,
        writes: Option<Writes>,
    ) -> Self {
        let capabilities = Arc::new(capabilities());
        let (marks, append_times) = (Arc::default(), AppendTimes::default());
        Self { catalog, config, capabilities, log, marks, append_times, registry, writes, inferred: Mutex::default() }
    }

    pub(crate) fn catalog(&self) -> &str {
        &self.catalog
    }

    pub(crate) fn registry(&self) -> Option<&Registry> {
        self.registry.as_ref()
    }

    pub(crate) fn writes(&self) -> Option<&Writes> {
        self.writes.as_ref()
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

    /// The table of this name, without what may stand behind it.
    pub(crate) async fn messages(&self, schema: &str, table: &str) -> Result<Option<KafkaTable>> {
        let name = TableName::new(&self.catalog, schema, table);
        let declared = self.config.tables.iter().find(|declaration| declaration.name == table);
        let declaration = match declared {
            Some(declaration) => declaration.clone(),
            None if is_table(&self.config.tables, &self.config.patterns, table) => {
                Declaration::of_topic(table, &self.config)
            }
            None => return Ok(None),
        };
        let topic = declaration.topic.clone();
        if declared.is_none() && !is_legal(&topic) {
            return Ok(None);
        }
        let registry = self.registry.as_ref();
        let described = Described::of(registry, &declaration).await.map_err(|error| error.in_table(&name))?;
        let Declaration {
            mut layout,
            inferred,
            skips_deleted,
            max_out_of_orderness,
            log_append,
            partitioner,
            partitions,
            event_time,
            ..
        } = declaration;
        let (mut unsupported, mut key_origin, mut origin) = (Vec::new(), DECLARED.to_owned(), DECLARED.to_owned());
        match described.value {
            Some(found) => {
                // What has a schema may have no topic.
                if declared.is_none()
                    && self.log.offsets(&topic).await.map_err(|error| self.error(error, &name))?.is_none()
                {
                    return Ok(None);
                }
                (layout.value, origin) = (found.part, found.origin);
                unsupported.extend(found.unsupported);
            }
            None if inferred => {
                let found = self.infer(&topic).await.map_err(|error| error.in_table(&name))?;
                let Some(found) = found else {
                    if declared.is_none() {
                        return Ok(None);
                    }
                    return Err(self.error(LogError::NoTopic { topic }, &name));
                };
                layout.value.declared |= !found.columns.is_empty();
                // What the catalog file says of the key goes before what was found in values.
                let is_free =
                    |column: &MessageColumn| layout.key.columns.iter().all(|of_key| of_key.name != column.name);
                let (free, taken): (Vec<_>, Vec<_>) = found.columns.iter().cloned().partition(is_free);
                layout.value.columns = free;
                unsupported.extend(found.unsupported.iter().cloned());
                unsupported.extend(taken.into_iter().map(|column| UnsupportedColumn {
                    name: column.name,
                    source_type: column.value_type.to_string(),
                    reason: "a column of the key has this name; the field is in _message".to_owned(),
                }));
                origin = format!("inferred from {} messages", found.messages);
            }
            None => {}
        }
        if let Some(found) = described.key {
            (layout.key, key_origin) = (found.part, found.origin);
            unsupported.extend(found.unsupported);
        }
        // A name that both parts have is the value's.
        let of_value: HashSet<&String> = layout.value.columns.iter().map(|column| &column.name).collect();
        layout.key.columns.retain(|column| {
            let is_free = !of_value.contains(&column.name);
            if !is_free {
                unsupported.push(UnsupportedColumn {
                    name: column.name.clone(),
                    source_type: column.value_type.to_string(),
                    reason: "the value has a column of this name; the key is in _key".to_owned(),
                });
            }
            is_free
        });
        let mut columns = table_columns(&layout, partitions.is_some(), &key_origin, &origin);
        if let Some((event_time, _)) = &event_time {
            let column = columns.iter_mut().find(|column| column.hidden.is_none() && column.name() == event_time);
            let column = column.filter(|column| matches!(column.field.data_type(), DataType::Timestamp(..)));
            let column = column.ok_or_else(|| {
                ConnectorError::user(format!(
                    "`event_time` is \"{event_time}\", and no column of the table is a timestamp of this name"
                ))
                .in_table(&name)
            })?;
            column.domain = EVENT_TIME;
        }
        let order = match log_append {
            false => TimeOrder::of(max_out_of_orderness),
            true => match self.append_times.doubt(&*self.log, &topic, self.config.schema_cache).await {
                None => TimeOrder::of(Some(max_out_of_orderness.unwrap_or(MAX_CLOCK_STEP_MS))),
                doubt => TimeOrder { slack: None, doubt },
            },
        };
        Ok(Some(KafkaTable {
            name,
            topic,
            layout,
            errors: false,
            cut: None,
            following: None,
            skips_deleted,
            columns,
            unsupported,
            order,
            max_out_of_orderness,
            log_append,
            partitioner,
            partitions,
            event_time,
            isolation: self.config.isolation.name(),
            messages_per_split: self.config.messages_per_split,
            capabilities: Arc::clone(&self.capabilities),
            log: Arc::clone(&self.log),
        }))
    }

    fn error(&self, error: LogError, name: &TableName) -> ConnectorError {
        ConnectorError::from(error).in_table(name)
    }

    /// The topic behind the name of a table.
    fn topic_of<'a>(&'a self, table: &'a str) -> &'a str {
        let declared = |table: &str| self.config.tables.iter().find(|declaration| declaration.name == table);
        let base =
            [ERRORS_SUFFIX, LATEST_SUFFIX, PARTITIONS_SUFFIX].iter().find_map(|suffix| table.strip_suffix(suffix));
        match (declared(table), base) {
            (Some(declaration), _) => &declaration.topic,
            (None, Some(base)) => declared(base).map_or(base, |declaration| &declaration.topic),
            (None, None) => table,
        }
    }

    /// The table of a name with `$errors`, `$latest` or `$partitions` behind it, or with nothing, at a cut or now.
    async fn find(&self, schema: &str, table: &str, cut: Option<Cut>) -> Result<Option<Arc<dyn ConnectorTable>>> {
        let at = |base: KafkaTable| KafkaTable { cut: cut.clone(), ..base };
        if let Some(found) = self.messages(schema, table).await? {
            return Ok(Some(Arc::new(at(found))));
        }
        if let Some(base) = table.strip_suffix(ERRORS_SUFFIX) {
            let found = self.messages(schema, base).await?;
            return Ok(found.map(|base| Arc::new(at(base).of_errors(table)) as _));
        }
        if let Some(base) = table.strip_suffix(LATEST_SUFFIX) {
            let found = self.messages(schema, base).await?;
            return Ok(found.map(|base| Arc::new(LatestTable::of(at(base))) as _));
        }
        if let Some(base) = table.strip_suffix(PARTITIONS_SUFFIX)
            && let Some(base) = self.messages(schema, base).await?
        {
            return Ok(Some(Arc::new(PartitionsTable::of(at(base))?)));
        }
        Ok(None)
    }
}

/// By how much brokers' clocks differ or go back at most, where a table says nothing of it.
const MAX_CLOCK_STEP_MS: i64 = 10_000;

/// What DESCRIBE says of columns of the catalog file.
const DECLARED: &str = "declared in the catalog file";

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
        let names = table_names(&self.config.tables, &self.config.patterns, topics);
        Ok(names.into_iter().map(|name| TableEntry { name, kind: TableKind::Table }).collect())
    }

    async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn ConnectorTable>>> {
        if schema == SYSTEM_SCHEMA && table == CONSUMER_GROUPS {
            return Ok(Some(Arc::new(GroupsTable::new(&self.catalog))));
        }
        if schema != self.config.schema {
            return Ok(None);
        }
        self.find(schema, table, None).await
    }

    async fn table_at(&self, schema: &str, table: &str, version: &str) -> Result<Option<Arc<dyn ConnectorTable>>> {
        if schema != self.config.schema {
            return Ok(None);
        }
        let name = TableName::new(&self.catalog, schema, table);
        let hint = "SHOW CUT FOR table tells the one of now, and the hidden column _cut the one that a query reads";
        let cut: Cut = version.parse().map_err(|error| {
            let error = format!("'{version}' is not a cut of a topic: {error}");
            ConnectorError::user(error).hint(hint).in_table(&name)
        })?;
        let topic = self.topic_of(table);
        if cut.topic != topic {
            let error = format!("'{version}' is a cut of topic {}, and the table is topic {topic}", cut.topic);
            return Err(ConnectorError::user(error).hint(hint).in_table(&name));
        }
        self.find(schema, table, Some(cut)).await
    }

    async fn version_of(&self, schema: &str, table: &str) -> Result<Option<String>> {
        let name = TableName::new(&self.catalog, schema, table);
        if schema != self.config.schema || self.find(schema, table, None).await?.is_none() {
            return Err(ConnectorError::user(format!("{name} is no topic and has no cut")));
        }
        let topic = self.topic_of(table).to_owned();
        let partitions = self.log.offsets(&topic).await.map_err(|error| self.error(error, &name))?;
        let partitions = partitions.ok_or_else(|| self.error(LogError::NoTopic { topic: topic.clone() }, &name))?;
        let mark = self.marks.of(self.log.as_ref(), &topic, &partitions).await;
        let mark = Some(mark.map_err(|error| self.error(error, &name))?);
        Ok(Some(Cut { topic, partitions, mark }.to_string()))
    }

    async fn table_following(
        &self,
        schema: &str,
        table: &str,
        since: Option<&str>,
    ) -> Result<Option<Arc<dyn ConnectorTable>>> {
        let name = TableName::new(&self.catalog, schema, table);
        if schema != self.config.schema {
            return Err(follow::not_of(&name));
        }
        let since = since.map_or(Ok(Since::End), |place| Since::of(place, self.topic_of(table)));
        let since = since.map_err(|error| error.in_table(&name))?;
        if let Some(found) = self.messages(schema, table).await? {
            return Ok(Some(Arc::new(found.following(since))));
        }
        if let Some(base) = table.strip_suffix(ERRORS_SUFFIX) {
            let found = self.messages(schema, base).await?;
            return Ok(found.map(|base| Arc::new(base.of_errors(table).following(since)) as _));
        }
        match self.find(schema, table, None).await? {
            Some(_) => Err(follow::not_of(&name)),
            None => Ok(None),
        }
    }

    async fn begin(&self, _query: &QueryContext) -> Result<Arc<dyn Snapshot>> {
        Ok(Arc::new(KafkaSnapshot::new(Arc::clone(&self.log), Arc::clone(&self.marks))))
    }

    fn narrow(&self, split: &Split, filters: &[KeyFilter]) -> Result<Narrowed> {
        match Work::unpack(split).map_err(|error| error.in_catalog(&self.catalog))? {
            Work::Messages(split) => narrow::narrow(*split, filters),
            Work::Following(_) | Work::Partitions(_) | Work::Groups(_) => Ok(Narrowed::Unchanged),
        }
    }

    fn writable(&self) -> Option<&dyn WritableCatalog> {
        if self.writes.is_some() { Some(self) } else { None }
    }

    fn how_to_write(&self) -> Option<&'static str> {
        Some("set access = \"read_write\" in its entry of the catalog file")
    }

    /// While a broker makes its answer for one partition, messages of another are decoded.
    fn splits_ahead(&self) -> usize {
        usize::from(self.log.has_room())
    }

    fn read(&self, split: &Split, context: ReadContext) -> Result<SendableRecordBatchStream> {
        let (log, schema) = (Arc::clone(&self.log), Arc::clone(&context.schema));
        let split = match Work::unpack(split).map_err(|error| error.in_catalog(&self.catalog))? {
            Work::Messages(split) => *split,
            Work::Following(split) => {
                let schemas = self.registry.as_ref().and_then(Registry::waiting);
                return Ok(Box::pin(follow::batches(log, schemas, *split, context)));
            }
            Work::Partitions(split) => {
                let table = split.table.clone();
                return Ok(listed(table, Arc::clone(&schema), split.read(log, schema)));
            }
            Work::Groups(split) => {
                let (table, tables) = (split.table.clone(), self.config.tables.clone());
                let patterns = self.config.patterns.clone();
                let is_read = move |topic: &str| {
                    is_table(&tables, &patterns, topic) || tables.iter().any(|declaration| declaration.topic == topic)
                };
                return Ok(listed(table, Arc::clone(&schema), split.read(log, is_read, schema)));
            }
        };
        let schemas = self.registry.as_ref().and_then(Registry::waiting);
        if split.times.is_empty() {
            return Ok(Box::pin(read::batches(log, schemas, split, context)));
        }
        let rows = stream::once(async move {
            let table = split.table.clone();
            let split = within_times(log.as_ref(), split).await;
            let split = split.map_err(|error| ConnectorError::from(error).in_table(&table))?;
            Ok::<_, DataFusionError>(read::batches(log, schemas, split, context))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows.try_flatten())))
    }
}

/// The rows of a list, which is asked for when somebody takes them.
fn listed(
    table: TableName,
    schema: SchemaRef,
    rows: impl Future<Output = Result<RecordBatch>> + Send + 'static,
) -> SendableRecordBatchStream {
    let rows = stream::once(async move { rows.await.map_err(|error| DataFusionError::from(error.in_table(&table))) });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}
