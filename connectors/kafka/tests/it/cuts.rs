//! Reading the same cut again, and offsets that retention has deleted.

use futures::StreamExt;

use super::engine::{Engine, cause};
use super::topics::{Sent, create, delete, delete_before, numbers, produce};

async fn token(engine: &Engine, table: &str) -> String {
    let tokens = engine.rows(&format!("SELECT DISTINCT _cut FROM \"{table}\"")).await;
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    tokens.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_cut_is_read_again() {
    create("cut.again", 2).await;
    let messages = |from: i64, to: i64| -> Vec<Sent> {
        numbers(from, to).into_iter().enumerate().map(|(n, sent)| sent.to(i32::try_from(n % 2).unwrap())).collect()
    };
    produce("cut.again", &messages(0, 20));
    let engine = Engine::new("");
    let cut = token(&engine, "cut.again").await;
    assert_eq!(cut, "cut.again 0:0..10 1:0..10");
    assert_eq!(token(&engine, "cut.again$partitions").await, cut, "the same without reading a message");
    // So are its other tables, at the same offsets.
    for table in ["cut.again", "cut.again$partitions", "cut.again$latest", "cut.again$errors"] {
        let version = engine.connector().version_of("default", table).await.unwrap();
        assert_eq!(version.as_deref(), Some(&*cut), "{table}");
    }
    for (schema, table) in [("default", "cut.none"), ("system", "consumer_groups")] {
        let error = engine.connector().version_of(schema, table).await.unwrap_err().to_string();
        assert!(error.contains("is no topic and has no cut"), "{error}");
    }
    produce("cut.again", &messages(20, 30));
    assert_eq!(engine.count("SELECT count(n) FROM \"cut.again\"").await, 30);
    let again = format!("SELECT count(n), max(n) FROM \"cut.again at {cut}\"");
    assert_eq!(engine.rows(&again).await, ["20|19"]);
    assert_eq!(engine.planned().request, "cut.again, read_committed, offsets 0:0..10 1:0..10");
    assert_eq!(
        engine.rows(&format!("SELECT DISTINCT _cut FROM \"cut.again at {cut}\"")).await,
        std::slice::from_ref(&cut)
    );
    // What came since: the table now without what the cut has.
    let later = format!(
        "SELECT n FROM \"cut.again\" WHERE n NOT IN (SELECT n FROM \"cut.again at {cut}\") AND _partition_offset > 5"
    );
    assert_eq!(engine.rows(&later).await.len(), 10);
    // A part of a cut is a cut; a part of a table is one, too.
    assert_eq!(engine.rows("SELECT n FROM \"cut.again at cut.again 1:2..4\"").await, ["5", "7"]);
    let filtered = format!("SELECT n FROM \"cut.again at {cut}\" WHERE _partition_offset >= 9");
    assert_eq!(engine.rows(&filtered).await, ["18", "19"]);
    let listed = format!("SELECT partition_id, end_offset FROM \"cut.again$partitions at {cut}\"");
    assert_eq!(engine.rows(&listed).await, ["0|10", "1|10"]);
}

#[tokio::test]
async fn errors_of_a_cut() {
    create("cut.errors", 1).await;
    produce("cut.errors", &numbers(0, 1));
    produce("cut.errors", &[Sent::value("bad"), Sent::value("worse")]);
    let engine = Engine::new("[tables.t]\ntopic = \"cut.errors\"\nvalue = { columns = { n = \"bigint\" } }");
    assert_eq!(engine.count("SELECT count(*) FROM \"t$errors at cut.errors 0:0..2\"").await, 1);
    assert_eq!(engine.count("SELECT count(*) FROM \"t$errors\"").await, 2);
}

#[tokio::test]
async fn a_cut_that_is_not_there_any_more_is_an_error() {
    create("cut.gone", 1).await;
    produce("cut.gone", &numbers(0, 100));
    let cut = "cut.gone 0:0..100";
    delete_before("cut.gone", 0, 55).await;
    let engine = Engine::new("");
    let sql = format!("SELECT count(*), min(n) FROM \"cut.gone at {cut}\"");
    let error = cause(&engine.try_sql(&sql).await.unwrap_err());
    assert!(
        error.contains("offsets of topic cut.gone, partition 0 from 0 on were asked for, and the first one kept is 55")
            && error.contains("on_truncated = \"skip\""),
        "{error}"
    );
    let skipping = Engine::new("on_truncated = \"skip\"");
    assert_eq!(skipping.rows(&sql).await, ["45|55"]);
    let kept = "SELECT count(*) FROM \"cut.gone at cut.gone 0:55..100\"";
    assert_eq!(engine.count(kept).await, 45, "what the cut does not have may be deleted");
    for (cut, part) in [
        ("cut.gone 0:60..200", "topic cut.gone, partition 0 ends at offset 100, before the end 200 of the cut"),
        ("cut.gone 0:60..70 1:0..0", "topic cut.gone has no partition 1, and the cut that was asked for has"),
    ] {
        let error = cause(&engine.try_sql(&format!("SELECT n FROM \"cut.gone at {cut}\"")).await.unwrap_err());
        assert!(error.contains(part), "{error}");
    }
    for (cut, part) in [
        ("other 0:0..1", "is a cut of topic other, and the table is topic cut.gone"),
        ("cut.gone 0", "is not a cut of a topic: \"0\" is not PARTITION:FIRST..END"),
        ("", "the cut is empty"),
    ] {
        let error = engine.connector().table_at("default", "cut.gone", cut).await.unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("_cut"), "{error}");
    }
    // Offsets start anew in a topic that is made anew.
    delete("cut.gone").await;
    create("cut.gone", 1).await;
    produce("cut.gone", &numbers(0, 10));
    let error = cause(&engine.try_sql(&sql).await.unwrap_err());
    assert!(error.contains("the topic was made anew"), "{error}");
}

#[tokio::test]
async fn with_on_truncated_skip_a_query_goes_on_and_says_how_much_was_lost() {
    create("cut.skip", 1).await;
    produce("cut.skip", &numbers(0, 100));
    let table = "[tables.t]\ntopic = \"cut.skip\"\non_truncated = \"skip\"\nvalue = { columns = { n = \"bigint\" } }";
    let engine = Engine::new(table);
    let mut stream = engine.stream("SELECT n FROM t").await.unwrap();
    delete_before("cut.skip", 0, 55).await;
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 45);
    // All that a query is to read may be gone.
    let mut stream = engine.stream("SELECT n FROM t WHERE _partition_offset < 80").await.unwrap();
    delete_before("cut.skip", 0, 100).await;
    assert!(stream.next().await.is_none());
    assert_eq!(engine.counted("SELECT n FROM t", "rows_lost").await, (0, 0));
}
