//! `FOLLOW`: messages that are added to a topic while it is read.

use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;

use super::engine::{Engine, PATIENCE, cause, connector, on_broker};
use super::topics::{Sent, an_hour_ago, create, delete, delete_before, grow, numbers, produce};

/// How long nothing may come while nothing is added.
const QUIET: Duration = Duration::from_millis(500);

/// Values of the first column, which is a `bigint`, until there are so many. Sorted.
async fn take(stream: &mut SendableRecordBatchStream, count: usize) -> Vec<i64> {
    let mut values = Vec::new();
    while values.len() < count {
        let batch = tokio::time::timeout(PATIENCE, stream.next()).await.expect("messages came").unwrap().unwrap();
        values.extend(batch.column(0).as_primitive::<Int64Type>().values());
    }
    values.sort_unstable();
    values
}

/// What a stream that ends with an error says.
async fn failure(stream: &mut SendableRecordBatchStream) -> String {
    let next = tokio::time::timeout(PATIENCE, stream.next()).await.expect("the error came");
    let error = cause(&next.unwrap().unwrap_err());
    assert!(stream.next().await.is_none(), "nothing comes after an error");
    error
}

async fn is_quiet(stream: &mut SendableRecordBatchStream) -> bool {
    tokio::time::timeout(QUIET, stream.next()).await.is_err()
}

fn to(partition: i32, from: i64, until: i64) -> Vec<Sent> {
    numbers(from, until).into_iter().map(|sent| sent.to(partition)).collect()
}

fn declared(topic: &str, more: &str) -> Engine {
    Engine::new(&format!("[tables.t]\ntopic = \"{topic}\"\nvalue = {{ columns = {{ n = \"bigint\" }} }}\n{more}"))
}

#[tokio::test]
async fn new_messages_of_all_partitions_come_as_they_are_sent() {
    create("follow.new", 2).await;
    produce("follow.new", &to(0, 0, 50));
    let engine = declared("follow.new", "");
    let mut stream = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    assert_eq!(
        engine.planned().request,
        "follow.new, read_committed, without end, from offsets 0:50 1:0",
        "what is there is not read"
    );
    // Between planning and reading nothing is lost.
    produce("follow.new", &to(1, 100, 103));
    assert_eq!(take(&mut stream, 3).await, [100, 101, 102]);
    assert!(is_quiet(&mut stream).await);
    for n in 200..205 {
        let sent = Instant::now();
        produce("follow.new", &to(i32::try_from(n % 2).unwrap(), n, n + 1));
        assert_eq!(take(&mut stream, 1).await, [n]);
        assert!(sent.elapsed() < Duration::from_secs(5), "took {:?}", sent.elapsed());
    }
    // A table that is not followed has an end beside it.
    assert_eq!(engine.count("SELECT count(n) FROM t").await, 58);
}

#[tokio::test]
async fn a_topic_is_followed_from_a_place_in_it() {
    create("follow.since", 2).await;
    let then = an_hour_ago();
    let old = [Sent::value("{\"n\":1}").at(then - 60_000), Sent::value("{\"n\":2}").at(then)];
    produce("follow.since", &old);
    produce("follow.since", &[Sent::value("{\"n\":3}").to(1)]);
    let engine = declared("follow.since", "");
    for (since, values) in [
        ("beginning", &[1, 2, 3][..]),
        ("59 minutes", &[3]),
        ("70 minutes", &[1, 2, 3]),
        // Behind the cut, and all of a partition that it does not have.
        ("follow.since 0:0..1", &[2, 3]),
        ("follow.since 0:0..1 1:0..1", &[2]),
    ] {
        let mut stream = engine.stream(&format!("SELECT n FROM \"t following {since}\"")).await.unwrap();
        assert_eq!(take(&mut stream, values.len()).await, values, "{since}");
        assert!(is_quiet(&mut stream).await, "{since}");
    }
    let error = |since: &'static str| {
        let connector = engine.connector();
        async move { connector.table_following("default", "t", Some(since)).await.unwrap_err().to_string() }
    };
    assert!(error("soon").await.contains("'soon' is no place in a topic"));
    assert!(error("other 0:0..1").await.contains("is a cut of topic other, and the table is topic follow.since"));
    let error = cause(&engine.try_sql("SELECT n FROM \"t following follow.since 0:0..7\"").await.unwrap_err());
    assert!(error.contains("ends at offset 2, before the end 7 of the cut"), "{error}");
    delete_before("follow.since", 0, 2).await;
    let error = cause(&engine.try_sql("SELECT n FROM \"t following follow.since 0:0..1\"").await.unwrap_err());
    assert!(error.contains("from 1 on were asked for, and the first one kept is 2"), "{error}");
    let lenient = declared("follow.since", "on_truncated = \"skip\"");
    let mut stream = lenient.stream("SELECT n FROM \"t following follow.since 0:0..1\"").await.unwrap();
    produce("follow.since", &[Sent::value("{\"n\":4}")]);
    assert_eq!(take(&mut stream, 2).await, [3, 4]);
    let first = "SELECT n FROM \"t following follow.since 0:0..1\" WHERE _partition_id = 0 LIMIT 1";
    assert_eq!(lenient.counted(first, "rows_lost").await, (1, 1), "offset 1 was behind the cut");
}

