//! Every type there and back, with extremes.
//!
//! Expected values come from PostgreSQL's documentation of its types and from arithmetic, not from our output.

use std::sync::Arc;

use arrow::array::{Array, Int32Array, ListArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano, i256};
use datafusion::common::ScalarValue as S;

use crate::harness::{Database, read, table, utf8};

/// Values of one type, as SQL writes them and as they must arrive.
async fn check(setup: &str, type_name: &str, values: Vec<(&str, S)>) {
    check_with(setup, "", type_name, values).await;
}

async fn check_with(setup: &str, properties: &str, type_name: &str, values: Vec<(&str, S)>) {
    let mut script = format!("{setup}; CREATE TABLE t (id serial, v {type_name});\n");
    for (literal, _) in &values {
        script.push_str(&format!("INSERT INTO t (v) VALUES ({literal});\n"));
    }
    script.push_str("INSERT INTO t (v) VALUES (NULL);");
    let database = Database::with(&script);
    let connector = database.connector_with(properties);
    let t = table(&connector, "public", "t").await;
    let mut rows = read(&connector, &t, &["id", "v"], vec![]).await.unwrap();
    rows.sort_by(|a, b| a[0].partial_cmp(&b[0]).unwrap());
    assert_eq!(rows.len(), values.len() + 1);
    for ((literal, expected), row) in values.iter().zip(&rows) {
        assert_eq!(&row[1], expected, "{literal}::{type_name}");
    }
    let null = &rows.last().unwrap()[1];
    assert!(null.is_null(), "{null:?}");
    assert_eq!(Some(null.data_type()), values.first().map(|(_, value)| value.data_type()));
}

/// A value that the engine cannot hold: the error names the table, the column and its type, and the value.
async fn fails(type_name: &str, literal: &str, mentions: &[&str]) {
    let database = Database::with(&format!("CREATE TABLE t (v {type_name}); INSERT INTO t VALUES ({literal})"));
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    let error = read(&connector, &t, &["v"], vec![]).await.unwrap_err();
    for mention in [&["catalog pg, table public.t: ", "column \"v\""], mentions].concat() {
        assert!(error.contains(mention), "{mention} is not in: {error}");
    }
}

#[tokio::test]
async fn booleans_and_integers() {
    check("", "boolean", vec![("true", S::Boolean(Some(true))), ("false", S::Boolean(Some(false)))]).await;
    check("", "smallint", vec![("-32768", S::Int16(Some(i16::MIN))), ("32767", S::Int16(Some(i16::MAX)))]).await;
    check("", "int", vec![("-2147483648", S::Int32(Some(i32::MIN))), ("2147483647", S::Int32(Some(i32::MAX)))]).await;
    check(
        "",
        "bigint",
        vec![
            ("-9223372036854775808", S::Int64(Some(i64::MIN))),
            ("9223372036854775807", S::Int64(Some(i64::MAX))),
            ("0", S::Int64(Some(0))),
        ],
    )
    .await;
}

#[tokio::test]
async fn floats() {
    check(
        "",
        "real",
        vec![
            ("0.1", S::Float32(Some(0.1))),
            ("'NaN'", S::Float32(Some(f32::NAN))),
            ("'-Infinity'", S::Float32(Some(f32::NEG_INFINITY))),
            ("'1e-45'", S::Float32(Some(1e-45))),
            ("'3.4028235e38'", S::Float32(Some(f32::MAX))),
        ],
    )
    .await;
    check(
        "",
        "float8",
        vec![
            ("0.1", S::Float64(Some(0.1))),
            ("'-0'", S::Float64(Some(0.0))),
            // The processor makes a negative NaN of it.
            ("'NaN'", S::Float64(Some(f64::NAN))),
            ("'Infinity'", S::Float64(Some(f64::INFINITY))),
            ("'5e-324'", S::Float64(Some(5e-324))),
            ("'1.7976931348623157e308'", S::Float64(Some(f64::MAX))),
        ],
    )
    .await;
}

