//! Messages whose schemas a registry has. Their bytes are written by hand after the Avro specification.

use portolan_servers::SchemaRegistry;

use super::engine::{Engine, cause, connector, on_broker};
use super::topics::{Sent, create, produce};

/// A whole number as Avro writes it.
fn long(number: i64) -> Vec<u8> {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(left & 0x7f).unwrap();
        left >>= 7;
        if left == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

fn text(text: &str) -> Vec<u8> {
    [long(i64::try_from(text.len()).unwrap()), text.as_bytes().to_vec()].concat()
}

/// A body behind the id of its schema.
fn framed(id: u32, parts: &[Vec<u8>]) -> Vec<u8> {
    [vec![0], id.to_be_bytes().to_vec(), parts.concat()].concat()
}

/// What the registry returns of an Avro schema.
fn avro(schema: &str) -> String {
    format!("\"schema\":{}", serde_json::Value::from(schema))
}

fn engine(registry: &SchemaRegistry, more: &str) -> Engine {
    Engine::new(&format!("schema_registry = {{ url = \"{}\" }}\nschema_cache_ms = 0\n{more}", registry.url()))
}

async fn described(engine: &Engine, table: &str) -> Vec<String> {
    let table = engine.table(table).await;
    let visible = table.columns().iter().filter(|column| column.hidden.is_none());
    visible
        .map(|column| {
            format!("{} {} ({})", column.name(), column.source_type, column.comment.as_deref().unwrap_or_default())
        })
        .collect()
}

const ONE: &str = r#"{"type":"record","name":"Click","namespace":"web","fields":[
    {"name":"id","type":"int"},{"name":"url","type":"string"}]}"#;
/// A number grew, a field came with a default, and one moved.
const TWO: &str = r#"{"type":"record","name":"Click","namespace":"web","fields":[
    {"name":"url","type":"string"},{"name":"id","type":"long"},{"name":"kind","type":["null","string"],"default":null}]}"#;

#[tokio::test]
async fn schemas_change_within_one_scan() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.evolution", 2).await;
    let one = registry.register("registry.evolution-value", &avro(ONE));
    let mut messages: Vec<Sent> =
        (0..10).map(|n| Sent::value(framed(one, &[long(n), text(&format!("/{n}"))]))).collect();
    produce("registry.evolution", &messages);
    let before = engine(&registry, "");
    assert_eq!(before.rows("SELECT sum(id) FROM \"registry.evolution\"").await, ["45"]);
    let two = registry.register("registry.evolution-value", &avro(TWO));
    messages = (10..20)
        .map(|n| Sent::value(framed(two, &[text(&format!("/{n}")), long(n << 40), long(1), text("new")])).to(1))
        .collect();
    messages.push(Sent::value(framed(two, &[text("/null"), long(-1), long(0)])));
    messages.push(Sent::default());
    produce("registry.evolution", &messages);
    // The next query takes the newest schema; what the older one wrote is read as the newer one has it.
    assert_eq!(
        described(&before, "registry.evolution").await,
        [
            "url varchar (schema 2: version 2 of subject registry.evolution-value)",
            "id bigint (schema 2: version 2 of subject registry.evolution-value)",
            "kind varchar (schema 2: version 2 of subject registry.evolution-value)"
        ]
    );
    let sql = "SELECT count(*), count(kind), count(id), min(id), max(id), max(url) FROM \"registry.evolution\"";
    assert_eq!(before.rows(sql).await, [format!("22|10|21|-1|{}|/null", 19_i64 << 40)]);
    // A pinned version reads newer messages as the older schema has them, where its rules allow that.
    let pinned =
        engine(&registry, "[tables.t]\ntopic = \"registry.evolution\"\nvalue = { format = \"avro\", version = 1 }");
    assert_eq!(pinned.rows("SELECT max(url) FROM t WHERE _partition_id = 0").await, ["/null"]);
    assert_eq!(pinned.rows("SELECT id, url FROM t WHERE _partition_offset = 9 AND _partition_id = 0").await, ["9|/9"]);
    let error = cause(&pinned.try_sql("SELECT id FROM t").await.unwrap_err());
    assert!(error.contains("schema 2: field id: it was written as long and cannot be read as int"), "{error}");
    let definition = pinned.table("t").await.definition().unwrap();
    assert!(definition.contains("subject = \"registry.evolution-value\", version = 1"), "{definition}");
}

