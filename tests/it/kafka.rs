//! Topics through the whole engine: cuts that are read again, messages that do not decode, what is listed.

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};

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
