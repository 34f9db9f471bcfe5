//! Reading leaves nothing on the broker: no group, no offset that was committed, no topic.

use std::time::Duration;

use futures::StreamExt;
use portolan_servers::KafkaBroker;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::engine::{Engine, connector};
use super::topics::{Sent, create_at, numbers, produce_at};

const LIMIT: Duration = Duration::from_secs(30);

/// The topics, and the groups with how many members they have and what they have committed of a topic.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    topics: Vec<String>,
    groups: Vec<(String, usize)>,
    committed: Vec<Offset>,
}

fn client(broker: &str, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("allow.auto.create.topics", "false")
        .create()
        .unwrap()
}

/// What is left on a broker. The second group is the name that the connector's clients give the library.
fn traces(broker: &str) -> Traces {
    let asking = client(broker, "asking");
    let metadata = asking.fetch_metadata(None, LIMIT).unwrap();
    let mut topics: Vec<String> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
    topics.sort_unstable();
    let listed = asking.fetch_group_list(None, LIMIT).unwrap();
    let mut groups: Vec<(String, usize)> =
        listed.groups().iter().map(|group| (group.name().to_owned(), group.members().len())).collect();
    groups.sort_unstable();
    let committed = ["somebody", "portolan"].map(|group| {
        let mut list = TopicPartitionList::new();
        list.add_partition("traces", 0);
        client(broker, group).committed_offsets(list, LIMIT).unwrap().elements()[0].offset()
    });
    Traces { topics, groups, committed: committed.to_vec() }
}

#[tokio::test]
async fn reads_leave_nothing_on_the_broker() {
    let broker = KafkaBroker::start().unwrap();
    let address = broker.bootstrap();
    create_at(&address, "traces", 2).await;
    create_at(&address, "other", 1).await;
    let keyed = |sent: Sent| Sent { key: Some(b"k".to_vec()), ..sent };
    produce_at(&address, "traces", &numbers(0, 50).into_iter().map(keyed).collect::<Vec<_>>());
    produce_at(&address, "traces", &[Sent::value("bad")]);
    // So that a group is seen where there is one.
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("traces", 0, Offset::Offset(7)).unwrap();
    client(&address, "somebody").commit(&offsets, CommitMode::Sync).unwrap();
    let before = traces(&address);
    assert!(before.topics.contains(&"traces".to_owned()) && before.topics.contains(&"other".to_owned()), "{before:?}");
    assert_eq!(
        (&*before.groups, &*before.committed),
        (&[("somebody".to_owned(), 0)][..], &[Offset::Offset(7), Offset::Invalid][..])
    );
    let settings = format!(
        "brokers = \"{address}\"\non_error = \"skip\"\n[tables.t]\ntopic = \"traces\"\nvalue = {{ columns = {{ n = \"bigint\" }} }}"
    );
    let engine = Engine::on(connector("events", &settings).unwrap(), "events", true);
    for (sql, rows) in [
        ("SELECT n FROM t", 50),
        ("SELECT n FROM t WHERE _partition_offset >= 10 AND _partition_offset < 20", 10),
        ("SELECT n FROM t LIMIT 5", 5),
        ("SELECT n FROM t WHERE _timestamp > TIMESTAMP '2020-01-01 00:00:00'", 50),
        ("SELECT n FROM \"t at traces 0:0..10\"", 10),
        ("SELECT n FROM \"t$latest\"", 1),
        ("SELECT _reason FROM \"t$errors\"", 1),
        ("SELECT partition_id, first_timestamp, last_timestamp FROM \"t$partitions\"", 2),
        ("SELECT group_id FROM consumer_groups", 1),
        // Columns are inferred.
        ("SELECT * FROM other", 0),
    ] {
        assert_eq!(engine.rows(sql).await.len(), rows, "{sql}");
        assert_eq!(traces(&address), before, "{sql}");
    }
    for missing in ["none", "none$latest", "none$partitions"] {
        assert!(engine.connector().table("default", missing).await.unwrap().is_none());
    }
    engine.connector().list_tables("default").await.unwrap();
    let mut following = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    let mut errors = engine.stream("SELECT _reason FROM \"t$errors following\"").await.unwrap();
    produce_at(&address, "traces", &numbers(50, 60));
    produce_at(&address, "traces", &[Sent::value("worse")]);
    for stream in [&mut following, &mut errors] {
        assert!(tokio::time::timeout(LIMIT, stream.next()).await.unwrap().unwrap().unwrap().num_rows() > 0);
    }
    assert_eq!(traces(&address), before, "while a topic is followed");
    drop((following, errors));
    let left = engine.stream("SELECT n FROM t").await.unwrap();
    drop(left);
    assert_eq!(traces(&address), before, "after a topic was followed");
    drop(engine);
    assert_eq!(traces(&address), before, "when the catalog is closed");
}
