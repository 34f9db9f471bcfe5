//! `sum` of many groups at once.

use std::hash::Hash;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::NullState;

use super::state_type;
use super::total::{Summand, array, column, result, state};

/// Exact totals. As long as no total has wrapped around, which is nearly always, there are no carries to keep.
#[derive(Debug)]
pub(super) struct SumGroupsAccumulator<T: Summand>
where
    T::Native: Hash + Eq,
{
    lows: Vec<T::Native>,
    /// Empty, or one per group.
    carries: Vec<i64>,
    seen: NullState,
    data_type: DataType,
}

impl<T: Summand> SumGroupsAccumulator<T>
where
    T::Native: Hash + Eq,
{
    /// No groups yet, with the type of the result.
    pub(super) fn new(data_type: DataType) -> Self {
        Self { lows: Vec::new(), carries: Vec::new(), seen: NullState::new(), data_type }
    }

    /// The totals to emit, their carries (empty when all are 0), and which of them are NULL.
    fn take(&mut self, emit_to: EmitTo) -> (Vec<T::Native>, Vec<i64>, Option<NullBuffer>) {
        let carries = match self.carries.is_empty() {
            true => Vec::new(),
            false => emit_to.take_needed(&mut self.carries),
        };
        (emit_to.take_needed(&mut self.lows), carries, self.seen.build(emit_to))
    }
}

/// Adds to a group's total.
#[inline(always)]
fn add<T: Summand>(lows: &mut [T::Native], carries: &mut Vec<i64>, group: usize, low: T::Native, carry: i64)
where
    T::Native: Hash + Eq,
{
    let groups = lows.len();
    let Some(total) = lows.get_mut(group) else {
        return;
    };
    let (low, step) = T::add(*total, low);
    *total = low;
    if carry + step != 0 {
        add_carry(carries, groups, group, carry + step);
    }
}

#[cold]
fn add_carry(carries: &mut Vec<i64>, groups: usize, group: usize, carry: i64) {
    carries.resize(groups, 0);
    if let Some(total) = carries.get_mut(group) {
        *total += carry;
    }
}

/// The carry of a row, where rows without any have none to look at.
fn carry_of(carries: &[i64], row: usize) -> i64 {
    carries.get(row).copied().unwrap_or(0)
}

fn is_valid(nulls: Option<&NullBuffer>, row: usize) -> bool {
    nulls.is_none_or(|nulls| nulls.is_valid(row))
}

impl<T: Summand> GroupsAccumulator for SumGroupsAccumulator<T>
where
    T::Native: Hash + Eq,
{
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        let values = column::<T>(values)?;
        let Self { lows, carries, seen, .. } = self;
        lows.resize(groups, T::default_value());
        if !carries.is_empty() {
            carries.resize(groups, 0);
        }
        seen.accumulate(group_indices, values, filter, groups, |group, value| {
            add::<T>(lows, carries, group, value, 0);
        });
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], group_indices: &[usize], groups: usize) -> Result<()> {
        let totals = column::<T::Wide>(states)?;
        let Self { lows, carries, seen, .. } = self;
        lows.resize(groups, T::default_value());
        if !carries.is_empty() {
            carries.resize(groups, 0);
        }
        seen.accumulate(group_indices, totals, None, groups, |group, total| {
            let (low, carry) = T::narrow(total);
            add::<T>(lows, carries, group, low, carry);
        });
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let data_type = self.data_type.clone();
        let (lows, carries, nulls) = self.take(emit_to);
        for (row, low) in lows.iter().enumerate() {
            let carry = carry_of(&carries, row);
            if (carry != 0 || !T::fits(*low, &data_type)) && is_valid(nulls.as_ref(), row) {
                result::<T>(*low, carry, &data_type)?;
            }
        }
        Ok(array::<T>(lows, nulls, &data_type))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let data_type = self.data_type.clone();
        let (lows, carries, nulls) = self.take(emit_to);
        let totals = (lows.iter().enumerate())
            .map(|(row, low)| state::<T>(*low, carry_of(&carries, row), &data_type))
            .collect::<Result<Vec<_>>>()?;
        Ok(vec![array::<T::Wide>(totals, nulls, &state_type(&data_type))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values = column::<T>(values)?;
        let totals: Vec<<T::Wide as ArrowPrimitiveType>::Native> =
            values.values().iter().map(|value| state::<T>(*value, 0, &self.data_type)).collect::<Result<_>>()?;
        let kept = filter.map(|filter| match filter.nulls() {
            None => NullBuffer::new(filter.values().clone()),
            Some(nulls) => NullBuffer::new(nulls.inner() & filter.values()),
        });
        let nulls = NullBuffer::union(values.nulls(), kept.as_ref());
        Ok(vec![array::<T::Wide>(totals, nulls, &state_type(&self.data_type))])
    }

    fn size(&self) -> usize {
        self.lows.capacity() * size_of::<T::Native>() + self.carries.capacity() * size_of::<i64>() + self.seen.size()
    }
}
