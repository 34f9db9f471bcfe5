//! Keys whose schemas a registry has, or the catalog. Protobuf's bytes are written by hand after its specification.

use portolan_servers::SchemaRegistry;

use super::engine::{Engine, cause};
use super::topics::{Sent, create, produce};

/// What the registry returns of a schema of some kind.
fn body(kind: &str, schema: &str) -> String {
    format!("\"schema\":{},\"schemaType\":\"{kind}\"", serde_json::Value::from(schema))
}

fn engine(registry: &SchemaRegistry, more: &str) -> Engine {
    Engine::new(&format!("schema_registry = {{ url = \"{}\" }}\n{more}", registry.url()))
}

/// Bytes behind the id of their schema.
fn framed(id: u32, bytes: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], bytes].concat()
}

const KEY: &str = "syntax = \"proto3\"; package web; message Key { string tenant = 1; sint64 number = 2; }";
const VALUE: &str = r#"{"type":"object","properties":{"url":{"type":"string"},"hits":{"type":"integer"}}}"#;

/// A key of tenant `a`: the place of the message in its schema, field 1 of one byte, and field 2, in zig-zag.
fn key(number: u8) -> Vec<u8> {
    vec![0, 0x0a, 1, b'a', 0x10, number << 1]
}

#[tokio::test]
async fn protobuf_keys_beside_values_of_json_schemas() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.keys.proto", 1).await;
    let of_key = registry.register("registry.keys.proto-key", &body("PROTOBUF", KEY));
    let of_value = registry.register("registry.keys.proto-value", &body("JSON", VALUE));
    let value = |text: &str| Sent::value(framed(of_value, text.as_bytes()));
    produce(
        "registry.keys.proto",
        &[
            Sent { key: Some(framed(of_key, &key(7))), ..value(r#"{"url":"/","hits":1}"#) },
            // What is not written of a key is its default; what is not written of the value is NULL.
            Sent { key: Some(framed(of_key, &[0])), ..value("{}") },
            Sent { key: Some(framed(of_key, &key(8))), ..Sent::default() },
            value(r#"{"url":"/none"}"#),
        ],
    );
    let undeclared = engine(&registry, "");
    assert_eq!(
        undeclared.rows("SELECT _partition_offset, tenant, number, url, hits FROM \"registry.keys.proto\"").await,
        ["0|a|7|/|1", "1||0|NULL|NULL", "2|a|8|NULL|NULL", "3|NULL|NULL|/none|NULL"]
    );
    assert_eq!(undeclared.rows("SELECT url FROM \"registry.keys.proto\" WHERE number = 7").await, ["/"]);
    // Of each key the newest: 8 is a tombstone's, and what has no key is no row.
    let latest = "SELECT tenant, number, url FROM \"registry.keys.proto$latest\"";
    assert_eq!(undeclared.rows(latest).await, ["a|7|/", "|0|NULL"]);
    let definition = undeclared.table("registry.keys.proto").await.definition().unwrap();
    let declared = engine(&registry, &definition.replace("[events.tables.", "[tables."));
    assert_eq!(declared.rows(latest).await, ["a|7|/", "|0|NULL"], "{definition}");
}

#[tokio::test]
async fn protobuf_keys_that_do_not_decode() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.keys.bad", 1).await;
    let of_key = registry.register("registry.keys.bad-key", &body("PROTOBUF", KEY));
    let other = registry.register("other", &body("JSON", VALUE));
    let of_value = registry.register("registry.keys.bad-value", &body("JSON", VALUE));
    let sent = |key: Vec<u8>| Sent { key: Some(key), ..Sent::value(framed(of_value, br#"{"url":"/"}"#)) };
    let keys = [
        framed(of_key, &key(1)),
        b"plain".to_vec(),
        framed(other, &key(2)),
        framed(99, &key(3)),
        framed(of_key, &[0, 0x0a, 9, b'a']),
        // The second message of a schema that has one.
        framed(of_key, &[2, 2, 0x0a, 1, b'a']),
    ];
    produce("registry.keys.bad", &keys.map(sent));
    let table = "\"registry.keys.bad\"";
    let fail = engine(&registry, "");
    let error = cause(&fail.try_sql(&format!("SELECT tenant FROM {table}")).await.unwrap_err());
    assert!(error.contains("offset 1 does not decode: its key: it does not begin with the zero byte"), "{error}");
    assert_eq!(fail.rows(&format!("SELECT DISTINCT url FROM {table}")).await, ["/"], "the key is not asked for");
    let null = engine(&registry, "on_error = \"null\"");
    let sql = format!("SELECT _partition_offset, number, url, _key_corrupt, _message_corrupt FROM {table}");
    let corrupt = (1..6).map(|offset| format!("{offset}|NULL|/|true|false"));
    assert_eq!(null.rows(&sql).await, ["0|1|/|false|false".to_owned()].into_iter().chain(corrupt).collect::<Vec<_>>());
    let skip = engine(&registry, "on_error = \"skip\"");
    assert_eq!(skip.rows(&format!("SELECT number FROM {table}")).await, ["1"]);
    let reasons = skip.rows("SELECT _partition_offset, _reason FROM \"registry.keys.bad$errors\"").await;
    for (reason, part) in reasons.iter().zip([
        "1|its key: it does not begin with the zero byte",
        "2|its key: schema 2 is JSON and not Protobuf",
        "3|its key: the registry has no schema 99",
        "4|its key: ",
        "5|its key: ",
    ]) {
        assert!(reason.starts_with(part), "{reason}");
    }
    assert_eq!(reasons.len(), 5);
}

#[tokio::test]
async fn keys_of_json_schemas() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.keys.json", 1).await;
    let schema = r#"{"type":"object","properties":{"id":{"type":"integer"},"day":{"type":"string","format":"date"}}}"#;
    let of_key = registry.register("registry.keys.json-key", &body("JSON", schema));
    let of_value = registry.register("registry.keys.json-value", &body("PROTOBUF", KEY));
    let sent =
        |key: &[u8], number| Sent { key: Some(key.to_vec()), ..Sent::value(framed(of_value, &self::key(number))) };
    produce(
        "registry.keys.json",
        &[
            sent(&framed(of_key, br#"{"id":1,"day":"2026-11-21"}"#), 5),
            sent(&framed(of_key, br#"{"id":"x"}"#), 6),
            // A key without the id of its schema is not one of the registry's.
            sent(br#"{"id":3}"#, 7),
            sent(&framed(of_key, b"{}"), 8),
        ],
    );
    let null = engine(&registry, "on_error = \"null\"");
    assert_eq!(
        null.rows("SELECT id, day, tenant, number, _key_corrupt FROM \"registry.keys.json\"").await,
        ["1|2026-11-21|a|5|false", "NULL|NULL|a|6|true", "NULL|NULL|a|7|true", "NULL|NULL|a|8|false"]
    );
    // Under another subject's name, beside a value that is not decoded.
    let table = "on_error = \"skip\"\n[tables.t]\ntopic = \"registry.keys.json\"\n\
                 key = { format = \"json\", subject = \"registry.keys.json-key\" }\nvalue = { format = \"binary\" }";
    assert_eq!(engine(&registry, table).rows("SELECT id, _message_length FROM t").await, ["1|11", "NULL|11"]);
}

#[tokio::test]
async fn protobuf_keys_by_a_schema_of_the_catalog() {
    create("registry.keys.file", 1).await;
    let sent = |key: &[u8]| Sent { key: Some(key.to_vec()), ..Sent::value("{\"v\":1}") };
    // Alone, a message has neither the id of its schema nor its place in it.
    produce("registry.keys.file", &[sent(&key(9)[1..]), sent(b""), sent(&[0x0a])]);
    let table = format!(
        "on_error = \"null\"\n[tables.t]\ntopic = \"registry.keys.file\"\n\
         key = {{ format = \"protobuf\", schema = '{KEY}', message = \"Key\" }}\nvalue = {{ columns = {{ v = \"bigint\" }} }}"
    );
    assert_eq!(
        Engine::new(&table).rows("SELECT _partition_offset, tenant, number, v, _key_corrupt FROM t").await,
        ["0|a|9|1|false", "1||0|1|false", "2|NULL|NULL|1|true"]
    );
}
