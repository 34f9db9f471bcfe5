//! What is remembered from one query to the next, and that it is never taken for true when it is not.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::physical_plan::collect;
use portolan_connector::{ArgumentValue, Arguments, Connector};
use portolan_hive::HiveConnector;

use crate::support::{Counting, Engine, Lake, Proxy, S3Server, Table, Warehouse, integers, leaf_of};

const HOUR: &str = "listing_ttl_seconds = 3600";

fn engine(lake: &Lake, settings: &str) -> (Engine, Arc<Counting>) {
    let counting = Counting::new();
    let connector = HiveConnector::over(lake.entry(settings), Arc::clone(&counting) as _).unwrap();
    (Engine::new(Arc::new(connector)), counting)
}

async fn flush(connector: &dyn Connector) -> String {
    connector.call("flush_cache", &Arguments::default()).await.unwrap()
}

fn snapshot(plan: &Arc<dyn datafusion::physical_plan::ExecutionPlan>) -> String {
    leaf_of(plan).report().snapshot.clone().unwrap()
}

/// Two row groups' worth of numbers; the same many bytes for every first number.
fn numbers(first: i32) -> Vec<(&'static str, ArrayRef)> {
    vec![("n", integers([first, first + 1]))]
}

/// A file with the footer of one content and the data of another would give rows of neither, or none.
async fn a_rewritten_file_is_read_anew(lake: &Lake, engine: &Engine) {
    lake.write("s/t/f", numbers(10));
    let path = lake.path("s/t/f");
    let sums = "SELECT sum(n), min(n), count(*) FROM t WHERE n >= 10";
    assert_eq!(engine.rows("t", sums).await, ["21|10|2"]);
    let before = std::fs::metadata(&path).unwrap();
    lake.write("s/t/f", numbers(30));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), before.len(), "the size does not tell");
    assert_eq!(engine.rows("t", sums).await, ["61|30|2"]);
    assert_eq!(engine.rows("t", "SELECT count(*) FROM t WHERE n < 20").await, ["0"]);
    // A footer of another size: the old one would point into the middle of the new file.
    lake.write("s/t/f", vec![("n", integers(0..1000)), ("m", integers(0..1000))]);
    assert_eq!(engine.rows("t", "SELECT sum(n), sum(m) FROM t").await, ["499500|499500"]);
}

#[tokio::test]
async fn a_file_rewritten_in_place_is_never_answered_from_a_stale_footer() {
    let lake = Lake::new();
    a_rewritten_file_is_read_anew(&lake, &Engine::new(lake.connector("").unwrap())).await;
}

#[tokio::test]
async fn a_file_rewritten_in_place_on_s3_is_never_answered_from_a_stale_footer() {
    let lake = Lake::new();
    let server = S3Server::start(lake.buckets()).await;
    a_rewritten_file_is_read_anew(&lake, &Engine::new(server.connector("s3://bucket/lake"))).await;
}

#[tokio::test]
async fn a_file_that_another_replaced_under_the_same_size_and_time_is_read_anew() {
    let lake = Lake::new();
    lake.write("s/t/f", numbers(10));
    let engine = Engine::new(lake.connector("").unwrap());
    let sql = "SELECT count(*) FROM t WHERE n > 20";
    assert_eq!(engine.rows("t", sql).await, ["0"]);
    let written = std::fs::metadata(lake.path("s/t/f")).unwrap().modified().unwrap();
    lake.write("other", numbers(30));
    std::fs::File::options().write(true).open(lake.path("other")).unwrap().set_modified(written).unwrap();
    std::fs::rename(lake.path("other"), lake.path("s/t/f")).unwrap();
    assert_eq!(engine.rows("t", sql).await, ["2"]);
}

/// Between the listing and the reading of a file.
async fn a_file_that_changes_under_a_query_is_an_error(lake: &Lake, engine: &Engine, file: &str) {
    lake.write("s/t/f", numbers(10));
    engine.rows("t", "SELECT n FROM t").await;
    let (plan, context) = engine.plan("t", "SELECT n FROM t").await.unwrap();
    lake.write("s/t/f", vec![("n", integers(0..1000))]);
    let error = collect(plan, context.task_ctx()).await.unwrap_err().strip_backtrace();
    assert!(error.contains(&format!("catalog lake, table s.t: cannot read {file}")), "{error}");
    assert!(error.contains("the file is not the one that was listed"), "{error}");
    assert!(error.contains("written anew since the query began: run the query again"), "{error}");
    assert_eq!(engine.rows("t", "SELECT count(*) FROM t").await, ["1000"]);
}

#[tokio::test]
async fn a_file_that_changes_under_a_query() {
    let lake = Lake::new();
    let file = lake.path("s/t/f").display().to_string();
    a_file_that_changes_under_a_query_is_an_error(&lake, &Engine::new(lake.connector("").unwrap()), &file).await;
}

#[tokio::test]
async fn a_file_that_changes_under_a_query_on_s3() {
    let lake = Lake::new();
    let server = S3Server::start(lake.buckets()).await;
    let engine = Engine::new(server.connector("s3://bucket/lake"));
    a_file_that_changes_under_a_query_is_an_error(&lake, &engine, "s3://bucket/lake/s/t/f").await;
}

#[tokio::test]
async fn a_text_file_that_changes_under_a_query() {
    let lake = Lake::new();
    lake.raw("s/t/f.csv", b"n\n1\n2\n");
    let engine = Engine::new(lake.connector("").unwrap());
    let (plan, context) = engine.plan("t", "SELECT n FROM t").await.unwrap();
    lake.raw("s/t/f.csv", b"n\n1\n2\n3\n");
    let error = collect(plan, context.task_ctx()).await.unwrap_err().strip_backtrace();
    assert!(error.contains("f.csv: ") && error.contains("the file is not the one that was listed"), "{error}");
}

