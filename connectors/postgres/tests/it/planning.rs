//! What EXPLAIN shows, and what the planner is told.

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr, lit};
use portolan_connector::{Fold, Scan, Verdict};

use crate::harness::{Database, begin, plan, request, table};

fn col(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

#[tokio::test]
async fn the_request_is_the_select() {
    let database = Database::with(
        "CREATE TABLE t AS SELECT g AS id, g % 10 AS ten, CASE WHEN g % 4 = 0 THEN NULL ELSE 'v' || g END AS name
             FROM generate_series(1, 1000) g;
         ANALYZE t",
    );
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    let snapshot = begin(&connector).await;
    let filters = vec![col("ten").eq(lit(3_i32)), col("name").gt(lit("it's"))];
    let mut asked = request(&t, &["name", "id"], filters);
    assert!(asked.filters.iter().all(|filter| filter.verdict == Verdict::Exact));
    asked = t.fold(&asked, &Fold::Limit(7)).unwrap();
    let planned = plan(&t, &asked, &snapshot).await.unwrap();
    assert_eq!(
        planned.request.as_deref(),
        Some(
            "SELECT \"name\", \"id\" FROM \"public\".\"t\" WHERE \"ten\" = '3'::int4 \
             AND \"name\" COLLATE \"C\" > 'it''s'::text LIMIT 7"
        )
    );
    assert_eq!(
        planned.remote_filters,
        [Some("\"ten\" = '3'::int4".to_owned()), Some("\"name\" COLLATE \"C\" > 'it''s'::text".to_owned())]
    );
    assert_eq!(planned.estimate.rows, Some(7));
    let Scan::Splits(splits) = &planned.scan else { panic!() };
    let text = serde_json::to_string(splits).unwrap();
    assert!(!text.contains(database.server.password()), "{text}");

    // Of 1000 rows a tenth has the digit.
    let planned = plan(&t, &request(&t, &["id"], vec![col("ten").eq(lit(3_i32))]), &snapshot).await.unwrap();
    assert_eq!(planned.estimate.rows, Some(100));
    let everything = plan(&t, &request(&t, &[], vec![]), &snapshot).await.unwrap();
    assert_eq!(everything.request.as_deref(), Some("SELECT FROM \"public\".\"t\""));
    assert_eq!(everything.estimate.rows, Some(1000));
}

#[tokio::test]
async fn a_limit_is_refused_above_a_filter_that_is_not_exact() {
    let database = Database::with("CREATE TABLE t (c json)");
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    let mut asked = request(&t, &["c"], vec![col("c").is_null()]);
    asked.filters[0].verdict = Verdict::Pruning;
    assert!(t.fold(&asked, &Fold::Limit(1)).is_err());
    assert_eq!(t.judge(&col("c").eq(lit("a"))).label(), "refused");
}

/// The types of literals are the columns' own, so that PostgreSQL can use its indexes.
#[tokio::test]
async fn pushed_filters_use_indexes() {
    let database = Database::with(
        "CREATE TYPE mood AS ENUM ('low', 'high');
         CREATE TABLE t AS SELECT g::int2 AS i2, g AS i4, g::int8 AS i8, g::float4 AS f4, g::float8 AS f8, g::numeric(12,2) AS n,
             'v' || g AS t, ('v' || g)::varchar(9) AS vc, ('v' || g)::char(9) AS ch, ('1970-01-01'::date + g) AS d,
             ('1970-01-01'::timestamp + g * interval '1 s') AS ts, ('1970-01-01 00:00+00'::timestamptz + g * interval '1 s') AS tz,
             ('00:00'::time + g * interval '1 s') AS ti, md5(g::text)::uuid AS u, decode(md5(g::text), 'hex') AS by,
             (CASE WHEN g = 1 THEN 'high' ELSE 'low' END)::mood AS e
         FROM generate_series(1, 20000) g;
         DO $$ DECLARE c record; BEGIN
             FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 LOOP
                 EXECUTE format('CREATE INDEX ON t (%I)', c.attname);
             END LOOP;
         END $$;
         ANALYZE t",
    );
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    let snapshot = begin(&connector).await;
    for (column, value) in [
        ("i2", ScalarValue::Int16(Some(7))),
        ("i4", ScalarValue::Int32(Some(7))),
        ("i8", ScalarValue::Int64(Some(7))),
        ("f4", ScalarValue::Float32(Some(7.0))),
        ("f8", ScalarValue::Float64(Some(7.0))),
        ("n", ScalarValue::Decimal128(Some(700), 12, 2)),
        ("t", ScalarValue::from("v7")),
        ("vc", ScalarValue::from("v7")),
        ("ch", ScalarValue::from("v7")),
        ("d", ScalarValue::Date32(Some(7))),
        ("ts", ScalarValue::TimestampMicrosecond(Some(7_000_000), None)),
        ("tz", ScalarValue::TimestampMicrosecond(Some(7_000_000), Some("UTC".into()))),
        ("ti", ScalarValue::Time64Microsecond(Some(7_000_000))),
        ("u", ScalarValue::from("8f14e45f-ceea-167a-5a36-dedd4bea2543")),
        ("by", ScalarValue::Binary(Some(vec![0x8f, 0x14]))),
        ("e", ScalarValue::from("high")),
    ] {
        let filter = col(column).eq(Expr::Literal(value, None));
        assert_eq!(t.judge(&filter), Verdict::Exact, "{filter}");
        let planned = plan(&t, &request(&t, &["i4"], vec![filter]), &snapshot).await.unwrap();
        let explained = database.psql(&format!("EXPLAIN {}", planned.request.unwrap()));
        assert!(explained.contains("Index"), "{column}: {explained}");
    }
}

#[tokio::test]
async fn the_values_of_an_enum_are_known() {
    let database = Database::with(
        "CREATE SCHEMA \"my types\"; CREATE TYPE \"my types\".\"Mood \"\"Q\" AS ENUM ('A', 'it''s');
         CREATE TABLE t (e \"my types\".\"Mood \"\"Q\"); INSERT INTO t VALUES ('A'), ('it''s')",
    );
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    assert_eq!(t.judge(&col("e").eq(lit("it's"))), Verdict::Exact);
    assert_eq!(t.judge(&col("e").eq(lit("absent"))).label(), "refused");
    let rows = crate::harness::read(&connector, &t, &["e"], vec![col("e").eq(lit("it's"))]).await.unwrap();
    assert_eq!(rows, [[crate::harness::utf8("it's")]]);
}
