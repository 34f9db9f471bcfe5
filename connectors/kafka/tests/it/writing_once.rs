//! A statement that is tried again with its write_token writes once.

use std::time::Duration;

use portolan_connector::Begun;
use rdkafka::producer::Producer;

use super::engine::Engine;
use super::topics::{create, numbers, producer, send};
use super::writing::{WRITABLE, begin, rows_for};

const LIMIT: Duration = Duration::from_secs(30);

fn engine(topic: &str, more: &str) -> Engine {
    Engine::new(&format!(
        "{WRITABLE}{more}\n[tables.t]\ntopic = \"{topic}\"\nvalue = {{ columns = {{ n = \"bigint\" }} }}"
    ))
}

/// Writes the numbers up to `count`; whether it was done before, and how many rows it is said to be.
async fn write(engine: &Engine, count: i64, token: (&str, &str)) -> Result<(bool, u64), String> {
    let sql = format!("SELECT 'k' || value, value FROM generate_series(1, {count})");
    let (indexes, batches) = rows_for(engine, "t", &["_key", "n"], &sql).await;
    match begin(engine, "t", &indexes, Some(token)).await.map_err(|error| error.to_string())? {
        Begun::Already(rows) => Ok((true, rows)),
        Begun::Writer(mut writer) => {
            for batch in batches {
                writer.write(batch).await.map_err(|error| error.to_string())?;
            }
            Ok((false, writer.commit().await.map_err(|error| error.to_string())?))
        }
    }
}

#[tokio::test]
async fn a_token_is_found_by_the_next_try() {
    create("once.again", 4).await;
    let first = engine("once.again", "");
    assert_eq!(write(&first, 20, ("a", "INSERT 1")).await, Ok((false, 20)));
    // By another process as well, whatever it reads.
    let second = engine("once.again", "isolation = \"read_uncommitted\"");
    assert_eq!(write(&second, 20, ("a", "INSERT 1")).await, Ok((true, 20)));
    let error = write(&second, 20, ("a", "INSERT 2")).await.unwrap_err();
    assert!(error.contains("write_token a was used for another statement\nHint: choose another"), "{error}");
    assert_eq!(write(&second, 3, ("b", "INSERT 2")).await, Ok((false, 3)));
    assert_eq!(write(&first, 20, ("a", "INSERT 1")).await, Ok((true, 20)));
    assert_eq!(first.rows("SELECT count(*), sum(n) FROM t").await, ["23|216"]);
    // One message of each partition carries it.
    let carried = "SELECT count(*) <= 8, count(*) >= 2 FROM t WHERE array_length(_headers) = 1";
    assert_eq!(first.rows(carried).await, ["true|true"]);
    let error = write(&first, 1, ("", "INSERT 3")).await.unwrap_err();
    assert!(error.contains("a write_token has 1 to 1000 bytes"), "{error}");
}

