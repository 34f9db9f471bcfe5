//! EXPLAIN as people and tools see it. Ports, times and snapshots vary from run to run and are taken out.

use serde_json::Value;

use crate::{shop, table};

/// The lines of a statement's answer.
async fn lines(sql: &str) -> String {
    let session = shop::session();
    let rows = table::rows(&session, sql).await.unwrap_or_else(|error| panic!("{}", error.render(sql)));
    rows.into_iter().map(|row| row.concat()).collect::<Vec<_>>().join("\n")
}

fn stable(text: &str) -> String {
    let directory = shop::SHOP.directory().display().to_string();
    text.replace(&directory, "DEMO")
        .lines()
        .map(|line| match line.split_once("snapshot ") {
            Some((before, _)) => format!("{before}snapshot ..."),
            None => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_chart_of_a_federated_join() {
    shop::block_on(async {
        let chart = lines(
            "EXPLAIN SELECT c.name, o.amount FROM lake.sales.orders AS o \
             JOIN pg.public.customers AS c ON c.customer_id = o.customer_id \
             WHERE o.order_date >= DATE '2026-10-01' AND o.amount > 500 \
             AND c.segment = 'enterprise' AND c.name ~ '^A[dn]'",
        )
        .await;
        insta::assert_snapshot!(stable(&chart));
    });
}

#[test]
fn without_pushdown_every_conjunct_is_refused() {
    shop::block_on(async {
        let session = shop::session();
        session.execute("SET SESSION pushdown = 'none'").await.unwrap();
        let sql = "EXPLAIN (FORMAT JSON) SELECT name FROM pg.public.customers WHERE country = 'NL' LIMIT 3";
        let text = table::rows(&session, sql).await.unwrap().concat().concat();
        let report: Value = serde_json::from_str(&text).unwrap();
        let source = &report["sources"][0];
        assert_eq!(source["filters"][0]["verdict"], "refused");
        assert_eq!(source["filters"][0]["reason"], "pushdown is switched off for this session");
        assert_eq!(source["columns"].as_array().unwrap().len(), 7);
        assert_eq!(source["folded"], serde_json::json!([]));
    });
}

#[test]
fn the_json_document_has_the_documented_shape() {
    shop::block_on(async {
        let text = lines(
            "EXPLAIN (FORMAT JSON) SELECT name FROM pg.public.customers WHERE segment = 'enterprise' AND lower(name) = 'x'",
        )
        .await;
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["version"], 1);
        assert!(report["query"].as_str().unwrap().starts_with("SELECT name"));
        let source = &report["sources"][0];
        for key in [
            "id",
            "catalog",
            "connector",
            "tables",
            "filters",
            "folded",
            "request",
            "columns",
            "snapshot",
            "units",
            "estimate",
            "actual",
        ] {
            assert!(source.get(key).is_some(), "{key} is missing");
        }
        assert_eq!(source["tables"], serde_json::json!(["pg.public.customers"]));
        assert_eq!(source["filters"][0]["verdict"], "exact");
        assert_eq!(source["filters"][0]["expression"], "segment = 'enterprise'");
        assert!(source["filters"][0]["remote"].as_str().unwrap().contains("\"segment\""));
        assert_eq!(source["filters"][1]["verdict"], "refused");
        assert!(source["filters"][1]["reason"].is_string());
        assert_eq!(source["actual"], Value::Null);
        let mut node = &report["plan"];
        while node["operator"] != "Source" {
            node = &node["children"][0];
        }
        assert_eq!(node["source"], 0);
    });
}

#[test]
fn analyze_measures_rows_and_bytes_of_every_source() {
    shop::block_on(async {
        let session = shop::session();
        // In the statement's own order the customers come last.
        session.execute("SET SESSION join_reordering = 'none'").await.unwrap();
        let sql = "EXPLAIN (ANALYZE, FORMAT JSON) SELECT count(*) FROM lake.sales.orders o \
             JOIN pg.public.customers c ON c.customer_id = o.customer_id \
             JOIN events.default.clicks k ON k.customer_id = c.customer_id \
             WHERE o.order_date = DATE '2026-10-30' AND c.country = 'NL' AND k._partition_id = 0";
        let text = table::rows(&session, sql).await.unwrap().concat().concat();
        let report: Value = serde_json::from_str(&text).unwrap();
        let sources = report["sources"].as_array().unwrap();
        assert_eq!(sources.len(), 3);
        for source in sources {
            assert!(source["actual"]["rows"].as_u64().unwrap() > 0, "{source}");
            assert!(source["actual"]["bytes"].as_u64().unwrap() > 0, "{source}");
        }
        let rows = |catalog: &str| {
            sources.iter().find(|source| source["catalog"] == catalog).unwrap()["actual"]["rows"].as_u64().unwrap()
        };
        let dutch =
            table::rows(&session, "SELECT count(*) FROM pg.public.customers WHERE country = 'NL'").await.unwrap();
        // Of the customers in the Netherlands those that the joins look for.
        assert!(rows("pg") < dutch[0][0].parse().unwrap(), "{} of {}", rows("pg"), dutch[0][0]);
        assert_eq!(report["plan"]["actual"]["rows"], 1);
    });
}

#[test]
fn only_matching_partitions_are_read() {
    shop::block_on(async {
        let text = lines(
            "EXPLAIN (FORMAT JSON) SELECT sum(amount) FROM lake.sales.orders WHERE order_date >= DATE '2026-10-28'",
        )
        .await;
        let report: Value = serde_json::from_str(&text).unwrap();
        let source = &report["sources"][0];
        assert_eq!(source["filters"][0]["verdict"], "exact");
        let units = source["units"].as_array().unwrap();
        let kept = |kind: &str| units.iter().find(|unit| unit["kind"] == kind).map(|unit| unit["kept"].clone());
        assert_eq!(kept("partitions"), Some(3.into()), "{units:?}");
        assert_eq!(kept("files"), Some(3.into()), "{units:?}");
    });
}

#[test]
fn expressions_are_shown_as_a_person_writes_them() {
    shop::block_on(async {
        let chart = lines(
            "EXPLAIN SELECT country, count(*) AS n, count(DISTINCT name) FILTER (WHERE segment <> 'consumer') AS m \
             FROM pg.public.customers WHERE lower(name) <> 'x' AND CASE WHEN country = 'NL' THEN name ELSE 'a' END < 'b' \
             GROUP BY country ORDER BY n DESC, country LIMIT 3",
        )
        .await;
        for part in [
            "TopN  3 by count(*) DESC, country",
            "count(*) AS n",
            "Aggregate  count(*), count(DISTINCT name) FILTER (WHERE segment <> 'consumer') by country",
            "lower(name) <> 'x'",
            "CASE WHEN country = 'NL' THEN name ELSE 'a' END < 'b'",
        ] {
            assert!(chart.contains(part), "{part}\n{chart}");
        }
        let chart = lines(
            "EXPLAIN SELECT amount - (amount + 1.5), row_number() OVER (PARTITION BY status ORDER BY amount DESC) \
             FROM lake.sales.orders WHERE order_date = DATE '2026-10-01' AND amount * 2 > 10 AND status NOT LIKE 'c%'",
        )
        .await;
        for part in [
            "Window  row_number() OVER (PARTITION BY status ORDER BY amount DESC)",
            "Project  amount - (amount + 1.5), row_number() OVER (PARTITION BY status ORDER BY amount DESC)",
            "amount * 2 > 10",
            "status NOT LIKE 'c%'",
            "order_date = '2026-10-01'",
        ] {
            assert!(chart.contains(part), "{part}\n{chart}");
        }
    });
}

#[test]
fn distributed_shows_how_the_work_is_divided() {
    shop::block_on(async {
        let query = "SELECT status, count(*) FROM lake.sales.orders GROUP BY status";
        let chart = lines(&format!("EXPLAIN (TYPE DISTRIBUTED) {query}")).await;
        assert!(chart.contains("PartialAggregate  count(*) by status"), "{chart}");
        assert!(chart.contains("Exchange") && chart.contains("by hash of status"), "{chart}");
        assert!(chart.contains(" splits"), "{chart}");
        let usual = lines(&format!("EXPLAIN {query}")).await;
        assert!(!usual.contains("Exchange") && !usual.contains("Partial"), "{usual}");
    });
}

#[test]
fn the_other_forms() {
    shop::block_on(async {
        assert_eq!(lines("EXPLAIN (TYPE VALIDATE) SELECT * FROM pg.public.customers").await, "valid");
        let graph = lines("EXPLAIN (FORMAT GRAPHVIZ) SELECT count(*) FROM pg.public.customers").await;
        assert!(graph.starts_with("digraph plan {") && graph.ends_with('}'), "{graph}");
        let verbose = lines("EXPLAIN VERBOSE SELECT count(*) FROM pg.public.customers").await;
        assert!(verbose.contains("logical plan") && verbose.contains("SourceExec"), "{verbose}");
    });
}

/// What of a source's report names tables and statements, by the catalog.
fn source<'a>(report: &'a Value, catalog: &str) -> &'a Value {
    report["sources"].as_array().unwrap().iter().find(|source| source["catalog"] == catalog).unwrap()
}

