//! Where expressions are brought to one type: operands, the branches of CASE, the arguments of `coalesce` and its like, what is
//! looked for in a subquery, the columns of UNION and VALUES, the keys of joins. A rule says what it makes of the expressions
//! that meet before DataFusion's own coercion looks at them.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{
    Case, Cast, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Union, Values,
};

use super::rewrite::{map_expressions, map_nodes};

/// Functions whose arguments are brought to one type.
const UNIFYING: [&str; 8] = ["coalesce", "nvl", "ifnull", "nullif", "nvl2", "greatest", "least", "make_array"];

/// How expressions meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// As the operands of a comparison.
    Compared,
    /// As the operands of arithmetic.
    Computed,
    /// As values of which the result is one.
    Chosen,
}

/// Expressions that meet, with their types.
pub(super) type Met<'a, 'e> = &'a mut [(&'e mut Expr, DataType)];

/// What becomes of expressions that meet.
pub(super) trait Unify {
    /// Casts those that are to have another type. Returns whether there are any.
    fn unify(&self, how: Meeting, met: Met<'_, '_>) -> bool;

    /// Changes one expression, whatever it meets. Returns whether it did.
    fn adapt(&self, _expr: &mut Expr) -> bool {
        false
    }
}

/// Applies a rule to all of a plan, with its subqueries.
pub(super) fn unify_plan(plan: LogicalPlan, rule: &dyn Unify) -> Result<LogicalPlan> {
    map_nodes(plan, |plan| {
        map_expressions(plan, |expr, schema| expr.transform_up(|expr| unify_within(expr, schema, rule)))?
            .transform_data(|plan| unify_inputs(plan, rule))
    })
}

/// Those of the expressions that have a type already, with it.
fn typed<'e>(exprs: impl IntoIterator<Item = &'e mut Expr>, schema: &DFSchema) -> Vec<(&'e mut Expr, DataType)> {
    exprs.into_iter().filter_map(|expr| expr.get_type(schema).ok().map(|has| (expr, has))).collect()
}

/// What meets in one node of an expression.
fn unify_within(mut expr: Expr, schema: &DFSchema, rule: &dyn Unify) -> Result<Transformed<Expr>> {
    let adapted = rule.adapt(&mut expr);
    let unified = match &mut expr {
        Expr::BinaryExpr(binary) if is_comparison(binary.op) || binary.op.is_numerical_operators() => {
            let how = if is_comparison(binary.op) { Meeting::Compared } else { Meeting::Computed };
            rule.unify(how, &mut typed([binary.left.as_mut(), binary.right.as_mut()], schema))
        }
        Expr::Between(between) => {
            let operands = [between.expr.as_mut(), between.low.as_mut(), between.high.as_mut()];
            rule.unify(Meeting::Compared, &mut typed(operands, schema))
        }
        Expr::InList(list) => {
            let operands = std::iter::once(list.expr.as_mut()).chain(&mut list.list);
            rule.unify(Meeting::Compared, &mut typed(operands, schema))
        }
        Expr::Case(case) => unify_case(case, schema, rule),
        Expr::ScalarFunction(call) if UNIFYING.contains(&call.func.name()) => {
            // The first argument of nvl2 is only looked at.
            let skipped = usize::from(call.func.name() == "nvl2");
            rule.unify(Meeting::Chosen, &mut typed(call.args.iter_mut().skip(skipped), schema))
        }
        Expr::InSubquery(subquery) => {
            unify_subquery(&mut subquery.expr, &mut subquery.subquery.subquery, schema, rule)?
        }
        Expr::SetComparison(comparison) => {
            unify_subquery(&mut comparison.expr, &mut comparison.subquery.subquery, schema, rule)?
        }
        _ => false,
    };
    Ok(Transformed::new_transformed(expr, adapted | unified))
}

/// Whether an operator compares its operands as values of one type.
pub(super) fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn unify_case(case: &mut Case, schema: &DFSchema, rule: &dyn Unify) -> bool {
    let mut compared: Vec<&mut Expr> = Vec::new();
    let mut results: Vec<&mut Expr> = Vec::new();
    let has_operand = case.expr.is_some();
    compared.extend(case.expr.as_deref_mut());
    for (when, then) in &mut case.when_then_expr {
        if has_operand {
            compared.push(when);
        }
        results.push(then);
    }
    results.extend(case.else_expr.as_deref_mut());
    rule.unify(Meeting::Compared, &mut typed(compared, schema))
        | rule.unify(Meeting::Chosen, &mut typed(results, schema))
}

