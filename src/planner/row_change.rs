//! From UPDATE and DELETE to what a source is asked: conditions that it takes exactly, and new values.

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Cast, Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::Optimizer;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::sql::sqlparser::ast::{SelectItem, SetExpr, Statement};
use portolan_connector::{ConnectorTable, Verdict};

use super::Planner;
use super::assign::{assignable, give_type, is_text};
use super::table::judge;
use crate::error::{Error, Result};
use crate::explain::expression_sql;
use crate::semantics::as_written;

impl Planner {
    /// The conjuncts of a query's condition, each of which the table takes exactly, and the query's columns as values of
    /// these fields. The query is `SELECT values FROM table WHERE condition`.
    pub(crate) async fn row_change(
        self,
        mut query: Statement,
        fields: &[FieldRef],
        table: &dyn ConnectorTable,
    ) -> Result<(Vec<Expr>, Vec<Expr>)> {
        give_types(&mut query, fields);
        let (logical, state) = self.bound(query).await?;
        let analyzed = state.analyzer().execute_and_check(logical, state.config_options(), |_, _| {})?;
        let plan = assigned(analyzed, fields)?;
        let optimizer = Optimizer::with_rules(vec![Arc::new(SimplifyExpressions::new())]);
        let LogicalPlan::Projection(projection) = optimizer.optimize(plan, &state, |_, _| {})? else {
            return Err(Error::internal("the statement has no list of values"));
        };
        let values = projection.expr.into_iter().take(fields.len()).map(as_written).collect();
        let filters = match Arc::unwrap_or_clone(projection.input) {
            LogicalPlan::Filter(filter) => split_conjunction_owned(filter.predicate),
            _ => Vec::new(),
        };
        // What holds for all rows leaves none out.
        let filters: Vec<Expr> = filters.into_iter().filter(|filter| !is_true(filter)).collect();
        for filter in &filters {
            exact(filter, table)?;
        }
        Ok((filters.into_iter().map(as_written).collect(), values))
    }
}

/// Parameters that stand alone as values are of the columns' types.
pub(crate) fn give_types(query: &mut Statement, fields: &[FieldRef]) {
    let Statement::Query(query) = query else { return };
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    for (item, field) in select.projection.iter_mut().zip(fields) {
        if let SelectItem::ExprWithAlias { expr, .. } = item {
            give_type(expr, field.data_type());
        }
    }
}

/// The plan with values of the fields' types.
fn assigned(plan: LogicalPlan, fields: &[FieldRef]) -> Result<LogicalPlan> {
    let LogicalPlan::Projection(projection) = plan else {
        return Err(Error::internal("the statement has no list of values"));
    };
    let types = Arc::clone(&projection.schema);
    let mut values = Vec::with_capacity(projection.expr.len());
    for (at, expr) in projection.expr.into_iter().enumerate() {
        let value = match (fields.get(at), types.fields().get(at)) {
            (Some(field), Some(given)) if given.data_type() != field.data_type() => {
                // Text that is written out stands for a value of any type.
                let is_written = is_text(given.data_type()) && matches!(expr.clone().unalias(), Expr::Literal(..));
                if !is_written {
                    assignable(field.name(), given.data_type(), field.data_type())?;
                }
                Expr::Cast(Cast::new(Box::new(expr.unalias()), field.data_type().clone())).alias(given.name())
            }
            _ => expr,
        };
        values.push(value);
    }
    let input = Arc::unwrap_or_clone(projection.input);
    Ok(LogicalPlanBuilder::from(input).project(values)?.build()?)
}

fn is_true(filter: &Expr) -> bool {
    matches!(filter, Expr::Literal(value, _) if *value == datafusion::common::ScalarValue::Boolean(Some(true)))
}

/// Refuses a condition that the source does not take exactly: the engine changes no rows itself.
fn exact(filter: &Expr, table: &dyn ConnectorTable) -> Result<()> {
    let reason = match judge(table, filter) {
        Verdict::Exact => return Ok(()),
        Verdict::Pruning => "the source would take it for some rows more".to_owned(),
        Verdict::Refused(reason) => reason.to_string(),
    };
    Err(Error::unsupported(format!(
        "rows of {} cannot be chosen by {}: {reason}",
        table.name(),
        expression_sql(filter)
    ))
    .hint("the source itself has to choose the rows; SHOW CAPABILITIES lists what it compares as the engine does"))
}
