//! Clusters of several brokers: leaders that move, partitions that have none, brokers that are down, and errors that they answer
//! with. The cluster is the client library's own mock, which speaks the protocol over real connections in this process.

use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::StreamExt;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::engine::{Engine, PATIENCE, cause, connector, take};
use super::topics::{Sent, numbers, produce_at};

const TOPIC: &str = "led";
const PARTITIONS: i32 = 3;
const MESSAGES: i64 = 3_000;

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
    let all_to_one = async {
        for partition in 0..PARTITIONS {
            cluster.partition_leader(TOPIC, partition, Some(1)).unwrap();
        }
    };
    let mut stream = engine.stream_after(all_to_one, "SELECT n FROM t").await.unwrap();
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
    // It led partition 1, and no other broker has taken over.
    let down = async { cluster.broker_down(2).unwrap() };
    let stream = engine.stream_after(down, "SELECT n FROM t").await.unwrap();
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
        seen.extend(take(&mut stream, 30).await);
        for partition in 0..PARTITIONS {
            let leader = i32::try_from((i64::from(partition) + round) % 3 + 1).unwrap();
            cluster.partition_leader(TOPIC, partition, Some(leader)).unwrap();
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (MESSAGES + 30..MESSAGES + 120).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_of_partitions_are_listed() {
    let (cluster, engine) = cluster("");
    let sql = "SELECT partition_id, leader, array_sort(replicas), array_sort(in_sync_replicas), end_offset FROM \"t$partitions\"";
    let each = MESSAGES / i64::from(PARTITIONS);
    let row = |partition: i32, leader: i32| format!("{partition}|{leader}|[1, 2, 3]|[1, 2, 3]|{each}");
    assert_eq!(engine.rows(sql).await, [row(0, 1), row(1, 2), row(2, 3)]);
    cluster.partition_leader(TOPIC, 0, Some(3)).unwrap();
    cluster.partition_leader(TOPIC, 2, Some(2)).unwrap();
    assert_eq!(engine.rows(sql).await, [row(0, 3), row(1, 2), row(2, 2)]);
    // Copies of one partition on two of the three brokers.
    cluster.create_topic("copied", 1, 2).unwrap();
    produce_at(&cluster.bootstrap_servers(), "copied", &numbers(0, 5));
    let copied = "SELECT array_length(replicas), array_length(in_sync_replicas), array_has(replicas, leader), end_offset \
                  FROM \"copied$partitions\"";
    assert_eq!(engine.rows(copied).await, ["2|2|true|5"]);
}

const OUT_OF_RANGE: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_is_not_lost_when_it_is_deleted_before_it_is_read() {
    // More than the mock keeps of a partition, which is 5 MB, in steps.
    const STEPS: i64 = 4;
    const STEP: i64 = 150;
    let (cluster, engine) = cluster("on_truncated = \"skip\"");
    let mut stream = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    let send = |messages: &[Sent]| produce_at(&cluster.bootstrap_servers(), TOPIC, messages);
    send(&numbers(-1, 0));
    assert_eq!(take(&mut stream, 1).await, [-1]);
    // Batches wait until the thread that reads waits, too, and the client fetches on.
    for _ in 0..5 {
        send(&numbers(-1, 0));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // One of the partitions is stopped.
    cluster.request_errors(RDKafkaApiKey::Fetch, &[OUT_OF_RANGE]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let pad = "x".repeat(10_000);
    for step in 0..STEPS {
        for partition in 0..PARTITIONS {
            let message = |n| {
                let n = i64::from(partition) * 1_000 + n;
                Sent::value(format!("{{\"n\":{n},\"pad\":\"{pad}\"}}")).to(partition)
            };
            send(&(step * STEP..(step + 1) * STEP).map(message).collect::<Vec<_>>());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut seen = Vec::new();
    while let Ok(batch) = tokio::time::timeout(Duration::from_secs(4), stream.next()).await {
        seen.extend_from_slice(batch.unwrap().unwrap().column(0).as_primitive::<Int64Type>().values());
    }
    let mut of_each: Vec<i64> = (0..i64::from(PARTITIONS))
        .map(|partition| seen.iter().filter(|n| **n >= 0 && **n / 1_000 == partition).count().try_into().unwrap())
        .collect();
    of_each.sort_unstable();
    assert_eq!(of_each[1..], [STEPS * STEP; 2], "those that were not stopped lost nothing");
    assert!((STEP..STEPS * STEP).contains(&of_each[0]), "{of_each:?}: the other goes on with what is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_waits_for_the_answer_which_offsets_are_kept() {
    let (cluster, engine) = cluster("connect_timeout_ms = 2000\nmetadata_timeout_ms = 1000");
    let mut stream = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    fill(&cluster, 0, 3);
    assert_eq!(take(&mut stream, 3).await, [0, 1, 2]);
    cluster.broker_down(2).unwrap();
    cluster.request_errors(RDKafkaApiKey::Fetch, &[OUT_OF_RANGE, OUT_OF_RANGE]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    cluster.broker_up(2).unwrap();
    fill(&cluster, 0, 30);
    assert_eq!(take(&mut stream, 30).await, (0..30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_unknown_for_a_moment_is_followed_on() {
    let (cluster, engine) = cluster("");
    let mut stream = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    fill(&cluster, 0, 3);
    assert_eq!(take(&mut stream, 3).await, [0, 1, 2]);
    // It is looked at every 5 seconds, and each of its partitions is reported then.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    cluster.topic_error(TOPIC, RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    cluster.topic_error(TOPIC, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    fill(&cluster, 0, 30);
    assert_eq!(take(&mut stream, 30).await, (0..30).collect::<Vec<_>>());
}
