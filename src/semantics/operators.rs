//! The analyzer rule that runs last: every operator that is unsound becomes a function that is not.
//!
//! * Integer and decimal arithmetic becomes checked (`arithmetic`).
//! * Casts that lose digits round (`casts`), the interval beside a date is checked (`dates`), and intervals are compared by
//!   their length (`intervals`).
//! * `avg`, variances and standard deviations of integers are computed from exact sums (`average`, `spread`), and windows have
//!   functions of frames that slide (`sliding`).
//! * DataFusion's `sum` becomes the checked one (`sum`), where a plan was not built from SQL.
//! * A computed float is passed through `floats` wherever something else than float arithmetic sees it.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::{AggregateFunction, Cast, ScalarFunction, TryCast};
use datafusion::logical_expr::{
    AggregateUDF, BinaryExpr, Expr, LogicalPlan, Operator, ScalarUDF, WindowFunctionDefinition, cast as logical_cast,
    lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::arithmetic::type_of;
use super::rewrite::{map_expressions, map_nodes};
use super::together::is_comparison;
use super::{
    arithmetic, array_order, average, casts, chance, concat, dates, exact, extreme, floats, intervals, lazy, parts,
    sliding, spread, sum, text, written,
};

/// The most operators of a calculation without parentheses. DataFusion goes into the depth of nested calls by
/// recursion, so that a longer one could exhaust the stack.
const OPERATORS_IN_A_ROW_MAX: usize = 500;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct SoundOperators;

impl AnalyzerRule for SoundOperators {
    fn name(&self) -> &str {
        "sound_operators"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        map_nodes(plan, |plan| map_expressions(plan, sound)?.transform_data(chance::above_join))
    }
}

/// The whole expression with all operators replaced.
fn sound(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| {
        check_operator(expr, schema)?.transform_data(|expr| match expr {
            // What float arithmetic computes goes on as it is, but for a divisor: 1 / -0 is not 1 / 0.
            Expr::BinaryExpr(binary) if is_arithmetic(binary.op) => canonical_divisor(binary, schema),
            Expr::Negative(_) => Ok(Transformed::no(expr)),
            Expr::ScalarFunction(call) if floats::is_canonical(&call.func) => {
                Ok(Transformed::no(Expr::ScalarFunction(call)))
            }
            expr => expr.map_children(|child| canonical(child, schema)),
        })
    })?
    .transform_data(|expr| canonical(expr, schema))
}

fn is_arithmetic(op: Operator) -> bool {
    matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
}

fn is_ours(function: &ScalarUDF) -> bool {
    arithmetic::operator(function).is_some()
        || arithmetic::is_negate(function)
        || floats::is_canonical(function)
        || casts::is_of_cast(function)
        || parts::is_parts(function)
        || exact::is_decimal_of(function)
        || written::is_time_of_text(function)
}

