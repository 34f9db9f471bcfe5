//! Rows become messages: in each format, with keys, headers and times, in the partitions that readers look for them in, and all
//! of a statement or nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{Field, Schema};
use portolan_connector::{Begun, InsertMode, NewTable, OnExisting, QueryContext, TableName, WriteContext, WriteToken};
use portolan_servers::{KafkaBroker, SchemaRegistry};

use super::engine::{Engine, connector};
use super::proxy::Proxy;
use super::topics::{Sent, an_hour_ago, bootstrap, create, create_at, producer, send, stand_in};

/// What every catalog of these tests has.
pub(crate) const WRITABLE: &str = "access = \"read_write\"\n";

pub(crate) fn context(token: Option<(&str, &str)>) -> WriteContext {
    let token = token.map(|(token, statement)| WriteToken { token: token.to_owned(), statement: statement.to_owned() });
    WriteContext { query: QueryContext { query_id: "test".to_owned() }, token }
}

/// Rows of a query with the types that columns of a table have.
pub(crate) async fn rows_for(
    engine: &Engine,
    table: &str,
    columns: &[&str],
    sql: &str,
) -> (Vec<usize>, Vec<RecordBatch>) {
    let table = engine.table(table).await;
    let found: Vec<_> = columns.iter().map(|name| table.column(name).unwrap()).collect();
    let indexes = found.iter().map(|(index, _)| *index).collect();
    let fields: Vec<Field> = found.iter().map(|(_, column)| column.field.as_ref().clone()).collect();
    let schema = Arc::new(Schema::new(fields));
    let batches = engine.try_sql(sql).await.unwrap();
    let batches = batches.iter().map(|batch| {
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap()).collect();
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    });
    (indexes, batches.collect())
}

/// Begins to write to columns of a table.
pub(crate) async fn begin(
    engine: &Engine,
    table: &str,
    indexes: &[usize],
    token: Option<(&str, &str)>,
) -> portolan_connector::Result<Begun> {
    let found = engine.table(table).await;
    let writable = engine.connector().writable().unwrap();
    writable.insert(&found, indexes, InsertMode::Append, context(token)).await
}

