//! Which partitions are asked for, listed and read.

use portolan_connector::{PlanContext, QueryContext, ScanRequest};
use portolan_hive::partition_directory;
use portolan_hive::thrift::{Struct, Value};

use crate::support::{
    Counting, Engine, LINES, PARQUET, Proxy, S3Server, TEXT, Table, Warehouse, integers, leaf_of, longs, map, texts,
};

/// A table of this name with a partition in each of these directories below the table's, by one text column `p`.
async fn by_text(warehouse: &Warehouse, values: &[&str]) -> Engine {
    let table = Table { keys: &[("p", "string")], ..Table::default() };
    warehouse.create(Table { keys: table.keys, ..Table::default() }).await;
    let mut partitions = Vec::new();
    for (n, value) in (0..).zip(values) {
        let directory = partition_directory("p", Some(value));
        let path = format!("{}/t/{directory}", warehouse.database);
        warehouse.lake.write(&format!("{path}/f"), vec![("n", integers([n]))]);
        partitions.push(warehouse.partition(&table, &[value], &warehouse.location(&path)));
    }
    warehouse.add(partitions).await;
    warehouse.engine()
}

#[tokio::test]
async fn of_a_thousand_partitions_only_those_that_match_are_asked_for_listed_and_opened() {
    let warehouse = Warehouse::new().await;
    let table = Table { name: "orders", columns: &[("n", "bigint")], keys: &[("day", "date")], ..Table::default() };
    warehouse.create(Table { name: "orders", columns: table.columns, keys: table.keys, ..Table::default() }).await;
    let mut partitions = Vec::new();
    for day in 0..1000 {
        let date = (chrono::NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + chrono::Duration::days(day)).to_string();
        let path = format!("orders/day={date}");
        warehouse.lake.write(&format!("{path}/part-0.parquet"), vec![("n", longs([day]))]);
        partitions.push(warehouse.partition(&table, &[&date], &warehouse.location(&path)));
    }
    warehouse.add(partitions).await;
    let proxy = Proxy::start(&warehouse).await;
    let counting = Counting::new();
    let engine = warehouse.watched(&proxy, std::sync::Arc::clone(&counting) as _);

    let plan = engine.run("orders", "SELECT sum(n) FROM t WHERE day = DATE '2025-03-01'").await;
    let asked = proxy.take();
    let methods: Vec<&str> = asked.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(methods, ["get_table_req", "get_partition_names", "get_partitions_by_names"]);
    assert_eq!(asked[2].1.matches("day=").count(), 1, "{}", asked[2].1);
    assert!(asked[2].1.contains("day=2025-03-01"), "{}", asked[2].1);
    let (lists, reads) = counting.take();
    assert_eq!(lists, ["orders/day=2025-03-01"]);
    assert_eq!(reads, ["orders/day=2025-03-01/part-0.parquet"]);
    let report = leaf_of(&plan).report();
    assert_eq!((report.units[0].kind, report.units[0].total, report.units[0].kept), ("partitions", Some(1000), 1));
    let request = report.request.as_deref().unwrap();
    assert!(request.ends_with("lake/orders/day=2025-03-01"), "{request}");

    for (filter, kept, sum) in [
        ("day BETWEEN '2025-03-01' AND '2025-03-31'", 31, (425..456).sum::<i64>()),
        ("day IN ('2024-01-02', '2024-01-04', '1999-01-01')", 2, 4),
        ("date_part('year', day) = 2026 AND date_part('month', day) = 9", 26, (974..1000).sum()),
        ("day IS NULL", 0, 0),
        ("day >= DATE '2024-01-01'", 1000, (0..1000).sum()),
    ] {
        counting.take();
        proxy.take();
        let plan = engine.run("orders", &format!("SELECT sum(n) FROM t WHERE {filter}")).await;
        let (lists, reads) = counting.take();
        assert_eq!((lists.len(), reads.len()), (kept, kept), "{filter}");
        let asked: usize = proxy.take().iter().map(|(_, sent)| sent.matches("day=").count()).sum();
        assert_eq!(asked, kept, "{filter}");
        assert_eq!(leaf_of(&plan).report().units[0].kept, kept as u64, "{filter}");
        let answer = engine.pruned_rows("orders", &format!("SELECT coalesce(sum(n), 0) FROM t WHERE {filter}")).await;
        assert_eq!(answer, [sum.to_string()], "{filter}");
    }
}

