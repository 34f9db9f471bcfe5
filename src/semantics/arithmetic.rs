//! `+ - * / %` and unary minus on integers and decimals that report overflow instead of wrapping.
//!
//! DataFusion plans these operators as expressions that wrap, also when it folds constants, and offers no switch. So
//! an analyzer rule replaces them, right after types are coerced, by the functions of this file: from then on no
//! later rule sees a wrapping operator. The functions say of themselves what rules know of the operators: that NULL
//! gives NULL, how they order, and between which bounds they lie.

mod decimal;
mod integer;
mod narrow;
mod negate;

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Datum};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::interval_arithmetic::{Interval, apply_operator};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use negate::CheckedNegate;

static NEGATE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(CheckedNegate::new())));

static OPERATORS: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
    [Operator::Plus, Operator::Minus, Operator::Multiply, Operator::Divide, Operator::Modulo]
        .into_iter()
        .filter_map(|op| Some(Arc::new(ScalarUDF::from(Checked::new(op)?))))
        .collect()
});

/// All checked functions, to register by name: a plan that is written down and read again finds them there.
pub(super) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    OPERATORS.iter().chain([&*NEGATE]).map(Arc::clone)
}

/// The checked function for an operator on these operand types; `None` where DataFusion's own operator is sound
/// (floats, and dates and times, whose arithmetic Arrow checks already).
pub(super) fn checked(op: Operator, left: &DataType, right: &DataType) -> Option<Arc<ScalarUDF>> {
    let exact = (left.is_integer() && left == right) || (left.is_decimal() && right.is_decimal());
    if !exact {
        return None;
    }
    OPERATORS.iter().find(|udf| operator(udf) == Some(op)).map(Arc::clone)
}

/// The checked unary minus for an operand of this type, as [`checked`].
pub(super) fn checked_negate(operand: &DataType) -> Option<Arc<ScalarUDF>> {
    (operand.is_signed_integer() || operand.is_decimal()).then(|| Arc::clone(&NEGATE))
}

/// The type of an expression. DataFusion finds that of a call by making up a name for it, and for every call in it
/// anew; chains of the functions here are long, so they are followed without, and down the left side without recursion.
pub(super) fn type_of(expr: &Expr, schema: &DFSchema) -> Result<DataType> {
    let mut links = Vec::new();
    let mut first = expr;
    while let Expr::ScalarFunction(call) = first {
        match (operator(&call.func), call.args.as_slice()) {
            (Some(op), [left, right]) => {
                let right = type_of(right, schema)?;
                if right.is_integer() && links.is_empty() {
                    // Both operands have the type of the result.
                    return Ok(right);
                }
                links.push((op, right));
                first = left;
            }
            (None, [operand]) if is_negate(&call.func) => first = operand,
            _ => break,
        }
    }
    links.into_iter().rev().try_fold(first.get_type(schema)?, |left, (op, right)| {
        BinaryTypeCoercer::new(&left, &op, &right).get_result_type()
    })
}

/// How many operators follow one another on the left side of an expression: 2 for `a + b - c`.
pub(super) fn operators_in_a_row(expr: &Expr) -> usize {
    let mut operators = 0;
    let mut first = expr;
    while let Expr::ScalarFunction(call) = first
        && let (Some(_), [left, _]) = (operator(&call.func), call.args.as_slice())
    {
        operators += 1;
        first = left;
    }
    operators
}

/// Whether this is the checked unary minus.
pub(super) fn is_negate(udf: &ScalarUDF) -> bool {
    udf.inner().is::<CheckedNegate>()
}

/// The operator that a checked function stands for.
pub(super) fn operator(udf: &ScalarUDF) -> Option<Operator> {
    udf.inner().downcast_ref::<Checked>().map(|checked| checked.op)
}

/// One checked operator.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    op: Operator,
    name: &'static str,
    signature: Signature,
}

impl Checked {
    fn new(op: Operator) -> Option<Self> {
        let name = match op {
            Operator::Plus => "checked_add",
            Operator::Minus => "checked_subtract",
            Operator::Multiply => "checked_multiply",
            Operator::Divide => "checked_divide",
            Operator::Modulo => "checked_modulo",
            _ => return None,
        };
        Some(Self { op, name, signature: Signature::user_defined(Volatility::Immutable) })
    }

    fn result_type(&self, left: &DataType, right: &DataType) -> Result<DataType> {
        BinaryTypeCoercer::new(left, &self.op, right).get_result_type()
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.name
    }

