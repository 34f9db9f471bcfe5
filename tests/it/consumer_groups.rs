//! `system.kafka.consumer_groups`: the groups of all Kafka catalogs in one table, and what becomes of it where one cannot be read.

use std::path::Path;
use std::sync::Arc;

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::kafka::{brokers, create, kafka_entry};
use super::{shop, table};

const GROUPS: &str = "system.kafka.consumer_groups";

/// A catalog whose brokers nobody is.
const DOWN: &str =
    "[down]\nconnector = \"kafka\"\nbrokers = \"127.0.0.1:1\"\nconnect_timeout_ms = 1000\nmetadata_timeout_ms = 1000\n";

fn engine(file: &Path) -> Arc<Engine> {
    let catalogs = CatalogSet::open(CatalogFile::read(file).unwrap());
    Engine::start(EngineOptions { catalogs, catalogs_file: Some(file.to_owned()), ..EngineOptions::default() }).unwrap()
}

/// Two catalogs of one broker, of which the first may be written, and others.
fn session(others: &str) -> Session {
    let entry = kafka_entry();
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    let text =
        format!("[one]\n{entry}\naccess = \"read_write\"\n[mem]\nconnector = \"memory\"\n[two]\n{entry}\n{others}");
    std::fs::write(file.path(), text).unwrap();
    engine(file.path()).session()
}

fn commit(group: &str, topic: &str, offset: i64) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers())
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
}

