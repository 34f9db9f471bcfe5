//! Row groups and pages that are left out, and those that must not be.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use datafusion::common::ScalarValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::support::{Engine, Lake, dates, floats, integers, leaf_of, longs, metric, texts};

/// Ten row groups of 100 rows: `n` counts up, `s` is `k0000` and so on, `f` is like `n`.
fn sorted() -> Lake {
    let lake = Lake::new();
    let names: Vec<String> = (0..1000).map(|n| format!("k{n:04}")).collect();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(100))
        .set_data_page_row_count_limit(10)
        .set_write_batch_size(10)
        .set_bloom_filter_enabled(true)
        .build();
    lake.write_with(
        "s/t/f",
        vec![
            ("n", longs(0..1000)),
            ("s", texts(names.iter().map(String::as_str))),
            ("f", floats((0..1000).map(f64::from))),
            ("d", dates(0..1000)),
            ("gap", longs((0..1000).map(|n| n * 2))),
            ("half", integers((0..1000).map(|n| (n < 500).then_some(n)))),
        ],
        properties,
    );
    lake
}

fn pruned(metric: &str) -> u64 {
    // `10 total → 1 matched`, or a bare number.
    let numbers: Vec<u64> = metric.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    match numbers.as_slice() {
        [total, matched, ..] => total - matched,
        _ => 0,
    }
}

#[tokio::test]
async fn row_groups_are_left_out_by_their_statistics() {
    let lake = sorted();
    let engine = Engine::new(lake.connector("").unwrap());
    for (filter, left_out) in [
        ("n = 555", 9),
        ("n > 750", 7),
        ("n BETWEEN 150 AND 250", 8),
        ("n IN (1, 999)", 8),
        ("n < 100 OR n >= 900", 8),
        ("s = 'k0555'", 9),
        ("s LIKE 'k05%'", 9),
        ("s >= 'k0900'", 9),
        ("d >= DATE '1972-01-01'", 7),
        ("half IS NULL", 5),
        ("half IS NOT NULL", 5),
    ] {
        let plan = engine.run("t", &format!("SELECT n FROM t WHERE {filter}")).await;
        let found = metric(&plan, "row_groups_pruned_statistics");
        assert_eq!(pruned(&found), left_out, "{filter}: {found}");
        engine.rows("t", &format!("SELECT n FROM t WHERE {filter}")).await;
    }
}

#[tokio::test]
async fn the_engine_offers_its_filters_to_the_scan() {
    let lake = sorted();
    let engine = Engine::new(lake.connector("").unwrap());
    let (plan, _) = engine.plan("t", "SELECT n FROM t WHERE n > 750").await.unwrap();
    let native =
        format!("{}", datafusion::physical_plan::displayable(leaf_of(&plan).native().unwrap().as_ref()).one_line());
    assert!(native.contains(" predicate=n@0 > 750,"), "offered twice, kept once: {native}");
    // A top-N makes a filter while it runs.
    let plan = engine.run("t", "SELECT n FROM t ORDER BY n DESC LIMIT 3").await;
    assert_eq!(engine.rows("t", "SELECT n FROM t ORDER BY n DESC LIMIT 3").await, ["997", "998", "999"]);
    let native =
        format!("{}", datafusion::physical_plan::displayable(leaf_of(&plan).native().unwrap().as_ref()).one_line());
    assert!(native.contains("DynamicFilter"), "{native}");
}

#[tokio::test]
async fn pages_and_bloom_filters_are_used() {
    let lake = sorted();
    let engine = Engine::new(lake.connector("").unwrap());
    let plan = engine.run("t", "SELECT n FROM t WHERE n = 555").await;
    assert!(pruned(&metric(&plan, "page_index_rows_pruned")) >= 80, "{}", metric(&plan, "page_index_rows_pruned"));
    // 901 lies between the bounds of a row group that has only even numbers.
    let plan = engine.run("t", "SELECT n FROM t WHERE gap = 901").await;
    assert_eq!(pruned(&metric(&plan, "row_groups_pruned_bloom_filter")), 1);
    assert!(engine.rows("t", "SELECT n FROM t WHERE gap = 901").await.is_empty());
}