    /// The name that the operator would have given the column: results keep their names. Names are asked for often and
    /// chains of operators are long, so that the left side is followed without copying and without recursion.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [mut first, right] = take_function_args(self.name, args)?;
        let mut links = vec![(self.op, right)];
        while let Expr::ScalarFunction(call) = first
            && let (Some(op), [left, right]) = (operator(&call.func), call.args.as_slice())
        {
            links.push((op, right));
            first = left;
        }
        let links: String = links.iter().rev().map(|(op, right)| format!(" {op} {}", right.schema_name())).collect();
        Ok(format!("{}{links}", first.schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = take_function_args(self.name, types)?;
        let (left, right) = BinaryTypeCoercer::new(left, &self.op, right).get_input_types()?;
        match checked(self.op, &left, &right) {
            Some(_) => Ok(vec![left, right]),
            None => plan_err!("{} takes integers or decimals, not {left} and {right}", self.name),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [left, right] = take_function_args(self.name, types)?;
        self.result_type(left, right)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [left, right] = take_function_args(self.name, args.arg_fields)?;
        let data_type = self.result_type(left.data_type(), right.data_type())?;
        Ok(Arc::new(Field::new(self.name, data_type, left.is_nullable() || right.is_nullable())))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let result_type = args.return_field.data_type();
        let [left, right] = take_function_args(self.name, args.args)?;
        let both_scalar = matches!((&left, &right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let array = evaluate(self.op, datum(&left)?.as_ref(), datum(&right)?.as_ref(), result_type)?;
        match both_scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)),
            false => Ok(ColumnarValue::Array(array)),
        }
    }

    /// `x + 0`, `x - 0`, `x * 1`, `x / 1` on integers: `x`. On decimals they change the type.
    fn simplify(&self, args: Vec<Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let neutral = match self.op {
            Operator::Plus | Operator::Minus => 0,
            Operator::Multiply | Operator::Divide => 1,
            _ => return Ok(ExprSimplifyResult::Original(args)),
        };
        let commutative = matches!(self.op, Operator::Plus | Operator::Multiply);
        match <[Expr; 2]>::try_from(args) {
            Ok([left, right]) if is_integer(&right, neutral) => Ok(ExprSimplifyResult::Simplified(left)),
            Ok([left, right]) if commutative && is_integer(&left, neutral) => Ok(ExprSimplifyResult::Simplified(right)),
            Ok(args) => Ok(ExprSimplifyResult::Original(args.into())),
            Err(args) => Ok(ExprSimplifyResult::Original(args)),
        }
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        let [left, right] = take_function_args(self.name, inputs)?;
        match self.op {
            // DataFusion knows no bounds of it, and what fails here has no order that anybody knows of.
            Operator::Modulo => Interval::make_unbounded(&self.result_type(&left.data_type(), &right.data_type())?),
            op => apply_operator(&op, left, right),
        }
    }

    /// Without wrapping, sums and differences of ordered values are ordered.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let [left, right] = take_function_args(self.name, inputs)?;
        let (left, right) = (&left.sort_properties, &right.sort_properties);
        Ok(match self.op {
            Operator::Plus => left.add(right),
            Operator::Minus => left.sub(right),
            _ if *left == SortProperties::Singleton && *right == SortProperties::Singleton => SortProperties::Singleton,
            _ => SortProperties::Unordered,
        })
    }
}

/// Whether the expression is this number, as an integer literal of any width.
fn is_integer(expr: &Expr, number: i64) -> bool {
    let Expr::Literal(value, _) = expr else {
        return false;
    };
    value.data_type().is_integer()
        && matches!(value.cast_to(&DataType::Int64), Ok(ScalarValue::Int64(Some(value))) if value == number)
}

fn datum(value: &ColumnarValue) -> Result<Box<dyn Datum>> {
    Ok(match value {
        ColumnarValue::Array(array) => Box::new(Arc::clone(array)),
        ColumnarValue::Scalar(scalar) => Box::new(scalar.to_scalar()?),
    })
}

fn evaluate(op: Operator, left: &dyn Datum, right: &dyn Datum, result_type: &DataType) -> Result<ArrayRef> {
    match result_type.is_integer() {
        true => integer::evaluate(op, left, right, result_type),
        false => decimal::evaluate(op, left, right, result_type),
    }
}
