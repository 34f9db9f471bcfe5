//! That the rules leave optimization as it was, and memberships with NULL.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::prelude::SessionContext;

use super::{expect, rows, session, session_with};
use crate::semantics::as_written;

async fn plan(context: &SessionContext, sql: &str) -> String {
    rows(context, &format!("EXPLAIN {sql}")).await.unwrap().join("\n")
}

fn table() -> SessionContext {
    let x: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let y: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]));
    session_with("t", vec![("x", x), ("y", y)], 1)
}

#[tokio::test]
async fn constants_are_folded_and_double_columns_meet_double_literals() {
    let context = table();
    assert!(plan(&context, "SELECT x FROM t WHERE x > 2 + 3 * 4").await.contains("x@0 > 14"));
    let comparison = plan(&context, "SELECT y FROM t WHERE y > 1.5").await;
    assert!(comparison.contains("y@0 > 1.5"), "{comparison}");
    assert!(!comparison.contains("CAST"), "{comparison}");
    assert!(!plan(&context, "SELECT x FROM t WHERE x = 2.0").await.contains("CAST"));
}

/// A condition that NULL cannot meet still turns an outer join into an inner one.
#[tokio::test]
async fn arithmetic_is_known_to_be_strict() {
    let plan = plan(&table(), "SELECT a.x FROM t a LEFT JOIN t b ON a.x = b.x WHERE b.x + 1 > 2").await;
    assert!(plan.contains("Inner"), "{plan}");
}

/// Long chains are planned in a time that grows with their length, not with its cube.
#[tokio::test]
async fn long_calculations() {
    let sum = vec!["x"; 150].join(" + ");
    expect(&table(), &format!("SELECT {sum} AS s FROM t WHERE {sum} > 200"), &["300", "450"]).await;
}

#[tokio::test]
async fn explain_shows_what_was_written() {
    let sql = "SELECT x FROM t WHERE (x + 1) * 2 > x % 5 AND y / 2 < 1";
    let plan = table().sql(sql).await.unwrap().into_optimized_plan().unwrap();
    let mut shown = Vec::new();
    plan.apply(|node| {
        if let LogicalPlan::Filter(filter) = node {
            shown.extend(
                split_conjunction(&filter.predicate).into_iter().cloned().map(|expr| as_written(expr).to_string()),
            );
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    assert_eq!(shown, ["(t.x + Int64(1)) * Int64(2) > t.x % Int64(5)", "t.y / Float64(2) < Float64(1)"]);
}

/// NOT IN is NULL, not true, beside a NULL: whatever stands on the left and wherever the condition stands.
#[tokio::test]
async fn membership_knows_null() {
    let context = session();
    let a = "(VALUES (1), (2), (NULL)) a (v)";
    let b = "(VALUES (1, 1), (NULL, 2)) b (v, k)";
    for (condition, expected) in [
        // No subquery has rows that decide it.
        (format!("v NOT IN (SELECT v FROM {b})"), vec![]),
        (format!("v NOT IN (SELECT v FROM {b} WHERE k = 7)"), vec!["1", "2", "NULL"]),
        (format!("v NOT IN (SELECT v FROM {b} WHERE k = 1)"), vec!["2"]),
        (format!("NOT (v IN (SELECT v FROM {b} WHERE k = 1))"), vec!["2"]),
        (format!("NOT (v NOT IN (SELECT v FROM {b}))"), vec!["1"]),
        (format!("v IN (SELECT v FROM {b})"), vec!["1"]),
        // Correlated: for 1 the row (1), for 2 the row (NULL), for NULL no row.
        (format!("v NOT IN (SELECT b.v FROM {b} WHERE b.k = a.v)"), vec!["NULL"]),
        (format!("v IN (SELECT b.v FROM {b} WHERE b.k = a.v)"), vec!["1"]),
        (format!("v NOT IN (SELECT b.v FROM {b} WHERE b.k > a.v)"), vec!["2", "NULL"]),
        // Constants on the left.
        ("1 NOT IN (SELECT NULL)".to_string(), vec![]),
        ("1 NOT IN (SELECT 2)".to_string(), vec!["1", "2", "NULL"]),
        (format!("3 NOT IN (SELECT v FROM {b})"), vec![]),
        // Inside other conditions.
        (format!("v NOT IN (SELECT v FROM {b}) OR v = 2"), vec!["2"]),
        (format!("v IN (SELECT v FROM {b}) OR v = 2"), vec!["1", "2"]),
        (format!("NOT (v IN (SELECT v FROM {b}) OR v = 5)"), vec![]),
        (format!("NOT (v IN (SELECT v FROM {b} WHERE k = 1) OR v = 5)"), vec!["2"]),
        (format!("(v NOT IN (SELECT v FROM {b})) IS NULL"), vec!["2", "NULL"]),
        (format!("(v IN (SELECT v FROM {b})) IS NULL"), vec!["2", "NULL"]),
        (format!("(v IN (SELECT v FROM {b})) IS NOT TRUE"), vec!["2", "NULL"]),
        (format!("(v IN (SELECT v FROM {b})) IS NOT FALSE"), vec!["1", "2", "NULL"]),
        (format!("CASE WHEN v IN (SELECT v FROM {b}) THEN false ELSE true END"), vec!["2", "NULL"]),
        (format!("coalesce(v IN (SELECT v FROM {b}), true)"), vec!["1", "2", "NULL"]),
        (format!("v + 1 NOT IN (SELECT v FROM {b} WHERE k = 1)"), vec!["1", "2"]),
        (format!("v NOT IN (SELECT v FROM {b} ORDER BY k LIMIT 1)"), vec!["2"]),
        (format!("v NOT IN (SELECT max(v) FROM {b} GROUP BY k)"), vec![]),
    ] {
        expect(&context, &format!("SELECT v FROM {a} WHERE {condition} ORDER BY v"), &expected).await;
    }
}
