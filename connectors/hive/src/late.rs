//! Late materialisation: whether the rows of a file are filtered while they are decoded.
//!
//! Then the other columns are decoded for the rows that are left alone. That costs more than it saves unless few are
//! left: conditions are evaluated column by column, and what they leave is a list of ranges of rows that each further
//! column steps through. Measured with TPC-H's lineitem: where 0.1 % of the rows are left it takes 0.6 of the time,
//! where 2 % are left (Q6) it takes half as much again.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::physical_expr::expressions::DynamicFilterTracking;
use datafusion::physical_expr::utils::{conjunction, split_conjunction};
use datafusion::physical_plan::PhysicalExpr;
use portolan_connector::{KeyFilter, key_filters};

/// Of a thousand rows, how many may be left for it to pay.
const ROWS_LEFT_PER_THOUSAND_MAX: f64 = 5.0;

/// Whether what is known of the rows by now leaves so few of them that they are filtered while they are decoded.
///
/// `predicate` is over the columns of `schema`; `distinct` says of these how many values each has, where that is known.
pub(crate) fn pays(predicate: &Arc<dyn PhysicalExpr>, schema: &Schema, distinct: &[Option<u64>]) -> bool {
    let filters = key_filters(predicate, schema);
    let share = |filter: &KeyFilter| match filter {
        KeyFilter::In { column, values } => match distinct.get(*column) {
            Some(Some(distinct)) => (values.len() as f64 / (*distinct).max(1) as f64).min(1.0),
            _ => 1.0,
        },
        KeyFilter::Between { .. } | KeyFilter::Nothing => 1.0,
    };
    filters.iter().map(share).product::<f64>() * 1000.0 <= ROWS_LEFT_PER_THOUSAND_MAX
}

/// The condition with what joins find out before all else: rows are filtered while they are decoded where that leaves few, and
/// the columns of the other conditions are then decoded for those alone.
pub(crate) fn keys_first(predicate: &Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    let (found, stated) = by_origin(predicate);
    conjunction(found.into_iter().chain(stated).cloned())
}

/// Parts of a condition.
type Parts<'a> = Vec<&'a Arc<dyn PhysicalExpr>>;

/// The parts of a condition that joins find out, and those that are stated.
pub(crate) fn by_origin(predicate: &Arc<dyn PhysicalExpr>) -> (Parts<'_>, Parts<'_>) {
    let is_found = |part: &&Arc<dyn PhysicalExpr>| DynamicFilterTracking::classify(part).contains_dynamic_filter();
    split_conjunction(predicate).into_iter().partition(is_found)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{BinaryExpr, DynamicFilterPhysicalExpr, col, in_list, lit};

    use super::*;

    fn schema() -> Schema {
        Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("t", DataType::Utf8View, true)])
    }

    fn one_of(values: i64) -> Arc<dyn PhysicalExpr> {
        let schema = schema();
        in_list(col("id", &schema).unwrap(), (0..values).map(lit).collect(), &false, &schema).unwrap()
    }

    #[test]
    fn few_keys_of_many_values() {
        let schema = schema();
        assert!(pays(&one_of(5), &schema, &[Some(1000), None]));
        assert!(!pays(&one_of(6), &schema, &[Some(1000), None]));
        assert!(!pays(&one_of(5), &schema, &[None, None]));
        assert!(!pays(&lit(true), &schema, &[Some(1000), None]));
        let id = || col("id", &schema).unwrap();
        let compared = |op| Arc::new(BinaryExpr::new(id(), op, lit(7_i64))) as Arc<dyn PhysicalExpr>;
        assert!(pays(&compared(Operator::Eq), &schema, &[Some(1000), None]));
        assert!(!pays(&compared(Operator::NotEq), &schema, &[Some(1000), None]));
        assert!(!pays(&compared(Operator::LtEq), &schema, &[Some(1000), None]));
    }

    #[test]
    fn what_a_join_has_found_out_by_now() {
        let schema = schema();
        let filter = Arc::new(DynamicFilterPhysicalExpr::new(vec![col("id", &schema).unwrap()], lit(true)));
        let predicate = Arc::clone(&filter) as Arc<dyn PhysicalExpr>;
        assert!(!pays(&predicate, &schema, &[Some(1000), None]));
        filter.update(one_of(2)).unwrap();
        assert!(pays(&predicate, &schema, &[Some(1000), None]));
    }

    #[test]
    fn what_a_join_finds_out_comes_first() {
        let schema = schema();
        let id = || col("id", &schema).unwrap();
        let filter = Arc::new(DynamicFilterPhysicalExpr::new(vec![id()], lit(true))) as Arc<dyn PhysicalExpr>;
        let stated = |op| Arc::new(BinaryExpr::new(id(), op, lit(7_i64))) as Arc<dyn PhysicalExpr>;
        let parts = [stated(Operator::Lt), stated(Operator::NotEq), Arc::clone(&filter)];
        let sorted = keys_first(&conjunction(parts));
        let expected = [filter, stated(Operator::Lt), stated(Operator::NotEq)];
        assert_eq!(split_conjunction(&sorted), expected.iter().collect::<Vec<_>>());
    }
}
