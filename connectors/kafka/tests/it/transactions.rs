//! Transactions: what is aborted or unfinished is not there, and control records end no scan early or late.

use std::time::{Duration, Instant};

use rdkafka::producer::Producer;

use super::engine::Engine;
use super::topics::{create, numbers, producer, send};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn aborted_messages_are_invisible_and_the_scan_ends_past_control_records() {
    create("tx.aborted", 1).await;
    let transactional = producer(&[("transactional.id", "tx.aborted"), ("transaction.timeout.ms", "60000")]);
    transactional.init_transactions(LIMIT).unwrap();
    for (from, to, commits) in [(0, 3, true), (3, 5, false), (5, 8, true), (8, 12, false)] {
        transactional.begin_transaction().unwrap();
        send(&transactional, "tx.aborted", &numbers(from, to));
        if commits {
            transactional.commit_transaction(LIMIT).unwrap();
        } else {
            transactional.abort_transaction(LIMIT).unwrap();
        }
    }
    let engine = Engine::new("");
    // 12 messages and one control record for each transaction; the last 5 offsets hold nothing to see. Twice, because
    // the second read uses the first one's client.
    for _ in 0..2 {
        let started = Instant::now();
        assert_eq!(engine.rows("SELECT n FROM \"tx.aborted\"").await, ["0", "1", "2", "5", "6", "7"]);
        assert!(started.elapsed() < Duration::from_secs(5), "the scan waited for offsets that hold no message");
        assert_eq!(engine.planned().snapshot, "tx.aborted 0:16");
    }
    // A range of nothing but an aborted transaction and its control record.
    assert!(engine.rows("SELECT n FROM \"tx.aborted\" WHERE _partition_offset >= 11").await.is_empty());
    assert!(engine.rows("SELECT n FROM \"tx.aborted\" WHERE _partition_offset = 3").await.is_empty());
    let engine = Engine::new("isolation = \"read_uncommitted\"");
    let all: Vec<String> = engine.rows("SELECT count(*), count(DISTINCT n) FROM \"tx.aborted\"").await;
    assert_eq!(all, ["12|12"]);
    assert_eq!(engine.planned().request, "tx.aborted, read_uncommitted, offsets 0:0..16");
}

#[tokio::test]
async fn an_open_transaction_ends_the_read_before_it() {
    create("tx.open", 1).await;
    let plain = producer(&[]);
    send(&plain, "tx.open", &numbers(0, 1));
    let transactional = producer(&[("transactional.id", "tx.open"), ("transaction.timeout.ms", "60000")]);
    transactional.init_transactions(LIMIT).unwrap();
    transactional.begin_transaction().unwrap();
    send(&transactional, "tx.open", &numbers(1, 2));
    send(&plain, "tx.open", &numbers(2, 3));
    let (committed, all) = (Engine::new(""), Engine::new("isolation = \"read_uncommitted\""));
    assert_eq!(committed.rows("SELECT n FROM \"tx.open\"").await, ["0"]);
    assert_eq!(committed.planned().snapshot, "tx.open 0:1", "the last stable offset");
    assert_eq!(all.rows("SELECT n FROM \"tx.open\"").await, ["0", "1", "2"]);
    transactional.commit_transaction(LIMIT).unwrap();
    assert_eq!(committed.rows("SELECT n FROM \"tx.open\"").await, ["0", "1", "2"]);
}