/// Replaces one operator, or `sum`.
fn check_operator(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(binary) if is_arithmetic(binary.op) => {
            let (left, right) = (type_of(&binary.left, schema)?, type_of(&binary.right, schema)?);
            Ok(match arithmetic::checked(binary.op, &left, &right) {
                Some(function) => {
                    let BinaryExpr { left, right, .. } = binary;
                    if arithmetic::operators_in_a_row(&left) >= OPERATORS_IN_A_ROW_MAX {
                        return plan_err!(
                            "more than {OPERATORS_IN_A_ROW_MAX} operators in a row; put parentheses around parts of the calculation"
                        );
                    }
                    let call = ScalarFunction::new_udf(function, vec![*left, *right]);
                    Transformed::yes(Expr::ScalarFunction(call))
                }
                None => match dates::checked(&binary, &left, &right)? {
                    Some(checked) => Transformed::yes(checked),
                    None => Transformed::no(Expr::BinaryExpr(binary)),
                },
            })
        }
        Expr::BinaryExpr(mut binary) if is_comparison(binary.op) => {
            let (left, right) = (type_of(&binary.left, schema)?, type_of(&binary.right, schema)?);
            if let Some(by_order) = array_order::compared(&binary, &left, &right) {
                return Ok(Transformed::yes(by_order));
            }
            let changed = compare(&mut [&mut *binary.left, &mut *binary.right], schema)?;
            Ok(Transformed::new_transformed(Expr::BinaryExpr(binary), changed))
        }
        Expr::Between(mut between) => {
            let changed = compare(&mut [&mut *between.expr, &mut *between.low, &mut *between.high], schema)?;
            Ok(Transformed::new_transformed(Expr::Between(between), changed))
        }
        Expr::InList(mut list) => {
            let mut compared: Vec<&mut Expr> = std::iter::once(&mut *list.expr).chain(&mut list.list).collect();
            let changed = compare(&mut compared, schema)?;
            Ok(Transformed::new_transformed(Expr::InList(list), changed))
        }
        Expr::Negative(operand) => Ok(match arithmetic::checked_negate(&type_of(&operand, schema)?) {
            Some(function) => Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![*operand]))),
            None => Transformed::no(Expr::Negative(operand)),
        }),
        Expr::AggregateFunction(AggregateFunction { func, params }) if sum::wraps(&func) => {
            Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func: sum::function(), params })))
        }
        Expr::AggregateFunction(AggregateFunction { func, mut params }) => {
            if let Some(func) = of_integers(&func, &mut params.args, params.distinct, schema)? {
                return Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params })));
            }
            let argument = params.args.first().map(|argument| type_of(argument, schema)).transpose()?;
            match argument.and_then(|argument| extreme::instead_of(&func, &argument)) {
                Some(func) => Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params }))),
                None => Ok(Transformed::no(Expr::AggregateFunction(AggregateFunction { func, params }))),
            }
        }
        Expr::WindowFunction(mut window) => {
            let WindowFunctionDefinition::AggregateUDF(func) = &window.fun else {
                return Ok(Transformed::no(Expr::WindowFunction(window)));
            };
            let sound = match sum::wraps(func) {
                true => Some(sum::function()),
                false => match of_integers(func, &mut window.params.args, window.params.distinct, schema)? {
                    Some(exact) => Some(exact),
                    None => sliding::instead_of(func),
                },
            };
            let changed = sound.is_some();
            if let Some(sound) = sound {
                window.fun = WindowFunctionDefinition::AggregateUDF(sound);
            }
            Ok(Transformed::new_transformed(Expr::WindowFunction(window), changed))
        }
        // Half of the way is to the even number, as in a cast to an integer.
        Expr::ScalarFunction(call) if call.func.name() == "round" => {
            if let [number] = call.args.as_slice()
                && type_of(number, schema)?.is_floating()
            {
                let rounded = casts::to_even(number.clone());
                let call = ScalarFunction::new_udf(floats::function(), vec![rounded]);
                return Ok(Transformed::yes(Expr::ScalarFunction(call)));
            }
            Ok(Transformed::no(Expr::ScalarFunction(call)))
        }
        // An integer of 32 bits has eight digits; DataFusion shows it in 64.
        Expr::ScalarFunction(mut call) if call.func.name() == "to_hex" => {
            let narrow = match call.args.as_slice() {
                [argument] => is_narrow(&type_of(argument, schema)?),
                _ => false,
            };
            if narrow && let Some(argument) = call.args.pop() {
                let wide = Box::new(logical_cast(argument, DataType::Int64));
                let bits = BinaryExpr::new(wide, Operator::BitwiseAnd, Box::new(lit(i64::from(u32::MAX))));
                call.args.push(Expr::BinaryExpr(bits));
            }
            Ok(Transformed::new_transformed(Expr::ScalarFunction(call), narrow))
        }
        Expr::ScalarFunction(call) if matches!(call.func.name(), "concat" | "concat_ws") => {
            Ok(match concat::of_texts(&call, schema)? {
                Some(of_texts) => Transformed::yes(of_texts),
                None => Transformed::no(Expr::ScalarFunction(call)),
            })
        }
        Expr::ScalarFunction(call) if exact::is_decimal_of(&call.func) => {
            let from = call.args.first().map(|operand| type_of(operand, schema)).transpose()?;
            match from.and_then(|from| exact::as_cast(&call, &from)) {
                Some(cast) => Ok(Transformed::yes(check_operator(cast, schema)?.data)),
                None => Ok(Transformed::no(Expr::ScalarFunction(call))),
            }
        }
        Expr::Case(mut case) => {
            let changed = lazy::keep_lazy(&mut case, schema)?;
            Ok(Transformed::new_transformed(Expr::Case(case), changed))
        }
        Expr::Cast(Cast { expr, field }) => {
            let from = type_of(&expr, schema)?;
            if let Some(call) = as_call(&expr, &from, field.data_type(), false) {
                return Ok(Transformed::yes(call));
            }
            let operand = operand_of_cast(&expr, &from, field.data_type());
            let changed = operand.is_some();
            let expr = operand.map_or(expr, Box::new);
            Ok(Transformed::new_transformed(Expr::Cast(Cast { expr, field }), changed))
        }
        Expr::TryCast(TryCast { expr, field }) => {
            let (from, to) = (type_of(&expr, schema)?, field.data_type().clone());
            if let Some(call) = as_call(&expr, &from, &to, true) {
                return Ok(Transformed::yes(call));
            }
            let expr = operand_of_cast(&expr, &from, &to).map_or(expr, Box::new);
            Ok(Transformed::yes(casts::tried(Expr::TryCast(TryCast { expr, field }), &from, &to)))
        }
        expr => Ok(Transformed::no(expr)),
    }
}

