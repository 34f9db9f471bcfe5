//! Reading the same cut again, and offsets that retention has deleted.

use futures::StreamExt;
use rdkafka::mocking::MockCluster;

use super::engine::{Engine, cause, connector};
use super::topics::{Sent, an_hour_ago, create, delete, delete_before, numbers, produce, produce_at};

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
    assert!(cut.starts_with("cut.again 0:0..10 1:0..10 "), "offsets, and by what the topic is known again: {cut}");
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
    // Of what is asked for of the cut, and no more.
    let all = format!("SELECT n FROM \"cut.gone at {cut}\"");
    assert_eq!(skipping.counted(&all, "rows_lost").await, (45, 55));
    for (condition, lost) in
        [("_partition_offset >= 50 AND _partition_offset < 60", (5, 5)), ("_partition_offset < 9", (0, 9))]
    {
        assert_eq!(skipping.counted(&format!("{all} WHERE {condition}"), "rows_lost").await, lost, "{condition}");
    }
    assert_eq!(skipping.counted("SELECT n FROM \"cut.gone\"", "rows_lost").await, (45, 0));
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

/// The error of reading a table at a cut.
async fn refused(engine: &Engine, table: &str, cut: &str) -> String {
    cause(&engine.try_sql(&format!("SELECT count(*) FROM \"{table} at {cut}\"")).await.unwrap_err())
}

const OTHER: &str = "is not the one of the cut that was asked for";

#[tokio::test]
async fn a_cut_is_not_read_of_a_topic_that_was_made_anew() {
    let fill = |from: i64| {
        let messages = numbers(from, from + 20).into_iter().zip(0..).map(|(sent, n)| sent.to(n % 2));
        produce("cut.anew", &messages.collect::<Vec<_>>());
    };
    create("cut.anew", 2).await;
    fill(0);
    let engine = Engine::new("");
    let cut = token(&engine, "cut.anew").await;
    let read = format!("SELECT min(n), max(n) FROM \"cut.anew at {cut}\"");
    assert_eq!(engine.rows(&read).await, ["0|19"]);
    // As many messages at the same offsets.
    delete("cut.anew").await;
    create("cut.anew", 2).await;
    fill(100);
    for table in ["cut.anew", "cut.anew$errors", "cut.anew$latest", "cut.anew$partitions"] {
        let error = refused(&engine, table, &cut).await;
        assert!(error.contains(&format!("topic cut.anew {OTHER}")) && error.contains("SHOW CUT FOR"), "{error}");
    }
    let followed = engine.try_sql(&format!("SELECT n FROM \"cut.anew following {cut}\" LIMIT 1")).await;
    assert!(cause(&followed.unwrap_err()).contains(OTHER));
    let now = token(&engine, "cut.anew").await;
    assert_ne!(now, cut);
    assert_eq!(engine.rows(&format!("SELECT min(n), max(n) FROM \"cut.anew at {now}\"")).await, ["100|119"]);
    let by_hand = "SELECT min(n), max(n) FROM \"cut.anew at cut.anew 0:0..10 1:0..10\"";
    assert_eq!(engine.rows(by_hand).await, ["100|119"], "a cut without a mark is one of any topic of this name");
}

