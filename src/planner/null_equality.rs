//! Joins that take NULL for equal to NULL, beside joins that do not.
//!
//! DataFusion's rule that makes inner joins of cross joins takes all of them apart and gives those that it makes the
//! equality of one (DataFusion 55, `EliminateCrossJoin`): NULL keys then find partners in the others, or lose them.

use datafusion::common::NullEquality;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Join, LogicalPlan};
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The rule, for plans all of whose joins have the same equality. Others keep their joins.
#[derive(Debug, Default)]
pub(super) struct EliminateCrossJoinOfOneEquality(EliminateCrossJoin);

impl OptimizerRule for EliminateCrossJoinOfOneEquality {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if has_null_equality(&plan)? { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}

fn has_null_equality(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::Join(Join { null_equality: NullEquality::NullEqualsNull, .. }));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
