//! What the planner chooses by what sources know of their tables: the order of joins, who computes, and what is too much.

use std::sync::LazyLock;

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};
use portolan_servers::PostgresServer;
use serde_json::Value;

use crate::shop::block_on;
use crate::table;

/// A fact table of 40,000 rows whose `item_id` is one of 2,000 items, each of one of 40 makers, each of one of 4 places.
const TABLES: &str = "
CREATE TABLE place (place_id int PRIMARY KEY, place text);
INSERT INTO place SELECT g, 'place ' || g FROM generate_series(1, 4) g;
CREATE TABLE maker (maker_id int PRIMARY KEY, place_id int, maker text);
INSERT INTO maker SELECT g, g % 4 + 1, 'maker ' || g FROM generate_series(1, 40) g;
CREATE TABLE item (item_id int PRIMARY KEY, maker_id int, item text);
INSERT INTO item SELECT g, g % 40 + 1, 'item ' || g FROM generate_series(1, 2000) g;
CREATE TABLE sale (sale_id int PRIMARY KEY, item_id int, amount int);
INSERT INTO sale SELECT g, g % 2000 + 1, g % 7 FROM generate_series(1, 40000) g;
CREATE TABLE part (part_id int PRIMARY KEY, kind int, name text);
INSERT INTO part SELECT g, g % 5000, 'part ' || g FROM generate_series(1, 20000) g;
CREATE TABLE delivery (delivery_id int, part_id int, amount int);
INSERT INTO delivery SELECT g, g % 20000 + 1, g % 7 FROM generate_series(1, 600000) g;
CREATE INDEX ON delivery (part_id);
ANALYZE;
CREATE FUNCTION few() RETURNS SETOF int LANGUAGE plpgsql ROWS 10 AS 'BEGIN RETURN QUERY SELECT generate_series(1, 5000); END';
CREATE VIEW surprise AS SELECT few AS id FROM few()";

static SERVER: LazyLock<PostgresServer> = LazyLock::new(|| {
    let server = PostgresServer::start().unwrap_or_else(|error| panic!("{error}"));
    server.psql("postgres", "CREATE DATABASE planning").unwrap();
    server.psql("planning", TABLES).unwrap();
    server
});

/// A session over a catalog with these lines more.
fn session(more: &str) -> Session {
    session_within(more, EngineOptions::default())
}

fn session_within(more: &str, options: EngineOptions) -> Session {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalogs.toml");
    let (url, password) = (SERVER.url("planning"), SERVER.password());
    std::fs::write(&file, format!("[pg]\nconnector = 'postgres'\nurl = '{url}'\npassword = '{password}'\n{more}\n"))
        .unwrap();
    let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
    Engine::start(EngineOptions { catalogs, ..options }).unwrap().session()
}

async fn set(session: &Session, settings: &[&str]) {
    session.execute("USE pg.public").await.unwrap();
    session.execute("RESET ALL").await.unwrap();
    for setting in settings {
        session.execute(&format!("SET SESSION {setting}")).await.unwrap();
    }
}

async fn report(session: &Session, sql: &str) -> Value {
    let text = table::rows(session, &format!("EXPLAIN (FORMAT JSON) {sql}")).await.unwrap().concat().concat();
    serde_json::from_str(&text).unwrap()
}

/// The joins of a plan: `(place (item sale))`.
fn joins(node: &Value) -> String {
    let children: Vec<String> = node["children"].as_array().unwrap().iter().map(joins).collect();
    match children.as_slice() {
        [] => node["detail"].as_str().unwrap().trim_start_matches("pg.public.").to_owned(),
        [only] => only.clone(),
        several => format!("({})", several.join(" ")),
    }
}

async fn message(session: &Session, sql: &str) -> String {
    match table::rows(session, sql).await {
        Ok(rows) => panic!("{sql} gave {} rows", rows.len()),
        Err(error) => error.render(sql),
    }
}

const STAR: &str = "SELECT count(*), sum(amount) FROM sale CROSS JOIN item CROSS JOIN maker CROSS JOIN place
    WHERE sale.item_id = item.item_id AND item.maker_id = maker.maker_id AND maker.place_id = place.place_id
    AND place.place_id = 1";