#[tokio::test]
async fn the_mark_of_a_cut_holds_whatever_times_its_messages_have() {
    create("cut.times", 2).await;
    let (past, future) = (an_hour_ago(), an_hour_ago() + 2 * 3_600_000);
    let times = [past, future, past, past - 1_000, future];
    let messages: Vec<Sent> = numbers(0, 5).into_iter().zip(times).map(|(sent, time)| sent.at(time)).collect();
    produce("cut.times", &messages);
    let engine = Engine::new("");
    let cut = token(&engine, "cut.times").await;
    let read = format!("SELECT count(n), max(n) FROM \"cut.times at {cut}\"");
    assert_eq!(engine.rows(&read).await, ["5|4"]);
    // Older and younger ones that come later, a partition that had none, and retention.
    produce("cut.times", &messages);
    produce("cut.times", &numbers(5, 9).into_iter().map(|sent| sent.to(1)).collect::<Vec<_>>());
    assert_eq!(engine.rows(&read).await, ["5|4"]);
    delete_before("cut.times", 0, 2).await;
    let skipping = Engine::new("on_truncated = \"skip\"");
    assert_eq!(skipping.rows(&read).await, ["3|4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_knows_its_topic_by_the_id_that_brokers_give() {
    // The mock of a cluster gives ids, and finds no message by its time.
    let of = || {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("cut.id", 1, 1).unwrap();
        produce_at(&cluster.bootstrap_servers(), "cut.id", &numbers(0, 5));
        let settings = format!("brokers = \"{}\"", cluster.bootstrap_servers());
        (cluster, Engine::on(connector("events", &settings).unwrap(), "events", true))
    };
    let ((_one, engine), (_other, elsewhere)) = (of(), of());
    let cut = token(&engine, "cut.id").await;
    assert!(cut.starts_with("cut.id 0:0..5 id:") && cut.len() > "cut.id 0:0..5 id:".len() + 20, "{cut}");
    assert_eq!(token(&engine, "cut.id").await, cut);
    assert_eq!(engine.count(&format!("SELECT count(n) FROM \"cut.id at {cut}\"")).await, 5);
    let error = refused(&elsewhere, "cut.id", &cut).await;
    assert!(error.contains(OTHER), "{error}");
}

#[tokio::test]
async fn with_on_truncated_skip_a_query_goes_on_and_says_how_much_was_lost() {
    create("cut.skip", 1).await;
    produce("cut.skip", &numbers(0, 100));
    let table = "[tables.t]\ntopic = \"cut.skip\"\non_truncated = \"skip\"\nvalue = { columns = { n = \"bigint\" } }";
    let engine = Engine::new(table);
    let mut stream = engine.stream_after(delete_before("cut.skip", 0, 55), "SELECT n FROM t").await.unwrap();
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 45);
    // All that a query is to read may be gone.
    let all = delete_before("cut.skip", 0, 100);
    let mut stream = engine.stream_after(all, "SELECT n FROM t WHERE _partition_offset < 80").await.unwrap();
    assert!(stream.next().await.is_none());
    assert_eq!(engine.counted("SELECT n FROM t", "rows_lost").await, (0, 0));
}

#[tokio::test]
async fn what_was_lost_is_counted() {
    create("cut.lost", 2).await;
    let both = |from, to| [numbers(from, to), numbers(from, to).into_iter().map(|sent| sent.to(1)).collect()].concat();
    produce("cut.lost", &both(0, 100));
    let table = "[tables.t]\ntopic = \"cut.lost\"\non_truncated = \"skip\"\nvalue = { columns = { n = \"bigint\" } }";
    let engine = Engine::new(table);
    let sql = "SELECT n FROM t";
    let delete = async {
        delete_before("cut.lost", 0, 55).await;
        delete_before("cut.lost", 1, 30).await;
    };
    // 0..55 of one partition, 0..30 of the other.
    assert_eq!(engine.counted_after(delete, sql, "rows_lost").await, (45 + 70, 55 + 30));
    // What was deleted before the query began is not lost to it.
    assert_eq!(engine.counted(sql, "rows_lost").await, (115, 0));
    // Of what the query asks for, and no more: 60..70 of each.
    let some = "SELECT n FROM t WHERE _partition_offset >= 60 AND _partition_offset < 70";
    let delete = delete_before("cut.lost", 0, 66);
    assert_eq!(engine.counted_after(delete, some, "rows_lost").await, (4 + 10, 6));
    let delete = async {
        delete_before("cut.lost", 0, 100).await;
        delete_before("cut.lost", 1, 100).await;
    };
    assert_eq!(engine.counted_after(delete, some, "rows_lost").await, (0, 4 + 10));
}
