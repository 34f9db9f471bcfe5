//! The analyzer rule for decimal literals beside doubles.
//!
//! With decimal literals, DataFusion compares `double_column > 1.5` by casting the *column* to `decimal(30, 15)`: small
//! values become 0, large ones and NaN an error, and nothing can be pushed down. SQL says that an approximate number
//! makes the whole comparison approximate, and so does PostgreSQL: where a double meets a decimal, the decimal becomes
//! a double. This rule casts it before DataFusion's own coercion looks at the pair.
//!
//! It also writes `1e10` out: DataFusion reads it as the digit 1 with a negative scale, which few kernels understand.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Union, Values};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::map_expressions;

/// Functions whose arguments are brought to one type.
const UNIFYING: [&str; 8] = ["coalesce", "nvl", "ifnull", "nullif", "nvl2", "greatest", "least", "make_array"];

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct DoublesBesideDecimals;

impl AnalyzerRule for DoublesBesideDecimals {
    fn name(&self) -> &str {
        "doubles_beside_decimals"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let unified = plan.transform_up_with_subqueries(|plan| {
            map_expressions(plan, |expr, schema| expr.transform_up(|expr| Ok(Transformed::yes(unify(expr, schema)))))?
                .transform_data(unify_inputs)
        })?;
        Ok(unified.data)
    }
}

/// Casts decimals that meet a double in this node of an expression.
fn unify(mut expr: Expr, schema: &DFSchema) -> Expr {
    match &mut expr {
        Expr::Literal(value, _) => {
            if let Some(written_out) = without_negative_scale(value) {
                *value = written_out;
            }
        }
        Expr::BinaryExpr(binary) if is_comparison(binary.op) || binary.op.is_numerical_operators() => {
            cast_beside_double([binary.left.as_mut(), binary.right.as_mut()], schema);
        }
        Expr::Between(between) => {
            cast_beside_double([between.expr.as_mut(), between.low.as_mut(), between.high.as_mut()], schema);
        }
        Expr::InList(list) => cast_beside_double(std::iter::once(list.expr.as_mut()).chain(&mut list.list), schema),
        Expr::Case(case) => {
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
            cast_beside_double(compared, schema);
            cast_beside_double(results, schema);
        }
        Expr::ScalarFunction(call) if UNIFYING.contains(&call.func.name()) => {
            // The first argument of nvl2 is only looked at.
            let skipped = usize::from(call.func.name() == "nvl2");
            cast_beside_double(call.args.iter_mut().skip(skipped), schema);
        }
        Expr::InSubquery(subquery) => {
            unify_subquery(&mut subquery.expr, &mut subquery.subquery.subquery, schema);
        }
        Expr::SetComparison(comparison) => {
            unify_subquery(&mut comparison.expr, &mut comparison.subquery.subquery, schema);
        }
        _ => {}
    }
    expr
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

/// If one of the expressions is a float, casts those that are decimals. Expressions without a type yet stay.
fn cast_beside_double<'a>(exprs: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) {
    let mut exprs: Vec<(&mut Expr, Option<DataType>)> =
        exprs.into_iter().map(|expr| (expr.get_type(schema).ok(), expr)).map(|(ty, expr)| (expr, ty)).collect();
    let any_float = exprs.iter().any(|(_, ty)| ty.as_ref().is_some_and(DataType::is_floating));
    if !any_float {
        return;
    }
    for (expr, ty) in &mut exprs {
        if ty.as_ref().is_some_and(DataType::is_decimal) {
            **expr = to_double(std::mem::take(*expr));
        }
    }
}

/// A literal becomes the nearest double, so that sources and statistics see a literal still.
fn to_double(expr: Expr) -> Expr {
    match &expr {
        Expr::Literal(value, metadata) => match decimal_to_f64(value) {
            Some(double) => Expr::Literal(ScalarValue::Float64(double), metadata.clone()),
            None => cast(expr),
        },
        _ => cast(expr),
    }
}

fn cast(expr: Expr) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), DataType::Float64))
}

/// Through its digits, which rounds once.
fn decimal_to_f64(value: &ScalarValue) -> Option<Option<f64>> {
    if value.is_null() {
        return value.data_type().is_decimal().then_some(None);
    }
    let array = value.to_array().ok()?;
    let text = arrow::compute::cast(&array, &DataType::Utf8).ok()?;
    match ScalarValue::try_from_array(&text, 0).ok()? {
        ScalarValue::Utf8(Some(digits)) => digits.parse().ok().map(Some),
        _ => None,
    }
}

