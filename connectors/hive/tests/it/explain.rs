//! What EXPLAIN and SHOW are told.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, cast, col, lit};
use datafusion::prelude::{lower, random};
use portolan_connector::Verdict;

use crate::support::{Engine, Lake, dates, floats, integers, leaf_of, longs, texts};

fn orders() -> Lake {
    let lake = Lake::new();
    for day in ["2026-09-30", "2026-10-01", "2026-10-02"] {
        lake.write(
            &format!("s/orders/order_date={day}/part-0.parquet"),
            vec![
                ("orderkey", longs(0..1000)),
                ("status", texts((0..1000).map(|_| "open"))),
                ("total", floats((0..1000).map(f64::from))),
                ("shipped", dates(0..1000)),
                ("flag", std::sync::Arc::new(arrow::array::BooleanArray::from(vec![true; 1000]))),
            ],
        );
    }
    lake
}

#[tokio::test]
async fn verdicts() {
    let lake = orders();
    let table = Engine::new(lake.connector("").unwrap()).table("orders").await.unwrap();
    let day = || lit(ScalarValue::Date32(Some(20_727)));
    let key = || col("orderkey");
    let check = |expr: Expr, expected: &str| {
        let verdict = table.judge(&expr);
        let text = match verdict.reason() {
            None => verdict.label().to_owned(),
            Some(reason) => format!("refused: {reason}"),
        };
        assert_eq!(text, expected, "{expr}");
    };
    check(col("order_date").eq(day()), "exact");
    check(col("t.order_date").between(day(), day()), "exact");
    check(col("order_date").is_null().or(col("order_date").in_list(vec![day(), day()], true)), "exact");
    check(col("$path").like(lit("%part-0%")), "exact");
    check(col("$file_size").gt(lit(10_i64)).and(col("order_date").lt(day())), "exact");
    check(lower(col("$partition")).eq(lit("x")), "exact");
    check(cast(col("order_date"), arrow::datatypes::DataType::Int32).eq(lit(5)), "pruning");
    check(key().gt(lit(5_i64)), "pruning");
    check(lit(5_i64).lt_eq(key()), "pruning");
    check(key().in_list((0..20).map(|n| lit(n as i64)).collect(), false), "pruning");
    check(key().in_list((0..21).map(|n| lit(n as i64)).collect(), false), "refused: the list has more than 20 values");
    check(key().is_null(), "pruning");
    check(col("flag"), "pruning");
    check(col("status").like(lit("op%")), "pruning");
    check(col("status").like(lit("%en")), "refused: statistics cannot answer LIKE '%en'");
    check(col("status").not_like(lit("op%n")), "refused: statistics cannot answer NOT LIKE 'op%n'");
    check(col("status").ilike(lit("OP%")), "refused: statistics cannot answer ILIKE");
    check(lower(col("status")).eq(lit("open")), "refused: statistics know columns, not expressions");
    check(key().eq(col("shipped")), "refused: statistics cannot compare columns with one another");
    check(col("total").gt(lit(5.0)), "refused: statistics of Parquet files leave out NaN, which the engine sorts last");
    check(col("total").is_not_null(), "pruning");
    check(random().gt(lit(0.5)), "refused: the function random does not always return the same");
    check(col("nowhere").eq(lit(1)), "refused: the table has no column nowhere");
    check(lit(true), "refused: it names no column of the table");
    check(key().gt(lit(5_i64)).or(col("order_date").eq(day())), "pruning");
    check(col("status").like(lit("%en")).and(col("order_date").eq(day())), "pruning");
    check(
        col("status").like(lit("%en")).or(col("order_date").eq(day())),
        "refused: statistics cannot answer LIKE '%en'",
    );
}

