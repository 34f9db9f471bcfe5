//! Expected values are worked out by hand from the rules of the module.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, ScalarValue};
use datafusion::logical_expr::{Aggregate, EmptyRelation, Expr, Join, JoinConstraint, LogicalPlan, col, lit};

use super::*;

/// 1,000 rows: `id` has a value of its own in each, `kind` has 10 values, `day` goes from 0 to 100, `maybe` is NULL in a
/// quarter of the rows.
fn thousand(name: &str) -> Estimated {
    let values = |column: &str, distinct: Option<f64>, nulls: f64, range: Option<(f64, f64)>| Values {
        column: Arc::new(Column::new(Some(name), column)),
        distinct,
        nulls,
        range,
        spread: None,
        frequent: Arc::new([]),
        width: 8.0,
    };
    let columns = vec![
        values("id", Some(1000.0), 0.0, Some((1.0, 1000.0))),
        values("kind", Some(10.0), 0.0, None),
        values("day", Some(100.0), 0.0, Some((0.0, 100.0))),
        values("maybe", Some(5.0), 0.25, None),
    ];
    Estimated { rows: 1000.0, columns }
}

fn share(condition: Expr) -> f64 {
    selectivity(&[&condition], &thousand("t"))
}

fn about(found: f64, expected: f64) {
    assert!((found - expected).abs() <= expected.abs() * 0.01 + 1e-9, "{found}, expected {expected}");
}

#[test]
fn a_value_has_its_part_of_the_rows() {
    about(share(col("t.id").eq(lit(7))), 0.001);
    about(share(col("t.kind").eq(lit("a"))), 0.1);
    about(share(lit("a").eq(col("t.kind"))), 0.1);
    about(share(col("t.kind").not_eq(lit("a"))), 0.9);
    about(share(col("t.kind").in_list(vec![lit("a"), lit("b"), lit("c")], false)), 0.3);
    // A quarter is NULL, and the rest are five values.
    about(share(col("t.maybe").eq(lit(1))), 0.15);
    about(share(col("t.maybe").is_null()), 0.25);
    about(share(col("t.maybe").is_not_null()), 0.75);
    // There is no such value, as far as is known.
    about(share(col("t.day").eq(lit(500))), 0.001);
}

#[test]
fn a_range_has_its_part_of_the_line() {
    about(share(col("t.day").lt(lit(25))), 0.25);
    about(share(lit(25).gt(col("t.day"))), 0.25);
    // Two ends of one range, not two conditions.
    about(share(col("t.day").gt_eq(lit(20)).and(col("t.day").lt(lit(30)))), 0.1);
    about(share(col("t.day").between(lit(20), lit(30))), 0.1);
    // There is no such value, as far as is known.
    about(share(col("t.day").gt(lit(200))), 0.0001);
    // Nothing is known of the ends.
    about(share(col("t.kind").gt(lit("a"))), 1.0 / 3.0);
    about(share(col("t.day").gt(col("t.id"))), 1.0 / 3.0);
}

#[test]
fn frequent_values_have_their_own_part() {
    let mut t = thousand("t");
    t.columns[1].frequent = Arc::new([(ScalarValue::from("a"), 0.5), (ScalarValue::from("b"), 0.26)]);
    let share = |condition: Expr| selectivity(&[&condition], &t);
    about(share(col("t.kind").eq(lit("a"))), 0.5);
    // A fixed-length text has blanks at its end that do not count.
    about(share(col("t.kind").eq(lit("b  "))), 0.26);
    // The other eight values share what is left.
    about(share(col("t.kind").eq(lit("z"))), 0.03);
    about(share(col("t.kind").in_list(vec![lit("a"), lit("b"), lit("z")], false)), 0.79);
    about(share(col("t.kind").not_eq(lit("a"))), 0.5);
}

#[test]
fn sums_gather_around_a_mean() {
    let mut groups = thousand("g");
    groups.columns[2].spread = Some((100.0, 20.0));
    let share = |condition: Expr| selectivity(&[&condition], &groups);
    // Tables of the normal distribution: 15.87 % are above one deviation, 2.28 % above two.
    assert!((share(col("g.day").gt(lit(120))) - 0.1587).abs() < 0.001);
    assert!((share(col("g.day").gt(lit(140))) - 0.0228).abs() < 0.001);
    assert!((share(col("g.day").between(lit(80), lit(120))) - 0.6827).abs() < 0.001);
    about(share(col("g.day").gt(lit(1000))), 0.0001);
}