#[tokio::test]
async fn every_type() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.types", 1).await;
    let schema = r#"{"type":"record","name":"T","fields":[
        {"name":"ok","type":"boolean"},
        {"name":"f","type":"float"},
        {"name":"d","type":"double"},
        {"name":"raw","type":"bytes"},
        {"name":"day","type":{"type":"int","logicalType":"date"}},
        {"name":"clock","type":{"type":"int","logicalType":"time-millis"}},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"local","type":{"type":"long","logicalType":"local-timestamp-millis"}},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
        {"name":"kind","type":{"type":"enum","name":"K","symbols":["A","B"]}},
        {"name":"tags","type":{"type":"array","items":"string"}},
        {"name":"counts","type":{"type":"map","values":"long"}},
        {"name":"who","type":["null",{"type":"record","name":"W","fields":[{"name":"name","type":"string"}]}]},
        {"name":"mixed","type":["string","long"]},
        {"name":"_key","type":"int"}]}"#;
    let id = registry.register("registry.types-value", &avro(schema));
    let parts = [
        vec![1],
        1.5_f32.to_le_bytes().to_vec(),
        (-0.25_f64).to_le_bytes().to_vec(),
        [long(2), vec![0, 0xff]].concat(),
        long(1),
        long(3_600_250),
        long(1_700_000_000_123_456),
        long(1_700_000_000_123),
        [long(2), vec![0xff, 0x85]].concat(),
        long(1),
        [long(2), text("x"), text("y"), long(0)].concat(),
        [long(1), text("k"), long(7), long(0)].concat(),
        [long(1), text("me")].concat(),
        [long(1), long(5)].concat(),
        long(9),
    ];
    produce("registry.types", &[Sent::value(framed(id, &parts))]);
    let engine = engine(&registry, "");
    assert_eq!(
        engine
            .rows("SELECT ok, f, d, raw, day, clock, at, local, price, kind, tags, counts, who FROM \"registry.types\"")
            .await,
        [
            "true|1.5|-0.25|00ff|1970-01-02|01:00:00.250|2023-11-14T22:13:20.123456Z|2023-11-14T22:13:20.123|-1.23|B|[x, y]|{k: 7}|{name: me}"
        ]
    );
    let table = engine.table("registry.types").await;
    let unsupported: Vec<(&str, &str)> =
        table.unsupported_columns().iter().map(|column| (column.name.as_str(), column.reason.as_str())).collect();
    assert_eq!(unsupported, [("mixed", "it is a union of several types"), ("_key", "a hidden column has this name")]);
    assert_eq!(engine.rows("SELECT _message_length, _message_corrupt FROM \"registry.types\"").await.len(), 1);
}

#[tokio::test]
async fn keys_have_schemas_too() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.keys", 1).await;
    let of_key =
        r#"{"type":"record","name":"Key","fields":[{"name":"shard","type":"int"},{"name":"id","type":"int"}]}"#;
    let (key, value) =
        (registry.register("registry.keys-key", &avro(of_key)), registry.register("registry.keys-value", &avro(ONE)));
    let message =
        Sent { key: Some(framed(key, &[long(3), long(8)])), ..Sent::value(framed(value, &[long(8), text("/")])) };
    produce("registry.keys", &[message]);
    let engine = engine(&registry, "");
    assert_eq!(engine.rows("SELECT shard, id, url, _key FROM \"registry.keys\"").await, ["3|8|/|00000000010610"]);
    let table = engine.table("registry.keys").await;
    assert_eq!(table.unsupported_columns()[0].reason, "the value has a column of this name; the key is in _key");
    // A value that is no record is a column, too.
    create("registry.plain", 1).await;
    let id = registry.register("registry.plain-value", &avro("\"string\""));
    produce("registry.plain", &[Sent::value(framed(id, &[text("hello")]))]);
    assert_eq!(engine.rows("SELECT value FROM \"registry.plain\"").await, ["hello"]);
}

