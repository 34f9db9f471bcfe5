//! Exactly how many requests queries take. The files are small: each comes whole with its footer.

use std::sync::Arc;

use portolan_hive::{HiveConnector, partition_directory};

use crate::support::{Counting, Engine, Lake, longs};

const DAYS: i64 = 1000;

/// A partition for each of a thousand days from 2024-01-01 on, with one file of one row.
fn days() -> Lake {
    let lake = Lake::new();
    for day in 0..DAYS {
        let date = chrono::NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + chrono::Duration::days(day);
        let directory = partition_directory("day", Some(&date.to_string()));
        lake.write(&format!("s/t/{directory}/f"), vec![("n", longs([day]))]);
    }
    lake
}

struct Counted {
    _lake: Lake,
    engine: Engine,
    counting: Arc<Counting>,
}

impl Counted {
    fn new(settings: &str) -> Self {
        Self::with(settings, 2)
    }

    /// Files are read one after the other, so that there is one order in which anything becomes known.
    fn one_by_one(settings: &str) -> Self {
        Self::with(settings, 1)
    }

    fn with(settings: &str, threads: usize) -> Self {
        let lake = days();
        let counting = Counting::new();
        let connector = HiveConnector::over(lake.entry(settings), Arc::clone(&counting) as _).unwrap();
        let engine = Engine { threads, ..Engine::new(Arc::new(connector)) };
        Self { _lake: lake, engine, counting }
    }

    /// How many LIST and GET requests a query takes, and what it answers.
    async fn of(&self, sql: &str) -> (usize, usize, Vec<String>) {
        self.counting.count();
        let answer = self.engine.pruned_rows("t", sql).await;
        let (lists, gets) = self.counting.count();
        (lists, gets, answer)
    }
}

fn rows(rows: &[&str]) -> Vec<String> {
    rows.iter().map(|row| (*row).to_owned()).collect()
}

/// To open the table: its directory, and its first and last partition, whose footers are remembered after the first time.
const OPENING: usize = 3;

/// Files that are opened while the one before them is read.
const PREFETCHED: usize = 0;

#[tokio::test]
async fn a_point_a_range_and_a_list() {
    let counted = Counted::new("");
    let point = "SELECT n FROM t WHERE day = DATE '2025-03-01'";
    assert_eq!(counted.of(point).await, (OPENING + 1, 2 + 1, rows(&["425"])), "the first query reads two footers");
    assert_eq!(counted.of(point).await, (OPENING + 1, 1, rows(&["425"])));
    let range = "SELECT count(n) FROM t WHERE day BETWEEN DATE '2025-03-01' AND DATE '2025-03-31'";
    assert_eq!(counted.of(range).await, (OPENING + 31, 31, rows(&["31"])));
    let list = "SELECT n FROM t WHERE day IN (DATE '2024-01-05', DATE '2024-01-09', DATE '1999-01-01')";
    assert_eq!(counted.of(list).await, (OPENING + 2, 2, rows(&["4", "8"])));
    let nothing = "SELECT n FROM t WHERE day > DATE '2100-01-01'";
    assert_eq!(counted.of(nothing).await, (OPENING, 0, Vec::new()));
}

#[tokio::test]
async fn once_names_are_cached_a_point_is_one_listing_and_then_none() {
    let counted = Counted::new("listing_ttl_seconds = 3600");
    counted.of("SELECT n FROM t WHERE day = DATE '2025-03-01'").await;
    let another = "SELECT n FROM t WHERE day = DATE '2025-03-02'";
    assert_eq!(counted.of(another).await, (1, 1, rows(&["426"])));
    assert_eq!(counted.of(another).await, (0, 1, rows(&["426"])));
}

#[tokio::test]
async fn counting_reads_footers_once_and_then_nothing() {
    let counted = Counted::new("");
    let days = DAYS as usize;
    let count = "SELECT count(*) FROM t";
    // The first and the last partition were listed when the table was opened, and their footers read.
    assert_eq!(counted.of(count).await, (OPENING + days - 2, days, rows(&["1000"])));
    assert_eq!(counted.of(count).await, (OPENING + days - 2, 0, rows(&["1000"])));
    assert_eq!(counted.of("SELECT count(*) FROM t WHERE day < DATE '2024-01-11'").await.1, 0);
    let of_days = "SELECT min(day), max(day), count(DISTINCT day) FROM t";
    assert_eq!(counted.of(of_days).await, (OPENING + days - 2, 0, rows(&["2024-01-01|2026-09-26|1000"])));
}

/// Files that two threads may have begun to read before either has told what it found.
const MET_MEANWHILE: usize = 8;

#[tokio::test]
async fn least_and_greatest_take_one_request_for_each_file() {
    let counted = Counted::one_by_one("");
    let days = DAYS as usize;
    let extremes = "SELECT min(n), max(n) FROM t";
    let lists = OPENING + days - 2;
    // Two footers to open the table, and the rows of these two files; all others come whole. Each file has a greater number
    // than those before it, so that none is left out.
    assert_eq!(counted.of(extremes).await, (lists, 2 + days, rows(&["0|999"])));
    // With known footers, the rows alone.
    assert_eq!(counted.of(extremes).await, (lists, days, rows(&["0|999"])));
    // Several threads take no more.
    let counted = Counted::new("");
    let (_, gets, answer) = counted.of(extremes).await;
    assert_eq!(answer, rows(&["0|999"]));
    assert!((days..=2 + days).contains(&gets), "{gets}");
    // The least alone: what a thread has found rules out all files whose footers are known and say that they have no less.
    let least = "SELECT min(n) FROM t";
    let (_, gets, answer) = counted.of(least).await;
    assert_eq!(answer, rows(&["0"]));
    assert!((1..=MET_MEANWHILE).contains(&gets), "{gets}");
    // Where they are not known, each file is asked for once, and comes whole.
    let (_, gets, answer) = Counted::new("").of(least).await;
    assert_eq!(answer, rows(&["0"]));
    assert!(gets <= 2 + days, "{gets}");
}

#[tokio::test]
async fn a_limit_opens_as_many_files_as_it_takes() {
    let counted = Counted::one_by_one("listing_ttl_seconds = 3600");
    counted.of("SELECT count(*) FROM t").await;
    let days = |rows: i64| (32..32 + rows).map(|day| day.to_string()).collect::<Vec<_>>();
    for limit in [1_i64, 10] {
        let sql = format!("SELECT n FROM t WHERE day > DATE '2024-02-01' LIMIT {limit}");
        // A row from each file, and the one after the last is opened while that is read.
        assert_eq!(counted.of(&sql).await, (0, limit as usize + PREFETCHED, days(limit)));
    }
    let counted = Counted::new("listing_ttl_seconds = 3600");
    counted.of("SELECT count(*) FROM t").await;
    let (lists, gets, answer) = counted.of("SELECT n FROM t WHERE day > DATE '2024-02-01' LIMIT 1").await;
    assert_eq!((lists, answer.len()), (0, 1));
    // Two threads, each of which may have begun its second file.
    assert!((1..=4).contains(&gets), "{gets}");
}
