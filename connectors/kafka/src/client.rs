//! [`KafkaLog`]: questions are librdkafka's, bounded reads are our own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use secrecy::ExposeSecret;

use crate::append_time;
use crate::config::{Isolation, KafkaConfig, Sasl};
use crate::context::LogContext;
use crate::error::LogError;
use crate::fetch::{Connection, FetchScan};
use crate::gateway::Gateway;
use crate::idle::Idle;
use crate::leaders::{self, Leaders, OfTopic};
use crate::log::{Committed, Group, KafkaLog, LogScan, LogTail, PartitionOffsets, Replicas, ScanRange, TailRange};
use crate::permits::Permits;
use crate::protocol::Address;
use crate::tail::BrokerTail;

/// A client that reads; its context collects what the library reports.
pub(crate) type Client = BaseConsumer<LogContext>;

/// Of the time that a question may take, the part after which brokers that are all down are given up.
const FIRST_TRY: u32 = 5;

/// The most connections that wait for the next read.
const MAX_IDLE_CONNECTIONS: usize = 32;

/// A cluster, asked through one client that stays connected. A bounded read has a connection of its own while it lasts, one that
/// does not end a client; some are kept for the next ones.
#[derive(Clone)]
pub(crate) struct BrokerLog {
    shared: Arc<Shared>,
}

/// What the clients of a cluster have in common.
pub(crate) struct Shared {
    pub(crate) brokers: String,
    /// Settings common to all clients; holds secrets, so it is never printed.
    settings: ClientConfig,
    pub(crate) connect_timeout: Duration,
    pub(crate) metadata_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    /// The client for questions, made when first needed and made anew when it failed.
    warm: Mutex<Option<Arc<Client>>>,
    /// What the clients connect to instead of the brokers.
    gateway: Option<Arc<Gateway>>,
    /// What is logged in with, where a login is asked for.
    pub(crate) login: Option<Sasl>,
    pub(crate) isolation: Isolation,
    /// How many bytes a bounded read asks for at once.
    pub(crate) fetch_bytes: i64,
    /// Who is asked for messages.
    pub(crate) leaders: Leaders,
    /// Connections that wait for the next bounded read.
    pub(crate) connections: Idle<Connection>,
    /// How many there may be, and how long a read waits for one.
    pub(crate) permits: Arc<Permits>,
    pub(crate) connections_max: usize,
    pub(crate) connections_wait: Duration,
    /// Settings of clients for reads without end, beyond the common ones.
    follower_settings: Vec<(&'static str, String)>,
    /// Such clients that wait for the next read.
    followers: Idle<Client>,
}

/// Settings of clients that read without end.
fn follower_settings(config: &KafkaConfig) -> Vec<(&'static str, String)> {
    vec![
        // Named because the library wants a name; it is never joined and nothing is committed to it.
        ("group.id", "portolan".to_owned()),
        ("enable.partition.eof", "true".to_owned()),
        ("auto.offset.reset", "error".to_owned()),
        ("max.poll.interval.ms", "86400000".to_owned()),
        ("fetch.wait.max.ms", "100".to_owned()),
        ("fetch.queue.backoff.ms", "10".to_owned()),
        ("fetch.message.max.bytes", config.fetch_bytes.to_string()),
        ("queued.max.messages.kbytes", config.queue_kib.to_string()),
        // What a wire or a disk has changed is an error instead of other values.
        ("check.crcs", "true".to_owned()),
        // Some brokers send the whole rest of a partition, whatever size was asked for.
        ("receive.message.max.bytes", "2147483647".to_owned()),
    ]
}

impl Shared {
    /// Keeps a connection for the next read.
    pub(crate) fn put(&self, mut connection: Connection) {
        connection.rest();
        self.connections.put(connection);
        self.permits.look_again();
    }
}

impl fmt::Debug for BrokerLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerLog").field("brokers", &self.shared.brokers).finish_non_exhaustive()
    }
}

impl BrokerLog {
    /// Takes the settings; connects only when first asked.
    pub(crate) fn new(config: &KafkaConfig, gateway: Option<Arc<Gateway>>) -> Self {
        let mut settings = common_settings(config, gateway.as_deref());
        settings
            .set("isolation.level", config.isolation.name())
            .set("allow.auto.create.topics", "false")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false");
        Self {
            shared: Arc::new(Shared {
                brokers: config.brokers.clone(),
                settings,
                connect_timeout: config.connect_timeout,
                metadata_timeout: config.metadata_timeout,
                idle_timeout: config.idle_timeout,
                warm: Mutex::new(None),
                login: gateway.as_ref().map(|gateway| gateway.login()).or_else(|| config.security.sasl.clone()),
                gateway,
                isolation: config.isolation,
                fetch_bytes: config.fetch_bytes,
                leaders: Leaders::default(),
                connections: Idle::of(MAX_IDLE_CONNECTIONS),
                permits: Permits::of(config.connections_max),
                connections_max: config.connections_max,
                connections_wait: config.connections_wait,
                follower_settings: follower_settings(config),
                followers: Idle::default(),
            }),
        }
    }

