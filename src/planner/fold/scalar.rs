//! Conditions with scalar subqueries, folded as joins with the one row that each has.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, NullEquality, TableReference, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan};
use portolan_connector::{FilterReport, Operand, Operator, Verdict};

use super::choice::{Weighed, weigh};
use super::{Folding, Node, Source, below, catalog, engine};
use crate::semantics::as_written;

/// Whether a condition reads the value of a subquery.
pub(super) fn has_scalar_subquery(condition: &Expr) -> bool {
    // The closure never fails.
    condition.exists(|part| Ok(matches!(part, Expr::ScalarSubquery(_)))).unwrap_or(false)
}

/// The rows of a source for which such a condition holds; `None` where the source does not take it. A subquery must have
/// just one row, which only an aggregate of all rows is sure to have.
pub(super) fn fold_scalar(source: &Source, condition: &Expr, folding: Folding) -> Result<Option<Box<Source>>> {
    let mut values: Vec<Source> = Vec::new();
    let mut foreign = false;
    let rewritten = as_written(condition.clone()).transform(|part| {
        let Expr::ScalarSubquery(subquery) = part else { return Ok(Transformed::no(part)) };
        let column = match subquery.outer_ref_columns.is_empty() && has_one_row(&subquery.subquery) {
            true => value(&subquery.subquery, source, values.len(), folding)?,
            false => None,
        };
        match column {
            Some((value, column)) => {
                values.push(value);
                Ok(Transformed::yes(Expr::Column(column)))
            }
            None => {
                foreign = true;
                Ok(Transformed::no(Expr::ScalarSubquery(subquery)))
            }
        }
    })?;
    if foreign {
        return Ok(None);
    }
    let mut joined = source.clone();
    let last = values.len().saturating_sub(1);
    for (at, value) in values.into_iter().enumerate() {
        let schema = Arc::new(joined.schema.join(&value.schema)?);
        let operator = Operator::Join {
            right: Operand { relation: &value.relation, schema: &value.schema },
            join_type: JoinType::Inner,
            equal: &[],
            condition: (at == last).then_some(&rewritten.data),
            nulls: NullEquality::NullEqualsNothing,
        };
        let Ok(relation) = joined.relation.fold(operator, &joined.schema, &schema) else { return Ok(None) };
        joined = *Box::new(joined).with(relation, &schema, "join", None);
        joined.absorb(value);
    }
    let columns: Vec<Expr> = source.schema.columns().into_iter().map(Expr::Column).collect();
    let Ok(relation) = joined.relation.fold(Operator::Project(&columns), &joined.schema, &source.schema) else {
        return Ok(None);
    };
    let weighed = Weighed { name: "filter", of: vec![condition], inputs: &[source] };
    let expected = weigh(&weighed, |inputs| filtered(condition, inputs, folding))?;
    let mut folded = Box::new(joined).with(relation, &source.schema, "filter", expected);
    folded.filters.retain(|filter| filter.expression != *condition);
    folded.filters.push(FilterReport { expression: condition.clone(), verdict: Verdict::Exact, remote: None });
    Ok(Some(folded))
}

/// The condition over what the engine has, whose subqueries fold on their own.
fn filtered(condition: &Expr, inputs: Vec<LogicalPlan>, folding: Folding) -> Result<LogicalPlan> {
    let Some(input) = inputs.into_iter().next() else { return plan_err!("a condition on nothing") };
    let filter = Filter::try_new(condition.clone(), Arc::new(input))?;
    Ok(engine(LogicalPlan::Filter(filter), folding)?.input())
}

/// A subquery that the same source computes, and the column that has its value.
fn value(plan: &LogicalPlan, beside: &Source, number: usize, folding: Folding) -> Result<Option<(Source, Column)>> {
    let Node::Source(mut value) = below(plan.clone(), folding)? else { return Ok(None) };
    if catalog(&value) != catalog(beside) {
        return Ok(None);
    }
    // A name that no statement can give.
    let qualifier = TableReference::bare(format!("scalar subquery {number}"));
    let [field] = value.schema.fields().as_ref() else { return Ok(None) };
    let column = Column::new(Some(qualifier.clone()), field.name());
    value.schema = Arc::new(value.schema.as_ref().clone().replace_qualifier(qualifier));
    Ok(Some((*value, column)))
}

/// Whether a plan has one row, whatever the tables hold.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        _ => false,
    }
}
