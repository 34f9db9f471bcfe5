//! An interval times a number, such as `INTERVAL '1 day' * 7`. DataFusion has no such operator. Months, days and the rest are multiplied each
//! for itself by a whole number, as in PostgreSQL (manual, 9.9); other numbers are in `fractions`.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::kernels::arity::try_binary;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use arrow::error::ArrowError;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::error::ArithmeticError;
use super::fractions;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::exact(vec![INTERVAL, DataType::Int64], Volatility::Immutable);
    Arc::new(ScalarUDF::from(Multiple { signature }))
});

/// The function, to register by name: a plan that is written down and read again finds it there.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::clone(&FUNCTION)
}

/// Plans intervals times numbers, and divided by them. A difference of timestamps is an interval there, and beside a date.
#[derive(Debug)]
pub(super) struct MultiplesOfIntervals;

impl ExprPlanner for MultiplesOfIntervals {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator::{Divide, Minus, Multiply, Plus};
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let is_date = |data_type: &DataType| matches!(data_type, DataType::Date32 | DataType::Date64);
        let planned = match &expr.op {
            Multiply if is_span(&left) && right.is_numeric() => times(expr.left, &left, expr.right, &right),
            Multiply if left.is_numeric() && is_span(&right) => times(expr.right, &right, expr.left, &left),
            Divide if is_span(&left) && right.is_numeric() => {
                call(fractions::over(), vec![interval(expr.left, &left), cast(expr.right, DataType::Float64)])
            }
            Plus | Minus if is_date(&left) && matches!(right, DataType::Duration(_)) => {
                let right = interval(expr.right, &right);
                return Ok(PlannerResult::Original(RawBinaryExpr { right, ..expr }));
            }
            Plus if matches!(left, DataType::Duration(_)) && is_date(&right) => {
                let left = interval(expr.left, &left);
                return Ok(PlannerResult::Original(RawBinaryExpr { left, ..expr }));
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        Ok(PlannerResult::Planned(planned))
    }
}

/// Whether a value is a length of time.
fn is_span(data_type: &DataType) -> bool {
    matches!(data_type, &INTERVAL | DataType::Duration(_))
}

fn times(span: Expr, span_type: &DataType, number: Expr, number_type: &DataType) -> Expr {
    let span = interval(span, span_type);
    match number_type.is_integer() {
        true => call(function(), vec![span, cast(number, DataType::Int64)]),
        false => call(fractions::times(), vec![span, cast(number, DataType::Float64)]),
    }
}

fn interval(span: Expr, has: &DataType) -> Expr {
    match has {
        DataType::Duration(_) => call(fractions::of_duration(), vec![span]),
        _ => span,
    }
}

fn call(function: Arc<ScalarUDF>, arguments: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Multiple {
    signature: Signature,
}

impl ScalarUDFImpl for Multiple {
    fn name(&self) -> &str {
        "multiple_of_interval"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let one_value = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [intervals, numbers] = take_function_args(self.name(), arrays)?;
        let multiples: ArrayRef = Arc::new(multiples(&intervals, &numbers)?);
        Ok(match one_value {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&multiples, 0)?),
            false => ColumnarValue::Array(multiples),
        })
    }
}

fn multiples(intervals: &ArrayRef, numbers: &ArrayRef) -> Result<IntervalMonthDayNanoArray> {
    let (intervals, numbers) =
        (intervals.as_primitive::<IntervalMonthDayNanoType>(), numbers.as_primitive::<Int64Type>());
    let multiples = try_binary::<_, _, _, IntervalMonthDayNanoType>(intervals, numbers, |interval, number| {
        multiple(interval, number).ok_or_else(|| ArrowError::ArithmeticOverflow(format!("{interval:?} * {number}")))
    });
    multiples.map_err(|error| ArithmeticError::from_kernel(error, &INTERVAL))
}

fn multiple(interval: IntervalMonthDayNano, number: i64) -> Option<IntervalMonthDayNano> {
    let whole = |part: i32| i32::try_from(i64::from(part).checked_mul(number)?).ok();
    Some(IntervalMonthDayNano::new(
        whole(interval.months)?,
        whole(interval.days)?,
        interval.nanoseconds.checked_mul(number)?,
    ))
}