/// `INSERT INTO table (columns) sql`.
pub(crate) async fn insert(engine: &Engine, table: &str, columns: &[&str], sql: &str) -> Result<u64, String> {
    let (indexes, batches) = rows_for(engine, table, columns, sql).await;
    let Begun::Writer(mut writer) = begin(engine, table, &indexes, None).await.map_err(|error| error.to_string())?
    else {
        panic!("it was written before")
    };
    for batch in batches {
        writer.write(batch).await.map_err(|error| error.to_string())?;
    }
    writer.commit().await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn rows_are_there_after_the_commit_and_in_the_partitions_of_their_keys() {
    for (partitioner, of_librdkafka) in [("murmur2", "murmur2"), ("crc32", "consistent"), ("fnv1a", "fnv1a")] {
        let topic = format!("writing.{partitioner}");
        create(&topic, 5).await;
        let engine = Engine::new(&format!(
            "{WRITABLE}[tables.t]\ntopic = \"{topic}\"\npartitioner = \"{partitioner}\"\npartitions = 5\n\
             key = {{ columns = {{ who = \"varchar\" }} }}\n\
             value = {{ columns = {{ n = \"bigint\", s = \"varchar\" }} }}"
        ));
        let sql = "SELECT 'user-' || value, value, CASE WHEN value % 3 > 0 THEN 'x' END FROM generate_series(1, 200)";
        assert_eq!(insert(&engine, "t", &["who", "n", "s"], sql).await, Ok(200));
        assert_eq!(
            engine.rows("SELECT count(*), sum(n), count(s), count(DISTINCT who) FROM t").await,
            ["200|20100|134|200"]
        );
        assert_eq!(
            engine.rows("SELECT _message FROM t WHERE n IN (3, 4)").await,
            ["{\"n\":3,\"s\":null}", "{\"n\":4,\"s\":\"x\"}"]
        );
        // What is looked for by its key is looked for in one partition.
        for n in [1, 77, 200] {
            assert_eq!(engine.rows(&format!("SELECT n FROM t WHERE who = 'user-{n}'")).await, [n.to_string()]);
            assert_eq!(engine.planned().units[0].kept, 1);
        }
        // The partitions are those that another producer chooses by the same rule.
        let other = format!("writing.{partitioner}.other");
        create(&other, 5).await;
        let keys = (1..=200).map(|n| Sent { key: Some(format!("user-{n}").into_bytes()), ..Sent::default().to(-1) });
        send(&producer(&[("partitioner", of_librdkafka)]), &other, &keys.collect::<Vec<_>>());
        let places = |topic: &str| format!("SELECT _partition_id, _key FROM \"{topic}\"");
        let all = Engine::new("");
        assert_eq!(all.rows(&places(&topic)).await, all.rows(&places(&other)).await);
    }
}

#[tokio::test]
async fn tombstones_empty_messages_headers_and_times() {
    create("writing.parts", 1).await;
    let engine = Engine::new(&format!(
        "{WRITABLE}[tables.t]\ntopic = \"writing.parts\"\nvalue = {{ format = \"text\", columns = {{ line = \"varchar\" }} }}"
    ));
    let at = an_hour_ago();
    insert(
        &engine,
        "t",
        &["_key", "line"],
        "SELECT * FROM (VALUES ('a', 'x'), ('b', ''), ('c', NULL), ('', 'y'), (NULL, 'z'))",
    )
    .await
    .unwrap();
    insert(&engine, "t", &["_key"], "SELECT 'd'").await.unwrap();
    insert(&engine, "t", &["_message"], "SELECT 'whole' UNION ALL SELECT CAST(NULL AS varchar)").await.unwrap();
    let headers = "[named_struct('key', 'a', 'value', CAST('1' AS bytea)), named_struct('key', 'a', 'value', CAST(NULL AS bytea))]";
    insert(&engine, "t", &["line", "_timestamp", "_headers"], &format!("SELECT 'told', {at}, {headers}"))
        .await
        .unwrap();
    assert_eq!(
        engine.rows("SELECT _key, _key_length, _message, _message_length FROM t").await,
        [
            "NULL|NULL|NULL|NULL",
            "NULL|NULL|told|4",
            "NULL|NULL|whole|5",
            "NULL|NULL|z|1",
            "a|1|x|1",
            "b|1||0",
            "c|1|NULL|NULL",
            "d|1|NULL|NULL",
            "|0|y|1"
        ]
    );
    assert_eq!(
        engine.rows("SELECT _headers, arrow_cast(_timestamp, 'Int64') FROM t WHERE line = 'told'").await,
        [format!("[{{key: a, value: 31}}, {{key: a, value: NULL}}]|{at}")]
    );
    let recent =
        format!("SELECT count(*) FROM t WHERE arrow_cast(_timestamp, 'Int64') > {at} AND array_length(_headers) = 0");
    assert_eq!(engine.rows(&recent).await, ["8"]);
}

#[tokio::test]
async fn each_format_is_read_back() {
    let registry = SchemaRegistry::start().unwrap();
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"long"},{"name":"name","type":["null","string"],"default":null}]}"#;
    registry.register("writing.avro-value", &format!("\"schema\":{}", serde_json::Value::from(schema)));
    let columns = "columns = { id = \"bigint\", name = \"varchar\" }";
    let id_key = "key = { format = \"raw\", columns = { k = \"bigint\" }, positions = { k = \"0:8\" } }";
    for (format, value) in [
        ("csv", format!("value = {{ format = \"csv\", {columns} }}")),
        ("raw", format!("value = {{ format = \"raw\", {columns}, positions = {{ id = \"0:8\", name = \"8:\" }} }}")),
        ("json", format!("value = {{ {columns} }}")),
        ("avro", "value = { format = \"avro\" }".to_owned()),
    ] {
        let topic = format!("writing.{format}");
        create(&topic, 3).await;
        let engine = Engine::new(&format!(
            "{WRITABLE}schema_registry = {{ url = \"{}\" }}\n[tables.t]\ntopic = \"{topic}\"\n{id_key}\n{value}",
            registry.url()
        ));
        let sql = "SELECT value, value * 2, 'n,' || value FROM generate_series(1, 50)";
        assert_eq!(insert(&engine, "t", &["k", "id", "name"], sql).await, Ok(50), "{format}");
        assert_eq!(
            engine.rows("SELECT k, id, name, _message_length FROM t WHERE k = 7").await,
            [format!(
                "7|14|n,7|{}",
                match format {
                    "csv" => 8,
                    "raw" => 11,
                    "json" => 22,
                    _ => 5 + 1 + 1 + 1 + 3,
                }
            )],
            "{format}"
        );
        assert_eq!(engine.rows("SELECT sum(k), sum(id), count(DISTINCT _partition_id) FROM t").await, ["1275|2550|3"]);
    }
}

