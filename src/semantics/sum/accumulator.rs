//! `sum` of one group, and of a window's frame.

use std::hash::Hash;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::state_type;
use super::total::{Summand, column, negate, result, state, sum_array};

/// An exact total and the number of values in it; none of them means NULL.
#[derive(Debug)]
pub(super) struct SumAccumulator<T: Summand>
where
    T::Native: Hash + Eq,
{
    low: T::Native,
    carry: i64,
    count: u64,
    data_type: DataType,
}

impl<T: Summand> SumAccumulator<T>
where
    T::Native: Hash + Eq,
{
    /// A sum of nothing yet, with the type of the result.
    pub(super) fn new(data_type: DataType) -> Self {
        Self { low: T::default_value(), carry: 0, count: 0, data_type }
    }

    fn add(&mut self, low: T::Native, carry: i64) {
        let (low, step) = T::add(self.low, low);
        self.low = low;
        self.carry += carry + step;
    }
}

impl<T: Summand> Accumulator for SumAccumulator<T>
where
    T::Native: Hash + Eq,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (low, carry, count) = sum_array(column::<T>(values)?);
        self.add(low, carry);
        self.count += count;
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (low, carry, count) = sum_array(column::<T>(values)?);
        let (low, carry) = negate::<T>(low, carry);
        self.add(low, carry);
        self.count = self.count.saturating_sub(count);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let total = match self.count {
            0 => None,
            _ => Some(result::<T>(self.low, self.carry, &self.data_type)?),
        };
        ScalarValue::new_primitive::<T>(total, &self.data_type)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let total = match self.count {
            0 => None,
            _ => Some(state::<T>(self.low, self.carry, &self.data_type)?),
        };
        Ok(vec![ScalarValue::new_primitive::<T::Wide>(total, &state_type(&self.data_type))?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for total in column::<T::Wide>(states)?.iter().flatten() {
            let (low, carry) = T::narrow(total);
            self.add(low, carry);
            self.count += 1;
        }
        Ok(())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
