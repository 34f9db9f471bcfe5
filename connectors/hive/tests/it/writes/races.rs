//! Writes between the steps of others: of queries, and of other writes.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionContext, col, lit};
use object_store::ObjectStore;
use portolan_connector::{
    Begun, Connector, ConnectorFactory, ConnectorTable, InsertMode, OnExisting, PlanContext, PushedFilter,
    QueryContext, Scan, ScanRequest, Snapshot, TableName, TableWriter, Verdict, WriteContext,
};
use portolan_hive::{HiveConnector, HiveFactory};

use crate::support::{
    Create, Engine, Failing, Fault, Interposed, Lake, Proxy, WRITABLE, Warehouse, batch, entry, floats, insert,
    integers, staged, texts,
};

fn lake() -> (Lake, Arc<dyn Connector>) {
    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("s")).unwrap();
    let connector = lake.connector(WRITABLE).unwrap();
    (lake, connector)
}

fn rows(rows: &[(i32, i32)]) -> RecordBatch {
    batch(vec![("n", integers(rows.iter().map(|(n, _)| *n))), ("k", integers(rows.iter().map(|(_, k)| *k)))])
}

/// The numbers of one partition, as one scan of a query sees them.
async fn scanned(table: &Arc<dyn ConnectorTable>, k: i32, snapshot: &Arc<dyn Snapshot>) -> Vec<i32> {
    let context = SessionContext::new();
    let state = context.state();
    let request = ScanRequest {
        projection: vec![0],
        filters: vec![PushedFilter::new(col("k").eq(lit(k)), Verdict::Exact)],
        limit: None,
    };
    let plan = PlanContext { session: &state, snapshot: Arc::clone(snapshot) };
    let Scan::Native(plan) = table.plan(&request, &plan).await.unwrap().scan else { panic!("a plan of the engine") };
    let mut numbers = Vec::new();
    for batch in collect(plan, context.task_ctx()).await.unwrap() {
        let column = batch.column(0).as_any().downcast_ref::<arrow::array::Int32Array>().unwrap();
        numbers.extend(column.values());
    }
    numbers.sort_unstable();
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_between_the_opening_of_a_table_and_its_scans() {
    let (_lake, connector) = lake();
    let create = Create { partitioned_by: &["k"], ..Create::default() };
    create.run(connector.as_ref(), &rows(&[(1, 1), (2, 2), (3, 3)])).await.unwrap();
    let table = connector.table("s", "t").await.unwrap().unwrap();
    insert(&connector, ("s", "t"), &rows(&[(10, 1), (20, 2), (30, 3)]), InsertMode::Overwrite, None).await.unwrap();
    let snapshot = connector.begin(&QueryContext { query_id: "test".to_owned() }).await.unwrap();
    // What the first finds out holds for those after it.
    for k in 1..=3 {
        assert_eq!(scanned(&table, k, &snapshot).await, [10 * k], "partition {k}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_of_one_query_see_the_same_writes() {
    let (_lake, connector) = lake();
    let create = Create { partitioned_by: &["k"], ..Create::default() };
    create.run(connector.as_ref(), &rows(&[(1, 1), (2, 2)])).await.unwrap();
    let table = connector.table("s", "t").await.unwrap().unwrap();
    let snapshot = connector.begin(&QueryContext { query_id: "test".to_owned() }).await.unwrap();
    assert_eq!(scanned(&table, 1, &snapshot).await, [1]);
    insert(&connector, ("s", "t"), &rows(&[(10, 1), (20, 2)]), InsertMode::Append, None).await.unwrap();
    // Nothing was removed, so that what was there before can still be read.
    assert_eq!(scanned(&table, 2, &snapshot).await, [2]);
    // Another query over the same table sees what is there now.
    let snapshot = connector.begin(&QueryContext { query_id: "other".to_owned() }).await.unwrap();
    let table = connector.table("s", "t").await.unwrap().unwrap();
    assert_eq!(scanned(&table, 2, &snapshot).await, [2, 20]);
}

/// Until the process has been killed right after its commit.
async fn killed_after_the_commit(lake: &Lake, connector: &Arc<dyn Connector>) {
    for at in 0..200 {
        let store: Arc<dyn ObjectStore> = Failing::new(Fault::Killed, at);
        let failing: Arc<dyn Connector> = Arc::new(HiveConnector::over(lake.entry(WRITABLE), store).unwrap());
        let _ = insert(&failing, ("s", "t"), &rows(&[(7, 7)]), InsertMode::Append, None).await;
        let committed = lake.path("s/t/_portolan/000000000002.commit").exists();
        if committed && !staged(&lake.path("s/t")).is_empty() {
            return;
        }
        assert!(!committed, "request {at}");
        crate::support::clean(connector, None).await;
    }
    panic!("it is never committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_staged_long_before_its_commit_is_read() {
    let (lake, connector) = lake();
    Create::default().run(connector.as_ref(), &rows(&[(1, 1)])).await.unwrap();
    killed_after_the_commit(&lake, &connector).await;
    let hour = std::time::SystemTime::now() - Duration::from_secs(3600);
    for write in std::fs::read_dir(lake.path("s/t/_portolan/staged")).unwrap() {
        for file in std::fs::read_dir(write.unwrap().path()).unwrap() {
            let file = std::fs::File::options().write(true).open(file.unwrap().path()).unwrap();
            file.set_modified(hour).unwrap();
        }
    }
    assert_eq!(Engine::new(connector).rows("t", "SELECT n FROM t").await, ["1", "7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_for_a_table_that_is_dropped_at_the_last_moment() {
    let (lake, connector) = lake();
    Create::default().run(connector.as_ref(), &rows(&[(1, 1)])).await.unwrap();
    let dropping = Arc::clone(&connector);
    let store = Interposed::new(".commit", async move {
        let name = TableName::new("lake", "s", "t");
        assert!(dropping.writable().unwrap().drop_table(&name).await.unwrap());
    });
    let late: Arc<dyn Connector> = Arc::new(HiveConnector::over(lake.entry(WRITABLE), store).unwrap());
    let error = insert(&late, ("s", "t"), &rows(&[(2, 2)]), InsertMode::Append, None).await.unwrap_err().to_string();
    assert!(error.contains("the table was dropped or replaced while rows were written to it"), "{error}");
    assert!(connector.table("s", "t").await.unwrap().is_none());
    assert!(connector.list_tables("s").await.unwrap().is_empty());
    // The next one of the name has none of this.
    Create::default().run(connector.as_ref(), &rows(&[(3, 3)])).await.unwrap();
    assert_eq!(Engine::new(Arc::clone(&connector)).rows("t", "SELECT n FROM t").await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_for_a_table_that_a_metastore_drops_at_the_last_moment() {
    let warehouse = Warehouse::new().await;
    let connector = warehouse.connector(WRITABLE).unwrap();
    let schema = warehouse.database.clone();
    let create = Create { schema: &schema, partitioned_by: &["k"], ..Create::default() };
    create.run(connector.as_ref(), &rows(&[(1, 1)])).await.unwrap();
    let (dropping, name) = (Arc::clone(&connector), TableName::new("lake", &schema, "t"));
    let store = Interposed::new(".commit", async move {
        assert!(dropping.writable().unwrap().drop_table(&name).await.unwrap());
    });
    let late: Arc<dyn Connector> = Arc::new(HiveConnector::over(warehouse.entry(WRITABLE), store).unwrap());
    let error = insert(&late, (&schema, "t"), &rows(&[(2, 2)]), InsertMode::Append, None).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("it was dropped while rows were written to it"), "{error}");
    assert!(!warehouse.lake.path("t").exists(), "nothing is left of them");
    crate::support::clean(&connector, Some(&schema)).await;
    // The next one of the name has none of this.
    create.run(connector.as_ref(), &rows(&[(3, 3)])).await.unwrap();
    assert_eq!(warehouse.engine_over(connector).rows("t", "SELECT n, k FROM t").await, ["3|3"]);
}

/// Until a REPLACE with one more column has been committed, and killed before the metastore was told.
async fn killed_before_the_metastore_knows(warehouse: &Warehouse, replace: &Create<'_>, new: &RecordBatch) {
    for calls in 1..100 {
        let proxy = Proxy::start_until(warehouse, calls).await;
        let settings = format!("{WRITABLE}metastore_timeout_seconds = 1\n");
        let failing = HiveFactory.create(entry(proxy.port(), &settings)).unwrap();
        let told = replace.run(failing.as_ref(), new).await;
        let log = warehouse.lake.path("t/_portolan");
        if log.join("000000000002.commit").exists() {
            assert!(told.is_err() || !log.join("000000000002.done").exists(), "{told:?}");
            return;
        }
    }
    panic!("it is never committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_not_another_before_the_metastore_says_so() {
    let warehouse = Warehouse::new().await;
    let connector = warehouse.connector(WRITABLE).unwrap();
    let schema = warehouse.database.clone();
    let create = Create { schema: &schema, partitioned_by: &["k"], ..Create::default() };
    create.run(connector.as_ref(), &rows(&[(1, 1), (2, 2)])).await.unwrap();
    let new = batch(vec![("m", texts(["x"])), ("n", integers([10])), ("k", integers([3]))]);
    let replace = Create { on_existing: OnExisting::Replace, ..create.clone() };
    killed_before_the_metastore_knows(&warehouse, &replace, &new).await;
    let engine = warehouse.engine_over(Arc::clone(&connector));
    // A metastore that is slow to answer may have been told at the second attempt. The table is the one or the other.
    let seen = connector.table(&schema, "t").await.unwrap().unwrap();
    let expected: &[&str] = match seen.columns().iter().any(|column| column.name() == "m") {
        true => &["10|3"],
        false => &["1|1", "2|2"],
    };
    assert_eq!(engine.rows("t", "SELECT n, k FROM t").await, expected, "one table, and none of the other's files");
    // Who writes next brings it to its end first.
    insert(&connector, (&schema, "t"), &rows(&[(20, 3)]), InsertMode::Append, None).await.unwrap();
    assert_eq!(engine.rows("t", "SELECT m, n, k FROM t").await, ["NULL|20|3", "x|10|3"]);
    assert!(!warehouse.lake.path("t/k=1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tells_of_a_dropped_table_goes_in_the_end() {
    let (lake, connector) = lake();
    // Also of one that lies where schemas do.
    for (schema, directory) in [("s", "s/t"), ("default", "t")] {
        let create = Create { schema, ..Create::default() };
        create.run(connector.as_ref(), &rows(&[(1, 1)])).await.unwrap();
        let name = TableName::new("lake", schema, "t");
        assert!(connector.writable().unwrap().drop_table(&name).await.unwrap());
        assert!(!connector.writable().unwrap().drop_table(&name).await.unwrap(), "it is gone");
        let left: Vec<_> = std::fs::read_dir(lake.path(directory)).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["_portolan"]);
    }
    assert_eq!(connector.list_schemas().await.unwrap(), ["s"]);
    crate::support::clean(&connector, None).await;
    assert!(!lake.path("s/t").exists() && !lake.path("t").exists());
}

async fn begun(connector: &Arc<dyn Connector>) -> Box<dyn TableWriter> {
    let table = connector.table("s", "t").await.unwrap().unwrap();
    let context = WriteContext { query: QueryContext { query_id: "test".to_owned() }, token: None };
    let begun = connector.writable().unwrap().insert(&table, &[0, 1], InsertMode::Append, context).await.unwrap();
    let Begun::Writer(mut writer) = begun else { panic!("a new write") };
    writer.write(rows(&[(5, 5)])).await.unwrap();
    writer
}

/// As if it had been made, and done, more than an hour ago.
fn forget_record(lake: &Lake, number: u64) {
    for end in ["commit", "done"] {
        std::fs::remove_file(lake.path(&format!("s/t/_portolan/{number:012}.{end}"))).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_takes_longer_than_records_are_kept() {
    let (lake, connector) = lake();
    Create::default().run(connector.as_ref(), &rows(&[(1, 1)])).await.unwrap();
    let writer = begun(&connector).await;
    for n in [2, 3] {
        insert(&connector, ("s", "t"), &rows(&[(n, n)]), InsertMode::Append, None).await.unwrap();
    }
    forget_record(&lake, 2);
    writer.commit().await.unwrap();
    assert_eq!(Engine::new(Arc::clone(&connector)).rows("t", "SELECT n FROM t").await, ["1", "2", "3", "5"]);
    // The rows are not for a table that has taken the place of theirs.
    let writer = begun(&connector).await;
    let other = batch(vec![("t", texts(["x"]))]);
    let replace = Create { on_existing: OnExisting::Replace, ..Create::default() };
    replace.run(connector.as_ref(), &other).await.unwrap();
    insert(&connector, ("s", "t"), &other, InsertMode::Append, None).await.unwrap();
    forget_record(&lake, 5);
    let error = writer.commit().await.unwrap_err().to_string();
    assert!(error.contains("the table was dropped or replaced"), "{error}");
    assert_eq!(Engine::new(connector).rows("t", "SELECT t FROM t").await, ["x", "x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn zeros_and_nans_are_one_partition_each() {
    let (_lake, connector) = lake();
    let of = |n: i32, values: [f64; 2]| batch(vec![("n", integers([n, n + 1])), ("k", floats(values))]);
    let create = Create { partitioned_by: &["k"], ..Create::default() };
    create.run(connector.as_ref(), &of(1, [0.0, f64::NAN])).await.unwrap();
    let again = of(3, [-0.0, f64::from_bits(0xfff8_0000_0000_0001)]);
    insert(&connector, ("s", "t"), &again, InsertMode::Overwrite, None).await.unwrap();
    assert_eq!(Engine::new(connector).rows("t", "SELECT n, k FROM t").await, ["3|0.0", "4|NaN"]);
}
