//! Conditions that have to stay where they are.
//!
//! DataFusion moves a condition below an aggregate if all of its columns are of groups (version 55, `PushDownFilter`). One that
//! has no columns, `'a' = 'b'` or `(SELECT count(*) FROM t) > 5`, goes there too; but an aggregate without groups has a row even
//! if its input has none. And what is not the same each time, `random() < 0.5`, chooses among other rows below a join, an
//! aggregate or a window function.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Aggregate, Expr, Filter, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// A rule that moves conditions down, for those that may be moved.
#[derive(Debug)]
pub(super) struct PushUnlessHeld(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for PushUnlessHeld {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let filter = match plan {
            LogicalPlan::Filter(filter) if is_any_held(&filter) => filter,
            plan => return self.0.rewrite(plan, config),
        };
        let (conjuncts, input) = all_conditions(filter);
        let (held, moved): (Vec<_>, Vec<_>) = conjuncts.into_iter().partition(|conjunct| is_held(conjunct, &input));
        let moved = match conjunction(moved) {
            Some(condition) => {
                self.0.rewrite(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(input))?), config)?
            }
            None => Transformed::no(input),
        };
        moved.map_data(|plan| {
            let (conjuncts, input) = match plan {
                LogicalPlan::Filter(kept) => all_conditions(kept),
                plan => (Vec::new(), plan),
            };
            match conjunction(conjuncts.into_iter().chain(held)) {
                Some(condition) => Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(input))?)),
                None => Ok(input),
            }
        })
    }
}

/// Whether a condition of a filter, or of those right below it, has to stay.
fn is_any_held(filter: &Filter) -> bool {
    let mut conditions = vec![&filter.predicate];
    let mut input = filter.input.as_ref();
    while let LogicalPlan::Filter(below) = input {
        conditions.push(&below.predicate);
        input = below.input.as_ref();
    }
    let conjuncts = conditions.into_iter().flat_map(split_conjunction);
    conjuncts.into_iter().any(|conjunct| is_held(conjunct, input))
}

/// The conditions of a filter and of those right below it, lower ones first, and what is below them all.
fn all_conditions(filter: Filter) -> (Vec<Expr>, LogicalPlan) {
    let mut conditions = vec![filter.predicate];
    let mut input = Arc::unwrap_or_clone(filter.input);
    while let LogicalPlan::Filter(below) = input {
        conditions.push(below.predicate);
        input = Arc::unwrap_or_clone(below.input);
    }
    (conditions.into_iter().rev().flat_map(split_conjunction_owned).collect(), input)
}

fn is_held(conjunct: &Expr, input: &LogicalPlan) -> bool {
    let makes_row = matches!(input, LogicalPlan::Aggregate(aggregate) if has_row_of_nothing(aggregate));
    conjunct.is_volatile() || makes_row && !conjunct.any_column_refs()
}

/// Whether an aggregate has a row where its input has none.
fn has_row_of_nothing(aggregate: &Aggregate) -> bool {
    aggregate.group_expr.is_empty()
        || aggregate.group_expr.iter().any(|group| match group {
            Expr::GroupingSet(GroupingSet::Rollup(_) | GroupingSet::Cube(_)) => true,
            Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => sets.iter().any(Vec::is_empty),
            _ => false,
        })
}
