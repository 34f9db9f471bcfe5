//! CASE with conditions for results evaluates what it says and no more.
//!
//! DataFusion makes `(x <> 0 AND 10 / x > 3) OR ...` of `CASE WHEN x <> 0 THEN 10 / x > 3 ... END`, and evaluates both sides of AND:
//! the statement fails for what its author has ruled out. It leaves a CASE of three branches alone, so one that can fail
//! gets branches that are never taken.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Case, Expr, lit};

use super::arithmetic::{is_negate, operator, type_of};
use super::{dates, exact, written};

/// As many branches as DataFusion leaves alone.
const BRANCHES: usize = 3;

/// Adds branches to a CASE that has conditions for results, some of which can fail. Returns whether it did.
pub(super) fn keep_lazy(case: &mut Case, schema: &DFSchema) -> Result<bool> {
    if case.expr.is_some() || case.when_then_expr.len() >= BRANCHES {
        return Ok(false);
    }
    let Some((_, first)) = case.when_then_expr.first() else { return Ok(false) };
    if type_of(first, schema)? != DataType::Boolean {
        return Ok(false);
    }
    let results = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    let conditions = case.when_then_expr.iter().map(|(when, _)| when);
    let Some(fails) = results.chain(conditions).find(|part| can_fail(part, schema)).cloned() else {
        return Ok(false);
    };
    while case.when_then_expr.len() < BRANCHES {
        case.when_then_expr.push((Box::new(lit(ScalarValue::Boolean(None))), fails.clone()));
    }
    Ok(true)
}

/// A CASE without the branches that are never taken.
pub(super) fn without_untaken(case: &Case) -> Option<Case> {
    let untaken = |when: &Expr| matches!(when, Expr::Literal(ScalarValue::Boolean(None), _));
    if !case.when_then_expr.iter().any(|(when, _)| untaken(when)) {
        return None;
    }
    let mut taken = case.clone();
    taken.when_then_expr.retain(|(when, _)| !untaken(when));
    (!taken.when_then_expr.is_empty()).then_some(taken)
}

/// Whether an expression may have no value for some rows.
fn can_fail(expr: &Expr, schema: &DFSchema) -> bool {
    let found = expr.exists(|part| {
        Ok(match part {
            Expr::ScalarFunction(call) => {
                operator(&call.func).is_some()
                    || is_negate(&call.func)
                    || dates::is_whole(&call.func)
                    || exact::is_decimal_of(&call.func)
                    || written::is_time_of_text(&call.func)
            }
            Expr::Cast(cast) => match type_of(&cast.expr, schema) {
                Ok(from) => cast_can_fail(&from, cast.field.data_type()),
                Err(_) => true,
            },
            _ => false,
        })
    });
    found.unwrap_or(true)
}

/// Texts may be no numbers, and numbers too large for what they are cast to.
fn cast_can_fail(from: &DataType, to: &DataType) -> bool {
    if from == to || to.is_string() || to.is_null() {
        return false;
    }
    match (from.is_integer(), to.is_integer()) {
        (true, true) => {
            from.primitive_width() > to.primitive_width() || from.is_signed_integer() != to.is_signed_integer()
        }
        (true, false) => !(to.is_floating() || to.is_decimal()),
        _ => from.is_string() || (from.is_numeric() && !to.is_floating()),
    }
}
