//! What is told when something is wrong.

use std::time::{Duration, Instant};

use futures::StreamExt;
use portolan_servers::KafkaBroker;

use super::engine::{Engine, cause, connector};
use super::refusing;
use super::topics::{Sent, create, create_at, delete, delete_before, numbers, produce, produce_at, stand_in};

#[tokio::test]
async fn a_broker_that_is_not_there() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let brokers = format!("brokers = \"127.0.0.1:{port}\"\n");
    let declared = format!("{brokers}[tables.t]\nvalue = {{ columns = {{ a = \"int\" }} }}");
    let started = Instant::now();
    let dead = connector("events", &declared).unwrap();
    assert!(started.elapsed() < Duration::from_millis(500), "making a catalog does not wait for its broker");
    let engine = Engine::on(dead, "events", true);
    let error = cause(&engine.try_sql("SELECT a FROM t").await.unwrap_err());
    assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
    assert!(
        error.contains(&format!("catalog events, table default.t: cannot reach a Kafka broker at 127.0.0.1:{port}")),
        "{error}"
    );
    assert!(error.contains("Connection refused") && error.contains("Hint: check that the broker runs"), "{error}");
    let error = engine.connector().list_tables("default").await.unwrap_err().to_string();
    assert!(error.starts_with("catalog events: cannot reach"), "{error}");
}

#[tokio::test]
async fn an_address_where_nobody_answers() {
    // A port that takes connections and never says anything.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = format!("brokers = \"{}\"\nmetadata_timeout_ms = 2000", silent.local_addr().unwrap());
    let engine = Engine::on(connector("events", &settings).unwrap(), "events", true);
    let started = Instant::now();
    let error = engine.connector().list_tables("default").await.unwrap_err().to_string();
    assert!(started.elapsed() < Duration::from_secs(6), "took {:?}", started.elapsed());
    assert!(error.contains("Kafka"), "{error}");
}

#[tokio::test]
async fn a_topic_that_is_deleted_between_planning_and_reading() {
    create("fail.deleted", 1).await;
    produce("fail.deleted", &numbers(0, 10));
    let engine = Engine::new("idle_timeout_ms = 5000");
    let mut stream = engine.stream_after(delete("fail.deleted"), "SELECT n FROM \"fail.deleted\"").await.unwrap();
    let started = Instant::now();
    let error = cause(&stream.next().await.unwrap().unwrap_err());
    assert!(error.contains("fail.deleted"), "{error}");
    assert!(
        error.contains("catalog events, table default.\"fail.deleted\"")
            || error.contains("table default.fail.deleted"),
        "{error}"
    );
    assert!(stream.next().await.is_none(), "nothing follows an error");
    assert!(started.elapsed() < Duration::from_secs(15), "took {:?}", started.elapsed());
}

#[tokio::test]
async fn offsets_deleted_between_planning_and_reading_are_named() {
    create("fail.truncated", 1).await;
    produce("fail.truncated", &numbers(0, 100));
    let engine = Engine::new("");
    let deleted = delete_before("fail.truncated", 0, 55);
    let mut stream = engine.stream_after(deleted, "SELECT n FROM \"fail.truncated\"").await.unwrap();
    let error = cause(&stream.next().await.unwrap().unwrap_err());
    let expected = "offsets 0..100 of topic fail.truncated, partition 0 were deleted while the query ran; the first one kept is 55";
    assert!(error.contains(expected), "{error}");
}

#[tokio::test]
async fn a_topic_made_anew_while_the_query_runs() {
    create("fail.anew", 1).await;
    produce("fail.anew", &numbers(0, 100));
    let engine = Engine::new("idle_timeout_ms = 5000");
    let anew = async {
        delete("fail.anew").await;
        create("fail.anew", 1).await;
        produce("fail.anew", &numbers(0, 60));
    };
    let sql = "SELECT n FROM \"fail.anew\" WHERE _partition_offset >= 50";
    let mut stream = engine.stream_after(anew, sql).await.unwrap();
    let mut rows = 0;
    let error = loop {
        match stream.next().await.unwrap() {
            Ok(batch) => rows += batch.num_rows(),
            Err(error) => break cause(&error),
        }
    };
    assert!(
        error.contains("topic fail.anew, partition 0 ends at offset 60 and ended at 100"),
        "{error} after {rows} rows"
    );
}

#[tokio::test]
async fn a_broker_that_dies_in_the_middle() {
    let broker = KafkaBroker::start().unwrap();
    create_at(&broker.bootstrap(), "fail.dies", 2).await;
    let messages: Vec<Sent> = (0..40_000).map(|n| Sent::value(format!("{{\"n\":{n}}}")).to(n % 2)).collect();
    produce_at(&broker.bootstrap(), "fail.dies", &messages);
    let settings = format!(
        "brokers = \"{}\"\nconnect_timeout_ms = 1000\n[tables.t]\ntopic = \"fail.dies\"\nvalue = {{ columns = {{ n = \"bigint\" }} }}",
        broker.bootstrap()
    );
    let engine = Engine::on(connector("events", &settings).unwrap(), "events", true);
    assert_eq!(engine.count("SELECT count(n) FROM t").await, 40_000);
    let stopped = async { broker.stop().unwrap() };
    let stream = engine.stream_after(stopped, "SELECT n FROM t").await.unwrap();
    let started = Instant::now();
    let outcome: Vec<_> = stream.collect().await;
    let error = cause(outcome.last().unwrap().as_ref().unwrap_err());
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
    assert!(error.contains("cannot reach a Kafka broker at 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn a_login_that_the_broker_refuses() {
    let broker = refusing::start();
    let settings = format!(
        "brokers = \"{broker}\"\nsecurity = \"sasl_plaintext\"\nsasl = {{ username = \"me\", password = \"s3cret\" }}"
    );
    let connector = connector("events", &settings).unwrap();
    assert!(!format!("{connector:?}").contains("s3cret"));
    let started = Instant::now();
    let error = connector.list_tables("default").await.unwrap_err().to_string();
    assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
    assert!(error.starts_with("catalog events: the Kafka broker refused the login: "), "{error}");
    assert!(error.contains("no such user") && error.contains("sasl.password") && !error.contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_login_that_the_broker_takes() {
    // The stand-in takes any name and password.
    create_at(&stand_in(), "fail.not", 1).await;
    let settings = format!(
        "brokers = \"{}\"\nsecurity = \"sasl_plaintext\"\nsasl = {{ username = \"me\", password = \"s3cret\" }}",
        stand_in()
    );
    let engine = Engine::on(connector("events", &settings).unwrap(), "events", true);
    assert_eq!(engine.count("SELECT count(*) FROM \"fail.not\"").await, 0);
}
