//! What is listed and what is opened.

use std::sync::Arc;

use crate::support::{Counting, Engine, Lake, integers, leaf_of, longs};
use portolan_hive::{HiveConnector, partition_directory};

fn engine(lake: &Lake, settings: &str) -> (Engine, Arc<Counting>) {
    let counting = Counting::new();
    let connector = HiveConnector::over(lake.entry(settings), Arc::clone(&counting) as _).unwrap();
    (Engine::new(Arc::new(connector)), counting)
}

/// 1,000 partitions by day, each with one file.
fn days() -> Lake {
    let lake = Lake::new();
    for day in 0..1000 {
        let date = chrono::NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + chrono::Duration::days(day);
        let directory = partition_directory("order_date", Some(&date.to_string()));
        lake.write(&format!("s/orders/{directory}/part-0.parquet"), vec![("n", longs([day]))]);
    }
    lake
}

#[tokio::test]
async fn of_a_thousand_partitions_only_those_that_match_are_listed_and_opened() {
    let lake = days();
    let (engine, counting) = engine(&lake, "");
    engine.table("orders").await.unwrap();
    let (lists, reads) = counting.take();
    assert_eq!(
        lists,
        ["s/orders", "s/orders/order_date=2024-01-01", "s/orders/order_date=2026-09-26"],
        "opening the table lists the partitions, and the first and last of them"
    );
    assert_eq!(
        reads,
        ["s/orders/order_date=2024-01-01/part-0.parquet", "s/orders/order_date=2026-09-26/part-0.parquet"],
        "and reads two footers"
    );

    // How many partitions are kept, and how many of these are neither the first nor the last of all.
    for (filter, partitions, inner, sum) in [
        ("order_date = DATE '2025-03-01'", 1, 1, 425),
        ("order_date BETWEEN '2025-03-01' AND '2025-03-31'", 31, 31, (425..456).sum::<i64>()),
        ("order_date IN ('2024-01-02', '2024-01-04', '1999-01-01')", 2, 2, 4),
        ("order_date < '2024-01-03' OR order_date > '2026-09-25'", 3, 1, 1000),
        ("date_part('year', order_date) = 2026 AND date_part('month', order_date) = 9", 26, 25, (974..1000).sum()),
        ("order_date IS NULL", 0, 0, 0),
    ] {
        counting.take();
        let plan = engine.run("orders", &format!("SELECT sum(n) FROM t WHERE {filter}")).await;
        let (lists, reads) = counting.take();
        // Opening the table lists three directories, which the scan does not list again.
        assert_eq!(lists.len(), 3 + inner, "{filter}");
        assert_eq!(reads.len(), partitions, "{filter}: {reads:?}");
        let units = &leaf_of(&plan).report().units;
        assert_eq!((units[0].total, units[0].kept), (Some(1000), partitions as u64), "{filter}");
        let answer = engine.pruned_rows("orders", &format!("SELECT coalesce(sum(n), 0) FROM t WHERE {filter}")).await;
        assert_eq!(answer, [sum.to_string()], "{filter}");
    }
}

#[tokio::test]
async fn levels_below_a_partition_that_is_left_out_are_not_listed() {
    let lake = Lake::new();
    for year in 2020..2026 {
        for month in 1..=12 {
            let n = year * 100 + month;
            lake.write(&format!("s/t/year={year}/month={month:02}/f"), vec![("n", integers([n]))]);
        }
    }
    let (engine, counting) = engine(&lake, "");
    // The footers that give the columns are read once.
    engine.table("t").await.unwrap();
    counting.take();
    let plan = engine.run("t", "SELECT n FROM t WHERE year = 2023 AND month > 10").await;
    let (lists, reads) = counting.take();
    let scanned: Vec<&String> = lists.iter().filter(|path| path.starts_with("s/t/year=2023")).collect();
    assert_eq!(scanned, ["s/t/year=2023", "s/t/year=2023/month=11", "s/t/year=2023/month=12"]);
    assert_eq!(reads, ["s/t/year=2023/month=11/f", "s/t/year=2023/month=12/f"]);
    let report = leaf_of(&plan).report();
    assert_eq!((report.units[0].total, report.units[0].kept), (None, 2), "the others were not counted");
    assert!(report.request.as_deref().unwrap().ends_with("/s/t/year=2023/month=1*"), "{:?}", report.request);

    // A filter over both levels is evaluated when both are known, and what it says of the first alone is used at once.
    counting.take();
    engine.run("t", "SELECT n FROM t WHERE (year = 2020 AND month = 1) OR (year = 2021 AND month = 2)").await;
    let (_, reads) = counting.take();
    assert_eq!(reads, ["s/t/year=2020/month=01/f", "s/t/year=2021/month=02/f"]);
    // What a filter over partitions and columns says of the partitions.
    let sql = "SELECT n FROM t WHERE (year = 2020 AND n = 202005) OR (year = 2021 AND n > 202111)";
    assert_eq!(engine.rows("t", sql).await, ["202005", "202112"]);
    counting.take();
    engine.run("t", sql).await;
    let (_, reads) = counting.take();
    assert!(reads.iter().all(|path| path.contains("year=2020") || path.contains("year=2021")), "{reads:?}");
}