/// `a IN (SELECT b ...)`, `a > ANY (SELECT b ...)`.
fn unify_subquery(
    expr: &mut Expr,
    subquery: &mut Arc<LogicalPlan>,
    schema: &DFSchema,
    rule: &dyn Unify,
) -> Result<bool> {
    let (Ok(outer), Some((qualifier, field))) = (expr.get_type(schema), subquery.schema().iter().next()) else {
        return Ok(false);
    };
    let known = Expr::Column(Column::from((qualifier, field)));
    let mut column = known.clone();
    let inner = field.data_type().clone();
    if !rule.unify(Meeting::Compared, &mut [(expr, outer), (&mut column, inner)]) {
        return Ok(false);
    }
    if column != known {
        *subquery = Arc::new(with_columns(subquery, vec![column])?);
    }
    Ok(true)
}

/// The plan with expressions in the places of its columns, under their names.
pub(super) fn with_columns(plan: &LogicalPlan, columns: Vec<Expr>) -> Result<LogicalPlan> {
    let named = plan.schema().iter().zip(columns).map(|((qualifier, field), column)| match column {
        Expr::Column(_) => column,
        cast => cast.alias_qualified(qualifier.cloned(), field.name()),
    });
    LogicalPlanBuilder::from(plan.clone()).project(named.collect::<Vec<_>>())?.build()
}

/// What nodes bring to one type: the inputs of a union, the rows of VALUES, the keys of a join.
fn unify_inputs(plan: LogicalPlan, rule: &dyn Unify) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Values(values) => unify_values(values, rule),
        LogicalPlan::Union(union) => unify_union(union, rule),
        LogicalPlan::Join(mut join) => {
            let mut changed = false;
            for (left, right) in &mut join.on {
                let (Ok(left_type), Ok(right_type)) =
                    (left.get_type(join.left.schema()), right.get_type(join.right.schema()))
                else {
                    continue;
                };
                changed |= rule.unify(Meeting::Compared, &mut [(left, left_type), (right, right_type)]);
            }
            Ok(Transformed::new_transformed(LogicalPlan::Join(join), changed))
        }
        plan => Ok(Transformed::no(plan)),
    }
}

fn unify_union(union: Union, rule: &dyn Unify) -> Result<Transformed<LogicalPlan>> {
    let mut inputs: Vec<Vec<Expr>> = union
        .inputs
        .iter()
        .map(|input| input.schema().iter().map(|column| Expr::Column(Column::from(column))).collect())
        .collect();
    let mut changed = false;
    for column in 0..union.schema.fields().len() {
        let types = union.inputs.iter().filter_map(|input| input.schema().fields().get(column));
        let types: Vec<DataType> = types.map(|field| field.data_type().clone()).collect();
        let columns = inputs.iter_mut().filter_map(|input| input.get_mut(column));
        changed |= rule.unify(Meeting::Chosen, &mut columns.zip(types).collect::<Vec<_>>());
    }
    if !changed {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let inputs = union.inputs.iter().zip(inputs).map(|(input, columns)| {
        match columns.iter().all(|column| matches!(column, Expr::Column(_))) {
            true => Ok(Arc::clone(input)),
            false => with_columns(input, columns).map(Arc::new),
        }
    });
    let union = Union::try_new_with_loose_types(inputs.collect::<Result<_>>()?)?;
    Ok(Transformed::yes(LogicalPlan::Union(union)))
}

/// The planner has brought the rows to one type already: its casts are undone where the rule has another type for what is cast.
/// Types may have changed with literals too, so that the schema is made again.
fn unify_values(values: Values, rule: &dyn Unify) -> Result<Transformed<LogicalPlan>> {
    let schema = DFSchema::empty();
    let Values { schema: old_schema, values: mut rows } = values;
    for (column, field) in old_schema.fields().iter().enumerate() {
        let cells: Vec<&mut Expr> = rows.iter_mut().filter_map(|row| row.get_mut(column)).collect();
        let mut written: Vec<Expr> = cells.iter().map(|cell| without_cast_to(cell, field.data_type())).collect();
        if rule.unify(Meeting::Chosen, &mut typed(&mut written, &schema)) {
            cells.into_iter().zip(written).for_each(|(cell, written)| *cell = written);
        }
    }
    let same = rows.iter().all(|row| {
        row.iter().zip(old_schema.fields()).all(|(cell, field)| {
            cell.get_type(&schema).is_ok_and(|ty| ty == *field.data_type() || ty == DataType::Null)
        })
    });
    match same {
        true => Ok(Transformed::no(LogicalPlan::Values(Values { schema: old_schema, values: rows }))),
        false => Ok(Transformed::yes(LogicalPlanBuilder::values(rows)?.build()?)),
    }
}

fn without_cast_to(cell: &Expr, to: &DataType) -> Expr {
    match cell {
        Expr::Cast(Cast { expr, field }) if field.data_type() == to => expr.as_ref().clone(),
        other => other.clone(),
    }
}
