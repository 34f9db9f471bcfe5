//! `FOLLOW` through the whole engine: what may be asked of rows without end, and how such a query ends.

use std::time::{Duration, Instant};

use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use portolan::Session;

use super::kafka::{create, writing_session};
use super::shop;
use super::table;

/// How long anything may take. Tests run in parallel on few processors.
const PATIENCE: Duration = Duration::from_secs(60);

/// A topic of its own for a test, as a table of `who` and `n`.
async fn topic(name: &str) -> Session {
    create(name, 2).await;
    let columns = "key = { columns = { who = \"varchar\" } }\nvalue = { columns = { n = \"bigint\", tags = \"array(varchar)\" } }";
    writing_session(&format!("[events.tables.{name}]\n{columns}\n"))
}

async fn follow(session: &Session, sql: &str) -> SendableRecordBatchStream {
    session.execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).rows
}

/// The next rows, as soon as there are any.
async fn next(rows: &mut SendableRecordBatchStream) -> Vec<Vec<String>> {
    let batch = tokio::time::timeout(PATIENCE, rows.next()).await.expect("a row came").unwrap().unwrap();
    table::format(&[batch])
}

async fn add(session: &Session, name: &str, values: &str) {
    let sql = format!("INSERT INTO events.default.{name} VALUES {values}");
    table::rows(session, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

#[test]
fn rows_come_through_filters_and_projections_one_by_one() {
    shop::block_on(async {
        let session = topic("watched").await;
        add(&session, "watched", "('old', 100, NULL)").await;
        let mut rows = follow(
            &session,
            "SELECT upper(c.who) AS who, n * 2 AS twice FROM events.default.watched c FOLLOW WHERE n > 10 AND who LIKE 'a%'",
        )
        .await;
        for n in [11, 12] {
            // What the filter leaves out does not keep back what it lets through.
            add(&session, "watched", &format!("('b', {n}, NULL), ('a', {n}, NULL), ('a', 1, NULL)")).await;
            assert_eq!(next(&mut rows).await, [["A".to_owned(), (n * 2).to_string()]]);
        }
        let mut unnested = follow(&session, "SELECT who, unnest(tags) AS tag FROM events.default.watched FOLLOW").await;
        let both = "SELECT n FROM events.default.watched FOLLOW WHERE who = 'x'
            UNION ALL SELECT n + 1 FROM events.default.watched FOLLOW WHERE who = 'y'";
        let mut both = follow(&session, both).await;
        add(&session, "watched", "('x', 1, ['p', 'q'])").await;
        assert_eq!(next(&mut unnested).await, [["x", "p"], ["x", "q"]]);
        assert_eq!(next(&mut both).await, [["1"]]);
        add(&session, "watched", "('y', 1, NULL)").await;
        assert_eq!(next(&mut both).await, [["2"]]);
    });
}

#[test]
fn a_limit_ends_it() {
    shop::block_on(async {
        let session = topic("limited").await;
        add(&session, "limited", "('a', 1, NULL), ('a', 2, NULL), ('b', 3, NULL)").await;
        let last = "SELECT n FROM events.default.limited FOLLOW SINCE 'beginning' WHERE who = 'a' LIMIT 2";
        assert_eq!(table::sorted(&session, last).await.unwrap(), [["1"], ["2"]]);
        // At the end of the statement, behind what is already written, and from a cut.
        let cut = "SELECT DISTINCT _cut FROM events.default.\"limited$partitions\"";
        let cut = table::rows(&session, cut).await.unwrap().concat().concat();
        let since = format!("SELECT n FROM events.default.limited WHERE n > 3 LIMIT 1 FOLLOW SINCE '{cut}'");
        let mut rows = follow(&session, &since).await;
        add(&session, "limited", "('c', 4, NULL), ('c', 3, NULL)").await;
        assert_eq!(next(&mut rows).await, [["4"]]);
        assert!(rows.next().await.is_none());
        let analyzed = table::rows(&session, &format!("EXPLAIN ANALYZE {last}")).await.unwrap().concat().concat();
        assert!(analyzed.contains("without end, from offsets 0:0 1:0"), "{analyzed}");
        let kept = format!("CREATE TABLE mem.default.kept AS {last}");
        assert_eq!(table::rows(&session, &kept).await.unwrap(), [["2"]]);
    });
}

#[test]
fn what_needs_all_rows_is_refused() {
    shop::block_on(async {
        let session = topic("endless").await;
        let t = "events.default.endless";
        for (sql, part) in [
            (
                format!("SELECT count(*) FROM {t} FOLLOW"),
                "an aggregate needs all rows, and rows that are followed have no end",
            ),
            (format!("SELECT who FROM {t} FOLLOW GROUP BY who"), "an aggregate needs all rows"),
            (format!("SELECT DISTINCT n FROM {t} FOLLOW"), "DISTINCT needs all rows"),
            (format!("SELECT n FROM {t} FOLLOW ORDER BY n"), "ORDER BY needs all rows"),
            (format!("SELECT n FROM {t} WHERE n > 1 ORDER BY n LIMIT 3 FOLLOW"), "ORDER BY needs all rows"),
            (format!("SELECT row_number() OVER () FROM {t} FOLLOW"), "a window function needs all rows"),
            (format!("SELECT a.n FROM {t} a FOLLOW JOIN {t} b ON a.n = b.n"), "cannot be joined"),
            (
                format!("SELECT n FROM {t} FOLLOW WHERE n IN (SELECT n FROM {t})"),
                "subqueries beside rows that are followed",
            ),
            (format!("SELECT n FROM {t} WHERE n IN (SELECT n FROM {t} FOLLOW)"), "a subquery needs all rows"),
            (format!("SELECT n FROM {t} FOLLOW UNION SELECT 1"), "needs all rows"),
            (format!("SELECT n FROM {t} FOR VERSION AS OF 'x 0:0..1' FOLLOW"), "a version of a table has an end"),
            (format!("SELECT _cut FROM {t} FOLLOW"), "_cut"),
            (format!("SELECT n FROM {t} FOLLOW SINCE 'noon'"), "'noon' is no place in a topic"),
            (format!("EXPLAIN ANALYZE SELECT n FROM {t} FOLLOW"), "rows that are followed have none"),
            (
                format!("CREATE TABLE mem.default.never AS SELECT n FROM {t} FOLLOW"),
                "rows that are followed have no end",
            ),
            (
                "SELECT 1 FROM events.default.\"endless$latest\" FOLLOW".to_owned(),
                "is no topic to which messages are added",
            ),
            (
                "SELECT 1 FROM events.system.consumer_groups FOLLOW".to_owned(),
                "is no topic to which messages are added",
            ),
            ("SELECT 1 FROM events.default.endles FOLLOW".to_owned(), "did you mean \"endless\"?"),
            ("SELECT 1 FROM events.information_schema.tables FOLLOW".to_owned(), "cannot be followed"),
        ] {
            let error = table::rows(&session, &sql).await.unwrap_err().to_string();
            assert!(error.contains(part), "{sql}: {error}");
        }
        let others = shop::session();
        for table in ["pg.public.customers", "lake.sales.orders"] {
            let error = table::rows(&others, &format!("SELECT 1 FROM {table} FOLLOW")).await.unwrap_err().to_string();
            assert!(error.contains("does not tell which rows are added to a table"), "{error}");
        }
        let explained = format!("EXPLAIN SELECT n FROM {t} FOLLOW WHERE _partition_id = 1 AND n > 0");
        let explained = table::rows(&session, &explained).await.unwrap().concat().join("\n");
        assert!(explained.contains("endless, read_committed, without end, from offsets 1:0"), "{explained}");
        assert!(explained.contains("messages of a topic that is followed are filtered as they come"), "{explained}");
    });
}

#[test]
fn the_longest_run_time_holds() {
    shop::block_on(async {
        let session = topic("timed").await;
        table::rows(&session, "SET SESSION query_max_run_time = '2s'").await.unwrap();
        let begun = Instant::now();
        let mut rows = follow(&session, "SELECT n FROM events.default.timed FOLLOW").await;
        let error = tokio::time::timeout(PATIENCE, rows.next()).await.unwrap().unwrap().unwrap_err().to_string();
        assert!(error.contains("query_max_run_time"), "{error}");
        assert!(begun.elapsed() >= Duration::from_secs(2));
    });
}