#[tokio::test]
async fn a_token_needs_transactions() {
    create("once.plain", 2).await;
    let plain = engine("once.plain", "write_transactions = \"none\"");
    let error = write(&plain, 3, ("a", "INSERT 1")).await.unwrap_err();
    assert!(error.contains("a write_token needs transactions"), "{error}");
    assert_eq!(plain.rows("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test]
async fn of_two_tries_at_the_same_time_one_is_committed() {
    create("once.both", 2).await;
    let engine = engine("once.both", "");
    let (indexes, batches) = rows_for(&engine, "t", &["n"], "SELECT 1").await;
    let token = Some(("both", "INSERT"));
    let Begun::Writer(mut one) = begin(&engine, "t", &indexes, token).await.unwrap() else { panic!() };
    one.write(batches[0].clone()).await.unwrap();
    let Begun::Writer(mut two) = begin(&engine, "t", &indexes, token).await.unwrap() else { panic!() };
    two.write(batches[0].clone()).await.unwrap();
    let error = one.commit().await.unwrap_err().to_string();
    assert!(error.contains("another try of the statement with the same write_token took over"), "{error}");
    assert_eq!(two.commit().await.unwrap(), 1);
    assert!(matches!(begin(&engine, "t", &indexes, token).await.unwrap(), Begun::Already(1)));
    assert_eq!(engine.rows("SELECT n FROM t").await, ["1"]);
}

#[tokio::test]
async fn a_try_that_failed_is_made_again() {
    create("once.failed", 1).await;
    let engine = engine("once.failed", "isolation = \"read_uncommitted\"");
    // A transaction of the token's own that was aborted with the token in it, as when the commit failed.
    let (indexes, batches) = rows_for(&engine, "t", &["n"], "SELECT 1").await;
    let token = Some(("failed", "INSERT"));
    let Begun::Writer(mut writer) = begin(&engine, "t", &indexes, token).await.unwrap() else { panic!() };
    writer.write(batches[0].clone()).await.unwrap();
    writer.commit().await.unwrap();
    let header = engine.rows("SELECT _headers[1]['value'] FROM t").await;
    assert_eq!(header.len(), 1);
    create("once.aborted", 1).await;
    let aborted = producer(&[("transactional.id", "once.aborted")]);
    aborted.init_transactions(LIMIT).unwrap();
    aborted.begin_transaction().unwrap();
    let note = String::from_utf8(hex(&header[0])).unwrap().replace("once.failed", "once.aborted");
    let value: &'static [u8] = note.leak().as_bytes();
    let mut message = numbers(1, 2);
    message[0].headers = vec![("portolan.write_token", Some(value))];
    send(&aborted, "once.aborted", &message);
    aborted.abort_transaction(LIMIT).unwrap();
    let engine = self::engine("once.aborted", "isolation = \"read_uncommitted\"");
    let Begun::Writer(mut writer) = begin(&engine, "t", &indexes, token).await.unwrap() else {
        panic!("what was aborted was taken for written")
    };
    writer.write(batches[0].clone()).await.unwrap();
    assert_eq!(writer.commit().await.unwrap(), 1);
    // What was committed would have been taken for written.
    create("once.noted", 1).await;
    let mut message = numbers(1, 2);
    message[0].headers = vec![("portolan.write_token", Some(note_of("once.noted", value)))];
    send(&producer(&[]), "once.noted", &message);
    let noted = self::engine("once.noted", "");
    assert!(matches!(begin(&noted, "t", &indexes, token).await.unwrap(), Begun::Already(1)));
    // A header that was copied from another topic says nothing of this one.
    create("once.copied", 1).await;
    send(&producer(&[]), "once.copied", &message);
    let copied = self::engine("once.copied", "");
    assert!(matches!(begin(&copied, "t", &indexes, token).await.unwrap(), Begun::Writer(_)));
}

fn note_of(topic: &str, of_aborted: &[u8]) -> &'static [u8] {
    String::from_utf8(of_aborted.to_vec()).unwrap().replace("once.aborted", topic).leak().as_bytes()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn a_token_is_looked_for_among_the_newest_messages_only() {
    create("once.window", 1).await;
    let engine = engine("once.window", "write_token_messages = 5");
    assert_eq!(write(&engine, 2, ("old", "INSERT")).await, Ok((false, 2)));
    assert_eq!(write(&engine, 2, ("old", "INSERT")).await, Ok((true, 2)));
    send(&producer(&[]), "once.window", &numbers(0, 10));
    assert_eq!(write(&engine, 2, ("old", "INSERT")).await, Ok((false, 2)), "beyond the bound that is stated");
}

#[tokio::test]
async fn an_open_transaction_of_another_keeps_a_token_from_being_told() {
    create("once.open", 1).await;
    let engine = engine("once.open", "");
    assert_eq!(write(&engine, 1, ("t", "INSERT")).await, Ok((false, 1)));
    let open = producer(&[("transactional.id", "once.open.other")]);
    open.init_transactions(LIMIT).unwrap();
    open.begin_transaction().unwrap();
    send(&open, "once.open", &numbers(0, 1));
    let error = write(&engine, 1, ("t", "INSERT")).await.unwrap_err();
    assert!(error.contains("another transaction on topic once.open, partition 0 is open"), "{error}");
    open.commit_transaction(LIMIT).unwrap();
    assert_eq!(write(&engine, 1, ("t", "INSERT")).await, Ok((true, 1)));
}