#[tokio::test]
async fn a_row_that_does_not_fit_leaves_none() {
    create("writing.unfit", 2).await;
    let engine = Engine::new(&format!(
        "{WRITABLE}max_message_bytes = 2048\n[tables.t]\ntopic = \"writing.unfit\"\nvalue = {{ columns = {{ x = \"double\", s = \"varchar\" }} }}"
    ));
    let many = "SELECT CASE WHEN value = 30000 THEN CAST('NaN' AS double) ELSE value END, repeat('x', 1000) FROM generate_series(1, 30000)";
    let error = insert(&engine, "t", &["x", "s"], many).await.unwrap_err();
    assert_eq!(
        error,
        "catalog events, table default.t: row 30000 cannot be written: column x: NaN is no number that can be written"
    );
    let error = insert(&engine, "t", &["x", "s"], "SELECT 1, repeat('x', 3000)").await.unwrap_err();
    assert!(
        error.contains("row 1 makes a message of 3") && error.contains("the limit is 2048\nHint: raise"),
        "{error}"
    );
    let error = insert(&engine, "t", &["_message"], "SELECT '{\"x\":'").await.unwrap_err();
    assert!(error.contains("row 1 cannot be written"), "{error}");
    // What was sent of the first statement is aborted, and stands in nobody's way.
    assert_eq!(insert(&engine, "t", &["x"], "SELECT 1.5").await, Ok(1));
    assert_eq!(engine.rows("SELECT x, s FROM t").await, ["1.5|NULL"]);
    let all = Engine::new("isolation = \"read_uncommitted\"");
    assert!(all.count("SELECT count(*) FROM \"writing.unfit\"").await > 10_000, "the transaction was open");
}

