//! Messages that do not decode: left out and counted, and listed.

use super::engine::{Engine, cause};
use super::topics::{Sent, create, produce};

const COLUMNS: &str = "value = { columns = { id = \"bigint\", kind = \"varchar\" } }";

/// Good messages at even offsets, and others at odd ones.
async fn mixed(topic: &str) -> Vec<Sent> {
    create(topic, 1).await;
    let messages = vec![
        Sent::value(r#"{"id":0,"kind":"a"}"#),
        Sent::value("garbage"),
        Sent::value(r#"{"id":2,"kind":"b"}"#),
        Sent {
            key: Some(vec![0xff]),
            headers: vec![("source", Some(b"x")), ("source", None)],
            ..Sent::value(vec![b'{', 0xff])
        },
        Sent::default(),
        Sent::value(r#"{"id":5.5,"kind":"c"}"#),
    ];
    produce(topic, &messages);
    messages
}

#[tokio::test]
async fn with_on_error_skip_they_are_left_out_and_counted() {
    mixed("bad.skip").await;
    let engine = Engine::new(&format!("[tables.t]\ntopic = \"bad.skip\"\non_error = \"skip\"\n{COLUMNS}"));
    assert_eq!(engine.rows("SELECT _partition_offset, id, kind FROM t").await, ["0|0|a", "2|2|b", "4|NULL|NULL"]);
    // Which rows there are does not depend on what is asked for.
    assert_eq!(engine.count("SELECT count(*) FROM t").await, 3);
    assert_eq!(engine.rows("SELECT kind FROM t").await, ["NULL", "a", "b"]);
    assert_eq!(engine.rows("SELECT _partition_offset FROM t").await, ["0", "2", "4"]);
    assert_eq!(engine.counted("SELECT id FROM t", "rows_skipped").await, (3, 3));
    assert_eq!(engine.counted("SELECT id FROM t WHERE _partition_offset < 3", "rows_skipped").await, (2, 1));
    assert_eq!(engine.rows("SELECT kind FROM t LIMIT 2").await.len(), 2);
    let fail = Engine::new(&format!("[tables.t]\ntopic = \"bad.skip\"\n{COLUMNS}"));
    assert!(fail.error("SELECT id FROM t").await.contains("offset 1 does not decode"));
}

#[tokio::test]
async fn the_catalog_says_it_for_all_tables() {
    mixed("bad.catalog").await;
    let engine = Engine::new(&format!("on_error = \"skip\"\n[tables.t]\ntopic = \"bad.catalog\"\n{COLUMNS}"));
    assert_eq!(engine.count("SELECT count(*) FROM t").await, 3);
    // A topic of which nothing is known has no bad messages.
    create("bad.texts", 1).await;
    produce("bad.texts", &[Sent::value("one"), Sent { key: Some(vec![0xff]), ..Sent::value("two") }]);
    assert_eq!(engine.rows("SELECT _message FROM \"bad.texts\"").await, ["one", "two"]);
}

#[tokio::test]
async fn errors_are_a_table() {
    let messages = mixed("bad.errors").await;
    let table = format!("[tables.t]\ntopic = \"bad.errors\"\n{COLUMNS}");
    for on_error in ["fail", "null", "skip"] {
        let engine = Engine::new(&format!("on_error = \"{on_error}\"\n{table}"));
        let rows = engine.rows("SELECT _partition_offset, _reason, _key, _message FROM \"t$errors\"").await;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(rows.len(), 3, "{rows:?}");
        for (row, (offset, reason, key)) in rows.iter().zip([
            (1, "it is not one JSON object: expected value", "NULL"),
            (3, "it is not UTF-8 from byte 1 on", "ff"),
            (5, "field id: 5.5 is not a whole number", "NULL"),
        ]) {
            assert!(row.starts_with(&format!("{offset}|{reason}")), "{row}");
            let value = messages[offset].value.as_deref().unwrap();
            assert!(row.ends_with(&format!("|{key}|{}", hex(value))), "{row}");
        }
        assert_eq!(
            engine.rows("SELECT _headers FROM \"t$errors\" WHERE _key IS NOT NULL").await,
            ["[{key: source, value: 78}, {key: source, value: NULL}]"]
        );
        assert_eq!(engine.count("SELECT count(*) FROM \"t$errors\"").await, 3);
        assert_eq!(engine.rows("SELECT _partition_offset FROM \"t$errors\" WHERE _partition_offset > 3").await, ["5"]);
        assert_eq!(engine.planned().offsets(), 2, "offsets are pruned as in the table itself");
        assert_eq!(engine.rows("SELECT _reason FROM \"t$errors\" LIMIT 1").await.len(), 1);
    }
    let engine = Engine::new(&table);
    let visible: Vec<String> = engine
        .table("t$errors")
        .await
        .columns()
        .iter()
        .filter(|column| column.hidden.is_none())
        .map(|column| column.name().to_owned())
        .collect();
    assert_eq!(
        visible,
        [
            "_partition_id",
            "_partition_offset",
            "_timestamp",
            "_timestamp_type",
            "_reason",
            "_key",
            "_message",
            "_headers"
        ]
    );
    assert!(engine.connector().table("default", "nope$errors").await.unwrap().is_none());
    assert!(engine.connector().table("default", "$errors").await.unwrap().is_none());
}

#[tokio::test]
async fn errors_and_rows_are_the_whole_topic() {
    mixed("bad.whole").await;
    let engine = Engine::new(&format!("on_error = \"skip\"\n[tables.t]\ntopic = \"bad.whole\"\n{COLUMNS}"));
    let sql = "SELECT _partition_offset FROM t UNION ALL SELECT _partition_offset FROM \"t$errors\"";
    assert_eq!(engine.rows(sql).await, ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn keys_that_do_not_decode_are_told_apart_from_values() {
    create("bad.keys", 1).await;
    produce(
        "bad.keys",
        &[
            Sent { key: Some(br#"{"k":1}"#.to_vec()), ..Sent::value(r#"{"id":0}"#) },
            Sent { key: Some(b"x".to_vec()), ..Sent::value(r#"{"id":1}"#) },
            Sent { key: Some(b"y".to_vec()), ..Sent::value("z") },
            Sent::value(r#"{"id":3}"#),
        ],
    );
    let table = "[tables.t]\ntopic = \"bad.keys\"\nkey = { format = \"json\", columns = { k = \"bigint\" } }\n\
                 value = { columns = { id = \"bigint\" } }";
    let fail = Engine::new(table);
    assert_eq!(fail.rows("SELECT id FROM t WHERE _partition_offset < 2").await, ["0", "1"], "the key is not asked for");
    let error = cause(&fail.try_sql("SELECT k FROM t").await.unwrap_err());
    assert!(error.contains("partition 0, offset 1 does not decode: its key: it is not one JSON object"), "{error}");
    let null = Engine::new(&format!("on_error = \"null\"\n{table}"));
    assert_eq!(
        null.rows("SELECT _partition_offset, k, id, _key_corrupt, _message_corrupt FROM t").await,
        ["0|1|0|false|false", "1|NULL|1|true|false", "2|NULL|NULL|true|true", "3|NULL|3|false|false"]
    );
    let skip = Engine::new(&format!("on_error = \"skip\"\n{table}"));
    assert_eq!(skip.rows("SELECT _partition_offset, k, id FROM t").await, ["0|1|0", "3|NULL|3"]);
    let reasons = skip.rows("SELECT _partition_offset, _reason FROM \"t$errors\"").await;
    assert_eq!(reasons.len(), 2);
    assert!(reasons[0].starts_with("1|its key: it is not one JSON object"), "{reasons:?}");
    assert!(reasons[1].contains("; its key: "), "{reasons:?}");
}