#[test]
fn aggregates_of_groups() {
    use datafusion::functions_aggregate::expr_fn::{avg, count, max, sum};
    let plan = |groups: f64| {
        let fields: Vec<_> =
            ["id", "kind", "day", "maybe"].iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
        let schema = DFSchema::try_from_qualified_schema("t", &Schema::new(fields)).unwrap();
        let rows = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::new(schema) });
        let aggregates =
            vec![count(lit(1)), count(col("t.maybe")), sum(col("t.day")), avg(col("t.day")), max(col("t.day"))];
        let aggregate = Aggregate::try_new(Arc::new(rows), vec![col("t.kind")], aggregates).unwrap();
        let found = aggregate::spreads(&aggregate, &thousand("t"), groups);
        found.into_iter().collect::<Vec<_>>()
    };
    // A hundred rows of each kind, of which three quarters have a value; days from 0 to 100 have a variance of 10,000 / 12.
    let found = plan(10.0);
    let near = |found: Option<(f64, f64)>, mean: f64, deviation: f64| {
        about(found.unwrap().0, mean);
        about(found.unwrap().1, deviation);
    };
    near(found[0], 100.0, 10.0);
    near(found[1], 75.0, 75.0_f64.sqrt());
    near(found[2], 5000.0, (100.0 * (10_000.0 / 12.0 + 2500.0_f64)).sqrt());
    near(found[3], 50.0, (100.0_f64 / 12.0).sqrt());
    assert_eq!(found[4], None);
}

#[test]
fn conditions_do_not_depend_on_each_other() {
    let (kind, day) = (col("t.kind").eq(lit("a")), col("t.day").lt(lit(50)));
    about(share(kind.clone().and(day.clone())), 0.05);
    about(share(kind.clone().or(day.clone())), 0.1 + 0.5 - 0.05);
    about(share(!kind), 0.9);
    assert_eq!(share(lit(false)), 0.0);
    assert_eq!(share(lit(ScalarValue::Boolean(None))), 0.0);
}

#[test]
fn few_rows_have_few_values() {
    let few = thousand("t").share(0.01);
    about(few.rows, 10.0);
    // Each of ten rows has a number of its own. A kind has a hundred rows, none of which is among the ten with 0.99^100.
    about(few.distinct(&col("t.id")), 10.0);
    about(few.distinct(&col("t.kind")), 10.0 * (1.0 - 0.366));
    let all = thousand("t");
    about(all.combinations(&[col("t.kind"), col("t.day")]), 100.0 * 10.0_f64.sqrt());
    // There are no more groups than rows.
    about(all.combinations(&[col("t.id"), col("t.day")]), 1000.0);
}

#[test]
fn a_key_finds_its_row() {
    let (left, right) = (thousand("l"), thousand("r").share(0.1));
    let on = |one: &str, other: &str| (col(one), col(other));
    about(pairs(&left, &thousand("r"), &[on("l.id", "r.id")], None), 1000.0);
    about(pairs(&left, &thousand("r"), &[on("l.kind", "r.kind")], None), 100_000.0);
    about(pairs(&left, &thousand("r"), &[], None), 1_000_000.0);
    // A hundred keys are left on the right, each of which has a row on the left.
    about(pairs(&left, &right, &[on("l.id", "r.id")], None), 100.0 * (1000.0 / left.distinct(&col("l.id"))));
    // Together the two columns are a key, of which there are no more than rows.
    about(pairs(&left, &thousand("r"), &[on("l.id", "r.id"), on("l.day", "r.day")], None), 1000.0);
    about(partnered(&left, &thousand("r"), &[on("l.id", "r.id")], None), 1.0);
    about(partnered(&left, &thousand("r").share(0.01), &[on("l.id", "r.id")], None), 0.01);
}

#[test]
fn every_row_of_an_outer_side_stays() {
    let plan = |name: &str| {
        let fields: Vec<_> =
            ["id", "kind", "day", "maybe"].iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
        let schema = Arc::new(DFSchema::try_from_qualified_schema(name, &Schema::new(fields)).unwrap());
        Arc::new(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema }))
    };
    let rows = |join_type: JoinType| {
        let on = vec![(col("l.id"), col("r.id"))];
        let equal = NullEquality::NullEqualsNothing;
        let join = Join::try_new(plan("l"), plan("r"), on, None, join_type, JoinConstraint::On, equal, false).unwrap();
        joined(&thousand("l"), &thousand("r").share(0.1), &join).unwrap().rows
    };
    let matched = rows(JoinType::Inner);
    assert!((90.0..=110.0).contains(&matched), "{matched}");
    about(rows(JoinType::Left), 1000.0);
    about(rows(JoinType::Right), matched);
    about(rows(JoinType::Full), 1000.0);
    about(rows(JoinType::LeftSemi) + rows(JoinType::LeftAnti), 1000.0);
    about(alone(0.3), 0.7);
    about(alone(1.0), 0.1);
    // The hundred rows on the right have a hundred keys.
    about(rows(JoinType::LeftSemi), 100.0);
}

#[test]
fn dates_and_times_are_on_a_line() {
    assert_eq!(number(&ScalarValue::Date32(Some(10_000))), Some(10_000.0));
    assert_eq!(number(&ScalarValue::TimestampMicrosecond(Some(5), None)), Some(5.0));
    let mut t = thousand("t");
    t.columns[2].range = Some((0.0, 100.0));
    let day = Expr::Literal(ScalarValue::Date32(Some(25)), None);
    about(selectivity(&[&col("t.day").lt_eq(day)], &t), 0.25);
}
