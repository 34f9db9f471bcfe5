//! Clusters of several brokers: leaders that move, partitions that have none, brokers that are down, and errors that they answer
//! with. The cluster is the client library's own mock, which speaks the protocol over real connections in this process.

use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::StreamExt;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::engine::{Engine, cause, connector};
use super::topics::{Sent, numbers, produce_at};

const TOPIC: &str = "led";
const PARTITIONS: i32 = 3;
const MESSAGES: i64 = 3_000;

/// How long anything may take. Tests run in parallel on few processors.
const PATIENCE: Duration = Duration::from_secs(60);

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A cluster of three brokers, each of which leads one partition, and an engine over it.
fn cluster(more: &str) -> (Cluster, Engine) {
    let cluster = MockCluster::new(3).unwrap();
    cluster.create_topic(TOPIC, PARTITIONS, 3).unwrap();
    for partition in 0..PARTITIONS {
        cluster.partition_leader(TOPIC, partition, Some(partition + 1)).unwrap();
    }
    fill(&cluster, 0, MESSAGES);
    let settings = format!(
        "brokers = \"{}\"\n{more}\n[tables.t]\ntopic = \"{TOPIC}\"\nvalue = {{ columns = {{ n = \"bigint\" }} }}",
        cluster.bootstrap_servers()
    );
    let engine = Engine::on(connector("events", &settings).unwrap(), "events", true);
    (cluster, engine)
}

fn fill(cluster: &Cluster, from: i64, to: i64) {
    let to_partition = |(sent, n): (Sent, i64)| sent.to(i32::try_from(n % i64::from(PARTITIONS)).unwrap());
    let messages: Vec<Sent> = numbers(from, to).into_iter().zip(from..to).map(to_partition).collect();
    produce_at(&cluster.bootstrap_servers(), TOPIC, &messages);
}

fn all() -> String {
    format!("{MESSAGES}|{}", MESSAGES * (MESSAGES - 1) / 2)
}

const ALL: &str = "SELECT count(*), sum(n) FROM t";

#[tokio::test(flavor = "multi_thread")]
async fn leaders_that_move_cost_no_rows() {
    let (cluster, engine) = cluster("");
    assert_eq!(engine.rows(ALL).await, [all()]);
    // The clients that are kept know the old leaders.
    for partition in 0..PARTITIONS {
        cluster.partition_leader(TOPIC, partition, Some((partition + 1) % 3 + 1)).unwrap();
    }
    assert_eq!(engine.rows(ALL).await, [all()]);
    // Between planning and reading.
    let mut stream = engine.stream("SELECT n FROM t").await.unwrap();
    for partition in 0..PARTITIONS {
        cluster.partition_leader(TOPIC, partition, Some(1)).unwrap();
    }
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(i64::try_from(rows).unwrap(), MESSAGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_nobody_serves_is_an_error_in_time() {
    let (cluster, engine) = cluster("connect_timeout_ms = 2000\nmetadata_timeout_ms = 3000\nidle_timeout_ms = 3000");
    assert_eq!(engine.rows(ALL).await, [all()]);
    let stream = engine.stream("SELECT n FROM t").await.unwrap();
    // It led partition 1, and no other broker has taken over.
    cluster.broker_down(2).unwrap();
    let started = Instant::now();
    let outcome: Vec<_> = stream.collect().await;
    let error = cause(outcome.last().unwrap().as_ref().unwrap_err());
    assert!(error.contains("no message of topic led, partition 1 came for 3000 ms"), "{error}");
    let error = cause(&engine.try_sql("SELECT n FROM t").await.unwrap_err());
    // Nobody answered, or the others said that there is no leader.
    assert!(error.contains("the offsets of topic led"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
    cluster.broker_up(2).unwrap();
    // Clients try again after a while.
    while let Err(error) = engine.try_sql(ALL).await {
        assert!(started.elapsed() < PATIENCE, "{error}");
    }
    assert_eq!(engine.rows(ALL).await, [all()], "nothing of it stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_is_none_where_it_leads_nothing() {
    let (cluster, engine) = cluster("connect_timeout_ms = 2000\nidle_timeout_ms = 3000");
    assert_eq!(engine.rows(ALL).await, [all()]);
    for partition in 0..PARTITIONS {
        cluster.partition_leader(TOPIC, partition, Some(1)).unwrap();
    }
    cluster.broker_down(2).unwrap();
    cluster.broker_down(3).unwrap();
    assert_eq!(engine.rows(ALL).await, [all()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_pass_are_not_told() {
    let (cluster, engine) = cluster("");
    for (api, error) in [
        (RDKafkaApiKey::Fetch, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION),
        (RDKafkaApiKey::Fetch, RDKafkaRespErr::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR),
        (RDKafkaApiKey::ListOffsets, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION),
    ] {
        cluster.request_errors(api, &[error, error]);
        assert_eq!(engine.rows(ALL).await, [all()], "{error:?}");
        cluster.clear_request_errors(api);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_goes_on_with_the_new_leader() {
    let (cluster, engine) = cluster("");
    let mut stream = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    let mut seen = Vec::new();
    for round in 1..4 {
        let from = MESSAGES + round * 30;
        fill(&cluster, from, from + 30);
        while seen.len() < usize::try_from(round * 30).unwrap() {
            let batch = tokio::time::timeout(PATIENCE, stream.next()).await.expect("messages came").unwrap().unwrap();
            seen.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
        }
        for partition in 0..PARTITIONS {
            let leader = i32::try_from((i64::from(partition) + round) % 3 + 1).unwrap();
            cluster.partition_leader(TOPIC, partition, Some(leader)).unwrap();
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (MESSAGES + 30..MESSAGES + 120).collect::<Vec<_>>());
}