#[tokio::test]
async fn numerics_with_a_precision() {
    let decimal = |value: i128, precision, scale| S::Decimal128(Some(value), precision, scale);
    check(
        "",
        "numeric(12,2)",
        vec![
            ("12.34", decimal(1_234, 12, 2)),
            ("-9999999999.99", decimal(-999_999_999_999, 12, 2)),
            ("0", decimal(0, 12, 2)),
            ("0.01", decimal(1, 12, 2)),
            ("10000", decimal(1_000_000, 12, 2)),
        ],
    )
    .await;
    check(
        "",
        "numeric(38,0)",
        vec![
            ("99999999999999999999999999999999999999", decimal(10_i128.pow(38) - 1, 38, 0)),
            ("-99999999999999999999999999999999999999", decimal(1 - 10_i128.pow(38), 38, 0)),
        ],
    )
    .await;
    check("", "numeric(5,6)", vec![("0.012345", decimal(12_345, 6, 6))]).await;
    check(
        "",
        "numeric(27,38)",
        vec![("0.00000000000123456789912345678991234567", decimal(123_456_789_912_345_678_991_234_567, 38, 38))],
    )
    .await;
    check("", "numeric(9,-7)", vec![("1234567890000000", decimal(1_234_567_890_000_000, 16, 0))]).await;
    let wide = |text: &str, precision, scale| S::Decimal256(i256::from_string(text), precision, scale);
    check(
        "",
        "numeric(39,-1)",
        vec![("12345678901234567890123456700000000000", wide("12345678901234567890123456700000000000", 40, 0))],
    )
    .await;
    check(
        "",
        "numeric(65,25)",
        vec![(
            "1234567890123456789012345678901234567890.123456789",
            wide("12345678901234567890123456789012345678901234567890000000000000000", 65, 25),
        )],
    )
    .await;
    check("", "numeric(76,76)", vec![("-0.1", wide(&format!("-1{}", "0".repeat(75)), 76, 76))]).await;
}

#[tokio::test]
async fn numerics_without_one() {
    let decimal = |value: i128, precision, scale| S::Decimal128(Some(value), precision, scale);
    check(
        "",
        "numeric",
        vec![("1.1", decimal(11_000_000_000_000_000, 38, 16)), ("-0.0000000000000001", decimal(-1, 38, 16))],
    )
    .await;
    check_with("", "numeric = 'decimal(20, 3)'", "numeric", vec![("1.125", decimal(1_125, 20, 3))]).await;
    check_with(
        "",
        "numeric = 'varchar'",
        "numeric",
        vec![
            ("1.10", utf8("1.10")),
            ("'NaN'", utf8("NaN")),
            ("'-Infinity'", utf8("-Infinity")),
            ("1e30", utf8(&format!("1{}", "0".repeat(30)))),
            ("0.00012", utf8("0.00012")),
            ("-123456789.000", utf8("-123456789.000")),
            ("0", utf8("0")),
        ],
    )
    .await;
    check_with(
        "",
        "numeric = 'double'",
        "numeric",
        vec![
            ("0.1", S::Float64(Some(0.1))),
            ("'NaN'", S::Float64(Some(f64::NAN))),
            ("'Infinity'", S::Float64(Some(f64::INFINITY))),
            ("123456789012345678901234567890", S::Float64(Some(123_456_789_012_345_678_901_234_567_890.0))),
        ],
    )
    .await;
    check_with("", "numeric = 'varchar'", "numeric(100, 50)", vec![("1.5", utf8(&format!("1.5{}", "0".repeat(49))))])
        .await;
    fails("numeric", "0.00000000000000001", &["0.00000000000000001", "decimal(38,16)", "numeric = "]).await;
    fails("numeric", "1e30", &["decimal(38,16)", "numeric = "]).await;
    fails("numeric", "'NaN'", &["NaN"]).await;
    fails("numeric(5,2)", "'NaN'", &["NaN", "numeric(5,2)"]).await;
    fails("numeric", "'Infinity'", &["Infinity"]).await;
}

#[tokio::test]
async fn texts() {
    check(
        "",
        "text",
        vec![
            ("''", utf8("")),
            ("E'line\\nbreak\\ttab \\\\ backslash'", utf8("line\nbreak\ttab \\ backslash")),
            ("'攻殻機動隊 😂'", utf8("攻殻機動隊 😂")),
            ("'a'||chr(768)||'b'", utf8("a\u{300}b")),
            ("repeat('x', 300000)", utf8(&"x".repeat(300_000))),
        ],
    )
    .await;
    check("", "varchar(3)", vec![("'ą ,'", utf8("ą ,"))]).await;
    // As PostgreSQL's own conversion of char(n) to text has it.
    check("", "char(5)", vec![("'ab'", utf8("ab")), ("' a '", utf8(" a")), ("''", utf8(""))]).await;
    check("", "bpchar", vec![("'ab  '", utf8("ab"))]).await;
    check("", "name", vec![("'abc'", utf8("abc"))]).await;
    check("CREATE EXTENSION citext", "citext", vec![("'MiXed'", utf8("MiXed"))]).await;
    check(
        "CREATE TYPE mood AS ENUM ('b', 'a', 'C \"\"''d')",
        "mood",
        vec![("'a'", utf8("a")), ("'C \"\"''d'", utf8("C \"\"'d"))],
    )
    .await;
    check(
        "",
        "json",
        vec![("'{\"b\":1, \"a\":2, \"a\":3}'", utf8("{\"b\":1, \"a\":2, \"a\":3}")), ("'null'", utf8("null"))],
    )
    .await;
    check("", "jsonb", vec![("'{\"b\":1,\"a\":\"ą\"}'", utf8("{\"a\": \"ą\", \"b\": 1}")), ("'1'", utf8("1"))]).await;
    check(
        "",
        "uuid",
        vec![
            ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", utf8("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
            ("'00000000-0000-0000-0000-000000000000'", utf8("00000000-0000-0000-0000-000000000000")),
        ],
    )
    .await;
    let bytes = |bytes: &[u8]| S::Binary(Some(bytes.to_vec()));
    check("", "bytea", vec![("'\\x00ff10'", bytes(&[0, 255, 16])), ("''", bytes(&[]))]).await;
}

