//! Messages that decode, and messages that do not.

use super::engine::{Engine, cause, connector, on_broker};
use super::topics::{Sent, create, produce};

#[tokio::test]
async fn every_type_of_column() {
    create("decode.types", 1).await;
    produce(
        "decode.types",
        &[
            Sent::value(
                r#"{"b":true,"t":-128,"s":32767,"i":2147483647,"l":-9223372036854775808,"r":0.5,"d":0.1,
                "n":1234567890.12,"v":"é\n\"x\"","j":{"a":[1, 2]},"day":"2026-11-21","at":"2026-11-21T08:35:00.25+01:00",
                "ms":1795246500250,"z":"2026-11-21T08:35:00+01:00","extra":[{}]}"#,
            ),
            Sent::value("{}"),
            Sent::value(r#"{"b":null,"l":1e3,"v":12.50,"j":"x","l":2.0}"#),
        ],
    );
    let engine = Engine::new(
        r#"[tables.t]
        topic = "decode.types"
        value = { format = "json", columns = { b = "boolean", t = "tinyint", s = "smallint", i = "int", l = "bigint", r = "real",
            d = "double", n = "decimal(12,2)", v = "varchar", j = "json", day = "date", at = "timestamp", ms = "timestamp(3)",
            z = "timestamp with time zone" } }"#,
    );
    let nulls = ["NULL"; 14].join("|");
    let mut expected = vec![
        "true|-128|32767|2147483647|-9223372036854775808|0.5|0.1|1234567890.12|é\n\"x\"|{\"a\":[1, 2]}|2026-11-21\
         |2026-11-21T07:35:00.250|2026-11-21T07:35:00.250|2026-11-21T07:35:00Z"
            .to_owned(),
        nulls,
        format!("NULL|NULL|NULL|NULL|2|NULL|NULL|NULL|12.50|\"x\"|{}", ["NULL"; 4].join("|")),
    ];
    expected.sort();
    assert_eq!(engine.rows("SELECT b, t, s, i, l, r, d, n, v, j, day, at, ms, z FROM t").await, expected);
}

/// Every kind of message that cannot be a row of `{id bigint, kind varchar}`, and a part of what is said of it.
const POISON: &[(&[u8], &str)] = &[
    (b"{\"id\":2,\"kind\":", "not one JSON object: EOF"),
    (b"hello", "not one JSON object: expected value"),
    (b"42", "expected an object"),
    (b"null", "expected an object"),
    (b"[1,2]", "expected an object"),
    (b"", "not one JSON object: EOF"),
    (b"{\"id\":\"x\"}", "field id: \"x\" is a string, not bigint"),
    (b"{\"id\":\"12\"}", "field id: \"12\" is a string, not bigint"),
    (b"{\"id\":1.5}", "field id: 1.5 is not a whole number"),
    (b"{\"id\":9223372036854775808}", "field id: 9223372036854775808 is too large for bigint"),
    (b"{\"id\":true}", "field id: true is a boolean, not bigint"),
    (b"{\"id\":1}{\"id\":2}", "trailing characters"),
    (b"{\"id\":1,\"kind\":\"\xff\"}", "not UTF-8 from byte 16 on"),
    (b"{\"id\":1,\"kind\":\"\\ud800\"}", "field kind: \"\\ud800\" is not a valid string"),
    (b"\xef\xbb\xbf{\"id\":1}", "not one JSON object"),
];

const COLUMNS: &str = "value = { columns = { id = \"bigint\", kind = \"varchar\" } }";

