//! Variance and standard deviation. Of integers they are computed from their exact sum and the exact sum of their squares, as in
//! PostgreSQL; DataFusion makes doubles of them, to which large ones that lie close together are all one.

mod groups;

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, Int64Array};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Field, FieldRef,
    Int64Type, i256,
};
use datafusion::common::{Result, ScalarValue, internal_datafusion_err, internal_err};
use datafusion::functions_aggregate::stddev::{Stddev, StddevPop};
use datafusion::functions_aggregate::variance::{VariancePopulation, VarianceSample};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility};
use groups::GroupSums;

/// One of the four functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Spread {
    Variance { sample: bool },
    Deviation { sample: bool },
}

impl Spread {
    const ALL: [Self; 4] = [
        Self::Variance { sample: true },
        Self::Variance { sample: false },
        Self::Deviation { sample: true },
        Self::Deviation { sample: false },
    ];

    /// Which of them a function of DataFusion's is.
    pub(super) fn of(function: &AggregateUDF) -> Option<Self> {
        match function.inner() {
            inner if inner.is::<VarianceSample>() => Some(Self::Variance { sample: true }),
            inner if inner.is::<VariancePopulation>() => Some(Self::Variance { sample: false }),
            inner if inner.is::<Stddev>() => Some(Self::Deviation { sample: true }),
            inner if inner.is::<StddevPop>() => Some(Self::Deviation { sample: false }),
            _ => None,
        }
    }

    /// Whether it is an estimate from a sample: the divisor is one less than the number of values.
    pub(super) fn is_sample(self) -> bool {
        let (Self::Variance { sample } | Self::Deviation { sample }) = self;
        sample
    }

    pub(super) fn of_variance(self, variance: f64) -> f64 {
        match self {
            Self::Variance { .. } => variance,
            Self::Deviation { .. } => variance.sqrt(),
        }
    }

    /// By this DataFusion calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Variance { sample: true } => "var",
            Self::Variance { sample: false } => "var_pop",
            Self::Deviation { sample: true } => "stddev",
            Self::Deviation { sample: false } => "stddev_pop",
        }
    }
}

static FUNCTIONS: LazyLock<Vec<(Spread, Arc<AggregateUDF>)>> = LazyLock::new(|| {
    let function = |spread| {
        let signature = Signature::exact(vec![DataType::Int64], Volatility::Immutable);
        (spread, Arc::new(AggregateUDF::from(OfIntegers { spread, signature })))
    };
    Spread::ALL.map(function).into()
});

/// The function of 64-bit integers that stands for one of doubles.
pub(super) fn of_integers(function: &AggregateUDF) -> Option<Arc<AggregateUDF>> {
    let wanted = Spread::of(function)?;
    FUNCTIONS.iter().find(|(spread, _)| *spread == wanted).map(|(_, function)| Arc::clone(function))
}

const SUM: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);
const SQUARES: DataType = DataType::Decimal256(DECIMAL256_MAX_PRECISION, 0);

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfIntegers {
    spread: Spread,
    signature: Signature,
}

impl AggregateUDFImpl for OfIntegers {
    fn name(&self) -> &str {
        self.spread.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match args.is_distinct {
            true => internal_err!("{}(DISTINCT) of integers is not computed here", self.name()),
            false => Ok(Box::new(Sums::new(self.spread))),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![
            Arc::new(Field::new(format_state_name(args.name, "count"), DataType::Int64, true)),
            Arc::new(Field::new(format_state_name(args.name, "sum"), SUM, true)),
            Arc::new(Field::new(format_state_name(args.name, "squares"), SQUARES, true)),
        ])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(GroupSums::new(self.spread)))
    }
}

/// The columns of states: how many values there were, their sums, and the sums of their squares.
fn states(columns: &[ArrayRef]) -> Result<(&Int64Array, &Decimal128Array, &Decimal256Array)> {
    let [counts, sums, squares] = columns else { return internal_err!("a variance has three states") };
    let missing = || internal_datafusion_err!("a state of a variance has another type");
    Ok((
        counts.as_primitive_opt::<Int64Type>().ok_or_else(missing)?,
        sums.as_primitive_opt::<Decimal128Type>().ok_or_else(missing)?,
        squares.as_primitive_opt::<Decimal256Type>().ok_or_else(missing)?,
    ))
}

/// Of one group. 2^63 squares of 126 bits have 189, and the products below 252.
#[derive(Debug)]
struct Sums {
    spread: Spread,
    count: i64,
    sum: i128,
    squares: i256,
}

impl Sums {
    fn new(spread: Spread) -> Self {
        Self { spread, count: 0, sum: 0, squares: i256::ZERO }
    }

    fn add(&mut self, count: i64, sum: i128, squares: i256) {
        self.count += count;
        self.sum += sum;
        self.squares = self.squares.wrapping_add(squares);
    }

    fn totals(values: &[ArrayRef]) -> Result<(i64, i128, i256)> {
        let [values] = values else { return internal_err!("a variance has one column") };
        let values = values.as_primitive::<Int64Type>();
        let (mut sum, mut squares, mut narrow) = (0_i128, i256::ZERO, 0_i128);
        for value in values.iter().flatten().map(i128::from) {
            sum += value;
            narrow = narrow.checked_add(value * value).unwrap_or_else(|| {
                squares = squares.wrapping_add(i256::from_i128(narrow));
                value * value
            });
        }
        Ok(((values.len() - values.null_count()) as i64, sum, squares.wrapping_add(i256::from_i128(narrow))))
    }

    fn result(&self) -> Option<f64> {
        let count = i128::from(self.count);
        let divisor = count * if self.spread.is_sample() { count - 1 } else { count };
        let sum = i256::from_i128(self.sum);
        let dividend = self.squares.wrapping_mul(i256::from_i128(count)).wrapping_sub(sum.wrapping_mul(sum));
        (divisor > 0).then(|| self.spread.of_variance(nearest(dividend) / nearest(i256::from_i128(divisor))))
    }
}

/// The nearest double.
#[expect(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
fn nearest(number: i256) -> f64 {
    match number.to_i128() {
        Some(number) => number as f64,
        // Digits are read exactly; no such number is beyond doubles.
        None => number.to_string().parse().unwrap_or(f64::NAN),
    }
}

impl Accumulator for Sums {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (count, sum, squares) = Self::totals(values)?;
        self.add(count, sum, squares);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (count, sum, squares) = Self::totals(values)?;
        self.count -= count;
        self.sum -= sum;
        self.squares = self.squares.wrapping_sub(squares);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.result()))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Int64(Some(self.count)),
            ScalarValue::Decimal128(Some(self.sum), DECIMAL128_MAX_PRECISION, 0),
            ScalarValue::Decimal256(Some(self.squares), DECIMAL256_MAX_PRECISION, 0),
        ])
    }

    fn merge_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let (counts, sums, squares) = states(columns)?;
        self.count += counts.iter().flatten().sum::<i64>();
        self.sum += sums.iter().flatten().sum::<i128>();
        self.squares = squares.iter().flatten().fold(self.squares, i256::wrapping_add);
        Ok(())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_integers_have_room() {
        let mut sums = Sums::new(Spread::Variance { sample: false });
        let values: ArrayRef =
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX), Some(i64::MIN), Some(i64::MAX)]));
        sums.update_batch(&[Arc::clone(&values)]).unwrap();
        let half = (2_f64.powi(64) - 1.0) / 2.0;
        assert_eq!(sums.result(), Some(half * half));
        sums.retract_batch(&[values]).unwrap();
        assert_eq!(sums.result(), None);
    }
}
