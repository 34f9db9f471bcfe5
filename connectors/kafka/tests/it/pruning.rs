//! Which offsets a condition leaves, and that the answer stays the same.

use std::time::Duration;

use datafusion::common::ScalarValue;
use datafusion::prelude::{col, lit};
use portolan_connector::Verdict;

use super::engine::Engine;
use super::topics::{Sent, an_hour_ago, create, create_with, grow, numbers, produce, producer, send};

/// SQL for an instant given in milliseconds since 1970.
fn at(millis: i64) -> String {
    format!("arrow_cast({millis}, 'Timestamp(Millisecond, None)')")
}

#[tokio::test]
async fn partitions_and_offsets_are_exact() {
    create("prune.offsets", 4).await;
    let messages: Vec<Sent> = (0..400).map(|n| Sent::value(format!("{{\"n\":{n}}}")).to(n % 4)).collect();
    produce("prune.offsets", &messages);
    let (with, without) = (Engine::new(""), Engine::without_pushdown(""));
    for (condition, offsets) in [
        ("_partition_id = 1", 100),
        ("1 = _partition_id", 100),
        ("_partition_id IN (1, 3, 9)", 200),
        ("_partition_id NOT IN (1, 3)", 200),
        ("_partition_id <> 2", 300),
        ("_partition_id > 0 AND _partition_id <= 2", 200),
        ("_partition_offset BETWEEN 2 AND 10", 36),
        ("_partition_offset NOT BETWEEN 2 AND 97", 16),
        ("_partition_offset > 2 AND _partition_offset < 10", 28),
        ("10 <= _partition_offset", 360),
        ("_partition_offset IN (3, 8)", 8),
        ("_partition_offset >= 100", 0),
        ("_partition_offset = -1", 0),
        ("_partition_offset <= -1", 0),
        ("_partition_offset <> 50", 396),
        ("NOT (_partition_offset < 90 OR _partition_id = 0)", 30),
        ("(_partition_id = 1 AND _partition_offset < 5) OR (_partition_id = 2 AND _partition_offset >= 95)", 10),
        ("_partition_id IN (1, NULL)", 100),
        ("_partition_id NOT IN (1, NULL)", 0),
        ("_partition_offset IS NULL", 0),
        ("_partition_offset IS NOT NULL", 400),
        ("_partition_offset BETWEEN 10 AND 5", 0),
    ] {
        let sql = format!("SELECT n FROM \"prune.offsets\" WHERE {condition}");
        let rows = with.rows(&sql).await;
        assert_eq!(rows, without.rows(&sql).await, "{condition}");
        assert_eq!(rows.len(), offsets, "{condition}");
        let planned = with.all_planned();
        // A condition that is false for all rows may have become no scan at all.
        for planned in planned {
            assert_eq!(planned.offsets(), offsets as u64, "{condition}: {}", planned.request);
            assert!(planned.filters.iter().all(|filter| filter.verdict == Verdict::Exact), "{condition}");
        }
    }
    assert_eq!(with.count("SELECT count(*) FROM \"prune.offsets\" WHERE _partition_id = 1 AND n < 50").await, 13);
    let planned = with.planned();
    assert_eq!(planned.request, "prune.offsets, read_committed, offsets 1:0..100");
    assert_eq!(planned.remote, [Some("partitions 1".to_owned())]);
    assert_eq!(
        planned.units.iter().map(|units| (units.kind, units.total, units.kept)).collect::<Vec<_>>(),
        [("partitions", Some(4), 1), ("offsets", Some(400), 100)]
    );
    with.rows("SELECT n FROM \"prune.offsets\" WHERE _partition_offset IN (3, 8) AND _partition_id < 2").await;
    let planned = with.planned();
    assert_eq!(planned.request, "prune.offsets, read_committed, offsets 0:3..4,8..9 1:3..4,8..9");
    assert_eq!(planned.splits, 2, "near offsets of a partition are read together");
}

