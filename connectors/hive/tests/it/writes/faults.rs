//! Writes of which one request to the store fails, for each request in turn: readers see all that was there before or all
//! that is there after; a statement that is tried again under its token writes once; nothing is left of it in the end.

use std::sync::Arc;

use arrow::array::RecordBatch;
use object_store::ObjectStore;
use portolan_connector::{Connector, ConnectorError, ConnectorFactory, InsertMode, OnExisting};
use portolan_hive::{HiveConnector, HiveFactory};

use crate::support::{
    Create, Engine, Failing, Fault, Lake, Proxy, WRITABLE, Warehouse, batch, clean, entry, insert, integers, staged,
};

/// More requests than any of these writes makes.
const REQUESTS_MAX: usize = 200;

/// What is written, over a table with the rows 1 and 2.
#[derive(Clone, Copy, Debug)]
enum Statement {
    Create,
    Insert,
    Overwrite,
    Replace,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    statement: Statement,
    is_partitioned: bool,
}

/// Where tables are.
enum Place {
    Directories(Lake),
    Metastore(Warehouse),
}

impl Place {
    /// The table's directory.
    fn table(&self) -> std::path::PathBuf {
        match self {
            Self::Directories(lake) => lake.path("s/t"),
            // The location of the database is that of the lake.
            Self::Metastore(warehouse) => warehouse.lake.path("t"),
        }
    }

    fn schema(&self) -> &str {
        match self {
            Self::Directories(_) => "s",
            Self::Metastore(warehouse) => &warehouse.database,
        }
    }

    fn connector(&self) -> Arc<dyn Connector> {
        match self {
            Self::Directories(lake) => lake.connector(WRITABLE).unwrap(),
            Self::Metastore(warehouse) => warehouse.connector(WRITABLE).unwrap(),
        }
    }

    fn over(&self, store: Arc<dyn ObjectStore>) -> Arc<dyn Connector> {
        let entry = match self {
            Self::Directories(lake) => lake.entry(WRITABLE),
            Self::Metastore(warehouse) => warehouse.entry(WRITABLE),
        };
        Arc::new(HiveConnector::over(entry, store).unwrap())
    }

    async fn seen(&self, connector: &Arc<dyn Connector>) -> Option<Vec<String>> {
        let engine = Engine { schema: self.schema().to_owned(), ..Engine::new(Arc::clone(connector)) };
        connector.table(self.schema(), "t").await.unwrap()?;
        Some(engine.rows("t", "SELECT n, k FROM t").await)
    }
}

impl Case {
    fn partitioned_by(self) -> &'static [&'static str] {
        if self.is_partitioned { &["k"] } else { &[] }
    }

    /// The table before, of a statement that does not make it.
    async fn prepare(self, place: &Place, connector: &Arc<dyn Connector>) {
        if !matches!(self.statement, Statement::Create) {
            let create = Create { schema: place.schema(), partitioned_by: self.partitioned_by(), ..Create::default() };
            create.run(connector.as_ref(), &rows(&[(1, 1), (2, 2)])).await.unwrap();
        }
    }

    async fn run(self, place: &Place, connector: &Arc<dyn Connector>) -> Result<u64, ConnectorError> {
        let (rows, token) = (rows(&[(10, 1), (11, 1), (30, 3)]), Some("a token"));
        let table = (place.schema(), "t");
        let partitioned_by = self.partitioned_by();
        let create = Create { schema: place.schema(), partitioned_by, token, ..Create::default() };
        match self.statement {
            Statement::Create => create.run(connector.as_ref(), &rows).await,
            Statement::Replace => {
                Create { on_existing: OnExisting::Replace, ..create }.run(connector.as_ref(), &rows).await
            }
            Statement::Insert => insert(connector, table, &rows, InsertMode::Append, token).await,
            Statement::Overwrite => insert(connector, table, &rows, InsertMode::Overwrite, token).await,
        }
    }

    /// The rows before and after; none where there is no table.
    fn expected(self) -> (Option<Vec<&'static str>>, Vec<&'static str>) {
        let before = vec!["1|1", "2|2"];
        let new = vec!["10|1", "11|1", "30|3"];
        match self.statement {
            Statement::Create => (None, new),
            Statement::Insert => (Some(before), vec!["10|1", "11|1", "1|1", "2|2", "30|3"]),
            Statement::Overwrite if self.is_partitioned => (Some(before), vec!["10|1", "11|1", "2|2", "30|3"]),
            Statement::Overwrite | Statement::Replace => (Some(before), new),
        }
    }
}

fn rows(rows: &[(i32, i32)]) -> RecordBatch {
    batch(vec![("n", integers(rows.iter().map(|(n, _)| *n))), ("k", integers(rows.iter().map(|(_, k)| *k)))])
}

