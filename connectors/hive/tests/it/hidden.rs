//! `$path`, `$file_size`, `$file_modified_time` and `$partition`.

use crate::support::{Counting, Engine, Lake, integers, leaf_of};
use portolan_connector::Verdict;
use portolan_hive::HiveConnector;
use std::sync::Arc;

fn lake() -> Lake {
    let lake = Lake::new();
    for (year, month, n) in [(2025, "12", 1), (2026, "01", 2), (2026, "02", 3)] {
        lake.write(&format!("s/t/year={year}/month={month}/part-{n}.parquet"), vec![("n", integers([n]))]);
    }
    lake
}

#[tokio::test]
async fn they_say_which_file_a_row_is_from() {
    let lake = lake();
    let engine = Engine::new(lake.connector("").unwrap());
    let directory = lake.path("s/t").display().to_string();
    assert_eq!(
        engine.rows("t", "SELECT n, \"$path\", \"$partition\" FROM t").await,
        [
            format!("1|{directory}/year=2025/month=12/part-1.parquet|year=2025/month=12"),
            format!("2|{directory}/year=2026/month=01/part-2.parquet|year=2026/month=01"),
            format!("3|{directory}/year=2026/month=02/part-3.parquet|year=2026/month=02"),
        ]
    );
    let size = std::fs::metadata(lake.path("s/t/year=2025/month=12/part-1.parquet")).unwrap().len();
    assert_eq!(engine.value("t", "SELECT \"$file_size\" FROM t WHERE n = 1").await, size.to_string());
    assert_eq!(
        engine.value("t", "SELECT count(*) FROM t WHERE \"$file_modified_time\" > now() - INTERVAL '1 hour'").await,
        "3"
    );
    assert_eq!(engine.value("t", "SELECT sum(n) FROM t WHERE \"$path\" LIKE '%part-2%' OR month = 12").await, "3");
    assert_eq!(engine.value("t", "SELECT count(DISTINCT \"$path\") FROM t").await, "3");
}

#[tokio::test]
async fn filters_on_them_leave_files_unopened() {
    let lake = lake();
    let counting = Counting::new();
    let connector = HiveConnector::over(lake.entry(""), Arc::clone(&counting) as _).unwrap();
    let engine = Engine::new(Arc::new(connector));
    let (plan, _) = engine.plan("t", "SELECT n FROM t WHERE \"$path\" LIKE '%part-2%'").await.unwrap();
    let report = leaf_of(&plan).report();
    assert_eq!(report.filters[0].verdict, Verdict::Exact);
    assert_eq!(report.filters[0].remote.as_deref(), Some("files"));
    assert_eq!(
        report.units.iter().map(|u| (u.kind, u.total, u.kept)).collect::<Vec<_>>(),
        [("partitions", Some(3), 3), ("files", Some(3), 1)]
    );
    counting.take();
    engine.run("t", "SELECT n FROM t WHERE \"$partition\" = 'year=2025/month=12'").await;
    let (_, reads) = counting.take();
    assert_eq!(reads, ["s/t/year=2025/month=12/part-1.parquet"]);
}

#[tokio::test]
async fn they_are_hidden_and_yield_to_columns_of_the_same_name() {
    let lake = Lake::new();
    lake.write("s/t/f", vec![("$path", integers([7]))]);
    let engine = Engine::new(lake.connector("").unwrap());
    let table = engine.table("t").await.unwrap();
    let names: Vec<(&str, bool)> = table.columns().iter().map(|c| (c.name(), c.hidden.is_some())).collect();
    assert_eq!(names, [("$path", false), ("$file_size", true), ("$file_modified_time", true)]);
    assert_eq!(engine.rows("t", "SELECT \"$path\" FROM t").await, ["7"]);
}

#[tokio::test]
async fn each_of_them_prunes() {
    let lake = lake();
    // Larger than the others, and of an earlier day.
    lake.write("s/t/year=2026/month=02/part-3.parquet", vec![("n", integers((3..3000).collect::<Vec<_>>()))]);
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = lake.path("s/t/year=2025/month=12/part-1.parquet");
    std::fs::File::options().write(true).open(file).unwrap().set_modified(old).unwrap();
    let counting = Counting::new();
    let connector = HiveConnector::over(lake.entry(""), Arc::clone(&counting) as _).unwrap();
    let engine = Engine::new(Arc::new(connector));
    engine.run("t", "SELECT n FROM t").await;
    for (filter, kept) in [
        ("\"$path\" LIKE '%part-2%'", "s/t/year=2026/month=01/part-2.parquet"),
        ("\"$partition\" = 'year=2026/month=02'", "s/t/year=2026/month=02/part-3.parquet"),
        ("\"$file_size\" > 2000", "s/t/year=2026/month=02/part-3.parquet"),
        ("\"$file_modified_time\" < TIMESTAMP '2002-01-01 00:00:00'", "s/t/year=2025/month=12/part-1.parquet"),
    ] {
        counting.take();
        let (plan, _) = engine.plan("t", &format!("SELECT n FROM t WHERE {filter}")).await.unwrap();
        let units = &leaf_of(&plan).report().units;
        assert_eq!((units[1].total, units[1].kept), (Some(3), 1), "{filter}");
        engine.run("t", &format!("SELECT n FROM t WHERE {filter}")).await;
        assert_eq!(counting.take().1, [kept], "{filter}");
    }
}
