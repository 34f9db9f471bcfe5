//! `"topic$latest"`: the newest message of each key.

use std::sync::Arc;

use portolan_connector::testkit::{Subject, check_contract};

use super::engine::Engine;
use super::topics::{Sent, create, produce};

fn keyed(key: &str, value: &str) -> Sent {
    Sent { key: Some(key.as_bytes().to_vec()), ..Sent::value(value) }
}

fn tombstone(key: &str) -> Sent {
    Sent { key: Some(key.as_bytes().to_vec()), ..Sent::default() }
}

fn engine(topic: &str, more: &str) -> Engine {
    Engine::new(&format!(
        "[tables.t]\ntopic = \"{topic}\"\n{more}\nvalue = {{ columns = {{ n = \"bigint\", s = \"varchar\" }} }}"
    ))
}

#[tokio::test]
async fn the_newest_value_of_each_key_is_left_as_compaction_leaves_it() {
    create("latest.rows", 2).await;
    let messages = [
        keyed("a", r#"{"n":1,"s":"x"}"#),
        keyed("b", r#"{"n":1}"#),
        keyed("gone", r#"{"n":1}"#),
        Sent::value(r#"{"n":9}"#),
        keyed("a", r#"{"n":3,"s":"y"}"#),
        tombstone("gone"),
        keyed("back", r#"{"n":1}"#),
        tombstone("back"),
        keyed("back", r#"{"n":4}"#),
        keyed("", r#"{"n":5}"#),
        tombstone("never"),
        // A key whose partition has changed is there in both, as compaction keeps it in both.
        keyed("b", r#"{"n":2}"#).to(1),
    ];
    produce("latest.rows", &messages);
    let engine = engine("latest.rows", "");
    assert_eq!(
        engine.rows("SELECT _key, n, s, _partition_id, _partition_offset FROM \"t$latest\"").await,
        ["a|3|y|0|4", "back|4|NULL|0|8", "b|1|NULL|0|1", "b|2|NULL|1|0", "|5|NULL|0|9"]
    );
    assert_eq!(engine.rows("SELECT count(*) FROM \"t$latest\"").await, ["5"]);
    assert_eq!(engine.rows("SELECT _message FROM \"t$latest\" WHERE n > 3").await, ["{\"n\":4}", "{\"n\":5}"]);
    // At a cut, what was newest then.
    assert_eq!(engine.rows("SELECT _key, n FROM \"t$latest at latest.rows 0:0..4\"").await, ["a|1", "b|1", "gone|1"]);
    assert_eq!(
        engine
            .rows("SELECT l.n FROM \"t$latest\" l JOIN t ON t._partition_offset = l._partition_offset WHERE t.n = 3")
            .await,
        ["3"]
    );
}

#[tokio::test]
async fn conditions_on_what_is_not_the_key_bring_no_older_message_back() {
    create("latest.filters", 2).await;
    let at = super::topics::an_hour_ago();
    produce(
        "latest.filters",
        &[
            keyed("a", r#"{"n":1}"#).at(at),
            keyed("a", r#"{"n":2}"#).at(at + 10),
            keyed("b", r#"{"n":1}"#).at(at + 20).to(1),
        ],
    );
    for partitioner in ["", "partitioner = \"murmur2\"\npartitions = 2\nmax_out_of_orderness_ms = 0"] {
        let engine = engine("latest.filters", partitioner);
        for (condition, rows) in [
            ("n = 1", vec!["b"]),
            ("_partition_offset < 1", vec!["b"]),
            ("_partition_offset = 0", vec!["b"]),
            ("_partition_offset IS NOT NULL", vec!["a", "b"]),
            ("_message LIKE '%1%'", vec!["b"]),
            ("(_partition_id = 0 AND _partition_offset < 1) OR _partition_id = 1", vec!["b"]),
            ("_key = 'a' AND n = 1", vec![]),
            ("_key IN ('a', 'c')", vec!["a"]),
            ("_key = 'a' OR n = 1", vec!["a", "b"]),
            ("_partition_id = 1", vec!["b"]),
            ("_partition_id = 0 AND n = 2", vec!["a"]),
        ] {
            assert_eq!(
                engine.rows(&format!("SELECT _key FROM \"t$latest\" WHERE {condition}")).await,
                rows,
                "{condition}"
            );
        }
        let until = format!("SELECT _key FROM \"t$latest\" WHERE _timestamp < arrow_cast({}, 'Timestamp(ms)')", at + 5);
        assert!(engine.rows(&until).await.is_empty());
        engine.rows("SELECT n FROM \"t$latest\" WHERE _partition_id = 1").await;
        assert_eq!(engine.planned().offsets(), 1, "a condition on partitions chooses what is read");
    }
    // A join's keys are those of this table's rows, not of all messages.
    let engine = engine("latest.filters", "");
    let joined = "SELECT l._key FROM (SELECT 0 AS wanted) w JOIN \"t$latest\" l ON l._partition_offset = w.wanted";
    assert_eq!(engine.rows(joined).await, ["b"]);
}

#[tokio::test]
async fn keys_are_told_apart_by_their_bytes_whatever_they_are_shown_as() {
    create("latest.bytes", 1).await;
    let key = |bytes: &[u8], n: i64| Sent { key: Some(bytes.to_vec()), ..Sent::value(format!("{{\"n\":{n}}}")) };
    produce("latest.bytes", &[key(&[0xff], 1), key(&[0xfe], 2), key(&[0xff], 3), key(b"x", 4)]);
    let engine = engine("latest.bytes", "on_error = \"null\"");
    assert_eq!(engine.rows("SELECT n FROM \"t$latest\"").await, ["2", "3", "4"]);
    assert_eq!(engine.rows("SELECT n, _key FROM \"t$latest\" WHERE _key IS NULL").await, ["2|NULL", "3|NULL"]);
}

#[tokio::test]
async fn bad_messages_are_what_the_table_says() {
    create("latest.bad", 1).await;
    produce("latest.bad", &[keyed("a", r#"{"n":1}"#), keyed("a", "oops"), keyed("b", r#"{"n":2}"#)]);
    let rows = "SELECT _key, n FROM \"t$latest\"";
    let error = engine("latest.bad", "").error(rows).await;
    assert!(error.contains("offset 1 does not decode"), "{error}");
    assert_eq!(engine("latest.bad", "on_error = \"null\"").rows(rows).await, ["a|NULL", "b|2"]);
    // What is left out is not there, so that the message before it is the newest.
    let skipping = engine("latest.bad", "on_error = \"skip\"");
    assert_eq!(skipping.rows(rows).await, ["a|1", "b|2"]);
    assert_eq!(skipping.counted(rows, "rows_skipped").await, (2, 1));
}

#[tokio::test]
async fn the_contract_holds() {
    create("latest.contract", 2).await;
    let messages = (0..40).map(|n| keyed(&format!("k{}", n % 7), &format!("{{\"n\":{n},\"s\":\"x\"}}")).to(-1));
    let messages: Vec<Sent> = messages.chain([tombstone("k3").to(-1), Sent::value("{}")]).collect();
    produce("latest.contract", &messages);
    let engine = engine("latest.contract", "partitioner = \"crc32\"\npartitions = 2");
    let subject = Subject::new(Arc::clone(engine.connector()), engine.table("t$latest").await);
    check_contract(&subject).await.unwrap().assert_clean();
}

#[tokio::test]
async fn memory_is_bounded_by_the_disk() {
    create("latest.large", 1).await;
    let messages: Vec<Sent> = (0..30_000)
        .map(|n| keyed(&format!("k{}", n % 10_000), &format!("{{\"n\":{n},\"s\":\"{}\"}}", "x".repeat(1_000))))
        .collect();
    produce("latest.large", &messages);
    let engine = engine("latest.large", "").with_memory(16 << 20);
    assert_eq!(
        engine.rows("SELECT count(*), min(n), max(n), min(length(s)) FROM \"t$latest\"").await,
        ["10000|20000|29999|1000"]
    );
}
