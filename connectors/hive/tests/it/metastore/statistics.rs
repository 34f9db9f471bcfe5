//! What the metastore knows of rows and values.

use datafusion::common::ScalarValue;
use portolan_connector::TableStatistics;
use portolan_hive::thrift::{Struct, Value};

use crate::support::{Engine, Table, Warehouse, integers, leaf_of};

async fn statistics(engine: &Engine, table: &str) -> Option<TableStatistics> {
    engine.table(table).await.unwrap().statistics().await.unwrap()
}

#[tokio::test]
async fn of_a_table_without_any_nothing_is_known() {
    let warehouse = Warehouse::new().await;
    warehouse.create(Table::default()).await;
    let known = statistics(&warehouse.engine(), "t").await;
    assert!(known.is_none_or(|known| known.rows.is_none()), "no rows were counted");
}

#[tokio::test]
async fn parameters_of_hive_and_of_spark() {
    let warehouse = Warehouse::new().await;
    let parameters = &[("numRows", "1000"), ("totalSize", "50000")];
    warehouse.create(Table { name: "of_hive", parameters, ..Table::default() }).await;
    let spark = &[
        ("spark.sql.statistics.numRows", "2000"),
        ("spark.sql.statistics.totalSize", "70000"),
        ("spark.sql.statistics.colStats.n.version", "2"),
        ("spark.sql.statistics.colStats.n.min", "-1"),
        ("spark.sql.statistics.colStats.n.max", "99"),
        ("spark.sql.statistics.colStats.n.distinctCount", "80"),
        ("spark.sql.statistics.colStats.n.nullCount", "500"),
    ];
    warehouse.create(Table { name: "of_spark", parameters: spark, ..Table::default() }).await;
    let engine = warehouse.engine();
    let known = statistics(&engine, "of_hive").await.unwrap();
    assert_eq!((known.rows, known.bytes, known.origin.as_str()), (Some(1000), Some(50_000), "the metastore"));
    let known = statistics(&engine, "of_spark").await.unwrap();
    assert_eq!((known.rows, known.bytes), (Some(2000), Some(70_000)));
    let column = &known.columns["n"];
    assert_eq!((column.distinct, column.null_fraction), (Some(80), Some(0.25)));
    assert_eq!((&column.min, &column.max), (&Some(ScalarValue::Int32(Some(-1))), &Some(ScalarValue::Int32(Some(99)))));
}

#[tokio::test]
async fn columns_as_hive_analyzed_them() {
    let warehouse = Warehouse::new().await;
    let columns = &[("n", "int"), ("name", "string")];
    warehouse.create(Table { columns, parameters: &[("numRows", "100")], ..Table::default() }).await;
    let description = Struct::new().with(1, true).with(2, warehouse.database.as_str()).with(3, "t");
    let object = |name: &str, kind: &str, data: Struct| Struct::new().with(1, name).with(2, kind).with(3, data);
    let numbers = Struct::new().with(1, 5_i64).with(2, 50_i64).with(3, 10_i64).with(4, 40_i64);
    let texts = Struct::new().with(1, 30_i64).with(2, 12.5).with(3, 0_i64).with(4, 7_i64);
    let objects = vec![
        object("n", "int", Struct::new().with(2, numbers)),
        object("name", "string", Struct::new().with(4, texts)),
    ];
    let all = Struct::new().with(1, description).with(2, objects);
    let result = warehouse.call("update_table_column_statistics", Struct::new().with(1, all)).await;
    assert_eq!(result.get(0), Some(&Value::Bool(true)));
    let known = statistics(&warehouse.engine(), "t").await.unwrap();
    let column = &known.columns["n"];
    assert_eq!((column.distinct, column.null_fraction), (Some(40), Some(0.1)));
    assert_eq!((&column.min, &column.max), (&Some(ScalarValue::Int32(Some(5))), &Some(ScalarValue::Int32(Some(50)))));
    assert_eq!((known.columns["name"].distinct, known.columns["name"].width), (Some(7), Some(12)));
}

#[tokio::test]
async fn rows_of_partitions_add_up() {
    let warehouse = Warehouse::new().await;
    let keys = &[("p", "int")];
    warehouse.create(Table { keys, ..Table::default() }).await;
    let counted = Table { parameters: &[("numRows", "30"), ("totalSize", "900")], ..Table::default() };
    let mut partitions = Vec::new();
    for p in ["1", "2", "3", "4"] {
        warehouse.lake.write(&format!("t/p={p}/f"), vec![("n", integers([1]))]);
        partitions.push(warehouse.partition(&counted, &[p], &warehouse.location(&format!("t/p={p}"))));
    }
    warehouse.add(partitions).await;
    let engine = warehouse.engine();
    let known = statistics(&engine, "t").await.unwrap();
    assert_eq!((known.rows, known.columns["p"].distinct), (Some(120), Some(4)));
    let plan = engine.run("t", "SELECT n FROM t WHERE p < 3").await;
    assert_eq!(leaf_of(&plan).report().estimate.rows, Some(60));
}
