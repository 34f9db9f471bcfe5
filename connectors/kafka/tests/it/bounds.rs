//! What a query covers: frozen ends, limits, cancelled reads.

use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::StreamExt;

use super::engine::{Engine, connector, on_broker};
use super::topics::{Sent, create, delete_before, grow, numbers, produce};

#[tokio::test]
async fn all_messages_of_all_partitions() {
    create("bounds.all", 3).await;
    let mut messages = Vec::new();
    for n in 0..20_000 {
        messages.push(Sent::value(format!("{{\"n\":{n}}}")).to(n % 3));
    }
    produce("bounds.all", &messages);
    let engine = Engine::new("[tables.t]\ntopic = \"bounds.all\"\nvalue = { columns = { n = \"bigint\" } }");
    assert_eq!(
        engine.rows("SELECT count(*), min(n), max(n), sum(n), count(DISTINCT n) FROM t").await,
        ["20000|0|19999|199990000|20000"]
    );
    let planned = engine.planned();
    assert_eq!(planned.request, "bounds.all, read_committed, offsets 0:0..6667 1:0..6667 2:0..6666");
    assert_eq!(planned.snapshot, "bounds.all 0:6667 1:6667 2:6666");
    assert_eq!((planned.rows, planned.splits), (Some(20_000), 3));
    let statistics = engine.table("t").await.statistics().await.unwrap().unwrap();
    assert_eq!(statistics.rows, Some(20_000));
}

#[tokio::test]
async fn an_empty_topic_has_no_rows() {
    create("bounds.empty", 2).await;
    let engine = Engine::new("");
    assert_eq!(engine.count("SELECT count(*) FROM \"bounds.empty\"").await, 0);
    assert_eq!(engine.planned().request, "bounds.empty, read_committed, offsets none");
    assert_eq!(engine.planned().splits, 0);
    assert!(engine.rows("SELECT _key FROM \"bounds.empty\"").await.is_empty());
}

#[tokio::test]
async fn the_end_is_frozen_while_producing_goes_on() {
    create("bounds.frozen", 1).await;
    produce("bounds.frozen", &numbers(0, 1_000));
    let engine = Engine::new("");
    // Both scans of the topic are planned before either reads, and then more arrives.
    let mut stream =
        engine.stream("SELECT a.n FROM \"bounds.frozen\" a JOIN \"bounds.frozen\" b ON a.n = b.n").await.unwrap();
    produce("bounds.frozen", &numbers(1_000, 1_500));
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 1_000, "a self-join sees the same messages on both sides, and only those from before it began");
    let ends: Vec<String> = engine.all_planned().into_iter().map(|planned| planned.snapshot).collect();
    assert_eq!(ends, ["bounds.frozen 0:1000", "bounds.frozen 0:1000"]);
    assert_eq!(engine.count("SELECT count(*) FROM \"bounds.frozen\"").await, 1_500);
}

#[tokio::test]
async fn a_scan_of_a_topic_planned_later_in_the_query_has_the_same_end() {
    use portolan_connector::QueryContext;
    create("bounds.same", 1).await;
    produce("bounds.same", &numbers(0, 10));
    let engine = Engine::new("");
    let snapshot = engine.connector().begin(&QueryContext { query_id: "q".to_owned() }).await.unwrap();
    assert_eq!(snapshot.describe(), None, "nothing is frozen that no scan asked for");
    let state = datafusion::prelude::SessionContext::new().state();
    let context = portolan_connector::PlanContext { session: &state, snapshot };
    let table = engine.table("bounds.same").await;
    let request = portolan_connector::ScanRequest::default();
    let first = table.plan(&request, &context).await.unwrap();
    produce("bounds.same", &numbers(10, 20));
    let second = table.plan(&request, &context).await.unwrap();
    assert_eq!(first.request, second.request);
}

#[tokio::test]
async fn a_limit_stops_each_split_early() {
    create("bounds.limit", 2).await;
    let messages: Vec<Sent> = (0..10_000).map(|n| Sent::value(format!("{{\"n\":{n}}}")).to(n % 2)).collect();
    produce("bounds.limit", &messages);
    let engine = Engine::new("");
    assert_eq!(engine.rows("SELECT n FROM \"bounds.limit\" LIMIT 5").await.len(), 5);
    let planned = engine.planned();
    assert_eq!((planned.limit, planned.rows), (Some(5), Some(5)));
    assert_eq!(engine.rows("SELECT n FROM \"bounds.limit\" WHERE _partition_id = 1 LIMIT 5").await.len(), 5);
    assert_eq!(engine.planned().limit, Some(5), "all filters are exact");
    assert_eq!(engine.rows("SELECT n FROM \"bounds.limit\" WHERE n > 9000 LIMIT 5").await.len(), 5);
    assert_eq!(engine.planned().limit, None, "the engine filters, so that the source must not stop early");
}