/// Statistics leave out NaN, which the engine takes for the largest value: a row group whose largest number is 5 may
/// match `f > 10`. PostgreSQL and DuckDB 2.0 give the same rows.
#[tokio::test]
async fn nan_is_not_lost() {
    let lake = Lake::new();
    let properties = || {
        WriterProperties::builder()
            .set_max_row_group_row_count(Some(2))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_bloom_filter_enabled(true)
            .build()
    };
    // A negative NaN is what the processor makes of 0.0 / 0.0.
    let column: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(1.0),
        Some(f64::NAN),
        Some(5.0),
        Some(-f64::NAN),
        Some(20.0),
        Some(30.0),
        Some(-0.0),
        None,
    ]));
    lake.write_with("s/t/f", vec![("f", column), ("n", integers(0..8))], properties());
    lake.write("s/t/g", vec![("f", floats([0.0])), ("n", integers([8]))]);
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE f > 10").await, ["1", "3", "4", "5"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE f = 'NaN'").await, ["1", "3"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE f <> 1").await, ["1", "2", "3", "4", "5", "6", "8"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE f = 0.0").await, ["6", "8"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE f IS NULL").await, ["7"]);
    // An expression that is computed in the scan itself sees the same values.
    assert_eq!(
        engine.rows("t", "SELECT n, f > 10, f >= 0 FROM t").await,
        [
            "0|false|true",
            "1|true|true",
            "2|false|true",
            "3|true|true",
            "4|true|true",
            "5|true|true",
            "6|false|true",
            "7|NULL|NULL",
            "8|false|true"
        ]
    );
    // The filter that a top-N makes while it runs must not lose them either.
    let top = engine.rows("t", "SELECT f FROM t ORDER BY f DESC NULLS LAST LIMIT 3").await;
    assert_eq!(top, ["30.0", "NaN", "NaN"]);
    let table = engine.table("t").await.unwrap();
    use datafusion::logical_expr::{col, lit};
    let verdict = table.judge(&col("f").gt(lit(10.0)));
    assert_eq!(
        verdict.reason().unwrap().as_str(),
        "statistics of Parquet files leave out NaN, which the engine sorts last"
    );
}

/// `parquet` counts a missing column as all NULL, whatever the statistics of others say.
#[tokio::test]
async fn nulls_are_not_lost() {
    let lake = Lake::new();
    lake.write("s/t/y=1/f", vec![("a", integers([Some(1), None])), ("b", integers([1, 2]))]);
    lake.write("s/t/y=2/f", vec![("a", integers([None, None]))]);
    lake.write("s/t/y=3/f", vec![("a", integers([5, 6])), ("b", integers([3, 4]))]);
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE a IS NULL").await, "3");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE b IS NULL").await, "2");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE b IS NULL OR b = 3").await, "3");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE a IS DISTINCT FROM 1").await, "5");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE a NOT IN (1, 5)").await, "1");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "6");
    assert_eq!(engine.value("t", "SELECT count(a) FROM t").await, "3");
}

#[tokio::test]
async fn the_planner_knows_sizes_and_ranges_without_listing_more() {
    let lake = sorted();
    let connector = lake.connector("").unwrap();
    let known = connector.table("s", "t").await.unwrap().unwrap().statistics().await.unwrap().unwrap();
    assert_eq!(known.rows, Some(1000));
    let of = |name: &str| known.columns.get(name);
    assert_eq!(of("n").unwrap().distinct, Some(1000));
    assert_eq!(of("n").unwrap().max, Some(ScalarValue::Int64(Some(999))));
    // Every second number is missing, which the range does not tell; there are no more values than rows.
    assert_eq!(of("gap").unwrap().distinct, Some(1000));
    assert_eq!(of("half").unwrap().distinct, Some(500));
    assert_eq!(of("d").unwrap().min, Some(ScalarValue::Date32(Some(0))));
    assert!(of("s").is_none() && of("f").is_none());

    // Three values of `a` with two of `b` each, a row in each file; only some of the directories are listed.
    let lake = Lake::new();
    for (a, b) in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)] {
        lake.write(&format!("s/t/a={a}/b={b}/f"), vec![("n", longs([7]))]);
    }
    let connector = lake.connector("").unwrap();
    let known = connector.table("s", "t").await.unwrap().unwrap().statistics().await.unwrap().unwrap();
    assert_eq!(known.rows, Some(6));
    assert_eq!(known.columns["a"].distinct, Some(3));
    assert_eq!(known.columns["b"].distinct, Some(2));
    assert_eq!(known.columns["n"].distinct, Some(1));
}