async fn report(sql: &str) -> Value {
    serde_json::from_str(&lines(&format!("EXPLAIN (FORMAT JSON) {sql}")).await).unwrap()
}

#[test]
fn a_query_of_one_source_is_one_leaf() {
    shop::block_on(async {
        let report = report(
            "SELECT country, count(*) AS n, min(name) FROM pg.public.customers WHERE segment = 'enterprise' \
             GROUP BY country HAVING count(*) > 3 ORDER BY n DESC, country LIMIT 5",
        )
        .await;
        assert_eq!(report["plan"]["operator"], "Source");
        let pg = source(&report, "pg");
        assert_eq!(pg["folded"], serde_json::json!(["projection", "filter", "aggregate", "topn"]));
        assert_eq!(
            pg["request"],
            "SELECT \"country\", count(*) AS \"n\", min(\"name\" COLLATE \"C\") AS \"min(name)\" FROM \"public\".\"customers\" \
             WHERE \"segment\" = 'enterprise'::text GROUP BY \"country\" HAVING count(*) > '3'::int8 \
             ORDER BY count(*) DESC NULLS FIRST, \"country\" COLLATE \"C\" ASC NULLS LAST LIMIT 5"
        );
    });
}

#[test]
fn a_join_within_a_source_is_folded_and_one_across_sources_is_not() {
    shop::block_on(async {
        let inside = "FROM pg.public.customers AS c JOIN pg.public.products AS p ON p.product_id = c.customer_id";
        let report_inside = report(&format!("SELECT c.name, p.price {inside}")).await;
        assert_eq!(report_inside["plan"]["operator"], "Source");
        let tables = serde_json::json!(["pg.public.customers", "pg.public.products"]);
        assert_eq!(source(&report_inside, "pg")["tables"], tables);
        let across = report(
            "SELECT c.name, o.amount FROM pg.public.customers AS c JOIN lake.sales.orders AS o ON o.customer_id = c.customer_id",
        )
        .await;
        assert_eq!(across["plan"]["operator"], "HashJoin");
    });
}

