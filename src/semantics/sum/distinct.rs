//! `sum(DISTINCT ...)` of one group, and of a window's frame.

use std::collections::HashMap;
use std::hash::Hash;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::Accumulator;

use super::total::{Summand, array, column, negate, result};

/// How often each value occurs, and the exact total of those that do.
#[derive(Debug)]
pub(super) struct DistinctSumAccumulator<T: Summand>
where
    T::Native: Hash + Eq,
{
    occurrences: HashMap<T::Native, u64>,
    low: T::Native,
    carry: i64,
    data_type: DataType,
}

impl<T: Summand> DistinctSumAccumulator<T>
where
    T::Native: Hash + Eq,
{
    /// A sum of nothing yet, with the type of the result.
    pub(super) fn new(data_type: DataType) -> Self {
        Self { occurrences: HashMap::new(), low: T::default_value(), carry: 0, data_type }
    }

    fn add(&mut self, low: T::Native, carry: i64) {
        let (low, step) = T::add(self.low, low);
        self.low = low;
        self.carry += carry + step;
    }

    fn insert(&mut self, value: T::Native) {
        let occurrences = self.occurrences.entry(value).or_insert(0);
        *occurrences += 1;
        if *occurrences == 1 {
            self.add(value, 0);
        }
    }

    fn remove(&mut self, value: T::Native) {
        let Some(occurrences) = self.occurrences.get_mut(&value) else {
            return;
        };
        *occurrences -= 1;
        if *occurrences == 0 {
            self.occurrences.remove(&value);
            let (low, carry) = negate::<T>(value, 0);
            self.add(low, carry);
        }
    }
}

impl<T: Summand> Accumulator for DistinctSumAccumulator<T>
where
    T::Native: Hash + Eq,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        column::<T>(values)?.iter().flatten().for_each(|value| self.insert(value));
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        column::<T>(values)?.iter().flatten().for_each(|value| self.remove(value));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let total = match self.occurrences.is_empty() {
            true => None,
            false => Some(result::<T>(self.low, self.carry, &self.data_type)?),
        };
        ScalarValue::new_primitive::<T>(total, &self.data_type)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = array::<T>(self.occurrences.keys().copied().collect(), None, &self.data_type);
        Ok(vec![ScalarValue::List(std::sync::Arc::new(
            datafusion::common::utils::SingleRowListArrayBuilder::new(values).with_nullable(true).build_list_array(),
        ))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first().and_then(|states| states.as_list_opt::<i32>()) else {
            return internal_err!("sum(DISTINCT) got no lists to merge");
        };
        for values in lists.iter().flatten() {
            self.update_batch(&[values])?;
        }
        Ok(())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.occurrences.capacity() * size_of::<(T::Native, u64)>()
    }
}
