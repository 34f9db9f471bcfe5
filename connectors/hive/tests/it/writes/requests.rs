//! How many requests a table takes that we wrote.

use std::sync::Arc;

use portolan_connector::{Connector, InsertMode};
use portolan_hive::HiveConnector;

use crate::support::{Counting, Create, Engine, Lake, WRITABLE, batch, insert, integers};

struct Written {
    lake: Lake,
    reader: Engine,
    counting: Arc<Counting>,
}

impl Written {
    /// A table with two partitions, and a reader that has not written it.
    async fn new(settings: &str) -> Self {
        let lake = Lake::new();
        std::fs::create_dir_all(lake.path("s")).unwrap();
        let create = Create { partitioned_by: &["k"], ..Create::default() };
        create.run(lake.connector(WRITABLE).unwrap().as_ref(), &rows(&[1, 2])).await.unwrap();
        let counting = Counting::new();
        let connector = HiveConnector::over(lake.entry(settings), Arc::clone(&counting) as _).unwrap();
        Self { lake, reader: Engine::new(Arc::new(connector)), counting }
    }

    /// What a query lists, which files of the log it reads, and what it answers.
    async fn run(&self) -> (Vec<String>, Vec<String>, Vec<String>) {
        self.counting.take();
        let answer = self.reader.pruned_rows("t", "SELECT n FROM t").await;
        let (lists, reads) = self.counting.take();
        (lists, reads.into_iter().filter(|read| read.contains("_portolan")).collect(), answer)
    }
}

fn rows(numbers: &[i32]) -> arrow::array::RecordBatch {
    batch(vec![("n", integers(numbers.iter().copied())), ("k", integers(numbers.iter().copied()))])
}

const LOG: &str = "s/t/_portolan";
const TABLE: [&str; 3] = ["s/t", "s/t/k=1", "s/t/k=2"];

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_looked_at_before_and_after_each_listing() {
    let written = Written::new("").await;
    let (lists, reads, answer) = written.run().await;
    // The first query finds the log in the table's directory, which it lists again after that.
    assert_eq!(lists, [TABLE[0], TABLE[0], LOG, LOG, TABLE[1], TABLE[2]]);
    assert_eq!((reads.len(), answer), (1, vec!["1".to_owned(), "2".to_owned()]), "{reads:?}");
    let (lists, reads, _) = written.run().await;
    assert_eq!(lists, [TABLE[0], LOG, LOG, TABLE[1], TABLE[2]], "later ones know of the log");
    assert!(reads.is_empty(), "the definition is the one that was read: {reads:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_are_believed_as_long_as_the_log_says_the_same() {
    let written = Written::new("listing_ttl_seconds = 3600").await;
    written.run().await;
    let (lists, reads, answer) = written.run().await;
    assert_eq!((lists, reads.len()), (vec![LOG.to_owned(), LOG.to_owned()], 0));
    assert_eq!(answer, ["1", "2"]);
    // Another process writes.
    let other: Arc<dyn Connector> = written.lake.connector(WRITABLE).unwrap();
    for (mode, expected) in
        [(InsertMode::Append, vec!["1", "2", "3", "3"]), (InsertMode::Overwrite, vec!["1", "2", "3"])]
    {
        let new = batch(vec![("n", integers([3, 3])), ("k", integers([3, 3]))]);
        let new = if mode == InsertMode::Append { new } else { new.slice(0, 1) };
        insert(&other, ("s", "t"), &new, mode, None).await.unwrap();
        assert_eq!(written.run().await.2, expected);
    }
}