#[test]
fn small_relations_are_joined_first() {
    block_on(async {
        let session = session("");
        // Every fourth maker is of place 1, so every fourth item and every fourth sale.
        set(&session, &["fold = 'never'", "join_reordering = 'none'"]).await;
        let as_written = joins(&report(&session, STAR).await["plan"]);
        let alone = table::rows(&session, STAR).await.unwrap();
        assert_eq!(alone[0][0], "10000");
        set(&session, &["fold = 'never'"]).await;
        let ordered = joins(&report(&session, STAR).await["plan"]);
        assert_ne!(ordered, as_written);
        // What is large meets the others when these are few.
        assert_eq!(ordered, "(((place maker) item) sale)");
        assert_eq!(table::rows(&session, STAR).await.unwrap(), alone);
    });
}

#[test]
fn a_partner_that_only_has_to_be_there_is_looked_for_where_it_helps() {
    block_on(async {
        let session = session("");
        set(&session, &["fold = 'never'"]).await;
        let sql = "SELECT count(*) FROM sale JOIN item ON sale.item_id = item.item_id JOIN maker ON maker.maker_id = item.maker_id
            WHERE sale.sale_id IN (SELECT place_id FROM place WHERE place_id < 3)";
        let ordered = joins(&report(&session, sql).await["plan"]);
        // Four sales are left before any of the joins.
        assert!(ordered.contains("(sale place)") || ordered.contains("(place sale)"), "{ordered}");
        assert_eq!(table::rows(&session, sql).await.unwrap(), [["2"]]);
    });
}

#[test]
fn two_conditions_on_other_tables_are_both_kept() {
    block_on(async {
        let session = session("");
        // The second says nothing of any row, so it could be looked at together with the first, and be mistaken for a table.
        let places = "sale.sale_id IN (SELECT place_id FROM place)";
        let from = "SELECT count(*) FROM sale JOIN item ON sale.item_id = item.item_id WHERE";
        let cases = [
            (format!("{from} {places} AND EXISTS (SELECT 1 FROM maker)"), "4"),
            (format!("{from} {places} AND NOT EXISTS (SELECT 1 FROM maker)"), "0"),
            (
                format!(
                    "{from} NOT EXISTS (SELECT 1 FROM place WHERE place_id = sale_id) AND EXISTS (SELECT 1 FROM maker)"
                ),
                "39996",
            ),
            (format!("{from} EXISTS (SELECT 1 FROM place) AND EXISTS (SELECT 1 FROM maker)"), "40000"),
        ];
        for fold in ["never", "always"] {
            set(&session, &[&format!("fold = '{fold}'")]).await;
            for (sql, expected) in &cases {
                assert_eq!(table::rows(&session, sql).await.unwrap(), [[*expected]], "fold = {fold}: {sql}");
            }
        }
    });
}

#[test]
fn explain_tells_what_is_expected_and_what_came() {
    block_on(async {
        let session = session("");
        set(&session, &["fold = 'never'"]).await;
        let lines = |rows: Vec<Vec<String>>| rows.concat().join("\n");
        let chart = lines(table::rows(&session, &format!("EXPLAIN {STAR}")).await.unwrap());
        assert!(chart.lines().any(|line| line.contains("HashJoin") && line.contains("(about ")), "{chart}");
        // PostgreSQL takes the function for one that returns ten rows.
        let sql = "EXPLAIN ANALYZE SELECT count(*) FROM surprise JOIN item ON id = item_id";
        let chart = lines(table::rows(&session, sql).await.unwrap());
        let wrong = chart.split_once("estimates that were wrong\n").map(|(_, wrong)| wrong.lines().next().unwrap());
        assert!(wrong.is_some_and(|line| line.contains("500 times") && line.contains("pg.public.surprise")), "{chart}");
    });
}