#[tokio::test]
async fn parts_that_kafka_does_not_know_do_not_hide_those_that_it_does() {
    create("prune.mixed", 3).await;
    let messages: Vec<Sent> = (0..30).map(|n| Sent::value(format!("{{\"n\":{n}}}")).to(n % 3)).collect();
    produce("prune.mixed", &messages);
    let (with, without) = (Engine::new(""), Engine::without_pushdown(""));
    for (condition, offsets) in [
        ("(_partition_id = 0 AND n > 10) OR (_partition_id = 1 AND n < 5)", 20),
        ("_partition_id = 0 OR n = 1", 30),
        ("NOT (_partition_id = 0 OR n = 1)", 20),
        ("_partition_offset < 5 AND n % 2 = 0", 15),
    ] {
        let sql = format!("SELECT n FROM \"prune.mixed\" WHERE {condition}");
        assert_eq!(with.rows(&sql).await, without.rows(&sql).await, "{condition}");
        assert_eq!(with.planned().offsets(), offsets, "{condition}");
    }
}

#[tokio::test]
async fn times_out_of_order_lose_no_rows() {
    create("prune.disorder", 1).await;
    let base = an_hour_ago();
    let times = [1000, 1001, 5000, 1002, 1003, 9000, 1004, 2000, 2001, 2002];
    let messages: Vec<Sent> =
        times.iter().map(|time| Sent::value(format!("{{\"t\":{time}}}")).at(base + time)).collect();
    produce("prune.disorder", &messages);
    let (with, without) = (Engine::new(""), Engine::without_pushdown(""));
    let sql = |condition: &str| format!("SELECT t FROM \"prune.disorder\" WHERE {condition}");
    // Offsets by time alone would say [2, 2) for this: messages of 5000 and 9000 come before the ones that match.
    let query = sql(&format!("_timestamp >= {} AND _timestamp < {}", at(base + 1002), at(base + 2000)));
    assert_eq!(with.rows(&query).await, ["1002", "1003", "1004"]);
    let planned = with.planned();
    assert_eq!(planned.offsets(), 8, "from the first message that is not older: {}", planned.request);
    for (condition, offsets) in [
        (format!("_timestamp > {}", at(base + 1001)), 9),
        (format!("_timestamp = {}", at(base + 1004)), 8),
        (format!("_timestamp IN ({}, {})", at(base + 2000), at(base + 9000)), 8),
        (format!("_timestamp BETWEEN {} AND {}", at(base + 5001), at(base + 9000)), 5),
        (format!("_timestamp >= {}", at(base + 9001)), 0),
        (format!("NOT (_timestamp < {})", at(base + 5001)), 5),
        (format!("_timestamp < {}", at(base + 1002)), 10),
        (format!("_timestamp < {} AND _partition_offset < 3", at(base + 1002)), 3),
        (format!("_timestamp >= {} OR _partition_offset = 0", at(base + 5001)), 6),
        (format!("_timestamp >= {} OR t = 1000", at(base + 9001)), 10),
        (format!("_timestamp >= arrow_cast({}, 'Timestamp(Nanosecond, None)')", (base + 9000) * 1_000_000 - 1), 5),
        (format!("_timestamp >= arrow_cast({}, 'Timestamp(Microsecond, Some(\"+00:00\"))')", (base + 5001) * 1000), 5),
        ("_timestamp >= TIMESTAMP '1950-01-01T00:00:00'".to_owned(), 10),
        ("_timestamp IS NOT NULL".to_owned(), 10),
    ] {
        let query = sql(&condition);
        assert_eq!(with.rows(&query).await, without.rows(&query).await, "{condition}");
        for planned in with.all_planned() {
            assert_eq!(planned.offsets(), offsets, "{condition}: {}", planned.request);
            assert!(planned.limit.is_none());
        }
    }
    for (condition, offsets) in [("_timestamp >= now() - INTERVAL '2 hours'", 10), ("_timestamp > now()", 0)] {
        with.rows(&sql(condition)).await;
        let planned = with.planned();
        assert_eq!((planned.filters.len(), planned.offsets()), (1, offsets), "{condition}: {}", planned.request);
    }
    let upper = sql(&format!("_timestamp < {}", at(base + 1002)));
    with.rows(&upper).await;
    assert!(with.planned().filters.is_empty(), "an upper bound alone is refused");
}