#[tokio::test]
async fn partitions_that_a_filter_leaves_out_are_not_read() {
    create("follow.pruned", 3).await;
    produce("follow.pruned", &to(2, 0, 10));
    let engine = declared("follow.pruned", "partitioner = \"murmur2\"\npartitions = 3");
    for (condition, offsets) in [
        ("_partition_id = 1", "1:0"),
        ("_partition_id <> 1", "0:0 2:10"),
        ("_partition_id = 2 OR _partition_offset > 5", "0:0 1:0 2:10"),
        ("_partition_id = 2 AND _partition_offset < 5", ""),
        // Which messages come is not known, nor which keys and times they have.
        ("_timestamp > TIMESTAMP '2000-01-01 00:00:00' AND _key = 'k'", "0:0 1:0 2:10"),
    ] {
        drop(engine.stream(&format!("SELECT n FROM \"t following\" WHERE {condition}")).await.unwrap());
        let request = engine.planned().request;
        assert_eq!(request.split_once("offsets").unwrap().1.trim(), offsets, "{condition}");
    }
}

#[tokio::test]
async fn partitions_that_are_added_are_read() {
    create("follow.grown", 1).await;
    let engine = declared("follow.grown", "");
    let mut stream = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    produce("follow.grown", &to(0, 1, 2));
    assert_eq!(take(&mut stream, 1).await, [1]);
    grow("follow.grown", 3).await;
    // Nothing of a partition is lost that was added before it was seen.
    produce("follow.grown", &to(2, 10, 13));
    assert_eq!(take(&mut stream, 3).await, [10, 11, 12]);
    produce("follow.grown", &[to(0, 2, 3), to(1, 20, 21), to(2, 13, 14)].concat());
    assert_eq!(take(&mut stream, 3).await, [2, 13, 20]);
    // The client that read them reads for others then.
    drop(stream);
    tokio::time::sleep(QUIET).await;
    assert_eq!(engine.count("SELECT count(n) FROM t").await, 7);
}

#[tokio::test]
async fn a_topic_that_is_deleted_ends_it() {
    create("follow.deleted", 1).await;
    let engine = declared("follow.deleted", "");
    let mut stream = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    produce("follow.deleted", &to(0, 1, 2));
    assert_eq!(take(&mut stream, 1).await, [1]);
    delete("follow.deleted").await;
    let error = failure(&mut stream).await;
    assert!(error.contains("topic follow.deleted was deleted while it was followed"), "{error}");
}

#[tokio::test]
async fn a_topic_that_is_made_anew_ends_it() {
    create("follow.anew", 1).await;
    produce("follow.anew", &to(0, 0, 10));
    let engine = declared("follow.anew", "");
    let mut stream = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    delete("follow.anew").await;
    create("follow.anew", 1).await;
    produce("follow.anew", &to(0, 0, 3));
    let error = failure(&mut stream).await;
    assert!(error.contains("ends at offset 3 and was followed up to 10"), "{error}");
}

#[tokio::test]
async fn a_topic_that_is_made_anew_with_as_many_messages_ends_it() {
    create("follow.more", 2).await;
    produce("follow.more", &to(0, 0, 10));
    let engine = declared("follow.more", "");
    let mut read = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    produce("follow.more", &to(0, 10, 11));
    assert_eq!(take(&mut read, 1).await, [10]);
    // And one of which nothing was read.
    let mut quiet = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    assert!(is_quiet(&mut quiet).await);
    delete("follow.more").await;
    create("follow.more", 2).await;
    produce("follow.more", &to(0, 0, 11));
    for stream in [&mut read, &mut quiet] {
        let error = failure(stream).await;
        assert!(error.contains("has other messages than those that were followed"), "{error}");
    }
}

