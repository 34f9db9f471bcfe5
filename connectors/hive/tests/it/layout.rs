//! Where schemas and tables are found.

use std::sync::Arc;

use portolan_connector::Connector;

use crate::support::{Engine, Lake, integers};

async fn tables(connector: &Arc<dyn Connector>, schema: &str) -> Vec<String> {
    connector.list_tables(schema).await.unwrap().into_iter().map(|entry| entry.name).collect()
}

fn n() -> Vec<(&'static str, arrow::array::ArrayRef)> {
    vec![("n", integers([1]))]
}

#[tokio::test]
async fn schemas_hold_tables_and_tables_of_the_location_are_in_default() {
    let lake = Lake::new();
    lake.write("sales/orders/order_date=2026-10-01/part-0.parquet", n());
    lake.write("sales/customers/part-0.parquet", n());
    lake.write("sales/hive_files/000000_0", n());
    lake.write("web/clicks/part-0.parquet", n());
    lake.write("events/day=2026-10-01/part-0.parquet", n());
    lake.raw("sales/README.md", b"about this schema");
    lake.raw("README.md", b"about this lake");
    lake.raw("_tmp/x/part-0.parquet", b"hidden");
    lake.raw("sales/iceberg/metadata/v1.json", b"{}");
    lake.raw("sales/iceberg/data/x.parquet", b"no table of ours");
    let connector = lake.connector("").unwrap();
    assert_eq!(connector.list_schemas().await.unwrap(), ["default", "sales", "web"]);
    assert_eq!(tables(&connector, "sales").await, ["customers", "hive_files", "orders"]);
    assert_eq!(tables(&connector, "default").await, ["events"]);
    assert!(tables(&connector, "nothing").await.is_empty());
    assert!(tables(&connector, "events").await.is_empty());
    for (schema, table) in [("sales", "orders"), ("sales", "hive_files"), ("default", "events")] {
        let engine = Engine { schema: schema.to_owned(), ..Engine::new(Arc::clone(&connector)) };
        assert_eq!(engine.value(table, "SELECT count(*) FROM t").await, "1", "{schema}.{table}");
    }
    for (schema, table) in [
        ("sales", "iceberg"),
        ("sales", "nope"),
        ("default", "sales"),
        ("sales", "_tmp"),
        ("sales", "../web/clicks"),
        ("", ""),
    ] {
        assert!(connector.table(schema, table).await.unwrap().is_none(), "{schema}.{table}");
    }
}

#[tokio::test]
async fn the_layout_can_be_said() {
    let lake = Lake::new();
    lake.write("sales/orders/part-0.parquet", n());
    lake.write("events/part-0.parquet", n());
    let schemas = lake.connector("layout = 'schemas'").unwrap();
    assert_eq!(schemas.list_schemas().await.unwrap(), ["events", "sales"]);
    assert!(tables(&schemas, "default").await.is_empty());
    let flat = lake.connector("layout = 'tables'").unwrap();
    assert_eq!(flat.list_schemas().await.unwrap(), ["default"]);
    assert_eq!(tables(&flat, "default").await, ["events"]);
    assert!(flat.table("sales", "orders").await.unwrap().is_none());
}

#[tokio::test]
async fn a_table_can_be_anywhere_in_the_store() {
    let lake = Lake::new();
    lake.write("deep/down/here/y=1/f", n());
    let absolute = lake.path("deep/down/here");
    let settings = format!(
        "[tables.'s.one']\nlocation = 'deep/down/here'\n[tables.two]\nlocation = '{0}'\n[tables.three]\nlocation = 'file://{0}'\n[tables.four]\nlocation = 's3://other/x'",
        absolute.display()
    );
    let connector = lake.connector(&settings).unwrap();
    assert_eq!(connector.list_schemas().await.unwrap(), ["deep", "default", "s"]);
    assert_eq!(tables(&connector, "default").await, ["four", "three", "two"]);
    for (schema, table) in [("s", "one"), ("default", "two"), ("default", "three")] {
        let engine = Engine { schema: schema.to_owned(), ..Engine::new(Arc::clone(&connector)) };
        assert_eq!(engine.rows(table, "SELECT n, y FROM t").await, ["1|1"], "{schema}.{table}");
    }
    let text = connector.table("default", "four").await.unwrap_err().to_string();
    assert!(text.contains("is in another store than the catalog"), "{text}");
}

#[tokio::test]
async fn a_lake_whose_path_needs_care() {
    let lake = Lake::new();
    lake.write("with space & ümlaut/a b#c/y=1/f 1.parquet", n());
    let connector = lake.connector("").unwrap();
    assert_eq!(connector.list_schemas().await.unwrap(), ["with space & ümlaut"]);
    let engine = Engine { schema: "with space & ümlaut".to_owned(), ..Engine::new(connector) };
    assert_eq!(engine.rows("a b#c", "SELECT n, y FROM t WHERE \"$path\" LIKE '%f 1.parquet'").await, ["1|1"]);
}