#[tokio::test]
async fn bad_messages_are_told_from_a_registry_that_is_down() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.bad", 1).await;
    let id = registry.register("registry.bad-value", &avro(ONE));
    let other = registry.register("other-value", &avro("\"int\""));
    produce(
        "registry.bad",
        &[
            Sent::value(framed(id, &[long(0), text("/")])),
            Sent::value("plain"),
            Sent::value(vec![0, 0]),
            Sent::value(framed(99, &[long(0)])),
            Sent::value(framed(other, &[long(0)])),
            Sent::value(framed(id, &[long(0), long(5)])),
            Sent::value(framed(id, &[long(0), text("/"), vec![7]])),
        ],
    );
    let skip = engine(&registry, "on_error = \"skip\"");
    assert_eq!(skip.rows("SELECT id, url FROM \"registry.bad\"").await, ["0|/"]);
    let reasons = skip.rows("SELECT _partition_offset, _reason FROM \"registry.bad$errors\"").await;
    for (row, part) in reasons.iter().zip([
        "1|it does not begin with the zero byte and the schema id",
        "2|it has 2 bytes and no schema id",
        "3|the registry has no schema 99",
        "4|schema 2: field id was not written and has no default",
        "5|it ends after 2 bytes, where 5 more are needed from byte 2 on",
        "6|1 bytes follow the record",
    ]) {
        assert!(row.starts_with(part), "{row}");
    }
    assert_eq!(reasons.len(), 6);
    let fail = engine(&registry, "");
    let error = fail.error("SELECT id FROM \"registry.bad\"").await;
    assert!(error.contains("offset 1 does not decode: it does not begin with"), "{error}");
    assert_eq!(fail.count("SELECT count(*) FROM \"registry.bad\"").await, 7, "nothing is decoded for that");
    // What is not known because nobody answers is no bad message: nothing may be left out for it.
    let fresh = engine(&registry, "on_error = \"skip\"");
    let table = fresh.table("registry.bad").await;
    assert_eq!(table.columns()[0].name(), "id");
    let mut stream = fresh.stream("SELECT id FROM \"registry.bad\" WHERE _partition_offset IN (0, 3)").await.unwrap();
    registry.fail(1_000);
    let mut outcome = Ok(());
    while let Some(batch) = futures::StreamExt::next(&mut stream).await {
        if let Err(error) = batch {
            outcome = Err(cause(&error));
        }
    }
    let error = outcome.unwrap_err();
    assert!(
        error.contains("the schema registry at http://127.0.0.1:")
            && error.contains("did not tell schema 99: it said 503"),
        "{error}"
    );
}

#[tokio::test]
async fn a_registry_that_stumbles_is_asked_again_and_schemas_are_remembered() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.again", 1).await;
    let id = registry.register("registry.again-value", &avro(ONE));
    let messages: Vec<Sent> = (0..50).map(|n| Sent::value(framed(id, &[long(n), text("/")]))).collect();
    produce("registry.again", &messages);
    let engine = Engine::new(&format!("schema_registry = {{ url = \"{}\" }}", registry.url()));
    registry.fail(2);
    assert_eq!(engine.rows("SELECT sum(id) FROM \"registry.again\"").await, ["1225"]);
    let asked = registry.asked();
    for _ in 0..5 {
        assert_eq!(engine.count("SELECT count(url) FROM \"registry.again\"").await, 50);
    }
    assert_eq!(registry.asked(), asked, "schemas do not change, and the newest one is believed for a while");
    registry.fail(3);
    create("registry.down", 1).await;
    let error = engine.connector().table("default", "registry.down").await.unwrap_err().to_string();
    assert!(error.contains("did not tell version latest of subject registry.down-key: it said 503"), "{error}");
    let gone = format!("{}\nschema_registry = {{ url = \"http://127.0.0.1:1\", timeout_ms = 500 }}", on_broker(""));
    let error = connector("events", &gone).unwrap().table("default", "registry.down").await.unwrap_err().to_string();
    assert!(
        error.contains("schema registry at http://127.0.0.1:1") && error.contains("schema_registry.url"),
        "{error}"
    );
}

