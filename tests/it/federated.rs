//! The main job: one query over a lake, PostgreSQL and Kafka.

use portolan::cli::demo::FEDERATED_QUERY;

use crate::{kafka, shop, table};

#[test]
fn the_federated_join_is_the_same_with_pushdown_and_without() {
    shop::block_on(async {
        let session = shop::session();
        let pushed = table::rows(&session, FEDERATED_QUERY).await.unwrap();
        // What DuckDB answers over the same rows.
        assert_eq!(
            pushed,
            [
                ["enterprise", "DE", "48", "396", "291", "183211.00"],
                ["enterprise", "FR", "33", "293", "216", "115023.57"],
                ["consumer", "DE", "374", "1220", "1056", "107829.65"],
                ["consumer", "FR", "234", "702", "637", "66233.72"],
                ["small business", "DE", "87", "303", "267", "59215.03"],
                ["consumer", "NL", "177", "552", "471", "48369.90"],
                ["small business", "FR", "57", "195", "158", "33620.20"],
                ["enterprise", "NL", "8", "70", "57", "28568.20"],
                ["small business", "NL", "42", "125", "129", "25799.91"],
            ]
        );
        session.execute("SET SESSION pushdown = 'none'").await.unwrap();
        assert_eq!(table::rows(&session, FEDERATED_QUERY).await.unwrap(), pushed);
    });
}

#[test]
fn a_federated_count_agrees_with_counting_each_source_alone() {
    shop::block_on(async {
        let session = shop::session();
        // Every click is by a customer of PostgreSQL, so the join neither loses nor doubles clicks.
        let joined = "SELECT count(*) FROM events.default.clicks k JOIN pg.public.customers c USING (customer_id)";
        let alone = "SELECT count(*) FROM events.default.clicks";
        assert_eq!(table::rows(&session, joined).await.unwrap(), table::rows(&session, alone).await.unwrap());

        let by_segment = "SELECT sum(n) FROM (SELECT c.segment, count(*) AS n FROM lake.sales.orders o \
                          JOIN pg.public.customers c ON c.customer_id = o.customer_id GROUP BY c.segment) s";
        let orders = "SELECT count(*) FROM lake.sales.orders";
        assert_eq!(table::rows(&session, by_segment).await.unwrap(), table::rows(&session, orders).await.unwrap());
    });
}

#[test]
fn names_are_found_where_the_session_stands() {
    shop::block_on(async {
        let session = shop::session();
        let error = session.execute("SELECT * FROM customers").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "table \"customers\" does not exist\nHint: write catalog.schema.table, or choose with USE catalog.schema; \
             catalogs are lake, pg, events, mem, own"
        );
        session.execute("USE pg.public").await.unwrap();
        assert_eq!(table::rows(&session, "SELECT count(*) FROM customers").await.unwrap(), [["3000"]]);
        assert_eq!(table::rows(&session, "SELECT count(*) FROM Customers").await.unwrap(), [["3000"]]);
        assert_eq!(table::rows(&session, "SELECT count(*) FROM \"CUSTOMERS\"").await.unwrap(), [["3000"]]);

        let sql = "SELECT *\nFROM custmers";
        let error = session.execute(sql).await.unwrap_err();
        assert_eq!(
            error.render(sql),
            "table \"pg.public.custmers\" does not exist\nLINE 2: FROM custmers\n             ^\nHint: did you mean \"customers\"?"
        );
        let error = session.execute("SELECT nmae FROM customers").await.unwrap_err();
        assert!(error.to_string().ends_with("did you mean \"name\"?"), "{error}");
        let error = session.execute("SELECT * FROM pgg.public.customers").await.unwrap_err();
        assert_eq!(error.to_string(), "catalog \"pgg\" does not exist\nHint: did you mean \"pg\"?");
    });
}

#[test]
fn hidden_columns_exist_only_where_they_are_named() {
    shop::block_on(async {
        let session = shop::session();
        let plain = session.execute("SELECT * FROM events.default.clicks LIMIT 1").await.unwrap().schema;
        let names: Vec<&str> = plain.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["customer_id", "product_id", "action", "url", "referrer", "at"]);

        let named = "SELECT *, _partition_offset FROM events.default.clicks WHERE _partition_id = 1 LIMIT 1";
        let named = session.execute(named).await.unwrap().schema;
        assert_eq!(named.fields().len(), 7);

        let both = "SELECT * FROM events.default.clicks a JOIN events.default.clicks b \
                    ON a._partition_id = b._partition_id AND a._partition_offset = b._partition_offset";
        assert_eq!(session.execute(both).await.unwrap().schema.fields().len(), 12);
    });
}

#[test]
fn a_self_join_sees_one_moment() {
    shop::block_on(async {
        let session = shop::session();
        let sql = "SELECT count(*) FROM events.default.clicks a JOIN events.default.clicks b \
                   ON a._partition_id = b._partition_id AND a._partition_offset = b._partition_offset";
        let alone = "SELECT count(*) FROM events.default.clicks";
        assert_eq!(table::rows(&session, sql).await.unwrap(), table::rows(&session, alone).await.unwrap());
    });
}

