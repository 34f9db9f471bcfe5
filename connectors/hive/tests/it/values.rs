//! Partition values as they are written, read and compared. DuckDB 2.0 gives the same rows for these layouts, with two
//! differences: it takes zero-padded numbers for text, which then compares with a number by casting, and it refuses a
//! directory with an unescaped second `=`.

use crate::support::{Engine, Lake, S3Server, integers};

/// The values of a text column whose directories need escapes, with the directories as Hive writes them.
const REGIONS: [(&str, &str); 12] = [
    ("region=plain", "plain"),
    ("region=a%3Db", "a=b"),
    ("region=a%3Ab", "a:b"),
    ("region=%7Bbr%7D", "{br}"),
    ("region=a%2Fb", "a/b"),
    ("region=50%25", "50%"),
    ("region=x%23y", "x#y"),
    ("region=sp ace", "sp ace"),
    ("region=caf\u{e9}", "caf\u{e9}"),
    ("region=\u{6771}\u{4eac}", "\u{6771}\u{4eac}"),
    ("region=it%27s", "it's"),
    ("region=a=b=c", "a=b=c"),
];

fn regions() -> Lake {
    let lake = Lake::new();
    for (index, (directory, _)) in REGIONS.iter().enumerate() {
        lake.write(&format!("s/regions/{directory}/part-0.parquet"), vec![("n", integers([index as i32]))]);
    }
    lake.write("s/regions/region=__HIVE_DEFAULT_PARTITION__/part-0", vec![("n", integers([100]))]);
    lake
}

async fn check_regions(engine: &Engine) {
    for (index, (_, value)) in REGIONS.iter().enumerate() {
        let literal = value.replace('\'', "''");
        for filter in [
            format!("region = '{literal}'"),
            format!("region IN ('{literal}', 'nowhere')"),
            format!("region BETWEEN '{literal}' AND '{literal}'"),
            format!("NOT (region <> '{literal}')"),
        ] {
            let rows = engine.rows("regions", &format!("SELECT region, n FROM t WHERE {filter}")).await;
            assert_eq!(rows, [format!("{value}|{index}")], "{filter}");
        }
    }
    assert_eq!(engine.value("regions", "SELECT n FROM t WHERE region IS NULL").await, "100");
    assert_eq!(engine.value("regions", "SELECT count(*) FROM t WHERE region IS NOT NULL").await, "12");
    assert_eq!(engine.value("regions", "SELECT count(*) FROM t WHERE region <> 'plain'").await, "11");
    assert_eq!(engine.value("regions", "SELECT count(*) FROM t").await, "13");
    assert_eq!(engine.value("regions", "SELECT count(region) FROM t").await, "12");
    assert_eq!(engine.value("regions", "SELECT n FROM t WHERE upper(region) = 'PLAIN'").await, "0");
    assert_eq!(engine.value("regions", "SELECT count(*) FROM t WHERE region LIKE 'a%'").await, "4");
}

#[tokio::test]
async fn escaped_values_null_and_unicode() {
    check_regions(&Engine::new(regions().connector("").unwrap())).await;
}

#[tokio::test]
async fn escaped_values_null_and_unicode_on_s3() {
    let lake = regions();
    let server = S3Server::start(lake.buckets()).await;
    check_regions(&Engine::new(server.connector("s3://bucket/lake"))).await;
}

