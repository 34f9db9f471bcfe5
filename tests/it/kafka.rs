//! Topics through the whole engine: cuts that are read again, messages that do not decode, what is listed.

use std::sync::LazyLock;

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};
use portolan_servers::TestBroker;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use super::shop::{self, SHOP};
use super::table;

async fn rows(session: &Session, sql: &str) -> Vec<Vec<String>> {
    table::rows(session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn value(session: &Session, sql: &str) -> String {
    rows(session, sql).await.concat().concat()
}

/// A session over the shop's broker with another catalog file.
fn session_over(tables: &str) -> Session {
    let shop = std::fs::read_to_string(SHOP.catalogs_file()).unwrap();
    let brokers = shop.lines().find(|line| line.starts_with("brokers")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalogs.toml");
    std::fs::write(&file, format!("[events]\nconnector = \"kafka\"\n{brokers}\n{tables}")).unwrap();
    let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
    Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap().session()
}

#[test]
fn a_cut_is_read_again_beside_the_table_itself() {
    shop::block_on(async {
        let session = shop::session();
        let cut = value(&session, "SELECT DISTINCT _cut FROM events.default.\"clicks$partitions\"").await;
        assert!(cut.contains(" 0:"), "{cut}");
        assert_eq!(rows(&session, "SHOW CUT FOR events.default.clicks").await, [[cut.clone()]]);
        let error = table::rows(&session, "SHOW CUT FOR lake.sales.orders").await.unwrap_err().to_string();
        assert!(error.contains("the connector hive keeps no versions of tables"), "{error}");
        let all = value(&session, "SELECT count(*) FROM events.default.clicks").await;
        let again = format!("SELECT count(*) FROM events.default.clicks FOR VERSION AS OF '{cut}'");
        assert_eq!(value(&session, &again).await, all);
        // Two versions of one table in one statement, qualified by its name and by an alias.
        let topic = cut.split(' ').next().unwrap();
        let both = format!(
            "SELECT count(*) FROM events.default.clicks FOR VERSION AS OF '{topic} 0:0..7' AS part
             JOIN events.default.clicks ON part._partition_offset = clicks._partition_offset
             WHERE clicks._partition_id = 0"
        );
        assert_eq!(value(&session, &both).await, "7");
        let qualified = format!(
            "SELECT max(clicks._partition_offset) FROM events.default.clicks FOR VERSION AS OF '{topic} 0:2..5'"
        );
        assert_eq!(value(&session, &qualified).await, "4");
        let explained = value(&session, &format!("EXPLAIN {again}")).await;
        assert!(explained.contains("events.default.clicks") && explained.contains("offsets 0:0.."), "{explained}");
        for (sql, part) in [
            ("SELECT 1 FROM events.default.clicks FOR VERSION AS OF 'x 0:1'", "is not a cut of a topic"),
            ("SELECT 1 FROM events.default.clics FOR VERSION AS OF 'x'", "did you mean \"clicks\"?"),
            ("SELECT 1 FROM lake.sales.orders FOR VERSION AS OF 'x'", "the connector hive keeps no versions of tables"),
            ("SELECT 1 FROM system.runtime.queries FOR VERSION AS OF 'x'", "no versions"),
            ("SELECT 1 FROM (SELECT 1) t FOR VERSION AS OF 'x'", "must follow the name of a table"),
        ] {
            let error = table::rows(&session, sql).await.unwrap_err().to_string();
            assert!(error.contains(part), "{sql}: {error}");
        }
    });
}

#[test]
fn skipped_messages_are_counted_where_people_look() {
    shop::block_on(async {
        let columns = "value = { columns = { customer_id = \"boolean\" } }";
        let session = session_over(&format!("on_error = \"skip\"\n[events.tables.clicks]\n{columns}"));
        let total = value(&shop::session(), "SELECT count(*) FROM events.default.clicks").await;
        let listed = "SELECT count(*) FROM events.default.\"clicks$errors\" WHERE _reason LIKE 'field customer_id:%'";
        let bad = value(&session, listed).await;
        assert_ne!(bad, "0");
        let left: u64 = value(&session, "SELECT count(*) FROM events.default.clicks").await.parse().unwrap();
        assert_eq!(left + bad.parse::<u64>().unwrap(), total.parse::<u64>().unwrap());
        let explained = rows(&session, "EXPLAIN ANALYZE SELECT count(customer_id) FROM events.default.clicks").await;
        let actual = explained.concat().into_iter().find(|line| line.contains("skipped")).unwrap();
        let grouped: String = actual.chars().filter(|c| *c != ',').collect();
        assert!(grouped.contains(&format!("{bad} rows skipped")), "{actual}");
    });
}

#[test]
fn what_is_listed_of_a_cluster() {
    shop::block_on(async {
        let session = shop::session();
        let sql = "SELECT sum(offset_count) >= 1, min(array_length(in_sync_replicas)) FROM events.default.\"clicks$partitions\"";
        assert_eq!(rows(&session, sql).await, [["true", "1"]]);
        assert_eq!(
            rows(&session, "SELECT count(*) FROM events.system.consumer_groups WHERE group_id = 'portolan'").await,
            [["0"]]
        );
        let described = rows(&session, "DESCRIBE events.default.clicks").await.concat().concat();
        assert!(
            described.contains("declared in the catalog file") || described.contains("inferred from"),
            "{described}"
        );
    });
}

/// A broker of its own, so that nothing of the shop changes.
static BROKER: LazyLock<TestBroker> = LazyLock::new(|| TestBroker::take().unwrap_or_else(|error| panic!("{error}")));

pub(crate) fn brokers() -> String {
    BROKER.bootstrap()
}

pub(crate) async fn create(topic: &str, partitions: i32) {
    let mut settings = rdkafka::ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> = settings.set("bootstrap.servers", brokers()).create().unwrap();
    if BROKER.is_given() {
        // What an earlier run has left. It takes a moment until the name is free.
        let _ = admin.delete_topics(&[topic], &AdminOptions::new()).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
    let created = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");
}

/// The entry of that broker in a catalog file.
pub(crate) fn kafka_entry() -> String {
    format!("connector = \"kafka\"\nbrokers = \"{}\"", brokers())
}

/// A catalog file of that broker, whose topics may be written, with a catalog of which the same may not, and one of tables in
/// memory.
pub(crate) fn writing_catalogs(tables: &str) -> tempfile::NamedTempFile {
    let entry = kafka_entry();
    let text =
        format!("[read]\n{entry}\n[mem]\nconnector = \"memory\"\n[events]\n{entry}\naccess = \"read_write\"\n{tables}");
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// A session over these catalogs.
pub(crate) fn writing_session(tables: &str) -> Session {
    let file = writing_catalogs(tables);
    let catalogs = CatalogSet::open(CatalogFile::read(file.path()).unwrap());
    Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap().session()
}

#[test]
fn statements_add_messages_to_topics() {
    shop::block_on(async {
        create("made", 3).await;
        let session = writing_session(
            "[events.tables.made]\npartitioner = \"murmur2\"\nkey = { columns = { who = \"varchar\" } }\n\
             value = { columns = { n = \"bigint\", price = \"decimal(8,2)\", day = \"date\", tags = \"array(varchar)\" } }\n",
        );
        let insert = "INSERT INTO events.default.made VALUES ('a', 1, 1.5, DATE '2026-11-22', ['x', 'y']), ('b', 2, NULL, NULL, NULL)";
        assert_eq!(value(&session, insert).await, "2");
        assert_eq!(
            rows(&session, "SELECT who, n, price, day, tags, _key FROM events.default.made ORDER BY n").await,
            [["a", "1", "1.50", "2026-11-22", "[x, y]", "a"], ["b", "2", "NULL", "NULL", "NULL", "b"]]
        );
        // Hidden columns are written where they are named.
        let hidden = "INSERT INTO events.default.made (who, n, _timestamp, _headers) VALUES
            ('c', 3, CAST('2026-11-22 10:00:00' AS timestamp(3)), [named_struct('key', 'source', 'value', X'6F77')])";
        assert_eq!(value(&session, hidden).await, "1");
        assert_eq!(
            rows(&session, "SELECT _timestamp, _headers, _message FROM events.default.made WHERE who = 'c'").await,
            [["2026-11-22T10:00:00", "[{key: source, value: 6f77}]", "{\"n\":3}"]]
        );
        // A topic is copied with all that its messages have, tombstones too; a key alone writes one.
        assert_eq!(value(&session, "INSERT INTO events.default.made (who) VALUES ('a')").await, "1");
        create("copied", 2).await;
        let copy = "INSERT INTO events.default.copied (_key, _message, _headers, _timestamp)
            SELECT _key, _message, _headers, _timestamp FROM read.default.made";
        assert_eq!(value(&session, copy).await, "4");
        let both = |table: &str| {
            format!(
                "SELECT _key, _message, _headers, _timestamp FROM read.default.{table} ORDER BY _timestamp, _key, _message"
            )
        };
        assert_eq!(rows(&session, &both("copied")).await, rows(&session, &both("made")).await);
        assert_eq!(
            value(&session, "SELECT count(*) FROM read.default.copied WHERE _message_length IS NULL").await,
            "1"
        );
        // Under a token the statement writes once.
        rows(&session, "SET SESSION write_token = 'monday'").await;
        let summed =
            "INSERT INTO events.default.made (who, n) SELECT who, sum(n) FROM events.default.made GROUP BY who";
        assert_eq!(value(&session, summed).await, "3");
        assert_eq!(value(&session, summed).await, "3");
        rows(&session, "RESET SESSION write_token").await;
        assert_eq!(value(&session, "SELECT count(*) FROM events.default.made").await, "7");
        for (sql, part) in [
            ("INSERT INTO read.default.made VALUES ('a')", "Hint: set access = \"read_write\" in its entry"),
            ("INSERT INTO events.default.made (_partition_id) VALUES (1)", "has no column \"_partition_id\""),
            (
                "INSERT INTO events.default.made (n, _message) VALUES (1, 'x')",
                "its whole is written by the same statement",
            ),
            ("INSERT INTO events.default.\"made$errors\" (_key) VALUES (X'00')", "this table is no topic's own"),
            (
                "INSERT OVERWRITE events.default.made SELECT 'a', 1, 1, DATE '2026-01-01', ['x']",
                "INSERT OVERWRITE replaces partitions",
            ),
            (
                "CREATE TABLE events.default.new AS SELECT 1 AS a",
                "neither make nor remove them\nHint: make the topic with",
            ),
            ("DROP TABLE events.default.made", "neither make nor remove them"),
            ("DELETE FROM events.default.made", "messages are not changed where they are: write a newer one"),
            ("UPDATE events.default.made SET n = 1", "messages are not changed where they are"),
        ] {
            let error = table::rows(&session, sql).await.unwrap_err().to_string();
            assert!(error.contains(part), "{sql}: {error}");
        }
        assert_eq!(value(&session, "SELECT count(*) FROM events.default.made").await, "7");
    });
}

#[test]
fn the_last_messages_and_the_newest_of_each_key() {
    shop::block_on(async {
        create("tail", 1).await;
        let session = writing_session(
            "[events.tables.tail]\nkey = { columns = { who = \"varchar\" } }\nvalue = { columns = { n = \"bigint\" } }\n",
        );
        let fill = "INSERT INTO events.default.tail SELECT 'k' || (value % 10), value FROM generate_series(1, 5000)";
        assert_eq!(value(&session, fill).await, "5000");
        let last = "SELECT n FROM events.default.tail ORDER BY _partition_offset DESC LIMIT 3";
        assert_eq!(rows(&session, last).await, [["5000"], ["4999"], ["4998"]]);
        let explained = value(&session, &format!("EXPLAIN {last}")).await;
        assert!(explained.contains("the last 3 of tail, read_committed, offsets 0:4997.."), "{explained}");
        // Under other operators, behind conditions on offsets, and where nothing is pushed down, the rows are the same.
        let joined = "SELECT sum(t.n) FROM (SELECT n FROM events.default.tail WHERE _partition_offset < 10
            ORDER BY _partition_offset DESC, n LIMIT 2) t JOIN events.default.tail u ON u.n = t.n";
        assert_eq!(value(&session, joined).await, "19");
        let filtered = "SELECT n FROM events.default.tail WHERE n < 3 ORDER BY _partition_offset DESC LIMIT 5";
        assert_eq!(rows(&session, filtered).await, [["2"], ["1"]]);
        let newest = "SELECT who, n FROM events.default.\"tail$latest\" WHERE n < 4993 ORDER BY n";
        assert_eq!(rows(&session, newest).await, [["k1", "4991"], ["k2", "4992"]]);
        let explained = value(&session, &format!("EXPLAIN {newest}")).await;
        assert!(explained.contains("the newest of each key of tail, read_committed, offsets 0:0.."), "{explained}");
        let analyzed = rows(&session, &format!("EXPLAIN ANALYZE {newest}")).await.concat().concat();
        assert!(analyzed.contains("10 rows"), "{analyzed}");
        // A tombstone takes its key away, and a statement may read what it writes to.
        let ended =
            "INSERT INTO events.default.tail (who) SELECT who FROM events.default.\"tail$latest\" WHERE n < 4993";
        assert_eq!(value(&session, ended).await, "2");
        assert_eq!(value(&session, "SELECT count(*) FROM events.default.\"tail$latest\"").await, "8");
        rows(&session, "SET SESSION fold = 'never'").await;
        let last_two = "SELECT count(*) FROM (SELECT who FROM events.default.tail ORDER BY _partition_offset DESC LIMIT 2) WHERE who < 'k3'";
        assert_eq!(value(&session, last_two).await, "2");
        assert_eq!(value(&session, joined).await, "19");
    });
}