#[tokio::test]
async fn by_default_every_query_lists() {
    let lake = Lake::new();
    lake.write("s/t/day=1/f", vec![("n", integers([1]))]);
    let (engine, counting) = engine(&lake, "");
    for n in 2..4 {
        lake.write(&format!("s/t/day={n}/f"), vec![("n", integers([n]))]);
        counting.count();
        let plan = engine.run("t", "SELECT n FROM t").await;
        assert!(!snapshot(&plan).contains("cache"), "{}", snapshot(&plan));
        assert!(counting.count().0 > 0);
        assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, n.to_string());
    }
}

#[tokio::test]
async fn listings_are_believed_as_long_as_the_catalog_says_and_flushed_on_request() {
    let lake = Lake::new();
    for day in 1..=5 {
        lake.write(&format!("s/t/day={day}/f"), vec![("n", integers([day]))]);
    }
    let (engine, counting) = engine(&lake, HOUR);
    let count = "SELECT count(*) FROM t";
    assert_eq!(engine.value("t", count).await, "5");
    counting.count();
    let plan = engine.run("t", "SELECT sum(n) FROM t").await;
    assert_eq!(counting.count().0, 0, "nothing is listed again");
    let text = snapshot(&plan);
    assert!(text.contains(" · 5 files · 6 listings from the cache, up to ") && text.ends_with(" s old"), "{text}");
    // What others write is seen later, in known directories and in new ones.
    lake.write("s/t/day=3/g", vec![("n", integers([30]))]);
    lake.write("s/t/day=6/f", vec![("n", integers([6]))]);
    assert_eq!(engine.value("t", count).await, "5");
    let done = flush(engine.connector.as_ref()).await;
    assert!(done.ends_with("footers, 6 listings"), "{done}");
    assert_eq!(engine.value("t", count).await, "7");

    lake.write("s/t/day=7/f", vec![("n", integers([7]))]);
    let of = |table: &str| {
        let mut arguments = Arguments::default();
        arguments.insert("schema_name", ArgumentValue::Text("s".to_owned()));
        arguments.insert("table_name", ArgumentValue::Text(table.to_owned()));
        arguments
    };
    engine.connector.call("flush_cache", &of("another")).await.unwrap();
    assert_eq!(engine.value("t", count).await, "7");
    let done = engine.connector.call("flush_cache", &of("t")).await.unwrap();
    assert_eq!(done, "forgot the listings of s.t");
    assert_eq!(engine.value("t", count).await, "8");
}

#[tokio::test]
async fn a_file_of_a_remembered_listing_that_is_gone_is_an_error_once() {
    let lake = Lake::new();
    lake.write("s/t/f", vec![("n", integers([1]))]);
    lake.write("s/t/g", vec![("n", integers([2]))]);
    let (engine, _) = engine(&lake, HOUR);
    assert_eq!(engine.value("t", "SELECT sum(n) FROM t").await, "3");
    std::fs::remove_file(lake.path("s/t/g")).unwrap();
    let error = engine.error("t", "SELECT sum(n) FROM t").await;
    assert!(error.contains("s/t/g") && error.contains("run the query again"), "{error}");
    assert_eq!(engine.value("t", "SELECT sum(n) FROM t").await, "1");
}

#[tokio::test]
async fn listings_that_find_no_room_are_made_again() {
    let lake = Lake::new();
    // About 300 bytes for each of 8,000 files: more than the megabyte that may be kept.
    for file in 0..8000 {
        lake.raw(&format!("s/t/day=1/{file:0>150}.csv"), b"n\n1\n");
    }
    let (engine, counting) = engine(&lake, &format!("{HOUR}\nlisting_cache_mb = 1"));
    engine.plan("t", "SELECT n FROM t").await.unwrap();
    counting.take();
    engine.plan("t", "SELECT n FROM t").await.unwrap();
    assert_eq!(counting.take().0, ["s/t/day=1"]);
}

#[tokio::test]
async fn partitions_of_a_metastore_are_believed_as_long() {
    let warehouse = Warehouse::new().await;
    let table = Table { keys: &[("day", "int")], ..Table::default() };
    warehouse.create(table.clone()).await;
    let partition = |day: i32| {
        let path = format!("{}/t/day={day}", warehouse.database);
        warehouse.lake.write(&format!("{path}/f"), vec![("n", integers([day]))]);
        warehouse.partition(&table, &[&day.to_string()], &warehouse.location(&path))
    };
    warehouse.add(vec![partition(1), partition(2)]).await;
    let proxy = Proxy::start(&warehouse).await;
    let counting = Counting::new();
    let engine = warehouse.watched_with(&proxy, Arc::clone(&counting) as _, HOUR);
    let count = "SELECT count(*) FROM t";
    assert_eq!(engine.pruned_rows("t", count).await, ["2"]);
    proxy.take();
    counting.count();
    let plan = engine.run("t", count).await;
    let methods: Vec<String> = proxy.take().into_iter().map(|(method, _)| method).collect();
    assert_eq!(methods, ["get_table_req"], "names and places are known");
    assert_eq!(counting.count().0, 0);
    assert!(snapshot(&plan).contains("3 listings from the cache"), "{}", snapshot(&plan));
    warehouse.add(vec![partition(3)]).await;
    assert_eq!(engine.pruned_rows("t", count).await, ["2"]);
    let done = flush(engine.connector.as_ref()).await;
    assert!(done.contains("2 listings, partitions of 1 table"), "{done}");
    assert_eq!(engine.pruned_rows("t", count).await, ["3"]);
}