#[tokio::test]
async fn a_query_sees_one_listing() {
    let lake = Lake::new();
    lake.write("s/t/y=1/f", vec![("n", integers([1]))]);
    let connector = lake.connector("").unwrap();
    let engine = Engine::new(Arc::clone(&connector));
    let table = engine.table("t").await.unwrap();
    let snapshot = connector.begin(&portolan_connector::QueryContext { query_id: "q".to_owned() }).await.unwrap();
    let session = datafusion::prelude::SessionContext::new();
    let state = session.state();
    let context = portolan_connector::PlanContext { session: &state, snapshot: Arc::clone(&snapshot) };
    let request = portolan_connector::ScanRequest { projection: vec![0], ..Default::default() };
    let first = table.plan(&request, &context).await.unwrap();
    lake.write("s/t/y=1/g", vec![("n", integers([2]))]);
    lake.write("s/t/y=2/f", vec![("n", integers([3]))]);
    let second = table.plan(&request, &context).await.unwrap();
    assert_eq!(first.request, second.request);
    assert_eq!(first.units, second.units);
    let described = snapshot.describe().unwrap();
    assert!(described.starts_with("listed 20") && described.ends_with("Z · 1 file"), "{described}");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "3", "the next query sees the new files");
}

#[tokio::test]
async fn limits_name_the_partition_columns() {
    let lake = Lake::new();
    for day in 10..30 {
        lake.write(&format!("s/t/day={day}/f"), vec![("n", integers([day]))]);
        lake.write(&format!("s/t/day={day}/g"), vec![("n", integers([day]))]);
    }
    let engine = Engine::new(lake.connector("max_partitions = 5").unwrap());
    let error = engine.error("t", "SELECT count(*) FROM t").await;
    assert!(error.contains("catalog lake, table s.t: the scan would read more than 5 partitions"), "{error}");
    assert!(error.contains("filter on the partition columns (day), or raise max_partitions"), "{error}");
    assert_eq!(engine.pruned_rows("t", "SELECT count(*) FROM t WHERE day > 24").await, ["10"]);
    let engine = Engine::new(lake.connector("max_files = 10").unwrap());
    let error = engine.error("t", "SELECT count(*) FROM t").await;
    assert!(error.contains("more than 10 files"), "{error}");
    assert_eq!(engine.pruned_rows("t", "SELECT count(*) FROM t WHERE day > 24").await, ["10"]);
}

#[tokio::test]
async fn a_limit_reads_no_more_files_than_it_needs() {
    let lake = Lake::new();
    for part in 0..50 {
        lake.write(&format!("s/t/day={part:02}/f"), vec![("n", integers(0..100))]);
    }
    let (engine, counting) = engine(&lake, "");
    for sql in ["SELECT n FROM t LIMIT 5", "SELECT n FROM t WHERE day >= 10 LIMIT 5"] {
        counting.take();
        assert_eq!(engine.try_rows("t", sql).await.unwrap().len(), 5);
        let (_, reads) = counting.take();
        assert!(reads.len() <= 8, "{sql}: {reads:?}");
    }
}

#[tokio::test]
async fn one_large_file_is_read_by_several_threads() {
    use datafusion::physical_plan::ExecutionPlan;
    let lake = Lake::new();
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(10_000))
        .set_dictionary_enabled(false)
        .build();
    lake.write_with("s/t/f", vec![("n", longs(0..100_000))], properties);
    let engine = Engine::new(lake.connector("").unwrap());
    let (plan, _) = engine.plan("t", "SELECT sum(n) FROM t").await.unwrap();
    assert_eq!(leaf_of(&plan).properties().output_partitioning().partition_count(), 2);
    assert_eq!(engine.value("t", "SELECT sum(n), count(*) FROM t").await, "4999950000|100000");
}

#[tokio::test]
async fn filters_known_only_at_run_time_leave_partitions_unopened() {
    let lake = days();
    let (engine, counting) = engine(&lake, "");
    let build = "(VALUES (DATE '2024-02-01'), (DATE '2024-02-03')) AS b(d)";
    let sql = format!("SELECT sum(n) FROM t JOIN {build} ON t.order_date = b.d");
    assert_eq!(engine.pruned_rows("orders", &sql).await, [(31 + 33).to_string()]);
    let (_, reads) = counting.take();
    assert!(reads.len() <= 10, "{} files were opened", reads.len());
}

#[tokio::test]
async fn after_flush_cache_footers_are_read_again() {
    let lake = Lake::new();
    lake.write("s/t/day=1/f", vec![("n", integers([1]))]);
    let (engine, counting) = engine(&lake, "");
    let footers = async || {
        counting.take();
        engine.table("t").await.unwrap();
        counting.take().1
    };
    assert_eq!(footers().await, ["s/t/day=1/f"]);
    assert!(footers().await.is_empty(), "they are remembered");
    let done = engine.connector.call("flush_cache", &portolan_connector::Arguments::default()).await.unwrap();
    assert_eq!(done, "forgot 1 footer, 0 listings");
    assert_eq!(footers().await, ["s/t/day=1/f"]);
}
