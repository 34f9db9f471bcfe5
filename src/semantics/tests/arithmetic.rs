//! Overflow and division by zero.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int8Array, Int16Array, Int32Array, Int64Array, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};

use super::{expect, expect_error, session, session_with};
use crate::semantics::ArithmeticError;

const WIDTHS: [(&str, &str, &str); 8] = [
    ("tinyint", "-128", "127"),
    ("smallint", "-32768", "32767"),
    ("int", "-2147483648", "2147483647"),
    ("bigint", "-9223372036854775808", "9223372036854775807"),
    ("tinyint unsigned", "0", "255"),
    ("smallint unsigned", "0", "65535"),
    ("int unsigned", "0", "4294967295"),
    ("bigint unsigned", "0", "18446744073709551615"),
];

/// Constants, which are folded while the query is planned.
#[tokio::test]
async fn constants_of_every_width() {
    let context = session();
    for (ty, min, max) in WIDTHS {
        let value = |number: &str| format!("CAST({number} AS {ty})");
        let (min, max, one, two) = (value(min), value(max), value("1"), value("2"));
        expect_error(&context, &format!("SELECT {max} + {one}"), "out of range").await;
        expect_error(&context, &format!("SELECT {min} - {one}"), "out of range").await;
        expect_error(&context, &format!("SELECT {max} * {two}"), "out of range").await;
        expect_error(&context, &format!("SELECT {max} / ({one} - {one})"), "division by zero").await;
        expect_error(&context, &format!("SELECT {max} % ({one} - {one})"), "division by zero").await;
        expect(
            &context,
            &format!("SELECT {max} - {one} + {one} = {max}, {min} + {one} - {one} = {min}"),
            &["true true"],
        )
        .await;
        if !ty.contains("unsigned") {
            let minus_one = value("-1");
            expect_error(&context, &format!("SELECT {min} * {minus_one}"), "out of range").await;
            expect_error(&context, &format!("SELECT {min} / {minus_one}"), "out of range").await;
            expect(&context, &format!("SELECT {min} % {minus_one}"), &["0"]).await;
            expect_error(&context, &format!("SELECT -{min}"), "out of range").await;
            expect_error(&context, &format!("SELECT abs({min})"), "verflow").await;
        }
    }
}

/// The same with columns: array with array, array with scalar, scalar with array, NULLs in between.
#[tokio::test]
async fn columns_of_every_width() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("tinyint", Arc::new(Int8Array::from(vec![Some(1), None, Some(i8::MIN), Some(i8::MAX)]))),
        ("smallint", Arc::new(Int16Array::from(vec![Some(1), None, Some(i16::MIN), Some(i16::MAX)]))),
        ("int", Arc::new(Int32Array::from(vec![Some(1), None, Some(i32::MIN), Some(i32::MAX)]))),
        ("bigint", Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MIN), Some(i64::MAX)]))),
        ("tinyint unsigned", Arc::new(UInt8Array::from(vec![Some(1), None, Some(0), Some(u8::MAX)]))),
        ("smallint unsigned", Arc::new(UInt16Array::from(vec![Some(1), None, Some(0), Some(u16::MAX)]))),
        ("int unsigned", Arc::new(UInt32Array::from(vec![Some(1), None, Some(0), Some(u32::MAX)]))),
        ("bigint unsigned", Arc::new(UInt64Array::from(vec![Some(1), None, Some(0), Some(u64::MAX)]))),
    ];
    for (ty, values) in columns {
        let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
        let context = session_with("t", vec![("id", id), ("x", values)], 1);
        let one = format!("CAST(1 AS {ty})");
        for sql in [
            format!("SELECT x + {one} FROM t"),
            format!("SELECT {one} + x FROM t"),
            "SELECT x + x FROM t WHERE id <> 3".to_string(),
            format!("SELECT x - {one} FROM t"),
            "SELECT x * x FROM t WHERE id <> 3".to_string(),
            format!("SELECT x * CAST(2 AS {ty}) FROM t"),
        ] {
            expect_error(&context, &sql, "out of range").await;
        }
        expect_error(&context, &format!("SELECT {one} / (x - x) FROM t"), "division by zero").await;
        expect_error(&context, &format!("SELECT {one} % (x - x) FROM t"), "division by zero").await;
        let sql = format!("SELECT x + {one}, {one} + x, x + x, x - {one}, x * x FROM t WHERE id < 3 ORDER BY id");
        expect(&context, &sql, &["2 2 2 0 1", "NULL NULL NULL NULL NULL"]).await;
        expect(&context, &format!("SELECT x + NULL, CAST(NULL AS {ty}) - x FROM t WHERE id = 4"), &["NULL NULL"]).await;
        if !ty.contains("unsigned") {
            expect_error(&context, "SELECT -x FROM t", "out of range").await;
            expect(&context, "SELECT -x FROM t WHERE id < 3 ORDER BY id", &["-1", "NULL"]).await;
            expect_error(&context, "SELECT abs(x) FROM t", "verflow").await;
            expect_error(&context, &format!("SELECT x / CAST(-1 AS {ty}) FROM t"), "out of range").await;
        }
    }
}