async fn rows(session: &Session, sql: &str) -> Vec<Vec<String>> {
    table::rows(session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn text(session: &Session, sql: &str) -> String {
    rows(session, sql).await.iter().map(|row| row.join(" ")).collect::<Vec<_>>().join("\n")
}

async fn error(session: &Session, sql: &str) -> String {
    table::rows(session, sql).await.expect_err(sql).to_string()
}

#[test]
fn the_groups_of_all_catalogs_are_one_table() {
    shop::block_on(async {
        create("gathered", 1).await;
        let session = session("");
        rows(&session, "INSERT INTO one.default.gathered (_message) VALUES ('a'), ('b'), ('c')").await;
        commit("gatherers", "gathered", 1);
        let of_group = "group_id = 'gatherers' AND topic = 'gathered'";
        let one = text(&session, &format!("SELECT * FROM one.system.consumer_groups WHERE {of_group}")).await;
        assert!(
            one.starts_with("gatherers ") && one.ends_with(" gathered 0 1 4 3"),
            "the end of the transaction is an offset, too: {one}"
        );
        assert_eq!(
            text(&session, &format!("SELECT * FROM {GROUPS} WHERE {of_group} ORDER BY catalog_name")).await,
            format!("one {one}\ntwo {one}")
        );
        let by_catalog = format!(
            "SELECT sum(g.lag) AS behind, g.catalog_name FROM {GROUPS} AS g WHERE {of_group} GROUP BY 2 ORDER BY 2"
        );
        assert_eq!(text(&session, &by_catalog).await, "3 one\n3 two");
        assert_eq!(rows(&session, &format!("SELECT lag FROM {GROUPS} WHERE {of_group} LIMIT 1")).await, [["3"]]);
        let joined = format!(
            "SELECT count(*) FROM {GROUPS} JOIN one.system.consumer_groups AS o
             ON consumer_groups.group_id = o.group_id AND consumer_groups.topic = o.topic WHERE o.{of_group}"
        )
        .replace(" AND topic", " AND o.topic");
        assert_eq!(rows(&session, &joined).await, [["2"]]);
        rows(&session, "USE system.kafka").await;
        assert_eq!(
            text(&session, &format!("SELECT DISTINCT Lag FROM consumer_groups WHERE {of_group}")).await,
            "3",
            "a name without its catalog, and a column in another case"
        );
    });
}

#[test]
fn a_condition_on_the_catalogs_name_leaves_the_others_alone() {
    shop::block_on(async {
        let session = session(DOWN);
        let explained = text(&session, &format!("EXPLAIN SELECT group_id FROM {GROUPS} WHERE lag > 10")).await;
        for catalog in ["one", "two", "down"] {
            assert!(explained.contains(&format!("{catalog}.system.consumer_groups")), "{explained}");
        }
        for (condition, left) in [
            ("catalog_name = 'two'", ["two"].as_slice()),
            ("catalog_name IN ('one', 'two') AND lag >= 0", &["one", "two"]),
            ("catalog_name <> 'down'", &["one", "two"]),
            ("catalog_name LIKE 't%'", &["two"]),
            ("catalog_name = 'nobody'", &[]),
        ] {
            let sql = format!("SELECT catalog_name, count(*) FROM {GROUPS} WHERE {condition} GROUP BY 1");
            let explained = text(&session, &format!("EXPLAIN {sql}")).await;
            for catalog in ["one", "two", "down"] {
                let is_read = explained.contains(&format!("{catalog}.system.consumer_groups"));
                assert_eq!(is_read, left.contains(&catalog), "{condition}: {explained}");
            }
            rows(&session, &sql).await;
        }
    });
}

#[test]
fn a_catalog_that_cannot_be_read_is_named_and_never_left_out() {
    shop::block_on(async {
        let wrong = "[wrong]\nconnector = \"kafka\"\nbroker = \"127.0.0.1:1\"\n";
        let session = session(&format!("{DOWN}{wrong}"));
        let all = format!("SELECT count(*) FROM {GROUPS}");
        let said = error(&session, &all).await;
        assert!(said.contains("catalog wrong: unknown key `broker`"), "{said}");
        let said = error(&session, &format!("{all} WHERE catalog_name <> 'wrong'")).await;
        assert!(said.contains("catalog down, table system.consumer_groups: cannot reach a Kafka broker"), "{said}");
        rows(&session, &format!("{all} WHERE catalog_name NOT IN ('down', 'wrong')")).await;
        // What the table is like is known all the same.
        let columns = text(&session, &format!("SHOW COLUMNS FROM {GROUPS}")).await;
        assert!(columns.starts_with("catalog_name varchar\ngroup_id varchar\n"), "{columns}");
        let listed = "SELECT count(*) FROM system.information_schema.columns WHERE table_schema = 'kafka'";
        assert_eq!(rows(&session, listed).await, [["9"]]);
        // Such a query is one of sources: it leaves a trace.
        let seen = format!(
            "SELECT DISTINCT state FROM system.runtime.queries WHERE query = '{all} WHERE catalog_name NOT IN (''down'', ''wrong'')'"
        );
        assert_eq!(rows(&session, &seen).await, [["finished"]]);
    });
}

#[test]
fn the_table_is_listed_and_described_as_a_view_that_cannot_be_changed() {
    shop::block_on(async {
        let session = session("");
        assert_eq!(text(&session, "SHOW SCHEMAS FROM system").await, "information_schema\nkafka\nruntime");
        assert_eq!(text(&session, "SHOW TABLES FROM system.kafka").await, "kafka consumer_groups view");
        let listed = "SELECT table_name, table_type FROM system.information_schema.tables WHERE table_schema = 'kafka'";
        assert_eq!(text(&session, listed).await, "consumer_groups VIEW");
        let described = text(&session, &format!("DESCRIBE {GROUPS}")).await;
        assert!(
            described.starts_with("catalog_name varchar varchar NO the catalog of which the row tells\n"),
            "{described}"
        );
        assert!(described.ends_with("lag bigint bigint YES how many offsets the group has yet to read"), "{described}");
        // The definition is a query that gives the same.
        let definition = text(&session, &format!("SHOW CREATE TABLE {GROUPS}")).await;
        let query = definition.strip_prefix("CREATE VIEW system.kafka.consumer_groups AS\n").unwrap();
        let same =
            format!("SELECT count(*) FROM (({query}) EXCEPT SELECT * FROM {GROUPS}) AS t WHERE group_id = 'nobody'");
        assert_eq!(rows(&session, &same).await, [["0"]]);
        for (sql, part) in [
            (format!("INSERT INTO {GROUPS} (group_id) VALUES ('a')"), "catalog system is read only"),
            (format!("DELETE FROM {GROUPS}"), "catalog system is read only"),
            (format!("SELECT 1 FROM {GROUPS} FOR VERSION AS OF 'x'"), "keeps no versions"),
            (format!("SELECT 1 FROM {GROUPS} FOLLOW"), "which rows are added"),
            (format!("SELECT nobody FROM {GROUPS}"), "column nobody does not exist"),
            ("SELECT 1 FROM system.kafka.consumer_group".to_owned(), "did you mean \"consumer_groups\"?"),
            ("SELECT 1 FROM system.memory.consumer_groups".to_owned(), "schema \"system.memory\" does not exist"),
        ] {
            let said = error(&session, &sql).await;
            assert!(said.contains(part), "{sql}: {said}");
        }
    });
}

#[test]
fn catalogs_come_and_go_with_the_file() {
    shop::block_on(async {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        let memory = "[mem]\nconnector = \"memory\"\n";
        std::fs::write(file.path(), memory).unwrap();
        let engine = engine(file.path());
        let session = engine.session();
        let described = format!("DESCRIBE {GROUPS}");
        assert_eq!(text(&session, "SHOW TABLES FROM system").await, "runtime queries view\nruntime sources view");
        assert!(error(&session, &described).await.contains("no catalog has the connector kafka"));
        // Only reading rows asks the brokers.
        std::fs::write(file.path(), format!("{memory}{DOWN}")).unwrap();
        engine.reload_catalogs().unwrap();
        assert_eq!(rows(&session, &described).await.len(), 9);
        let of_one = text(&session, &format!("SHOW CREATE TABLE {GROUPS}")).await;
        assert!(of_one.contains("FROM down.system.consumer_groups") && !of_one.contains("UNION"), "{of_one}");
        let said = error(&session, &format!("SELECT * FROM {GROUPS}")).await;
        assert!(said.contains("catalog down"), "{said}");
        std::fs::write(file.path(), memory).unwrap();
        engine.reload_catalogs().unwrap();
        assert!(error(&session, &described).await.contains("no catalog has the connector kafka"));
    });
}
