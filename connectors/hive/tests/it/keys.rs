//! The keys of a join rule partitions out, in files of every format, before they are opened.

use std::sync::Arc;

use portolan_hive::HiveConnector;

use crate::support::{Counting, Engine, Lake, longs};

const DAYS: i32 = 12;

/// A partition for each day, each with one file of one row.
fn lake() -> Lake {
    let lake = Lake::new();
    for day in 0..DAYS {
        let directory = format!("day={day:02}");
        lake.write(&format!("s/parquet/{directory}/f.parquet"), vec![("n", longs([i64::from(day)]))]);
        lake.raw(&format!("s/csv/{directory}/f.csv"), format!("n\n{day}\n").as_bytes());
        lake.raw(&format!("s/json/{directory}/f.json"), format!("{{\"n\": {day}}}\n").as_bytes());
    }
    lake
}

#[tokio::test]
async fn partitions_without_a_partner_are_not_opened() {
    let lake = lake();
    for table in ["parquet", "csv", "json"] {
        let counting = Counting::new();
        let connector = HiveConnector::over(lake.entry(""), Arc::clone(&counting) as _).unwrap();
        let engine = Engine::new(Arc::new(connector));
        let join = "SELECT t.n, t.day FROM (VALUES (3), (7), (99)) k (k) JOIN t ON k.k = t.day";
        assert_eq!(engine.rows(table, join).await, ["3|3", "7|7"], "{table}");
        // The columns are taken from the first and the last file.
        engine.table(table).await.unwrap();
        counting.take();
        engine.pruned_rows(table, join).await;
        let (_, mut reads) = counting.take();
        reads.retain(|read| !read.contains("day=00/") && !read.contains(&format!("day={}/", DAYS - 1)));
        assert_eq!(reads.len(), 2, "{table}: {reads:?}");
        assert!(reads[0].contains("day=03/") && reads[1].contains("day=07/"), "{table}: {reads:?}");
    }
}

#[tokio::test]
async fn what_a_join_does_not_rule_out_is_read() {
    let lake = lake();
    for table in ["csv", "json"] {
        let engine = Engine::new(lake.connector("").unwrap());
        for (join, expected) in [
            // Rows without a partner are wanted.
            ("SELECT count(*), count(k) FROM t LEFT JOIN (VALUES (3), (7)) k (k) ON k.k = t.day", "12|2"),
            ("SELECT count(*), count(t.n) FROM (VALUES (3), (99)) k (k) LEFT JOIN t ON k.k = t.day", "2|1"),
            ("SELECT count(*), sum(n) FROM t WHERE day NOT IN (SELECT k FROM (VALUES (3), (7)) k (k))", "10|56"),
            ("SELECT count(*), sum(n) FROM (VALUES (3, 3), (7, 8)) k (d, n) JOIN t USING (n)", "2|11"),
            (
                "SELECT count(*), sum(t.n) FROM (VALUES (3, 3), (7, 8)) k (d, m) JOIN t ON k.d = t.day AND k.m = t.n",
                "1|3",
            ),
        ] {
            assert_eq!(engine.rows(table, join).await, [expected], "{table}: {join}");
        }
    }
}