    /// Asks the cluster something on a thread that may block.
    async fn ask<T: Send + 'static>(
        &self,
        what: String,
        question: impl Fn(&Client, Duration) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || shared.ask(&what, &question));
        task.await.unwrap_or_else(|error| {
            Err(LogError::Client { what: "answer".to_owned(), said: format!("its thread ended: {error}") })
        })
    }
}

/// Settings of clients that read and of those that write. They hold secrets.
pub(crate) fn common_settings(config: &KafkaConfig, gateway: Option<&Gateway>) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", "portolan")
        .set("socket.connection.setup.timeout.ms", config.connect_timeout.as_millis().to_string())
        .set("topic.metadata.propagation.max.ms", "1000")
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Info);
    let login = match gateway {
        Some(gateway) => {
            gateway.apply(&mut settings);
            Some(gateway.login())
        }
        None => config.security.sasl.clone(),
    };
    if let Some(login) = login {
        settings
            .set("security.protocol", "sasl_plaintext")
            .set("sasl.mechanism", login.mechanism.name())
            .set("sasl.username", login.username)
            .set("sasl.password", login.password.expose_secret());
    }
    settings
}

impl Shared {
    fn client(&self, more: &[(&'static str, String)]) -> Result<Client, LogError> {
        let mut settings = self.settings.clone();
        for (name, value) in more {
            settings.set(*name, value);
        }
        settings
            .create_with_context(LogContext::new(self.gateway.clone()))
            .map_err(|error| LogError::Client { what: "start".to_owned(), said: error.to_string() })
    }

    /// A client for a read without end.
    fn follower(&self) -> Result<Client, LogError> {
        self.followers.take().map_or_else(|| self.client(&self.follower_settings), Ok)
    }

    /// Keeps a client whose read went well for the next one.
    pub(crate) fn give_back(&self, client: Client) {
        if client.unassign().is_ok() {
            self.followers.put(client);
        }
    }

    /// Why the gateway did not reach the broker that is behind this address, if there is one and it did not.
    pub(crate) fn gateway_failure(&self, to: &Address) -> Option<LogError> {
        self.gateway.as_ref()?.failure_of(to.port)
    }

    /// A text with the brokers' own addresses.
    pub(crate) fn with_names(&self, said: &str) -> String {
        self.gateway.as_ref().map_or_else(|| said.to_owned(), |gateway| gateway.with_names(said))
    }

    /// The client for questions.
    fn warm(&self) -> Result<Arc<Client>, LogError> {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        match &*warm {
            Some(client) => Ok(Arc::clone(client)),
            None => Ok(Arc::clone(warm.insert(Arc::new(self.client(&[])?)))),
        }
    }

    /// Forgets a client that failed, so that a dead cluster's messages do not pile up in it.
    fn forget(&self, client: &Arc<Client>) {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        if warm.as_ref().is_some_and(|current| Arc::ptr_eq(current, client)) {
            *warm = None;
        }
    }

    /// Asks the cluster something. Called on a thread that may block.
    pub(crate) fn ask<T>(
        &self,
        what: &str,
        question: &(impl Fn(&Client, Duration) -> KafkaResult<T> + ?Sized),
    ) -> Result<T, LogError> {
        let client = self.warm()?;
        let started = Instant::now();
        let first = self.metadata_timeout / FIRST_TRY;
        let mut answer = question(&client, first);
        client.context().collect(&client, answer.is_err());
        if answer.as_ref().is_err_and(is_transient) && !client.context().is_hopeless() {
            answer = question(&client, self.metadata_timeout.saturating_sub(started.elapsed()));
            client.context().collect(&client, answer.is_err());
        }
        answer.map_err(|error| {
            self.forget(&client);
            self.explain(what, &error, client.context())
        })
    }

    pub(crate) fn explain(&self, what: &str, error: &KafkaError, context: &LogContext) -> LogError {
        let said = context.said();
        match error.rdkafka_error_code() {
            _ if context.is_hopeless()
                && let Some(failure) = context.failure() =>
            {
                failure
            }
            _ if context.refused_login() => LogError::Login { said },
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                LogError::Login { said }
            }
            _ if context.is_down() => LogError::Unreachable { brokers: self.brokers.clone(), said },
            // Nobody is told why a connection that was taken and never answered on is no use.
            _ if is_slow(error, said.is_some()) => {
                LogError::Slow { what: what.to_owned(), limit: self.metadata_timeout, said }
            }
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve) => {
                LogError::Unreachable { brokers: self.brokers.clone(), said }
            }
            Some(RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::TimedOutQueue) => {
                LogError::Slow { what: what.to_owned(), limit: self.metadata_timeout, said }
            }
            _ => LogError::Client { what: format!("find {what}"), said: error.to_string() },
        }
    }
}