#[tokio::test]
async fn facts_of_a_scan() {
    let lake = orders();
    let engine = Engine::new(lake.connector("").unwrap());
    let sql = "SELECT orderkey, status FROM t WHERE order_date >= '2026-10-01' AND orderkey > 100";
    let (plan, _) = engine.plan("orders", sql).await.unwrap();
    let report = leaf_of(&plan).report();
    let filters: Vec<(&str, Option<&str>)> =
        report.filters.iter().map(|filter| (filter.verdict.label(), filter.remote.as_deref())).collect();
    assert_eq!(
        filters,
        [
            ("exact", Some("partitions")),
            ("pruning", Some("row-group and page statistics, bloom filters; checked again by the engine"))
        ]
    );
    let units: Vec<_> = report.units.iter().map(|unit| (unit.kind, unit.total, unit.kept)).collect();
    assert_eq!(units, [("partitions", Some(3), 2), ("files", None, 2)]);
    let request = report.request.as_deref().unwrap();
    assert!(request.starts_with("2 files · ") && request.contains(" kB under /"), "{request}");
    assert!(request.ends_with("/s/orders/order_date=2026-10-0*"), "{request}");
    assert_eq!(report.estimate.rows, Some(2000), "all files are like the sampled ones");
    let bytes: u64 = ["2026-10-01", "2026-10-02"]
        .iter()
        .map(|day| std::fs::metadata(lake.path(&format!("s/orders/order_date={day}/part-0.parquet"))).unwrap().len())
        .sum();
    let estimate = report.estimate.bytes.unwrap();
    assert!(estimate < bytes && estimate > bytes / 10, "two of five columns: {estimate} of {bytes}");

    let (plan, _) = engine.plan("orders", "SELECT count(*) FROM t").await.unwrap();
    let report = leaf_of(&plan).report();
    assert_eq!(report.request.as_deref().map(|r| r.split(" · ").next().unwrap()), Some("3 files"));
    assert_eq!(report.units[1].total, Some(3));
    let one = "SELECT status FROM t WHERE order_date = '2026-10-01'";
    let (plan, _) = engine.plan("orders", one).await.unwrap();
    assert!(leaf_of(&plan).report().request.as_deref().unwrap().ends_with("order_date=2026-10-01"));
}

#[tokio::test]
async fn columns_and_the_definition() {
    let lake = orders();
    let table = Engine::new(lake.connector("").unwrap()).table("orders").await.unwrap();
    let columns: Vec<(&str, &str)> = table.columns().iter().map(|c| (c.name(), c.source_type.as_str())).collect();
    assert_eq!(
        columns,
        [
            ("orderkey", "INT64"),
            ("status", "BYTE_ARRAY (string)"),
            ("total", "DOUBLE"),
            ("shipped", "INT32 (date)"),
            ("flag", "BOOLEAN"),
            ("order_date", "date"),
            ("$path", "varchar"),
            ("$file_size", "bigint"),
            ("$file_modified_time", "timestamp with time zone"),
            ("$partition", "varchar"),
            ("$row_group", "bigint"),
        ]
    );
    assert!(table.columns().iter().all(|column| column.field.is_nullable()));
    assert_eq!(
        table.definition().unwrap(),
        format!(
            "CREATE EXTERNAL TABLE `s`.`orders` (\n  `orderkey` bigint,\n  `status` string,\n  `total` double,\n  `shipped` date,\n  `flag` boolean\n)\nPARTITIONED BY (\n  `order_date` date\n)\nSTORED AS PARQUET\nLOCATION '{}'",
            lake.path("s/orders").display()
        )
    );
}

#[tokio::test]
async fn a_limit_folds_when_every_filter_is_exact() {
    use portolan_connector::{Fold, PushedFilter, ScanRequest};
    let lake = Lake::new();
    lake.write("s/t/y=1/f", vec![("n", integers([1]))]);
    let table = Engine::new(lake.connector("").unwrap()).table("t").await.unwrap();
    let filter = |verdict| PushedFilter::new(col("y").eq(lit(1_i64)), verdict);
    let request = |verdict| ScanRequest { filters: vec![filter(verdict)], ..ScanRequest::default() };
    assert_eq!(table.fold(&request(Verdict::Exact), &Fold::Limit(5)).unwrap().limit, Some(5));
    assert!(table.fold(&request(Verdict::Pruning), &Fold::Limit(5)).is_err());
    let twice = table.fold(&ScanRequest { limit: Some(3), ..ScanRequest::default() }, &Fold::Limit(5)).unwrap();
    assert_eq!(twice.limit, Some(3));
}
