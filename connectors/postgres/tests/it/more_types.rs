//! Types that the engine has no values of its own for, as texts, maps and nested lists; and what is out of range.
//!
//! The expected texts are psql's.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::ScalarValue as S;
use datafusion::prelude::{col, lit};
use portolan_connector::{ConnectorTable, Verdict};
use std::sync::Arc;

use crate::harness::{Database, read, table, utf8};

/// A type, and values of it as SQL writes them.
const TEXTS: &[(&str, &[&str])] = &[
    ("bit(3)", &["B'101'", "B'000'"]),
    ("varbit", &["B''", "B'1'", "B'1010101010101'"]),
    ("timetz", &["'01:02:03+05:45'", "'24:00-15:59:59'", "'00:00:00.000001-00:30'"]),
    ("\"char\"", &["'x'", "''", "'\\377'", "'ab'"]),
    ("macaddr", &["'08-00-2b-01-02-03'"]),
    ("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    ("inet", &["'10.0.0.1'", "'10.0.0.1/8'", "'::1:0:0:1:0:0'", "'::ffff:1.2.3.4/96'", "'::1:2'", "'1:0:2:3:4:5:6:0'"]),
    ("cidr", &["'10.1.2.0/24'", "'10.0.0.1'", "'2001:db8::/32'", "'::'"]),
    ("xml", &["'<a>ą &amp; b</a>'", "'text'"]),
    ("pair", &["ROW(1, 'x')", "ROW(NULL, NULL)", "ROW(NULL, 'a \"b\", c')"]),
    ("int4range", &["'[1,5]'", "'empty'", "'(,)'"]),
    ("numrange", &["'[1.50,2)'"]),
    ("daterange", &["'[2020-01-01,infinity]'"]),
    ("tsrange", &["'[2010-01-01 14:30, 2010-01-01 15:30)'"]),
    ("tstzrange", &["'[2010-01-01 14:30+03, 2010-01-01 15:30+03)'"]),
    ("int8multirange", &["'{[1,2),[5,7]}'", "'{}'"]),
    ("floats", &["'[0.1,0.30000000000000004)'"]),
    ("point", &["'(1,2.5)'", "'(NaN,Infinity)'"]),
    ("line", &["'{1,-1,0}'"]),
    ("lseg", &["'[(0,0),(1,1)]'"]),
    ("box", &["'(1,1),(0,0)'"]),
    ("path", &["'((0,0),(1,1))'", "'[(0,0),(1,1)]'"]),
    ("polygon", &["'((0,0),(1,1),(1,0))'"]),
    ("circle", &["'<(0,0),1e-20>'"]),
    ("tsvector", &["'a:1 b:2A'", "''"]),
    ("tsquery", &["'a & !b'"]),
    ("jsonpath", &["'$.a[*] ? (@ > 1)'"]),
    ("pg_lsn", &["'16/B374D848'"]),
    ("tid", &["'(4294967294,7)'"]),
    ("xid", &["'4294967295'"]),
    ("xid8", &["'18446744073709551615'"]),
    ("cid", &["'7'"]),
    ("regclass", &["'pg_class'", "'odd'"]),
    ("regtype", &["'timestamptz'"]),
    ("txid_snapshot", &["'10:20:10,14'"]),
    ("refcursor", &["'c'"]),
    ("weight", &["'2.50'"]),
];

const SETUP: &str =
    "CREATE TYPE pair AS (a int, b text); CREATE TABLE odd (); CREATE TYPE floats AS RANGE (SUBTYPE = float8);
CREATE TYPE weight;
CREATE FUNCTION weight_in(cstring) RETURNS weight AS 'textin' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION weight_out(weight) RETURNS cstring AS 'textout' LANGUAGE internal IMMUTABLE STRICT;
CREATE TYPE weight (INPUT = weight_in, OUTPUT = weight_out, LIKE = text);";

/// One table for each type, its values and a NULL, in order.
fn script() -> String {
    let mut script = String::from(SETUP);
    for (at, (kind, values)) in TEXTS.iter().enumerate() {
        script.push_str(&format!("CREATE TABLE t{at} (id serial, v {kind}, a {kind}[]);\n"));
        for value in *values {
            script.push_str(&format!("INSERT INTO t{at} (v, a) VALUES ({value}, ARRAY[{value}, NULL]::{kind}[]);\n"));
        }
        script.push_str(&format!("INSERT INTO t{at} (v) VALUES (NULL);\n"));
    }
    script
}

fn text(value: &S) -> Option<String> {
    match value {
        S::Utf8(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn other_types_are_texts_as_psql_prints_them() {
    let database = Database::with(&script());
    let connector = database.connector();
    for (at, (kind, values)) in TEXTS.iter().enumerate() {
        let t = table(&connector, "public", &format!("t{at}")).await;
        assert!(t.unsupported_columns().is_empty(), "{kind}");
        let mut rows = read(&connector, &t, &["id", "v", "a"], vec![]).await.unwrap();
        rows.sort_by(|a, b| a[0].partial_cmp(&b[0]).unwrap());
        // psql cannot tell NULL from an empty text; the last row is the only NULL.
        let printed = database.psql(&format!("SET TimeZone = 'UTC'; SELECT v FROM t{at} ORDER BY id"));
        let printed: Vec<&str> = printed.split('\n').skip_while(|line| *line == "SET").collect();
        for (row, printed) in rows.iter().zip(printed.iter()).take(values.len()) {
            assert_eq!(text(&row[1]).as_deref(), Some(*printed), "{kind}");
            let S::List(list) = &row[2] else { panic!("{:?}", row[2]) };
            let list = list.value(0);
            let list = list.as_string::<i32>();
            assert_eq!((list.value(0), list.is_null(1), list.len()), (*printed, true, 2), "{kind}[]");
        }
        assert_eq!(rows.len(), values.len() + 1);
        assert!(rows.last().unwrap()[1].is_null(), "{kind}");
    }
}

/// What is compared is what the engine sees: a text. Only a type of which nothing is known is not compared at all.
#[tokio::test]
async fn other_types_are_compared_as_texts() {
    let database = Database::with(&script());
    let connector = database.connector();
    for (at, (kind, values)) in TEXTS.iter().enumerate() {
        let t = table(&connector, "public", &format!("t{at}")).await;
        let rows = read(&connector, &t, &["v"], vec![]).await.unwrap();
        let of = |filter| read(&connector, &t, &["v"], vec![filter]);
        for row in &rows[..values.len()] {
            let filter = col("v").eq(lit(row[0].clone()));
            let expected = if *kind == "weight" { 0 } else { rows.iter().filter(|other| *other == row).count() };
            match t.judge(&filter) {
                Verdict::Exact => assert_eq!(of(filter).await.unwrap().len(), expected, "{kind}: {row:?}"),
                Verdict::Refused(reason) => assert!(*kind == "weight", "{kind}: {reason}"),
                Verdict::Pruning => panic!("{kind}"),
            }
        }
        // A row of NULLs is a text, and no NULL, to the engine; PostgreSQL's own IS NULL takes it for one.
        assert_eq!(of(col("v").is_null()).await.unwrap().len(), 1, "{kind}");
        assert_eq!(of(col("v").is_not_null()).await.unwrap().len(), values.len(), "{kind}");
    }
}

#[tokio::test]
async fn addresses_are_found_by_their_own_spelling_only() {
    let database = Database::with("CREATE TABLE t (i inet, c cidr); INSERT INTO t VALUES ('10.0.0.1', '10.0.0.0/8')");
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    let taken = |column: &str, text: &str| t.judge(&col(column).eq(lit(text))) == Verdict::Exact;
    assert!(taken("i", "10.0.0.1") && taken("i", "10.0.0.1/8") && taken("c", "10.0.0.0/8"));
    assert!(!taken("i", "10.0.0.1/32") && !taken("i", "x") && !taken("c", "10.0.0.0") && !taken("c", "10.0.0.1/8"));
    let sent = read(&connector, &t, &["i"], vec![col("i").in_list(vec![lit("10.0.0.1"), lit("::1")], false)]);
    assert_eq!(sent.await.unwrap(), [[utf8("10.0.0.1")]]);
}

#[tokio::test]
async fn numbers_of_the_system_and_money() {
    let database = Database::with(
        "CREATE TABLE t (id int, o oid, m money, a money[]);
         INSERT INTO t VALUES (1, 4294967295, '-$1,234.50', '{1.25,NULL}'), (2, 0, 92233720368547758.07, '{}'), (3, NULL, NULL, NULL)",
    );
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    let mut rows = read(&connector, &t, &["id", "o", "m", "a"], vec![]).await.unwrap();
    rows.sort_by(|a, b| a[0].partial_cmp(&b[0]).unwrap());
    let money = |hundredths| S::Decimal128(hundredths, 19, 2);
    let found: Vec<_> = rows.iter().map(|row| (row[1].clone(), row[2].clone())).collect();
    assert_eq!(
        found,
        [
            (S::Int64(Some(4_294_967_295)), money(Some(-123_450))),
            (S::Int64(Some(0)), money(Some(9_223_372_036_854_775_807))),
            (S::Int64(None), money(None)),
        ]
    );
    assert_eq!(rows[0][3].to_string(), "[1.25, ]");
    for (filter, expected) in [
        (col("o").gt(lit(4_294_967_294_i64)), 1),
        (col("o").lt_eq(lit(4_294_967_294_i64)), 1),
        (col("m").lt(lit(money(Some(0)))), 1),
        (col("m").eq(lit(money(Some(-123_450)))), 1),
    ] {
        assert_eq!(t.judge(&filter), Verdict::Exact, "{filter}");
        assert_eq!(read(&connector, &t, &["id"], vec![filter.clone()]).await.unwrap().len(), expected, "{filter}");
    }
    for beyond in [-1, 4_294_967_296_i64] {
        assert!(t.judge(&col("o").eq(lit(beyond))).reason().is_some_and(|reason| reason.as_str().contains("oids")));
    }
}

#[tokio::test]
async fn hstores_are_maps() {
    let database = Database::with(
        r#"CREATE EXTENSION hstore;
           CREATE TABLE t (id int, h hstore, a hstore[]);
           INSERT INTO t VALUES (1, 'key1=>" \" ", key2=>NULL, ą=>"]) "', ARRAY['a=>1'::hstore, '']), (2, '', NULL), (3, NULL, '{}')"#,
    );
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    let mut rows = read(&connector, &t, &["id", "h", "a"], vec![]).await.unwrap();
    rows.sort_by(|a, b| a[0].partial_cmp(&b[0]).unwrap());
    let S::Map(map) = &rows[0][1] else { panic!("{:?}", rows[0][1]) };
    let pairs = map.value(0);
    let (keys, values) = (pairs.column(0).as_string::<i32>(), pairs.column(1).as_string::<i32>());
    let mut pairs: Vec<_> = keys.iter().flatten().zip(values.iter()).collect();
    pairs.sort_unstable();
    assert_eq!(pairs, [("key1", Some(" \" ")), ("key2", None), ("ą", Some("]) "))]);
    let S::Map(empty) = &rows[1][1] else { panic!("{:?}", rows[1][1]) };
    assert_eq!(empty.value_length(0), 0);
    assert!(rows[2][1].is_null());
    let S::List(list) = &rows[0][2] else { panic!("{:?}", rows[0][2]) };
    assert_eq!(list.value(0).as_map().value_length(0), 1);
    assert_eq!(t.judge(&col("h").is_null()), Verdict::Exact);
}

#[tokio::test]
async fn arrays_have_the_dimensions_that_their_columns_declare() {
    let database = Database::with(
        "CREATE DOMAIN grid AS int[][];
         CREATE TABLE t (id int, a int[][], g grid, f float8[][][]);
         INSERT INTO t VALUES (1, '{{1,2},{NULL,NULL},{3,4}}', '{{7}}', '{{{1.5},{2}},{{3},{4}}}'), (2, '{}', NULL, '{}');
         CREATE TABLE other (a int[][]); INSERT INTO other VALUES ('{1}');
         CREATE VIEW undeclared AS SELECT array_agg(id) AS ids FROM t",
    );
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    let list = |of| DataType::new_list(of, true);
    let types: Vec<_> = t.columns().iter().map(|column| column.field.data_type().clone()).collect();
    assert_eq!(types[1..3], [list(list(DataType::Int32)), list(list(DataType::Int32))]);
    assert_eq!(types[3], list(list(list(DataType::Float64))));
    let mut rows = read(&connector, &t, &["id", "a", "g", "f"], vec![]).await.unwrap();
    rows.sort_by(|a, b| a[0].partial_cmp(&b[0]).unwrap());
    let S::List(outer) = &rows[0][1] else { panic!("{:?}", rows[0][1]) };
    let lists = outer.value(0);
    let lists: Vec<Vec<Option<i32>>> =
        lists.as_list::<i32>().iter().map(|list| list.unwrap().as_primitive::<Int32Type>().iter().collect()).collect();
    assert_eq!(lists, [vec![Some(1), Some(2)], vec![None, None], vec![Some(3), Some(4)]]);
    let shown: Vec<String> = rows.iter().flatten().map(ToString::to_string).collect();
    assert_eq!(shown[2..4], ["[[7]]", "[[[1.5], [2.0]], [[3.0], [4.0]]]"]);
    assert_eq!((shown[5].as_str(), rows[1][2].is_null(), shown[7].as_str()), ("[]", true, "[]"));
    let other = table(&connector, "public", "other").await;
    let error = read(&connector, &other, &["a"], vec![]).await.unwrap_err();
    assert!(error.contains("column \"a\"") && error.contains("1 dimensions, where the column declares 2"), "{error}");
    let undeclared = table(&connector, "public", "undeclared").await;
    assert_eq!(undeclared.columns()[0].field.data_type(), &list(DataType::Int32));
}

const MOMENTS: &str = "CREATE TABLE t (id int, d date, ti time, ts timestamp, tz timestamptz);
INSERT INTO t VALUES (1, 'infinity', '24:00', 'infinity', 'infinity'), (2, '-infinity', '00:00', '-infinity', '-infinity'),
    (3, '2020-01-01', '12:00', '2020-01-01', '2020-01-01 00:00+00'),
    (4, '5874897-12-31', '23:59:59.999999', '294276-12-31', '294276-12-31 00:00+00'),
    (5, '4714-11-24 BC', '00:00:00.000001', '4714-11-24 BC', '4714-11-24 00:00+00 BC'),
    (6, NULL, NULL, '294247-01-10 04:00:54.775807', '294247-01-10 04:00:54.775806+00')";

#[tokio::test]
async fn dates_and_times_out_of_range_can_be_clamped() {
    let database = Database::with(MOMENTS);
    let connector = database.connector_with("temporal_out_of_range = 'clamp'");
    let t = table(&connector, "public", "t").await;
    let mut rows = read(&connector, &t, &["id", "d", "ti", "ts", "tz"], vec![]).await.unwrap();
    rows.sort_by(|a, b| a[0].partial_cmp(&b[0]).unwrap());
    const DAY: i64 = 86_400_000_000;
    let stamp = |micros| S::TimestampMicrosecond(Some(micros), None);
    let instant = |micros| S::TimestampMicrosecond(Some(micros), Some("UTC".into()));
    let row = |at: usize| rows[at][1..].to_vec();
    let time = |micros| S::Time64Microsecond(Some(micros));
    assert_eq!(row(0), [S::Date32(Some(i32::MAX)), time(DAY - 1), stamp(i64::MAX), instant(i64::MAX)]);
    assert_eq!(row(1), [S::Date32(Some(i32::MIN)), time(0), stamp(i64::MIN), instant(i64::MIN)]);
    let day = 18_262 * DAY;
    assert_eq!(row(2), [S::Date32(Some(18_262)), time(DAY / 2), stamp(day), instant(day)]);
    assert_eq!(row(3), [S::Date32(Some(2_145_042_905)), time(DAY - 1), stamp(i64::MAX), instant(i64::MAX)]);
    assert_eq!(rows[5][3..], [stamp(i64::MAX), instant(i64::MAX - 1)]);
    // What is compared with the last of all means several values of PostgreSQL's.
    for filter in [
        col("ts").eq(lit(stamp(i64::MAX))),
        col("ts").lt(lit(stamp(i64::MIN))),
        col("d").gt_eq(lit(S::Date32(Some(i32::MAX)))),
        col("ti").eq(lit(time(DAY - 1))),
        col("ts").eq(col("ts")),
    ] {
        assert!(t.judge(&filter).reason().is_some(), "{filter}");
    }
    for (filter, expected) in [
        (col("ts").gt(lit(stamp(day))), 3),
        (col("tz").lt_eq(lit(instant(day))), 3),
        (col("ti").gt(lit(time(DAY / 2))), 2),
        (col("d").not_eq(lit(S::Date32(Some(18_262)))), 4),
    ] {
        assert_eq!(t.judge(&filter), Verdict::Exact, "{filter}");
        assert_eq!(read(&connector, &t, &["id"], vec![filter.clone()]).await.unwrap().len(), expected, "{filter}");
    }
}

#[tokio::test]
async fn what_is_out_of_range_is_an_error_that_says_what_to_set() {
    let database = Database::with(MOMENTS);
    let connector = database.connector();
    let t: Arc<dyn ConnectorTable> = table(&connector, "public", "t").await;
    for column in ["d", "ti", "ts", "tz"] {
        let error = read(&connector, &t, &[column], vec![]).await.unwrap_err();
        for mention in ["catalog pg, table public.t: ", &format!("column \"{column}\""), "temporal_out_of_range"] {
            assert!(error.contains(mention), "{mention} is not in: {error}");
        }
    }
}
