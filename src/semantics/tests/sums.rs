//! `sum` and `avg`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int32Array, Int64Array, UInt64Array};

use super::{expect, expect_error, session, session_with};

/// Groups 1 and 2 fit, group 3 does not; group 1 only if nothing overflows on the way.
fn table(partitions: usize) -> datafusion::prelude::SessionContext {
    let group: ArrayRef = Arc::new(Int32Array::from(vec![1, 1, 1, 2, 2, 3, 3, 4]));
    let values = Int64Array::from(vec![
        Some(i64::MAX),
        Some(i64::MAX),
        Some(-i64::MAX),
        None,
        Some(5),
        Some(i64::MAX),
        Some(1),
        None,
    ]);
    session_with("t", vec![("g", group), ("x", Arc::new(values))], partitions)
}

#[tokio::test]
async fn sums_of_bigints_overflow_and_do_not_depend_on_the_way() {
    for partitions in [1, 2, 3, 8] {
        let context = table(partitions);
        let sums = ["2 5", "4 NULL"];
        expect(&context, "SELECT g, sum(x) FROM t WHERE g IN (2, 4) GROUP BY g ORDER BY g", &sums).await;
        let max = i64::MAX.to_string();
        expect(&context, "SELECT sum(x) FROM t WHERE g = 1", &[&max]).await;
        expect(&context, "SELECT sum(x) FROM t WHERE g = 1 GROUP BY g", &[&max]).await;
        expect(&context, "SELECT sum(x) FILTER (WHERE g = 2) FROM t", &["5"]).await;
        expect(&context, "SELECT g, sum(x) FILTER (WHERE x < 100) FROM t GROUP BY g HAVING g = 2", &["2 5"]).await;
        for sql in [
            "SELECT sum(x) FROM t",
            "SELECT g, sum(x) FROM t GROUP BY g",
            "SELECT sum(DISTINCT x) FROM t WHERE g = 3",
            "SELECT sum(DISTINCT x), count(DISTINCT g) FROM t WHERE g = 3",
            "SELECT g, sum(DISTINCT x) FROM t GROUP BY g",
            "SELECT sum(x) FILTER (WHERE g = 3) FROM t",
            "SELECT sum(x) OVER () FROM t",
            "SELECT sum(x) OVER (PARTITION BY g) FROM t",
            "SELECT sum(x) OVER (PARTITION BY g ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
        ] {
            expect_error(&context, sql, "bigint out of range: the sum is").await;
        }
        let sum =
            "bigint out of range: the sum is 9223372036854775808; sum(CAST(... AS DECIMAL(38, 0))) has room for it";
        expect_error(&context, "SELECT sum(x) FROM t WHERE g = 3", sum).await;
        expect(&context, "SELECT sum(CAST(x AS DECIMAL(38, 0))) FROM t WHERE g = 3", &["9223372036854775808"]).await;
        expect(&context, "SELECT sum(x) FROM t WHERE g = 9", &["NULL"]).await;
    }
}

#[tokio::test]
async fn a_window_is_right_once_the_large_values_have_left_it() {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=5));
    let x: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(-5), None, Some(7), Some(7)]));
    let context = session_with("t", vec![("id", id), ("x", x)], 1);
    let max_less = (i64::MAX - 5).to_string();
    let frame = "OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)";
    let expected = [i64::MAX.to_string(), max_less, "-5".into(), "7".into(), "14".into()];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    expect(&context, &format!("SELECT sum(x) {frame} FROM t ORDER BY id"), &expected).await;
    let distinct = [expected[0], expected[1], "-5", "7", "7"];
    expect(&context, &format!("SELECT sum(DISTINCT x) {frame} FROM t ORDER BY id"), &distinct).await;
    let running = "OVER (ORDER BY id DESC)";
    let expected = ["7", "14", "14", "9"];
    let sql = format!("SELECT s FROM (SELECT id, sum(x) {running} AS s FROM t WHERE id > 1) ORDER BY id DESC");
    expect(&context, &sql, &expected).await;
}

