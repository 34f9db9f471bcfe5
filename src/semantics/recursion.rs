//! The analyzer rule for WITH RECURSIVE: the columns have the types of the first term, and DataFusion casts what later steps compute to them.
//! Where digits would be lost without a word the query is refused, as in PostgreSQL (manual, 7.8.2.1), whose message names both types.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan, RecursiveQuery};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::{self, Query, SelectItem, SetExpr};

use super::arithmetic::type_of;
use super::casts;
use super::error::sql_name;
use crate::syntax::call;

/// Makes casts that the statement asks for, at the top of what a recursive term computes, arguments of a function: the others are
/// DataFusion's.
pub(super) fn keep_casts(query: &mut Query) {
    let Some(with) = query.with.as_mut().filter(|with| with.recursive) else { return };
    for cte in &mut with.cte_tables {
        if let SetExpr::SetOperation { right, .. } = cte.query.body.as_mut() {
            keep_in(right);
        }
    }
}

fn keep_in(term: &mut SetExpr) {
    match term {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
                if matches!(expr, ast::Expr::Cast { .. }) {
                    let cast = std::mem::replace(expr, ast::Expr::value(ast::Value::Null));
                    *expr = call(casts::KEPT_NAME, [cast]);
                }
            }
        }
        SetExpr::Query(query) => keep_in(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            keep_in(left);
            keep_in(right);
        }
        _ => {}
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct SoundRecursion;

impl AnalyzerRule for SoundRecursion {
    fn name(&self) -> &str {
        "sound_recursion"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::RecursiveQuery(query) = node {
                check(query)?;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }
}

fn check(query: &RecursiveQuery) -> Result<()> {
    let LogicalPlan::Projection(projection) = query.recursive_term.as_ref() else { return Ok(()) };
    for (expr, column) in projection.expr.iter().zip(query.schema.fields()) {
        let mut expr = expr;
        while let Expr::Alias(alias) = expr {
            expr = &alias.expr;
        }
        let Expr::Cast(cast) = expr else { continue };
        let (from, to) = (type_of(&cast.expr, projection.input.schema())?, cast.field.data_type());
        if loses(&from, to) {
            return plan_err!(
                "column {} of the recursive query {} has type {} in its first term and {} in the recursive one; \
                 cast one of them to the type of the other",
                column.name(),
                query.name,
                sql_name(to),
                sql_name(&from)
            );
        }
    }
    Ok(())
}

/// Whether a cast may lose digits without an error.
fn loses(from: &DataType, to: &DataType) -> bool {
    let float_lost = match to {
        DataType::Float32 => *from == DataType::Float64,
        to => from.is_floating() && to.is_decimal(),
    };
    float_lost || casts::loses_digits(from, to)
}
