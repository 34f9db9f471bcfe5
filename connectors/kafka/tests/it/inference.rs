//! Columns that nobody declared.

use super::engine::Engine;
use super::topics::{Sent, create, numbers, produce};

async fn columns(engine: &Engine, table: &str) -> Vec<(String, String)> {
    let table = engine.table(table).await;
    let visible = table.columns().iter().filter(|column| column.hidden.is_none());
    visible.map(|column| (column.name().to_owned(), column.source_type.clone())).collect()
}

#[tokio::test]
async fn columns_come_from_the_newest_messages() {
    create("infer.basic", 2).await;
    produce(
        "infer.basic",
        &[
            Sent::value(r#"{"id":1,"price":2,"tags":["a"],"who":{"name":"x"}}"#),
            Sent::value(r#"{"id":2,"price":2.5,"ok":true}"#).to(1),
            Sent::value("garbage").to(1),
            Sent::default().to(1),
        ],
    );
    let engine = Engine::new("");
    let expected: Vec<(String, String)> =
        [("id", "bigint"), ("price", "double"), ("tags", "json"), ("who", "json"), ("ok", "boolean")]
            .map(|(name, source_type)| (name.to_owned(), source_type.to_owned()))
            .into();
    assert_eq!(columns(&engine, "infer.basic").await, expected);
    let table = engine.table("infer.basic").await;
    assert_eq!(table.columns().first().unwrap().comment.as_deref(), Some("inferred from 2 messages"));
    // Other fields in later messages do not change what was inferred a moment ago.
    produce("infer.basic", &[Sent::value(r#"{"new":1}"#)]);
    assert_eq!(columns(&engine, "infer.basic").await, expected);
    assert_eq!(columns(&Engine::new(""), "infer.basic").await.len(), 6);
    let rows = Engine::new("on_error = \"null\"").rows("SELECT id, price, tags, who, ok FROM \"infer.basic\"").await;
    assert_eq!(
        rows,
        [
            "1|2.0|[\"a\"]|{\"name\":\"x\"}|NULL",
            "2|2.5|NULL|NULL|true",
            "NULL|NULL|NULL|NULL|NULL",
            "NULL|NULL|NULL|NULL|NULL",
            "NULL|NULL|NULL|NULL|NULL",
        ]
    );
}

#[tokio::test]
async fn numbers_lose_no_digit_beside_fractions() {
    create("infer.digits", 1).await;
    produce(
        "infer.digits",
        &[
            Sent::value(r#"{"id":9007199254740993,"price":1.5,"huge":1e-30}"#),
            Sent::value(r#"{"id":1.5,"price":9007199254740992,"huge":9007199254740993}"#),
        ],
    );
    let engine = Engine::new("");
    let expected = [("id", "decimal(38,1)"), ("price", "double"), ("huge", "varchar")];
    let expected = expected.map(|(name, source_type)| (name.to_owned(), source_type.to_owned()));
    assert_eq!(columns(&engine, "infer.digits").await, expected);
    assert_eq!(
        engine.rows("SELECT id, price, huge FROM \"infer.digits\"").await,
        ["1.5|9007199254740992.0|9007199254740993", "9007199254740993.0|1.5|1e-30"]
    );
}

#[tokio::test]
async fn only_so_many_messages_are_looked_at() {
    create("infer.newest", 1).await;
    produce("infer.newest", &[Sent::value(r#"{"old":1}"#)]);
    produce("infer.newest", &numbers(0, 10));
    let all = Engine::new("");
    assert_eq!(columns(&all, "infer.newest").await.len(), 2);
    let newest = Engine::new("sample_messages = 10");
    assert_eq!(columns(&newest, "infer.newest").await, [("n".to_owned(), "bigint".to_owned())]);
    let none = Engine::new("sample_messages = 0");
    assert!(columns(&none, "infer.newest").await.is_empty());
    assert_eq!(none.count("SELECT count(*) FROM \"infer.newest\"").await, 11);
}

#[tokio::test]
async fn an_empty_topic_gets_its_columns_with_its_first_message() {
    create("infer.empty", 1).await;
    let engine = Engine::new("");
    assert!(columns(&engine, "infer.empty").await.is_empty());
    produce("infer.empty", &numbers(0, 1));
    assert_eq!(columns(&engine, "infer.empty").await.len(), 1);
}

#[tokio::test]
async fn an_older_message_that_does_not_fit_is_an_error_and_not_a_guess() {
    create("infer.older", 1).await;
    produce("infer.older", &[Sent::value(r#"{"n":1.5}"#)]);
    produce("infer.older", &numbers(0, 5));
    let engine = Engine::new("sample_messages = 5");
    let error = engine.error("SELECT n FROM \"infer.older\"").await;
    assert!(error.contains("offset 0 does not decode: field n: 1.5 is not a whole number"), "{error}");
}