/// A NULL slot may hold any bits: they must not count.
#[tokio::test]
async fn what_a_null_hides_does_not_overflow() {
    let values = Int64Array::new(vec![i64::MAX, 1].into(), Some(vec![false, true].into()));
    let context = session_with("t", vec![("x", Arc::new(values))], 1);
    expect(&context, "SELECT x + 1, x * 2, x - x, x + x FROM t", &["NULL NULL NULL NULL", "2 2 0 2"]).await;
}

/// No operator escapes, wherever it stands.
#[tokio::test]
async fn every_place_of_an_expression() {
    let x: ArrayRef = Arc::new(Int64Array::from(vec![1, i64::MAX]));
    let context = session_with("t", vec![("x", x)], 2);
    for sql in [
        "SELECT x FROM t WHERE x + 1 > 0",
        "SELECT x FROM t ORDER BY x + 1",
        "SELECT count(*) FROM t GROUP BY x + 1",
        "SELECT x + 1, count(*) FROM t GROUP BY x + 1",
        "SELECT count(*) FROM t GROUP BY ROLLUP (x + 1)",
        "SELECT x FROM t GROUP BY x HAVING x + 1 > 0",
        "SELECT max(x + 1) FROM t",
        "SELECT count(*) FILTER (WHERE x + 1 > 0) FROM t",
        "SELECT array_agg(x ORDER BY x + 1) FROM t",
        "SELECT count(DISTINCT x + 1) FROM t",
        "SELECT sum(x) OVER (PARTITION BY x + 1) FROM t",
        "SELECT rank() OVER (ORDER BY x + 1) FROM t",
        "SELECT lag(x + 1) OVER (ORDER BY x) FROM t",
        "SELECT a.x FROM t a JOIN t b ON a.x + 1 = b.x + 1",
        "SELECT a.x FROM t a JOIN t b ON a.x + 1 < b.x",
        "SELECT a.x FROM t a LEFT JOIN t b ON a.x = b.x AND b.x + 1 > 0",
        "SELECT x FROM t WHERE x IN (SELECT x + 1 FROM t)",
        "SELECT x FROM t WHERE x + 1 IN (1, 2, 3)",
        "SELECT x FROM t WHERE x + 1 BETWEEN 1 AND 2",
        "SELECT x FROM t WHERE EXISTS (SELECT 1 FROM t b WHERE b.x = t.x + 1)",
        "SELECT (SELECT max(b.x + 1) FROM t b) FROM t",
        "SELECT CASE WHEN x > 1 THEN x + 1 ELSE 0 END FROM t",
        "SELECT coalesce(x + 1, 0) FROM t",
        "SELECT [x + 1] FROM t",
        "SELECT CAST(x + 1 AS VARCHAR) FROM t",
        "SELECT x + 1 FROM t UNION SELECT 1",
        "SELECT * FROM (VALUES (9223372036854775807 + 1)) v (x)",
        "WITH c AS (SELECT x + 1 AS y FROM t) SELECT max(y) FROM c",
        "WITH RECURSIVE r AS (SELECT 9223372036854775806 AS n UNION ALL SELECT n + 1 FROM r WHERE n > 0) SELECT count(n) FROM r",
        "SELECT DISTINCT ON (x + 1) x FROM t ORDER BY x + 1",
        "SELECT unnest([x + 1]) FROM t",
        "SELECT y + 1 FROM (SELECT 9223372036854775807 AS y)",
    ] {
        expect_error(&context, sql, "bigint out of range: 9223372036854775807 + 1").await;
    }
    expect(&context, "SELECT CASE WHEN x < 100 THEN x + 1 ELSE 0 END FROM t ORDER BY 1", &["0", "2"]).await;
    expect(&context, "SELECT x FROM t LIMIT 1 + 0 OFFSET 3 - 2", &["9223372036854775807"]).await;
}