#[tokio::test]
async fn a_promise_of_order_makes_upper_bounds_prune() {
    create("prune.promise", 2).await;
    let base = an_hour_ago();
    // Each message is at most 3 ms older than one before it, and partition 1 is ahead by 100 ms.
    let mut messages = Vec::new();
    for step in 0..100_i64 {
        let jitter = [0, 3, 1, 2][usize::try_from(step % 4).unwrap()];
        for partition in 0..2 {
            let time = step * 4 + jitter + i64::from(partition) * 100;
            messages.push(Sent::value(format!("{{\"t\":{time}}}")).to(partition).at(base + time));
        }
    }
    produce("prune.promise", &messages);
    let table = "[tables.t]\ntopic = \"prune.promise\"\nmax_out_of_orderness_ms = 3";
    let (with, without) = (Engine::new(table), Engine::without_pushdown(table));
    for hi in [0, 1, 2, 3, 50, 51, 52, 53, 54, 120, 400, 600] {
        for (condition, inclusive) in [("<", 0), ("<=", 1)] {
            let sql = format!("SELECT t FROM t WHERE _timestamp {condition} {}", at(base + hi));
            let rows = with.rows(&sql).await;
            assert_eq!(rows, without.rows(&sql).await, "{condition} {hi}");
            let matching = messages.iter().filter(|message| message.timestamp.unwrap() < base + hi + inclusive).count();
            assert_eq!(rows.len(), matching);
            let offsets = with.planned().offsets();
            assert!(
                offsets >= matching as u64 && offsets <= matching as u64 + 2 * 4,
                "{condition} {hi}: {offsets} for {matching}"
            );
        }
        let sql = format!("SELECT t FROM t WHERE NOT (_timestamp >= {})", at(base + hi));
        assert_eq!(with.rows(&sql).await, without.rows(&sql).await);
        let sql = format!("SELECT t FROM t WHERE _timestamp NOT BETWEEN {} AND {}", at(base + hi), at(base + hi + 20));
        assert_eq!(with.rows(&sql).await, without.rows(&sql).await);
    }
}

#[tokio::test]
async fn a_key_is_looked_for_in_its_partition() {
    // librdkafka's own names of what it does.
    for (partitioner, of_producer) in
        [("murmur2", "murmur2_random"), ("crc32", "consistent_random"), ("fnv1a", "fnv1a_random")]
    {
        let topic = format!("prune.keys.{partitioner}");
        create(&topic, 7).await;
        let keyed = |n: usize| Sent {
            key: Some(format!("user-{}", n % 40).into_bytes()),
            ..Sent::value(format!("{{\"n\":{n}}}")).to(-1)
        };
        let mut messages: Vec<Sent> = (0..200).map(keyed).collect();
        messages.push(Sent { key: Some(Vec::new()), ..Sent::value("{\"n\":200}").to(-1) });
        messages.push(Sent::value("{\"n\":201}").to(-1));
        send(&producer(&[("partitioner", of_producer)]), &topic, &messages);
        let table = format!(
            "[tables.t]\ntopic = \"{topic}\"\npartitioner = \"{partitioner}\"\npartitions = 7\nkey = {{ columns = {{ who = \"varchar\" }} }}"
        );
        let (with, without) = (Engine::new(&table), Engine::without_pushdown(&table));
        for n in 0..40 {
            let sql = format!("SELECT n FROM t WHERE _key = 'user-{n}'");
            let rows = with.rows(&sql).await;
            assert_eq!(rows.len(), 5, "{partitioner} {n}");
            let planned = with.planned();
            assert_eq!(planned.filters[0].verdict, Verdict::Pruning);
            assert_eq!(planned.units[0].kept, 1, "{partitioner} {n}: {}", planned.request);
        }
        for (condition, most) in [
            ("'user-3' = _key", 1),
            ("who = 'user-3'", 1),
            ("_key IN ('user-3', 'user-4')", 2),
            ("_key = 'user-3' OR who = 'user-4'", 2),
            ("_key = 'user-3' AND who = 'user-4'", 1),
            ("_key = 'user-3' OR _partition_id = 0", 2),
            ("_key = 'nobody'", 1),
            ("_key = ''", 7),
            ("_key NOT IN ('user-3')", 7),
            ("NOT (_key = 'user-3')", 7),
            ("_key <> 'user-3'", 7),
            ("_key IS NULL", 7),
            ("_key > 'user-3'", 7),
            ("_key = 'user-3' OR n = 7", 7),
        ] {
            let sql = format!("SELECT n FROM t WHERE {condition}");
            assert_eq!(with.rows(&sql).await, without.rows(&sql).await, "{partitioner}: {condition}");
            for planned in with.all_planned() {
                assert!(planned.units[0].kept <= most, "{partitioner}: {condition}: {}", planned.request);
            }
        }
        let cut = format!("{topic} 0:0..1");
        let sql = format!("SELECT count(*) FROM \"t at {cut}\" WHERE _key = 'user-3'");
        assert_eq!(
            with.rows(&sql).await,
            without.rows(&sql).await,
            "the partitions of a cut are not those of the topic"
        );
    }
    // Nobody promised anything, or not enough.
    let all = "[tables.\"prune.keys.crc32\"]\npartitioner = \"crc32\"";
    for silent in [Engine::new(""), Engine::new(all)] {
        silent.rows("SELECT n FROM \"prune.keys.crc32\" WHERE _key = 'user-3'").await;
        assert_eq!(silent.planned().units[0].kept, 7);
    }
}

