//! What a lake's queries send to its store, as EXPLAIN tells it and as the store counts it.

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};
use serde_json::Value;

use crate::shop::{SHOP, block_on};
use crate::store::Store;
use crate::table;

/// A session over the shop's lake behind a store that counts.
fn session(store: &Store, settings: &str) -> Session {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalogs.toml");
    let text = format!(
        "[lake]\nconnector = 'hive'\nlocation = 's3://shop/lake'\nendpoint = 'http://{}'\nallow_http = true\n\
         access_key_id = 'key'\nsecret_access_key = 'secret'\n{settings}\n",
        store.address
    );
    std::fs::write(&file, text).unwrap();
    let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
    Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap().session()
}

const PRICES: &str = "[lake.prices]\nper_1000_list = 5\nper_1000_get = 0.4\nper_gigabyte = 90.0\ncurrency = 'EUR'";

/// Ten days of orders: as many files.
const TEN_DAYS: &str =
    "SELECT sum(quantity) FROM lake.sales.orders WHERE order_date BETWEEN '2026-10-01' AND '2026-10-10'";

async fn explained(session: &Session, options: &str, query: &str) -> Value {
    let sql = format!("EXPLAIN (FORMAT JSON{options}) {query}");
    let text = table::rows(session, &sql).await.unwrap_or_else(|error| panic!("{}", error.render(&sql)));
    serde_json::from_str(&text.concat().concat()).unwrap()
}

fn count(requests: &Value, kind: &str) -> u64 {
    let found = requests.as_array().unwrap().iter().find(|known| known["kind"] == kind);
    found.map_or(0, |known| known["count"].as_u64().unwrap())
}

#[test]
fn the_report_counts_what_the_store_counts_and_what_it_costs() {
    let store = Store::start(SHOP.directory());
    block_on(async {
        let session = session(&store, PRICES);
        let expected = explained(&session, "", TEN_DAYS).await;
        let requests = &expected["requests"][0];
        assert_eq!(requests["catalog"], "lake");
        assert_eq!(requests["actual"], Value::Null);
        // The footers of two files gave the columns; the ten that are read are small, and come whole with their footers.
        assert_eq!(count(&requests["expected"], "GET"), 2 + 10, "{requests}");
        assert_eq!(store.asked(), 2);

        let asked = store.asked();
        let report = explained(&session, ", ANALYZE", TEN_DAYS).await;
        let requests = &report["requests"][0];
        assert_eq!(count(&requests["actual"], "GET"), (store.asked() - asked) as u64);
        assert_eq!(count(&requests["actual"], "GET"), count(&requests["expected"], "GET"));
        assert_eq!(count(&requests["actual"], "LIST"), count(&requests["expected"], "LIST"));
        // 3 to open the table, and one for each day.
        assert_eq!(count(&requests["actual"], "LIST"), 3 + 10);
        let bytes: u64 =
            requests["actual"].as_array().unwrap().iter().map(|kind| kind["bytes"].as_u64().unwrap()).sum();
        let cost = 13.0 * 0.005 + 10.0 * 0.0004 + bytes as f64 * 90e-9;
        assert_eq!(requests["actual_cost"]["currency"], "EUR");
        assert!((requests["actual_cost"]["amount"].as_f64().unwrap() - cost).abs() < 1e-9, "{requests}");

        // The second time the footers are known.
        let report = explained(
            &session,
            ", ANALYZE",
            "SELECT count(*) FROM lake.sales.orders WHERE order_date BETWEEN '2026-10-01' AND '2026-10-10'",
        )
        .await;
        let requests = &report["requests"][0];
        assert_eq!((count(&requests["expected"], "GET"), count(&requests["actual"], "GET")), (0, 0), "{requests}");

        let lines = table::rows(&session, &format!("EXPLAIN ANALYZE {TEN_DAYS}")).await.unwrap().concat().join("\n");
        let line =
            lines.lines().find(|line| line.starts_with("requests to lake  ")).unwrap_or_else(|| panic!("{lines}"));
        assert!(line.contains("13 LIST · 10 GET · ") && line.ends_with(" EUR"), "{line}");
        let lines = table::rows(&session, &format!("EXPLAIN {TEN_DAYS}")).await.unwrap().concat().join("\n");
        assert!(lines.contains("requests to lake  about 13 LIST · 10 GET · "), "{lines}");
    });
}

