//! Filters that are pushed through operators with several columns of one name.
//!
//! DataFusion 55 finds the columns of a filter below an operator by their names: where two have the same, as both sides of a
//! join may, the filter is put on the first that comes (its issues 21246 and 25262). While filters are pushed, such
//! operators are covered: only filters on columns whose names are unique pass.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr};

use super::one_input::{no_expressions, ordered_as_input, over_one_input};

/// A rule that pushes filters, made safe.
#[derive(Debug)]
pub(super) struct PushByUniqueNames(pub(super) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for PushByUniqueNames {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let covered = plan.transform_up(|node| {
            let unique = unique_names(&node);
            Ok(match unique.len() == node.schema().fields().len() {
                true => Transformed::no(node),
                false => Transformed::yes(Arc::new(CoverExec { input: node }) as _),
            })
        })?;
        let pushed = self.0.optimize(covered.data, config)?;
        let bare = pushed.transform_up(|node| {
            Ok(match node.downcast_ref::<CoverExec>() {
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

/// The columns whose names no other column has.
fn unique_names(plan: &Arc<dyn ExecutionPlan>) -> HashSet<usize> {
    let schema = plan.schema();
    let mut times: HashMap<&str, usize> = HashMap::new();
    schema.fields().iter().for_each(|field| *times.entry(field.name()).or_default() += 1);
    let unique = schema.fields().iter().enumerate().filter(|(_, field)| times.get(field.name().as_str()) == Some(&1));
    unique.map(|(at, _)| at).collect()
}

/// Its input's rows. It lets filters through whose columns have names of their own.
#[derive(Debug)]
struct CoverExec {
    input: Arc<dyn ExecutionPlan>,
}

impl CoverExec {
    #[expect(clippy::unused_self, reason = "operators over one input have it")]
    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input }
    }
}

impl DisplayAs for CoverExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CoverExec")
    }
}

impl ExecutionPlan for CoverExec {
    over_one_input!("CoverExec", Arc::clone);
    ordered_as_input!();
    no_expressions!();

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let unique = unique_names(&self.input);
        let passing = ChildFilterDescription::from_child_with_allowed_indices(&parent_filters, unique, &self.input)?;
        Ok(FilterDescription::new().with_child(passing))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}