fn is_narrow(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32)
}

/// What is cast, as it has to be for this cast; `None` if it is as it has to be.
fn operand_of_cast(operand: &Expr, from: &DataType, to: &DataType) -> Option<Expr> {
    casts::rounded(operand, from, to).or_else(|| text::of_value(operand, from, to))
}

/// A cast that Arrow does in another way, as what does it here.
fn as_call(operand: &Expr, from: &DataType, to: &DataType, tries: bool) -> Option<Expr> {
    exact::of_float(operand, from, to, tries).or_else(|| written::of_text(operand, from, to, tries))
}

/// Expressions that are compared, as they can be. Returns whether any is another now.
fn compare(compared: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    let types: Vec<DataType> = compared.iter().map(|expr| type_of(expr, schema)).collect::<Result<_>>()?;
    Ok(casts::keep_beside_finer(compared, schema)? | intervals::compare_by_length(compared, &types))
}

/// What stands for `avg` and its like of what was an integer before types were coerced; the argument becomes an integer again.
fn of_integers(
    func: &AggregateUDF,
    args: &mut [Expr],
    distinct: bool,
    schema: &DFSchema,
) -> Result<Option<Arc<AggregateUDF>>> {
    let exact = || if average::adds_doubles(func) { Some(average::function()) } else { spread::of_integers(func) };
    if let (false, [argument @ Expr::Cast(_)], Some(exact)) = (distinct, args, exact())
        && let Expr::Cast(cast) = &*argument
        && *cast.field.data_type() == DataType::Float64
        && let integer = type_of(&cast.expr, schema)?
        && integer.is_integer()
        && integer != DataType::UInt64
    {
        *argument = match integer {
            DataType::Int64 => cast.expr.as_ref().clone(),
            _ => logical_cast(cast.expr.as_ref().clone(), DataType::Int64),
        };
        return Ok(Some(exact));
    }
    Ok(None)
}

fn canonical_divisor(binary: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if binary.op != Operator::Divide {
        return Ok(Transformed::no(Expr::BinaryExpr(binary)));
    }
    let BinaryExpr { left, op, right } = binary;
    canonical(*right, schema)?.map_data(|right| Ok(Expr::BinaryExpr(BinaryExpr { left, op, right: Box::new(right) })))
}

