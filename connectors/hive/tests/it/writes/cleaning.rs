//! `clean_staging`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use portolan_connector::{ArgumentValue, Arguments, Connector, ConnectorError, InsertMode};
use portolan_hive::HiveConnector;

use crate::support::{
    Create, Engine, Failing, Fault, Lake, WRITABLE, Warehouse, batch, clean, insert, integers, staged,
};

fn rows() -> arrow::array::RecordBatch {
    batch(vec![("n", integers([1, 2]))])
}

/// A write of the first to fail after this many requests.
async fn killed(lake: &Lake, at: usize) {
    let store: Arc<dyn ObjectStore> = Failing::new(Fault::Killed, at);
    let connector: Arc<dyn Connector> = Arc::new(HiveConnector::over(lake.entry(WRITABLE), store).unwrap());
    let table = Create::default().run(connector.as_ref(), &rows()).await;
    assert!(table.is_err(), "it is killed before the commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_write_leaves() {
    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("s")).unwrap();
    let connector = lake.connector(WRITABLE).unwrap();
    // Until there is something staged and nothing committed.
    for at in 0.. {
        killed(&lake, at).await;
        if !staged(&lake.path("s/t")).is_empty() {
            break;
        }
    }
    assert!(connector.table("s", "t").await.unwrap().is_none());
    let kept = connector.call("clean_staging", &Arguments::default()).await.unwrap();
    assert!(kept.contains("removed 0 files (0 B) of 0 dead writes"), "a write of today may go on: {kept}");
    let cleaned = clean(&connector, None).await;
    assert!(cleaned.starts_with("finished 0 committed writes, removed 1 file"), "{cleaned}");
    assert!(cleaned.contains("of 1 dead write, forgot 0 write tokens"), "{cleaned}");
    assert!(!lake.path("s/t").exists(), "nothing is left of a table that was never made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_has_sent_nothing_yet_goes_on() {
    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("s")).unwrap();
    let connector = lake.connector(WRITABLE).unwrap();
    Create::default().run(connector.as_ref(), &rows()).await.unwrap();
    let table = connector.table("s", "t").await.unwrap().unwrap();
    let context = portolan_connector::WriteContext {
        query: portolan_connector::QueryContext { query_id: "test".to_owned() },
        token: None,
    };
    let begun = connector.writable().unwrap().insert(&table, &[0], InsertMode::Overwrite, context).await.unwrap();
    let portolan_connector::Begun::Writer(mut writer) = begun else { panic!("a new write") };
    writer.write(rows()).await.unwrap();
    // Small files are sent when they are closed.
    clean(&connector, None).await;
    writer.commit().await.unwrap();
    assert_eq!(Engine::new(Arc::clone(&connector)).rows("t", "SELECT n FROM t").await, ["1", "2"]);
    insert(&connector, ("s", "t"), &rows(), InsertMode::Append, None).await.unwrap();
    assert_eq!(Engine::new(connector).value("t", "SELECT count(*) FROM t").await, "4");
}

/// Puts a file into a table's directory that looks like one of a write that is under way.
fn stage(table: &Path) -> PathBuf {
    let directory = table.join("_portolan/staged/portolan-0000deadbeef-0123456789abcdef01234567");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("00000"), "x").unwrap();
    directory.join("00000")
}

async fn call(connector: &Arc<dyn Connector>, arguments: &[(&'static str, &str)]) -> Result<String, ConnectorError> {
    let mut given = Arguments::default();
    given.insert("older_than", ArgumentValue::Duration(Duration::ZERO));
    for (name, value) in arguments {
        given.insert(name, ArgumentValue::Text((*value).to_owned()));
    }
    connector.call("clean_staging", &given).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_tables_that_are_named_are_cleaned() {
    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("s")).unwrap();
    std::fs::create_dir_all(lake.path("r")).unwrap();
    let connector = lake.connector(WRITABLE).unwrap();
    let mut files = Vec::new();
    // The last is a table that lies where schemas do.
    for (schema, table, directory) in [("s", "t", "s/t"), ("s", "u", "s/u"), ("r", "t", "r/t"), ("default", "d", "d")] {
        Create { schema, table, ..Create::default() }.run(connector.as_ref(), &rows()).await.unwrap();
        files.push(stage(&lake.path(directory)));
    }
    let left = || files.iter().map(|file| file.exists()).collect::<Vec<_>>();
    let alone = call(&connector, &[("table_name", "t")]).await.unwrap_err().to_string();
    assert!(alone.contains("catalog lake: table_name without schema_name"), "{alone}");
    for (arguments, expected, tables) in [
        (&[("schema_name", "s"), ("table_name", "x")][..], [true, true, true, true], "0 tables"),
        (&[("schema_name", "s"), ("table_name", "t")], [false, true, true, true], "1 table"),
        (&[("schema_name", "s")], [false, false, true, true], "2 tables"),
        (&[("schema_name", "default")], [false, false, true, false], "1 table"),
        (&[], [false, false, false, false], "4 tables"),
    ] {
        let said = call(&connector, arguments).await.unwrap();
        assert_eq!(left(), expected, "{arguments:?}: {said}");
        assert!(said.ends_with(&format!("in {tables} that were written here")), "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_tables_of_a_metastore_that_are_named_are_cleaned() {
    let warehouse = Warehouse::new().await;
    let connector = warehouse.connector(WRITABLE).unwrap();
    let schema = warehouse.database.as_str();
    for table in ["t", "u"] {
        Create { schema, table, ..Create::default() }.run(connector.as_ref(), &rows()).await.unwrap();
    }
    // The metastore does not know the third.
    let files = ["t", "u", "unknown"].map(|table| stage(&warehouse.lake.path(table)));
    let left = || files.iter().map(|file| file.exists()).collect::<Vec<_>>();
    for (arguments, expected) in [
        (&[("schema_name", "another")][..], [true, true, true]),
        (&[("schema_name", schema), ("table_name", "t")], [false, true, true]),
        (&[("schema_name", schema), ("table_name", "unknown")], [false, true, false]),
        (&[("schema_name", schema)], [false, false, false]),
    ] {
        let said = call(&connector, arguments).await.unwrap();
        assert_eq!(left(), expected, "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn only_a_catalog_that_may_be_written_is_cleaned() {
    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("s")).unwrap();
    let connector = lake.connector("").unwrap();
    let error = connector.call("clean_staging", &Arguments::default()).await.unwrap_err().to_string();
    assert!(error.contains("catalog lake: the catalog is read only") && error.contains("read_write"), "{error}");
}
