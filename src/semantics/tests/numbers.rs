//! Decimal literals, and what happens beside a double.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array};

use super::{expect, expect_error, session, session_with};

#[tokio::test]
async fn literals_with_a_point_or_an_exponent_are_decimals() {
    let context = session();
    expect(
        &context,
        "SELECT 0.1 + 0.2 = 0.3, arrow_typeof(0.1), arrow_typeof(12.50)",
        &["true Decimal128(1, 1) Decimal128(4, 2)"],
    )
    .await;
    expect(&context, "SELECT 12345678901234567890.123", &["12345678901234567890.123"]).await;
    expect(
        &context,
        "SELECT 1e10, arrow_typeof(1e10), 1.5e3, 1e10 + 1",
        &["10000000000 Decimal128(11, 0) 1500 10000000001"],
    )
    .await;
    expect(&context, "SELECT 1e-10", &["0.0000000001"]).await;
    expect(
        &context,
        "SELECT arrow_typeof(1e50), 1e50 > 1e49, arrow_typeof(1e100), -1e10",
        &["Decimal256(51, 0) true Float64 -10000000000"],
    )
    .await;
    let digits = "1234567890123456789012345678901234567890.5";
    expect(&context, &format!("SELECT {digits}, arrow_typeof({digits})"), &[&format!("{digits} Decimal256(41, 1)")])
        .await;
    expect_error(&context, &format!("SELECT {}.5", "9".repeat(76)), "exceeds the maximum supported precision").await;
}

/// Hive's rules: a product has the scales added, a quotient four digits more than the dividend.
#[tokio::test]
async fn scales_of_results() {
    let context = session();
    let sql = "SELECT 1.5 * 2.25, arrow_typeof(1.5 * 2.25), 10.0 / 3.0, 1 / 3.0, arrow_typeof(1.50 + 1.125)";
    expect(&context, sql, &["3.375 Decimal128(6, 3) 3.33333 0.3333 Decimal128(5, 3)"]).await;
    expect(&context, "SELECT 7 / 2, -7 / 2, 7 % 3, -7 % 3, 7.5 % 2", &["3 -3 1 -1 1.5"]).await;
}

#[tokio::test]
async fn a_decimal_beside_a_double_becomes_a_double() {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=6));
    let values = vec![0.1, 1e-20, 1e300, f64::NAN, f64::INFINITY, 1.5];
    let x: ArrayRef = Arc::new(Float64Array::from(values));
    let y: ArrayRef = Arc::new(Float32Array::from(vec![0.1, 0.5, 1.5, 2.5, 3.5, 4.5]));
    let context = session_with("t", vec![("id", id), ("x", x), ("y", y)], 1);
    let ids = |condition: &str| format!("SELECT id FROM t WHERE {condition} ORDER BY id");
    expect(&context, &ids("x = 0.1"), &["1"]).await;
    expect(&context, &ids("x > 1.4"), &["3", "4", "5", "6"]).await;
    expect(&context, &ids("0.0 < x AND x < 0.1"), &["2"]).await;
    expect(&context, &ids("x BETWEEN 0.1 AND 1.5"), &["1", "6"]).await;
    expect(&context, &ids("x IN (0.1, 1.5, 7.25)"), &["1", "6"]).await;
    expect(&context, &ids("x NOT IN (0.1, 1.5)"), &["2", "3", "4", "5"]).await;
    expect(&context, &ids("x IS DISTINCT FROM 0.1"), &["2", "3", "4", "5", "6"]).await;
    expect(&context, &ids("x IN (SELECT v FROM (VALUES (0.1), (1.5)) s (v))"), &["1", "6"]).await;
    expect(&context, &ids("x = ANY (SELECT v FROM (VALUES (0.1), (1.5)) s (v))"), &["1", "6"]).await;
    expect(&context, &ids("CASE x WHEN 0.1 THEN true WHEN 1.5 THEN true ELSE false END"), &["1", "6"]).await;
    expect(&context, &ids("nullif(x, 0.1) IS NULL"), &["1"]).await;
    expect(&context, &ids("x > 1e60"), &["3", "4", "5"]).await;
    let values = "SELECT arrow_typeof(v), v FROM (VALUES (1.5::double), (0.1), (NULL), (1e10)) t (v) ORDER BY v";
    expect(&context, values, &["Float64 0.1", "Float64 1.5", "Float64 10000000000.0", "Float64 NULL"]).await;
    // As in PostgreSQL: real and numeric meet in double precision, where 0.1 differs from its real.
    expect(&context, &ids("y = 0.1"), &[]).await;
    expect(&context, &ids("y = 0.5"), &["2"]).await;
    let joined = "SELECT t.id FROM t JOIN (VALUES (0.1), (1.5)) s (v) ON t.x = s.v ORDER BY 1";
    expect(&context, joined, &["1", "6"]).await;
    let using = "SELECT t.id FROM t JOIN (SELECT v AS x FROM (VALUES (0.1), (1.5)) s (v)) s USING (x) ORDER BY 1";
    expect(&context, using, &["1", "6"]).await;
    let coalesced = "SELECT coalesce(x, 0.0), greatest(x, 0.25), CASE WHEN id = 2 THEN 0.5 ELSE x END FROM t WHERE id < 3 ORDER BY id";
    expect(&context, coalesced, &["0.1 0.25 0.1", "1e-20 0.25 0.5"]).await;
    let union = "SELECT arrow_typeof(x), x FROM (SELECT x FROM t WHERE id = 3 UNION ALL SELECT 2.5) ORDER BY x";
    expect(&context, union, &["Float64 2.5", "Float64 1e300"]).await;
    expect(
        &context,
        "SELECT arrow_typeof(x * 1.5), arrow_typeof(y * 1.5), x * 1.5 FROM t WHERE id = 6",
        &["Float64 Float64 2.25"],
    )
    .await;
}

/// Integers keep every digit beside a decimal.
#[tokio::test]
async fn a_decimal_beside_an_integer_stays_exact() {
    let x: ArrayRef = Arc::new(Int64Array::from(vec![9_007_199_254_740_993]));
    let context = session_with("t", vec![("x", x)], 1);
    let sql = "SELECT x = 9007199254740993.0, x > 9007199254740992.5, x = 9007199254740992.0 FROM t";
    expect(&context, sql, &["true true false"]).await;
}