/// Whether nothing was answered, for no reason that is told.
fn is_slow(error: &KafkaError, is_told_why: bool) -> bool {
    use RDKafkaErrorCode::{BrokerTransportFailure, OperationTimedOut, TimedOutQueue};
    !is_told_why
        && matches!(error.rdkafka_error_code(), Some(BrokerTransportFailure | OperationTimedOut | TimedOutQueue))
}

fn is_transient(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::TimedOutQueue
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::WaitCache
        )
    )
}

/// What is known of a topic.
pub(crate) enum Found {
    Partitions(Vec<i32>),
    Missing,
    Forbidden(String),
}

/// A topic's partitions, by number, and their leaders.
pub(crate) fn find(client: &Client, topic: &str, limit: Duration) -> KafkaResult<(Found, OfTopic)> {
    let metadata = client.fetch_metadata(Some(topic), limit)?;
    let topic = metadata.topics().iter().find(|found| found.name() == topic);
    let leaders = topic.map(|topic| leaders::of_topic(&metadata, topic)).unwrap_or_default();
    Ok((topic.map_or(Ok(Found::Missing), partitions)?, leaders))
}

fn partitions(found: &MetadataTopic) -> KafkaResult<Found> {
    match found.error().map(RDKafkaErrorCode::from) {
        None => {}
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::UnknownPartition,
        ) => return Ok(Found::Missing),
        Some(code @ RDKafkaErrorCode::TopicAuthorizationFailed) => return Ok(Found::Forbidden(code.to_string())),
        Some(code) => return Err(KafkaError::MetadataFetch(code)),
    }
    let mut partitions: Vec<i32> = found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect();
    partitions.sort_unstable();
    Ok(Found::Partitions(partitions))
}

/// Asks for one offset of each partition. `at` is a time in milliseconds since 1970, or the first or the end offset;
/// the end is that of the client's isolation.
pub(crate) fn list_offsets(
    client: &Client,
    topic: &str,
    partitions: &[i32],
    at: Offset,
    limit: Duration,
) -> KafkaResult<Vec<Offset>> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition_offset(topic, *partition, at)?;
    }
    let answer = client.offsets_for_times(list, limit)?;
    partitions
        .iter()
        .map(|partition| {
            let element = answer
                .find_partition(topic, *partition)
                .ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition))?;
            element.error()?;
            Ok(element.offset())
        })
        .collect()
}

/// What the client's group has committed of these topics.
fn committed(client: &Client, topics: &[String], limit: Duration) -> KafkaResult<Vec<Committed>> {
    let metadata = client.fetch_metadata(None, limit)?;
    let mut list = TopicPartitionList::new();
    for topic in metadata.topics().iter().filter(|topic| topics.iter().any(|name| name == topic.name())) {
        for partition in topic.partitions() {
            list.add_partition(topic.name(), partition.id());
        }
    }
    if list.count() == 0 {
        return Ok(Vec::new());
    }
    let answer = client.committed_offsets(list, limit)?;
    let mut committed = Vec::new();
    for element in answer.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            committed.push(Committed { topic: element.topic().to_owned(), partition: element.partition(), offset });
        }
    }
    Ok(committed)
}

pub(crate) fn number(offset: Offset) -> KafkaResult<i64> {
    match offset {
        Offset::Offset(number) => Ok(number),
        _ => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset)),
    }
}

#[async_trait]
impl KafkaLog for BrokerLog {
    async fn topics(&self) -> Result<Vec<String>, LogError> {
        self.ask("the topics".to_owned(), |client, limit| {
            let metadata = client.fetch_metadata(None, limit)?;
            Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
        })
        .await
    }

    async fn offsets(&self, topic: &str) -> Result<Option<Vec<PartitionOffsets>>, LogError> {
        let (name, shared) = (topic.to_owned(), Arc::clone(&self.shared));
        self.ask(format!("the offsets of topic {topic}"), move |client, limit| {
            let (found, leaders) = find(client, &name, limit)?;
            let partitions = match found {
                Found::Partitions(partitions) => partitions,
                Found::Missing => return Ok(Ok(None)),
                Found::Forbidden(said) => return Ok(Err(LogError::Forbidden { topic: name.clone(), said })),
            };
            shared.leaders.learn(&name, leaders);
            // The end first: what is appended in between belongs to a later query.
            let ends = list_offsets(client, &name, &partitions, Offset::End, limit)?;
            let starts = list_offsets(client, &name, &partitions, Offset::Beginning, limit)?;
            let offsets = partitions.iter().zip(starts).zip(ends).map(|((partition, start), end)| {
                let (start, end) = (number(start)?, number(end)?);
                // Retention may have passed the end between the two questions.
                Ok(PartitionOffsets { partition: *partition, start, end: end.max(start) })
            });
            Ok(Ok(Some(offsets.collect::<KafkaResult<Vec<_>>>()?)))
        })
        .await?
    }

