//! A topic answers as its copy in Parquet does: random conditions, aggregates and last messages, with pushdown on and off.

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};

use super::differential::{Column, Random, predicate};
use super::kafka::{create, kafka_entry};
use super::shop;
use super::table;

/// How many queries there are, and which ones: `PORTOLAN_RANDOM_QUERIES` and `PORTOLAN_RANDOM_SEED` ask for others.
const QUERIES: usize = 40;
const SEED: u64 = 6;

const TABLES: &str = "
[events.tables.mirrored]
partitioner = \"murmur2\"
partitions = 3
event_time = \"at\"
max_lateness_ms = 60000
max_out_of_orderness_ms = 120000
key = { columns = { who = \"varchar\" } }
[events.tables.mirrored.value]
columns = { n = \"bigint\", action = \"varchar\", price = \"decimal(10,2)\", ratio = \"double\", day = \"date\", at = \"timestamp(3)\", new = \"boolean\" }
times = { at = \"epoch-milliseconds\" }
";

/// The columns, under names that both sources can have.
const NAMED: &str = "who, n, action, price, ratio, day, at, new, _partition_id AS part, _partition_offset AS pos, _timestamp AS sent, \
                     _key AS k, _key_length AS k_length, _message_length AS m_length";

/// Messages of a day, a minute's worth in each statement: the ends of their transactions take offsets, too.
const MINUTES: [u32; 6] = [0, 1, 2, 60, 61, 600];

const COLUMNS: &[Column] = &[
    ("n", &["1", "17", "250", "-5", "9223372036854775807", "17.5"]),
    ("action", &["'view'", "'buy'", "'x'", "''"]),
    ("price", &["10.00", "1.5", "0.01", "999"]),
    ("ratio", &["0.5", "0.25", "-1", "2"]),
    ("day", &["DATE '2026-11-01'", "DATE '2026-11-03'", "DATE '2030-01-01'"]),
    (
        "at",
        &["TIMESTAMP '2026-11-21 10:00:30'", "TIMESTAMP '2026-11-21 11:01:00'", "TIMESTAMP '2026-11-21 20:00:10.5'"],
    ),
    ("part", &["0", "2", "7", "-1"]),
    ("pos", &["0", "10", "60", "100000"]),
    (
        "sent",
        &["TIMESTAMP '2026-11-21 10:01:00'", "TIMESTAMP '2026-11-21 11:00:59.999'", "TIMESTAMP '2026-11-22 00:00:00'"],
    ),
    ("k", &["'k1'", "'k7'", "'nobody'", "''"]),
    ("who", &["'k1'", "'k3'", "'k'"]),
    ("k_length", &["2", "0"]),
    ("m_length", &["100", "4"]),
];

const AGGREGATES: [&str; 4] = [
    "count(*), sum(n), min(at), max(price)",
    "action, count(*), count(new), count(DISTINCT k), max(pos)",
    "part, min(sent), max(sent), avg(n), bool_or(new)",
    "day, who, count(*), sum(price)",
];

/// The grouping of each of these: what stands before the first aggregate.
const KEYS: [&str; 4] = ["", "GROUP BY action", "GROUP BY part", "GROUP BY day, who"];

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A session over a topic of such messages and its copy, and their names in a query.
async fn copied(directory: &std::path::Path) -> (Session, [String; 2]) {
    create("mirrored", 3).await;
    let text = format!(
        "[events]\n{}\naccess = \"read_write\"\n{TABLES}\n[lake]\nconnector = \"hive\"\nlocation = \"{}\"\naccess = \"read_write\"\n",
        kafka_entry(),
        directory.join("lake").display()
    );
    let file = directory.join("catalogs.toml");
    std::fs::create_dir(directory.join("lake")).unwrap();
    std::fs::write(&file, text).unwrap();
    let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
    let session = Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap().session();
    let run = async |sql: &str| table::rows(&session, sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
    for minute in MINUTES {
        // Each comes up to a minute after what it tells of, and up to a minute out of order.
        run(&format!(
            "INSERT INTO events.default.mirrored (who, n, action, price, ratio, day, at, new, _timestamp)
             SELECT CASE WHEN v % 11 = 0 THEN NULL ELSE 'k' || (v % 9) END, v + {minute},
                    CASE v % 4 WHEN 0 THEN 'view' WHEN 1 THEN 'buy' WHEN 2 THEN '' END,
                    CASE WHEN v % 5 > 0 THEN CAST(v AS decimal(10,2)) / 7 END,
                    CASE WHEN v % 6 > 0 THEN v / 8.0 END,
                    DATE '2026-11-01' + CAST(v % 4 AS integer),
                    at - CAST(v % 60 AS integer) * INTERVAL '1 second', v % 3 = 0, at
             FROM (SELECT value AS v, CAST(TIMESTAMP '2026-11-21 10:00:00' + INTERVAL '{minute} minutes'
                    + CAST((value * 37) % 60 AS integer) * INTERVAL '1 second' AS timestamp(3)) AS at
                   FROM generate_series(1, 60)) s"
        ))
        .await;
        // A tombstone has no fields, and comes in time as well.
        run(&format!(
            "INSERT INTO events.default.mirrored (who, _timestamp) VALUES
             ('k1', CAST(TIMESTAMP '2026-11-21 10:00:59' + INTERVAL '{minute} minutes' AS timestamp(3)))"
        ))
        .await;
    }
    run("CREATE SCHEMA lake.copies").await;
    run(&format!("CREATE TABLE lake.copies.mirrored AS SELECT {NAMED} FROM events.default.mirrored")).await;
    (session, [format!("(SELECT {NAMED} FROM events.default.mirrored)"), "lake.copies.mirrored".to_owned()])
}

#[test]
fn a_topic_and_its_copy_answer_alike() {
    let directory = tempfile::tempdir().unwrap();
    shop::block_on(async {
        let (session, [topic, copy]) = copied(directory.path()).await;
        let answer =
            async |sql: &str| table::sorted(&session, sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        assert_eq!(answer(&format!("SELECT count(*) FROM {copy} c")).await, [["366"]]);
        let mut random = Random::new(number("PORTOLAN_RANDOM_SEED", SEED));
        let mut selected = 0;
        for _ in 0..number("PORTOLAN_RANDOM_QUERIES", QUERIES as u64) {
            let depth = random.below(4);
            let condition = predicate(&mut random, COLUMNS, depth);
            let which = random.below(AGGREGATES.len());
            let limit = random.below(20) + 1;
            for (select, rest) in [
                ("*", String::new()),
                (AGGREGATES[which], KEYS[which].to_owned()),
                ("pos, part, n", format!("ORDER BY pos DESC, part LIMIT {limit}")),
            ] {
                let sql = |source: &str| format!("SELECT {select} FROM {source} c WHERE {condition} {rest}");
                let pushed = answer(&sql(&topic)).await;
                session.execute("SET SESSION pushdown = 'none'").await.unwrap();
                let alone = answer(&sql(&topic)).await;
                session.execute("RESET pushdown").await.unwrap();
                let copied = answer(&sql(&copy)).await;
                assert!(pushed == alone, "{}: {pushed:?} with pushdown, {alone:?} without", sql(&topic));
                assert!(pushed == copied, "{}: {pushed:?} of the topic, {copied:?} of its copy", sql(&topic));
                selected += usize::from(select == "*" && !pushed.is_empty());
            }
        }
        assert!(selected > 0, "no query has rows");
    });
}