/// A decimal literal whose scale is negative, with all its zeros; as a double where those are too many.
fn without_negative_scale(value: &ScalarValue) -> Option<ScalarValue> {
    let (precision, scale) = match value.data_type() {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) if scale < 0 => {
            (precision, scale)
        }
        _ => return None,
    };
    let digits = u16::from(precision) + u16::from(scale.unsigned_abs());
    let data_type = match u8::try_from(digits) {
        Ok(digits @ ..=38) => DataType::Decimal128(digits, 0),
        Ok(digits @ ..=DECIMAL256_MAX_PRECISION) => DataType::Decimal256(digits, 0),
        _ => return decimal_to_f64(value).map(ScalarValue::Float64),
    };
    value.cast_to(&data_type).ok()
}

/// `double IN (SELECT decimal ...)` and the reverse.
fn unify_subquery(expr: &mut Expr, subquery: &mut Arc<LogicalPlan>, schema: &DFSchema) {
    let (Ok(outer), [field]) = (expr.get_type(schema), subquery.schema().fields().as_ref()) else {
        return;
    };
    if outer.is_decimal() && field.data_type().is_floating() {
        *expr = to_double(std::mem::take(expr));
    } else if outer.is_floating()
        && field.data_type().is_decimal()
        && let Ok(cast) = cast_columns(subquery, &[true])
    {
        *subquery = Arc::new(cast);
    }
}

/// The plan with the marked columns cast to double, under their old names.
fn cast_columns(plan: &LogicalPlan, marked: &[bool]) -> Result<LogicalPlan> {
    let columns = plan.schema().iter().zip(marked).map(|((qualifier, field), marked)| {
        let column = Expr::Column(Column::from((qualifier, field)));
        match marked {
            true => cast(column).alias_qualified(qualifier.cloned(), field.name()),
            false => column,
        }
    });
    LogicalPlanBuilder::from(plan.clone()).project(columns)?.build()
}

/// What nodes bring to one type: the inputs of a union, the rows of VALUES, the keys of a join.
fn unify_inputs(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Values(values) => unify_values(values),
        LogicalPlan::Union(union) => unify_union(union),
        LogicalPlan::Join(mut join) => {
            for (left, right) in &mut join.on {
                let (Ok(left_type), Ok(right_type)) =
                    (left.get_type(join.left.schema()), right.get_type(join.right.schema()))
                else {
                    continue;
                };
                if left_type.is_floating() && right_type.is_decimal() {
                    *right = to_double(std::mem::take(right));
                } else if left_type.is_decimal() && right_type.is_floating() {
                    *left = to_double(std::mem::take(left));
                }
            }
            Ok(Transformed::yes(LogicalPlan::Join(join)))
        }
        plan => Ok(Transformed::no(plan)),
    }
}

fn unify_union(union: Union) -> Result<Transformed<LogicalPlan>> {
    let types = |column: usize| {
        union.inputs.iter().filter_map(move |input| input.schema().fields().get(column).map(|field| field.data_type()))
    };
    let mixed: Vec<bool> = (0..union.schema.fields().len())
        .map(|column| types(column).any(|ty| ty.is_floating()) && types(column).any(|ty| ty.is_decimal()))
        .collect();
    if !mixed.contains(&true) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let inputs = union
        .inputs
        .iter()
        .map(|input| {
            let marked: Vec<bool> = (input.schema().fields().iter().zip(&mixed))
                .map(|(field, mixed)| *mixed && field.data_type().is_decimal())
                .collect();
            match marked.contains(&true) {
                true => Ok(Arc::new(cast_columns(input, &marked)?)),
                false => Ok(Arc::clone(input)),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let union = Union::try_new_with_loose_types(inputs)?;
    Ok(Transformed::yes(LogicalPlan::Union(union)))
}

/// The planner has brought the rows to one type already: casts of doubles to a decimal are undone where other rows are
/// decimals. Types may have changed with the literals too, so that the schema is made again.
fn unify_values(values: Values) -> Result<Transformed<LogicalPlan>> {
    let schema = DFSchema::empty();
    let Values { schema: old_schema, values: mut rows } = values;
    for column in 0..old_schema.fields().len() {
        let mut cells: Vec<&mut Expr> = rows.iter_mut().filter_map(|row| row.get_mut(column)).collect();
        let doubles = cells.iter().filter(|cell| double_cast_to_decimal(cell, &schema)).count();
        if doubles == 0 || doubles == cells.len() {
            continue;
        }
        for cell in &mut cells {
            **cell = match std::mem::take(*cell) {
                Expr::Cast(cast) => *cast.expr,
                other => other,
            };
        }
        cast_beside_double(cells, &schema);
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

fn double_cast_to_decimal(cell: &Expr, schema: &DFSchema) -> bool {
    matches!(cell, Expr::Cast(cast) if cast.field.data_type().is_decimal()
        && cast.expr.get_type(schema).is_ok_and(|ty| ty.is_floating()))
}