    async fn topic_id(&self, topic: &str) -> Result<Option<String>, LogError> {
        let (shared, topic) = (Arc::clone(&self.shared), topic.to_owned());
        let task = tokio::task::spawn_blocking(move || FetchScan::topic_id(&shared, &topic));
        task.await.unwrap_or_else(|error| {
            Err(LogError::Client { what: "answer".to_owned(), said: format!("its thread ended: {error}") })
        })
    }

    async fn appends_times(&self, topic: &str) -> Result<bool, String> {
        let (shared, topic) = (Arc::clone(&self.shared), topic.to_owned());
        let task = tokio::task::spawn_blocking(move || {
            append_time::asked(&shared.settings, shared.gateway.clone(), &topic, shared.metadata_timeout)
        });
        task.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    async fn offsets_for_time(
        &self,
        topic: &str,
        partitions: &[i32],
        millis: i64,
    ) -> Result<Vec<Option<i64>>, LogError> {
        let (name, partitions) = (topic.to_owned(), partitions.to_vec());
        self.ask(format!("offsets by time of topic {topic}"), move |client, limit| {
            let offsets = list_offsets(client, &name, &partitions, Offset::Offset(millis), limit)?;
            offsets
                .into_iter()
                .map(|offset| match offset {
                    Offset::End => Ok(None),
                    found => number(found).map(Some),
                })
                .collect()
        })
        .await
    }

    async fn replicas(&self, topic: &str) -> Result<Option<Vec<Replicas>>, LogError> {
        let name = topic.to_owned();
        self.ask(format!("the brokers of topic {topic}"), move |client, limit| {
            let metadata = client.fetch_metadata(Some(&name), limit)?;
            let Some(found) = metadata.topics().iter().find(|found| found.name() == name && found.error().is_none())
            else {
                return Ok(None);
            };
            let mut replicas: Vec<Replicas> = found
                .partitions()
                .iter()
                .map(|partition| Replicas {
                    partition: partition.id(),
                    leader: Some(partition.leader()).filter(|leader| *leader >= 0),
                    all: partition.replicas().to_vec(),
                    in_sync: partition.isr().to_vec(),
                })
                .collect();
            replicas.sort_unstable_by_key(|replicas| replicas.partition);
            Ok(Some(replicas))
        })
        .await
    }

    async fn groups(&self) -> Result<Vec<Group>, LogError> {
        self.ask("the groups of consumers".to_owned(), |client, limit| {
            let list = client.fetch_group_list(None, limit)?;
            let mut groups: Vec<Group> = list
                .groups()
                .iter()
                .map(|group| Group {
                    name: group.name().to_owned(),
                    state: group.state().to_owned(),
                    members: group.members().len(),
                })
                .collect();
            groups.sort_unstable_by(|one, other| one.name.cmp(&other.name));
            Ok(groups)
        })
        .await
    }

    async fn committed(&self, group: &str, topics: &[String]) -> Result<Vec<Committed>, LogError> {
        let (shared, group, topics) = (Arc::clone(&self.shared), group.to_owned(), topics.to_vec());
        let what = format!("the offsets of group {group}");
        // What a group has committed is told to a client of its name; it subscribes to nothing, so that it joins nothing.
        let task = tokio::task::spawn_blocking(move || {
            let client = shared.client(&[("group.id", group)])?;
            let limit = shared.metadata_timeout;
            let committed = committed(&client, &topics, limit);
            client.context().collect(&client, committed.is_err());
            committed.map_err(|error| shared.explain(&what, &error, client.context()))
        });
        task.await.unwrap_or_else(|error| {
            Err(LogError::Client { what: "answer".to_owned(), said: format!("its thread ended: {error}") })
        })
    }

    fn scan(&self, range: ScanRange<'_>) -> Box<dyn LogScan> {
        Box::new(FetchScan::new(range, Arc::clone(&self.shared)))
    }

    fn has_room(&self) -> bool {
        let free = self.shared.permits.free() + self.shared.connections.count();
        2 * free >= self.shared.connections_max
    }

    fn follow(&self, range: TailRange<'_>) -> Result<Box<dyn LogTail>, LogError> {
        let client = self.shared.follower()?;
        Ok(Box::new(BrokerTail::new(client, range, Arc::clone(&self.shared))?))
    }
}