#[test]
fn what_is_not_folded_says_why() {
    shop::block_on(async {
        let report = report("SELECT country, stddev(customer_id) FROM pg.public.customers GROUP BY country").await;
        let unfolded = &source(&report, "pg")["unfolded"][0];
        assert_eq!(unfolded["operator"], "aggregate");
        assert_eq!(unfolded["reason"], "the aggregate function stddev() has no rule");
        let text = lines("EXPLAIN SELECT country, stddev(customer_id) FROM pg.public.customers GROUP BY country").await;
        assert!(text.contains("refused  aggregate  country, stddev("), "{text}");
    });
}

#[test]
fn rows_that_the_source_sorts_stay_sorted_under_an_operator_of_the_engine() {
    shop::block_on(async {
        let session = shop::session();
        // The engine computes the root, over rows that PostgreSQL has sorted and several threads share.
        let sql = "SELECT sqrt(customer_id) AS r, customer_id \
                   FROM (SELECT customer_id FROM pg.public.customers ORDER BY customer_id DESC LIMIT 3000) AS c";
        let rows = table::rows(&session, sql).await.unwrap();
        let ids: Vec<i64> = rows.iter().map(|row| row[1].parse().unwrap()).collect();
        assert_eq!(ids.len(), 3000);
        assert!(ids.is_sorted_by(|one, next| one > next));
        let chart = lines(&format!("EXPLAIN {sql}")).await;
        assert!(chart.contains("TopN  3000") && chart.contains("folds    topn"), "{chart}");
    });
}