#[tokio::test]
async fn values_that_are_null_padded_or_escaped() {
    let warehouse = Warehouse::new().await;
    let table = Table { keys: &[("month", "int"), ("region", "string")], ..Table::default() };
    warehouse.create(Table { keys: table.keys, ..Table::default() }).await;
    let null = "__HIVE_DEFAULT_PARTITION__";
    let mut partitions = Vec::new();
    let cases = [
        ("01", "a=b"),
        ("2", "a/b"),
        ("03", "50% {br} é"),
        ("10", null),
        (null, "x"),
        ("-4", "it's \"q\" #1 a:b"),
        ("1", "same month"),
    ];
    for (n, (month, region)) in (0..).zip(cases) {
        let path =
            format!("t/{}/{}", partition_directory("month", Some(month)), partition_directory("region", Some(region)));
        warehouse.lake.write(&format!("{path}/f"), vec![("n", integers([n]))]);
        partitions.push(warehouse.partition(&table, &[month, region], &warehouse.location(&path)));
    }
    warehouse.add(partitions).await;
    let engine = warehouse.engine();
    for (filter, rows) in [
        ("month = 1", &["0", "6"][..]),
        ("month < 3", &["0", "1", "5", "6"]),
        ("month IS NULL", &["4"]),
        ("month IS NOT NULL AND region IS NULL", &["3"]),
        ("region = 'a=b'", &["0"]),
        ("region = 'a/b'", &["1"]),
        ("region LIKE '50\\% {br}%'", &["2"]),
        ("region = 'it''s \"q\" #1 a:b'", &["5"]),
        ("region > 'b' OR month = 10", &["3", "4", "5", "6"]),
        ("region <> 'x'", &["0", "1", "2", "5", "6"]),
        ("month + 1 = 2 AND upper(region) = 'A=B'", &["0"]),
        ("region = '__HIVE_DEFAULT_PARTITION__'", &[]),
        ("\"$partition\" = 'month=01/region=a%3Db'", &["0"]),
    ] {
        assert_eq!(engine.rows("t", &format!("SELECT n FROM t WHERE {filter}")).await, rows, "{filter}");
    }
    assert_eq!(
        engine.rows("t", "SELECT n, month, region FROM t WHERE n < 4").await,
        ["0|1|a=b", "1|2|a/b", "2|3|50% {br} é", "3|10|NULL"]
    );
}

#[tokio::test]
async fn a_value_that_is_not_of_its_type() {
    let warehouse = Warehouse::new().await;
    let table = Table { keys: &[("day", "string")], ..Table::default() };
    warehouse.create(Table { keys: table.keys, ..Table::default() }).await;
    warehouse.add(vec![warehouse.partition(&table, &["soon"], &warehouse.location("x"))]).await;
    // Somebody changes the type later.
    let dated = warehouse.table(&Table { keys: &[("day", "date")], ..Table::default() });
    let arguments = Struct::new().with(1, warehouse.database.as_str()).with(2, "t").with(3, dated);
    warehouse.call("alter_table", arguments).await;
    let error = warehouse.engine().error("t", "SELECT n FROM t").await;
    assert!(error.contains("cannot understand the partition day=soon: the column `day` is of type date"), "{error}");
}

#[tokio::test]
async fn partitions_anywhere_with_columns_of_their_own() {
    let warehouse = Warehouse::new().await;
    let columns = &[("a", "bigint"), ("b", "string")];
    let keys = &[("p", "int")];
    warehouse.create(Table { columns, keys, ..Table::default() }).await;
    warehouse.lake.write("t/p=1/f", vec![("a", longs([1])), ("b", texts(["x"]))]);
    warehouse.lake.write("far/away/f", vec![("A", integers([2]))]);
    let one = Table { columns, ..Table::default() };
    let two = Table { columns: &[("a", "int")], ..Table::default() };
    warehouse
        .add(vec![
            warehouse.partition(&one, &["1"], &warehouse.location("t/p=1")),
            warehouse.partition(&two, &["2"], &warehouse.location("far/away")),
        ])
        .await;
    // A directory that the metastore does not know is no partition.
    warehouse.lake.write("t/p=3/f", vec![("a", longs([3]))]);
    let engine = warehouse.engine();
    assert_eq!(engine.rows("t", "SELECT a, b, p FROM t").await, ["1|x|1", "2|NULL|2"]);
    assert_eq!(engine.rows("t", "SELECT a, \"$partition\" FROM t WHERE p = 2").await, ["2|p=2"]);
    let far = engine.rows("t", "SELECT \"$path\" FROM t WHERE p = 2").await;
    assert_eq!(far, [warehouse.lake.path("far/away/f").display().to_string()]);
    let plan = engine.run("t", "SELECT a FROM t").await;
    let request = leaf_of(&plan).report().request.clone().unwrap();
    assert!(request.starts_with("2 files") && request.ends_with("and elsewhere"), "{request}");
}

