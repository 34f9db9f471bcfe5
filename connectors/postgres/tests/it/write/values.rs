//! Values of every type, written, and read by psql as text and by us.
//!
//! The texts are what PostgreSQL's documentation says that its types print; so the encoder and the decoder cannot be wrong
//! in the same way.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, ListArray, StringArray};
use arrow::datatypes::{Int32Type, IntervalMonthDayNano, i256};
use datafusion::common::ScalarValue as S;

use super::{batch, column, has, insert, writable};
use crate::harness::{Database, read, table, utf8};

/// Values of one type, as they are written and as psql must see them.
async fn check(setup: &str, type_name: &str, values: Vec<(S, &str)>) {
    check_with(setup, "", type_name, values).await;
}

async fn check_with(setup: &str, properties: &str, type_name: &str, mut values: Vec<(S, &str)>) {
    let null = S::try_from(&values[0].0.data_type()).unwrap();
    values.push((null, "NULL"));
    let database = Database::with(&format!("{setup}; CREATE TABLE t (id int, v {type_name})"));
    let connector = database.connector_with(&format!("access = 'read_write'\n{properties}"));
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..i32::try_from(values.len()).unwrap()));
    let given: Vec<S> = values.iter().map(|(value, _)| value.clone()).collect();
    let written = insert(&connector, "t", batch(vec![("id", ids), ("v", column(&given))])).await;
    assert_eq!(written, Ok(values.len() as u64), "{type_name}");
    let seen = database.psql("SELECT coalesce(replace(v::text, E'\\n', '<newline>'), 'NULL') FROM t ORDER BY id");
    let expected: Vec<&str> = values.iter().map(|(_, text)| *text).collect();
    assert_eq!(seen.split('\n').collect::<Vec<_>>(), expected, "{type_name}");
    let t = table(&connector, "public", "t").await;
    let mut rows = read(&connector, &t, &["id", "v"], vec![]).await.unwrap();
    rows.sort_by(|a, b| a[0].partial_cmp(&b[0]).unwrap());
    let read: Vec<S> = rows.into_iter().map(|mut row| row.remove(1)).collect();
    assert_eq!(read, given, "{type_name}");
}

/// A value that PostgreSQL or its type does not take: the error names the catalog, the table and the column, and no row
/// is there.
async fn fails(type_name: &str, value: S, mentions: &[&str]) {
    let database = Database::with(&format!("CREATE TABLE t (id int, v {type_name})"));
    let connector = writable(&database);
    let null = S::try_from(&value.data_type()).unwrap();
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let rows = batch(vec![("id", ids), ("v", column(&[null, value]))]);
    let error = insert(&connector, "t", rows).await.unwrap_err();
    has(&error, &["catalog pg, table public.t: "]);
    has(&error, mentions);
    assert_eq!(database.psql("SELECT count(*) FROM t"), "0", "{type_name}");
    // The session is good for another write.
    let rows = batch(vec![("id", Arc::new(Int32Array::from(vec![1])))]);
    assert_eq!(insert(&connector, "t", rows).await, Ok(1));
}

#[tokio::test]
async fn booleans_and_integers() {
    check("", "boolean", vec![(S::from(true), "true"), (S::from(false), "false")]).await;
    check("", "smallint", vec![(S::from(i16::MIN), "-32768"), (S::from(i16::MAX), "32767")]).await;
    check("", "int", vec![(S::from(i32::MIN), "-2147483648"), (S::from(i32::MAX), "2147483647")]).await;
    check("", "bigint", vec![(S::from(i64::MIN), "-9223372036854775808"), (S::from(i64::MAX), "9223372036854775807")])
        .await;
}

#[tokio::test]
async fn floats() {
    check(
        "",
        "real",
        vec![
            (S::from(0.1_f32), "0.1"),
            (S::from(f32::NAN), "NaN"),
            (S::from(f32::NEG_INFINITY), "-Infinity"),
            (S::from(1e-45_f32), "1e-45"),
            (S::from(f32::MAX), "3.4028235e+38"),
        ],
    )
    .await;
    check(
        "",
        "float8",
        vec![
            (S::from(0.1), "0.1"),
            (S::from(f64::NAN), "NaN"),
            (S::from(f64::INFINITY), "Infinity"),
            (S::from(5e-324), "5e-324"),
            (S::from(f64::MAX), "1.7976931348623157e+308"),
        ],
    )
    .await;
}

