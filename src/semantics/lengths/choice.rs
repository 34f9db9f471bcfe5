//! `greatest`, `least` and `nullif` of intervals.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::extreme::compare;
use super::is_interval;
use crate::semantics::intervals::nanoseconds;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

static FUNCTIONS: LazyLock<Vec<(Choice, Arc<ScalarUDF>)>> = LazyLock::new(|| {
    let function = |choice| {
        let signature = Signature::user_defined(Volatility::Immutable);
        (choice, Arc::new(ScalarUDF::from(OfIntervals { choice, signature })))
    };
    [Choice::Greatest, Choice::Least, Choice::NullIf].map(function).into()
});

/// The functions, to register by name.
pub(super) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    FUNCTIONS.iter().map(|(_, function)| Arc::clone(function))
}

/// The function that stands for one of DataFusion's whose arguments are intervals.
pub(super) fn instead_of(call: &ScalarFunction, schema: &DFSchema) -> Result<Option<Arc<ScalarUDF>>> {
    let wanted = match call.func.name() {
        "greatest" => Choice::Greatest,
        "least" => Choice::Least,
        "nullif" => Choice::NullIf,
        _ => return Ok(None),
    };
    for argument in &call.args {
        if !is_interval(&argument.get_type(schema)?) {
            return Ok(None);
        }
    }
    Ok(FUNCTIONS.iter().find(|(choice, _)| *choice == wanted).map(|(_, function)| Arc::clone(function)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Choice {
    Greatest,
    Least,
    NullIf,
}

impl Choice {
    /// Of what is chosen so far and the next argument.
    fn between(
        self,
        one: Option<IntervalMonthDayNano>,
        other: Option<IntervalMonthDayNano>,
    ) -> Option<IntervalMonthDayNano> {
        match (one, other, self) {
            (Some(one), Some(other), Self::Greatest) => Some(if compare(other, one).is_gt() { other } else { one }),
            (Some(one), Some(other), Self::Least) => Some(if compare(other, one).is_lt() { other } else { one }),
            (Some(one), Some(other), Self::NullIf) => (nanoseconds(one) != nanoseconds(other)).then_some(one),
            (one, _, Self::NullIf) => one,
            (one, other, _) => one.or(other),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfIntervals {
    choice: Choice,
    signature: Signature,
}

impl ScalarUDFImpl for OfIntervals {
    fn name(&self) -> &str {
        match self.choice {
            Choice::Greatest => "longest_interval",
            Choice::Least => "shortest_interval",
            Choice::NullIf => "interval_unless",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types.iter().all(is_interval) && !types.is_empty() {
            true => Ok(types.to_vec()),
            false => plan_err!("{} takes intervals", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let one_value = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let arrays: Vec<ArrayRef> = arrays.iter().map(|array| cast(array, &INTERVAL)).collect::<Result<_, _>>()?;
        let Some((first, others)) = arrays.split_first() else { return internal_err!("no intervals") };
        let mut chosen: Vec<Option<IntervalMonthDayNano>> =
            first.as_primitive::<IntervalMonthDayNanoType>().iter().collect();
        for other in others {
            let other = other.as_primitive::<IntervalMonthDayNanoType>();
            for (one, other) in chosen.iter_mut().zip(other) {
                *one = self.choice.between(*one, other);
            }
        }
        let chosen: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(chosen));
        Ok(match one_value {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&chosen, 0)?),
            false => ColumnarValue::Array(chosen),
        })
    }
}