#[tokio::test]
async fn a_partition_in_a_bucket_and_one_on_the_disk() {
    let warehouse = Warehouse::new().await;
    let server = S3Server::start(warehouse.lake.buckets()).await;
    let table = Table { keys: &[("p", "int")], ..Table::default() };
    warehouse.create(Table { keys: table.keys, ..Table::default() }).await;
    warehouse.lake.write("t/p=1/f", vec![("n", integers([1]))]);
    warehouse.lake.write("in/bucket/f 2", vec![("n", integers([2]))]);
    let partition = |p: &str, location: &str| warehouse.partition(&table, &[p], location);
    warehouse
        .add(vec![partition("1", &warehouse.location("t/p=1")), partition("2", &warehouse.location("t/p=2"))])
        .await;
    // The metastore has no client for S3 with which it could make the directory of a new partition. It need not look at
    // the place of one that it has.
    let context = Struct::new().with(1, map(&[("DO_NOT_UPDATE_STATS", "true")]));
    let arguments = Struct::new()
        .with(1, warehouse.database.as_str())
        .with(2, "t")
        .with(3, partition("2", "s3a://bucket/lake/in/bucket"))
        .with(4, context);
    warehouse.call("alter_partition_with_environment_context", arguments).await;
    let settings = server.settings("unused", crate::support::ACCESS_KEY, crate::support::SECRET_KEY);
    let settings = settings.lines().filter(|line| !line.starts_with("location")).collect::<Vec<_>>().join("\n");
    let engine = warehouse.engine_over(warehouse.connector(&settings).unwrap());
    assert_eq!(engine.rows("t", "SELECT n, p FROM t").await, ["1|1", "2|2"]);
    let path = engine.rows("t", "SELECT \"$path\" FROM t WHERE p = 2").await;
    assert_eq!(path, ["s3://bucket/lake/in/bucket/f 2"]);
}

#[tokio::test]
async fn a_partition_whose_directory_is_gone() {
    let warehouse = Warehouse::new().await;
    let engine = by_text(&warehouse, &["here", "gone"]).await;
    std::fs::remove_dir_all(warehouse.lake.path(&format!("{}/t/p=gone", warehouse.database))).unwrap();
    let error = engine.error("t", "SELECT n FROM t").await;
    assert!(error.contains("t/p=gone of the partition p=gone: No such file or directory"), "{error}");
    assert!(error.contains("absent_partitions = \"ignore\""), "{error}");
    assert_eq!(engine.pruned_rows("t", "SELECT n FROM t WHERE p <> 'gone'").await, ["0"]);
    let lenient = warehouse.engine_over(warehouse.connector("absent_partitions = 'ignore'").unwrap());
    assert_eq!(lenient.rows("t", "SELECT n FROM t").await, ["0"]);
    // An empty directory is there, and an empty partition.
    std::fs::create_dir(warehouse.lake.path(&format!("{}/t/p=gone", warehouse.database))).unwrap();
    assert_eq!(engine.rows("t", "SELECT n FROM t").await, ["0"]);
}

#[tokio::test]
async fn a_partition_in_another_format_stops_only_queries_that_need_it() {
    let warehouse = Warehouse::new().await;
    let engine = by_text(&warehouse, &["a"]).await;
    let text = Table { serde: TEXT, input_format: LINES, ..Table::default() };
    warehouse.add(vec![warehouse.partition(&text, &["old"], &warehouse.location("t/p=old"))]).await;
    let error = engine.error("t", "SELECT n FROM t").await;
    assert!(
        error.contains("the partition p=old cannot be read: its files are in another format than the table"),
        "{error}"
    );
    assert_eq!(engine.pruned_rows("t", "SELECT n FROM t WHERE p = 'a'").await, ["0"]);
}

