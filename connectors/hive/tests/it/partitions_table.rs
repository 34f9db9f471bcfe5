//! `"orders$partitions"`.

use std::sync::Arc;

use portolan_connector::Verdict;
use portolan_hive::HiveConnector;

use crate::support::{Counting, Engine, Lake, Proxy, Table, Warehouse, integers, leaf_of};

const LIST: &str = "SELECT * FROM t";

fn size(lake: &Lake, path: &str) -> u64 {
    std::fs::metadata(lake.path(path)).unwrap().len()
}

#[tokio::test]
async fn partitions_are_listed_with_files_and_bytes_and_nothing_is_read() {
    let lake = Lake::new();
    for (year, month, file) in [(2025, "12", "a"), (2026, "01", "a"), (2026, "01", "b")] {
        lake.write(&format!("s/t/year={year}/month={month}/{file}"), vec![("n", integers([1, 2]))]);
    }
    std::fs::create_dir_all(lake.path("s/t/year=2026/month=02")).unwrap();
    let counting = Counting::new();
    let connector = HiveConnector::over(lake.entry(""), Arc::clone(&counting) as _).unwrap();
    let engine = Engine::new(Arc::new(connector));
    // The footers that give the columns of the table itself are read once.
    engine.table("t").await.unwrap();
    counting.take();
    let one = size(&lake, "s/t/year=2025/month=12/a");
    let two = size(&lake, "s/t/year=2026/month=01/a") + size(&lake, "s/t/year=2026/month=01/b");
    let found = engine.rows("t$partitions", "SELECT year, month, file_count, bytes FROM t").await;
    assert_eq!(found, [format!("2025|12|1|{one}"), format!("2026|1|2|{two}"), "2026|2|0|0".to_owned()]);
    assert!(counting.take().1.is_empty(), "no file is read");
    let recent = "SELECT count(*) FROM t WHERE last_modified > now() - INTERVAL '1 hour'";
    assert_eq!(engine.value("t$partitions", recent).await, "2");
    assert_eq!(engine.value("t$partitions", "SELECT sum(bytes) FROM t WHERE file_count > 1").await, two.to_string());

    counting.take();
    let plan = engine.run("t$partitions", "SELECT * FROM t WHERE year = 2025 AND file_count > 0").await;
    assert!(counting.take().1.is_empty());
    let report = leaf_of(&plan).report();
    assert_eq!(report.filters[0].verdict, Verdict::Exact);
    assert_eq!(report.units[0].kept, 1);
    assert!(engine.rows("t$partitions", "SELECT * FROM t WHERE year = 1999").await.is_empty());
}

#[tokio::test]
async fn a_table_without_partitions_has_no_such_list() {
    let lake = Lake::new();
    lake.write("s/t/f", vec![("n", integers([1]))]);
    let connector = lake.connector("").unwrap();
    assert!(connector.table("s", "t$partitions").await.unwrap().is_none());
    assert!(connector.table("s", "nowhere$partitions").await.unwrap().is_none());
    assert!(connector.table("s", "$partitions").await.unwrap().is_none());
}

#[tokio::test]
async fn partitions_of_a_metastore() {
    let warehouse = Warehouse::new().await;
    let table = Table { keys: &[("day", "date")], ..Table::default() };
    warehouse.create(table.clone()).await;
    let mut partitions = Vec::new();
    for day in ["2026-10-01", "2026-10-02"] {
        let path = format!("elsewhere/{day}");
        warehouse.lake.write(&format!("{path}/f"), vec![("n", integers([1]))]);
        partitions.push(warehouse.partition(&table, &[day], &warehouse.location(&path)));
    }
    warehouse.add(partitions).await;
    let proxy = Proxy::start(&warehouse).await;
    let counting = Counting::new();
    let engine = warehouse.watched(&proxy, Arc::clone(&counting) as _);
    let bytes = size(&warehouse.lake, "elsewhere/2026-10-02/f");
    let found =
        engine.pruned_rows("t$partitions", "SELECT day, file_count, bytes FROM t WHERE day > '2026-10-01'").await;
    assert_eq!(found, [format!("2026-10-02|1|{bytes}")]);
    let (lists, reads) = counting.take();
    assert_eq!((lists, reads), (vec!["elsewhere/2026-10-02".to_owned()], Vec::new()));
    assert_eq!(engine.pruned_rows("t$partitions", LIST).await.len(), 2);
}