#[tokio::test]
async fn a_partition_that_is_gone_ends_it() {
    create("follow.fewer", 2).await;
    let engine = declared("follow.fewer", "");
    let mut stream = engine.stream("SELECT n FROM \"t following\"").await.unwrap();
    produce("follow.fewer", &to(1, 0, 1));
    assert_eq!(take(&mut stream, 1).await, [0]);
    delete("follow.fewer").await;
    create("follow.fewer", 1).await;
    let error = failure(&mut stream).await;
    assert!(error.contains("topic follow.fewer has no partition 1"), "{error}");
}

#[tokio::test]
async fn who_reads_too_slowly_is_told_what_was_lost() {
    create("follow.behind", 1).await;
    let strict = declared("follow.behind", "");
    let mut stream = strict.stream("SELECT n FROM \"t following\"").await.unwrap();
    let lenient = declared("follow.behind", "on_truncated = \"skip\"");
    let mut skipping = lenient.stream("SELECT n FROM \"t following\"").await.unwrap();
    produce("follow.behind", &to(0, 0, 100));
    delete_before("follow.behind", 0, 55).await;
    let error = failure(&mut stream).await;
    assert!(
        error.contains("partition 0 from 0 on were deleted before they were read; the first one kept is 55")
            && error.contains("on_truncated"),
        "{error}"
    );
    assert_eq!(take(&mut skipping, 45).await, (55..100).collect::<Vec<_>>());
    produce("follow.behind", &to(0, 100, 101));
    assert_eq!(take(&mut skipping, 1).await, [100]);
}

#[tokio::test]
async fn messages_that_do_not_decode() {
    create("follow.bad", 1).await;
    let failing = declared("follow.bad", "");
    let mut stream = failing.stream("SELECT n FROM \"t following\"").await.unwrap();
    let skipping = declared("follow.bad", "on_error = \"skip\"");
    let mut skipped = skipping.stream("SELECT n FROM \"t following\"").await.unwrap();
    let null = declared("follow.bad", "on_error = \"null\"");
    let mut nulls = null.stream("SELECT _partition_offset, n FROM \"t following\"").await.unwrap();
    let mut errors = failing.stream("SELECT _partition_offset, _reason FROM \"t$errors following\"").await.unwrap();
    produce("follow.bad", &[&numbers(1, 2)[..], &[Sent::value("bad")], &numbers(3, 4)].concat());
    // What is good before it comes first.
    assert_eq!(take(&mut stream, 1).await, [1]);
    let error = failure(&mut stream).await;
    assert!(
        error.contains("topic follow.bad, partition 0, offset 1 does not decode")
            && error.contains("on_error = \"skip\""),
        "{error}"
    );
    assert_eq!(take(&mut skipped, 2).await, [1, 3]);
    let (mut rows, mut null) = (0, 0);
    while rows < 3 {
        let batch = tokio::time::timeout(PATIENCE, nulls.next()).await.unwrap().unwrap().unwrap();
        (rows, null) = (rows + batch.num_rows(), null + batch.column(1).null_count());
    }
    assert_eq!((rows, null), (3, 1));
    assert_eq!(take(&mut errors, 1).await, [1]);
}

#[tokio::test]
async fn what_is_no_topic_is_not_followed() {
    create("follow.not", 1).await;
    produce("follow.not", &numbers(0, 1));
    let engine = Engine::new("");
    let connector = engine.connector();
    for (schema, table) in
        [("default", "follow.not$latest"), ("default", "follow.not$partitions"), ("system", "consumer_groups")]
    {
        let error = connector.table_following(schema, table, None).await.unwrap_err().to_string();
        assert!(error.contains("is no topic to which messages are added"), "{error}");
    }
    assert!(connector.table_following("default", "follow.none", None).await.unwrap().is_none());
    let table = connector.table_following("default", "follow.not", None).await.unwrap().unwrap();
    assert!(table.is_endless() && table.column("n").is_some());
    assert!(table.column("_cut").is_none(), "what has no end has no cut");
}

#[tokio::test]
async fn who_leaves_ends_the_read_and_its_client_is_used_again() {
    create("follow.left", 1).await;
    // The name of the catalog is that of the threads that read for it.
    let engine = Engine::on(connector("left", &on_broker("")).unwrap(), "left", true);
    let reading = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "kafka left").count()
    };
    let mut stream = engine.stream("SELECT _partition_offset FROM \"follow.left following\"").await.unwrap();
    produce("follow.left", &numbers(0, 1));
    assert_eq!(take(&mut stream, 1).await, [0]);
    assert_eq!(reading(), 1);
    drop(stream);
    let left = Instant::now();
    while reading() > 0 {
        assert!(left.elapsed() < PATIENCE, "the thread still reads");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut again = engine.stream("SELECT _partition_offset FROM \"follow.left following 1 hour\"").await.unwrap();
    assert_eq!(take(&mut again, 1).await, [0]);
}
