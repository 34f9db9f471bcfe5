//! Tables of a metastore that are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Decimal128Array, Float64Array, Int32Array, StringArray};
use datafusion::common::ScalarValue;
use portolan_connector::testkit::check_writes;
use portolan_connector::{Connector, ConnectorFactory, InsertMode, OnExisting, TableStatistics};
use portolan_hive::HiveFactory;
use portolan_hive::thrift::Struct;

use crate::support::{
    Counting, Create, Proxy, Table, WRITABLE, Warehouse, batch, dates, entry, insert, integers, texts,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_contract() {
    let warehouse = Warehouse::new().await;
    let connector = warehouse.connector(WRITABLE).unwrap();
    check_writes(&connector, "lake", &format!("new_{}", warehouse.database)).await.unwrap().assert_clean();
}

async fn table(warehouse: &Warehouse, table: &str) -> Struct {
    let arguments = Struct::new().with(1, warehouse.database.as_str()).with(2, table);
    warehouse.call("get_table", arguments).await.structure(0).unwrap().clone()
}

async fn partition(warehouse: &Warehouse, values: &[&str]) -> Struct {
    let arguments = Struct::new().with(1, warehouse.database.as_str()).with(2, "t").with(3, values.to_vec());
    warehouse.call("get_partition", arguments).await.structure(0).unwrap().clone()
}

/// The counts among the parameters of a table (9) or partition (7).
fn counts(of: &Struct, parameters: i16) -> Vec<String> {
    let known: BTreeMap<String, String> = of.text_map(parameters).collect();
    assert!(known["totalSize"].parse::<u64>().unwrap() > 0, "{known:?}");
    assert!(known["rawDataSize"].parse::<u64>().unwrap() > 0, "{known:?}");
    ["numFiles", "numRows"].map(|name| known[name].clone()).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_partitions_are_registered_and_counted() {
    let warehouse = Warehouse::new().await;
    let connector = warehouse.connector(WRITABLE).unwrap();
    let rows = batch(vec![
        ("N", integers([1, 2, 3])),
        ("day", dates([0, 0, 1])),
        ("region", texts([Some("a/b ü"), Some("a/b ü"), None])),
    ]);
    let schema = warehouse.database.as_str();
    let create = Create { schema, partitioned_by: &["day", "region"], ..Create::default() };
    assert_eq!(create.run(connector.as_ref(), &rows).await.unwrap(), 3);
    let engine = warehouse.engine_over(Arc::clone(&connector));
    let all = engine.rows("t", "SELECT n, day, region FROM t").await;
    assert_eq!(all, ["1|1970-01-01|a/b ü", "2|1970-01-01|a/b ü", "3|1970-01-02|NULL"]);

    let made = table(&warehouse, "t").await;
    assert_eq!(made.text(12).unwrap(), "MANAGED_TABLE");
    let location = made.structure(7).unwrap().text(2).unwrap();
    assert_eq!(location, warehouse.location("t"));
    let first = partition(&warehouse, &["1970-01-01", "a/b ü"]).await;
    assert_eq!(first.structure(6).unwrap().text(2).unwrap(), format!("{location}/day=1970-01-01/region=a%2Fb ü"));
    assert_eq!(counts(&first, 7), ["1", "2"]);
    assert_eq!(counts(&partition(&warehouse, &["1970-01-02", "__HIVE_DEFAULT_PARTITION__"]).await, 7), ["1", "1"]);

    let more = batch(vec![("n", integers([4])), ("day", dates([0])), ("region", texts(["a/b ü"]))]);
    insert(&connector, (schema, "t"), &more, InsertMode::Append, None).await.unwrap();
    assert_eq!(counts(&partition(&warehouse, &["1970-01-01", "a/b ü"]).await, 7), ["2", "3"]);
    insert(&connector, (schema, "t"), &more, InsertMode::Overwrite, None).await.unwrap();
    assert_eq!(counts(&partition(&warehouse, &["1970-01-01", "a/b ü"]).await, 7), ["1", "1"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t").await, ["3", "4"]);
    assert!(connector.writable().unwrap().drop_table(&name(&warehouse, "t")).await.unwrap());
    assert!(!warehouse.lake.path("t").exists(), "its files go with a managed table");
}

fn name(warehouse: &Warehouse, table: &str) -> portolan_connector::TableName {
    portolan_connector::TableName::new("lake", &warehouse.database, table)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_partitions_is_counted() {
    let warehouse = Warehouse::new().await;
    let connector = warehouse.connector(WRITABLE).unwrap();
    let schema = warehouse.database.as_str();
    let rows = batch(vec![("n", integers([1, 2]))]);
    Create { schema, ..Create::default() }.run(connector.as_ref(), &rows).await.unwrap();
    assert_eq!(counts(&table(&warehouse, "t").await, 9), ["1", "2"]);
    insert(&connector, (schema, "t"), &rows, InsertMode::Append, None).await.unwrap();
    assert_eq!(counts(&table(&warehouse, "t").await, 9), ["2", "4"]);
}

/// What the planner knows of a table.
async fn known(connector: &Arc<dyn Connector>, schema: &str) -> TableStatistics {
    let table = connector.table(schema, "t").await.unwrap().unwrap();
    table.statistics().await.unwrap().unwrap()
}

/// Whether a count is between two others, give or take a tenth.
fn is_about(found: Option<u64>, least: u64, most: u64) -> bool {
    found.is_some_and(|found| found * 10 >= least * 9 && found * 10 <= most * 11)
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_told_of_and_united_with_what_is_known() {
    for partitioned_by in [&[][..], &["k"]] {
        let warehouse = Warehouse::new().await;
        let connector = warehouse.connector(WRITABLE).unwrap();
        let schema = warehouse.database.as_str();
        let rows = |first: i32| {
            let numbers: Vec<Option<i32>> = (first..first + 500).map(|n| (n % 5 != 0).then_some(n)).collect();
            let names = (first..first + 500).map(|n| format!("name {}", n % 20));
            let prices = (first..first + 500).map(|n| Some(i128::from(n - 100)));
            let prices = Decimal128Array::from_iter(prices).with_precision_and_scale(12, 2).unwrap();
            batch(vec![
                ("n", Arc::new(Int32Array::from(numbers))),
                ("name", Arc::new(StringArray::from_iter_values(names))),
                ("price", Arc::new(prices)),
                ("day", dates((first..first + 500).map(|n| n / 10))),
                ("f", Arc::new(Float64Array::from_iter_values((0..500).map(f64::from)))),
                ("k", integers((first..first + 500).map(|n| n % 2))),
            ])
        };
        let create = Create { schema, partitioned_by, ..Create::default() };
        create.run(connector.as_ref(), &rows(1)).await.unwrap();
        let before = known(&connector, schema).await;
        assert_eq!((before.rows, before.origin.as_str()), (Some(500), "the metastore"));
        let n = &before.columns["n"];
        assert_eq!((&n.min, &n.max), (&Some(ScalarValue::Int32(Some(1))), &Some(ScalarValue::Int32(Some(499)))));
        // Of two partitions the metastore takes the larger count of different values for that of both.
        let parts = if partitioned_by.is_empty() { 1 } else { 2 };
        assert!(is_about(n.distinct, 400 / parts, 400), "{n:?}");
        assert_eq!(n.null_fraction, Some(0.2));
        assert!(is_about(before.columns["name"].distinct, 20 / parts, 20), "{before:?}");
        assert_eq!(before.columns["name"].width, Some(6));
        let price = &before.columns["price"];
        // Taking partitions together, Hive 2.3 rounds decimals to whole numbers.
        let least = if partitioned_by.is_empty() { -99 } else { 0 };
        assert_eq!(price.min, Some(ScalarValue::Decimal128(Some(least), 12, 2)));
        assert_eq!(before.columns["day"].max, Some(ScalarValue::Date32(Some(50))));
        let f = &before.columns["f"];
        assert!(f.min.is_none() && is_about(f.distinct, 500 / parts, 500), "{f:?}");

        insert(&connector, (schema, "t"), &rows(501), InsertMode::Append, None).await.unwrap();
        let after = known(&connector, schema).await;
        assert_eq!(after.rows, Some(1000), "what was remembered is forgotten");
        let n = &after.columns["n"];
        assert_eq!((&n.min, &n.max), (&Some(ScalarValue::Int32(Some(1))), &Some(ScalarValue::Int32(Some(999)))));
        assert_eq!(n.null_fraction, Some(0.2));
        insert(&connector, (schema, "t"), &rows(2001), InsertMode::Overwrite, None).await.unwrap();
        let n = known(&connector, schema).await.columns["n"].clone();
        assert_eq!(n.min, Some(ScalarValue::Int32(Some(2001))), "nothing of what was overwritten");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_claimed_is_taken_back() {
    const CLAIMS: &[(&str, &str)] = &[
        ("EXTERNAL", "TRUE"),
        ("numRows", "1"),
        ("COLUMN_STATS_ACCURATE", "{\"BASIC_STATS\":\"true\",\"COLUMN_STATS\":{\"n\":\"true\"}}"),
        ("spark.sql.statistics.numRows", "1"),
        ("spark.sql.statistics.totalSize", "100"),
        ("spark.sql.statistics.colStats.n.version", "2"),
        ("spark.sql.statistics.colStats.n.max", "1"),
    ];
    for keys in [&[][..], &[("k", "int")]] {
        let warehouse = Warehouse::new().await;
        let connector = warehouse.connector(WRITABLE).unwrap();
        let schema = warehouse.database.as_str();
        warehouse.create(Table { keys, parameters: CLAIMS, ..Table::default() }).await;
        let rows = match keys {
            [] => batch(vec![("n", integers([10]))]),
            _ => batch(vec![("n", integers([10])), ("k", integers([1]))]),
        };
        insert(&connector, (schema, "t"), &rows, InsertMode::Append, None).await.unwrap();
        let parameters: BTreeMap<String, String> = table(&warehouse, "t").await.text_map(9).collect();
        assert!(!parameters.keys().any(|name| name.starts_with("spark.sql.statistics.")), "{parameters:?}");
        let accurate = parameters.get("COLUMN_STATS_ACCURATE").cloned().unwrap_or_default();
        assert!(!accurate.contains("COLUMN_STATS"), "{parameters:?}");
        assert_eq!(parameters["EXTERNAL"], "TRUE");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_others_made() {
    let warehouse = Warehouse::new().await;
    let connector = warehouse.connector(WRITABLE).unwrap();
    let schema = warehouse.database.as_str();
    let made = Table { keys: &[("month", "int")], parameters: &[("EXTERNAL", "TRUE")], ..Table::default() };
    warehouse.create(made.clone()).await;
    warehouse.lake.write(&format!("{schema}/t/month=01/part-0"), vec![("n", integers([1]))]);
    let location = warehouse.location(&format!("{schema}/t/month=01"));
    let known = warehouse.partition(&made, &["01"], &location);
    warehouse.call("add_partition", Struct::new().with(1, known)).await;
    let rows = batch(vec![("n", integers([10, 20])), ("month", integers([1, 2]))]);
    insert(&connector, (schema, "t"), &rows, InsertMode::Append, None).await.unwrap();
    let engine = warehouse.engine_over(Arc::clone(&connector));
    assert_eq!(engine.rows("t", "SELECT n, month FROM t").await, ["10|1", "1|1", "20|2"]);
    let names = Struct::new().with(1, schema).with(2, "t").with(3, -1_i16);
    let names: Vec<String> = warehouse.call("get_partition_names", names).await.texts(0).collect();
    assert_eq!(names, ["month=01", "month=2"], "the partition of 1 is there already");
    insert(&connector, (schema, "t"), &rows, InsertMode::Overwrite, None).await.unwrap();
    assert_eq!(engine.rows("t", "SELECT n, month FROM t").await, ["10|1", "20|2"]);

    // Its files outlive an external table.
    assert!(connector.writable().unwrap().drop_table(&name(&warehouse, "t")).await.unwrap());
    assert!(connector.table(schema, "t").await.unwrap().is_none());
    assert!(warehouse.lake.path(&format!("{schema}/t/month=2")).exists());
    let external_location = Some(warehouse.location(&format!("{schema}/t")));
    let again = Create { schema, external_location, ..Create::default() };
    let error = again.run(connector.as_ref(), &rows).await.unwrap_err().to_string();
    assert!(error.contains("directory") && error.contains("is not empty"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_elsewhere_are_not_written() {
    let warehouse = Warehouse::new().await;
    let connector = warehouse.connector(WRITABLE).unwrap();
    let schema = warehouse.database.as_str();
    let made = Table { keys: &[("month", "int")], ..Table::default() };
    warehouse.create(made.clone()).await;
    warehouse.lake.write("elsewhere/part-0", vec![("n", integers([1]))]);
    let known = warehouse.partition(&made, &["1"], &warehouse.location("elsewhere"));
    warehouse.call("add_partition", Struct::new().with(1, known)).await;
    let rows = batch(vec![("n", integers([10])), ("month", integers([1]))]);
    let error = insert(&connector, (schema, "t"), &rows, InsertMode::Append, None).await.unwrap_err().to_string();
    assert!(error.contains("is not in the table's directory"), "{error}");
    let engine = warehouse.engine_over(connector);
    assert_eq!(engine.rows("t", "SELECT n FROM t").await, ["1"]);
}

/// Names of the partitions that the metastore has.
async fn partition_names(warehouse: &Warehouse) -> Vec<String> {
    let names = Struct::new().with(1, warehouse.database.as_str()).with(2, "t").with(3, -1_i16);
    warehouse.call("get_partition_names", names).await.texts(0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_takes_the_place_of_another_in_one_call() {
    let warehouse = Warehouse::new().await;
    let connector = warehouse.connector(WRITABLE).unwrap();
    let schema = warehouse.database.as_str();
    let create = Create { schema, partitioned_by: &["k"], ..Create::default() };
    let rows = batch(vec![("n", integers([1, 2])), ("k", integers([1, 2]))]);
    create.run(connector.as_ref(), &rows).await.unwrap();
    let proxy = Proxy::start(&warehouse).await;
    let watched = HiveFactory.create(entry(proxy.port(), WRITABLE)).unwrap();
    // A partition that goes, one that stays under its name, and one more column.
    let rows = batch(vec![("n", integers([20, 30])), ("m", texts(["x", "y"])), ("k", integers([2, 3]))]);
    let replace = Create { on_existing: OnExisting::Replace, ..create.clone() };
    replace.run(watched.as_ref(), &rows).await.unwrap();
    let asked = proxy.take();
    let calls: Vec<&str> = asked.iter().map(|(method, _)| method.as_str()).collect();
    assert!(!calls.iter().any(|call| ["drop_table", "create_table"].contains(call)), "{calls:?}");
    // A call may be carried out long after its writer is gone, and somebody else has finished the write.
    let dropped: Vec<bool> = asked
        .iter()
        .filter(|(method, _)| method == "drop_partitions_req")
        .map(|(_, sent)| sent.contains("k=1") && !sent.contains("k=2"))
        .collect();
    assert_eq!(dropped, [true], "only what the new table does not have is dropped");
    let engine = warehouse.engine_over(Arc::clone(&connector));
    assert_eq!(engine.rows("t", "SELECT n, m, k FROM t").await, ["20|x|2", "30|y|3"]);
    assert_eq!(partition_names(&warehouse).await, ["k=2", "k=3"]);
    let kept = partition(&warehouse, &["2"]).await;
    let columns: Vec<String> = kept.structure(6).unwrap().structures(1).filter_map(|column| column.text(1)).collect();
    assert_eq!(columns, ["n", "m"], "the partition has the columns of the new table");
    assert_eq!(counts(&kept, 7), ["1", "1"]);

    // Other partition columns, and a type that holds no value of the old one, are not for the metastore to change.
    let rows = batch(vec![("n", dates([0])), ("region", texts(["y"]))]);
    let replace = Create { partitioned_by: &["region"], ..replace.clone() };
    replace.run(watched.as_ref(), &rows).await.unwrap();
    let calls: Vec<String> = proxy.take().into_iter().map(|(method, _)| method).collect();
    assert!(calls.iter().any(|call| call == "drop_table"), "{calls:?}");
    assert_eq!(engine.rows("t", "SELECT n, region FROM t").await, ["1970-01-01|y"]);
    let rows = batch(vec![("n", integers([5])), ("region", texts(["z"]))]);
    replace.run(watched.as_ref(), &rows).await.unwrap();
    assert_eq!(engine.rows("t", "SELECT n, region FROM t").await, ["5|z"]);
    assert_eq!(partition_names(&warehouse).await, ["region=z"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_partitions_are_believed_until_the_log_says_more() {
    let warehouse = Warehouse::new().await;
    let connector = warehouse.connector(WRITABLE).unwrap();
    let schema = warehouse.database.as_str();
    let rows = |n: i32| batch(vec![("n", integers([n])), ("k", integers([n]))]);
    Create { schema, partitioned_by: &["k"], ..Create::default() }.run(connector.as_ref(), &rows(1)).await.unwrap();
    let proxy = Proxy::start(&warehouse).await;
    let engine = warehouse.watched_with(&proxy, Counting::new() as _, "listing_ttl_seconds = 3600");
    let methods = || proxy.take().into_iter().map(|(method, _)| method).collect::<Vec<_>>();
    let count = "SELECT count(*) FROM t";
    assert_eq!(engine.pruned_rows("t", count).await, ["1"]);
    assert!(methods().contains(&"get_partition_names".to_owned()));
    assert_eq!(engine.pruned_rows("t", count).await, ["1"]);
    assert_eq!(methods(), ["get_table_req"], "names and places are known, and nobody has written");
    // By another process, as far as this one knows.
    insert(&connector, (schema, "t"), &rows(2), InsertMode::Append, None).await.unwrap();
    assert_eq!(engine.pruned_rows("t", count).await, ["2"]);
    assert!(methods().contains(&"get_partition_names".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_a_place_of_its_own() {
    let warehouse = Warehouse::new().await;
    let connector = warehouse.connector(WRITABLE).unwrap();
    let schema = warehouse.database.as_str();
    let rows = batch(vec![("n", integers([1, 2]))]);
    let external_location = Some(warehouse.location("own/place"));
    let create = Create { schema, external_location, ..Create::default() };
    create.run(connector.as_ref(), &rows).await.unwrap();
    let made = table(&warehouse, "t").await;
    assert_eq!(made.text(12).unwrap(), "EXTERNAL_TABLE");
    let replace = Create { on_existing: OnExisting::Replace, external_location: None, ..create };
    replace.run(connector.as_ref(), &rows.slice(0, 1)).await.unwrap();
    assert_eq!(warehouse.engine_over(Arc::clone(&connector)).rows("t", "SELECT n FROM t").await, ["1"]);
    assert!(connector.writable().unwrap().drop_table(&name(&warehouse, "t")).await.unwrap());
    assert!(warehouse.lake.path("own/place").exists());
}
