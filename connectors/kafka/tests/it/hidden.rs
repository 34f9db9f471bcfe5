//! What Kafka keeps beside each message, as columns.

use super::engine::Engine;
use super::topics::{Sent, an_hour_ago, create, create_with, produce};

#[tokio::test]
async fn null_and_empty_are_kept_apart() {
    create("hidden.empty", 1).await;
    produce(
        "hidden.empty",
        &[
            Sent { key: Some(b"k1".to_vec()), ..Sent::value("{}") },
            Sent { key: Some(Vec::new()), ..Sent::value("") },
            Sent { key: None, ..Sent::default() },
        ],
    );
    let engine = Engine::new("");
    let sql = "SELECT _partition_offset, _key, _key_length, _message, _message_length FROM \"hidden.empty\"";
    assert_eq!(engine.rows(sql).await, ["0|k1|2|{}|2", "1||0||0", "2|NULL|NULL|NULL|NULL"]);
    let empty = "SELECT count(*) FROM \"hidden.empty\" WHERE _message = '' AND _key = ''";
    assert_eq!(engine.count(empty).await, 1);
    let tombstones = "SELECT count(*) FROM \"hidden.empty\" WHERE _message IS NULL AND _message_length IS NULL";
    assert_eq!(engine.count(tombstones).await, 1);
}

#[tokio::test]
async fn lengths_are_bytes() {
    create("hidden.lengths", 1).await;
    produce("hidden.lengths", &[Sent { key: Some("né".as_bytes().to_vec()), ..Sent::value("{\"a\":\"é\"}") }]);
    let sql = "SELECT _key_length, _message_length FROM \"hidden.lengths\"";
    assert_eq!(Engine::new("").rows(sql).await, ["3|10"]);
}

#[tokio::test]
async fn whose_time_it_is() {
    create("hidden.made", 1).await;
    create_with("hidden.appended", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    let made = an_hour_ago();
    for topic in ["hidden.made", "hidden.appended"] {
        produce(topic, &[Sent::value("{}").at(made)]);
    }
    let engine = Engine::new("");
    let sql = |topic: &str| format!("SELECT _timestamp_type, arrow_cast(_timestamp, 'Int64') FROM \"{topic}\"");
    assert_eq!(engine.rows(&sql("hidden.made")).await, [format!("CreateTime|{made}")]);
    let appended = engine.rows(&sql("hidden.appended")).await;
    let (kind, time) = appended[0].split_once('|').unwrap();
    assert_eq!(kind, "LogAppendTime");
    assert!(time.parse::<i64>().unwrap() > made + 3_000_000, "the broker's time and not the producer's");
}

#[tokio::test]
async fn corrupt_messages_are_told_without_failing() {
    create("hidden.corrupt", 1).await;
    produce(
        "hidden.corrupt",
        &[
            Sent { key: Some(b"k".to_vec()), ..Sent::value(r#"{"n":1,"s":"a"}"#) },
            Sent { key: Some(vec![0xff]), ..Sent::value(r#"{"n":"x","s":"b"}"#) },
            Sent::value("garbage"),
            Sent::default(),
        ],
    );
    let engine = Engine::new(
        "[tables.t]\ntopic = \"hidden.corrupt\"\nvalue = { columns = { n = \"bigint\", s = \"varchar\" } }",
    );
    let sql = "SELECT _partition_offset, _key_corrupt, _message_corrupt FROM t";
    assert_eq!(engine.rows(sql).await, ["0|false|false", "1|true|true", "2|false|true", "3|false|false"]);
    // The flag does not depend on which columns are asked for, and a column of a corrupt message still fails.
    let good = "SELECT s, _message_corrupt FROM t WHERE _partition_offset IN (0, 3)";
    assert_eq!(engine.rows(good).await, ["NULL|false", "a|false"]);
    assert_eq!(engine.rows("SELECT s FROM t WHERE _partition_offset = 1").await, ["b"]);
    let both = engine.error("SELECT s, _message_corrupt FROM t WHERE _partition_offset = 1").await;
    assert!(both.contains("field n: \"x\" is a string, not bigint"), "{both}");
}

#[tokio::test]
async fn the_hidden_columns_agree_with_pushdown_and_without() {
    create("hidden.agree", 2).await;
    let messages: Vec<Sent> = (0..40)
        .map(|n| Sent {
            key: (n % 3 > 0).then(|| format!("k{}", n % 5).into_bytes()),
            value: (n % 7 > 0)
                .then(|| if n % 4 == 0 { b"bad".to_vec() } else { format!("{{\"n\":{n}}}").into_bytes() }),
            ..Sent::default().to(n % 2)
        })
        .collect();
    produce("hidden.agree", &messages);
    let table = "[tables.t]\ntopic = \"hidden.agree\"\non_error = \"null\"\nvalue = { columns = { n = \"bigint\" } }";
    let (with, without) = (Engine::new(table), Engine::without_pushdown(table));
    for condition in [
        "_message_corrupt",
        "NOT _message_corrupt",
        "_key_length > 1",
        "_message_length IS NULL",
        "_key IS NULL OR _message_length = 3",
        "_timestamp_type = 'CreateTime' AND _partition_offset < 5",
        "_key_corrupt",
    ] {
        for columns in ["n, _key", "_partition_id, _partition_offset, _message_corrupt, _key_length"] {
            let sql = format!("SELECT {columns} FROM t WHERE {condition}");
            assert_eq!(with.rows(&sql).await, without.rows(&sql).await, "{sql}");
        }
        let total = with.count(&format!("SELECT count(*) FROM t WHERE {condition}")).await
            + with.count(&format!("SELECT count(*) FROM t WHERE NOT ({condition})")).await
            + with.count(&format!("SELECT count(*) FROM t WHERE ({condition}) IS NULL")).await;
        assert_eq!(total, 40, "{condition}");
    }
}