#[test]
fn too_much_is_refused_before_it_starts() {
    block_on(async {
        let session = session("");
        set(&session, &["max_rows_from_source = '1000'"]).await;
        let text = message(&session, "SELECT * FROM sale").await;
        assert!(
            text.contains(
                "pg.public.sale would send about 40000 rows: max_rows_from_source of the session allows 1000"
            ),
            "{text}"
        );
        // What is computed there is not sent, and what is only explained is not read.
        assert_eq!(table::rows(&session, "SELECT count(*) FROM sale").await.unwrap(), [["40000"]]);
        table::rows(&session, "EXPLAIN SELECT * FROM sale").await.unwrap();
        assert!(message(&session, "EXPLAIN ANALYZE SELECT * FROM sale").await.contains("would send about"));
        assert_eq!(table::rows(&session, "SELECT * FROM sale LIMIT 10").await.unwrap().len(), 10);

        set(&session, &["max_bytes_from_source = '10kB'"]).await;
        let text = message(&session, "SELECT * FROM sale WHERE amount > 0").await;
        assert!(text.contains("max_bytes_from_source of the session allows 10000"), "{text}");
        set(&session, &["max_scan_bytes = '10kB'"]).await;
        let text = message(&session, "SELECT * FROM sale WHERE amount > 0").await;
        assert!(
            text.contains("the query would read about") && text.contains("max_scan_bytes of the session"),
            "{text}"
        );
    });
}

#[test]
fn a_scan_that_gets_more_than_was_expected_ends() {
    block_on(async {
        let session = session("max_rows_from_source = 1000");
        set(&session, &[]).await;
        let text = message(&session, "SELECT * FROM surprise").await;
        assert!(
            text.contains("pg.public.surprise sent more than 1000 rows: that is max_rows_from_source of catalog pg"),
            "{text}"
        );
        // A session may ask for less than the owner allows, not for more.
        set(&session, &["max_rows_from_source = '100000'"]).await;
        assert!(message(&session, "SELECT * FROM sale").await.contains("of catalog pg allows 1000"));
        set(&session, &["max_rows_from_source = '20'"]).await;
        assert!(message(&session, "SELECT * FROM item").await.contains("of the session allows 20"));
        // The next query finds the connection in order.
        assert_eq!(table::rows(&session, "SELECT place_id FROM place WHERE place_id = 2").await.unwrap(), [["2"]]);
    });
}

#[test]
fn what_a_join_narrows_is_counted_when_it_comes() {
    block_on(async {
        let session = session("[mem]\nconnector = 'memory'");
        session.execute("CREATE SCHEMA IF NOT EXISTS mem.default").await.ok();
        table::rows(&session, "CREATE TABLE mem.default.wanted AS SELECT CAST(7 AS integer) AS sale_id").await.unwrap();
        set(&session, &["max_rows_from_source = '1000'"]).await;
        let sql = "SELECT sale.sale_id FROM mem.default.wanted JOIN sale ON sale.sale_id = wanted.sale_id";
        assert_eq!(table::rows(&session, sql).await.unwrap(), [["7"]]);
    });
}

#[test]
fn conditions_on_columns_that_are_not_read_are_counted() {
    block_on(async {
        let session = session("");
        set(&session, &["fold = 'never'"]).await;
        // A tenth of the sales, each of which has one item.
        let sql = "EXPLAIN SELECT item FROM sale JOIN item ON sale.item_id = item.item_id WHERE sale_id <= 4000";
        let chart = table::rows(&session, sql).await.unwrap().concat().join("\n");
        let join = chart.lines().find(|line| line.contains("HashJoin")).unwrap();
        let rows: String = join.split("(about ").nth(1).unwrap().chars().filter(char::is_ascii_digit).collect();
        let rows: u64 = rows.parse().unwrap();
        assert!((3600..4400).contains(&rows), "{chart}");
    });
}

#[test]
fn a_source_that_has_an_index_is_asked_before_its_rows_are_fetched() {
    block_on(async {
        let session = session("");
        // By the engine's own costs a join of 600,000 rows takes PostgreSQL longer than sending those that four keys find. Its planner
        // knows that the index finds them.
        let sql = "SELECT name, sum(amount) FROM part JOIN delivery ON delivery.part_id = part.part_id WHERE kind = 7 GROUP BY name";
        set(&session, &[]).await;
        let chart = table::rows(&session, &format!("EXPLAIN {sql}")).await.unwrap().concat();
        let first = chart.first().unwrap();
        assert!(first.contains("pg.public.part") && first.contains("pg.public.delivery"), "{}", chart.join("\n"));
        let whole = table::sorted(&session, sql).await.unwrap();
        assert_eq!(whole.len(), 4);
        set(&session, &["fold = 'never'"]).await;
        assert_eq!(table::sorted(&session, sql).await.unwrap(), whole);
    });
}

