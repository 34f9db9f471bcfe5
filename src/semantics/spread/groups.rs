//! Variances and standard deviations of many groups at once.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array, Float64Array, Int64Array,
};
use arrow::datatypes::{Int64Type, i256};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::{SQUARES, SUM, Spread, Sums, states};

/// The sums of each group.
#[derive(Debug)]
pub(super) struct GroupSums {
    spread: Spread,
    groups: Vec<Sums>,
}

impl GroupSums {
    pub(super) fn new(spread: Spread) -> Self {
        Self { spread, groups: Vec::new() }
    }

    fn grow(&mut self, groups: usize) {
        let spread = self.spread;
        self.groups.resize_with(groups, || Sums::new(spread));
    }
}

fn integers(columns: &[ArrayRef]) -> Result<&Int64Array> {
    match columns.first().and_then(|column| column.as_primitive_opt::<Int64Type>()) {
        Some(values) => Ok(values),
        None => internal_err!("a variance got no integers"),
    }
}

fn is_kept(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

/// States as columns.
fn columns(groups: impl Iterator<Item = (i64, i128, i256)>) -> Vec<ArrayRef> {
    let (mut counts, mut sums, mut squares) = (Vec::new(), Vec::new(), Vec::new());
    for (count, sum, square) in groups {
        counts.push(count);
        sums.push(sum);
        squares.push(square);
    }
    vec![
        Arc::new(Int64Array::from(counts)),
        Arc::new(Decimal128Array::from(sums).with_data_type(SUM)),
        Arc::new(Decimal256Array::from(squares).with_data_type(SQUARES)),
    ]
}

fn square(value: i64) -> i256 {
    // The square of an integer of 64 bits has 126.
    i256::from_i128(i128::from(value) * i128::from(value))
}

impl GroupsAccumulator for GroupSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.grow(groups);
        for (row, (value, group)) in integers(values)?.iter().zip(group_indices).enumerate() {
            if let (Some(value), Some(sums)) = (value.filter(|_| is_kept(filter, row)), self.groups.get_mut(*group)) {
                sums.add(1, i128::from(value), square(value));
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, columns: &[ArrayRef], group_indices: &[usize], groups: usize) -> Result<()> {
        self.grow(groups);
        let (counts, sums, squares) = states(columns)?;
        let rows = counts.iter().zip(sums).zip(squares);
        for (((count, sum), square), group) in rows.zip(group_indices) {
            if let Some(sums) = self.groups.get_mut(*group) {
                sums.add(count.unwrap_or_default(), sum.unwrap_or_default(), square.unwrap_or_default());
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        Ok(Arc::new(groups.iter().map(Sums::result).collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = emit_to.take_needed(&mut self.groups);
        Ok(columns(groups.iter().map(|sums| (sums.count, sums.sum, sums.squares))))
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let row = |(row, value): (usize, Option<i64>)| match value.filter(|_| is_kept(filter, row)) {
            Some(value) => (1, i128::from(value), square(value)),
            None => (0, 0, i256::ZERO),
        };
        Ok(columns(integers(values)?.iter().enumerate().map(row)))
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Sums>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_the_variance_of_their_rows_whatever_way_they_take() {
        let spread = Spread::Variance { sample: true };
        let values: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![Some(1), Some(4), None, Some(i64::MAX), Some(i64::MAX - 2), Some(7)]))];
        let groups = [0, 0, 0, 1, 1, 2];
        let mut direct = GroupSums::new(spread);
        direct.update_batch(&values, &groups, None, 3).unwrap();
        let mut merged = GroupSums::new(spread);
        let states = merged.convert_to_state(&values, None).unwrap();
        merged.merge_batch(&states, &groups, 3).unwrap();
        let again = merged.state(EmitTo::All).unwrap();
        let mut last = GroupSums::new(spread);
        last.merge_batch(&again, &[0, 1, 2], 3).unwrap();
        // (1 - 2.5)^2 + (4 - 2.5)^2, by one; of two that differ by 2 it is 2; of one there is none.
        let expected: ArrayRef = Arc::new(Float64Array::from(vec![Some(4.5), Some(2.0), None]));
        assert_eq!(&direct.evaluate(EmitTo::All).unwrap(), &expected);
        assert_eq!(&last.evaluate(EmitTo::All).unwrap(), &expected);
    }

    #[test]
    fn rows_that_a_filter_leaves_out_do_not_count() {
        let values: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1, 3, 100]))];
        let filter = BooleanArray::from(vec![Some(true), Some(true), None]);
        let mut sums = GroupSums::new(Spread::Deviation { sample: false });
        sums.update_batch(&values, &[0, 0, 0], Some(&filter), 1).unwrap();
        let expected: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
        assert_eq!(&sums.evaluate(EmitTo::First(1)).unwrap(), &expected);
    }
}