/// Wraps a float that is computed here in a way that can give a negative zero or another NaN.
fn canonical(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let computed = match &expr {
        Expr::Literal(value, metadata) => {
            return Ok(match floats::canonical_scalar(value) {
                Some(value) => Transformed::yes(Expr::Literal(value, metadata.clone())),
                None => Transformed::no(expr),
            });
        }
        Expr::BinaryExpr(binary) => is_arithmetic(binary.op),
        Expr::Negative(_) => true,
        // Those of this module give integers, decimals or canonical floats.
        Expr::ScalarFunction(call) => !is_ours(&call.func),
        // Integers and decimals become canonical doubles, and so do narrower floats, which are canonical here. Text may say
        // "-0", and narrowing may round to it.
        Expr::Cast(Cast { expr: from, field }) | Expr::TryCast(TryCast { expr: from, field }) => {
            let from = type_of(from, schema)?;
            let exact = from.is_decimal() || from.is_floating();
            !(from.is_integer() || (exact && *field.data_type() == DataType::Float64))
        }
        _ => false,
    };
    if !computed || !type_of(&expr, schema)?.is_floating() {
        return Ok(Transformed::no(expr));
    }
    let call = ScalarFunction::new_udf(floats::function(), vec![expr]);
    Ok(Transformed::yes(Expr::ScalarFunction(call)))
}

/// The expression with the functions of this module shown as the operators that the person wrote: for EXPLAIN. The
/// result is not to be evaluated.
pub fn as_written(expr: Expr) -> Expr {
    let written = expr.clone().transform_up(|expr| match operator_of(&expr) {
        Some(written) => Ok(Transformed::yes(written)),
        None => Ok(Transformed::no(expr)),
    });
    written.map_or(expr, |written| written.data)
}

/// The operator that stood where now a function of this module is called.
fn operator_of(expr: &Expr) -> Option<Expr> {
    let call = match expr {
        Expr::ScalarFunction(call) => call,
        Expr::Case(case) => return lazy::without_untaken(case).map(Expr::Case),
        _ => return None,
    };
    match (arithmetic::operator(&call.func), call.args.as_slice()) {
        (Some(op), [left, right]) => {
            Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left.clone()), op, Box::new(right.clone()))))
        }
        (None, [arg]) if arithmetic::is_negate(&call.func) => Some(Expr::Negative(Box::new(arg.clone()))),
        (None, [arg])
            if floats::is_canonical(&call.func)
                || dates::is_whole(&call.func)
                || intervals::is_span(&call.func)
                || text::is_text_of_value(&call.func) =>
        {
            Some(arg.clone())
        }
        (None, [left, right]) if dates::is_days_between(&call.func) => {
            Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left.clone()), Operator::Minus, Box::new(right.clone()))))
        }
        (None, [arg]) if casts::is_kept(&call.func) => Some(arg.clone()),
        (None, _) if exact::is_decimal_of(&call.func) => {
            exact::written(call).map(|(arg, to)| logical_cast(arg.clone(), to))
        }
        (None, _) if written::is_time_of_text(&call.func) => {
            written::written(call).map(|(arg, to)| logical_cast(arg.clone(), to))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::prelude::{col, lit};

    use super::*;

    #[test]
    fn a_calculation_has_a_limit() {
        let schema = DFSchema::try_from(Schema::new(vec![Field::new("x", DataType::Int64, true)])).unwrap();
        let sum = |operators: usize| (0..operators).fold(col("x"), |sum, _| sum + lit(1_i64));
        assert!(sound(sum(OPERATORS_IN_A_ROW_MAX), &schema).is_ok());
        let error = sound(sum(OPERATORS_IN_A_ROW_MAX + 1), &schema).unwrap_err();
        assert!(error.strip_backtrace().contains("more than 500 operators in a row"), "{error}");
        let halves = sum(OPERATORS_IN_A_ROW_MAX) + sum(OPERATORS_IN_A_ROW_MAX - 1);
        assert!(sound(halves, &schema).is_err(), "the left half and one more");
        assert!(sound(sum(300) + sum(300), &schema).is_ok());
    }
}