/// The operators of a plan with a name, each with its detail.
fn operators(node: &Value, name: &str) -> Vec<String> {
    let own = (node["operator"] == name).then(|| node["detail"].as_str().unwrap().to_owned());
    let below = node["children"].as_array().unwrap().iter().flat_map(|child| operators(child, name));
    own.into_iter().chain(below).collect()
}

#[test]
fn what_is_used_twice_is_computed_once() {
    block_on(async {
        let session = session("");
        set(&session, &["fold = 'never'"]).await;
        let sql = "WITH sold AS (SELECT item_id, sum(amount) AS amount FROM sale GROUP BY item_id)
            SELECT (SELECT max(amount) FROM sold), count(*) FROM sold JOIN item ON item.item_id = sold.item_id
            WHERE sold.amount = (SELECT max(amount) FROM sold)";
        let chart = report(&session, sql).await;
        assert_eq!(operators(&chart["plan"], "Once").len(), 2, "{chart}");
        let scans =
            chart["sources"].as_array().unwrap().iter().filter(|source| source["tables"][0] == "pg.public.sale");
        assert_eq!(scans.count(), 1, "{chart}");
        let rows = table::rows(&session, sql).await.unwrap();
        set(&session, &["fold = 'never'", "pushdown = 'none'"]).await;
        assert_eq!(table::rows(&session, sql).await.unwrap(), rows);

        // Each place has other rows.
        set(&session, &["fold = 'never'"]).await;
        let sql = "SELECT count(*) FROM (SELECT max(random()) AS r FROM sale) a
            JOIN (SELECT max(random()) AS r FROM sale) b ON a.r = b.r";
        assert!(operators(&report(&session, sql).await["plan"], "Once").is_empty());
        assert_eq!(table::rows(&session, sql).await.unwrap(), [["0"]]);
    });
}

#[test]
fn an_average_beside_a_sum_is_made_of_it() {
    block_on(async {
        let session = session("");
        set(&session, &["fold = 'never'"]).await;
        let computed = async |columns: &str| {
            let sql = format!("SELECT item_id % 7 AS rest, {columns} FROM sale GROUP BY 1");
            let plan = report(&session, &sql).await["plan"].take();
            let aggregates = ["Aggregate", "PartialAggregate"].map(|name| operators(&plan, name).concat());
            (aggregates.concat(), table::sorted(&session, &sql).await.unwrap())
        };
        let (aggregates, shared) = computed("avg(amount), sum(amount)").await;
        assert!(aggregates.contains("sum(") && !aggregates.contains("avg("), "{aggregates}");
        let (aggregates, alone) = computed("avg(amount)").await;
        assert!(aggregates.contains("avg(") && !aggregates.contains("sum("), "{aggregates}");
        let averages = |rows: &[Vec<String>]| rows.iter().map(|row| row[..2].to_vec()).collect::<Vec<_>>();
        assert_eq!(averages(&shared), averages(&alone));
        assert_eq!(shared.len(), 7);
        // Those of other values have nothing to share.
        let (aggregates, _) = computed("avg(amount), sum(sale_id)").await;
        assert!(aggregates.contains("avg("), "{aggregates}");
    });
}

#[test]
fn a_scan_that_gains_nothing_by_waiting_starts_at_once() {
    block_on(async {
        let session = session("");
        set(&session, &["fold = 'never'"]).await;
        let dynamic = |chart: &Value, table: &str| {
            let sources = chart["sources"].as_array().unwrap();
            let source = sources.iter().find(|source| source["tables"][0] == table).unwrap();
            let filters = source["filters"].as_array().unwrap().iter();
            filters
                .filter(|filter| filter["verdict"] == "dynamic")
                .map(|filter| filter["reason"].clone())
                .collect::<Vec<_>>()
        };
        // 20,000 keys are more than are told one by one.
        let many = "SELECT count(*), sum(sale_id) FROM part JOIN sale ON part.part_id = sale.sale_id";
        let chart = report(&session, many).await;
        assert_eq!(dynamic(&chart, "pg.public.sale"), [Value::from("the scan starts before it is known")]);
        assert_eq!(table::rows(&session, many).await.unwrap(), [["20000", "200010000"]]);
        // A few are waited for.
        let few = "SELECT count(*) FROM part JOIN sale ON part.part_id = sale.sale_id WHERE part.kind = 7";
        assert_eq!(dynamic(&report(&session, few).await, "pg.public.sale"), [Value::Null]);
        assert_eq!(table::rows(&session, few).await.unwrap(), [["4"]]);
        // With a LIMIT above, who knows whether the rows are needed.
        let first = "SELECT * FROM part JOIN sale ON part.part_id = sale.sale_id LIMIT 3";
        assert_eq!(dynamic(&report(&session, first).await, "pg.public.sale"), [Value::Null]);
        assert_eq!(table::rows(&session, first).await.unwrap().len(), 3);
    });
}