#[tokio::test]
async fn numerics() {
    let decimal = |value: i128, precision, scale| S::Decimal128(Some(value), precision, scale);
    check(
        "",
        "numeric(12,2)",
        vec![
            (decimal(1_234, 12, 2), "12.34"),
            (decimal(-999_999_999_999, 12, 2), "-9999999999.99"),
            (decimal(0, 12, 2), "0.00"),
            (decimal(-1, 12, 2), "-0.01"),
            (decimal(1_000_000, 12, 2), "10000.00"),
        ],
    )
    .await;
    check("", "numeric(38,0)", vec![(decimal(10_i128.pow(38) - 1, 38, 0), "99999999999999999999999999999999999999")])
        .await;
    check("", "numeric(38,38)", vec![(decimal(-12_345, 38, 38), "-0.00000000000000000000000000000000012345")]).await;
    let wide = |text: &str, precision, scale| S::Decimal256(i256::from_string(text), precision, scale);
    check(
        "",
        "numeric(65,25)",
        vec![(
            wide("-12345678901234567890123456789012345678901234567890000000000000000", 65, 25),
            "-1234567890123456789012345678901234567890.1234567890000000000000000",
        )],
    )
    .await;
    // Without a declared scale, the scale that the catalog's decimals have.
    check("", "numeric", vec![(decimal(11_000_000_000_000_000, 38, 16), "1.1000000000000000")]).await;
    check_with(
        "",
        "numeric = 'varchar'",
        "numeric",
        vec![
            (utf8("1.10"), "1.10"),
            (utf8("NaN"), "NaN"),
            (utf8("-Infinity"), "-Infinity"),
            (utf8("0.00012"), "0.00012"),
            (utf8("-123456789.000"), "-123456789.000"),
            (utf8("1000000000000000000000000000000000000000000000"), "1000000000000000000000000000000000000000000000"),
        ],
    )
    .await;
    check_with(
        "",
        "numeric = 'double'",
        "numeric",
        vec![
            (S::from(0.1), "0.1"),
            (S::from(1e20), "100000000000000000000"),
            (S::from(-2.5e-7), "-0.00000025"),
            (S::from(f64::NAN), "NaN"),
        ],
    )
    .await;
}

#[tokio::test]
async fn texts_and_bytes() {
    check(
        "",
        "text",
        vec![
            (utf8(""), ""),
            (utf8("line\nbreak \\ backslash"), "line<newline>break \\ backslash"),
            (utf8("攻殻機動隊 😂"), "攻殻機動隊 😂"),
            (utf8("\\N"), "\\N"),
        ],
    )
    .await;
    check("", "varchar(3)", vec![(utf8("ą ,"), "ą ,")]).await;
    check("", "char(5)", vec![(utf8("ab"), "ab"), (utf8(" a"), " a")]).await;
    check("", "name", vec![(utf8("abc"), "abc")]).await;
    check("CREATE EXTENSION citext", "citext", vec![(utf8("MiXed"), "MiXed")]).await;
    check("CREATE TYPE mood AS ENUM ('b', 'C \"d')", "mood", vec![(utf8("b"), "b"), (utf8("C \"d"), "C \"d")]).await;
    check("", "json", vec![(utf8("{\"b\": 1,  \"a\":2}"), "{\"b\": 1,  \"a\":2}")]).await;
    check("", "jsonb", vec![(utf8("{\"a\": 2, \"b\": 1}"), "{\"a\": 2, \"b\": 1}")]).await;
    check("", "uuid", vec![(utf8("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")])
        .await;
    let bytes = |bytes: &[u8]| S::Binary(Some(bytes.to_vec()));
    check("", "bytea", vec![(bytes(&[]), "\\x"), (bytes(&[0, 255, 92]), "\\x00ff5c")]).await;
    check("CREATE DOMAIN short AS varchar(4) CHECK (value <> 'no')", "short", vec![(utf8("yes"), "yes")]).await;
}

#[tokio::test]
async fn dates_and_times() {
    check(
        "",
        "date",
        vec![
            (S::Date32(Some(0)), "1970-01-01"),
            (S::Date32(Some(-1)), "1969-12-31"),
            (S::Date32(Some(11_016)), "2000-02-29"),
            // Julian day 0, and the last day of PostgreSQL's.
            (S::Date32(Some(-2_440_588)), "4714-11-24 BC"),
            (S::Date32(Some(2_145_042_905)), "5874897-12-31"),
        ],
    )
    .await;
    let time = |micros| S::Time64Microsecond(Some(micros));
    check("", "time", vec![(time(0), "00:00:00"), (time(86_399_999_999), "23:59:59.999999")]).await;
    let stamp = |micros| S::TimestampMicrosecond(Some(micros), None);
    check(
        "",
        "timestamp",
        vec![
            (stamp(0), "1970-01-01 00:00:00"),
            (stamp(-1), "1969-12-31 23:59:59.999999"),
            (stamp(253_402_300_799_999_999), "9999-12-31 23:59:59.999999"),
        ],
    )
    .await;
    let instant = |micros| S::TimestampMicrosecond(Some(micros), Some("UTC".into()));
    check(
        "ALTER ROLE CURRENT_USER SET timezone = 'UTC'; SET timezone = 'UTC'",
        "timestamptz",
        vec![(instant(1_582_977_600_500_000), "2020-02-29 12:00:00.5+00")],
    )
    .await;
    let interval = |months, days, nanos| S::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos)));
    check(
        "",
        "interval",
        vec![
            (interval(14, 3, 3_600_000_001_000), "1 year 2 mons 3 days 01:00:00.000001"),
            (interval(0, -1, 0), "-1 days"),
        ],
    )
    .await;
}

