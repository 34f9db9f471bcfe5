//! Correlations of many groups at once, each by the distances of its values from their means (Welford; Chan, Golub and LeVeque for
//! what is put together of parts), as DataFusion's accumulator of one group adds them up.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, UInt64Array};
use arrow::datatypes::{Float64Type, UInt64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

/// Of the pairs of one group: how many there are, their means, the squares of the distances from these, and their products.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pairs {
    count: u64,
    means: [f64; 2],
    squares: [f64; 2],
    products: f64,
}

#[expect(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
fn number(count: u64) -> f64 {
    count as f64
}

impl Pairs {
    fn add(&mut self, pair: [f64; 2]) {
        self.count += 1;
        let [first, second] = pair;
        let before = [first - self.means[0], second - self.means[1]];
        self.means = [self.means[0] + before[0] / number(self.count), self.means[1] + before[1] / number(self.count)];
        let after = [first - self.means[0], second - self.means[1]];
        self.squares = [self.squares[0] + before[0] * after[0], self.squares[1] + before[1] * after[1]];
        self.products += before[0] * after[1];
    }

    fn merge(&mut self, other: Self) {
        if other.count == 0 {
            return;
        }
        let count = self.count + other.count;
        let (share, rest) = (number(self.count) / number(count), number(other.count) / number(count));
        let apart = [self.means[0] - other.means[0], self.means[1] - other.means[1]];
        let weight = number(self.count) * rest;
        self.means = [self.means[0] * share + other.means[0] * rest, self.means[1] * share + other.means[1] * rest];
        self.squares = [
            self.squares[0] + other.squares[0] + apart[0] * apart[0] * weight,
            self.squares[1] + other.squares[1] + apart[1] * apart[1] * weight,
        ];
        self.products += other.products + apart[0] * apart[1] * weight;
        self.count = count;
    }

    /// NULL for less than two pairs and where one side is constant; NaN where both sides are.
    fn result(&self) -> Option<f64> {
        let [first, second] = self.means;
        if first.is_nan() && second.is_nan() {
            return Some(f64::NAN);
        }
        if first.is_nan() || second.is_nan() || self.count < 2 {
            return None;
        }
        let count = number(self.count);
        let deviations = self.squares.map(|squares| (squares / count).sqrt());
        let constant = deviations.contains(&0.0);
        (!constant).then(|| self.products / count / deviations[0] / deviations[1])
    }
}

/// The pairs of each group.
#[derive(Debug, Default)]
pub(super) struct GroupPairs {
    groups: Vec<Pairs>,
}

fn floats(columns: &[ArrayRef], at: usize) -> Result<&Float64Array> {
    match columns.get(at).and_then(|column| column.as_primitive_opt::<Float64Type>()) {
        Some(values) => Ok(values),
        None => internal_err!("a correlation got no doubles"),
    }
}

fn counts(columns: &[ArrayRef]) -> Result<&UInt64Array> {
    match columns.first().and_then(|column| column.as_primitive_opt::<UInt64Type>()) {
        Some(values) => Ok(values),
        None => internal_err!("a correlation got no counts"),
    }
}

/// States as columns, in the order of DataFusion's.
fn columns(groups: &[Pairs]) -> Vec<ArrayRef> {
    let floats = |of: fn(&Pairs) -> f64| -> ArrayRef {
        Arc::new(groups.iter().map(|pairs| Some(of(pairs))).collect::<Float64Array>())
    };
    vec![
        Arc::new(groups.iter().map(|pairs| Some(pairs.count)).collect::<UInt64Array>()),
        floats(|pairs| pairs.means[0]),
        floats(|pairs| pairs.squares[0]),
        floats(|pairs| pairs.means[1]),
        floats(|pairs| pairs.squares[1]),
        floats(|pairs| pairs.products),
    ]
}

/// The pair of a row, if both are there and the filter keeps it.
fn pair(values: [&Float64Array; 2], filter: Option<&BooleanArray>, row: usize) -> Option<[f64; 2]> {
    let is_kept = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
    let is_there = values.iter().all(|values| values.is_valid(row));
    (is_kept && is_there).then(|| values.map(|values| values.value(row)))
}

impl GroupsAccumulator for GroupPairs {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.groups.resize(groups, Pairs::default());
        let values = [floats(values, 0)?, floats(values, 1)?];
        for (row, group) in group_indices.iter().enumerate() {
            if let (Some(pair), Some(pairs)) = (pair(values, filter, row), self.groups.get_mut(*group)) {
                pairs.add(pair);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], group_indices: &[usize], groups: usize) -> Result<()> {
        self.groups.resize(groups, Pairs::default());
        let counts = counts(states)?;
        let (means, squares) = ([floats(states, 1)?, floats(states, 3)?], [floats(states, 2)?, floats(states, 4)?]);
        let products = floats(states, 5)?;
        for (row, group) in group_indices.iter().enumerate() {
            let other = Pairs {
                count: counts.value(row),
                means: means.map(|means| means.value(row)),
                squares: squares.map(|squares| squares.value(row)),
                products: products.value(row),
            };
            if let Some(pairs) = self.groups.get_mut(*group) {
                pairs.merge(other);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        Ok(Arc::new(groups.iter().map(Pairs::result).collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(columns(&emit_to.take_needed(&mut self.groups)))
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values = [floats(values, 0)?, floats(values, 1)?];
        let rows = (0..values[0].len()).map(|row| {
            let mut pairs = Pairs::default();
            if let Some(pair) = pair(values, filter, row) {
                pairs.add(pair);
            }
            pairs
        });
        Ok(columns(&rows.collect::<Vec<_>>()))
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Pairs>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_give_what_the_whole_gives() {
        let values: Vec<ArrayRef> = vec![
            Arc::new(Float64Array::from(vec![
                Some(1_704_067_200.0),
                Some(1_704_067_260.0),
                Some(1_704_067_320.0),
                Some(1.0),
                None,
            ])),
            Arc::new(Float64Array::from(vec![Some(1.0), Some(2.0), Some(4.0), Some(5.0), Some(6.0)])),
        ];
        let groups = [0, 0, 0, 1, 1];
        let mut whole = GroupPairs::default();
        whole.update_batch(&values, &groups, None, 2).unwrap();
        let mut parts = GroupPairs::default();
        let states = parts.convert_to_state(&values, None).unwrap();
        parts.merge_batch(&states, &groups, 2).unwrap();
        for mut pairs in [whole, parts] {
            let result = pairs.evaluate(EmitTo::All).unwrap();
            let result = result.as_primitive::<Float64Type>();
            // PostgreSQL's corr of the three pairs.
            assert!((result.value(0) - 0.981_980_506_061_965_7).abs() < 1e-14, "{result:?}");
            assert!(result.is_null(1), "one pair has no correlation");
        }
    }
}
