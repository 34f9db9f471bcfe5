//! Rows that are filtered while their file is decoded.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};

use crate::support::{Engine, Lake, integers, longs};

const ROWS: i32 = 50_000;

/// Numbers from `first` on in no order, as many as there are rows: 7919 has no divisor in common with 50,000.
fn scattered(first: i32) -> Vec<i32> {
    (0..ROWS).map(|row| first + (row * 7) % ROWS * 7919 % ROWS).collect()
}

/// Two files: in the second the key, `ID` in the first, is wider, and there is no text.
fn lake() -> Lake {
    let lake = Lake::new();
    let first = scattered(0);
    let names: StringArray = first.iter().map(|id| (id % 3 != 0).then(|| format!("x{id}"))).collect();
    lake.write("s/t/y=1/f", vec![("ID", integers(first)), ("v", Arc::new(names) as ArrayRef)]);
    lake.write("s/t/y=2/f", vec![("id", longs(scattered(ROWS).into_iter().map(i64::from)))]);
    lake
}

/// How many rows were left out while files were decoded.
async fn left_out(engine: &Engine, sql: &str) -> usize {
    let plan = engine.run("t", sql).await;
    let mut waiting = vec![plan];
    let mut rows = 0;
    while let Some(plan) = waiting.pop() {
        rows += plan.metrics().and_then(|all| all.sum_by_name("pushdown_rows_pruned")).map_or(0, |v| v.as_usize());
        waiting.extend(plan.children().into_iter().cloned());
    }
    rows
}

#[tokio::test]
async fn few_keys_of_many() {
    let lake = lake();
    let engine = Engine::new(lake.connector("").unwrap());
    let rows = async |condition: &str| engine.rows("t", &format!("SELECT id, v, y FROM t WHERE {condition}")).await;
    assert_eq!(rows("id = 5").await, ["5|x5|1"]);
    assert_eq!(rows("id IN (5, 6, 70001)").await, ["5|x5|1", "6|NULL|1", "70001|NULL|2"]);
    assert_eq!(rows("id IN (5, 7) AND v = 'x7'").await, ["7|x7|1"]);
    assert_eq!(rows("id IN (5, 6) AND v IS NULL").await, ["6|NULL|1"]);
    assert_eq!(rows("id IN (5, 70001) AND y = 2").await, ["70001|NULL|2"]);
    assert!(rows("id = 123456789").await.is_empty());
    // Of the file that may have it, all rows but one.
    assert_eq!(left_out(&engine, "SELECT id, v FROM t WHERE id = 5").await, ROWS as usize - 1);
}

#[tokio::test]
async fn many_keys_are_not_worth_it() {
    let lake = lake();
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(left_out(&engine, "SELECT id, v FROM t WHERE id < 5").await, 0);
    assert_eq!(left_out(&engine, "SELECT id, v FROM t WHERE id % 50000 = 5").await, 0);
    assert_eq!(left_out(&engine, "SELECT id, v FROM t WHERE v = 'x5'").await, 0);
}

/// A join's keys are known when files are opened, not when the scan is planned.
#[tokio::test]
async fn keys_of_a_join() {
    let lake = lake();
    let engine = Engine::new(lake.connector("").unwrap());
    let join = "SELECT t.id, t.v FROM (VALUES (7), (70001), (70002)) k (id) JOIN t ON k.id = t.id";
    assert_eq!(engine.rows("t", join).await, ["70001|NULL", "70002|NULL", "7|x7"]);
    assert_eq!(left_out(&engine, join).await, 2 * ROWS as usize - 3);
}