#[tokio::test]
async fn arrays() {
    let database = Database::with(
        "CREATE DOMAIN positive AS int CHECK (value > 0); CREATE TYPE mood AS ENUM ('b', 'a');
         CREATE TABLE t (id int, i int[], d positive[], m mood[])",
    );
    let connector = writable(&database);
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    let numbers =
        ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None, Some(-3)]), Some(vec![]), None]);
    let positive = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None, Some(vec![])]);
    let field = Arc::new(arrow::datatypes::Field::new_list_field(arrow::datatypes::DataType::Utf8, true));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 0, 1]);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["b", "a", "a"]));
    let moods = ListArray::new(field, offsets, texts, None);
    let rows = batch(vec![("id", ids), ("i", Arc::new(numbers)), ("d", Arc::new(positive)), ("m", Arc::new(moods))]);
    assert_eq!(insert(&connector, "t", rows.clone()).await, Ok(3));
    let seen = database.psql("SELECT i, d, m FROM t ORDER BY id");
    assert_eq!(seen, "{1,NULL,-3}|{1}|{b,a}\n{}||{}\n|{}|{a}");
    let t = table(&connector, "public", "t").await;
    let mut read = read(&connector, &t, &["id", "i", "d", "m"], vec![]).await.unwrap();
    read.sort_by(|a, b| a[0].partial_cmp(&b[0]).unwrap());
    assert_eq!(read, crate::harness::rows(&[rows]));
}

#[tokio::test]
async fn values_that_are_out_of_range() {
    fails("varchar(3)", utf8("abcd"), &["value too long for type character varying(3)", "row 2, column v"]).await;
    fails("char(2)", utf8("abc"), &["value too long for type character(2)", "row 2, column v"]).await;
    fails("numeric(4,2)", S::Decimal128(Some(10_000), 4, 2), &["numeric field overflow", "row 2, column v"]).await;
    fails("date", S::Date32(Some(i32::MAX)), &["date out of range", "column v"]).await;
    fails("date", S::Date32(Some(i32::MIN)), &["column \"v\" (date)", "out of PostgreSQL's range"]).await;
    fails("timestamp", S::TimestampMicrosecond(Some(i64::MIN + 1), None), &["column \"v\"", "PostgreSQL's range"])
        .await;
    fails("timestamp", S::TimestampMicrosecond(Some(-300_000_000_000_000_000), None), &["timestamp out of range"])
        .await;
    fails("text", utf8("a\0b"), &["column \"v\" (text)", "NUL character"]).await;
    fails("jsonb", utf8("{"), &["invalid input syntax for type json", "column v"]).await;
    fails("json", utf8("{"), &["invalid input syntax for type json", "column v"]).await;
    fails("uuid", utf8("a0eebc99"), &["column \"v\" (uuid)", "'a0eebc99', which is no uuid"]).await;
    fails("int CHECK (v < 5)", S::from(7_i32), &["violates check constraint \"t_v_check\"", "Failing row contains"])
        .await;
}