#[tokio::test]
async fn sums_of_unsigned_numbers_and_of_small_ones() {
    let x: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 1, 2]));
    let context = session_with("t", vec![("x", x)], 2);
    expect_error(&context, "SELECT sum(x) FROM t", "bigint unsigned out of range: the sum is 18446744073709551618")
        .await;
    expect(&context, "SELECT sum(x) FROM t WHERE x < 10", &["3"]).await;
    let x: ArrayRef = Arc::new(Int32Array::from(vec![i32::MAX, i32::MAX, i32::MAX]));
    let context = session_with("t", vec![("x", x)], 2);
    expect(&context, "SELECT sum(x), arrow_typeof(sum(x)) FROM t", &["6442450941 Int64"]).await;
}

/// More groups than a batch has rows, so that states travel between partial and final aggregation.
#[tokio::test]
async fn many_groups() {
    let rows = 5_000;
    let g: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row % 1_000)));
    let x = (0..rows).map(|row| (row % 7 != 0).then_some(i64::MAX / 5 - row));
    let x: ArrayRef = Arc::new(Int64Array::from_iter(x));
    let context = session_with("t", vec![("g", g), ("x", x)], 3);
    let sql = "SELECT count(*) FROM (SELECT g, sum(x) AS s, sum(x * 1.0) AS d FROM t GROUP BY g) WHERE s = d";
    expect(&context, sql, &["1000"]).await;
    expect_error(&context, "SELECT g, sum(x * 2) FROM t GROUP BY g", "bigint out of range: the sum is").await;
}

#[tokio::test]
async fn sums_of_decimals_have_38_digits() {
    let large = 6 * 10_i128.pow(37);
    let values = vec![Some(large), Some(large), Some(-large), None];
    let x: ArrayRef = Arc::new(Decimal128Array::from(values).with_precision_and_scale(38, 2).unwrap());
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    let context = session_with("t", vec![("id", id), ("x", x)], 2);
    expect(&context, "SELECT sum(x) FROM t", &["600000000000000000000000000000000000.00"]).await;
    let error = "decimal(38, 2) out of range: the sum is 1200000000000000000000000000000000000.00";
    for sql in [
        "SELECT sum(x) FROM t WHERE id < 3",
        "SELECT sum(x) FROM t WHERE id < 3 GROUP BY id > 0",
        "SELECT sum(x) OVER () FROM t WHERE id < 3",
        "SELECT sum(x) OVER (ORDER BY id) FROM t",
    ] {
        expect_error(&context, sql, error).await;
    }
    // Twice 6e37 does not even fit 128 bits three times.
    expect_error(&context, "SELECT sum(a.x) FROM t a, t b WHERE a.id < 3", "4800000000000000000000000000000000000.00")
        .await;
    expect(&context, "SELECT sum(DISTINCT x) FROM t", &["0.00"]).await;
    let sql = "SELECT sum(x), arrow_typeof(sum(x)) FROM (VALUES (1.25), (2.50), (NULL)) t (x)";
    expect(&session(), sql, &["3.75 Decimal128(13, 2)"]).await;
}

/// Averages of integers are doubles, and averages of decimals have room for a billion rows.
#[tokio::test]
async fn averages_do_not_wrap() {
    let max = i64::MAX;
    let context = session();
    let sql = format!(
        "SELECT avg(x) = 9223372036854775807::double, arrow_typeof(avg(x)) FROM (VALUES ({max}), ({max}), ({max})) t (x)"
    );
    expect(&context, &sql, &["true Float64"]).await;
    let nines = "9999999999999999999999999999999999.0000";
    expect(
        &context,
        &format!("SELECT avg(x) FROM (VALUES ({nines}), ({nines}), ({nines})) t (x)").replace(".0000", ""),
        &[nines],
    )
    .await;
    expect_error(&context, "SELECT avg(x) FROM (VALUES (6e37), (6e37)) t (x)", "verflow").await;
}

#[tokio::test]
async fn other_sums_are_as_before() {
    let context = session();
    expect(&context, "SELECT sum(x) FROM (VALUES (1.5::double), (2::double)) t (x)", &["3.5"]).await;
    expect(&context, "SELECT sum(x) OVER (ORDER BY x) FROM (VALUES (1.5::double), (2::double)) t (x)", &["1.5", "3.5"])
        .await;
    expect(&context, "SELECT sum(DISTINCT x) FROM (VALUES (1.5::double), (1.5::double)) t (x)", &["1.5"]).await;
    let sql = "SELECT sum(x) FROM (VALUES (arrow_cast(9223372036854775807, 'Duration(Second)')), (arrow_cast(1, 'Duration(Second)'))) t (x)";
    expect_error(&context, sql, "duration out of range").await;
}