#[test]
fn a_condition_that_only_prunes_leaves_rows_out_once() {
    block_on(async {
        let lake = tempfile::tempdir().unwrap();
        let session = session(&format!(
            "[lake]\nconnector = 'hive'\nlocation = '{}'\naccess = 'read_write'",
            lake.path().display()
        ));
        let wanted = "CREATE TABLE lake.default.wanted AS SELECT sale_id AS n, sale_id AS m FROM pg.public.sale WHERE sale_id <= 20000";
        table::rows(&session, "CREATE SCHEMA lake.default").await.unwrap();
        table::rows(&session, wanted).await.unwrap();
        set(&session, &["fold = 'never'"]).await;
        // The lake leaves row groups out by the condition, and the filter above it rows: 12,000 keys are left, not 7,200.
        let chart = async |up_to: u32| {
            let sql =
                format!("EXPLAIN SELECT count(*) FROM lake.default.wanted JOIN sale ON n = sale_id WHERE m <= {up_to}");
            table::rows(&session, &sql).await.unwrap().concat().join("\n")
        };
        let (many, few) = (chart(12_000).await, chart(3_000).await);
        assert!(many.contains("starts before it is known"), "{many}");
        assert!(!few.contains("starts before it is known"), "{few}");
    });
}

#[test]
fn a_catalog_with_one_connection_reads_ahead_without_waiting_for_itself() {
    block_on(async {
        let session = session("connections_max = 1");
        set(&session, &["fold = 'never'"]).await;
        let sql = "SELECT count(*), sum(s.sale_id) FROM part p JOIN sale s ON p.part_id = s.sale_id JOIN delivery d ON d.delivery_id = s.sale_id";
        assert_eq!(table::rows(&session, sql).await.unwrap(), [["20000", "200010000"]]);
    });
}

#[test]
fn a_join_whose_first_input_does_not_fit_into_memory_is_an_error_and_never_other_rows() {
    block_on(async {
        let lake = tempfile::tempdir().unwrap();
        let catalog =
            format!("[lake]\nconnector = 'hive'\nlocation = '{}'\naccess = 'read_write'", lake.path().display());
        let roomy = session(&catalog);
        table::rows(&roomy, "CREATE SCHEMA lake.default").await.unwrap();
        // 36 MB in six files, which several threads read.
        for file in 0..6 {
            let into = if file == 0 { "CREATE TABLE lake.default.long AS" } else { "INSERT INTO lake.default.long" };
            let (from, to) = (file * 100 + 1, file * 100 + 100);
            let sql = format!(
                "{into} SELECT sale_id AS id, repeat('abc', 20000) || sale_id AS t FROM pg.public.sale WHERE sale_id BETWEEN {from} AND {to}"
            );
            table::rows(&roomy, &sql).await.unwrap();
        }
        let sql = "SELECT count(*) FROM lake.default.long JOIN pg.public.item ON id % 100 < maker_id AND t < item";
        set(&roomy, &["fold = 'never'"]).await;
        // Of a hundred ids, as many are less than a maker's number as it says: 1 + 2 + ... + 40, for fifty items of each maker, six times.
        assert_eq!(table::rows(&roomy, sql).await.unwrap(), [["246000"]]);
        let tight =
            session_within(&catalog, EngineOptions { memory_limit_bytes: Some(20 << 20), ..EngineOptions::default() });
        set(&tight, &["fold = 'never'", "join_reordering = 'none'", "batch_rows = 256"]).await;
        let text = message(&tight, sql).await;
        assert!(text.contains("not enough memory") && text.contains("--memory-limit"), "{text}");
    });
}