#[tokio::test]
async fn a_partition_is_cut_into_splits_by_offsets() {
    create("bounds.splits", 1).await;
    produce("bounds.splits", &numbers(0, 3_500));
    let engine = Engine::new("messages_per_split = 1000");
    assert_eq!(engine.rows("SELECT count(*), count(DISTINCT n) FROM \"bounds.splits\"").await, ["3500|3500"]);
    assert_eq!(engine.planned().splits, 4);
}

#[tokio::test]
async fn offsets_deleted_before_the_query_are_no_gap() {
    create("bounds.deleted", 1).await;
    produce("bounds.deleted", &numbers(0, 100));
    delete_before("bounds.deleted", 0, 55).await;
    let engine = Engine::new("");
    assert_eq!(engine.rows("SELECT count(*), min(n) FROM \"bounds.deleted\"").await, ["45|55"]);
    assert_eq!(engine.planned().request, "bounds.deleted, read_committed, offsets 0:55..100");
    // A partition whose messages are all gone.
    delete_before("bounds.deleted", 0, 100).await;
    assert_eq!(engine.count("SELECT count(*) FROM \"bounds.deleted\"").await, 0);
}

/// How many threads of this process read for a catalog.
fn readers(catalog: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(Result::ok)
        .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
        .filter(|name| name.trim() == format!("kafka {catalog}"))
        .count()
}

#[tokio::test]
async fn a_dropped_stream_stops_its_thread() {
    create("bounds.drop", 1).await;
    produce("bounds.drop", &numbers(0, 60_000));
    let engine = Engine::on(connector("dropped", &on_broker("")).unwrap(), "dropped", true);
    let mut stream = engine.stream("SELECT n FROM \"bounds.drop\"").await.unwrap();
    assert_eq!(readers("dropped"), 0, "nothing starts before the first poll");
    assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
    // A slow client: the reader waits for it instead of reading on.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(readers("dropped"), 1);
    drop(stream);
    let dropped = Instant::now();
    while readers("dropped") > 0 {
        assert!(dropped.elapsed() < Duration::from_secs(1), "the thread still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(engine.count("SELECT count(n) FROM \"bounds.drop\"").await, 60_000, "the catalog still works");
}

#[tokio::test]
async fn partitions_that_are_added_are_those_of_the_next_query() {
    create("bounds.grown", 1).await;
    produce("bounds.grown", &numbers(0, 100));
    let engine = Engine::new("[tables.t]\ntopic = \"bounds.grown\"\nvalue = { columns = { n = \"bigint\" } }");
    let sql = "SELECT n, _partition_id, _cut FROM t";
    let mut stream = engine.stream(sql).await.unwrap();
    grow("bounds.grown", 3).await;
    let to = |partition, from, until| numbers(from, until).into_iter().map(move |sent| sent.to(partition));
    produce("bounds.grown", &to(0, 100, 110).chain(to(1, 110, 120)).chain(to(2, 120, 130)).collect::<Vec<_>>());
    let (mut values, mut others) = (Vec::<i64>::new(), Vec::<i64>::new());
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap();
        values.extend(batch.column(0).as_primitive::<Int64Type>().values());
        others.extend(batch.column(1).as_primitive::<Int64Type>().values().iter().copied().filter(|id| *id > 0));
        assert!(
            (0..batch.num_rows()).all(|row| batch
                .column(2)
                .as_string::<i32>()
                .value(row)
                .starts_with("bounds.grown 0:0..100 before:"))
        );
    }
    values.sort_unstable();
    assert_eq!(values, (0..100).collect::<Vec<_>>());
    assert!(others.is_empty(), "{others:?}");
    // The broker tells clients of the new partitions when they ask, and each query asks.
    assert_eq!(
        engine.rows("SELECT count(*), min(n), max(n), count(DISTINCT _partition_id) FROM t").await,
        ["130|0|129|3"]
    );
    assert_eq!(engine.planned().request, "bounds.grown, read_committed, offsets 0:0..110 1:0..10 2:0..10");
    assert_eq!(engine.rows("SELECT count(*), max(n) FROM \"t at bounds.grown 0:0..100\"").await, ["100|99"]);
    let listed = "SELECT partition_id, end_offset FROM \"t$partitions\"";
    assert_eq!(engine.rows(listed).await, ["0|110", "1|10", "2|10"]);
}