#[tokio::test]
async fn dates_and_times() {
    check(
        "",
        "date",
        vec![
            ("'1970-01-01'", S::Date32(Some(0))),
            ("'1969-12-31'", S::Date32(Some(-1))),
            ("'2000-02-29'", S::Date32(Some(11_016))),
            // PostgreSQL's first day is Julian day 0; 1970-01-01 is Julian day 2440588.
            ("'4714-11-24 BC'", S::Date32(Some(-2_440_588))),
            ("'5874897-12-31'", S::Date32(Some(2_145_042_905))),
        ],
    )
    .await;
    fails("date", "'infinity'", &["'infinity'", "date"]).await;
    fails("date", "'-infinity'", &["'-infinity'"]).await;

    const DAY: i64 = 86_400_000_000;
    check(
        "",
        "time",
        vec![("'00:00'", S::Time64Microsecond(Some(0))), ("'23:59:59.999999'", S::Time64Microsecond(Some(DAY - 1)))],
    )
    .await;
    fails("time", "'24:00'", &["24:00:00"]).await;

    let timestamp = |micros| S::TimestampMicrosecond(Some(micros), None);
    check(
        "",
        "timestamp",
        vec![
            ("'1970-01-01 00:00:00.123456'", timestamp(123_456)),
            ("'1969-12-31 23:59:59.999999'", timestamp(-1)),
            ("'2000-01-01'", timestamp(946_684_800_000_000)),
            ("'4714-11-24 00:00:00 BC'", timestamp(-2_440_588 * DAY)),
            ("'294247-01-10 04:00:54.775807'", timestamp(i64::MAX)),
        ],
    )
    .await;
    fails("timestamp", "'infinity'", &["'infinity'", "timestamp"]).await;
    fails("timestamp", "'294276-12-31 23:59:59.999999'", &["294247-01-10"]).await;

    let instant = |micros| S::TimestampMicrosecond(Some(micros), Some("UTC".into()));
    check(
        "SET TimeZone = 'Asia/Kathmandu'",
        "timestamptz",
        vec![("'1970-01-01 05:30:00+05:30'", instant(0)), ("'1970-01-01 00:00:00.1 UTC'", instant(100_000))],
    )
    .await;
    fails("timestamptz", "'-infinity'", &["'-infinity'"]).await;

    let interval = |months, days, nanos| S::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos)));
    check(
        "",
        "interval",
        vec![
            ("'1 year 2 months 3 days 04:05:06.000007'", interval(14, 3, 14_706_000_007_000)),
            ("'-1 month +1 day -00:00:01'", interval(-1, 1, -1_000_000_000)),
            ("'0'", interval(0, 0, 0)),
            ("'2562047 hours'", interval(0, 0, 2_562_047 * 3_600_000_000_000)),
        ],
    )
    .await;
    fails("interval", "'2562048 hours'", &["interval", "2,562,047"]).await;
}

