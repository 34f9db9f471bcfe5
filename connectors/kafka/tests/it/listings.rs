//! `"topic$partitions"` and the groups of consumers.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::engine::Engine;
use super::topics::{Sent, an_hour_ago, bootstrap, create, delete_before, numbers, produce};

#[tokio::test]
async fn partitions_with_offsets_brokers_and_times() {
    create("list.partitions", 3).await;
    let base = an_hour_ago();
    let messages: Vec<Sent> = (0..10).map(|n| Sent::value("{}").to(n % 2).at(base + i64::from(n) * 1000)).collect();
    produce("list.partitions", &messages);
    delete_before("list.partitions", 1, 2).await;
    let engine = Engine::new("");
    let sql = "SELECT partition_id, earliest_offset, end_offset, offset_count, leader, array_length(in_sync_replicas), \
               array_length(replicas) FROM \"list.partitions$partitions\"";
    let rows = engine.rows(sql).await;
    let leader = rows[0].split('|').nth(4).unwrap().to_owned();
    assert_eq!(
        rows,
        [format!("0|0|5|5|{leader}|1|1"), format!("1|2|5|3|{leader}|1|1"), format!("2|0|0|0|{leader}|1|1")]
    );
    let times = "SELECT partition_id, arrow_cast(first_timestamp, 'Int64'), arrow_cast(last_timestamp, 'Int64') \
                 FROM \"list.partitions$partitions\"";
    assert_eq!(
        engine.rows(times).await,
        [format!("0|{}|{}", base, base + 8000), format!("1|{}|{}", base + 5000, base + 9000), "2|NULL|NULL".to_owned()]
    );
    let age = engine.count("SELECT min(age_ms) FROM \"list.partitions$partitions\"").await;
    assert!((3_590_000..4_000_000).contains(&age), "{age}");
    let other = "SELECT count(*) FROM \"list.partitions$partitions\" WHERE offset_count > 0 AND partition_id < 2";
    assert_eq!(engine.count(other).await, 2);
    assert!(engine.connector().table("default", "nope$partitions").await.unwrap().is_none());
}

#[tokio::test]
async fn the_last_message_is_found_behind_what_is_none() {
    use rdkafka::producer::Producer;
    let limit = std::time::Duration::from_secs(30);
    create("list.aborted", 1).await;
    let base = an_hour_ago();
    let producer =
        super::topics::producer(&[("transactional.id", "list.aborted"), ("transaction.timeout.ms", "60000")]);
    producer.init_transactions(limit).unwrap();
    for (count, commits) in [(3, true), (40, false)] {
        producer.begin_transaction().unwrap();
        let messages: Vec<Sent> = (0..count).map(|n| Sent::value("{}").at(base + n)).collect();
        super::topics::send(&producer, "list.aborted", &messages);
        if commits {
            producer.commit_transaction(limit).unwrap();
        } else {
            producer.abort_transaction(limit).unwrap();
        }
    }
    let sql = "SELECT end_offset, arrow_cast(last_timestamp, 'Int64') FROM \"list.aborted$partitions\"";
    assert_eq!(Engine::new("").rows(sql).await, [format!("45|{}", base + 2)]);
}

#[tokio::test]
async fn groups_with_what_they_have_yet_to_read() {
    create("list.lag", 2).await;
    let messages: Vec<Sent> =
        numbers(0, 20).into_iter().enumerate().map(|(n, sent)| sent.to(i32::try_from(n % 2).unwrap())).collect();
    produce("list.lag", &messages);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap())
        .set("group.id", "list-readers")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("list.lag", 0, Offset::Offset(4)).unwrap();
    offsets.add_partition_offset("list.lag", 1, Offset::Offset(10)).unwrap();
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
    let engine = Engine::new("");
    let sql = "SELECT topic, partition_id, committed_offset, end_offset, lag FROM consumer_groups \
               WHERE group_id = 'list-readers'";
    assert_eq!(engine.rows(sql).await, ["list.lag|0|4|10|6", "list.lag|1|10|10|0"]);
    // Looking at a group joins nothing and commits nothing.
    assert_eq!(
        engine.rows("SELECT DISTINCT members FROM consumer_groups WHERE group_id = 'list-readers'").await,
        ["0"]
    );
    assert_eq!(engine.count("SELECT count(*) FROM consumer_groups WHERE group_id = 'portolan'").await, 0);
    assert_eq!(engine.rows(sql).await.len(), 2);
}