/// Functions of functions, too. Only dialects with `->` for functions have them.
#[tokio::test]
async fn lambdas() {
    let context = session();
    context.sql("SET datafusion.sql_parser.dialect = 'duckdb'").await.unwrap().collect().await.unwrap();
    expect(&context, "SELECT array_transform([1, 2], v -> v + 1)", &["[2, 3]"]).await;
    let sql = "SELECT array_transform([x], v -> v + 1) FROM (VALUES (1), (9223372036854775807)) t (x)";
    expect_error(&context, sql, "bigint out of range").await;
}

/// The position of a literal does not matter, and neither does one that changes nothing.
#[tokio::test]
async fn neutral_operands_keep_value_type_and_name() {
    let x: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None]));
    let context = session_with("t", vec![("x", x)], 1);
    let sql = "SELECT x + CAST(0 AS INT) AS a, CAST(1 AS INT) * x AS b, x / CAST(1 AS INT) AS c, x - 0 AS d FROM t";
    expect(&context, sql, &["7 7 7 7", "NULL NULL NULL NULL"]).await;
    let schema = context.sql("SELECT x + 1, x * x, sum(x - 1) OVER () FROM t").await.unwrap().schema().clone();
    let names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
    assert_eq!(names[..2], ["t.x + Int64(1)", "t.x * t.x"]);
    let frame = context.sql("SELECT x + 1, x * x FROM t").await.unwrap();
    let batches = frame.collect().await.unwrap();
    assert_eq!(batches[0].schema().field(0).name(), "t.x + Int64(1)");
}

#[tokio::test]
async fn decimals_overflow_at_their_last_digit() {
    let context = session();
    let nines = "99999999999999999999999999999999999999";
    expect(&context, &format!("SELECT {nines} - 1"), &["99999999999999999999999999999999999998"]).await;
    for sql in [
        format!("SELECT {nines} + 1"),
        format!("SELECT -{nines} - 1"),
        format!("SELECT {nines} * 10"),
        format!("SELECT {nines} * {nines}"),
        "SELECT CAST(6e37 AS DECIMAL(38, 0)) + CAST(6e37 AS DECIMAL(38, 0))".to_string(),
        format!("SELECT x + x FROM (VALUES ({nines}), (1)) t (x)"),
        format!("SELECT x FROM (VALUES ({nines}), (1)) t (x) WHERE x + x > 0"),
    ] {
        expect_error(&context, &sql, "out of range").await;
    }
    let sql = format!("SELECT {nines} + 1");
    expect_error(&context, &sql, "decimal(38, 0) out of range: the result is 100000000000000000000000000000000000000")
        .await;
    expect(&context, "SELECT x + x FROM (VALUES (12.5), (NULL)) t (x)", &["25.0", "NULL"]).await;
    expect_error(&context, "SELECT 1.5 / 0", "division by zero").await;
    expect_error(&context, "SELECT 1.5 / 0.0", "division by zero").await;
    expect_error(&context, "SELECT 1.5 % 0", "division by zero").await;
}

#[tokio::test]
async fn errors_can_be_told_from_others() {
    let error = session().sql("SELECT 2147483647::int + 1::int").await.unwrap().collect().await.unwrap_err();
    let datafusion::error::DataFusionError::External(error) = error.find_root() else {
        panic!("{error}");
    };
    let expected =
        ArithmeticError::OutOfRange { type_name: "integer".to_string(), calculation: "2147483647 + 1".to_string() };
    assert_eq!(error.downcast_ref::<ArithmeticError>(), Some(&expected));
}

/// A part of a condition that is not reached does not fail.
#[tokio::test]
async fn branches_that_are_not_taken_do_not_fail() {
    let context = session();
    expect(&context, "SELECT CASE WHEN 1 = 1 THEN 5 ELSE 9223372036854775807 + 1 END", &["5"]).await;
    expect(&context, "SELECT CASE WHEN x = 0 THEN NULL ELSE 10 / x END FROM (VALUES (0), (5)) t (x)", &["NULL", "2"])
        .await;
    expect(&context, "SELECT coalesce(1, 1 / 0)", &["1"]).await;
}