#[tokio::test]
async fn a_registry_with_a_password() {
    let registry = SchemaRegistry::start_with(Some("Basic bWU6czNjcmV0")).unwrap();
    create("registry.login", 1).await;
    let id = registry.register("registry.login-value", &avro(ONE));
    produce("registry.login", &[Sent::value(framed(id, &[long(4), text("/")]))]);
    let with = |password: &str| {
        Engine::new(&format!(
            "schema_registry = {{ url = \"{}\", username = \"me\", password = \"{password}\" }}",
            registry.url()
        ))
    };
    assert_eq!(with("s3cret").rows("SELECT id FROM \"registry.login\"").await, ["4"]);
    let wrong = with("wr0ng");
    let error = wrong.connector().table("default", "registry.login").await.unwrap_err().to_string();
    assert!(error.contains("it said 401 Unauthorized") && !error.contains("wr0ng"), "{error}");
    assert!(!format!("{:?}", wrong.connector()).contains("wr0ng"));
}

#[tokio::test]
async fn references_between_schemas() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.references", 1).await;
    registry
        .register("city", &avro(r#"{"type":"record","name":"geo.City","fields":[{"name":"name","type":"string"}]}"#));
    let home = r#"{"type":"record","name":"geo.Home","fields":[{"name":"city","type":"geo.City"}]}"#;
    let reference =
        |name: &str, subject: &str| format!("{{\"name\":\"{name}\",\"subject\":\"{subject}\",\"version\":1}}");
    registry.register("home", &format!("{},\"references\":[{}]", avro(home), reference("geo.City", "city")));
    let schema = r#"{"type":"record","name":"P","fields":[{"name":"home","type":"geo.Home"},{"name":"born","type":"geo.City"}]}"#;
    let references = [reference("geo.Home", "home"), reference("geo.City", "city")].join(",");
    let id = registry.register("registry.references-value", &format!("{},\"references\":[{references}]", avro(schema)));
    produce("registry.references", &[Sent::value(framed(id, &[text("Ulm"), text("Bonn")]))]);
    let engine = engine(&registry, "");
    assert_eq!(
        engine.rows("SELECT home, born FROM \"registry.references\"").await,
        ["{city: {name: Ulm}}|{name: Bonn}"]
    );
}

#[tokio::test]
async fn json_schemas() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.json", 1).await;
    let schema = r#"{"type":"object","properties":{"id":{"type":"integer"},"at":{"type":"string","format":"date-time"},
        "tags":{"type":"array","items":{"type":"string"}}}}"#;
    let id = registry.register("registry.json-value", &format!("{},\"schemaType\":\"JSON\"", avro(schema)));
    let body = br#"{"id":7,"at":"2026-11-21T08:35:00+01:00","tags":["a"],"more":true}"#.to_vec();
    produce("registry.json", &[Sent::value(framed(id, &[body])), Sent::value("{\"id\":8}")]);
    let engine = engine(&registry, "on_error = \"skip\"");
    assert_eq!(engine.rows("SELECT id, at, tags FROM \"registry.json\"").await, ["7|2026-11-21T07:35:00Z|[a]"]);
    assert_eq!(engine.rows("SELECT _partition_offset FROM \"registry.json$errors\"").await, ["1"]);
}

