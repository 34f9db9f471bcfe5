//! What a join finds out about its keys while the query runs, for sources that can use it.
//!
//! The engine's hash join reads its build side first and then knows which keys have a partner. A source that is told
//! reads only those rows. What it leaves out is checked again by the join, so that a filter that comes too late, or that
//! says too little, costs time and never rows.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, Literal,
};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr_common::physical_expr::snapshot_physical_expr;
use datafusion::physical_plan::PhysicalExpr;
use tokio::sync::OnceCell;

use crate::Split;

/// What is known of the keys of a join: rows for which it does not hold have no partner.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyFilter {
    /// A column is one of these values.
    In {
        /// The column's place in the result of the scan.
        column: usize,
        /// The values, of the column's type, none of them NULL.
        values: Vec<ScalarValue>,
    },
    /// A column lies between two values.
    Between {
        /// The column's place in the result of the scan.
        column: usize,
        /// The least value, where there is one.
        low: Option<ScalarValue>,
        /// The greatest value, where there is one.
        high: Option<ScalarValue>,
    },
    /// The join has no partner for any row.
    Nothing,
}

impl KeyFilter {
    /// The column that it speaks of.
    pub fn column(&self) -> Option<usize> {
        match self {
            Self::In { column, .. } | Self::Between { column, .. } => Some(*column),
            Self::Nothing => None,
        }
    }
}

impl KeyFilter {
    /// What holds where this holds or all of the others; `None` where that says nothing of its column.
    fn or_any_of(self, others: &[Self]) -> Option<Self> {
        let other = others.iter().find(|other| other.column() == self.column())?;
        match (self, other) {
            (Self::In { column, mut values }, Self::In { values: more, .. }) => {
                let seen: HashSet<ScalarValue> = values.iter().cloned().collect();
                values.extend(more.iter().filter(|value| !seen.contains(value)).cloned());
                Some(Self::In { column, values })
            }
            _ => None,
        }
    }
}

/// What becomes of a split when the keys of a join are known.
#[derive(Clone, Debug, PartialEq)]
pub enum Narrowed {
    /// It is read as it was planned.
    Unchanged,
    /// Another one is read in its place.
    To(Split),
    /// Another split of the scan reads its rows too, or there are none.
    Nothing,
}

/// The filters of joins above a leaf.
#[derive(Clone, Debug, Default)]
pub(super) struct JoinKeys {
    /// As the engine pushed them down.
    pub(super) filters: Vec<Arc<dyn PhysicalExpr>>,
    /// Those of hash joins, by their ids. A top-N's is known only when all is read.
    pub(super) awaited: Vec<u64>,
    /// How long to wait for a join to know its keys.
    pub(super) patience: Duration,
    /// What the joins told, the same for all partitions of the leaf: splits may rely on one another.
    pub(super) told: Arc<OnceCell<Vec<KeyFilter>>>,
}

impl JoinKeys {
    /// Whether there is anything worth waiting for.
    pub(super) fn is_empty(&self) -> bool {
        self.awaited.is_empty()
    }

    /// The same filters, for a run that has not begun.
    pub(super) fn afresh(&self) -> Self {
        Self { told: Arc::default(), ..self.clone() }
    }

    /// Waits until the joins know their keys, or for as long as it is worth it, and tells what they know.
    pub(super) async fn settle(&self, schema: &Schema) -> &[KeyFilter] {
        self.told.get_or_init(|| self.ask(schema)).await
    }

    async fn ask(&self, schema: &Schema) -> Vec<KeyFilter> {
        let all = futures::future::join_all(self.dynamic().into_iter().map(|filter| async move {
            if let Some(filter) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() {
                filter.wait_complete().await;
            }
        }));
        if tokio::time::timeout(self.patience, all).await.is_err() {
            tracing::debug!(patience = ?self.patience, "a join does not know its keys yet");
        }
        let current = self.dynamic().into_iter().filter_map(|filter| {
            let filter = filter.downcast_ref::<DynamicFilterPhysicalExpr>()?;
            filter.current().ok()
        });
        known(current, schema)
    }

    /// The filters that are waited for.
    fn dynamic(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        let mut found = Vec::new();
        for filter in &self.filters {
            // The closure never fails.
            let _ = filter.apply(|part| {
                if part.is::<DynamicFilterPhysicalExpr>()
                    && part.expression_id().is_some_and(|id| self.awaited.contains(&id))
                {
                    found.push(Arc::clone(part));
                }
                Ok(TreeNodeRecursion::Continue)
            });
        }
        found
    }
}