#[tokio::test]
async fn zero_padded_numbers_are_numbers() {
    let lake = Lake::new();
    for (directory, n) in
        [("month=01", 1), ("month=02", 2), ("month=10", 10), ("month=1", 11), ("month=__HIVE_DEFAULT_PARTITION__", 0)]
    {
        lake.write(&format!("s/t/{directory}/f"), vec![("n", integers([n]))]);
    }
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(engine.rows("t", "SELECT month, n FROM t WHERE month = 1").await, ["1|1", "1|11"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE month > 1").await, ["10", "2"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE month IS NULL").await, ["0"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE month + 1 = 3").await, ["2"]);
    assert_eq!(engine.value("t", "SELECT sum(month) FROM t").await, "14");
    assert_eq!(engine.value("t", "SELECT arrow_typeof(month) FROM t LIMIT 1").await, "Int64");

    // Declared as text, each directory keeps its own spelling.
    let engine = Engine::new(lake.connector("[tables.'s.t']\npartition_columns = { month = 'varchar' }").unwrap());
    assert_eq!(engine.rows("t", "SELECT month, n FROM t WHERE month = '1'").await, ["1|11"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE month = '01'").await, ["1"]);
    // A filter that may fail for some values leaves out those partitions alone for which it does not.
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE CAST(month AS integer) = 1").await, ["1", "11"]);
}

#[tokio::test]
async fn dates_are_inferred_and_other_types_declared() {
    let lake = Lake::new();
    for (day, n) in [("2026-09-30", 1), ("2026-10-01", 2), ("2026-10-02", 3)] {
        lake.write(&format!("s/t/order_date={day}/part-0.parquet"), vec![("n", integers([n]))]);
    }
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(engine.value("t", "SELECT arrow_typeof(order_date) FROM t LIMIT 1").await, "Date32");
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE order_date >= DATE '2026-10-01'").await, ["2", "3"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE order_date >= '2026-10-01'").await, ["2", "3"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE date_part('month', order_date) = 9").await, ["1"]);

    let lake = Lake::new();
    for (index, (price, at, flag)) in
        [("1.50", "2026-10-01 00%3A00%3A00", "true"), ("02.50", "2026-10-01 12%3A30%3A00.5", "false")]
            .iter()
            .enumerate()
    {
        let directory = format!("s/t/price={price}/at={at}/flag={flag}/f");
        lake.write(&directory, vec![("n", integers([index as i32]))]);
    }
    let declared = "[tables.'s.t']\npartition_columns = { price = 'decimal(6,2)', at = 'timestamp', flag = 'boolean' }";
    let engine = Engine::new(lake.connector(declared).unwrap());
    assert_eq!(
        engine
            .rows("t", "SELECT * EXCEPT (\"$path\", \"$file_size\", \"$file_modified_time\", \"$partition\", \"$row_group\") FROM t")
            .await,
        ["0|1.50|2026-10-01T00:00:00|true", "1|2.50|2026-10-01T12:30:00.500|false"]
    );
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE price > 2.0").await, ["1"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE at < '2026-10-01 06:00:00'").await, ["0"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE flag").await, ["0"]);
}

#[tokio::test]
async fn a_directory_that_is_not_of_the_inferred_type_is_an_error_that_says_what_to_declare() {
    let lake = Lake::new();
    for day in 10..20 {
        lake.write(&format!("s/t/year={}/day={day}/f", 2000 + day), vec![("n", integers([day]))]);
    }
    lake.write("s/t/year=2014/day=x/f", vec![("n", integers([0]))]);
    // Only the first and the last year are looked into.
    let engine = Engine::new(lake.connector("sampled_directories = 2").unwrap());
    let error = engine.error("t", "SELECT count(*) FROM t").await;
    assert!(error.contains("catalog lake, table s.t"), "{error}");
    assert!(error.contains("year=2014/day=x is not of type bigint"), "{error}");
    assert!(error.contains("partition_columns = { day = \"varchar\" }"), "{error}");
    // A partition that the filters leave out does no harm.
    assert_eq!(engine.pruned_rows("t", "SELECT count(*) FROM t WHERE year <> 2014").await, ["9"]);
    // With all directories looked into, the column is text.
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE day = 'x'").await, ["0"]);
}

#[tokio::test]
async fn an_empty_value_is_text_and_not_null() {
    let lake = Lake::new();
    lake.write("s/t/k=/f", vec![("n", integers([1]))]);
    lake.write("s/t/k=a/f", vec![("n", integers([2]))]);
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE k = ''").await, ["1"]);
    assert!(engine.rows("t", "SELECT n FROM t WHERE k IS NULL").await.is_empty());
}

#[tokio::test]
async fn keys_are_matched_whatever_their_case_and_win_over_columns_of_the_files() {
    let lake = Lake::new();
    lake.write("s/t/Year=2025/f", vec![("year", integers([1])), ("n", integers([1]))]);
    lake.write("s/t/year=2026/f", vec![("year", integers([2])), ("n", integers([2]))]);
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(engine.rows("t", "SELECT \"Year\", n FROM t").await, ["2025|1", "2026|2"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE \"Year\" = 2026").await, ["2"]);
}
