//! Listings, columns, definitions.

use portolan_connector::Verdict;

use super::engine::Engine;
use super::topics::{Sent, create, produce};

#[tokio::test]
async fn topics_are_tables_and_kafkas_own_are_not() {
    create("meta.clicks", 1).await;
    create("meta.orders", 1).await;
    create("__consumer_offsets_like", 1).await;
    let engine = Engine::new(
        "[tables.clicks]\ntopic = \"meta.clicks\"\n[tables.missing]\nvalue = { columns = { a = \"int\" } }",
    );
    let connector = engine.connector();
    assert_eq!(connector.list_schemas().await.unwrap(), ["default"]);
    let names: Vec<String> =
        connector.list_tables("default").await.unwrap().into_iter().map(|entry| entry.name).collect();
    for name in ["clicks", "meta.orders", "missing", "__consumer_offsets_like"] {
        assert!(names.iter().any(|found| found == name), "{name} is not among {names:?}");
    }
    for name in ["meta.clicks", "__consumer_offsets", "__transaction_state"] {
        assert!(!names.iter().any(|found| found == name), "{name} is among {names:?}");
    }
    assert!(names.is_sorted());
    assert!(connector.list_tables("other").await.unwrap().is_empty());
    for name in ["nope", "a b", "a\0b", "", &"x".repeat(300)] {
        assert!(connector.table("default", name).await.unwrap().is_none(), "{name}");
    }
    let again = connector.list_tables("default").await.unwrap();
    assert!(again.iter().all(|entry| entry.name != "nope"), "asking for a topic made it");
    assert!(connector.table("other", "clicks").await.unwrap().is_none());
    assert!(connector.table("default", "__consumer_offsets").await.unwrap().is_none());
    // A declared table is there whether its topic is or not; reading it says what is wrong.
    let error = engine.error("SELECT a FROM missing").await;
    assert!(error.contains("catalog events, table default.missing: there is no topic missing"), "{error}");
}

#[tokio::test]
async fn another_name_of_the_schema() {
    create("meta.schema", 1).await;
    let engine = Engine::new("schema = \"kafka\"");
    assert_eq!(engine.connector().list_schemas().await.unwrap(), ["kafka"]);
    assert!(engine.connector().table("kafka", "meta.schema").await.unwrap().is_some());
}

#[tokio::test]
async fn hidden_columns_have_trinos_names() {
    create("meta.hidden", 1).await;
    let at = super::topics::an_hour_ago() / 1000 * 1000;
    produce("meta.hidden", &[Sent { key: Some(b"k".to_vec()), ..Sent::value("{\"a\":1}").at(at + 7) }]);
    let engine = Engine::new("");
    let table = engine.table("meta.hidden").await;
    let columns: Vec<(String, String, bool)> = table
        .columns()
        .iter()
        .map(|column| (column.name().to_owned(), column.source_type.clone(), column.hidden.is_some()))
        .collect();
    let expected = [
        ("a", "bigint", false),
        ("_partition_id", "bigint", true),
        ("_partition_offset", "bigint", true),
        ("_timestamp", "timestamp(3)", true),
        ("_timestamp_type", "varchar", true),
        ("_key", "varchar", true),
        ("_message", "varchar", true),
        ("_headers", "array(row(key varchar, value varbinary))", true),
        ("_key_length", "bigint", true),
        ("_key_corrupt", "boolean", true),
        ("_message_length", "bigint", true),
        ("_message_corrupt", "boolean", true),
        ("_cut", "varchar", true),
        ("_extra", "json", true),
    ]
    .map(|(name, source_type, hidden)| (name.to_owned(), source_type.to_owned(), hidden));
    assert_eq!(columns, expected);
    let sql =
        "SELECT _partition_id, _partition_offset, arrow_cast(_timestamp, 'Int64'), _key, _message FROM \"meta.hidden\"";
    assert_eq!(engine.rows(sql).await, [format!("0|0|{}|k|{{\"a\":1}}", at + 7)]);
    assert_eq!(
        table.definition().unwrap(),
        "[events.tables.\"meta.hidden\"]\ntopic = \"meta.hidden\"\nvalue = { format = \"json\", columns = { a = \"bigint\" } }\n\
         on_error = \"fail\"\n"
    );
}

#[tokio::test]
async fn no_message_is_decoded_for_hidden_columns() {
    create("meta.lazy", 1).await;
    produce("meta.lazy", &[Sent::value("not json")]);
    let engine = Engine::new("[tables.t]\ntopic = \"meta.lazy\"\nvalue = { columns = { a = \"int\" } }");
    assert_eq!(engine.rows("SELECT _partition_offset, _message FROM t").await, ["0|not json"]);
    assert!(engine.error("SELECT a FROM t").await.contains("does not decode"));
}

#[tokio::test]
async fn conditions_on_content_are_refused_with_the_reason() {
    use datafusion::logical_expr::{col, lit};
    create("meta.refused", 1).await;
    produce("meta.refused", &[Sent::value("{\"a\":1}")]);
    let engine = Engine::new("");
    let table = engine.table("meta.refused").await;
    let refused = Verdict::refused("Kafka cannot filter by message content");
    for condition in [
        col("a").eq(lit(1_i64)),
        col("_key").eq(lit("k")),
        col("_message").is_null(),
        col("a").gt(col("_partition_id")),
    ] {
        assert_eq!(table.judge(&condition), refused, "{condition}");
    }
    let arithmetic = (col("_partition_offset") % lit(2_i64)).eq(lit(0_i64));
    assert_eq!(
        table.judge(&arithmetic),
        Verdict::refused("Kafka takes only comparisons of partition, offset and time with constants")
    );
}

#[tokio::test]
async fn patterns_choose_topics() {
    for topic in ["pattern.web.a", "pattern.web.b", "pattern.web.b.internal", "pattern.orders"] {
        create(topic, 1).await;
    }
    let engine = Engine::new(
        "show_topics = [\"pattern.web.*\"]\nhide_topics = [\"*.internal\"]\n[tables.orders]\ntopic = \"pattern.orders\"\n\
         value = { columns = { a = \"int\" } }",
    );
    let names: Vec<String> =
        engine.connector().list_tables("default").await.unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["orders", "pattern.web.a", "pattern.web.b"]);
    assert!(engine.connector().table("default", "pattern.web.b.internal").await.unwrap().is_none());
    assert!(engine.connector().table("default", "pattern.orders").await.unwrap().is_none());
    assert_eq!(engine.count("SELECT count(*) FROM orders").await, 0, "what is declared is there all the same");
}
