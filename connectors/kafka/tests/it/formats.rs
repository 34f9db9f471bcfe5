//! Keys and values in other formats than flat JSON.

use super::engine::{Engine, connector, on_broker};
use super::topics::{Sent, create, produce};

#[tokio::test]
async fn json_within_json() {
    create("format.nested", 1).await;
    produce(
        "format.nested",
        &[
            Sent::value(r#"{"who":{"name":"x","age":7},"tags":["a","b"],"counts":{"u":1,"v":null},"at":[{"t":1.5}]}"#),
            Sent::value(r#"{"who":{"name":"y"},"tags":[],"counts":{},"at":null}"#),
        ],
    );
    let engine = Engine::new(
        "[tables.t]\ntopic = \"format.nested\"\nvalue = { columns = { who = \"row(name varchar, age int)\", \
         tags = \"array(varchar)\", counts = \"map(varchar, bigint)\", at = \"array(row(t double))\" } }",
    );
    assert_eq!(
        engine.rows("SELECT who, tags, counts, at FROM t").await,
        ["{name: x, age: 7}|[a, b]|{u: 1, v: NULL}|[{t: 1.5}]", "{name: y, age: NULL}|[]|{}|NULL",]
    );
    assert_eq!(engine.rows("SELECT who['name'], tags[1] FROM t WHERE who['age'] = 7").await, ["x|a"]);
    assert_eq!(engine.rows("SELECT sum(array_length(tags)) FROM t").await, ["2"]);
}

#[tokio::test]
async fn fields_that_are_no_columns_are_not_lost() {
    create("format.extra", 1).await;
    produce(
        "format.extra",
        &[Sent::value(r#"{"a":1,"b":[1, 2],"c":"x"}"#), Sent::value(r#"{"a":2}"#), Sent::default()],
    );
    let engine = Engine::new("[tables.t]\ntopic = \"format.extra\"\nvalue = { columns = { a = \"int\" } }");
    assert_eq!(engine.rows("SELECT a, _extra FROM t").await, ["1|{\"b\":[1, 2],\"c\":\"x\"}", "2|NULL", "NULL|NULL"]);
    // A column is no extra field when it is not asked for.
    assert_eq!(
        engine.rows("SELECT _extra FROM t WHERE _partition_offset < 2").await,
        ["NULL", "{\"b\":[1, 2],\"c\":\"x\"}"]
    );
}

#[tokio::test]
async fn times_as_the_table_says_they_are_written() {
    create("format.times", 1).await;
    produce(
        "format.times",
        &[Sent::value(
            r#"{"s":1700000000,"ms":"1700000000500","rfc":"Tue, 14 Nov 2023 22:13:20 GMT","own":"14/11/2023 22:13","day":"14.11.2023","t":"22:13:20"}"#,
        )],
    );
    let engine = Engine::new(
        "[tables.t]\ntopic = \"format.times\"\n[tables.t.value]\ncolumns = { s = \"timestamp(0)\", ms = \"timestamp(3)\", \
         rfc = \"timestamp(0) with time zone\", own = \"timestamp(0)\", day = \"date\", t = \"time(3)\" }\n\
         times = { s = \"epoch-seconds\", ms = \"epoch-milliseconds\", rfc = \"rfc2822\", own = \"%d/%m/%Y %H:%M\", day = \"%d.%m.%Y\" }",
    );
    assert_eq!(
        engine.rows("SELECT s, ms, rfc, own, day, t FROM t").await,
        ["2023-11-14T22:13:20|2023-11-14T22:13:20.500|2023-11-14T22:13:20Z|2023-11-14T22:13:00|2023-11-14|22:13:20"]
    );
}

#[tokio::test]
async fn times_within_values_as_the_table_says_they_are_written() {
    create("format.nested_times", 1).await;
    produce(
        "format.nested_times",
        &[Sent::value(
            r#"{"page":{"at":1700000000,"day":"2023-11-14"},"seen":[{"x":1700000000500}],"at":[1700000000,null]}"#,
        )],
    );
    let engine = Engine::new(
        "[tables.t]\ntopic = \"format.nested_times\"\n[tables.t.value]\ncolumns = { page = \"row(at timestamp(0), day date)\", \
         seen = \"array(map(varchar, timestamp(3)))\", at = \"array(timestamp(0))\" }\n\
         times = { \"page.at\" = \"epoch-seconds\", at = \"epoch-seconds\" }",
    );
    assert_eq!(
        engine.rows("SELECT page, seen, at FROM t").await,
        ["{at: 2023-11-14T22:13:20, day: 2023-11-14}|[{x: 2023-11-14T22:13:20.500}]|[2023-11-14T22:13:20, NULL]"]
    );
    let definition = engine.table("t").await.definition().unwrap();
    assert!(definition.contains("times = { \"page.at\" = \"epoch-seconds\", at = \"epoch-seconds\" }"), "{definition}");
}

#[tokio::test]
async fn lines_of_values() {
    create("format.csv", 1).await;
    produce(
        "format.csv",
        &[
            Sent { key: Some(b"7;k".to_vec()), ..Sent::value("1,\"a, b\",2.50,2026-11-21,true") },
            Sent::value("2,\"\",,,\n"),
            Sent::value("x,c,1,2026-11-21,false"),
            Sent::value("4,d"),
        ],
    );
    let table = "[tables.t]\ntopic = \"format.csv\"\non_error = \"null\"\n\
         key = { format = \"csv\", delimiter = \";\", columns = { shard = \"int\", name = \"varchar\" } }\n\
         [tables.t.value]\nformat = \"csv\"\n\
         columns = { id = \"bigint\", label = \"varchar\", price = \"decimal(8,2)\", day = \"date\", ok = \"boolean\" }";
    let engine = Engine::new(table);
    assert_eq!(
        engine.rows("SELECT shard, name, id, label, price, day, ok FROM t").await,
        [
            "7|k|1|a, b|2.50|2026-11-21|true",
            "NULL|NULL|2||NULL|NULL|NULL",
            "NULL|NULL|NULL|NULL|NULL|NULL|NULL",
            "NULL|NULL|NULL|NULL|NULL|NULL|NULL",
        ]
    );
    assert_eq!(
        engine.rows("SELECT ok FROM t WHERE _partition_offset = 0").await,
        ["true"],
        "by place, not by projection"
    );
    assert_eq!(
        engine.rows("SELECT _partition_offset, _reason FROM \"t$errors\"").await,
        ["2|column id: \"x\" is not bigint", "3|it has 2 values and not 5"]
    );
    let definition = engine.table("t").await.definition().unwrap();
    let section = definition.replace("[events.tables.t]", "[tables.t]");
    assert!(section.contains("delimiter = \";\""), "{section}");
    let again = Engine::new(&section);
    assert_eq!(again.rows("SELECT label, shard FROM t").await, engine.rows("SELECT label, shard FROM t").await);
    assert_eq!(again.table("t").await.definition().unwrap(), definition, "what SHOW CREATE TABLE prints reads back");
}

#[tokio::test]
async fn values_at_fixed_bytes() {
    create("format.raw", 1).await;
    let record = |id: i64, code: i16, price: f64, name: &str| {
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend(code.to_be_bytes());
        bytes.extend(price.to_be_bytes());
        bytes.extend(name.as_bytes());
        bytes
    };
    produce(
        "format.raw",
        &[
            Sent { key: Some(7_i32.to_be_bytes().to_vec()), ..Sent::value(record(-5, 300, 0.5, "né")) },
            Sent::value(record(6, -1, -2.0, "")),
            Sent::value(vec![1, 2, 3]),
        ],
    );
    let engine = Engine::new(
        "[tables.t]\ntopic = \"format.raw\"\non_error = \"skip\"\n\
         key = { format = \"raw\", columns = { shard = \"int\" }, positions = { shard = \"0:4\" } }\n\
         [tables.t.value]\nformat = \"raw\"\n\
         columns = { id = \"bigint\", code = \"smallint\", price = \"double\", name = \"varchar\", rest = \"varbinary\" }\n\
         positions = { id = \"0:8\", code = \"8:10\", price = \"10:18\", name = \"18:\", rest = \"16:\" }",
    );
    assert_eq!(
        engine.rows("SELECT shard, id, code, price, name, rest FROM t").await,
        ["7|-5|300|0.5|né|00006ec3a9", "NULL|6|-1|-2.0||0000"]
    );
    assert_eq!(
        engine.rows("SELECT _reason FROM \"t$errors\"").await,
        ["column id: it has 3 bytes, and none from 0 to 8"]
    );
    assert_eq!(engine.rows("SELECT _key, _message_length FROM t WHERE _partition_offset = 1").await, ["NULL|18"]);
}

#[tokio::test]
async fn whole_texts() {
    create("format.text", 1).await;
    produce("format.text", &[Sent { key: Some(b"k".to_vec()), ..Sent::value("{not json") }, Sent::value(vec![0xff])]);
    let table = "[tables.t]\ntopic = \"format.text\"\nkey = { format = \"text\", columns = { who = \"varchar\" } }\n\
         value = { format = \"text\", columns = { line = \"varchar\" } }";
    let engine = Engine::new(&format!("on_error = \"null\"\n{table}"));
    assert_eq!(engine.rows("SELECT who, line FROM t").await, ["NULL|NULL", "k|{not json"]);
    let error = Engine::new(table).error("SELECT line FROM t").await;
    assert!(error.contains("offset 1 does not decode: it is not UTF-8 from byte 0 on"), "{error}");
}

#[tokio::test]
async fn change_events() {
    create("format.changes", 1).await;
    produce(
        "format.changes",
        &[
            Sent::value(r#"{"before":null,"after":{"id":1,"name":"a","more":[1]},"op":"c","ts_ms":1}"#),
            Sent::value(
                r#"{"schema":{},"payload":{"before":{"id":1,"name":"a"},"after":{"id":1,"name":"b"},"op":"u"}}"#,
            ),
            Sent::value(r#"{"before":{"id":1,"name":"b"},"after":null,"op":"d"}"#),
            Sent::default(),
            Sent::value(r#"{"op":"t"}"#),
            Sent::value(r#"{"id":1}"#),
        ],
    );
    let engine = Engine::new(
        "[tables.t]\ntopic = \"format.changes\"\non_error = \"skip\"\n\
         value = { envelope = \"debezium\", columns = { id = \"bigint\", name = \"varchar\" } }",
    );
    assert_eq!(
        engine.rows("SELECT _partition_offset, _op, id, name, _before, _extra FROM t").await,
        [
            "0|c|1|a|NULL|{\"more\":[1]}",
            "1|u|1|b|{\"id\":1,\"name\":\"a\"}|NULL",
            "2|d|1|b|{\"id\":1,\"name\":\"b\"}|NULL",
            "3|NULL|NULL|NULL|NULL|NULL",
            "4|t|NULL|NULL|NULL|NULL",
        ]
    );
    assert_eq!(engine.rows("SELECT name FROM t WHERE _op = 'u'").await, ["b"]);
    assert_eq!(engine.rows("SELECT _op FROM t WHERE id = 1").await, ["c", "d", "u"]);
    assert_eq!(
        engine.rows("SELECT _reason FROM \"t$errors\"").await,
        ["it is no change event of Debezium: it has no text `op`"]
    );
    let definition = engine.table("t").await.definition().unwrap();
    assert!(definition.contains("envelope = \"debezium\""), "{definition}");
}

#[tokio::test]
async fn where_columns_come_from() {
    create("format.origin", 1).await;
    produce("format.origin", &[Sent::value(r#"{"a":1,"k":2}"#)]);
    let engine =
        Engine::new("[tables.t]\ntopic = \"format.origin\"\nkey = { format = \"csv\", columns = { k = \"int\" } }");
    let table = engine.table("t").await;
    let origins: Vec<(String, String)> = table
        .columns()
        .iter()
        .filter(|column| column.hidden.is_none())
        .map(|column| (column.name().to_owned(), column.comment.clone().unwrap()))
        .collect();
    let expected = [("k", "declared in the catalog file"), ("a", "inferred from 1 messages")];
    assert_eq!(origins, expected.map(|(name, origin)| (name.to_owned(), origin.to_owned())));
    let unsupported = &table.unsupported_columns()[0];
    assert_eq!(unsupported.reason, "a column of the key has this name; the field is in _message");
}

#[test]
fn declarations_that_cannot_work_are_refused() {
    for (section, part) in [
        ("value = { format = \"csv\" }", "`value`: a part of format \"csv\" needs `columns`"),
        ("key = { format = \"json\" }", "`key`: a part of format \"json\" needs `columns`"),
        ("value = { format = \"raw\", columns = { a = \"int\" } }", "`positions` does not say where column `a` is"),
        (
            "value = { format = \"raw\", columns = { a = \"int\" }, positions = { a = \"0:3\" } }",
            "integer cannot be read of these bytes",
        ),
        ("value = { format = \"raw\", columns = { a = \"int\" }, positions = { a = \"4\" } }", "such as 0:8 or 8:"),
        (
            "value = { format = \"csv\", columns = { a = \"array(int)\" } }",
            "array(integer) cannot be read of the format csv",
        ),
        ("value = { columns = { a = \"row(b varbinary)\" } }", "cannot be read of the format json"),
        ("value = { format = \"text\", columns = { a = \"int\" } }", "integer cannot be read of the format text"),
        (
            "value = { columns = { a = \"int\" }, times = { a = \"epoch-seconds\" } }",
            "epoch-seconds is no way to write values of integer",
        ),
        ("value = { columns = { a = \"date\" }, times = { b = \"%Y\" } }", "`times.b`: there is no such column"),
        (
            "value = { columns = { a = \"row(b date)\" }, times = { \"a.c\" = \"%Y\" } }",
            "`times.a.c`: there is no such field in column `a`, row(b date)",
        ),
        ("value = { format = \"csv\", delimiter = \"::\", columns = { a = \"int\" } }", "must be one character"),
        ("value = { columns = { a = \"int\" }, delimiter = \";\" }", "`delimiter` is for the format csv, not json"),
        (
            "value = { columns = { a = \"int\" } }\nkey = { format = \"csv\", columns = { a = \"int\" } }",
            "`a` is a column of the key and of the value",
        ),
        ("value = { envelope = \"debezium\" }", "`envelope` needs `columns`"),
        ("value = { columns = { _extra = \"json\" } }", "`_extra` is the name of a hidden column"),
    ] {
        let error = connector("events", &on_broker(&format!("[tables.t]\n{section}"))).unwrap_err();
        assert!(error.contains(part), "{section}: {error}");
    }
}