#[tokio::test]
async fn a_partition_in_a_store_that_is_not_read() {
    let warehouse = Warehouse::new().await;
    let engine = by_text(&warehouse, &["a", "b"]).await;
    let table = Table { keys: &[("p", "string")], serde: PARQUET, ..Table::default() };
    let context = Struct::new().with(1, map(&[("DO_NOT_UPDATE_STATS", "true")]));
    let arguments = Struct::new()
        .with(1, warehouse.database.as_str())
        .with(2, "t")
        .with(3, warehouse.partition(&table, &["b"], "hdfs://127.0.0.1:1/t/p=b"))
        .with(4, context);
    warehouse.call("alter_partition_with_environment_context", arguments).await;
    let error = engine.error("t", "SELECT n FROM t").await;
    assert!(error.contains("hdfs://127.0.0.1:1/t/p=b is in a store that is not read"), "{error}");
    assert_eq!(engine.pruned_rows("t", "SELECT n FROM t WHERE p = 'a'").await, ["0"]);
}

#[tokio::test]
async fn a_query_sees_the_partitions_of_one_moment() {
    let warehouse = Warehouse::new().await;
    let engine = by_text(&warehouse, &["a", "b"]).await;
    let table = engine.table("t").await.unwrap();
    let snapshot = engine.connector.begin(&QueryContext { query_id: "q".to_owned() }).await.unwrap();
    let session = datafusion::prelude::SessionContext::new();
    let state = session.state();
    let context = PlanContext { session: &state, snapshot };
    let request = ScanRequest { projection: vec![0], ..Default::default() };
    let first = table.plan(&request, &context).await.unwrap();
    let more = Table { keys: &[("p", "string")], ..Table::default() };
    warehouse.lake.write("more/f", vec![("n", integers([2]))]);
    warehouse.add(vec![warehouse.partition(&more, &["c"], &warehouse.location("more"))]).await;
    let second = table.plan(&request, &context).await.unwrap();
    assert_eq!((&first.request, &first.units), (&second.request, &second.units));
    assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "3", "the next query sees the new partition");
}

#[tokio::test]
async fn limits_name_the_partition_columns() {
    let warehouse = Warehouse::new().await;
    by_text(&warehouse, &["a", "b", "c"]).await;
    let engine = warehouse.engine_over(warehouse.connector("max_partitions = 2").unwrap());
    let error = engine.error("t", "SELECT n FROM t").await;
    assert!(error.contains("the scan would read more than 2 partitions"), "{error}");
    assert!(error.contains("filter on the partition columns (p)"), "{error}");
    assert_eq!(engine.pruned_rows("t", "SELECT n FROM t WHERE p > 'a'").await, ["1", "2"]);
}

#[tokio::test]
async fn a_partition_that_is_dropped_while_a_query_is_planned() {
    let warehouse = Warehouse::new().await;
    let engine = by_text(&warehouse, &["a", "b"]).await;
    let table = engine.table("t").await.unwrap();
    let snapshot = engine.connector.begin(&QueryContext { query_id: "q".to_owned() }).await.unwrap();
    let session = datafusion::prelude::SessionContext::new();
    let state = session.state();
    let context = PlanContext { session: &state, snapshot };
    // A scan of nothing asks for the names alone.
    let nothing = datafusion::logical_expr::col("p").eq(datafusion::logical_expr::lit("nothing"));
    let filter = portolan_connector::PushedFilter::new(nothing, portolan_connector::Verdict::Exact);
    let request = ScanRequest { projection: vec![0], filters: vec![filter], limit: None };
    table.plan(&request, &context).await.unwrap();
    let arguments =
        Struct::new().with(1, warehouse.database.as_str()).with(2, "t").with(3, vec!["b"]).with(4, Value::Bool(false));
    warehouse.call("drop_partition", arguments).await;
    let request = ScanRequest { projection: vec![0], ..Default::default() };
    let error = table.plan(&request, &context).await.unwrap_err().to_string();
    assert!(error.contains("the metastore no longer has the partition p=b"), "{error}");
}
