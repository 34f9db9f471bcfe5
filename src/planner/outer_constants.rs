//! Constants below outer joins.
//!
//! DataFusion 55 takes a column for constant above an outer join that was so below it, on the side whose rows may be missing: there
//! it is the constant or NULL. A sort by it is left out then (`EquivalenceGroup::join`), and groups by it are taken for sorted and
//! told before their last row has come. Such joins are covered by an operator that knows of no constants: while sorts are placed,
//! and in the plan that runs.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::JoinType;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::equivalence::{EquivalenceClass, EquivalenceGroup};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};

use super::one_input::{no_expressions, over_one_input};

/// A rule that places or removes sorts, made safe.
#[derive(Debug)]
pub(super) struct WithoutOuterConstants(pub(super) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for WithoutOuterConstants {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let placed = self.0.optimize(cover_outer_constants(plan)?, config)?;
        let bare = placed.transform_up(|node| {
            Ok(match node.downcast_ref::<InconstantExec>() {
                Some(cover) => Transformed::yes(Arc::clone(&cover.input)),
                None => Transformed::no(node),
            })
        })?;
        Ok(bare.data)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// The plan with such joins covered.
pub(super) fn cover_outer_constants(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let covered = plan.transform_up(|node| {
        Ok(match may_miss_rows(&node) && !node.equivalence_properties().constants().is_empty() {
            true => Transformed::yes(Arc::new(InconstantExec::new(node)) as _),
            false => Transformed::no(node),
        })
    })?;
    Ok(covered.data)
}

/// Whether it is a join that keeps rows of one side without a partner on the other.
fn may_miss_rows(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let join_type = plan
        .downcast_ref::<HashJoinExec>()
        .map(HashJoinExec::join_type)
        .or_else(|| plan.downcast_ref::<NestedLoopJoinExec>().map(NestedLoopJoinExec::join_type))
        .or_else(|| plan.downcast_ref::<SortMergeJoinExec>().map(|join| &join.join_type));
    join_type.is_some_and(|join_type| matches!(join_type, JoinType::Left | JoinType::Right | JoinType::Full))
}

/// Its input's rows. It knows no column to be constant, and no order, so that no sort is moved below it.
#[derive(Debug)]
pub(crate) struct InconstantExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl InconstantExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let known = input.equivalence_properties();
        let mut kept = EquivalenceProperties::new(input.schema());
        let constants = known.constants();
        let is_constant = |class: &&EquivalenceClass| constants.iter().any(|constant| class.contains(&constant.expr));
        let classes = known.eq_group().iter().filter(|class| !is_constant(class)).cloned();
        // What is only less known if it fails.
        let _ = kept.add_equivalence_group(EquivalenceGroup::new(classes));
        let properties = input.properties().as_ref().clone().with_eq_properties(kept);
        Self { input, properties: Arc::new(properties) }
    }

    #[expect(clippy::unused_self, reason = "operators over one input have it")]
    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self::new(input)
    }
}

impl DisplayAs for InconstantExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InconstantExec")
    }
}

impl ExecutionPlan for InconstantExec {
    over_one_input!("InconstantExec", Arc::clone);
    no_expressions!();

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}
