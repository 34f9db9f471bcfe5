//! DataFusion's optimizer rules, with ours in the place of those that may change an answer.

use std::sync::Arc;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use super::held_conditions::PushUnlessHeld;
use super::null_equality::EliminateCrossJoinOfOneEquality;
use super::only_subqueries::OnlyWithSubqueries;
use super::outer_constants::WithoutOuterConstants;
use super::same_names::PushByUniqueNames;
use super::single_distinct::SingleDistinctOfOneType;
use super::stopwatch::Timed;

/// Physical rules that add sorts or leave them out.
const PLACE_SORTS: [&str; 2] = ["EnsureRequirements", "PushdownSort"];

/// A builder whose sessions optimize by rules that keep every answer.
pub(crate) fn keep_answers(builder: SessionStateBuilder) -> SessionStateBuilder {
    let logical = Optimizer::new().rules.into_iter().map(|rule| match rule.name() {
        "eliminate_cross_join" => Arc::new(EliminateCrossJoinOfOneEquality::default()) as _,
        "rewrite_set_comparison" => Arc::new(OnlyWithSubqueries(rule)) as _,
        "push_down_filter" => Arc::new(PushUnlessHeld(rule)) as _,
        "single_distinct_aggregation_to_group_by" => Arc::new(SingleDistinctOfOneType(rule)) as _,
        _ => rule,
    });
    let physical = PhysicalOptimizer::new().rules.into_iter().map(|rule| match rule.name() {
        name if name.contains("FilterPushdown") => Arc::new(PushByUniqueNames(rule)) as _,
        name if PLACE_SORTS.contains(&name) => Arc::new(WithoutOuterConstants(rule)) as _,
        _ => rule,
    });
    let logical: Vec<Arc<dyn OptimizerRule + Send + Sync>> = logical.collect();
    let physical: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> =
        physical.map(|rule| Arc::new(Timed(rule)) as _).collect();
    builder.with_optimizer_rules(logical).with_physical_optimizer_rules(physical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_are_replaced_are_there() {
        let names: Vec<String> = Optimizer::new().rules.iter().map(|rule| rule.name().to_owned()).collect();
        let replaced = [
            "rewrite_set_comparison",
            "eliminate_cross_join",
            "push_down_filter",
            "single_distinct_aggregation_to_group_by",
        ];
        assert!(replaced.iter().all(|rule| names.iter().any(|name| name == rule)), "{names:?}");
        let names: Vec<String> = PhysicalOptimizer::new().rules.iter().map(|rule| rule.name().to_owned()).collect();
        assert_eq!(names.iter().filter(|name| name.contains("FilterPushdown")).count(), 2, "{names:?}");
        assert!(PLACE_SORTS.iter().all(|rule| names.iter().any(|name| name == rule)), "{names:?}");
    }
}