#[test]
fn without_prices_only_what_was_sent_is_told() {
    let store = Store::start(SHOP.directory());
    block_on(async {
        let session = session(&store, "");
        let lines = table::rows(&session, &format!("EXPLAIN {TEN_DAYS}")).await.unwrap().concat().join("\n");
        assert!(!lines.contains("requests"), "{lines}");
        let report = explained(&session, ", ANALYZE", TEN_DAYS).await;
        assert!(report["requests"][0].get("actual_cost").is_none(), "{report}");
        let lines = table::rows(&session, &format!("EXPLAIN ANALYZE {TEN_DAYS}")).await.unwrap().concat().join("\n");
        assert!(lines.contains("requests to lake  13 LIST · 10 GET · "), "{lines}");
    });
}

#[test]
fn a_query_that_would_scan_too_much_reads_no_file() {
    let store = Store::start(SHOP.directory());
    block_on(async {
        let session = session(&store, "max_scan_bytes = '20kB'");
        // Opening the table reads the footers of two files, for its columns.
        table::rows(&session, &format!("EXPLAIN {TEN_DAYS}")).await.unwrap();
        let asked = store.asked();
        let all = "SELECT sum(quantity), sum(amount) FROM lake.sales.orders";
        for refused in [all, "SELECT * FROM lake.sales.orders"] {
            let error = table::rows(&session, refused).await.unwrap_err().to_string();
            assert!(error.contains("the query would read about "), "{error}");
            assert!(error.contains("max_scan_bytes of catalog lake allows 20000"), "{error}");
        }
        assert_eq!(store.asked(), asked, "nothing was read");
        // Few enough partitions, and no columns at all, are within the limit.
        table::rows(&session, "SELECT sum(quantity) FROM lake.sales.orders WHERE order_date = '2026-10-01'")
            .await
            .unwrap();
        table::rows(&session, "SELECT count(*) FROM lake.sales.orders WHERE order_date >= '2026-10-01'").await.unwrap();
    });
}

#[test]
fn the_keys_of_a_join_leave_all_other_files_unopened() {
    let store = Store::start(SHOP.directory());
    block_on(async {
        let session = session(&store, "");
        let days = "(VALUES (DATE '2026-10-01'), (DATE '2026-10-05')) AS days(day)";
        let sql = format!("SELECT count(*), sum(quantity) FROM lake.sales.orders JOIN {days} ON order_date = day");
        table::rows(&session, "EXPLAIN SELECT * FROM lake.sales.orders").await.unwrap();
        let asked = store.asked();
        let report = explained(&session, ", ANALYZE", &sql).await;
        // One file for each of the two days, of 730.
        assert_eq!(store.asked() - asked, 2, "{report}");
        let requests = &report["requests"][0]["actual"];
        // The table's directory and every day's: which days are wanted is known only when they are listed.
        assert_eq!((count(requests, "LIST"), count(requests, "GET")), (1 + 730, 2));
    });
}

/// The catalog files that docs/lake.md shows.
#[test]
fn the_catalog_files_of_the_page_are_valid() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lake.md")).unwrap();
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(blocks.len() >= 4);
    for block in blocks {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("catalogs.toml");
        std::fs::write(&file, block).unwrap();
        let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
        let states: Vec<String> = catalogs.configured().map(portolan::catalog::Catalog::state).collect();
        assert_eq!(states, ["ok"], "{block}");
    }
}
