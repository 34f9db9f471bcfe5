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
    assert_eq!(names, [("$path", false), ("$file_size", true), ("$file_modified_time", true), ("$row_group", true)]);
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

/// Two files of three row groups each, with 10 rows in each.
fn grouped() -> Lake {
    let lake = Lake::new();
    for file in 0..2 {
        let properties =
            parquet::file::properties::WriterProperties::builder().set_max_row_group_row_count(Some(10)).build();
        let numbers = integers((file * 30..(file + 1) * 30).collect::<Vec<_>>());
        lake.write_with(&format!("s/t/day={file}/f"), vec![("n", numbers)], properties);
    }
    lake
}

#[tokio::test]
async fn row_groups_are_told_apart_and_left_out() {
    let lake = grouped();
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(
        engine.rows("t", "SELECT day, \"$row_group\", count(*), min(n), max(n) FROM t GROUP BY 1, 2").await,
        ["0|0|10|0|9", "0|1|10|10|19", "0|2|10|20|29", "1|0|10|30|39", "1|1|10|40|49", "1|2|10|50|59"]
    );
    let one = "SELECT min(n), max(n), count(*) FROM t WHERE day = 1 AND \"$row_group\" = 2";
    assert_eq!(engine.rows("t", one).await, ["50|59|10"]);
    let (plan, _) = engine.plan("t", one).await.unwrap();
    let report = leaf_of(&plan).report();
    assert!(report.filters.iter().all(|filter| filter.verdict == Verdict::Exact));
    assert_eq!(
        report.units.iter().map(|unit| (unit.kind, unit.total, unit.kept)).collect::<Vec<_>>(),
        [("partitions", Some(2), 1), ("files", None, 1), ("row_groups", Some(3), 1)]
    );
    for (filter, rows) in [
        ("\"$row_group\" IN (0, 2)", 40),
        ("\"$row_group\" = 1 OR n < 5", 25),
        ("\"$row_group\" > 2", 0),
        ("\"$row_group\" IS NULL", 0),
        ("\"$row_group\" = 1 AND n > 14 AND \"$path\" LIKE '%day=0%'", 5),
        ("\"$row_group\" + 1 = 1 AND day = 0", 10),
    ] {
        assert_eq!(
            engine.value("t", &format!("SELECT count(*) FROM t WHERE {filter}")).await,
            rows.to_string(),
            "{filter}"
        );
    }
    assert_eq!(engine.value("t", "SELECT count(DISTINCT \"$row_group\") FROM t WHERE n >= 25").await, "3");
}

#[tokio::test]
async fn files_of_text_have_no_row_groups() {
    let lake = Lake::new();
    lake.raw("s/t/f.csv", b"n\n1\n");
    let engine = Engine::new(lake.connector("").unwrap());
    let table = engine.table("t").await.unwrap();
    assert!(table.columns().iter().all(|column| column.name() != "$row_group"));
}
