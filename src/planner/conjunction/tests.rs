//! Every condition leaves the rows that DataFusion's own evaluation of it leaves.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, StringViewArray};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::SchemaRef;
use datafusion::common::{ScalarValue, ToDFSchema};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_plan::PhysicalExpr;

use super::AllOf;
use super::conjunct::{Conjunct, Cost};

const ROWS: i64 = 1000;

/// Columns with a NULL in every seventh row: `k` runs from 0 to 999, `r` repeats 0 to 9, `d` days, `t` texts `t0` to
/// `t4`, `b` truth values.
fn batch() -> RecordBatch {
    let rows = 0..ROWS;
    let some = |row: i64| row % 7 != 6;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("k", Arc::new(rows.clone().map(Some).collect::<Int64Array>())),
        ("r", Arc::new(rows.clone().map(|row| some(row).then_some(row % 10)).collect::<Int64Array>())),
        ("d", Arc::new(rows.clone().map(|row| some(row).then_some((row / 3) as i32)).collect::<Date32Array>())),
        (
            "t",
            Arc::new(rows.clone().map(|row| some(row).then(|| format!("t{}", row % 5))).collect::<StringViewArray>()),
        ),
        ("b", Arc::new(rows.map(|row| some(row).then_some(row % 2 == 0)).collect::<BooleanArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true))).unwrap()
}

fn physical(expr: &Expr, schema: &SchemaRef) -> Arc<dyn PhysicalExpr> {
    create_physical_expr(
        expr,
        &Arc::clone(schema).to_dfschema().unwrap(),
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )
    .unwrap()
}

fn text(value: &str) -> Expr {
    Expr::Literal(ScalarValue::Utf8View(Some(value.to_owned())), None)
}

fn kept(expr: &dyn PhysicalExpr, batch: &RecordBatch) -> BooleanArray {
    let array = expr.evaluate(batch).unwrap().into_array(batch.num_rows()).unwrap();
    match array.null_count() {
        0 => array.as_boolean().clone(),
        _ => prep_null_mask_filter(array.as_boolean()),
    }
}

/// Conjuncts that keep none, few, many and all of the rows, of each cost.
fn conjuncts() -> Vec<Expr> {
    let day = |days| Expr::Literal(ScalarValue::Date32(Some(days)), None);
    vec![
        col("k").lt(lit(900_i64)),
        col("k").lt(lit(20_i64)),
        col("k").gt(lit(5000_i64)),
        col("r").eq(lit(3_i64)),
        col("r").gt(col("k")),
        col("d").gt_eq(day(30)),
        col("t").eq(text("t3")).or(col("t").eq(text("t1"))),
        col("t").like(text("%1")),
        col("t").in_list(vec![text("t0"), text("t2"), text("t4"), text("x")], true),
        col("b"),
        !col("b"),
        col("d").is_null(),
        col("d").is_not_null(),
        (col("k") + lit(1_i64)).gt(lit(500_i64)),
        lit(true),
        Expr::Literal(ScalarValue::Boolean(None), None),
    ]
}

#[test]
fn as_the_whole_condition() {
    let batch = batch();
    let schema = batch.schema();
    let conjuncts = conjuncts();
    let mut compared = 0;
    for first in &conjuncts {
        for second in &conjuncts {
            for third in &conjuncts {
                let whole = physical(&first.clone().and(second.clone()).and(third.clone()), &schema);
                let all = AllOf::new(Arc::clone(&whole), &schema).unwrap();
                assert_eq!(kept(&all, &batch), kept(whole.as_ref(), &batch), "{whole}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, conjuncts.len().pow(3));
}

#[test]
fn an_empty_batch() {
    let batch = batch().slice(0, 0);
    let whole = physical(&col("k").lt(lit(9_i64)).and(col("b")), &batch.schema());
    assert_eq!(kept(&AllOf::new(whole, &batch.schema()).unwrap(), &batch).len(), 0);
}

#[test]
fn what_can_fail_comes_last() {
    let schema = batch().schema();
    let cost = |expr: Expr| Conjunct::new(&physical(&expr, &schema), &schema).unwrap().cost();
    assert_eq!(cost(col("k").lt(lit(9_i64))), Cost::Cheap);
    assert_eq!(cost(col("b")), Cost::Cheap);
    assert_eq!(cost(col("d").is_null()), Cost::Cheap);
    assert_eq!(cost(col("t").eq(text("t1"))), Cost::Dear);
    assert_eq!(cost(col("k").eq(lit(1_i64)).or(col("k").eq(lit(2_i64)))), Cost::Dear);
    assert_eq!(cost(col("t").like(text("%a"))), Cost::Dear);
    assert_eq!(cost(col("t").like(col("t"))), Cost::Fallible);
    assert_eq!(cost((lit(1_i64) / col("k")).gt(lit(1_i64))), Cost::Fallible);
    assert_eq!(cost(col("b").or((lit(1_i64) / col("k")).gt(lit(1_i64)))), Cost::Fallible);
}
