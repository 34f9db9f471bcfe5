//! `avg` of integers: the exact sum, as the double next to it, by their number.
//!
//! DataFusion makes doubles of the integers and adds those, so that large numbers lose digits and the answer depends on
//! the order of the rows.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::sum;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::average::Avg;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

static FUNCTION: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
    Arc::new(AggregateUDF::from(IntegerAverage {
        signature: Signature::exact(vec![DataType::Int64], Volatility::Immutable),
    }))
});

/// The average of 64-bit integers.
pub(super) fn function() -> Arc<AggregateUDF> {
    Arc::clone(&FUNCTION)
}

/// Whether this is `avg`, of whatever.
pub(super) fn is_average(function: &AggregateUDF) -> bool {
    adds_doubles(function) || function.inner().is::<IntegerAverage>()
}

/// Whether this is DataFusion's own `avg`, which adds doubles.
pub(super) fn adds_doubles(function: &AggregateUDF) -> bool {
    function.inner().is::<Avg>()
}

/// A sum of 64-bit integers has room here, however many there are.
const SUM: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntegerAverage {
    signature: Signature,
}

impl AggregateUDFImpl for IntegerAverage {
    fn name(&self) -> &str {
        "avg"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match args.is_distinct {
            true => internal_err!("avg(DISTINCT) of integers is not computed here"),
            false => Ok(Box::<Average>::default()),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![
            Arc::new(Field::new(format_state_name(args.name, "sum"), SUM, true)),
            Arc::new(Field::new(format_state_name(args.name, "count"), DataType::Int64, true)),
        ])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::<Averages>::default())
    }
}

/// The integers, or the sums and the counts, among the arguments of an accumulator.
fn integers(columns: &[ArrayRef], at: usize) -> Result<&Int64Array> {
    match columns.get(at).and_then(|column| column.as_primitive_opt::<Int64Type>()) {
        Some(values) => Ok(values),
        None => internal_err!("avg got no integers"),
    }
}

fn totals(columns: &[ArrayRef]) -> Result<&Decimal128Array> {
    match columns.first().and_then(|column| column.as_primitive_opt::<Decimal128Type>()) {
        Some(values) => Ok(values),
        None => internal_err!("avg got no sums"),
    }
}

/// Both conversions are to the nearest double, as PostgreSQL's are.
#[expect(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
fn quotient(total: i128, count: i64) -> Option<f64> {
    (count > 0).then(|| total as f64 / count as f64)
}

/// Of one group.
#[derive(Debug, Default)]
struct Average {
    total: i128,
    count: i64,
}

impl Accumulator for Average {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = integers(values, 0)?;
        self.total += values.iter().flatten().map(i128::from).sum::<i128>();
        self.count += (values.len() - values.null_count()) as i64;
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = integers(values, 0)?;
        self.total -= values.iter().flatten().map(i128::from).sum::<i128>();
        self.count -= (values.len() - values.null_count()) as i64;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(quotient(self.total, self.count)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let total = ScalarValue::Decimal128(Some(self.total), DECIMAL128_MAX_PRECISION, 0);
        Ok(vec![total, ScalarValue::Int64(Some(self.count))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.total += sum(totals(states)?).unwrap_or_default();
        self.count += sum(integers(states, 1)?).unwrap_or_default();
        Ok(())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// Of many groups at once.
#[derive(Debug, Default)]
struct Averages {
    totals: Vec<i128>,
    counts: Vec<i64>,
}

impl Averages {
    fn add(&mut self, group: usize, total: i128, count: i64) {
        if let (Some(sum), Some(number)) = (self.totals.get_mut(group), self.counts.get_mut(group)) {
            *sum += total;
            *number += count;
        }
    }

    fn grow(&mut self, groups: usize) {
        self.totals.resize(groups, 0);
        self.counts.resize(groups, 0);
    }
}

impl GroupsAccumulator for Averages {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.grow(groups);
        let kept = |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        for (row, (value, group)) in integers(values, 0)?.iter().zip(group_indices).enumerate() {
            if let Some(value) = value.filter(|_| kept(row)) {
                self.add(*group, i128::from(value), 1);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], group_indices: &[usize], groups: usize) -> Result<()> {
        self.grow(groups);
        let states = totals(states)?.iter().zip(integers(states, 1)?);
        for ((total, count), group) in states.zip(group_indices) {
            self.add(*group, total.unwrap_or_default(), count.unwrap_or_default());
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (totals, counts) = (emit_to.take_needed(&mut self.totals), emit_to.take_needed(&mut self.counts));
        let averages = totals.into_iter().zip(counts).map(|(total, count)| quotient(total, count));
        Ok(Arc::new(averages.collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (totals, counts) = (emit_to.take_needed(&mut self.totals), emit_to.take_needed(&mut self.counts));
        let totals = Decimal128Array::from(totals).with_data_type(SUM);
        Ok(vec![Arc::new(totals), Arc::new(Int64Array::from(counts))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let kept = |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        let values = integers(values, 0)?;
        let value = |(row, value): (usize, Option<i64>)| value.filter(|_| kept(row));
        let values: Vec<Option<i64>> = values.iter().enumerate().map(value).collect();
        let totals: Decimal128Array = values.iter().map(|value| Some(value.map_or(0, i128::from))).collect();
        let counts: Int64Array = values.iter().map(|value| Some(i64::from(value.is_some()))).collect();
        Ok(vec![Arc::new(totals.with_data_type(SUM)), Arc::new(counts)])
    }

    fn size(&self) -> usize {
        self.totals.capacity() * size_of::<i128>() + self.counts.capacity() * size_of::<i64>()
    }
}
