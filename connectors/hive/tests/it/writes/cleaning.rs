//! `clean_staging`.

use std::sync::Arc;

use object_store::ObjectStore;
use portolan_connector::{Arguments, Connector, InsertMode};
use portolan_hive::HiveConnector;

use crate::support::{Create, Engine, Failing, Fault, Lake, WRITABLE, batch, clean, insert, integers, staged};

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
    let cleaned = clean(&connector).await;
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
    clean(&connector).await;
    writer.commit().await.unwrap();
    assert_eq!(Engine::new(Arc::clone(&connector)).rows("t", "SELECT n FROM t").await, ["1", "2"]);
    insert(&connector, ("s", "t"), &rows(), InsertMode::Append, None).await.unwrap();
    assert_eq!(Engine::new(connector).value("t", "SELECT count(*) FROM t").await, "4");
}

#[tokio::test]
async fn only_a_catalog_that_may_be_written_is_cleaned() {
    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("s")).unwrap();
    let connector = lake.connector("").unwrap();
    let error = connector.call("clean_staging", &Arguments::default()).await.unwrap_err().to_string();
    assert!(error.contains("catalog lake: the catalog is read only") && error.contains("read_write"), "{error}");
}