#[tokio::test]
async fn a_writer_that_is_dropped_leaves_nothing() {
    create("writing.dropped", 1).await;
    let engine = Engine::new(&format!(
        "{WRITABLE}[tables.t]\ntopic = \"writing.dropped\"\nvalue = {{ columns = {{ s = \"varchar\" }} }}"
    ));
    let (indexes, batches) =
        rows_for(&engine, "t", &["s"], "SELECT repeat('x', 1000) FROM generate_series(1, 20000)").await;
    let Begun::Writer(mut writer) = begin(&engine, "t", &indexes, None).await.unwrap() else { panic!() };
    for batch in batches {
        writer.write(batch).await.unwrap();
    }
    drop(writer);
    let all = Engine::new("isolation = \"read_uncommitted\"");
    assert!(all.count("SELECT count(*) FROM \"writing.dropped\"").await > 0, "the transaction was open");
    assert_eq!(insert(&engine, "t", &["s"], "SELECT 'y'").await, Ok(1));
    let started = Instant::now();
    while engine.rows("SELECT s FROM t").await != ["y"] {
        assert!(started.elapsed() < Duration::from_secs(10), "the transaction is still open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn without_transactions_messages_are_held_until_the_end() {
    create("writing.plain", 2).await;
    let engine = Engine::new(&format!(
        "{WRITABLE}write_transactions = \"none\"\n[tables.t]\ntopic = \"writing.plain\"\nvalue = {{ columns = {{ n = \"int\", s = \"varchar\" }} }}"
    ));
    assert_eq!(insert(&engine, "t", &["n"], "SELECT value FROM generate_series(1, 100)").await, Ok(100));
    let error =
        insert(&engine, "t", &["s"], "SELECT repeat('x', 1000) FROM generate_series(1, 20000)").await.unwrap_err();
    assert!(error.contains("more than 16777216 bytes, which are held without transactions"), "{error}");
    let error =
        insert(&engine, "t", &["_message"], "SELECT * FROM (VALUES ('{\"n\":1}'), ('{\"n\":'))").await.unwrap_err();
    assert!(error.contains("row 2 cannot be written"), "{error}");
    // No offset is taken by a transaction's end.
    assert_eq!(engine.rows("SELECT count(*), sum(n) FROM t").await, ["100|5050"]);
    assert_eq!(engine.planned().rows, Some(100));
}

#[tokio::test]
async fn a_topic_that_is_missing_is_told_and_not_made() {
    let missing =
        "access = \"read_write\"\n[tables.t]\ntopic = \"writing.missing\"\nvalue = { columns = { n = \"int\" } }";
    let missing = Engine::new(missing);
    let error = insert(&missing, "t", &["n"], "SELECT 1").await.unwrap_err();
    assert!(error.contains("there is no topic writing.missing"), "{error}");
    assert_eq!(insert(&missing, "t", &["n"], "SELECT 1").await.unwrap_err(), error);
}

#[tokio::test]
async fn a_broker_that_is_down_is_told_within_the_limit() {
    let silent = "brokers = \"127.0.0.1:1\"\nmetadata_timeout_ms = 1000\naccess = \"read_write\"\n[tables.t]\nvalue = { columns = { n = \"int\" } }";
    let engine = Engine::on(connector("events", silent).unwrap(), "events", true);
    let started = Instant::now();
    let index = engine.table("t").await.column("n").unwrap().0;
    let error = begin(&engine, "t", &[index], None).await.unwrap_err().to_string();
    assert!(error.contains("cannot reach a Kafka broker at 127.0.0.1:1"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_with_a_reason() {
    create("writing.refused", 1).await;
    let engine = Engine::new(&format!(
        "{WRITABLE}[tables.t]\ntopic = \"writing.refused\"\nvalue = {{ columns = {{ a = \"int\", b = \"int\" }} }}\n\
         [tables.events]\ntopic = \"writing.refused\"\nvalue = {{ columns = {{ a = \"int\" }}, envelope = \"debezium\" }}\n\
         [tables.raw]\ntopic = \"writing.refused\"\nvalue = {{ format = \"raw\", columns = {{ a = \"int\", b = \"int\" }}, positions = {{ a = \"0:4\", b = \"4:8\" }} }}"
    ));
    for (table, columns, sql, part) in [
        (
            "t",
            &["a", "_message"][..],
            "SELECT 1, 'x'",
            "the value cannot be made of column a: its whole is written by the same statement\nHint: _message takes",
        ),
        ("events", &["a"], "SELECT 1", "change events of Debezium are not written"),
        ("raw", &["a"], "SELECT 1", "the format raw has no NULL, and column b gets no value"),
        (
            "raw",
            &["a", "b"],
            "SELECT 1, CAST(NULL AS int)",
            "row 1 cannot be written: column b: the format raw has no NULL",
        ),
        ("t", &["a", "_timestamp"], "SELECT 1, 0", "_timestamp is not after 1970-01-01"),
        ("t$errors", &["_message"], "SELECT 'x'", "this table is no topic's own"),
    ] {
        let error = insert(&engine, table, columns, sql).await.unwrap_err();
        assert!(error.contains(part), "{table}: {error}");
    }
    let writable = engine.connector().writable().unwrap();
    let table = engine.table("t").await;
    let error = writable.insert(&table, &[0], InsertMode::Overwrite, context(None)).await.unwrap_err();
    assert!(error.to_string().contains("INSERT OVERWRITE replaces partitions"), "{error}");
    let name = TableName::new("events", "default", "made");
    let made = NewTable {
        name: name.clone(),
        columns: table.schema(),
        on_existing: OnExisting::Fail,
        properties: std::collections::BTreeMap::new(),
    };
    for error in [
        writable.create_table(made, context(None)).await.unwrap_err(),
        writable.drop_table(&name).await.unwrap_err(),
        writable.create_schema("s").await.unwrap_err(),
        writable.drop_schema("default", true).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("neither make nor remove them\nHint: make the topic with"), "{error}");
    }
    assert!(writable.refuses_row_changes().unwrap().to_string().contains("write a newer one"));
    assert_eq!(engine.count("SELECT count(*) FROM t").await, 0);
    let reading = Engine::on(connector("events", &format!("brokers = \"{}\"", bootstrap())).unwrap(), "events", true);
    assert!(reading.connector().writable().is_none());
    assert!(reading.connector().how_to_write().unwrap().contains("read_write"));
}

#[tokio::test]
async fn a_broker_that_dies_before_the_commit_ends_the_statement_within_its_limit() {
    let broker = KafkaBroker::start().unwrap();
    create_at(&broker.bootstrap(), "writing.dying", 1).await;
    let entry = format!(
        "brokers = \"{}\"\nmetadata_timeout_ms = 1000\nwrite_timeout_ms = 2000\naccess = \"read_write\"\n\
         [tables.t]\ntopic = \"writing.dying\"\nvalue = {{ columns = {{ s = \"varchar\" }} }}",
        broker.bootstrap()
    );
    let engine = Engine::on(connector("events", &entry).unwrap(), "events", true);
    // One writer has sent some of its rows, the other one none.
    let sql = "SELECT repeat('x', 1000) FROM generate_series(1, 20000)";
    let (indexes, batches) = rows_for(&engine, "t", &["s"], sql).await;
    let mut writers = Vec::new();
    for take in [batches.len(), 1] {
        let Begun::Writer(mut writer) = begin(&engine, "t", &indexes, None).await.unwrap() else { panic!() };
        for batch in &batches[..take] {
            writer.write(batch.clone()).await.unwrap();
        }
        writers.push(writer);
    }
    broker.stop().unwrap();
    for writer in writers {
        let started = Instant::now();
        let error = writer.commit().await.unwrap_err().to_string();
        assert!(error.contains("Kafka"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}: {error}", started.elapsed());
    }
}

#[tokio::test]
async fn without_transactions_a_failure_tells_of_messages_that_nothing_was_answered_of() {
    create_at(&stand_in(), "writing.doubt", 1).await;
    let proxy = Proxy::before(&stand_in());
    let entry = format!(
        "brokers = \"{}\"\nwrite_timeout_ms = 3000\naccess = \"read_write\"\nwrite_transactions = \"none\"\n\
         [tables.t]\ntopic = \"writing.doubt\"\nvalue = {{ columns = {{ n = \"bigint\" }} }}",
        proxy.bootstrap()
    );
    let engine = Engine::on(connector("events", &entry).unwrap(), "events", true);
    let write = async |sql: &str| {
        let (indexes, batches) = rows_for(&engine, "t", &["n"], sql).await;
        let Begun::Writer(mut writer) = begin(&engine, "t", &indexes, None).await.unwrap() else { panic!() };
        for batch in batches {
            writer.write(batch).await.unwrap();
        }
        writer
    };
    // The producer of the first statement is connected, and writes the second one.
    assert_eq!(write("SELECT * FROM generate_series(1, 3)").await.commit().await.unwrap(), 3);
    let writer = write("SELECT * FROM generate_series(1, 5)").await;
    // The broker gets messages, and its answer comes too late.
    proxy.late(Duration::from_secs(20));
    let error = writer.commit().await.unwrap_err().to_string();
    assert!(error.contains("up to 5 messages of the statement may be in the topic"), "{error}");
    proxy.late(Duration::ZERO);
    let there = Engine::on(connector("events", &format!("brokers = \"{}\"", stand_in())).unwrap(), "events", true);
    assert_eq!(there.count("SELECT count(*) FROM \"writing.doubt\"").await, 8, "all of them are");
}