/// Runs the statement with a fault at the request of this number. False when it makes fewer requests.
async fn run_with_fault(place: Place, case: Case, fault: Fault, at: usize) -> bool {
    let name = format!("{case:?}, {fault:?} at request {at}");
    let sound = place.connector();
    case.prepare(&place, &sound).await;
    let store = Failing::new(fault, at);
    let over: Arc<dyn ObjectStore> = Arc::<Failing>::clone(&store);
    let failing = place.over(over);
    let told = case.run(&place, &failing).await;
    check(&name, &place, case, &sound, told).await;
    store.has_failed()
}

/// Checks what is there after a statement that may have failed, and after it is tried again.
async fn check(name: &str, place: &Place, case: Case, sound: &Arc<dyn Connector>, told: Result<u64, ConnectorError>) {
    let (before, after) = case.expected();
    let found = place.seen(sound).await;
    let is_after = found.as_deref() == Some(&after.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>());
    let is_before = found == before.map(|rows| rows.into_iter().map(str::to_owned).collect());
    assert!(is_before || is_after, "{name}: {found:?}");
    let number = if matches!(case.statement, Statement::Create) { 1 } else { 2 };
    if place.table().join(format!("_portolan/{number:012}.done")).exists() {
        assert_eq!(staged(&place.table()), Vec::<String>::new(), "{name}: done, and there is something to copy");
    }
    if let Ok(count) = told {
        assert!(is_after && count == 3, "{name}: told {count} rows, and {found:?} are there");
    }
    // The same statement again, under the same token.
    for attempt in ["second", "third"] {
        let told = case.run(place, sound).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(told, 3, "{name}: told by the {attempt} try");
        assert_eq!(place.seen(sound).await.unwrap(), after, "{name}: after the {attempt} try");
    }
    clean(sound, Some(place.schema())).await;
    assert_eq!(place.seen(sound).await.unwrap(), after, "{name}: after cleaning");
    assert!(place.table().exists(), "{name}");
    assert_eq!(staged(&place.table()), Vec::<String>::new(), "{name}: litter");
}

async fn in_directories(statement: Statement) {
    for is_partitioned in [false, true] {
        for fault in Fault::ALL {
            let case = Case { statement, is_partitioned };
            for at in 0.. {
                assert!(at < REQUESTS_MAX, "{case:?} makes no end of requests");
                let lake = Lake::new();
                std::fs::create_dir_all(lake.path("s")).unwrap();
                if !run_with_fault(Place::Directories(lake), case, fault, at).await {
                    assert!(at > 8, "{case:?} makes only {at} requests");
                    break;
                }
            }
        }
    }
}

/// Partitions, of which the metastore has to know; without them there is less that can go wrong than in directories.
async fn in_a_metastore(statement: Statement) {
    let case = Case { statement, is_partitioned: true };
    for at in 0..REQUESTS_MAX {
        let warehouse = Warehouse::new().await;
        if !run_with_fault(Place::Metastore(warehouse), case, Fault::Killed, at).await {
            assert!(at > 8, "{case:?} makes only {at} requests");
            return;
        }
    }
    panic!("{case:?} makes no end of requests");
}

/// The process ends after each of its calls to the metastore, before the answer.
async fn killed_at_calls_to_the_metastore(statement: Statement) {
    let case = Case { statement, is_partitioned: true };
    for at in 1..REQUESTS_MAX {
        let warehouse = Warehouse::new().await;
        let place = Place::Metastore(warehouse);
        let sound = place.connector();
        case.prepare(&place, &sound).await;
        let Place::Metastore(warehouse) = &place else { return };
        let proxy = Proxy::start_until(warehouse, at).await;
        let settings = format!("{WRITABLE}metastore_timeout_seconds = 1\n");
        let failing = HiveFactory.create(entry(proxy.port(), &settings)).unwrap();
        let told = match case.statement {
            Statement::Insert | Statement::Overwrite if failing.table(place.schema(), "t").await.is_err() => continue,
            _ => case.run(&place, &failing).await,
        };
        check(&format!("{case:?}, killed at call {at}"), &place, case, &sound, told).await;
        if proxy.count() < at {
            assert!(at > 5, "{case:?} makes only {at} calls");
            return;
        }
    }
    panic!("{case:?} makes no end of calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn making_a_table_and_losing_the_metastore() {
    killed_at_calls_to_the_metastore(Statement::Create).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overwriting_rows_and_losing_the_metastore() {
    killed_at_calls_to_the_metastore(Statement::Overwrite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_rows_and_losing_the_metastore() {
    killed_at_calls_to_the_metastore(Statement::Insert).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_table_and_losing_the_metastore() {
    killed_at_calls_to_the_metastore(Statement::Replace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_table_of_a_metastore() {
    in_a_metastore(Statement::Replace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn making_a_table() {
    in_directories(Statement::Create).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_rows() {
    in_directories(Statement::Insert).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overwriting_rows() {
    in_directories(Statement::Overwrite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_table() {
    in_directories(Statement::Replace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn making_a_table_of_a_metastore() {
    in_a_metastore(Statement::Create).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_rows_with_a_metastore() {
    in_a_metastore(Statement::Insert).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overwriting_rows_with_a_metastore() {
    in_a_metastore(Statement::Overwrite).await;
}
