//! The walk over the declared rules, and what holds for every connector.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use portolan_connector::Domain;
use portolan_connector::testkit::{Subject, Walk, check_contract};

use super::engine::Engine;
use super::topics::{Sent, an_hour_ago, create, produce};

async fn subject(topic: &str) -> (Subject, i64) {
    create(topic, 2).await;
    let base = an_hour_ago();
    let mut messages = Vec::new();
    for (offset, time) in [0, 10, 7, 20, 30, 27].into_iter().enumerate() {
        for partition in 0..2 {
            // The producer chooses the partitions of keys.
            let mut message = Sent::value(format!(
                "{{\"n\":{offset},\"s\":\"x{partition}\",\"at\":{}}}",
                base + time - partition * 4
            ))
            .to(-1)
            .at(base + time);
            message.key = (offset != 2).then(|| format!("k{offset}{partition}").into_bytes());
            message.headers = vec![("h", Some(b"1")), ("h", None)];
            messages.push(message);
        }
    }
    messages.push(Sent { key: Some(b"gone".to_vec()), ..Sent::default().to(-1).at(base + 28) });
    produce(topic, &messages);
    let engine = Engine::new(&format!(
        "[tables.t]\ntopic = \"{topic}\"\nmax_out_of_orderness_ms = 3\npartitioner = \"crc32\"\npartitions = 2\n\
         event_time = \"at\"\nmax_lateness_ms = 4\n\
         value = {{ columns = {{ n = \"bigint\", s = \"varchar\", at = \"timestamp(3)\" }} }}"
    ));
    (Subject::new(Arc::clone(engine.connector()), engine.table("t").await), base)
}

#[tokio::test]
async fn the_contract_holds() {
    let (subject, _) = subject("contract.basic").await;
    check_contract(&subject).await.unwrap().assert_clean();
}

#[tokio::test]
async fn no_rule_can_be_broken() {
    let (subject, base) = subject("contract.walk").await;
    let report = Walk::new(subject)
        .probe(Domain("_partition_id"), ["_partition_id"], [0_i64, 1, -1].map(ScalarValue::from))
        .probe(Domain("_partition_offset"), ["_partition_offset"], [0_i64, 3, i64::MAX].map(ScalarValue::from))
        .probe(
            Domain("_timestamp"),
            ["_timestamp"],
            [0, base + 7, base + 20, base + 31].map(|millis| ScalarValue::TimestampMillisecond(Some(millis), None)),
        )
        .probe(
            Domain("event time"),
            ["at"],
            [0, base - 4, base + 7, base + 16, base + 20, base + 31]
                .map(|millis| ScalarValue::TimestampMillisecond(Some(millis), None)),
        )
        .probe(Domain("message content"), ["n", "s", "_message"], ["0", "x1"].map(ScalarValue::from))
        .probe(Domain("_key"), ["_key"], ["", "k30", "k31", "gone", "none"].map(ScalarValue::from))
        .run()
        .await
        .unwrap();
    report.assert_clean();
}