#[tokio::test]
async fn keys_choose_nothing_in_a_topic_that_has_grown() {
    create("prune.grown", 2).await;
    let keyed = |n: usize| Sent {
        key: Some(format!("user-{}", n % 20).into_bytes()),
        ..Sent::value(format!("{{\"n\":{n}}}")).to(-1)
    };
    let messages: Vec<Sent> = (0..100).map(keyed).collect();
    let table = "[tables.t]\ntopic = \"prune.grown\"\npartitioner = \"murmur2\"\npartitions = 2";
    send(&producer(&[("partitioner", "murmur2")]), "prune.grown", &messages);
    let engine = Engine::new(table);
    assert_eq!(engine.count("SELECT count(*) FROM t WHERE _key = 'user-3'").await, 5);
    assert_eq!(engine.planned().units[0].kept, 1);
    grow("prune.grown", 5).await;
    let engine = Engine::new(table);
    for n in 0..20 {
        assert_eq!(engine.count(&format!("SELECT count(*) FROM t WHERE _key = 'user-{n}'")).await, 5, "{n}");
    }
    // The new partitions are empty.
    assert_eq!(engine.planned().units[0].kept, 2);
}

#[tokio::test]
async fn the_time_of_an_event_limits_what_is_read_as_the_table_promises() {
    create("prune.events", 1).await;
    let base = an_hour_ago();
    // Messages come 0 to 9 ms after what they tell of, in the order of their own times.
    let messages: Vec<Sent> = (0..100_i64)
        .map(|n| Sent::value(format!("{{\"at\":{},\"n\":{n}}}", base + n * 10 - n * 7 % 10)).at(base + n * 10))
        .collect();
    produce("prune.events", &messages);
    let table = |more: &str| {
        format!(
            "[tables.t]\ntopic = \"prune.events\"\nevent_time = \"at\"\nmax_lateness_ms = 9\n{more}\n\
             value = {{ columns = {{ at = \"timestamp(3)\", n = \"bigint\" }} }}"
        )
    };
    let ordered = table("max_out_of_orderness_ms = 0");
    let (with, without) = (Engine::new(&ordered), Engine::without_pushdown(&ordered));
    for (condition, most) in [
        (format!("at >= {}", at(base + 900)), 10),
        (format!("at < {}", at(base + 100)), 11),
        (format!("at <= {}", at(base + 100)), 11),
        (format!("at = {}", at(base + 500)), 1),
        (format!("at BETWEEN {} AND {}", at(base + 200), at(base + 299)), 11),
        (format!("at IN ({}, {})", at(base + 500), at(base + 700)), 21),
        (format!("NOT (at >= {})", at(base + 100)), 11),
        (format!("at > {} AND n > 95", at(base + 900)), 10),
        (format!("at > {} OR n = 3", at(base + 900)), 100),
        (
            format!(
                "arrow_cast(at, 'Timestamp(Microsecond, None)') >= arrow_cast({}, 'Timestamp(Microsecond, None)')",
                (base + 900) * 1000
            ),
            10,
        ),
        (format!("at <> {}", at(base)), 100),
        ("at IS NULL".to_owned(), 100),
    ] {
        let sql = format!("SELECT n FROM t WHERE {condition}");
        assert_eq!(with.rows(&sql).await, without.rows(&sql).await, "{condition}");
        for planned in with.all_planned() {
            assert!(planned.offsets() <= most, "{condition}: {}", planned.request);
        }
    }
    // Nothing is promised of the order of messages, so that only what is too old is left out.
    let with = Engine::new(&table(""));
    with.rows(&format!("SELECT n FROM t WHERE at BETWEEN {} AND {}", at(base + 900), at(base + 910))).await;
    assert_eq!(with.planned().offsets(), 10);
    let error = Engine::new(
        "[tables.t]\ntopic = \"prune.events\"\nevent_time = \"n\"\nmax_lateness_ms = 9\nvalue = { columns = { n = \"bigint\" } }",
    );
    let error = error.connector().table("default", "t").await.unwrap_err().to_string();
    assert!(error.contains("no column of the table is a timestamp of this name"), "{error}");
}

