//! Writes of which one request to the store fails, for each request in turn: readers see all that was there before or all
//! that is there after; a statement that is tried again under its token writes once.

use std::sync::Arc;

use arrow::array::RecordBatch;
use portolan_connector::{Connector, ConnectorError, InsertMode, OnExisting};
use portolan_hive::HiveConnector;

use crate::support::{Create, Engine, Failing, Fault, Lake, WRITABLE, batch, insert, integers};

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

impl Case {
    fn partitioned_by(self) -> &'static [&'static str] {
        if self.is_partitioned { &["k"] } else { &[] }
    }

    /// The table before, of a statement that does not make it.
    async fn prepare(self, connector: &Arc<dyn Connector>) {
        if !matches!(self.statement, Statement::Create) {
            let create = Create { partitioned_by: self.partitioned_by(), ..Create::default() };
            create.run(connector.as_ref(), &rows(&[(1, 1), (2, 2)])).await.unwrap();
        }
    }

    async fn run(self, connector: &Arc<dyn Connector>) -> Result<u64, ConnectorError> {
        let (rows, token) = (rows(&[(10, 1), (11, 1), (30, 3)]), Some("a token"));
        let create = Create { partitioned_by: self.partitioned_by(), token, ..Create::default() };
        match self.statement {
            Statement::Create => create.run(connector.as_ref(), &rows).await,
            Statement::Replace => {
                Create { on_existing: OnExisting::Replace, ..create }.run(connector.as_ref(), &rows).await
            }
            Statement::Insert => insert(connector, ("s", "t"), &rows, InsertMode::Append, token).await,
            Statement::Overwrite => insert(connector, ("s", "t"), &rows, InsertMode::Overwrite, token).await,
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

async fn seen(connector: &Arc<dyn Connector>) -> Option<Vec<String>> {
    let engine = Engine::new(Arc::clone(connector));
    connector.table("s", "t").await.unwrap()?;
    Some(engine.rows("t", "SELECT n, k FROM t").await)
}

/// Runs the statement with a fault at the request of this number. False when it makes fewer requests.
async fn run_with_fault(case: Case, fault: Fault, at: usize) -> bool {
    let name = format!("{case:?}, {fault:?} at request {at}");
    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("s")).unwrap();
    let sound = lake.connector(WRITABLE).unwrap();
    case.prepare(&sound).await;
    let store = Failing::new(fault, at);
    let over: Arc<dyn object_store::ObjectStore> = Arc::<Failing>::clone(&store);
    let failing: Arc<dyn Connector> = Arc::new(HiveConnector::over(lake.entry(WRITABLE), over).unwrap());
    let told = match &case.statement {
        // The table is looked for before the write begins.
        Statement::Insert | Statement::Overwrite if failing.table("s", "t").await.is_err() => None,
        _ => Some(case.run(&failing).await),
    };
    let (before, after) = case.expected();
    let found = seen(&sound).await;
    let is_after = found.as_deref() == Some(&after.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>());
    let is_before = found == before.map(|rows| rows.into_iter().map(str::to_owned).collect());
    assert!(is_before || is_after, "{name}: {found:?}");
    if let Some(Ok(count)) = told {
        assert!(is_after && count == 3, "{name}: told {count} rows, and {found:?} are there");
    }
    // The same statement again, under the same token.
    assert_eq!(case.run(&sound).await.unwrap_or_else(|error| panic!("{name}: {error}")), 3, "{name}");
    assert_eq!(seen(&sound).await.unwrap(), after, "{name}: after the second try");
    assert_eq!(case.run(&sound).await.unwrap(), 3, "{name}");
    assert_eq!(seen(&sound).await.unwrap(), after, "{name}: after the third try");
    store.has_failed()
}

async fn run_with_faults(statement: Statement) {
    for is_partitioned in [false, true] {
        for fault in Fault::ALL {
            let case = Case { statement, is_partitioned };
            let mut at = 0;
            while run_with_fault(case, fault, at).await {
                at += 1;
                assert!(at < REQUESTS_MAX, "{case:?} makes no end of requests");
            }
            assert!(at > 8, "{case:?} makes only {at} requests");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn making_a_table() {
    run_with_faults(Statement::Create).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_rows() {
    run_with_faults(Statement::Insert).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overwriting_rows() {
    run_with_faults(Statement::Overwrite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_table() {
    run_with_faults(Statement::Replace).await;
}
