//! An interval times a whole number, such as `INTERVAL '1 day' * 7`: months, days and the rest are multiplied each for itself, as in
//! PostgreSQL (manual, 9.9). DataFusion has no such operator.

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

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::exact(vec![INTERVAL, DataType::Int64], Volatility::Immutable);
    Arc::new(ScalarUDF::from(Multiple { signature }))
});

/// The function, to register by name: a plan that is written down and read again finds it there.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::clone(&FUNCTION)
}

/// Plans `interval * integer` and `integer * interval`.
#[derive(Debug)]
pub(super) struct MultiplesOfIntervals;

impl ExprPlanner for MultiplesOfIntervals {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::Multiply {
            return Ok(PlannerResult::Original(expr));
        }
        let types = (expr.left.get_type(schema), expr.right.get_type(schema));
        let (interval, number) = match types {
            (Ok(INTERVAL), Ok(number)) if number.is_integer() => (expr.left, expr.right),
            (Ok(number), Ok(INTERVAL)) if number.is_integer() => (expr.right, expr.left),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let arguments = vec![interval, cast(number, DataType::Int64)];
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function(), arguments))))
    }
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