#[tokio::test]
async fn arrays() {
    let integers = |values: &[Option<i32>]| {
        let values: Arc<dyn Array> = Arc::new(Int32Array::from(values.to_vec()));
        S::List(Arc::new(ListArray::new(
            Arc::new(arrow::datatypes::Field::new_list_field(DataType::Int32, true)),
            arrow::buffer::OffsetBuffer::from_lengths([values.len()]),
            values,
            None,
        )))
    };
    check(
        "",
        "int[]",
        vec![
            ("'{1,NULL,2147483647}'", integers(&[Some(1), None, Some(i32::MAX)])),
            ("'{}'", integers(&[])),
            // The lower bound has no counterpart.
            ("'[5:7]={1,2,3}'", integers(&[Some(1), Some(2), Some(3)])),
        ],
    )
    .await;
    fails("int[]", "'{{1,2},{3,4}}'", &["2 dimensions"]).await;

    let database = Database::with(
        "CREATE TYPE mood AS ENUM ('low', 'high');
         CREATE TABLE t (b boolean[], f float8[], n numeric(8,2)[], s text[], c char(3)[], d date[], z timestamptz[],
                         u uuid[], y bytea[], j jsonb[], m mood[], i interval[], e int[]);
         INSERT INTO t VALUES ('{t,f}', '{1.5,NaN}', '{1.25,-3}', '{\"a,b\",NULL,\"\"}', '{a}', '{1970-01-02}',
             '{1970-01-01 00:00:01+00}', '{00112233-4455-6677-8899-aabbccddeeff}', '{\"\\\\x01\"}', '{\"{\\\"a\\\": 1}\"}',
             '{high,low}', '{1 day}', '{}')",
    );
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    let columns: Vec<&str> = t.columns().iter().map(|column| column.name()).collect();
    let row = &read(&connector, &t, &columns, vec![]).await.unwrap()[0];
    let elements = |at: usize| -> Vec<S> {
        let S::List(list) = &row[at] else { panic!("{:?}", row[at]) };
        let values = list.value(0);
        (0..values.len()).map(|at| S::try_from_array(&values, at).unwrap()).collect()
    };
    assert_eq!(elements(0), [S::Boolean(Some(true)), S::Boolean(Some(false))]);
    assert_eq!(elements(1), [S::Float64(Some(1.5)), S::Float64(Some(f64::NAN))]);
    assert_eq!(elements(2), [S::Decimal128(Some(125), 8, 2), S::Decimal128(Some(-300), 8, 2)]);
    assert_eq!(elements(3), [utf8("a,b"), S::Utf8(None), utf8("")]);
    assert_eq!(elements(4), [utf8("a")]);
    assert_eq!(elements(5), [S::Date32(Some(1))]);
    assert_eq!(elements(6), [S::TimestampMicrosecond(Some(1_000_000), Some("UTC".into()))]);
    assert_eq!(elements(7), [utf8("00112233-4455-6677-8899-aabbccddeeff")]);
    assert_eq!(elements(8), [S::Binary(Some(vec![1]))]);
    assert_eq!(elements(9), [utf8("{\"a\": 1}")]);
    assert_eq!(elements(10), [utf8("high"), utf8("low")]);
    assert_eq!(elements(11), [S::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(0, 1, 0)))]);
    assert_eq!(elements(12), []);
}

/// A negative NaN, which the processor makes, must not differ from the one that PostgreSQL reads.
#[tokio::test]
async fn nan_is_one_value() {
    let database = Database::with(
        "CREATE TABLE t (v float8); INSERT INTO t VALUES ('inf'::float8 - 'inf'::float8), ('NaN'), ('-0')",
    );
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    let rows = read(&connector, &t, &["v"], vec![]).await.unwrap();
    let bits: Vec<u64> =
        rows.iter().map(|row| if let S::Float64(Some(v)) = row[0] { v.to_bits() } else { panic!() }).collect();
    assert_eq!(bits, [f64::NAN.to_bits(), f64::NAN.to_bits(), 0]);
}

/// Rows that are longer than any buffer, and more of them than a batch takes.
#[tokio::test]
async fn long_values_and_many_rows() {
    let database = Database::with(
        "CREATE TABLE t AS SELECT g AS id, repeat(chr(97 + g % 26), g * 100000) AS v FROM generate_series(0, 12) g;
         CREATE TABLE many AS SELECT g AS id, CASE WHEN g % 3 = 0 THEN NULL ELSE 'v' || g END AS v
             FROM generate_series(1, 100000) g",
    );
    let connector = database.connector_with("batch_bytes = 100000");
    let t = table(&connector, "public", "t").await;
    let rows = read(&connector, &t, &["id", "v"], vec![]).await.unwrap();
    for (id, row) in rows.iter().enumerate() {
        let letter = char::from(b'a' + u8::try_from(id % 26).unwrap());
        assert_eq!(row[1], utf8(&letter.to_string().repeat(id * 100_000)));
    }
    assert_eq!(rows.len(), 13);
    let many = table(&connector, "public", "many").await;
    let rows = read(&connector, &many, &["v", "id"], vec![]).await.unwrap();
    assert_eq!(rows.len(), 100_000);
    for row in rows {
        let S::Int32(Some(id)) = row[1] else { panic!("{row:?}") };
        let expected = if id % 3 == 0 { S::Utf8(None) } else { utf8(&format!("v{id}")) };
        assert_eq!(row[0], expected);
    }
}