#[test]
fn keys_of_a_join_choose_what_is_read_of_a_topic() {
    shop::block_on(async {
        let session = shop::session();
        let sql = "SELECT count(*) FROM (VALUES (CAST(10 AS bigint)), (CAST(11 AS bigint))) AS v (o) \
                   JOIN events.default.clicks AS c ON c._partition_offset = v.o";
        // Each of the four partitions has both.
        assert_eq!(table::rows(&session, sql).await.unwrap(), [["8"]]);
        let lines = table::rows(&session, &format!("EXPLAIN (ANALYZE, FORMAT JSON) {sql}")).await.unwrap();
        let report: serde_json::Value = serde_json::from_str(&lines.concat().concat()).unwrap();
        let sources = report["sources"].as_array().unwrap();
        let clicks = sources.iter().find(|source| source["connector"] == "kafka").unwrap();
        assert_eq!(clicks["actual"]["rows"].as_u64(), Some(8), "{report:#}");
    });
}

#[test]
fn keys_that_are_times_choose_from_where_a_topic_is_read() {
    shop::block_on(async {
        let session = shop::session();
        // The last time of a partition is near the end of all of them.
        let sql = "SELECT count(*) FROM (SELECT max(_timestamp) AS at FROM events.default.clicks WHERE _partition_id = 0) AS v \
                   JOIN events.default.clicks AS c ON c._timestamp = v.at";
        let all: u64 =
            table::rows(&session, "SELECT count(*) FROM events.default.clicks").await.unwrap()[0][0].parse().unwrap();
        let rows = table::rows(&session, sql).await.unwrap();
        let lines = table::rows(&session, &format!("EXPLAIN (ANALYZE, FORMAT JSON) {sql}")).await.unwrap();
        let report: serde_json::Value = serde_json::from_str(&lines.concat().concat()).unwrap();
        let mut sources = report["sources"].as_array().unwrap().iter();
        let narrowed = sources.rfind(|source| source["connector"] == "kafka").unwrap();
        let read = narrowed["actual"]["rows"].as_u64().unwrap();
        assert!(read > 0 && read < all / 2, "{read} of {all}: {report:#}");
        session.execute("SET SESSION pushdown = 'none'").await.unwrap();
        assert_eq!(table::rows(&session, sql).await.unwrap(), rows);
    });
}

#[test]
fn keys_of_a_join_choose_the_partitions_of_a_topic() {
    shop::block_on(async {
        kafka::create("keyed", 8).await;
        let session = kafka::writing_session(
            "[events.tables.keyed]\npartitioner = \"murmur2\"\npartitions = 8\nkey = { columns = { who = \"varchar\" } }\n\
             value = { columns = { n = \"bigint\" } }\n",
        );
        let fill =
            "INSERT INTO events.default.keyed SELECT 'user-' || (value % 100), value FROM generate_series(1, 4000)";
        assert_eq!(table::rows(&session, fill).await.unwrap(), [["4000"]]);
        let keys =
            "CREATE TABLE mem.default.wanted AS SELECT * FROM (VALUES ('user-7'), ('user-8'), (NULL)) AS v (who)";
        table::rows(&session, keys).await.unwrap();
        let at = "SELECT count(DISTINCT _partition_id) FROM events.default.keyed WHERE _key IN ('user-7', 'user-8')";
        let partitions = table::rows(&session, at).await.unwrap().concat().concat();
        for column in ["who", "_key"] {
            let sql = format!(
                "SELECT count(*), sum(k.n) FROM mem.default.wanted AS w JOIN events.default.keyed AS k ON k.{column} = w.who"
            );
            // Of each: 40 of 4,000; 7, 107, ... 3907 and 8, 108, ... 3908.
            let expected = [[80.to_string(), (40 * (7 + 8) + 2 * 100 * (39 * 40 / 2)).to_string()]];
            assert_eq!(table::rows(&session, &sql).await.unwrap(), expected, "{column}");
            let lines = table::rows(&session, &format!("EXPLAIN (ANALYZE, FORMAT JSON) {sql}")).await.unwrap();
            let report: serde_json::Value = serde_json::from_str(&lines.concat().concat()).unwrap();
            let mut sources = report["sources"].as_array().unwrap().iter();
            let read =
                sources.find(|source| source["connector"] == "kafka").unwrap()["actual"]["rows"].as_u64().unwrap();
            // 100 keys over 8 partitions: none of these holds a third of them.
            assert!((80..4_000 * 2 / 3).contains(&read), "{read} rows of {partitions} partitions: {report:#}");
            session.execute("SET SESSION pushdown = 'none'").await.unwrap();
            assert_eq!(table::rows(&session, &sql).await.unwrap(), expected, "{column}");
            session.execute("RESET pushdown").await.unwrap();
        }
    });
}
