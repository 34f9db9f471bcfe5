//! Arithmetic of dates and timestamps.
//!
//! A date plus or minus an interval is a date, and a timestamp of seconds one of seconds: the interval may have no finer part,
//! which Arrow's kernel would drop. The days between two dates are counted by a function, since DataFusion takes the difference
//! for a duration where it reckons with bounds.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{
    DataType, Date32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::error::ArithmeticError;

const MILLISECOND_NANOSECONDS: i64 = 1_000_000;

/// What an interval has to be a multiple of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Day,
    Second,
    Millisecond,
    Microsecond,
}

impl Part {
    const ALL: [Self; 4] = [Self::Day, Self::Second, Self::Millisecond, Self::Microsecond];

    /// The finest part of a type that has finer ones in no value, and cannot get any.
    fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Date32 | DataType::Date64 => Some(Self::Day),
            DataType::Timestamp(TimeUnit::Second, _) => Some(Self::Second),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Some(Self::Millisecond),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Some(Self::Microsecond),
            _ => None,
        }
    }

    /// 24 hours are a day here: dates know no time zone.
    fn nanoseconds(self) -> i64 {
        match self {
            Self::Day => 24 * 60 * 60 * 1_000_000_000,
            Self::Second => 1_000_000_000,
            Self::Millisecond => MILLISECOND_NANOSECONDS,
            Self::Microsecond => 1_000,
        }
    }

    fn function(self) -> &'static str {
        match self {
            Self::Day => "whole_days",
            Self::Second => "whole_seconds",
            Self::Millisecond => "whole_milliseconds",
            Self::Microsecond => "whole_microseconds",
        }
    }

    fn broken(self) -> ArithmeticError {
        match self {
            Self::Day => ArithmeticError::PartOfADay,
            Self::Second => ArithmeticError::FinerInterval { digits: 0, enough: 6 },
            Self::Millisecond => ArithmeticError::FinerInterval { digits: 3, enough: 6 },
            Self::Microsecond => ArithmeticError::FinerInterval { digits: 6, enough: 9 },
        }
    }
}

static WHOLE: LazyLock<Vec<Arc<ScalarUDF>>> =
    LazyLock::new(|| Part::ALL.into_iter().map(|part| Arc::new(ScalarUDF::from(Whole::new(part)))).collect());

static DAYS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(DaysBetween {
        signature: Signature::exact(vec![DataType::Date32, DataType::Date32], Volatility::Immutable),
    }))
});

/// The functions, to register by name: a plan that is written down and read again finds them there.
pub(super) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    WHOLE.iter().chain([&*DAYS]).map(Arc::clone)
}

/// Whether this is a function that checks an interval, its argument.
pub(super) fn is_whole(udf: &ScalarUDF) -> bool {
    udf.inner().is::<Whole>()
}

/// Whether this is the function that subtracts dates.
pub(super) fn is_days_between(udf: &ScalarUDF) -> bool {
    udf.inner().is::<DaysBetween>()
}

/// A sum or difference of dates, timestamps and intervals as it is safe to evaluate: intervals are checked, literals at once, what
/// is computed when it is. `None` where the operands are others, or nothing needs a check.
pub(super) fn checked(binary: &BinaryExpr, left: &DataType, right: &DataType) -> Result<Option<Expr>> {
    let sum = |left: Box<Expr>, right: Box<Expr>| Expr::BinaryExpr(BinaryExpr::new(left, binary.op, right));
    if binary.op == Operator::Minus && (left, right) == (&DataType::Date32, &DataType::Date32) {
        let arguments = vec![binary.left.as_ref().clone(), binary.right.as_ref().clone()];
        return Ok(Some(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&DAYS), arguments))));
    }
    Ok(match (Part::of(left), Part::of(right)) {
        (Some(part), _) if has_fine_parts(right) => {
            whole(part, &binary.right)?.map(|right| sum(binary.left.clone(), Box::new(right)))
        }
        (_, Some(part)) if has_fine_parts(left) => {
            whole(part, &binary.left)?.map(|left| sum(Box::new(left), binary.right.clone()))
        }
        _ => None,
    })
}

/// The interval as it has to be written to be checked; `None` where it is in order as it stands.
fn whole(part: Part, interval: &Expr) -> Result<Option<Expr>> {
    if let Expr::Literal(value, _) = interval {
        check(part, &value.to_array()?)?;
        return Ok(None);
    }
    let function = WHOLE.iter().find(|function| function.name() == part.function());
    Ok(function
        .map(|function| Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), vec![interval.clone()]))))
}

fn has_fine_parts(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(IntervalUnit::DayTime | IntervalUnit::MonthDayNano))
}

fn check(part: Part, intervals: &ArrayRef) -> Result<()> {
    let whole = |nanoseconds: i64| nanoseconds % part.nanoseconds() == 0;
    let all_whole = match intervals.data_type() {
        DataType::Interval(IntervalUnit::DayTime) => intervals
            .as_primitive::<IntervalDayTimeType>()
            .iter()
            .flatten()
            .all(|interval| whole(i64::from(interval.milliseconds) * MILLISECOND_NANOSECONDS)),
        DataType::Interval(IntervalUnit::MonthDayNano) => intervals
            .as_primitive::<IntervalMonthDayNanoType>()
            .iter()
            .flatten()
            .all(|interval| whole(interval.nanoseconds)),
        _ => true,
    };
    if all_whole { Ok(()) } else { Err(part.broken().into()) }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    part: Part,
    signature: Signature,
}

impl Whole {
    fn new(part: Part) -> Self {
        Self { part, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Whole {
    fn name(&self) -> &str {
        self.part.function()
    }

    /// The name of the argument: results keep their names.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [interval] = take_function_args(self.name(), args)?;
        Ok(interval.schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Interval(_)] => Ok(types.to_vec()),
            _ => plan_err!("{} takes one interval", self.name()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [interval] = take_function_args(self.name(), types)?;
        Ok(interval.clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [interval] = take_function_args(self.name(), args.args)?;
        match &interval {
            ColumnarValue::Array(array) => check(self.part, array)?,
            ColumnarValue::Scalar(scalar) => check(self.part, &scalar.to_array()?)?,
        }
        Ok(interval)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DaysBetween {
    signature: Signature,
}

impl ScalarUDFImpl for DaysBetween {
    fn name(&self) -> &str {
        "days_between"
    }

    /// The name that the operator would have given the column: results keep their names.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = take_function_args(self.name(), args)?;
        Ok(format!("{} - {}", left.schema_name(), right.schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = take_function_args(self.name(), args.args)?;
        let both_scalar = matches!((&left, &right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = args.number_rows;
        let (left, right) = (left.into_array(rows)?, right.into_array(rows)?);
        let days: Int64Array = arrow::compute::binary::<Date32Type, Date32Type, _, Int64Type>(
            left.as_primitive(),
            right.as_primitive(),
            |left, right| i64::from(left) - i64::from(right),
        )?;
        match both_scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&days, 0)?)),
            false => Ok(ColumnarValue::Array(Arc::new(days))),
        }
    }
}