#[tokio::test]
async fn a_message_that_does_not_decode_is_an_error_that_names_it() {
    for (number, (poison, part)) in POISON.iter().enumerate() {
        let topic = format!("poison.fail.{number}");
        create(&topic, 1).await;
        produce(&topic, &[Sent::value(r#"{"id":1,"kind":"a"}"#), Sent::value(*poison), Sent::value(r#"{"id":3}"#)]);
        let engine = Engine::new(&format!("[tables.t]\ntopic = \"{topic}\"\n{COLUMNS}"));
        let error = cause(&engine.try_sql("SELECT id, kind FROM t").await.unwrap_err());
        let named = format!(
            "catalog events, table default.t: the message of topic {topic}, partition 0, offset 1 does not decode: "
        );
        assert!(error.starts_with(&named) && error.contains(part), "{}: {error}", String::from_utf8_lossy(poison));
        // What is not asked for is not decoded, and the rest of the topic can be read.
        assert_eq!(engine.count("SELECT count(*) FROM t").await, 3);
        let hint = error.rsplit_once("leave the message out: ").unwrap().1;
        let rest = format!("SELECT id, kind FROM t WHERE {hint}");
        assert_eq!(engine.rows(&rest).await, ["1|a", "3|NULL"]);
    }
}

#[tokio::test]
async fn with_on_error_null_it_is_a_row_of_nulls() {
    create("poison.null", 1).await;
    let mut messages = vec![Sent::value(r#"{"id":1,"kind":"a"}"#)];
    for (poison, _) in POISON {
        messages.push(Sent::value(*poison));
        messages.push(Sent::value(format!("{{\"id\":{},\"kind\":\"ok\"}}", messages.len())));
    }
    produce("poison.null", &messages);
    let engine = Engine::new(&format!("[tables.t]\ntopic = \"poison.null\"\non_error = \"null\"\n{COLUMNS}"));
    let mut expected = vec!["0|1|a".to_owned()];
    for number in 0..POISON.len() {
        expected.push(format!("{}|NULL|NULL", 2 * number + 1));
        expected.push(format!("{0}|{0}|ok", 2 * number + 2));
    }
    expected.sort();
    assert_eq!(engine.rows("SELECT _partition_offset, id, kind FROM t").await, expected);
    // A row does not depend on which of its columns are asked for: where id is wrong, kind is NULL alone, too.
    let kinds = i64::try_from(POISON.len()).unwrap() + 1;
    assert_eq!(engine.count("SELECT count(kind) FROM t").await, kinds);
    assert_eq!(engine.count("SELECT count(id) FROM t").await, kinds);
}

#[tokio::test]
async fn tombstones_are_rows_of_nulls_and_not_empty() {
    create("decode.tombstones", 1).await;
    produce(
        "decode.tombstones",
        &[
            Sent { key: Some(b"a".to_vec()), ..Sent::value(r#"{"id":1}"#) },
            Sent { key: Some(b"a".to_vec()), ..Sent::default() },
            Sent { key: Some(Vec::new()), ..Sent::value(r#"{"id":2}"#) },
            Sent::value(r#"{"id":3}"#),
        ],
    );
    let engine = Engine::new("[tables.t]\ntopic = \"decode.tombstones\"\nvalue = { columns = { id = \"bigint\" } }");
    assert_eq!(
        engine.rows("SELECT _partition_offset, id, _key, _message FROM t").await,
        ["0|1|a|{\"id\":1}", "1|NULL|a|NULL", "2|2||{\"id\":2}", "3|3|NULL|{\"id\":3}",]
    );
}

#[tokio::test]
async fn bytes_that_are_no_text() {
    create("decode.bytes", 1).await;
    produce("decode.bytes", &[Sent { key: Some(vec![0xff, 0]), ..Sent::value(vec![0xfe, b'x']) }]);
    let text = Engine::new("[tables.t]\ntopic = \"decode.bytes\"\nvalue = { columns = { a = \"bigint\" } }");
    let error = text.error("SELECT _key FROM t").await;
    assert!(error.contains("partition 0, offset 0 does not decode: its key is not UTF-8 text"), "{error}");
    let error = text.error("SELECT _message FROM t").await;
    assert!(error.contains("it is not UTF-8 text") && error.contains("value = { format = \"binary\" }"), "{error}");
    let null = Engine::new(
        "on_error = \"null\"\n[tables.t]\ntopic = \"decode.bytes\"\nvalue = { columns = { a = \"bigint\" } }",
    );
    assert_eq!(null.rows("SELECT _key, _message, a FROM t").await, ["NULL|NULL|NULL"]);
    let binary = Engine::new(
        "[tables.t]\ntopic = \"decode.bytes\"\nvalue = { format = \"binary\" }\nkey = { format = \"binary\" }",
    );
    assert_eq!(binary.rows("SELECT _key, _message FROM t").await, ["ff00|fe78"]);
}

#[tokio::test]
async fn headers_may_repeat_and_be_null() {
    create("decode.headers", 1).await;
    produce(
        "decode.headers",
        &[
            Sent {
                headers: vec![("k", Some(b"1")), ("k", Some(b"2")), ("n", None), ("e", Some(b""))],
                ..Sent::value("{}")
            },
            Sent::value("{}"),
        ],
    );
    let engine = Engine::new("");
    assert_eq!(
        engine.rows("SELECT _headers FROM \"decode.headers\"").await,
        ["[]", "[{key: k, value: 31}, {key: k, value: 32}, {key: n, value: NULL}, {key: e, value: }]",]
    );
    let second = "SELECT arrow_cast(_headers[2]['value'], 'Utf8') FROM \"decode.headers\" WHERE _partition_offset = 0";
    assert_eq!(engine.rows(second).await, ["2"]);
}

#[test]
fn declarations_that_cannot_work_are_refused() {
    for (section, part) in [
        (
            "[tables.t]\nvalue = { columns = { a = \"float\" } }",
            "`tables.t`: `value`: column `a`: `float` means 32 bits to some",
        ),
        ("[tables.t]\nvalue = { columns = { _key = \"varchar\" } }", "`_key` is the name of a hidden column"),
        ("[tables.t]\nvalue = { format = \"binary\", columns = { a = \"int\" } }", "has no columns"),
        ("[tables.\"my clicks\"]", "\"my clicks\" cannot be the name of a topic\nHint: set `topic`"),
        ("[tables.t]\npartitions = 3", "`partitions` needs `partitioner`"),
        ("security = \"sasl_plaintext\"", "needs `sasl.username` and `sasl.password`"),
        ("sasl = { username = \"u\", password = \"p\" }", "does not log in"),
        ("tls = { ca_file = \"x\" }", "has no TLS"),
        ("[tables.t]\nvalue = { format = \"thrift\" }", "one of \"json\", \"avro\""),
        ("[tables.t]\ntopics = \"x\"", "did you mean `topic`?"),
    ] {
        let error = connector("events", &on_broker(section)).unwrap_err();
        assert!(error.contains(part), "{section}: {error}");
    }
}
