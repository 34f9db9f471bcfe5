//! Rows without a partner, left out before they reach the join.
//!
//! A hash join looks each row of its second input up in its table, which for most rows of a large table is a miss of the
//! processor's caches for nothing. Where the keys are whole numbers that lie close together, one bit for each says the
//! same from memory that fits into a cache. The set is made while the join's first input is read, and asked directly above
//! the scan of the second, below other joins.

mod collect;
mod filter;
mod set;
#[cfg(test)]
mod tests;
mod trace;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::NullEquality;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::Result;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use portolan_connector::SourceExec;

use super::ahead::scan_below;
use super::builds::Builds;
pub(crate) use collect::KeyCollectorExec;
pub(crate) use filter::KeyFilterExec;
use set::{Keys, SharedKeys};
use trace::{index, input_column};

/// A set is made where at most every so-manieth of a column's values is expected to be a key of the join.
const VALUES_PER_KEY_MIN: u64 = 2;

/// The plan whose scans leave out rows that joins above have no partner for.
pub(super) fn filter_by_keys(plan: Arc<dyn ExecutionPlan>, builds: &Builds) -> Result<Arc<dyn ExecutionPlan>> {
    // Its operators run many times, each time with other keys.
    if plan.exists(|node| Ok(node.is::<RecursiveQueryExec>()))? {
        return Ok(plan);
    }
    ask(plan, &[], &mut builds.in_order.iter())
}

/// Whether a column's values are keys of a join above is known when the join has read its first input.
#[derive(Clone, Debug)]
struct Known {
    /// The column's place.
    column: usize,
    keys: Keys,
    /// The type of the keys.
    data_type: DataType,
    /// How many there are expected to be.
    values: u64,
}

/// Puts a filter above each scan of whose columns something is `known`, and lets the joins collect what is asked for.
/// `joins` has what is expected of those that a walk from here meets.
fn ask<'a>(
    plan: Arc<dyn ExecutionPlan>,
    known: &[Known],
    joins: &mut impl Iterator<Item = &'a Option<Vec<u64>>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(leaf) = scan_below(&plan) {
        let asked: Vec<_> = known.iter().filter(|known| is_selective(&plan, leaf, known)).collect();
        let asked: Vec<_> = asked.into_iter().map(|known| (known.column, Arc::clone(&known.keys))).collect();
        return Ok(if asked.is_empty() { plan } else { Arc::new(KeyFilterExec::new(plan, asked)) });
    }
    let join = plan.downcast_ref::<HashJoinExec>();
    let own = join.map(|join| own_keys(join, joins.next().and_then(Option::as_ref))).unwrap_or_default();
    let mut children = Vec::new();
    for (at, child) in plan.children().into_iter().enumerate() {
        let traced = known.iter().filter_map(|known| {
            let (input, column) = input_column(&plan, known.column)?;
            (input == at).then(|| Known { column, ..known.clone() })
        });
        let of_child: Vec<Known> =
            traced.chain(own.iter().filter(|_| at == 1).map(|(_, known)| known.clone())).collect();
        children.push(ask(Arc::clone(child), &of_child, joins)?);
    }
    if let (Some(join), Some(left)) = (join, children.first_mut()) {
        for (place, known) in own {
            // Besides this one, only those have it who ask.
            if Arc::strong_count(&known.keys) > 1
                && let Some((key, _)) = join.on().get(place)
            {
                known.keys.expect(left.output_partitioning().partition_count());
                *left = Arc::new(KeyCollectorExec::new(Arc::clone(left), Arc::clone(key), known.keys));
            }
        }
    }
    replace_children_if_necessary(plan, children)
}

/// What a join knows of the columns of its second input, each with the place of the key.
fn own_keys(join: &HashJoinExec, values: Option<&Vec<u64>>) -> Vec<(usize, Known)> {
    let (_, drops) = join.join_type().on_lr_is_preserved();
    if !drops || join.null_aware || join.null_equality() != NullEquality::NullEqualsNothing {
        return Vec::new();
    }
    let schema = join.left().schema();
    let known = join.on().iter().zip(values.into_iter().flatten()).enumerate().filter_map(|(place, (key, values))| {
        let data_type = key.0.data_type(&schema).ok().filter(set::holds)?;
        let keys = Arc::new(SharedKeys::default());
        Some((place, Known { column: index(&key.1)?, keys, data_type, values: *values }))
    });
    known.collect()
}

/// Whether most values of a scan's column are expected not to be keys.
fn is_selective(plan: &Arc<dyn ExecutionPlan>, leaf: &SourceExec, known: &Known) -> bool {
    let schema = plan.schema();
    let Some(field) = schema.fields().get(known.column) else { return false };
    // A source that waits for the keys leaves these rows out itself.
    let source_filters = leaf.native().is_none() && !leaf.is_at_once() && leaf.filters_on(field.name());
    !source_filters
        && known.values <= set::KEYS_MAX as u64
        && set::comparable(field.data_type(), &known.data_type)
        && leaf.distinct(field.name()).is_some_and(|values| known.values.saturating_mul(VALUES_PER_KEY_MIN) <= values)
}