#[tokio::test]
async fn json_schemas_that_refer_to_others() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.json_refs", 1).await;
    let body = |schema: &str, more: &str| format!("{},\"schemaType\":\"JSON\"{more}", avro(schema));
    registry.register("who", &body(r#"{"type":"object","properties":{"name":{"type":"string"}}}"#, ""));
    let schema = r#"{"type":"object","allOf":[{"properties":{"id":{"type":"integer"}}}],"properties":{"who":{"$ref":"who.json"}}}"#;
    let references = ",\"references\":[{\"name\":\"who.json\",\"subject\":\"who\",\"version\":1}]";
    let id = registry.register("registry.json_refs-value", &body(schema, references));
    produce("registry.json_refs", &[Sent::value(framed(id, &[br#"{"id":7,"who":{"name":"x"}}"#.to_vec()]))]);
    let engine = engine(&registry, "");
    assert_eq!(engine.rows("SELECT who, id FROM \"registry.json_refs\"").await, ["{name: x}|7"]);
}

#[tokio::test]
async fn a_registry_with_a_token() {
    let registry = SchemaRegistry::start_with(Some("Bearer s3cret")).unwrap();
    create("registry.token", 1).await;
    let id = registry.register("registry.token-value", &avro(ONE));
    produce("registry.token", &[Sent::value(framed(id, &[long(4), text("/")]))]);
    let with = |token: &str| {
        Engine::new(&format!("schema_registry = {{ url = \"{}\", token = \"{token}\" }}", registry.url()))
    };
    assert_eq!(with("s3cret").rows("SELECT id FROM \"registry.token\"").await, ["4"]);
    let wrong = with("wr0ng");
    let error = wrong.connector().table("default", "registry.token").await.unwrap_err().to_string();
    assert!(error.contains("it said 401 Unauthorized") && !error.contains("wr0ng"), "{error}");
}

#[tokio::test]
async fn avro_without_a_registry() {
    create("registry.none", 1).await;
    produce("registry.none", &[Sent::value([long(5), text("/5")].concat())]);
    let table = format!("[tables.t]\ntopic = \"registry.none\"\nvalue = {{ format = \"avro\", schema = '''{ONE}''' }}");
    let engine = Engine::new(&table);
    assert_eq!(engine.rows("SELECT id, url FROM t").await, ["5|/5"]);
    let definition = engine.table("t").await.definition().unwrap().replace("[events.tables.t]", "[tables.t]");
    assert_eq!(Engine::new(&definition).rows("SELECT id, url FROM t").await, ["5|/5"]);
}

#[test]
fn declarations_that_cannot_work_are_refused() {
    for (section, part) in [
        ("[tables.t]\nvalue = { format = \"avro\" }", "the catalog has none\nHint: set `schema_registry.url`"),
        ("[tables.t]\nvalue = { format = \"avro\", columns = { a = \"int\" } }", "are those of its schema"),
        ("[tables.t]\nvalue = { format = \"avro\", schema = \"\\\"int\\\"\", version = 3 }", "say nothing"),
        (
            "[tables.t]\nvalue = { format = \"csv\", subject = \"x\", columns = { a = \"int\" } }",
            "`subject` is for the format avro or json or protobuf, not csv",
        ),
        ("schema_registry = { username = \"x\" }", "url"),
        ("schema_registry = { url = \"http://x\", password = \"y\" }", "needs `schema_registry.username`"),
        (
            "schema_registry = { url = \"http://x\", username = \"x\", token = \"y\" }",
            "`schema_registry.token` stands in the place of `username` and `password`",
        ),
        ("schema_registry = { url = \"http://x\", key_file = \"k.pem\" }", "need each other"),
        (
            "schema_registry = { url = \"https://x\", certificate_file = \"/none/c.pem\", key_file = \"/none/k.pem\" }",
            "cannot read the client's certificate for the schema registry of /none/k.pem",
        ),
        (
            "[tables.t]\nvalue = { format = \"protobuf\", imports = { \"a.proto\" = \"\" } }",
            "`imports` are those of `schema`",
        ),
    ] {
        let error = connector("events", &on_broker(section)).unwrap_err();
        assert!(error.contains(part), "{section}: {error}");
    }
}

/// A Protobuf message behind the id of its schema and its place in it.
fn proto(id: u32, place: &[u8], body: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), place, body].concat()
}

#[tokio::test]
async fn protobuf_by_the_schemas_that_wrote_it() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.proto", 1).await;
    let body = |text: &str, references: &str| format!("{},\"schemaType\":\"PROTOBUF\"{references}", avro(text));
    registry.register("geo", &body("syntax = \"proto3\"; package geo; message City { string name = 1; }", ""));
    let references = ",\"references\":[{\"name\":\"geo/city.proto\",\"subject\":\"geo\",\"version\":1}]";
    let one = "syntax = \"proto3\"; package web; import \"geo/city.proto\";
        message Click { int64 id = 1; geo.City city = 2; }";
    let two = "syntax = \"proto3\"; package web; import \"geo/city.proto\"; import \"google/protobuf/timestamp.proto\";
        message Other { string x = 1; }
        message Click { int64 id = 1; geo.City city = 2; repeated string tags = 3; google.protobuf.Timestamp at = 4; }";
    let old = registry.register("registry.proto-value", &body(one, references));
    let new = registry.register("registry.proto-value", &body(two, references));
    let json = registry.register("json", &format!("{},\"schemaType\":\"JSON\"", avro("{\"type\":\"object\"}")));
    produce(
        "registry.proto",
        &[
            // Of the first schema the click is the first message; of the second one it is the other.
            Sent::value(proto(old, &[0], &[8, 1, 0x12, 3, 0x0a, 1, b'U'])),
            Sent::value(proto(new, &[2, 2], &[8, 2, 0x1a, 1, b'a', 0x1a, 1, b'b', 0x22, 2, 8, 60])),
            Sent::value(proto(new, &[0], &[0x0a, 1, b'x'])),
            Sent::value(proto(json, &[0], &[8, 3])),
            Sent::value(proto(9_999, &[0], &[8, 3])),
            Sent::value("{\"id\":4}"),
            Sent::default(),
        ],
    );
    let engine = engine(
        &registry,
        "on_error = \"null\"\n[tables.t]\ntopic = \"registry.proto\"\nvalue = { format = \"protobuf\", message = \"Click\" }",
    );
    assert_eq!(
        engine.rows("SELECT _partition_offset, id, city, tags, at, _message_corrupt FROM t").await,
        [
            "0|1|{name: U}|[]|NULL|false",
            "1|2|NULL|[a, b]|1970-01-01T00:01:00Z|false",
            "2|NULL|NULL|NULL|NULL|true",
            "3|NULL|NULL|NULL|NULL|true",
            "4|NULL|NULL|NULL|NULL|true",
            "5|NULL|NULL|NULL|NULL|true",
            "6|NULL|NULL|NULL|NULL|false",
        ]
    );
    let reasons = engine.rows("SELECT _partition_offset, _reason FROM \"t$errors\"").await;
    for (reason, part) in reasons.iter().zip([
        "2|it is a web.Other, and the table's messages are web.Click",
        "is JSON and not Protobuf",
        "the registry has no schema 9999",
        "5|it does not begin with the zero byte",
    ]) {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(reasons.len(), 4);
    // Where nobody says which, the columns are those of the first message of the newest schema.
    let undeclared = self::engine(&registry, "on_error = \"skip\"");
    assert_eq!(undeclared.rows("SELECT x FROM \"registry.proto\" WHERE x IS NOT NULL").await, ["x"]);
    let definition = engine.table("t").await.definition().unwrap();
    assert!(
        definition.contains("message = \"Click\", subject = \"registry.proto-value\", version = 2"),
        "{definition}"
    );
}

#[tokio::test]
async fn protobuf_by_a_file_of_the_catalog() {
    create("registry.file", 1).await;
    let text = "syntax = \"proto3\"; message Click { int64 id = 1; string url = 2; Click next = 3; }";
    produce("registry.file", &[Sent::value([8, 5, 0x12, 2, b'/', b'a']), Sent::value(""), Sent::value([8])]);
    let table = format!(
        "on_error = \"null\"\n[tables.t]\ntopic = \"registry.file\"\nvalue = {{ format = \"protobuf\", schema = '{text}' }}"
    );
    let engine = Engine::new(&table);
    assert_eq!(
        engine.rows("SELECT id, url, _message_corrupt FROM t").await,
        ["0||false", "5|/a|false", "NULL|NULL|true"]
    );
    let table = engine.table("t").await;
    assert_eq!(table.unsupported_columns()[0].name, "next");
    let definition = table.definition().unwrap().replace("[events.tables.t]", "[tables.t]");
    assert_eq!(Engine::new(&definition).rows("SELECT id FROM t WHERE url = '/a'").await, ["5"]);
    // A file may import others, which may import others.
    let table = "[tables.t]\ntopic = \"registry.file\"\nvalue = { format = \"protobuf\", \
        schema = 'syntax = \"proto3\"; import \"a/b.proto\"; message Click { int64 id = 1; a.Url url = 2; }', imports = { \
        \"a/b.proto\" = 'syntax = \"proto3\"; package a; import \"c.proto\"; message Url { Nothing none = 2; }', \
        \"c.proto\" = 'syntax = \"proto3\"; message Nothing {}' } }";
    let engine = Engine::new(table);
    assert_eq!(engine.rows("SELECT id FROM t WHERE _partition_offset < 2").await, ["0", "5"]);
    let definition = engine.table("t").await.definition().unwrap().replace("[events.tables.t]", "[tables.t]");
    assert_eq!(Engine::new(&definition).table("t").await.definition(), engine.table("t").await.definition());
    for (section, part) in [
        ("value = { format = \"protobuf\", schema = \"message {\" }", "the Protobuf schema is not valid"),
        (
            "value = { format = \"protobuf\", schema = \"syntax = 'proto3'; message A { int32 a = 1; }\", message = \"B\" }",
            "no message B",
        ),
    ] {
        let engine = Engine::new(&format!("[tables.t]\ntopic = \"registry.file\"\n{section}"));
        let error = engine.connector().table("default", "t").await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let error = connector("events", &on_broker("[tables.t]\nvalue = { message = \"A\" }")).unwrap_err();
    assert!(error.contains("`message` is for the format protobuf, not json"), "{error}");
}

#[tokio::test]
async fn change_events_of_debezium_in_avro() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.changes", 1).await;
    let envelope = |columns: &str| {
        format!(
            r#"{{"type":"record","name":"Envelope","fields":[
                {{"name":"before","type":["null",{{"type":"record","name":"Value","fields":[{columns}]}}],"default":null}},
                {{"name":"after","type":["null","Value"],"default":null}},
                {{"name":"op","type":"string"}}]}}"#
        )
    };
    let id = r#"{"name":"id","type":"long"}"#;
    let one = registry.register("registry.changes-value", &avro(&envelope(id)));
    let (none, some) = (long(0), |number: i64| [long(1), long(number)].concat());
    produce("registry.changes", &[Sent::value(framed(one, &[none.clone(), some(1), text("c")]))]);
    // The table got a column.
    let two = format!(r#"{id},{{"name":"city","type":["null","string"],"default":null}}"#);
    let two = registry.register("registry.changes-value", &avro(&envelope(&two)));
    let row = |number: i64, city: &str| [some(number), long(1), text(city)].concat();
    produce(
        "registry.changes",
        &[
            Sent::value(framed(two, &[row(1, "Oslo"), row(1, "Bergen"), text("u")])),
            Sent::value(framed(two, &[row(1, "Bergen"), none.clone(), text("d")])),
            // After a row is gone, its key alone is sent.
            Sent::default(),
        ],
    );
    let table = "[tables.t]\ntopic = \"registry.changes\"\nvalue = { format = \"avro\", envelope = \"debezium\" }";
    let engine = engine(&registry, table);
    assert_eq!(
        described(&engine, "t").await,
        ["id bigint", "city varchar"]
            .map(|column| format!("{column} (schema {two}: version 2 of subject registry.changes-value)"))
    );
    assert_eq!(
        engine.rows("SELECT _partition_offset, id, city, _op, _before FROM t").await,
        [
            "0|1|NULL|c|NULL",
            "1|1|Bergen|u|{id: 1, city: Oslo}",
            "2|1|Bergen|d|{id: 1, city: Bergen}",
            "3|NULL|NULL|NULL|NULL"
        ]
    );
    assert_eq!(engine.rows("SELECT city FROM t WHERE _op = 'u'").await, ["Bergen"]);
    let definition = engine.table("t").await.definition().unwrap();
    assert!(definition.contains("format = \"avro\", envelope = \"debezium\""), "{definition}");
    // Messages that are no events are bad ones; so is a table of which no schema tells that it is.
    let plain = registry.register("registry.plain.events-value", &avro(ONE));
    create("registry.plain.events", 1).await;
    produce("registry.plain.events", &[Sent::value(framed(plain, &[long(1), text("/")]))]);
    let wrong = "[tables.t]\ntopic = \"registry.plain.events\"\nvalue = { format = \"avro\", envelope = \"debezium\" }";
    let connector =
        connector("events", &on_broker(&format!("schema_registry = {{ url = \"{}\" }}\n{wrong}", registry.url())));
    let error = connector.unwrap().table("default", "t").await.unwrap_err().to_string();
    assert!(error.contains("none of change events of Debezium"), "{error}");
}
