//! One zero, one NaN.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array};

use super::{expect, session, session_with};

/// `y / z` has every value that matters: on most processors 0 / 0 is a negative NaN.
fn table() -> datafusion::prelude::SessionContext {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=7));
    let y = vec![Some(0.0), Some(0.0), Some(0.0), Some(f64::INFINITY), Some(1.0), Some(-1.0), None];
    let z = vec![1.0, -1.0, 0.0, f64::INFINITY, 0.0, 0.0, 1.0];
    session_with(
        "t",
        vec![("id", id), ("y", Arc::new(Float64Array::from(y))), ("z", Arc::new(Float64Array::from(z)))],
        2,
    )
}

const Q: &str = "(SELECT id, y / z AS q FROM t) s";

#[tokio::test]
async fn nan_equals_itself_and_sorts_last_and_zeros_are_one() {
    let context = table();
    let select = |what: &str, rest: &str| format!("SELECT {what} FROM {Q} {rest}");
    let ids = |rest: &str| select("id", rest);
    expect(&context, &ids("ORDER BY q, id"), &["6", "1", "2", "5", "3", "4", "7"]).await;
    expect(&context, &ids("ORDER BY q DESC, id"), &["7", "3", "4", "5", "1", "2", "6"]).await;
    expect(&context, &ids("ORDER BY q NULLS FIRST, id LIMIT 2"), &["7", "6"]).await;
    expect(&context, &ids("WHERE q = 'NaN'::double ORDER BY id"), &["3", "4"]).await;
    expect(&context, &ids("WHERE q > 'Infinity'::double ORDER BY id"), &["3", "4"]).await;
    expect(&context, &ids("WHERE q <> 'NaN'::double ORDER BY id"), &["1", "2", "5", "6"]).await;
    expect(&context, &ids("WHERE q < 0.5 ORDER BY id"), &["1", "2", "6"]).await;
    expect(&context, &ids("WHERE q = 0 ORDER BY id"), &["1", "2"]).await;
    expect(&context, &ids("WHERE q < 0 OR q > 0 ORDER BY id"), &["3", "4", "5", "6"]).await;
    expect(&context, &ids("WHERE q IN (0.0, 'NaN'::double) ORDER BY id"), &["1", "2", "3", "4"]).await;
    expect(&context, &ids("WHERE q IN (-0.0::double, 11, 12, 13, 14, 15) ORDER BY id"), &["1", "2"]).await;
    expect(&context, &ids("WHERE q IN (SELECT z FROM t WHERE id = 3) ORDER BY id"), &["1", "2"]).await;
    let groups = ["-inf 1", "0.0 2", "inf 1", "NaN 2", "NULL 1"];
    expect(&context, &select("q, count(*)", "GROUP BY q ORDER BY q"), &groups).await;
    let pairs = select("q, id > 4, count(*)", "GROUP BY 1, 2 ORDER BY 1, 2");
    expect(&context, &pairs, &["-inf true 1", "0.0 false 2", "inf true 1", "NaN false 2", "NULL true 1"]).await;
    expect(&context, &select("DISTINCT q", "ORDER BY q"), &["-inf", "0.0", "inf", "NaN", "NULL"]).await;
    expect(&context, &select("count(DISTINCT q)", ""), &["4"]).await;
    expect(&context, &select("min(q), max(q)", "WHERE id IN (3, 4, 5)"), &["inf NaN"]).await;
    expect(&context, &select("min(q), max(q)", "WHERE id IN (1, 2)"), &["0.0 0.0"]).await;
    let windows = select("id, rank() OVER (ORDER BY q), count(*) OVER (PARTITION BY q)", "ORDER BY id");
    expect(&context, &windows, &["1 2 2", "2 2 2", "3 5 2", "4 5 2", "5 4 1", "6 1 1", "7 7 1"]).await;
    let joined = format!(
        "SELECT a.id, b.id FROM {Q} JOIN {Q2} ON a.q = b.q WHERE a.id < 5 ORDER BY 1, 2",
        Q = Q.replace(") s", ") a"),
        Q2 = Q.replace(") s", ") b")
    );
    expect(&context, &joined, &["1 1", "1 2", "2 1", "2 2", "3 3", "3 4", "4 3", "4 4"]).await;
    let union = format!("SELECT q FROM {Q} UNION SELECT q FROM {Q} ORDER BY 1");
    expect(&context, &union, &["-inf", "0.0", "inf", "NaN", "NULL"]).await;
    let intersect = format!("SELECT q FROM {Q} WHERE id = 4 INTERSECT SELECT q FROM {Q} WHERE id = 3");
    expect(&context, &intersect, &["NaN"]).await;
    let cases =
        select("CASE q WHEN 0 THEN 'zero' WHEN 'NaN'::double THEN 'nan' ELSE 'other' END", "WHERE id < 6 ORDER BY id");
    expect(&context, &cases, &["zero", "zero", "nan", "nan", "other"]).await;
}

/// The same where the comparison sees the computation itself and no column.
#[tokio::test]
async fn computed_floats_are_canonical_wherever_they_are_seen() {
    let context = table();
    expect(&context, "SELECT id FROM t WHERE y / z > 1000 ORDER BY id", &["3", "4", "5"]).await;
    expect(&context, "SELECT id FROM t ORDER BY y / z DESC NULLS LAST, id LIMIT 2", &["3", "4"]).await;
    expect(&context, "SELECT max(y / z) FROM t", &["NaN"]).await;
    expect(&context, "SELECT count(*) FROM t GROUP BY y / z ORDER BY y / z", &["1", "2", "1", "2", "1"]).await;
    expect(&context, "SELECT greatest(-(y / z), 0.0::double) FROM t WHERE id = 3", &["NaN"]).await;
    expect(&context, "SELECT id FROM t WHERE y / z IN (0.0, 1.0) ORDER BY id", &["1", "2"]).await;
    let context = session();
    expect(
        &context,
        "SELECT x FROM (VALUES (-('NaN'::double)), (1::double), (-1 * 0::double)) t (x) ORDER BY x",
        &["0.0", "1.0", "NaN"],
    )
    .await;
    expect(&context, "SELECT '-0'::double, '-NaN'::double > 'Infinity'::double, -0.0::double", &["0.0 true 0.0"]).await;
    expect(&context, "SELECT 1::double / -0.0::double, 1::double / (0::double * -1)", &["inf inf"]).await;
}

/// IEEE 754, as Trino: only integers and decimals fail.
#[tokio::test]
async fn floats_divide_by_zero() {
    let sql =
        "SELECT 1::double / 0 AS a, -1::double / 0 AS b, 0::double / 0 AS c, 1::double % 0 AS d, 1::real / 0 AS e";
    expect(&session(), sql, &["inf -inf NaN NaN inf"]).await;
}

/// UTF-8 bytes are in the order of code points; UTF-16 is not: U+FFFF is less than U+1F600.
#[tokio::test]
async fn text_compares_by_code_point() {
    let context = session();
    let sql =
        "SELECT v FROM (VALUES ('b'), ('B'), ('é'), ('z'), (''), (chr(65535)), (chr(128512)), ('ab')) t (v) ORDER BY v";
    expect(&context, sql, &["", "B", "ab", "b", "z", "é", "\u{ffff}", "\u{1f600}"]).await;
    expect(&context, "SELECT chr(65535) < chr(128512), 'B' < 'a', 'a' < 'a ', max(v) = chr(128512) FROM (VALUES (chr(65535)), (chr(128512))) t (v)", &["true true true true"]).await;
}