/// What a condition over the columns of `schema` says of single columns, with what joins have found out by now.
pub fn key_filters(condition: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Vec<KeyFilter> {
    let current = snapshot_physical_expr(Arc::clone(condition));
    known(current.into_iter(), schema)
}

/// What conditions say of single columns. What they say else is left out.
fn known(conditions: impl Iterator<Item = Arc<dyn PhysicalExpr>>, schema: &Schema) -> Vec<KeyFilter> {
    let mut filters: Vec<KeyFilter> = Vec::new();
    for condition in conditions {
        for part in split_conjunction(&condition) {
            filters.extend(of_part(part, schema));
        }
    }
    // A list says all that a range says.
    let listed: Vec<usize> =
        filters.iter().filter(|filter| matches!(filter, KeyFilter::In { .. })).filter_map(KeyFilter::column).collect();
    filters.retain(|filter| match filter {
        KeyFilter::Between { column, .. } => !listed.contains(column),
        _ => true,
    });
    filters
}

fn of_part(part: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Vec<KeyFilter> {
    if let Some(literal) = part.downcast_ref::<Literal>() {
        let never = *literal.value() == ScalarValue::Boolean(Some(false));
        return if never { vec![KeyFilter::Nothing] } else { Vec::new() };
    }
    if let Some(case) = part.downcast_ref::<CaseExpr>() {
        return of_case(case, schema).unwrap_or_default();
    }
    match part.downcast_ref::<InListExpr>() {
        Some(list) if list.negated() => Vec::new(),
        Some(list) => of_list(list, schema).unwrap_or_default(),
        None => of_comparison(part, schema).into_iter().collect(),
    }
}

/// A join in several partitions knows the keys of each: every row is in one of them, so that it has one of all their keys.
fn of_case(case: &CaseExpr, schema: &Schema) -> Option<Vec<KeyFilter>> {
    let branches = case.when_then_expr().iter().map(|(_, then)| then).chain(case.else_expr());
    let mut either: Option<Vec<KeyFilter>> = None;
    for branch in branches {
        let branch = known(std::iter::once(Arc::clone(branch)), schema);
        if branch.contains(&KeyFilter::Nothing) {
            continue;
        }
        either = Some(match either {
            None => branch,
            Some(before) => before.into_iter().filter_map(|filter| filter.or_any_of(&branch)).collect(),
        });
    }
    Some(either.unwrap_or_else(|| vec![KeyFilter::Nothing]))
}

/// A list of values, or of pairs of values where a join has several keys. What is said of each key by itself is said of
/// more rows than what is said of all together, which the join does not mind.
fn of_list(list: &InListExpr, schema: &Schema) -> Option<Vec<KeyFilter>> {
    let values = list.list().iter().map(|value| value.downcast_ref::<Literal>().map(Literal::value));
    let values: Vec<&ScalarValue> = values.collect::<Option<_>>()?;
    let Some(keys) = list.expr().downcast_ref::<ScalarFunctionExpr>() else {
        let (column, data_type) = key(list.expr(), schema)?;
        return Some(vec![one_of(column, data_type.as_ref(), values.into_iter().cloned())]);
    };
    let mut filters = Vec::new();
    for (at, expr) in keys.args().iter().enumerate() {
        let Some((column, data_type)) = key(expr, schema) else { continue };
        let member = |value: &&ScalarValue| match value {
            ScalarValue::Struct(members) => ScalarValue::try_from_array(members.columns().get(at)?, 0).ok(),
            _ => None,
        };
        let members: Vec<ScalarValue> = values.iter().map(member).collect::<Option<_>>()?;
        filters.push(one_of(column, data_type.as_ref(), members.into_iter()));
    }
    Some(filters)
}

/// A value that the column's type has no room for is in no row; neither is NULL.
fn one_of(column: usize, data_type: Option<&DataType>, values: impl Iterator<Item = ScalarValue>) -> KeyFilter {
    let mut seen = HashSet::new();
    let values = values.filter(|value| !value.is_null()).filter_map(|value| of_type(&value, data_type));
    KeyFilter::In { column, values: values.filter(|value| seen.insert(value.clone())).collect() }
}

fn of_comparison(part: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<KeyFilter> {
    let comparison = part.downcast_ref::<BinaryExpr>()?;
    let (column, data_type) = key(comparison.left(), schema)?;
    let bound = of_type(comparison.right().downcast_ref::<Literal>()?.value(), data_type.as_ref())?;
    if bound.is_null() {
        return None;
    }
    match comparison.op() {
        Operator::Eq => Some(KeyFilter::In { column, values: vec![bound] }),
        Operator::GtEq => Some(KeyFilter::Between { column, low: Some(bound), high: None }),
        Operator::LtEq => Some(KeyFilter::Between { column, low: None, high: Some(bound) }),
        _ => None,
    }
}

/// The column that a key is, and the type of its values where the join compares wider integers.
fn key(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<(usize, Option<DataType>)> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return Some((column.index(), None));
    }
    let cast = expr.downcast_ref::<CastExpr>()?;
    let column = cast.expr().downcast_ref::<Column>()?;
    let data_type = schema.fields().get(column.index())?.data_type();
    // A cast to a narrower type may fail, and whether it does must not depend on what the source leaves out.
    let widens = data_type.is_signed_integer()
        && cast.cast_type().is_signed_integer()
        && data_type.primitive_width() < cast.cast_type().primitive_width();
    widens.then(|| (column.index(), Some(data_type.clone())))
}

/// The value in the type of the column; `None` where the type has no room for it.
fn of_type(value: &ScalarValue, data_type: Option<&DataType>) -> Option<ScalarValue> {
    match data_type {
        None => Some(value.clone()),
        Some(data_type) => value.cast_to(data_type).ok(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{cast, col, in_list, lit};

    use super::*;

    fn schema() -> Schema {
        Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Int64, true)])
    }

    fn of(condition: Arc<dyn PhysicalExpr>) -> Vec<KeyFilter> {
        known(std::iter::once(condition), &schema())
    }

    fn and(left: Arc<dyn PhysicalExpr>, right: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
        Arc::new(BinaryExpr::new(left, Operator::And, right))
    }

    fn compare(name: &str, op: Operator, value: i64) -> Arc<dyn PhysicalExpr> {
        Arc::new(BinaryExpr::new(col(name, &schema()).unwrap(), op, lit(value)))
    }

    #[test]
    fn a_list_says_more_than_a_range() {
        let values = Arc::new(Int64Array::from(vec![Some(1), None, Some(7)]));
        let column = col("b", &schema()).unwrap();
        let list = InListExpr::try_new_from_array(column, values, false, &schema()).unwrap();
        let range = and(compare("b", Operator::GtEq, 1), compare("b", Operator::LtEq, 7));
        let expected = [KeyFilter::In { column: 1, values: vec![ScalarValue::from(1_i64), ScalarValue::from(7_i64)] }];
        assert_eq!(of(and(range.clone(), Arc::new(list))), expected);
        let low = KeyFilter::Between { column: 1, low: Some(ScalarValue::from(1_i64)), high: None };
        let high = KeyFilter::Between { column: 1, low: None, high: Some(ScalarValue::from(7_i64)) };
        assert_eq!(of(range), [low, high]);
    }

    #[test]
    fn values_are_of_the_columns_type() {
        let wide = cast(col("a", &schema()).unwrap(), &schema(), DataType::Int64).unwrap();
        let list = in_list(wide, vec![lit(5_i64), lit(5_000_000_000_i64)], &false, &schema()).unwrap();
        assert_eq!(of(list), [KeyFilter::In { column: 0, values: vec![ScalarValue::from(5_i32)] }]);
    }

    #[test]
    fn the_keys_of_all_partitions_are_keys() {
        let list = |values: &[i64]| {
            let values = values.iter().map(|value| lit(*value)).collect();
            in_list(col("b", &schema()).unwrap(), values, &false, &schema()).unwrap()
        };
        let partition = |number: i64| lit(number);
        let case = |branches: Vec<Arc<dyn PhysicalExpr>>, otherwise: bool| {
            let branches = branches.into_iter().enumerate().map(|(at, then)| (partition(at as i64), then)).collect();
            Arc::new(CaseExpr::try_new(Some(lit(0_i64)), branches, Some(lit(otherwise))).unwrap())
        };
        let of_all = [1_i64, 2, 3].map(ScalarValue::from).to_vec();
        assert_eq!(
            of(case(vec![list(&[1, 2]), lit(false), list(&[2, 3])], false)),
            [KeyFilter::In { column: 1, values: of_all }]
        );
        assert_eq!(of(case(vec![lit(false), lit(false)], false)), [KeyFilter::Nothing]);
        // Of a partition that says nothing all rows may have a partner.
        assert_eq!(of(case(vec![list(&[1]), list(&[2])], true)), []);
        assert_eq!(of(case(vec![list(&[1]), compare("b", Operator::GtEq, 7)], false)), []);
    }

    #[test]
    fn what_is_no_key_says_nothing() {
        assert_eq!(of(lit(true)), []);
        assert_eq!(of(lit(false)), [KeyFilter::Nothing]);
        assert_eq!(of(compare("b", Operator::NotEq, 1)), []);
        let either =
            Arc::new(BinaryExpr::new(compare("b", Operator::GtEq, 1), Operator::Or, compare("b", Operator::LtEq, -1)));
        assert_eq!(of(either), []);
    }

    #[test]
    fn one_value_is_a_list() {
        let expected = [KeyFilter::In { column: 1, values: vec![ScalarValue::from(7_i64)] }];
        assert_eq!(of(compare("b", Operator::Eq, 7)), expected);
        assert_eq!(key_filters(&compare("b", Operator::Eq, 7), &schema()), expected);
    }

    #[tokio::test]
    async fn waiting_has_an_end() {
        let column = col("b", &schema()).unwrap();
        let filter = Arc::new(DynamicFilterPhysicalExpr::new(vec![column], lit(true)));
        let awaited = filter.expression_id().into_iter().collect();
        let keys = JoinKeys {
            filters: vec![Arc::clone(&filter) as _],
            awaited,
            patience: Duration::from_millis(20),
            told: Arc::default(),
        };
        assert_eq!(keys.settle(&schema()).await, []);
        filter.update(compare("b", Operator::GtEq, 3)).unwrap();
        filter.mark_complete();
        // What one partition was told all are told.
        assert_eq!(keys.settle(&schema()).await, []);
        assert_eq!(keys.afresh().settle(&schema()).await.len(), 1);
    }
}