#[tokio::test]
async fn times_that_brokers_give_bound_what_is_read() {
    create_with("prune.appended", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    create("prune.created", 1).await;
    produce("prune.appended", &numbers(0, 50));
    tokio::time::sleep(Duration::from_millis(300)).await;
    produce("prune.appended", &numbers(50, 100));
    let table = |topic: &str, more: &str| {
        format!(
            "[tables.t]\ntopic = \"{topic}\"\ntimestamps = \"log-append\"\n{more}\nvalue = {{ columns = {{ n = \"bigint\" }} }}"
        )
    };
    let exact = table("prune.appended", "max_out_of_orderness_ms = 0");
    let (with, without) = (Engine::new(&exact), Engine::without_pushdown(&exact));
    let last = "SELECT CAST(CAST(_timestamp AS bigint) AS varchar) FROM t WHERE _partition_offset = 49";
    let last: i64 = with.rows(last).await.first().unwrap().parse().unwrap();
    let sql = format!("SELECT n FROM t WHERE _timestamp <= {}", at(last));
    let rows = with.rows(&sql).await;
    assert_eq!((rows.len(), rows), (50, without.rows(&sql).await), "the equal one, too");
    assert_eq!(with.planned().offsets(), 50, "{}", with.planned().request);
    // Where nothing is said of the brokers' clocks, ten seconds.
    let usual = Engine::new(&table("prune.appended", ""));
    assert_eq!(usual.rows(&sql).await.len(), 50);
    assert_eq!(usual.planned().offsets(), 100);
    // Where the topic's times are others, the promise is not believed.
    let wrong = Engine::new(&table("prune.created", "max_out_of_orderness_ms = 0"));
    let bound = col("_timestamp").lt_eq(lit(ScalarValue::TimestampMillisecond(Some(last), None)));
    let verdict = wrong.table("t").await.judge(&bound);
    assert!(
        matches!(&verdict, Verdict::Refused(reason) if reason.to_string().contains("is not LogAppendTime now")),
        "{verdict:?}"
    );
    assert_eq!(with.table("t").await.judge(&bound), Verdict::Pruning);
    let definition = with.table("t").await.definition().unwrap();
    assert!(definition.contains("max_out_of_orderness_ms = 0\ntimestamps = \"log-append\""), "{definition}");
}
