//! The analyzer rule for `IN (SELECT ...)` where NULL matters.
//!
//! DataFusion plans a subquery membership as a join that knows *found* and *not found*, and NULL only for an
//! uncorrelated NOT IN of a column at the top of a WHERE. This rule rewrites the other uses into what the engine plans
//! soundly:
//!
//! * `x NOT IN (S)` as a condition: `NOT EXISTS (S with (s = x) IS NOT FALSE)`;
//! * `x [NOT] IN (S)` inside an expression that tells NULL from false: `x = ANY (S)`, `x <> ALL (S)`;
//! * `x IN (S)` as a condition stays: rows for which it is NULL are dropped as those for which it is false.
//!
//! Each subquery that is compared gets a name of its own: a table may be read inside and outside under one name, and DataFusion
//! would take the column of the outer one for that of the inner one.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, not_impl_err, plan_err};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, not,
};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::has_subqueries;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct SoundMembership;

impl AnalyzerRule for SoundMembership {
    fn name(&self) -> &str {
        "sound_membership"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        if !has_subqueries(&plan)? {
            return Ok(plan);
        }
        let mut names = Names(0);
        let sound = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Filter(filter) if has_membership(&filter.predicate)? => {
                let schema = Arc::clone(filter.input.schema());
                let conjuncts = split_conjunction_owned(filter.predicate)
                    .into_iter()
                    .map(|conjunct| with_names(top_level(conjunct, &schema, &mut names)?, &schema, &mut names))
                    .collect::<Result<Vec<_>>>()?;
                let Some(predicate) = conjunction(conjuncts) else {
                    return plan_err!("a filter without a condition");
                };
                Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)))
            }
            plan => Ok(Transformed::no(plan)),
        })?;
        Ok(sound.data)
    }
}

fn has_membership(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_) | Expr::SetComparison(_))))
}

/// How many subqueries have got a name.
struct Names(usize);

impl Names {
    /// The plan under a name that no other has. One that names columns of the outer query itself keeps the names that it has:
    /// DataFusion would not find them.
    fn name(&mut self, plan: Arc<LogicalPlan>, outer: &DFSchema) -> Result<Arc<LogicalPlan>> {
        if !plan.all_out_ref_exprs().is_empty() {
            return match plan.schema().columns().first() {
                Some(column) if column.relation.is_some() && outer.has_column(column) => not_impl_err!(
                    "a comparison with a subquery over another table by the name of {column}; give one of them another name"
                ),
                _ => Ok(plan),
            };
        }
        self.0 += 1;
        Ok(Arc::new(LogicalPlanBuilder::from(plan).alias(format!("__compared_{}", self.0))?.build()?))
    }
}

/// The same with names for the subqueries of ANY and ALL.
fn with_names(expr: Expr, schema: &DFSchema, names: &mut Names) -> Result<Expr> {
    let named = expr.transform_up(|expr| match expr {
        Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
            let subquery = Subquery { subquery: names.name(subquery.subquery, schema)?, ..subquery };
            Ok(Transformed::yes(Expr::SetComparison(SetComparison { expr, subquery, op, quantifier })))
        }
        expr => Ok(Transformed::no(expr)),
    })?;
    Ok(named.data)
}

/// A conjunct: DataFusion's NULL-aware anti join takes an uncorrelated NOT IN whose left side has a column.
fn top_level(conjunct: Expr, schema: &DFSchema, names: &mut Names) -> Result<Expr> {
    match conjunct {
        Expr::InSubquery(membership)
            if membership.negated
                && membership.subquery.outer_ref_columns.is_empty()
                && !membership.expr.column_refs().is_empty() =>
        {
            Ok(Expr::InSubquery(membership))
        }
        Expr::Not(inner) => condition(*inner, true, schema, names),
        conjunct => condition(conjunct, false, schema, names),
    }
}

/// An expression of which only matters whether it is true; `negated`: whether it is false.
fn condition(expr: Expr, negated: bool, schema: &DFSchema, names: &mut Names) -> Result<Expr> {
    match expr {
        expr if !has_membership(&expr)? => Ok(if negated { not(expr) } else { expr }),
        Expr::Not(inner) => condition(*inner, !negated, schema, names),
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let op = match (op, negated) {
                (op, false) => op,
                (Operator::And, true) => Operator::Or,
                (_, true) => Operator::And,
            };
            let (left, right) = (condition(*left, negated, schema, names)?, condition(*right, negated, schema, names)?);
            Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
        }
        Expr::InSubquery(membership) if membership.negated == negated => {
            Ok(Expr::InSubquery(InSubquery { negated: false, ..membership }))
        }
        Expr::InSubquery(membership) => not_exists(membership, schema, names),
        expr => {
            let expr = expr.transform_up(|expr| Ok(three_valued(expr)))?.data;
            Ok(if negated { not(expr) } else { expr })
        }
    }
}

/// Neither a match nor a comparison with NULL.
fn not_exists(membership: InSubquery, schema: &DFSchema, names: &mut Names) -> Result<Expr> {
    let InSubquery { expr, subquery, .. } = membership;
    let named = names.name(subquery.subquery, schema)?;
    let Some((qualifier, field)) = named.schema().iter().next() else {
        return plan_err!("the subquery of NOT IN has no column");
    };
    let certain = !expr.nullable(schema)? && !field.is_nullable();
    let mut outer_columns = subquery.outer_ref_columns.clone();
    let outer = expr.transform_up(|expr| match expr {
        Expr::Column(column) => {
            let field = Arc::clone(schema.field_from_column(&column)?);
            let outer = Expr::OuterReferenceColumn(field, column);
            if !outer_columns.contains(&outer) {
                outer_columns.push(outer.clone());
            }
            Ok(Transformed::yes(outer))
        }
        Expr::OuterReferenceColumn(_, column) => {
            not_impl_err!("NOT IN (SELECT ...) over {column}, a column of a query further out; write NOT EXISTS")
        }
        expr => Ok(Transformed::no(expr)),
    })?;
    let inner = Expr::Column(Column::from((qualifier, field)));
    let found = inner.eq(outer.data);
    let found = if certain { found } else { Expr::IsNotFalse(Box::new(found)) };
    let plan = LogicalPlanBuilder::from(Arc::clone(&named)).filter(found)?.build()?;
    let subquery = Subquery { subquery: Arc::new(plan), outer_ref_columns: outer_columns, spans: subquery.spans };
    Ok(Expr::Exists(Exists { subquery, negated: true }))
}

/// `= ANY` and `<> ALL`, which DataFusion plans with all three truth values.
fn three_valued(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            let (op, quantifier) = match negated {
                false => (Operator::Eq, SetQuantifier::Any),
                true => (Operator::NotEq, SetQuantifier::All),
            };
            Transformed::yes(Expr::SetComparison(SetComparison::new(expr, subquery, op, quantifier)))
        }
        expr => Transformed::no(expr),
    }
}
